"""Comparison of systems and of feature types: score tables, and paired differences."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from giblet.audio.metrics.table import LOWER, METRICS, TRS, metric_of
from giblet.report.segments import paired_metrics
from giblet.report.systems import (
    COMPARED,
    FEATURE_LABELS,
    MATCHED,
    REFERENCE,
    YARDSTICKS,
    feature_label,
    question_of,
    system_label,
)
from giblet.report.tables import (
    NOT_COMPARED,
    Compared,
    ScoreTable,
    build_table,
    in_order,
    interval_text,
    is_repeated,
    number,
    p_text,
)
from giblet.report.verdict import LARGEST_P, better_sign

COLUMNS = ("codec", *YARDSTICKS, "stimulus", "brain", "brain_shuffled", "brain_mean")
COLUMNS += ("brain_group", "brain_group_shuffled", "nearest_clip")


MEANINGLESS_FROM_BRAIN = ("pesq_wb", "si_sdr_db")  # they do not order sounds so near to noise
NEEDS_PHASE = "si_sdr_db"  # which mel does not have


@dataclass(frozen=True)
class GroupedTable:
    """A table as printed, its rows in named groups; the first cell of a row is its heading."""

    caption: str
    header: list[str]
    groups: list[tuple[str, list[list[str]]]]


def comparison_tables(
    scores: pd.DataFrame,
    matched: pd.DataFrame | None,
    simulated: bool,
    compared: Compared = NOT_COMPARED,
) -> list[ScoreTable]:
    """A table per feature type, codes first; then codes and mel at the same bitrate, if that was
    measured.

    ``scores``, ``matched``: tables with ``path column metric value low high n n_failed``, the
    second only of the path ``mel_matched``. ``compared``: see `compared_with_null`. Scores that
    mean nothing where they stand are left out: of the brain PESQ and SI-SDR, of mel SI-SDR.
    """
    kind = " (simulated brains)" if simulated else ""
    names = [one for one in in_order(scores["path"], FEATURE_LABELS) if one != MATCHED]
    shown = scores[~is_repeated(scores)]
    tables = []
    for one in names:
        title = _capital(feature_label(one)) + kind
        tables.append(_table(shown[shown["path"] == one], COLUMNS, title, simulated, compared))
    if matched is not None and len(matched):
        codes = scores[scores["path"] == REFERENCE]
        title = "At the same bitrate: codes, and mel rounded to a few levels"
        tables.append(_table(pd.concat([codes, matched]), ("codec",), title, simulated))
    return [table for table in tables if table.rows]


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def compared_with_null(baselines: pd.DataFrame | None) -> Compared:
    """Which scores from BOLD differ from shuffled BOLD, at p < .05, uncorrected, and which are
    worse.

    ``baselines`` of `giblet.evaluation.moments.difference_rows`. Scores without a row there, or all
    where there is no table, were not compared.
    """
    if baselines is None:
        return NOT_COMPARED
    rows = baselines[baselines["baseline"].isin(list(COMPARED))]
    columns = rows["baseline"].map(COMPARED)
    keys = list(zip(rows["path"], columns, rows["metric"], strict=True))
    differs = frozenset(key for key, p in zip(keys, rows["p"], strict=True) if p < LARGEST_P)
    gains = zip(keys, rows["difference"] * better_sign(rows["metric"]), strict=True)
    worse = differs & {key for key, gain in gains if not gain > 0}
    return Compared(differs, frozenset(keys) - differs, worse)


def _table(
    scores: pd.DataFrame,
    columns: tuple,
    title: str,
    simulated: bool,
    compared: Compared = NOT_COMPARED,
) -> ScoreTable:
    metrics = [name for name, metric in METRICS.items() if metric.compared]
    shown = scores[scores["column"].isin(columns) & scores["metric"].isin(metrics)]
    shown = shown[~_means_nothing(shown)]
    cells = shown.set_index(["path", "column", "metric"], verify_integrity=True)
    return build_table(cells, list(cells.index), title, simulated, compared)


def _means_nothing(rows: pd.DataFrame) -> pd.Series:
    """Which ``path column metric`` mean nothing where they stand, see `comparison_tables`."""
    from_brain = rows["column"].map(question_of) == "brain"
    without = from_brain & rows["metric"].isin(MEANINGLESS_FROM_BRAIN)
    return without | ((rows["path"] != REFERENCE) & (rows["metric"] == NEEDS_PHASE))


def difference_table(differences: pd.DataFrame | None, simulated: bool) -> GroupedTable | None:
    """Paired differences: a group per system and feature type that codes are compared with.

    Only rows of two segments or more, of scores that mean something there; None where there is
    nothing to compare.
    """
    if differences is None or differences.empty:
        return None
    several = differences[(differences["n"] >= 2) & ~_means_nothing(differences)]
    groups = [
        (_pair(column, other, simulated), [_difference_row(row) for row in rows.itertuples()])
        for (other, column), rows in several.groupby(["path", "column"], sort=False)
    ]
    header = ["Metric", "Difference", "p", "95 % interval", "n"]
    return GroupedTable("Codes − mel, paired by segment", header, groups)


def baseline_tables(
    baselines: pd.DataFrame | None, feature_types: list[str], simulated: bool
) -> list[GroupedTable]:
    """The brain's scores minus those of a null or of retrieval: a table per feature type, a group
    per null.

    ``baselines`` of `giblet.evaluation.moments.difference_rows`; without rows of ``feature_types``
    there are no tables. Shown are metrics that the verdict tests, and identification.
    """
    if baselines is None:
        return []
    shown = [name for name, m in METRICS.items() if m.against_null or m.n_way]
    rows = baselines[baselines["metric"].isin(shown) & baselines["path"].isin(feature_types)]
    tables = []
    for one, part in rows.groupby("path", sort=False):
        has_shifts = bool(part["n_shifts"].notna().any())
        header = ["Metric", "Brain", "Other", "Difference", "95 % interval", "p", "n"]
        header += ["Shifts: 95 %"] * has_shifts
        groups = []
        for baseline, own in part.groupby("baseline", sort=False):
            own = own.set_index("metric", drop=False).loc[in_order(own["metric"], METRICS)]
            cells = [_baseline_row(row, has_shifts) for row in own.itertuples()]
            brain = COMPARED.get(str(baseline), "brain")
            names = (system_label(one, simulated) for one in (brain, str(baseline)))
            groups.append((" − ".join(names), cells))
        caption = f"{_capital(feature_label(one))}: decoded sound, and nulls and retrieval"
        tables.append(GroupedTable(caption, header, groups))
    return tables


def _baseline_row(row, has_shifts: bool) -> list[str]:
    """Differences have a decimal more than scores."""
    metric = metric_of(row.metric)
    brain, other = (number(x, metric.decimals) for x in (row.brain, row.baseline_value))
    difference = number(row.difference, metric.decimals + 1)
    interval = interval_text(row.low, row.high, row.n, metric.decimals + 1)
    moments = "stretches of TRs" if metric.moment == TRS else metric.moment
    cells = [metric.heading, brain, other, difference, interval, p_text(row.p, row.n_flips)]
    cells.append(f"{row.n:.0f} {moments}")
    if has_shifts and np.isfinite(row.n_shifts):
        ends = (number(x, metric.decimals) for x in (row.shifts_low, row.shifts_high))
        cells.append(f"{' to '.join(ends)} ({row.n_shifts:.0f} shifts)")
    elif has_shifts:
        cells.append("")
    return cells


def lower_is_better() -> str:
    """The metrics of paired differences in which less is better, by name."""
    return " and ".join(m.label.lower() for m in paired_metrics() if m.direction == LOWER)


def _difference_row(row) -> list[str]:
    metric = metric_of(row.metric)
    return [
        metric.heading,
        number(row.difference, metric.decimals),
        p_text(row.p, row.n_flips),
        interval_text(row.low, row.high, row.n, metric.decimals),
        number(row.n, 0),
    ]


def _pair(column: str, other: str, simulated: bool) -> str:
    """What is compared with what; sound files from BOLD are only of the first subject.

    >>> _pair("codec", "mel", simulated=True)
    'Codec − (mel + Griffin-Lim)'
    >>> _pair("brain", "mel", simulated=True)
    'From BOLD (simulated), first subject: codes − mel'
    """
    name = system_label(column, simulated)
    if column == "codec":
        vocoder = system_label(column, simulated, other)
        return f"{name} − ({vocoder[0].lower()}{vocoder[1:]})"
    of_one = ", first subject" if column.startswith(("brain", "nearest")) else ""
    return f"{name}{of_one}: {feature_label(REFERENCE)} − {feature_label(other)}"
