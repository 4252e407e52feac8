"""Tables of the report: scores by system, the brain's with nulls and baseline."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from giblet.audio.metrics.table import FEATURES, LOWER, METRICS, SPEECH, Metric, metric_of
from giblet.report.systems import (
    COMPARED,
    FEATURE_LABELS,
    SYSTEMS,
    YARDSTICKS,
    question_of,
    system_label,
)

TITLES = {
    "sound": "From sound to sound",
    "brain": "From BOLD to sound, with null models",
    "encoding": "Prediction of BOLD",
}


NULLS = (*COMPARED, "brain_mean")
NOT_RANKED = (*YARDSTICKS, *NULLS, "noise_ceiling")
MOST_METRICS = 7  # side by side on a screen 1280 pixels wide
NO_SPEECH = "no segment is at least half speech"
FEWEST = 5  # moments: an interval over fewer, or a test of fewer, means nothing


@dataclass(frozen=True)
class Cell:
    """One score as printed; ``low`` is empty without an interval, ``n`` where nothing is counted.

    ``why``: why nothing was scored, or why the score cannot be tested. ``faint``: not shown to
    differ from its null. ``best`` of the systems that answer the same question.
    """

    value: str
    low: str = ""
    high: str = ""
    n: str = ""
    n_failed: str = ""
    why: str = ""
    faint: bool = False
    best: bool = False


@dataclass(frozen=True)
class TablePart:
    """Metrics, each with the n that all its scores have (empty where they differ); a row per
    system: its name, and a cell per metric."""

    header: list[tuple[Metric, str]]
    rows: list[tuple[str, tuple[Cell | None, ...]]]

    @property
    def readings(self) -> list[str]:
        """Below the heading of each metric: how it is read, n, and what n counts."""
        counted = [f"n {n} {m.counted}" if n else f"n: {m.counted}" for m, n in self.header]
        texts = [
            (m.reading, text if n or m.counted else "")
            for (m, n), text in zip(self.header, counted, strict=True)
        ]
        return ["; ".join(filter(None, text)).strip() for text in texts]


@dataclass(frozen=True)
class ScoreTable:
    """Rows of metrics by systems; None for no score.

    It is printed the other way round, in ``parts``: a row per system, a column per metric.
    """

    caption: str
    systems: list[str]
    notes: list[tuple[str, str]]
    rows: list[tuple[Metric, list[Cell | None]]]

    @property
    def parts(self) -> list[TablePart]:
        """As printed on the page, at most ``MOST_METRICS`` side by side."""
        return self.split(MOST_METRICS)

    def split(self, most: int) -> list[TablePart]:
        """Parts of about equal numbers of metrics, at most ``most``; in each without systems that
        have no score there."""
        n_parts = -(-len(self.rows) // most)
        size = -(-len(self.rows) // max(n_parts, 1))
        return [self._part(self.rows[i * size : (i + 1) * size]) for i in range(n_parts)]

    def _part(self, rows: list[tuple[Metric, list[Cell | None]]]) -> TablePart:
        counts = [{cell.n for cell in cells if cell and cell.n} for _, cells in rows]
        header = [
            (metric, next(iter(n)) if len(n) == 1 else "")
            for (metric, _), n in zip(rows, counts, strict=True)
        ]
        cells = zip(*(cells for _, cells in rows), strict=True)
        by_system = zip(self.systems, cells, strict=True)
        return TablePart(header, [(name, cells) for name, cells in by_system if any(cells)])


def in_order(names, order) -> list[str]:
    """Distinct ``names`` in the order of ``order``, then the others as they come.

    >>> in_order(["new", "brain", "codec"], SYSTEMS)
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


def short_p(p: float, n_draws: float) -> str:
    """p with two decimals, or three where two would hide on which side of .05 or 0 it lies.

    >>> [short_p(p, 4096) for p in (0.0195, 0.0496, 0.004, 0.0003, 0.594)]
    ['p = 0.02', 'p = 0.050', 'p = 0.004', 'p < 0.001', 'p = 0.59']
    >>> short_p(0.01, 99)
    'p ≤ 0.01'
    """
    if p < 0.001:
        return "p < 0.001"
    decimals = 3 if p < 0.0095 or 0.045 <= p < 0.055 else 2
    return f"p {'≤' if is_lowest_p(p, n_draws) else '='} {number(p, decimals)}"


def is_lowest_p(p: float, n_draws: float) -> bool:
    """Whether no p of ``n_draws`` random draws, (1 + count) / (1 + n_draws), can be lower."""
    return bool(p <= (1 + 1e-4) / (1 + n_draws))  # tables have six digits


def interval_text(low: float, high: float, n: float, decimals: int) -> str:
    """An interval as printed; of fewer than ``FEWEST`` moments, their number instead.

    >>> interval_text(0.12, 0.5, 12, 1), interval_text(0.67, 0.67, 2, 2)
    ('[0.1, 0.5]', 'n = 2, too few for an interval')
    >>> interval_text(float("nan"), float("nan"), 12, 2)
    '–'
    """
    if n < FEWEST:
        return f"n = {n:.0f}, too few for an interval"
    return f"[{number(low, decimals)}, {number(high, decimals)}]" if np.isfinite(low) else "–"


