"""Maps of all people together against chance, corrected over the brain, and their clusters."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from giblet.stats.encoding_maps import Fold
from giblet.stats.fold_nulls import count_moves
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
    of ``isc`` are phase-randomised, those of ``r_…`` moves of BOLD, by
    `giblet.stats.encoding_maps.linear_maps`. The latter keep what people share, and so do not say
    whether other people would respond alike.

    ``edges`` (n_edges, 2): of `giblet.brain.neighbours.neighbours`.
    """
    on_mesh, maps = "vertex" in quality.coords, {}
    for name, of_chance in nulls.items():
        maps |= group_p(name, quality[name].values, of_chance, edges, on_mesh, places)
    return maps


def group_p(
    name: str,
    values: np.ndarray,
    nulls: np.ndarray,
    edges: np.ndarray | None,
    on_mesh: bool = False,
    places: np.ndarray | None = None,
) -> dict[str, tuple]:
    """Those of one map, ``values`` (n_subjects, n_voxels), with ``nulls`` (n_nulls, n_tested).

    ``on_mesh``: TFCE has the powers of surfaces; the other arguments as of `group_maps`.
    """
    mean = _mean(values) if name == "isc" else values.mean(axis=0)
    if not np.isfinite(mean).any():
        return {}
    group = null_maps(mean, nulls, edges, MESH_POWERS if on_mesh else GRID_POWERS, places)
    maps = {}
    for correction, p in {"max": group.p_max, "tfce": group.p_tfce}.items():
        if p is not None:  # below 0 nothing is predicted, even where chance is lower
            p = np.where((mean <= 0) & np.isfinite(p), 1.0, p)
            maps[f"{name}_p_{correction}"] = ("voxel", p)
    return maps


def nulls_of_blocks(
    blocks: Iterable[xr.Dataset], n_voxels: int
) -> tuple[dict[str, np.ndarray], list[xr.Dataset]]:
    """Each ``<map>_nulls`` of blocks of voxels: map → (n_nulls, n_voxels); the blocks without.

    ``blocks`` are taken one after the other, and hold ``n_voxels`` together.
    """
    nulls: dict[str, np.ndarray] = {}
    without, end = [], 0
    for block in blocks:
        begin, end = end, end + block.sizes["voxel"]
        names = [name for name, values in block.items() if "null" in values.dims]
        for name in names:
            own, label = block[name].values, str(name).removesuffix("_nulls")
            if label not in nulls:
                nulls[label] = np.empty((len(own), n_voxels), own.dtype)
            nulls[label][:, begin:end] = own
        without.append(block.drop_vars(names))
    return nulls, without


def null_counts(
    quality: xr.Dataset,
    n_permutations: int,
    n_shifts: int,
    n_shift_maps: int,
    folds: Sequence[Fold],
) -> dict[str, int]:
    """Numbers of nulls of the maps that ``quality`` has, as attributes.

    Those of ridge are no more than the different moves of BOLD in ``folds``.
    """
    of_isc = {"n_permutations": n_permutations} if "isc" in quality else {}
    if not any(str(name).startswith("r_") for name in quality):
        return of_isc
    n_shifts = min(n_shifts, count_moves([fold.test for fold in folds]) - 1)
    return of_isc | {"n_shifts": n_shifts, "n_shift_maps": min(n_shift_maps, n_shifts)}


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
