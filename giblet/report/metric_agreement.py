"""The agreement of the metrics of sound among each other: rank correlations over segments."""

import numpy as np
import pandas as pd

from giblet.audio.metrics.table import LOWER, Metric, segment_metrics
from giblet.report.extras import TextTable
from giblet.report.segments import Scores
from giblet.report.tables import number

FEWEST_SEGMENTS = 10


def agreement(scores: Scores) -> pd.DataFrame:
    """Mean rank correlation of every two metrics, a square table by name, 1 in its diagonal.

    ``scores``: (path, column) → metric → (n_segments,). Spearman's correlation over the segments
    of one system, then the mean over systems: what the metrics say of the same system's better and
    worse segments, not of systems. Signs are turned so that 1 is agreement where less is better
    in one of the two. Pairs of fewer than ten segments do not count; NaN where none does. Metrics
    of speech alone are left out: they have other segments.
    """
    n_segments = max((len(v) for one in scores.values() for v in one.values()), default=0)
    metrics = [m for m in segment_metrics() if _lengths(scores, m) == {n_segments}]
    names = [metric.name for metric in metrics]
    signs = np.array([-1.0 if metric.direction == LOWER else 1.0 for metric in metrics])
    tables = []
    for one in scores.values():
        table = pd.DataFrame({name: one[name] for name in names}) * signs
        correlations = table.corr("spearman", min_periods=FEWEST_SEGMENTS)
        tables.append(correlations.to_numpy())
    if not tables or not names:
        return pd.DataFrame()
    counted = np.isfinite(tables)
    total = np.where(counted, tables, 0.0).sum(axis=0)
    n = counted.sum(axis=0)
    means = np.where(n, total / np.maximum(n, 1), np.nan)
    return pd.DataFrame(means, index=names, columns=names)


def _lengths(scores: Scores, metric: Metric) -> set[int]:
    return {len(one[metric.name]) if metric.name in one else 0 for one in scores.values()}


def agreement_table(scores: Scores) -> TextTable | None:
    """`agreement` as printed: a row and a column per metric; None of fewer than ten segments."""
    table = agreement(scores)
    if table.empty or not np.isfinite(table.to_numpy()).any():
        return None
    labels = {metric.name: metric.label for metric in segment_metrics()}
    header = ["Metric", *(labels[name] for name in table)]
    rows = [
        [labels[name], *("" if other == name else number(r, 2) for other, r in row.items())]
        for name, row in table.iterrows()
    ]
    return TextTable("Rank correlations of metrics over segments", header, rows)
