"""Whether sound decoded from BOLD is better than sound decoded from the BOLD of other moments."""

import numpy as np
import pandas as pd

from giblet.audio.metrics.table import LOWER, METRICS, metric_of
from giblet.report.systems import feature_label
from giblet.report.tables import FEWEST, interval_text, is_lowest_p, number
from giblet.stats.permutation import MOST_EXACT, holm

LARGEST_P = 0.05
NULL = "brain_shuffled"
UNCLEAR = "not shown to be better"
CAUTIONS = {  # metric: beside a better value
    "log_mel_db": " A lower distance does not mean that more can be understood: an even hum has a "
    "lower one than intelligible speech in noise."
}
AGAIN = "made before giblet kept paired differences, run snakemake reconstruct_audio again"


def verdict(baselines: pd.DataFrame | None, feature_types: list[str]) -> list[str]:
    """A line per metric: whether the decoded sound of each feature type is better than sound from
    shuffled BOLD; then a line on how that was tested.

    ``baselines`` of `giblet.evaluation.moments.difference_rows`: paired differences of every metric
    with ``against_null`` of all ``feature_types`` are one family for Holm's correction. Empty
    without ``feature_types``.
    """
    if not feature_types:
        return []
    rows = _tested(baselines, feature_types)
    if rows is None or rows.empty:
        return [
            "The decoded sound was not compared with sound from shuffled BOLD: these results "
            f"were {AGAIN}."
        ]
    rows = rows.assign(p=holm(rows["p"].to_numpy(float)), p_alone=rows["p"])
    gain = rows["difference"] * better_sign(rows["metric"])
    clear = rows["p"] < LARGEST_P
    finding = np.select([clear & (gain > 0), clear & (gain < 0)], ["better", "worse"], UNCLEAR)
    rows = rows.assign(finding=finding)
    lines = [
        f"{metric_of(metric).label}, brain − shuffled BOLD: "
        f"{'; '.join(_difference(row) for row in part.itertuples())}.{_caution(metric, part)}"
        for metric, part in ((m, rows[rows["metric"] == m]) for m in METRICS)
        if len(part)
    ]
    old = [feature_label(one) for one in feature_types if one not in set(rows["path"])]
    unknown = [f"Of {' and '.join(old)} this is unknown: {AGAIN}."] if old else []
    return [*lines, f"{_how_tested(rows)}.", *unknown]


def _tested(baselines: pd.DataFrame | None, feature_types: list[str]) -> pd.DataFrame | None:
    """Differences to the null in metrics with ``against_null``."""
    if baselines is None:
        return None
    metrics = [name for name, metric in METRICS.items() if metric.against_null]
    rows = baselines[(baselines["baseline"] == NULL) & baselines["metric"].isin(metrics)]
    return rows[rows["path"].isin(feature_types)]


def better_sign(metrics: pd.Series) -> np.ndarray:
    """1 where more is better, −1 where less is."""
    return np.array([-1 if metric_of(name).direction == LOWER else 1 for name in metrics], int)


def _difference(row) -> str:
    """Of a feature type: what is shown, the difference, its interval and p."""
    metric = metric_of(row.metric)
    size, decimals = number(row.difference, metric.decimals + 1), metric.decimals + 1
    unit = f" {metric.unit}" if metric.unit else ""
    interval = interval_text(row.low, row.high, row.n, decimals)
    if row.n < FEWEST:
        unit += f" ({interval})"
    elif np.isfinite(row.low):
        size += f" {interval}"
    p = p_equals(row.p, row.p_alone, row.n_flips) if np.isfinite(row.p) else "no p"
    return f"{feature_label(row.path)} {row.finding}, {size}{unit}, {p}"


def _caution(metric: str, rows: pd.DataFrame) -> str:
    """What a better value does not mean; empty where none is better."""
    return CAUTIONS.get(metric, "") if (rows["finding"] == "better").any() else ""


def _how_tested(rows: pd.DataFrame) -> str:
    """The differences and their test, by metric where these differ in their number of segments;
    for very few segments, the lowest p that there can be."""
    counts = rows["n"].astype(int)
    exact = pd.Series(np.where(counts <= MOST_EXACT, "all", "random"), rows.index)
    segments = _by_metric(rows, counts, f"segment{'s' if counts.max() != 1 else ''}")
    flips = _by_metric(rows, exact, "sign flips")
    several = f", Holm-corrected for {len(rows)} comparisons" if len(rows) > 1 else ""
    few = ""
    for n in sorted(counts.unique()):
        if n == 1:
            few += "; one segment cannot be tested"
        elif n > 1 and (lowest := 2.0 ** (1 - n)) > LARGEST_P:
            few += f"; no p from {n} segments can be below {lowest:.2g}"
    return f"Means over {segments}, 95 % intervals; p of {flips}{several}{few}"


def _by_metric(rows: pd.DataFrame, values: pd.Series, noun: str) -> str:
    """The value of all ``rows`` and ``noun``; of different values, each with its metrics.

    >>> rows = pd.DataFrame({"metric": ["stoi", "log_mel_db"], "path": "mel"})
    >>> _by_metric(rows, pd.Series([14, 14]), "segments")
    '14 segments'
    >>> _by_metric(rows, pd.Series([14, 20]), "segments")
    '14 (STOI) and 20 segments (log-mel distance)'
    """
    groups = values.groupby(values, sort=True).groups
    if len(groups) == 1:
        return f"{values.iloc[0]} {noun}"
    names = pd.Series([_metric_name(metric) for metric in rows["metric"]], rows.index)
    if (values.groupby(names).nunique() > 1).any():
        names += pd.Series([f" of {feature_label(path)}" for path in rows["path"]], rows.index)
    parts = [(value, ", ".join(dict.fromkeys(names[index]))) for value, index in groups.items()]
    *others, (last, last_names) = parts
    listed = [f"{value} ({those})" for value, those in others]
    return f"{', '.join(listed)} and {last} {noun} ({last_names})"


def _metric_name(metric: str) -> str:
    label = metric_of(metric).label
    return label if label.isupper() else label.lower()


def p_equals(p: float, p_alone: float, n_draws: float) -> str:
    """A p-value in a sentence: "≤" where ``p_alone``, before correction, is the lowest possible.

    >>> p_equals(0.001, 0.0005, 1999), p_equals(0.02, 0.02, 1999)
    ('p ≤ 0.0010', 'p = 0.0200')
    """
    decimals = metric_of("identification_10way_p").decimals
    return f"p {'≤' if is_lowest_p(p_alone, n_draws) else '='} {number(p, decimals)}"
