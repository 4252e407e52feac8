"""Maps of all people together against chance, corrected over the brain, and their clusters."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from giblet.stats.group_maps import cluster_numbers, null_maps
from giblet.stats.tfce import GRID_POWERS, MESH_POWERS

LARGEST_P = 0.05
_PLACES = ("parcel", "hemisphere", "vertex", "x", "y", "z")


def group_maps(
    quality: xr.Dataset,
    nulls: Mapping[str, np.ndarray],
    edges: np.ndarray | None,
    places: np.ndarray | None = None,
) -> dict[str, tuple]:
    """``<map>_p_max`` and, with neighbours, ``<map>_p_tfce`` (voxel): p with family-wise error.

    Of the mean over people of each map of ``quality`` (subject, voxel) that has ``nulls``: its name
    → (n_nulls, n_tested) of the ``places``, indices of voxels in rising order; None: of all. Those
    of ``isc`` are phase-randomised, those of ``r_…`` shifts of predictions, by
    `giblet.stats.encoding_maps.linear_maps`. The latter keep what people share, and so do not say
    whether other people would respond alike.

    ``edges`` (n_edges, 2): of `giblet.brain.neighbours.neighbours`.
    """
    powers = MESH_POWERS if "vertex" in quality.coords else GRID_POWERS
    maps = {}
    for name, of_chance in nulls.items():
        values = quality[name].values
        mean = _mean(values) if name == "isc" else values.mean(axis=0)
        if not np.isfinite(mean).any():
            continue
        group = null_maps(mean, of_chance, edges, powers, places)
        found = {"max": group.p_max, "tfce": group.p_tfce}
        for correction, p in found.items():
            if p is not None:  # below 0 nothing is predicted, even where chance is lower
                p = np.where((mean <= 0) & np.isfinite(p), 1.0, p)
                maps[f"{name}_p_{correction}"] = ("voxel", p)
    return maps


def nulls_of_blocks(
    blocks: Sequence[xr.Dataset],
) -> tuple[dict[str, np.ndarray], list[xr.Dataset]]:
    """Each ``<map>_nulls`` of blocks of voxels: map → (n_nulls, n_voxels); the blocks without."""
    names = [str(name) for name, values in blocks[0].items() if "null" in values.dims]
    nulls = {n: np.concatenate([block[n].values for block in blocks], axis=1) for n in names}
    without = [block.drop_vars(names) for block in blocks]
    return {name.removesuffix("_nulls"): values for name, values in nulls.items()}, without


def cluster_table(quality: xr.Dataset, edges: np.ndarray | None) -> pd.DataFrame:
    """One row per cluster of each map at p < .05: ``metric correction cluster n_places p peak``,
    and the peak's place.

    By TFCE where there is one, else by max-T, whose clusters are single places without neighbours.
    ``p`` is the smallest in the cluster, ``peak`` the highest mean over people; the place is
    ``x y z`` (mm), ``hemisphere`` and ``vertex``, or the ``parcel``.
    """
    rows = []
    places = [name for name in _PLACES if name in quality.coords]
    for name in map(str, quality.data_vars):
        if f"{name}_p_max" not in quality:
            continue
        p = quality.get(f"{name}_p_tfce", quality[f"{name}_p_max"])
        correction = "TFCE" if f"{name}_p_tfce" in quality else "max-T"
        mean = _mean(quality[name].values)
        numbers = cluster_numbers(p.values < LARGEST_P, edges)
        for number in range(1, numbers.max(initial=0) + 1):
            inside = np.flatnonzero(numbers == number)
            peak = inside[np.argmax(mean[inside])]
            where = {place: quality[place].values[peak] for place in places}
            row = {"metric": name, "correction": correction, "cluster": number}
            row |= {"n_places": len(inside), "p": float(p.values[inside].min())}
            rows.append(row | {"peak": float(mean[peak])} | where)
    columns = ["metric", "correction", "cluster", "n_places", "p", "peak", *places]
    table = pd.DataFrame(rows, columns=columns)
    order = table["metric"].map({name: n for n, name in enumerate(map(str, quality.data_vars))})
    table = table.assign(order=order).sort_values(
        ["order", "n_places", "peak"], ascending=[True, False, False], ignore_index=True
    )
    table["cluster"] = table.groupby("metric").cumcount() + 1
    return table.drop(columns="order")


def _mean(values: np.ndarray) -> np.ndarray:
    """Over people, (n_people, n_voxels) → (n_voxels,); NaN where nobody has a value."""
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=0)
    counts = known.sum(axis=0)
    return np.divide(total, counts, out=np.full(len(total), np.nan), where=counts > 0)
