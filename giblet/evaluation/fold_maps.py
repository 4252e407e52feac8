"""Intervals over folds of the maps of ridge, by voxel and of the whole brain."""

import numpy as np
import xarray as xr

from giblet.stats.fold_intervals import fold_interval

_BY_FOLD = "folds_"


def with_fold_intervals(quality: xr.Dataset) -> xr.Dataset:
    """Each ``folds_<map>`` (fold, voxel) replaced by ``low_<map>`` and ``high_<map>`` (voxel), its
    95 % interval, and ``fold_<map>`` (fold), its mean over voxels; of R², which has no lower bound,
    the median."""
    names = [str(n).removeprefix(_BY_FOLD) for n in quality if str(n).startswith(_BY_FOLD)]
    maps: dict[str, tuple] = {}
    for name in names:
        values = quality[f"{_BY_FOLD}{name}"].values.astype(np.float64)
        low, high = fold_interval(values)
        maps[f"low_{name}"] = ("voxel", low.astype(np.float32))
        maps[f"high_{name}"] = ("voxel", high.astype(np.float32))
        scored = np.isfinite(values).all(axis=0)
        middle = np.median if name.startswith(("r2_", "unique_")) else np.mean
        known = values[:, scored]
        means = middle(known, axis=1) if scored.any() else np.full(len(values), np.nan)
        maps[f"fold_{name}"] = ("fold", means)
    return quality.drop_vars([f"{_BY_FOLD}{name}" for name in names]).assign(maps)


def fold_table(quality: xr.Dataset):
    """One row per map: ``metric mean low high n_folds`` over voxels and folds, then each fold's
    mean as ``fold_1``, ``fold_2``, … None without folds.

    ``low`` and ``high``: `giblet.stats.fold_intervals.fold_interval` of the whole brain's mean.
    """
    import pandas as pd

    rows = []
    for name, values in ((str(n), q.values) for n, q in quality.items() if q.dims == ("fold",)):
        low, high = (float(end) for end in fold_interval(values))
        row = {"metric": name.removeprefix("fold_"), "mean": values.mean(), "low": low}
        row |= {"high": high, "n_folds": len(values)}
        rows.append(row | {f"fold_{k}": value for k, value in enumerate(values, start=1)})
    return pd.DataFrame(rows) if rows else None
