"""Maps of all people together against chance, corrected over the brain, and their clusters."""

import numpy as np
import pandas as pd
import xarray as xr

from giblet.stats.group_maps import GroupMap, cluster_numbers, null_maps, sign_flip_maps
from giblet.stats.tfce import GRID_POWERS, MESH_POWERS

FEWEST_PEOPLE = 5  # of fewer no pattern of signs has p < .05
LARGEST_P = 0.05
_SCORES = ("r_", "unique_")  # of a fit to each person
_PLACES = ("parcel", "hemisphere", "vertex", "x", "y", "z")


def group_maps(
    quality: xr.Dataset,
    nulls: np.ndarray | None,
    edges: np.ndarray | None,
    n_flips: int = 1000,
    seed: int = 0,
) -> dict[str, tuple]:
    """``<map>_p_max`` and, with neighbours, ``<map>_p_tfce`` (voxel): p with family-wise error.

    Of ``isc`` by its phase-randomised ``nulls`` (n_nulls, n_voxels): leave-one-out ISCs share
    people, so flipping their signs is too liberal (Chen et al. 2016). Of every ``r_…`` and
    ``unique_…`` by sign flips of whole people, where there are `FEWEST_PEOPLE` or more.

    ``edges`` (n_edges, 2): of `giblet.brain.neighbours.neighbours`.
    """
    powers = MESH_POWERS if "vertex" in quality.coords else GRID_POWERS
    groups: dict[str, GroupMap] = {}
    if nulls is not None and "isc" in quality:
        groups["isc"] = null_maps(_mean(quality["isc"].values), nulls, edges, powers)
    for name, values in quality.data_vars.items():
        is_score = values.dims == ("subject", "voxel") and str(name).startswith(_SCORES)
        if not is_score or len(values) < FEWEST_PEOPLE:
            continue
        if np.isfinite(values.values).all(axis=0).any():
            groups[str(name)] = sign_flip_maps(values.values, edges, n_flips, seed, powers)
    maps = {}
    for name, group in groups.items():
        maps[f"{name}_p_max"] = ("voxel", group.p_max)
        if group.p_tfce is not None:
            maps[f"{name}_p_tfce"] = ("voxel", group.p_tfce)
    return maps


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
