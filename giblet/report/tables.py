"""Tables of the report: scores by column and feature type, the brain's with nulls and baseline."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from giblet.audio.feature_types import FEATURE_TYPES
from giblet.audio.metrics.table import FEATURES, METRICS, SPEECH, Metric, metric_of

MATCHED = "mel_matched"  # in the column ``path``: mel at the codec's bitrate
FEATURE_LABELS = {name: one.label for name, one in FEATURE_TYPES.items()} | {
    MATCHED: "mel at the codec's bitrate"
}
COLUMN_NAMES = {
    "codec": "no model (ceiling)",
    "brain_group": "brain, subjects together",
    "brain_group_shuffled": "subjects together, shuffled",
    "nearest_clip": "nearest clip (retrieval)",
    "original_noise_10db": "original in noise, 10 dB",
    "original_noise_0db": "original in noise, 0 dB",
    "original_elsewhere": "original of another moment",
}
YARDSTICKS = tuple(name for name in COLUMN_NAMES if name.startswith("original_"))
ALONE = {"encodec": "codec"}  # without the model; of the others, "label + vocoder"

COLUMNS = {
    "original": "the film's own sound",
    "codec": "sound → features → sound, without the model: the ceiling of the other columns "
    "(codec in scores.tsv)",
    "original_noise_10db": "yardstick: the film's sound in noise of its spectrum, 10 dB below",
    "original_noise_0db": "yardstick: the same, as loud as the sound",
    "original_elsewhere": "yardstick: the film's sound of half the test part later",
    "stimulus": "sound → bottleneck → sound: autoencoding",
    "unigram": "null: every code guessed from how often it occurs in training",
    "brain": "BOLD → bottleneck → sound: decoding",
    "brain_shuffled": "null: BOLD of other moments; scores are means over circular shifts of the "
    "test part",
    "brain_mean": "null: the mean volume at every moment",
    "brain_group": "BOLD of all subjects, averaged in the space of scan.alignment → bottleneck → "
    "sound: subjects decoded together",
    "brain_group_shuffled": "null of that: all subjects' BOLD of other moments",
    "nearest_clip": "retrieval baseline, not a null: the training sound with the most similar BOLD",
    "encoding": "film → bottleneck → predicted BOLD",
    "encoding_ridge": "film → predicted BOLD by ridge regression alone",
    "encoding_banded": "the same with a penalty for each modality (banded ridge)",
    "noise_ceiling": "other people's BOLD at the same moment: what a model of the film may reach",
}

TITLES = {
    "sound": "From sound to sound",
    "brain": "From BOLD to sound, with null models",
    "encoding": "From film to BOLD",
}


MOST_METRICS = 7  # side by side on a screen 1280 pixels wide
NO_SPEECH = "no segment is at least half speech"


@dataclass(frozen=True)
class Cell:
    """One score as printed; ``low`` is empty without an interval, ``n`` where nothing is counted,
    ``why`` where something was scored. ``faint``: not shown to differ from its null."""

    value: str
    low: str = ""
    high: str = ""
    n: str = ""
    n_failed: str = ""
    why: str = ""
    faint: bool = False


@dataclass(frozen=True)
class TablePart:
    """Metrics, each with the n that all its scores have (empty where they differ); a row per
    system: its name, and a cell per metric."""

    header: list[tuple[Metric, str]]
    rows: list[tuple[str, tuple[Cell | None, ...]]]


@dataclass(frozen=True)
class ScoreTable:
    """Rows of metrics by columns and, within a column, feature types; None for no score.

    It is printed the other way round, in ``parts``: a row per system, a column per metric.
    """

    caption: str
    columns: list[tuple[str, list[str]]]
    notes: list[tuple[str, str]]
    rows: list[tuple[Metric, list[Cell | None]]]

    @property
    def parts(self) -> list[TablePart]:
        """As printed, at most ``MOST_METRICS`` side by side; systems without any score left out."""
        several = any(len(forms) > 1 for _, forms in self.columns)
        names = [
            f"{column}: {form}" if several else column
            for column, forms in self.columns
            for form in forms
        ]
        n_parts = -(-len(self.rows) // MOST_METRICS)
        size = -(-len(self.rows) // max(n_parts, 1))
        return [self._part(names, self.rows[i * size : (i + 1) * size]) for i in range(n_parts)]

    def _part(self, names: list[str], rows: list[tuple[Metric, list[Cell | None]]]) -> TablePart:
        counts = [{cell.n for cell in cells if cell and cell.n} for _, cells in rows]
        header = [
            (metric, next(iter(n)) if len(n) == 1 else "")
            for (metric, _), n in zip(rows, counts, strict=True)
        ]
        by_system = zip(names, zip(*(cells for _, cells in rows), strict=True), strict=True)
        return TablePart(header, [(name, cells) for name, cells in by_system if any(cells)])


def question_of(column: str) -> str:
    """The question (of ``TITLES``) that a column answers.

    >>> [question_of(c) for c in ("codec", "brain_shuffled", "nearest_clip", "noise_ceiling")]
    ['sound', 'brain', 'brain', 'encoding']
    """
    if column.startswith(("brain", "nearest")):
        return "brain"
    return "encoding" if column.startswith(("encoding", "noise")) else "sound"


def column_label(column: str, simulated: bool) -> str:
    """The name of a column on the page; columns from a simulated brain say so.

    ``codec`` in the table of scores is the codec for codes and Griffin-Lim for mel.

    >>> column_label("brain_shuffled", simulated=True), column_label("codec", simulated=True)
    ('brain shuffled (simulated)', 'no model (ceiling)')
    """
    from_brain = question_of(column) != "sound"
    name = COLUMN_NAMES.get(column, column.replace("_", " "))
    return name + (" (simulated)" if simulated and from_brain else "")


def feature_label(feature_type: str) -> str:
    """The name of a feature type on the page; of an unknown one, its own name.

    >>> feature_label("encodec"), feature_label("wavelets")
    ('codes', 'wavelets')
    """
    return FEATURE_LABELS.get(feature_type, feature_type)


def form_label(feature_type: str, column: str) -> str:
    """The name of a feature type within a column.

    >>> form_label("encodec", "codec"), form_label("mel", "codec"), form_label("mel", "stimulus")
    ('codec', 'mel + Griffin-Lim', 'mel')
    """
    name = feature_label(feature_type)
    if column in YARDSTICKS:
        return "the film's sound"
    if column != "codec":
        return name
    vocoder = FEATURE_TYPES.get(feature_type, FEATURE_TYPES["mel"]).vocoder  # MATCHED is mel
    return ALONE.get(feature_type, f"{name} + {vocoder}")


def in_order(names, order) -> list[str]:
    """Distinct ``names`` in the order of ``order``, then the others as they come.

    >>> in_order(["new", "brain", "codec"], COLUMNS)
    ['codec', 'brain', 'new']
    """
    names = list(dict.fromkeys(names))
    return [k for k in order if k in names] + [n for n in names if n not in order]


def number(value: float, decimals: int) -> str:
    """A number as printed; "–" where there is none.

    >>> number(-2.345, 1), number(float("nan"), 2), number(-0.001, 1)
    ('−2.3', '–', '0.0')
    """
    if not np.isfinite(value):
        return "–"
    return f"{round(float(value), decimals) + 0.0:.{decimals}f}".replace("-", "−")


def p_text(p: float, n_draws: float, decimals: int = 4) -> str:
    """A p-value as printed; "≤" where it is the lowest that ``n_draws`` random draws can give.

    >>> p_text(0.0005, 1999), p_text(0.02, 1999), p_text(float("nan"), 1999)
    ('≤ 0.0005', '0.0200', '–')
    """
    return ("≤ " if is_lowest_p(p, n_draws) else "") + number(p, decimals)


def is_lowest_p(p: float, n_draws: float) -> bool:
    """Whether no p of ``n_draws`` random draws, (1 + count) / (1 + n_draws), can be lower."""
    return bool(p <= (1 + 1e-4) / (1 + n_draws))  # tables have six digits


Keys = frozenset[tuple[str, str, str]]  # path, column, metric


def score_tables(
    scores: pd.DataFrame, simulated: bool, faint: Keys = frozenset()
) -> list[ScoreTable]:
    """One table per question (``TITLES``) that ``scores`` answer.

    Parameters
    ----------
    scores : table with ``path column metric value low high n n_failed``
    simulated : whether the brains are simulated; captions and columns then say so
    faint : scores (path, column, metric) that are not shown to differ from their null

    Raises
    ------
    ValueError
        The same path, column and metric occur twice.
    """
    cells = scores.set_index(["path", "column", "metric"], verify_integrity=True)
    questions = {question_of(c) for c in scores["column"]}
    return [
        build_table(
            cells,
            [key for key in cells.index if question_of(key[1]) == question],
            TITLES[question] + _warning(question, simulated),
            simulated,
            faint,
        )
        for question in TITLES
        if question in questions
    ]


def build_table(
    cells: pd.DataFrame,
    keys: list[tuple[str, str, str]],
    caption: str,
    simulated: bool,
    faint: Keys = frozenset(),
) -> ScoreTable:
    """A table of the ``keys`` (path, column, metric) of ``cells``, which is indexed by them."""
    pairs = {(feature_type, column) for feature_type, column, _ in keys}
    feature_types = in_order([feature_type for feature_type, _, _ in keys], FEATURE_LABELS)
    columns = in_order([column for _, column, _ in keys], COLUMNS)
    metrics = in_order([metric for _, _, metric in keys], METRICS)
    within = {c: [f for f in feature_types if (f, c) in pairs] for c in columns}
    shown = [(feature_type, column) for column in columns for feature_type in within[column]]
    labels = {c: column_label(c, simulated) for c in columns}
    return ScoreTable(
        caption=caption,
        columns=[(labels[c], [form_label(f, c) for f in within[c]]) for c in columns],
        notes=[(labels[c], COLUMNS[c]) for c in columns if c in COLUMNS],
        rows=[(metric_of(m), [_cell(cells, (*pair, m), faint) for pair in shown]) for m in metrics],
    )


def _warning(question: str, simulated: bool) -> str:
    return " (simulated brains)" if simulated and question != "sound" else ""


def why_unscored(cells: pd.DataFrame, key: tuple[str, str, str]) -> str:
    """The reason why nothing was scored at ``key``; empty where something was, or if unknown.

    Segments without speech are not failures of PESQ: it is not computed for them.
    """
    row, metric = cells.loc[key], metric_of(key[2])
    if row["n"] > 0:
        return ""
    no_speech = metric.applies_to == SPEECH and row["n_failed"] == 0
    return NO_SPEECH if no_speech else metric.unscored


def _cell(cells: pd.DataFrame, key: tuple[str, str, str], faint: Keys) -> Cell | None:
    if key not in cells.index:
        return None
    row, metric = cells.loc[key], metric_of(key[2])
    value = number(row["value"], metric.decimals)
    if metric.applies_to == FEATURES:
        return Cell(value)
    has_interval = np.isfinite(row["low"]) and np.isfinite(row["high"])
    low, high = (number(row[k], metric.decimals) if has_interval else "" for k in ("low", "high"))
    n, n_failed = (number(row[k], 0) for k in ("n", "n_failed"))
    return Cell(value, low, high, n, n_failed, why_unscored(cells, key), key in faint)
