"""Comparison of feature types: as they are, at the same bitrate, and with published figures."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from giblet.audio.metrics.table import LOWER, METRICS, TRS, metric_of
from giblet.report.extras import TextTable
from giblet.report.segments import REFERENCE, paired_metrics
from giblet.report.tables import (
    YARDSTICKS,
    Keys,
    ScoreTable,
    build_table,
    column_label,
    feature_label,
    form_label,
    in_order,
    number,
    p_text,
    question_of,
)
from giblet.report.verdict import LARGEST_P, NULL

COLUMNS = ("codec", *YARDSTICKS, "stimulus", "brain", "brain_shuffled", "brain_mean")
COLUMNS += ("brain_group", "brain_group_shuffled", "nearest_clip")


MEANINGLESS_FROM_BRAIN = ("pesq_wb", "si_sdr_db")  # they do not order sounds so near to noise
NEEDS_PHASE = "si_sdr_db"  # which mel does not have


def comparison_tables(
    scores: pd.DataFrame,
    matched: pd.DataFrame | None,
    simulated: bool,
    faint: Keys = frozenset(),
) -> list[ScoreTable]:
    """Feature types as they are; then codes and mel at the same bitrate, if that was measured.

    ``scores``, ``matched``: tables with ``path column metric value low high n n_failed``, the
    second only of the path ``mel_matched``. ``faint``: see `not_above_null`. Scores that mean
    nothing where they stand are left out: of the brain PESQ and SI-SDR, of mel SI-SDR.
    """
    title = f"Codes and uncompressed mel{' (brain: simulated)' if simulated else ''}"
    tables = [_table(scores, COLUMNS, title, simulated, faint)]
    if matched is not None and len(matched):
        codes = scores[scores["path"] == REFERENCE]
        title = "At the same bitrate: codes, and mel rounded to a few levels"
        tables.append(_table(pd.concat([codes, matched]), ("codec",), title, simulated))
    return [table for table in tables if table.rows]


def not_above_null(baselines: pd.DataFrame | None) -> Keys:
    """Scores of the brain whose difference to shuffled BOLD has a p of .05 or more, uncorrected.

    ``baselines`` of `giblet.evaluation.moments.difference_rows`.
    """
    if baselines is None:
        return frozenset()
    rows = baselines[(baselines["baseline"] == NULL) & ~(baselines["p"] < LARGEST_P)]
    return frozenset((row.path, "brain", row.metric) for row in rows.itertuples())


def _table(
    scores: pd.DataFrame,
    columns: tuple,
    title: str,
    simulated: bool,
    faint: Keys = frozenset(),
) -> ScoreTable:
    compared = [name for name, metric in METRICS.items() if metric.compared]
    shown = scores[scores["column"].isin(columns) & scores["metric"].isin(compared)]
    without = _means_nothing(shown)
    # the same for every feature type
    without |= shown["column"].isin(YARDSTICKS) & (shown["path"] != shown["path"].min())
    shown = shown[~without]
    cells = shown.set_index(["path", "column", "metric"], verify_integrity=True)
    return build_table(cells, list(cells.index), title, simulated, faint)


def _means_nothing(rows: pd.DataFrame) -> pd.Series:
    """Which ``path column metric`` mean nothing where they stand, see `comparison_tables`."""
    from_brain = rows["column"].map(question_of) == "brain"
    without = from_brain & rows["metric"].isin(MEANINGLESS_FROM_BRAIN)
    return without | ((rows["path"] != REFERENCE) & (rows["metric"] == NEEDS_PHASE))


def difference_tables(differences: pd.DataFrame | None, simulated: bool) -> list[TextTable] | None:
    """Paired differences: a table per feature type that codes are compared with, and column.

    Only rows of two segments or more, of scores that mean something there; None where there is
    nothing to compare codes with.
    """
    if differences is None or differences.empty:
        return None
    several = differences[(differences["n"] >= 2) & ~_means_nothing(differences)]
    first = feature_label(REFERENCE).capitalize()
    return [
        TextTable(
            f"{first} − {feature_label(other)}: {_sound_column(column, simulated)}",
            ["Metric", "Difference", "p", "95 % interval", "n"],
            [_difference_row(row) for row in rows.itertuples()],
        )
        for (other, column), rows in several.groupby(["path", "column"], sort=False)
    ]


def baseline_tables(
    baselines: pd.DataFrame | None, feature_types: list[str], simulated: bool
) -> list[TextTable]:
    """The brain's scores minus those of a null or of retrieval, a table per feature type and one.

    ``baselines`` of `giblet.evaluation.moments.difference_rows`; without rows of ``feature_types``
    there are no tables. Shown are metrics that the verdict tests, and identification.
    """
    if baselines is None:
        return []
    shown = [name for name, m in METRICS.items() if m.against_null or m.n_way]
    rows = baselines[baselines["metric"].isin(shown) & baselines["path"].isin(feature_types)]
    header = ["Metric", "Brain", "Other", "Difference", "95 % interval", "p", "n", "Shifts: 95 %"]
    tables = []
    for (one, baseline), part in rows.groupby(["path", "baseline"], sort=False):
        name = column_label(baseline, simulated)
        part = part.set_index("metric", drop=False).loc[in_order(part["metric"], METRICS)]
        has_shifts = bool(part["n_shifts"].notna().any())
        cells = [_baseline_row(row, has_shifts) for row in part.itertuples()]
        caption = f"{feature_label(one).capitalize()}: brain − {name}"
        tables.append(TextTable(caption, header if has_shifts else header[:-1], cells))
    return tables


def _baseline_row(row, has_shifts: bool) -> list[str]:
    """Differences have a decimal more than scores."""
    metric = metric_of(row.metric)
    brain, other = (number(x, metric.decimals) for x in (row.brain, row.baseline_value))
    difference, low, high = (
        number(x, metric.decimals + 1) for x in (row.difference, row.low, row.high)
    )
    interval = f"[{low}, {high}]" if np.isfinite(row.low) else "–"
    moments = "stretches of TRs" if metric.moment == TRS else metric.moment
    cells = [metric.heading, brain, other, difference, interval, p_text(row.p, row.n_flips)]
    cells.append(f"{row.n:.0f} {moments}")
    if has_shifts and np.isfinite(row.n_shifts):
        ends = (number(x, metric.decimals) for x in (row.shifts_low, row.shifts_high))
        cells.append(f"{' to '.join(ends)} ({row.n_shifts:.0f} shifts)")
    elif has_shifts:
        cells.append("–")
    return cells


def lower_is_better() -> str:
    """The metrics of paired differences in which less is better, by name."""
    return " and ".join(m.label.lower() for m in paired_metrics() if m.direction == LOWER)


def _difference_row(row) -> list[str]:
    metric = metric_of(row.metric)
    value, low, high = (number(x, metric.decimals) for x in (row.difference, row.low, row.high))
    return [
        metric.heading,
        value,
        p_text(row.p, row.n_flips),
        f"[{low}, {high}]" if np.isfinite(row.low) else "–",
        number(row.n, 0),
    ]


def _sound_column(column: str, simulated: bool) -> str:
    """The label of a column of sound files, which are only of the first subject.

    >>> _sound_column("brain", simulated=True), _sound_column("codec", simulated=True)
    ('brain (simulated), first subject', 'no model (ceiling)')
    """
    of_one = ", first subject" if column.startswith(("brain", "nearest")) else ""
    return column_label(column, simulated) + of_one


@dataclass(frozen=True)
class Published:
    """Scores of a codec at a bitrate as ``source`` prints them; empty where there is none."""

    codec: str
    kbps: str
    pesq_speech: str
    pesq_audio: str
    pesq_music: str
    stoi_speech: str
    si_sdr_db: str
    source: str


_ENCODEC = "EnCodec, 24\N{NO-BREAK SPACE}kHz"
_DAC = "the DAC paper (Kumar et al., 2023)"
_SOURCE = f"PESQ, STOI: Codec-SUPERB (tiny); SI-SDR: {_DAC}, table 3"
CODECS = (
    Published(_ENCODEC, "3", "1.98", "1.81", "1.92", ".86", "2.9", _SOURCE),
    Published(_ENCODEC, "6", "2.63", "2.30", "2.35", ".91", "6.0", _SOURCE),
    Published(_ENCODEC, "12", "3.30", "2.92", "2.81", ".94", "8.4", _SOURCE),
    Published(_ENCODEC, "24", "3.66", "3.33", "3.10", ".96", "9.6", _SOURCE),
    Published("DAC, 24 kHz", "24", "4.35", "", "", "", "", _DAC),
)
DECODING = (
    "From measured fMRI to music, Brain2Music identifies .67 of the embeddings of a codec "
    "(SoundStream) and .88 of embeddings of meaning (MuLan), where chance is .5: a codec's own "
    "targets are the hardest. Its brains are not those of this page."
)


def ours(scores: pd.DataFrame) -> list[Published]:
    """Scores of this film without a model, a row per feature type.

    ``scores``: table with ``path column metric value low high n n_failed``.
    """
    alone = scores[scores["column"] == "codec"].set_index(["path", "metric"])["value"]
    return [_our(name, alone[name]) for name in alone.index.unique("path")]


def _our(feature_type: str, values: pd.Series) -> Published:
    """PESQ is of segments with speech, the others of all segments."""
    pesq, stoi, si_sdr, kbps = (
        number(values.get(name, np.nan), metric_of(name).decimals)
        for name in ("pesq_wb", "stoi", "si_sdr_db", "kbit_per_s")
    )
    name = f"Here: {form_label(feature_type, 'codec')}"
    return Published(name, kbps, pesq, "", "", stoi, si_sdr, "this page; STOI, SI-SDR of all sound")
