"""The long table of scores as tables to read: codes beside mel, brain beside its nulls."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

PATHS = {"encodec": "codes", "mel": "mel", "mel_matched": "mel at the codec's bitrate"}
ALONE = {"encodec": "codec"}  # of the column "codec"; the others end in Griffin-Lim

COLUMNS = {
    "original": "the film's own sound",
    "codec": "sound → codes or mel → sound: how good the path is alone, the ceiling of the others "
    "(codec in scores.tsv)",
    "stimulus": "sound → bottleneck → sound: what survives the bottleneck",
    "unigram": "null: every code guessed from how often it occurs in training",
    "brain": "BOLD → bottleneck → sound: what can be heard in the BOLD signal",
    "brain_shuffled": "null: BOLD of other moments",
    "brain_mean": "null: the mean volume at every moment",
    "nearest_clip": "null: the training sound with the most similar BOLD",
    "encoding": "film → bottleneck → predicted BOLD",
    "encoding_ridge": "film → predicted BOLD by ridge regression alone",
    "encoding_banded": "the same with a penalty for each modality (banded ridge)",
    "noise_ceiling": "other people's BOLD at the same moment: what a model of the film may reach",
}

TITLES = {
    "sound": "From sound to sound",
    "brain": "From BOLD to sound, beside its nulls",
    "encoding": "From film to BOLD",
}


@dataclass(frozen=True)
class Metric:
    """How a metric is called, how it is read, what its ``n`` counts, and how it is printed."""

    label: str
    reading: str
    counted: str
    decimals: int


METRICS = {
    "pesq_wb": Metric("PESQ (wide band)", "1 to 4.64, higher is better", "speech segments", 2),
    "stoi": Metric("STOI", "up to 1, higher is better", "segments", 3),
    "estoi": Metric("ESTOI", "up to 1, higher is better", "segments", 3),
    "si_sdr_db": Metric("SI-SDR (dB)", "higher is better", "segments", 1),
    "log_mel_db": Metric("Log-mel distance (dB)", "0 is best", "segments", 1),
    "sync_error_ms": Metric("Sync error (ms)", "0 is best; median", "segments", 1),
    "code_accuracy": Metric("Code accuracy", "up to 1, higher is better", "TRs", 3),
    "cross_entropy_nats": Metric("Cross-entropy (nats)", "lower is better", "TRs", 3),
    "identification_2way": Metric("Identification, 2-way", "chance 0.5, best 1", "TRs", 3),
    "identification_10way": Metric("Clips identified, 10-way", "chance 0.1", "clips", 3),
    "identification_10way_p": Metric("p of that", "by other orders of the clips", "", 4),
    "identification_sound_2way": Metric(
        "Identified by sound, 2-way", "chance 0.5, best 1", "clips", 3
    ),
    "identification_sound_10way": Metric("Identified by sound, 10-way", "chance 0.1", "clips", 3),
    "bottleneck_r": Metric("Bottleneck correlation r", "chance 0, best 1", "subjects", 3),
    "bold_r": Metric("BOLD correlation r", "chance 0, best 1", "subjects", 3),
    "bold_r_reliable": Metric("… in reliable voxels", "chance 0, best 1", "subjects", 3),
    "kbit_per_s": Metric("Rate (kbit/s)", "what the score costs", "", 1),
    "values_per_s": Metric("Rate (values/s)", "what the score costs", "", 0),
}

RATES = ("kbit_per_s", "values_per_s")

# why a segment could not be scored, see giblet.audio.metrics.scores
UNSCORED = {
    "pesq_wb": "silence, or PESQ found no speech",
    "stoi": "silence, or too short",
    "estoi": "silence, or too short",
    "si_sdr_db": "silence",
    "sync_error_ms": "silence",
}
NO_SPEECH = "no segment is at least half speech"


@dataclass(frozen=True)
class Cell:
    """One score, printed; ``low`` is empty where there is no interval, ``n`` where none counts,
    ``why`` where something was scored."""

    value: str
    low: str = ""
    high: str = ""
    n: str = ""
    n_failed: str = ""
    why: str = ""


@dataclass(frozen=True)
class ScoreTable:
    """Rows of metrics by columns and, within a column, its paths; None where no score exists."""

    caption: str
    columns: list[tuple[str, list[str]]]
    notes: list[tuple[str, str]]
    rows: list[tuple[Metric, list[Cell | None]]]


def metric_of(name: str) -> Metric:
    """What is known of a metric; one that is not known prints under its own name."""
    return METRICS.get(name, Metric(name, "", "", 3))


def question_of(column: str) -> str:
    """Which of the three questions (``TITLES``) a column answers.

    >>> [question_of(c) for c in ("codec", "brain_shuffled", "nearest_clip", "noise_ceiling")]
    ['sound', 'brain', 'brain', 'encoding']
    """
    if column.startswith(("brain", "nearest")):
        return "brain"
    return "encoding" if column.startswith(("encoding", "noise")) else "sound"


def column_label(column: str, simulated: bool) -> str:
    """A column's name for people; what comes from a simulated brain says so.

    The table's ``codec``, which holds both paths alone, is no codec on the mel path.

    >>> column_label("brain_shuffled", simulated=True)
    'brain shuffled (simulated)'
    """
    from_brain = question_of(column) != "sound"
    name = {"codec": "path alone"}.get(column, column.replace("_", " "))
    return name + (" (simulated)" if simulated and from_brain else "")


def path_label(path: str, column: str) -> str:
    """A path's name within a column.

    >>> path_label("encodec", "codec"), path_label("mel", "codec"), path_label("mel", "stimulus")
    ('codec', 'mel + Griffin-Lim', 'mel')
    """
    name = PATHS.get(path, path)
    return ALONE.get(path, f"{name} + Griffin-Lim") if column == "codec" else name


def in_order(names, known) -> list[str]:
    """Distinct ``names`` in the order of ``known``, then the unknown ones as they come.

    >>> in_order(["new", "brain", "codec"], COLUMNS)
    ['codec', 'brain', 'new']
    """
    names = list(dict.fromkeys(names))
    return [k for k in known if k in names] + [n for n in names if n not in known]


def number(value: float, decimals: int) -> str:
    """A number as printed; "–" where there is none.

    >>> number(-2.345, 1), number(float("nan"), 2), number(-0.001, 1)
    ('−2.3', '–', '0.0')
    """
    if not np.isfinite(value):
        return "–"
    return f"{round(float(value), decimals) + 0.0:.{decimals}f}".replace("-", "−")


def score_tables(scores: pd.DataFrame, simulated: bool) -> list[ScoreTable]:
    """One table a question that ``scores`` answer.

    Parameters
    ----------
    scores : table with ``path column metric value low high n n_failed``
    simulated : whether the brains are; captions and columns then say so

    Raises
    ------
    ValueError
        The same path, column and metric twice.
    """
    cells = scores.set_index(["path", "column", "metric"], verify_integrity=True)
    found = {question_of(c) for c in scores["column"]}
    return [
        build_table(
            cells,
            [key for key in cells.index if question_of(key[1]) == question],
            TITLES[question] + _warning(question, simulated),
            simulated,
        )
        for question in TITLES
        if question in found
    ]


def build_table(
    cells: pd.DataFrame, asked: list[tuple[str, str, str]], caption: str, simulated: bool
) -> ScoreTable:
    """The scores ``asked`` for (path, column, metric) of ``cells``, which is indexed by them."""
    pairs = {(path, column) for path, column, _ in asked}
    paths = in_order([path for path, _, _ in asked], PATHS)
    columns = in_order([column for _, column, _ in asked], COLUMNS)
    metrics = in_order([metric for _, _, metric in asked], METRICS)
    within = {c: [path for path in paths if (path, c) in pairs] for c in columns}
    keys = [(path, column) for column in columns for path in within[column]]
    labels = {c: column_label(c, simulated) for c in columns}
    return ScoreTable(
        caption=caption,
        columns=[(labels[c], [path_label(path, c) for path in within[c]]) for c in columns],
        notes=[(labels[c], COLUMNS[c]) for c in columns if c in COLUMNS],
        rows=[(metric_of(m), [_cell(cells, (*key, m)) for key in keys]) for m in metrics],
    )


def _warning(question: str, simulated: bool) -> str:
    return " (simulated brains)" if simulated and question != "sound" else ""


def why_unscored(cells: pd.DataFrame, key: tuple[str, str, str]) -> str:
    """Why nothing was scored at ``key``, by its counts; empty where something was, or unknown.

    Segments without speech are not failures of PESQ: it is not asked of them.
    """
    row, metric = cells.loc[key], key[2]
    if row["n"] > 0 or metric not in UNSCORED:
        return ""
    return NO_SPEECH if metric == "pesq_wb" and row["n_failed"] == 0 else UNSCORED[metric]


def _cell(cells: pd.DataFrame, key: tuple[str, str, str]) -> Cell | None:
    if key not in cells.index:
        return None
    row, metric, decimals = cells.loc[key], key[2], metric_of(key[2]).decimals
    value = number(row["value"], decimals)
    if metric in RATES:
        return Cell(value)
    has_interval = np.isfinite(row["low"]) and np.isfinite(row["high"])
    low, high = (number(row[k], decimals) if has_interval else "" for k in ("low", "high"))
    counts = (number(row[k], 0) for k in ("n", "n_failed"))
    return Cell(value, low, high, *counts, why_unscored(cells, key))
