"""Peaks of a map of vertices: its local maxima on the mesh."""

from collections.abc import Iterable

import numpy as np
import xarray as xr

from giblet.brain.cortex import has_local_mesh, mesh_index, mesh_places
from giblet.brain.neighbours import neighbours
from giblet.stats.group_maps import cluster_numbers

APART_MM = 20.0  # in the three dimensions of the cortex


def surface_peaks(
    values: np.ndarray, inside: np.ndarray, space: xr.Dataset
) -> list[tuple[int, str]]:
    """Columns of the peaks, the highest first, and the vertices of each one's cluster as text,
    empty for its further peaks. Empty where there is no mesh without a network.

    A peak is a vertex of ``inside`` (n_columns,) bool that no neighbour exceeds in ``values``
    (n_columns,), 20 mm from higher peaks. ``space``: the array set of `giblet.brain.load_bids`
    without the series.
    """
    edges = neighbours(space) if has_local_mesh(space) else None
    places = None if edges is None else mesh_places(space)
    if edges is None or places is None:
        return []
    columns, of_mesh = mesh_index(space)
    where = np.full((len(values), 3), np.inf)
    where[columns] = places[of_mesh]
    where[:, 0] += np.where(space["hemisphere"].values.astype(str) == "R", 1e3, 0)  # far apart
    known = np.where(inside, np.nan_to_num(values), -np.inf)
    highest = known.copy()
    for one, other in (edges.T, edges.T[::-1]):
        np.maximum.at(highest, one, known[other])
    found = np.flatnonzero(inside & np.isfinite(where[:, 0]) & (known >= highest))
    clusters, seen, peaks = cluster_numbers(inside, edges), set(), []
    taken: list[int] = []
    for column in found[np.argsort(-known[found], kind="stable")].tolist():
        gaps = np.linalg.norm(where[taken] - where[column], axis=1)
        if (gaps < APART_MM).any():
            continue
        taken.append(column)
        cluster = int(clusters[column])
        peaks.append((column, "" if cluster in seen else f"{int((clusters == cluster).sum()):,}"))
        seen.add(cluster)
    return peaks


def highest_of_regions(
    values: np.ndarray, inside: np.ndarray, regions: Iterable[np.ndarray]
) -> list[tuple[int, str]]:
    """For surfaces without a mesh: the column of the highest value in each of ``regions``
    (n_columns,) bool, the highest first; of columns ``inside``, with no size of a cluster.

    >>> values, inside = np.array([0.1, 0.3, 0.5, 0.7]), np.array([True, True, True, False])
    >>> highest_of_regions(values, inside, [np.array([1, 1, 0, 0]) > 0, np.array([0, 0, 1, 1]) > 0])
    [(2, ''), (1, '')]
    """
    known = np.where(inside, np.nan_to_num(values), -np.inf)
    best = [int(np.where(one, known, -np.inf).argmax()) for one in regions if (one & inside).any()]
    return [(column, "") for column in sorted(best, key=lambda column: -known[column])]
