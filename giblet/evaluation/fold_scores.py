"""Tables of scores of folds joined: means and intervals over folds."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from giblet.evaluation.moments import NULLS
from giblet.stats.fold_intervals import fold_interval

_KEY = ["path", "column", "metric"]
COLUMNS = [*_KEY, "value", "low", "high", "n", "n_failed", "n_folds"]
COLUMNS += ["above_null", "above_low", "above_high"]


def join_folds(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One row per path, column and metric of the tables of scores of all folds, ``COLUMNS``.

    ``value`` is the mean over the ``n_folds`` that have a score, ``low`` and ``high`` its interval,
    see `fold_interval`: folds weigh alike, however long; ``n`` and ``n_failed`` are sums.
    ``above_null``: a column minus its null (`giblet.evaluation.moments.NULLS`), with its interval.
    p-values of folds are left out: they have no mean.

    >>> fold = pd.DataFrame({"path": "mel", "column": "brain", "metric": "code_accuracy"}, [0])
    >>> folds = [fold.assign(value=value, n=10, n_failed=0) for value in (0.2, 0.4)]
    >>> join_folds(folds)[["value", "n", "n_folds"]].values.round(3).tolist()
    [[0.3, 20.0, 2.0]]
    """
    whole = pd.concat([table.assign(fold=n) for n, table in enumerate(tables)], ignore_index=True)
    if whole.empty:
        return pd.DataFrame(columns=COLUMNS)
    whole = whole[~whole["metric"].str.endswith("_p")]
    of_null = {null: column for column, null in NULLS.items()}
    null = whole.assign(column=whole["column"].map(of_null)).dropna(subset="column")
    null = null[[*_KEY, "fold", "value"]].rename(columns={"value": "null"})
    whole = whole.merge(null, "left", [*_KEY, "fold"])
    rows = []
    for key, group in whole.groupby(_KEY, sort=False):
        row = dict(zip(_KEY, key, strict=True)) | _summary(group["value"].values, "value")
        row |= {name: group[name].sum() for name in ("n", "n_failed")}
        row["n_folds"] = int(group["value"].notna().sum())
        above = _summary((group["value"] - group["null"]).values, "null")
        rows.append(row | {f"above_{name}": value for name, value in above.items()})
    return pd.DataFrame(rows, columns=COLUMNS)


def _summary(values: np.ndarray, name: str) -> dict[str, float]:
    """Mean over folds that have a value, and its interval."""
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    if not len(values):
        return dict.fromkeys((name, "low", "high"), np.nan)
    low, high = fold_interval(values)
    return {name: values.mean(), "low": float(low), "high": float(high)}
