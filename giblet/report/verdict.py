"""Whether sound decoded from BOLD is better than sound decoded from the BOLD of other moments."""

import numpy as np
import pandas as pd

from giblet.audio.metrics.table import LOWER, METRICS, metric_of
from giblet.report.tables import feature_label, is_lowest_p, number
from giblet.stats.permutation import MOST_EXACT, holm

LARGEST_P = 0.05
NULL = "brain_shuffled"
AGAIN = "made before giblet kept paired differences, run snakemake reconstruct_audio again"


def verdict(baselines: pd.DataFrame | None, feature_types: list[str]) -> str:
    """The end of a sentence: in which metrics decoded sound is better than the null, and in which
    that is not shown.

    ``baselines`` of `giblet.evaluation.moments.difference_rows`: paired differences of every metric
    with ``against_null`` of all ``feature_types`` are one family for Holm's correction. Empty
    without ``feature_types``.
    """
    if not feature_types:
        return ""
    rows = _tested(baselines, feature_types)
    if rows is None or rows.empty:
        return (
            "; the decoded sound was not compared with sound from shuffled BOLD: these results "
            f"were {AGAIN}"
        )
    rows = rows.assign(p=holm(rows["p"].to_numpy(float)), p_alone=rows["p"])
    gain = rows["difference"] * np.where(_lower_is_better(rows["metric"]), -1, 1)
    clear = rows["p"] < LARGEST_P
    parts = [
        (rows[clear & (gain > 0)], "is better than from shuffled BOLD in"),
        (rows[clear & (gain < 0)], "is worse than from shuffled BOLD in"),
        (rows[~(clear & (gain != 0))], "is not shown to be better than from shuffled BOLD in"),
    ]
    said = [f"{verb} {_differences(part)}" for part, verb in parts if len(part)]
    old = [feature_label(one) for one in feature_types if one not in set(rows["path"])]
    unknown = f"; of {' and '.join(old)} this is unknown: {AGAIN}" if old else ""
    return f"; the decoded sound {', and '.join(said)} ({_how_tested(rows)}){unknown}"


def _tested(baselines: pd.DataFrame | None, feature_types: list[str]) -> pd.DataFrame | None:
    """Differences to the null in metrics with ``against_null``."""
    if baselines is None:
        return None
    metrics = [name for name, metric in METRICS.items() if metric.against_null]
    rows = baselines[(baselines["baseline"] == NULL) & baselines["metric"].isin(metrics)]
    return rows[rows["path"].isin(feature_types)]


def _lower_is_better(metrics: pd.Series) -> np.ndarray:
    return np.array([metric_of(name).direction == LOWER for name in metrics], dtype=bool)


def _differences(rows: pd.DataFrame) -> str:
    """Metric, feature type, difference, interval and p of each row."""
    texts = []
    for row in rows.itertuples():
        metric = metric_of(row.metric)
        decimals = metric.decimals + 1
        value, low, high = (number(x, decimals) for x in (row.difference, row.low, row.high))
        size = f"{value} [{low}, {high}]" if np.isfinite(row.low) else value
        p = p_equals(row.p, row.p_alone, row.n_flips) if np.isfinite(row.p) else "no p"
        unit = f" {metric.unit}" if metric.unit else ""
        name = metric.label if metric.label.isupper() else metric.label.lower()
        texts.append(f"{name} ({feature_label(row.path)} {size}{unit}, {p})")
    return " and ".join(texts)


def _how_tested(rows: pd.DataFrame) -> str:
    """The differences and their test; for very few segments, the lowest p that there can be."""
    n = int(rows["n"].max())
    lowest = 2.0 ** (1 - n)
    few = f"; no p from {n} segments can be below {lowest:.2g}" if lowest > LARGEST_P else ""
    several = f", Holm-corrected for {len(rows)} comparisons" if len(rows) > 1 else ""
    flips = "all" if n <= MOST_EXACT else "random"
    return (
        f"means of brain − shuffled over {n} segment{'s' if n != 1 else ''}, 95 % intervals; p of "
        f"{flips} sign flips{several}{few if n > 1 else '; one segment cannot be tested'}"
    )


def p_equals(p: float, p_alone: float, n_draws: float) -> str:
    """A p-value in a sentence: "≤" where ``p_alone``, before correction, is the lowest possible.

    >>> p_equals(0.001, 0.0005, 1999), p_equals(0.02, 0.02, 1999)
    ('p ≤ 0.0010', 'p = 0.0200')
    """
    decimals = metric_of("identification_10way_p").decimals
    return f"p {'≤' if is_lowest_p(p_alone, n_draws) else '='} {number(p, decimals)}"
