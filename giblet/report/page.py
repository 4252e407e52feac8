"""The report: one HTML page that holds its sounds and pictures and needs no network."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from giblet.report.brain import HEADER, BrainResults, brain_section
from giblet.report.figures import (
    history_figures,
    score_figures,
    spectrogram_figure,
    spectrogram_levels,
)
from giblet.report.players import player_uri
from giblet.report.tables import (
    COLUMNS,
    PATHS,
    column_label,
    in_order,
    question_of,
    score_tables,
)
from giblet.timing import count_samples, nyquist_hz, sample_edges

PLAYER_SECONDS = 60.0
SPECTROGRAM_SECONDS = 20.0
PICTURED = ("original", "codec", "stimulus", "brain")

_TOLD_APART = ("dataset", "film", "simulated", "has_bold", "warnings", "config")
_FACT_LABELS = {
    "t_r": "TR (s)",
    "n_trs": "TRs of film",
    "codec": "Codec",
    "codec_revision": "Codec revision",
    "bandwidth_kbps": "Bandwidth (kbit/s)",
    "versions": "Versions",
    "seed": "Seed",
}


@dataclass(frozen=True)
class Exhibit:
    """One sound of one path, to look at or to hear (a data URI)."""

    path: str
    column: str
    uri: str


def render_page(
    scores: pd.DataFrame,
    sounds: dict[str, dict[str, np.ndarray]],
    sample_rate: float,
    history: dict[str, pd.DataFrame],
    facts: dict,
    brain: BrainResults | None = None,
) -> str:
    """The whole report as one HTML page, the same bytes for the same input.

    Parameters
    ----------
    scores : table with ``path column metric value low high n n_failed``; NaN is printed as "–"
    sounds : path → column → (n_samples,) float, all equally long, at ``sample_rate`` Hz; each path
        has an ``original``. The page plays their first 60 s and pictures their first 20 s.
    history : path → table of Lightning's CSVLogger (``epoch train/... validation/...``)
    facts : ``dataset``, ``film`` (names), ``simulated``, ``has_bold`` (bool), ``warnings`` (list of
        str), ``config`` (text), and whatever else belongs into the list of facts, by name:
        numbers, text, or dicts and lists of them
    brain : how good the scans are, where there was one

    Raises
    ------
    ValueError
        Sounds of unequal length, a path without original, a brain without a scan, a score twice.
    KeyError
        A fact that must be there is missing.
    """
    _check(scores, sounds, facts)
    simulated = facts["simulated"]
    return _template().render(
        facts=facts,
        definitions={c: COLUMNS[c] for c in ("codec", "stimulus", "brain")},
        tables=score_tables(scores, simulated),
        score_figures=score_figures(scores, simulated),
        pictures=_pictures(sounds, sample_rate, simulated),
        players=_players(sounds, sample_rate, simulated),
        seconds={"picture": SPECTROGRAM_SECONDS, "player": PLAYER_SECONDS},
        brain=None if brain is None else brain_section(brain),
        brain_header=HEADER,
        history_figures=history_figures(history),
        provenance=_provenance(facts),
    )


def _check(scores: pd.DataFrame, sounds: dict, facts: dict) -> None:
    lengths = {len(waveform) for columns in sounds.values() for waveform in columns.values()}
    if len(lengths) > 1:
        raise ValueError(f"sounds must be equally long, got {sorted(lengths)} samples")
    for path, columns in sounds.items():
        if "original" not in columns:
            raise ValueError(f"sounds[{path!r}] has no original, only {list(columns)}")
    shown = [*scores["column"], *(c for columns in sounds.values() for c in columns)]
    from_brain = sorted({c for c in shown if question_of(c) != "sound"})
    if from_brain and not facts["has_bold"]:
        raise ValueError(f"facts say there was no scan, yet there is {', '.join(from_brain)}")


def _template():
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("giblet.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("page.html.jinja")


def _pictures(sounds: dict, sample_rate: float, simulated: bool) -> list[list[Exhibit]]:
    """Spectrograms: one list a path, its columns side by side."""
    return [
        _path_pictures(path, sounds[path], sample_rate, simulated)
        for path in in_order(sounds, PATHS)
    ]


def _path_pictures(
    path: str, sounds: dict[str, np.ndarray], sample_rate: float, simulated: bool
) -> list[Exhibit]:
    n_samples = count_samples(SPECTROGRAM_SECONDS, sample_rate)
    heard = {column: sounds[column][:n_samples] for column in PICTURED if column in sounds}
    levels = {column: spectrogram_levels(w, sample_rate) for column, w in heard.items()}
    loudest = levels["original"].max()
    seconds = sample_edges(len(heard["original"]), sample_rate)[-1]
    return [
        Exhibit(
            PATHS.get(path, path),
            column_label(column, simulated),
            spectrogram_figure(levels[column], loudest, seconds, nyquist_hz(sample_rate)),
        )
        for column in heard
    ]


def _players(sounds: dict, sample_rate: float, simulated: bool) -> list[list[Exhibit]]:
    """One list a column, its paths side by side."""
    columns = in_order([c for by_column in sounds.values() for c in by_column], COLUMNS)
    return [
        [
            Exhibit(
                PATHS.get(path, path),
                column_label(column, simulated),
                player_uri(sounds[path][column], sample_rate, PLAYER_SECONDS),
            )
            for path in in_order(sounds, PATHS)
            if column in sounds[path]
        ]
        for column in columns
    ]


def _provenance(facts: dict) -> list[tuple[str, str]]:
    """Label and text of every fact that the page does not tell elsewhere."""
    return [
        (_FACT_LABELS.get(name, name.replace("_", " ")), _fact_text(fact))
        for name, fact in facts.items()
        if name not in _TOLD_APART
    ]


def _fact_text(fact) -> str:
    """
    >>> _fact_text({"torch": "2.13.0", "giblet": "0.1.0"}), _fact_text(None)
    ('torch 2.13.0, giblet 0.1.0', '–')
    >>> _fact_text(["01", "02"]), _fact_text([])
    ('01, 02', '–')
    """
    if isinstance(fact, dict):
        return ", ".join(f"{name} {_fact_text(part)}" for name, part in fact.items())
    if isinstance(fact, list):
        return ", ".join(map(_fact_text, fact)) or "–"
    return "–" if fact is None else str(fact)