@dataclass(frozen=True)
class Compared:
    """Scores from BOLD, (path, column, metric), that were compared with shuffled BOLD.

    ``differs``: shown to differ. ``alike``: not shown to differ; they are printed in grey.
    ``worse``: those of ``differs`` that are worse.
    """

    differs: frozenset[tuple[str, str, str]] = frozenset()
    alike: frozenset[tuple[str, str, str]] = frozenset()
    worse: frozenset[tuple[str, str, str]] = frozenset()

    def may_be_best(self, path: str, column: str, metric: str) -> bool:
        """Whether the score may be marked: it is better than its null; of what has none, the
        brain's is."""
        own = (path, column, metric)
        was_compared = own in self.differs or own in self.alike
        return (own if was_compared else (path, "brain", metric)) in self.differs - self.worse


NOT_COMPARED = Compared()


def score_tables(
    scores: pd.DataFrame, simulated: bool, compared: Compared = NOT_COMPARED
) -> list[ScoreTable]:
    """One table per question (``TITLES``) that ``scores`` answer.

    Parameters
    ----------
    scores : table with ``path column metric value low high n n_failed``
    simulated : whether the brains are simulated; captions and systems then say so
    compared : scores of the brain, and whether they differ from their null

    Raises
    ------
    ValueError
        The same path, column and metric occur twice.
    """
    shown = scores[~is_repeated(scores)]
    cells = shown.set_index(["path", "column", "metric"], verify_integrity=True)
    questions = {question_of(c) for c in shown["column"]}
    return [
        build_table(
            cells,
            [key for key in cells.index if question_of(key[1]) == question],
            TITLES[question] + _warning(question, simulated),
            simulated,
            compared,
        )
        for question in TITLES
        if question in questions
    ]


def is_repeated(scores: pd.DataFrame) -> pd.Series:
    """Which rows repeat others: yardsticks, which are the same for every feature type."""
    is_yardstick = scores["column"].isin(YARDSTICKS)
    first = in_order(scores.loc[is_yardstick, "path"], FEATURE_LABELS)[:1]
    return is_yardstick & ~scores["path"].isin(first)


def build_table(
    cells: pd.DataFrame,
    keys: list[tuple[str, str, str]],
    caption: str,
    simulated: bool,
    compared: Compared = NOT_COMPARED,
) -> ScoreTable:
    """A table of the ``keys`` (path, column, metric) of ``cells``, which is indexed by them.

    The best is marked of systems from sound, and of those from BOLD, nulls left out, where it is
    better than shuffled BOLD.
    """
    pairs = {(feature_type, column) for feature_type, column, _ in keys}
    feature_types = in_order([feature_type for feature_type, _, _ in keys], FEATURE_LABELS)
    columns = in_order([column for _, column, _ in keys], SYSTEMS)
    metrics = in_order([metric for _, _, metric in keys], METRICS)
    shown = [(f, column) for column in columns for f in feature_types if (f, column) in pairs]
    several = len(feature_types) > 1
    names = [
        system_label(column, simulated, f if several or column == "codec" else None)
        for f, column in shown
    ]
    best = {
        (f, column, metric)
        for m in metrics
        for f, column, metric in _best(cells, shown, m)
        if question_of(column) == "sound"
        or (question_of(column) == "brain" and compared.may_be_best(f, column, metric))
    }
    return ScoreTable(
        caption=caption,
        systems=names,
        notes=[(system_label(c, simulated), SYSTEMS[c].about) for c in columns if c in SYSTEMS],
        rows=[
            (metric_of(m), [_cell(cells, (*pair, m), compared, best) for pair in shown])
            for m in metrics
        ],
    )


def _best(
    cells: pd.DataFrame, shown: list[tuple[str, str]], name: str
) -> set[tuple[str, str, str]]:
    """The keys with the best value of a metric as printed, among those of the same question."""
    metric, found = metric_of(name), set()
    if not metric.direction or metric.is_p:
        return set()
    for question in TITLES:
        ranked = [
            (*pair, name)
            for pair in shown
            if question_of(pair[1]) == question
            and pair[1] not in NOT_RANKED
            and (*pair, name) in cells.index
        ]
        values = {key: round(float(cells.loc[key, "value"]), metric.decimals) for key in ranked}
        values = {key: value for key, value in values.items() if np.isfinite(value)}
        if len(values) > 1:
            best = (min if metric.direction == LOWER else max)(values.values())
            found |= {key for key, value in values.items() if value == best}
    return found


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


def _cell(
    cells: pd.DataFrame, key: tuple[str, str, str], compared: Compared, best: set
) -> Cell | None:
    if key not in cells.index:
        return None
    row, metric = cells.loc[key], metric_of(key[2])
    value = number(row["value"], metric.decimals)
    if metric.applies_to == FEATURES:
        return Cell(value)
    has_interval = np.isfinite(row["low"]) and np.isfinite(row["high"])
    low, high = (number(row[k], metric.decimals) if has_interval else "" for k in ("low", "high"))
    n, n_failed = (number(row[k], 0) for k in ("n", "n_failed"))
    why = why_unscored(cells, key)
    if metric.n_way and not metric.is_p and 0 < row["n"] < FEWEST:
        low, high, why = "", "", f"n = {n}, too few to test"
    return Cell(value, low, high, n, n_failed, why, key in compared.alike, key in best)
