"""Places of the brain that touch: voxels that share a face, vertices that share an edge."""

import numpy as np
import xarray as xr

from giblet.brain.cortex import mesh_edges, mesh_index, vertex_counts


def neighbours(space: xr.Dataset) -> np.ndarray | None:
    """Pairs of neighbouring columns of BOLD, (n_edges, 2) int; None where they are unknown,
    as of some of the mask's voxels alone.

    Those of voxels share a face. Those of vertices share an edge of the mesh, see
    `giblet.brain.cortex.mesh_edges`; voxels of greyordinates have none. Parcels have none.

    ``space``: the array set of `giblet.brain.load_bids` without the series.

    >>> space = xr.Dataset({"mask": (("i", "j", "k"), [[[True, False, True], [True, True, True]]])})
    >>> neighbours(space).tolist()
    [[0, 2], [1, 4], [2, 3], [3, 4]]
    >>> neighbours(space.assign_coords(voxel=[0, 1])) is None
    True
    """
    if "parcel" in space.coords:
        return None
    if "mask" in space:
        mask = space["mask"].values.astype(bool)
        is_whole = space.sizes.get("voxel", mask.sum()) == mask.sum()
        return grid_edges(mask) if is_whole else None
    if "vertex" not in space.coords or (counts := vertex_counts(space.attrs)) is None:
        return None
    if (edges := mesh_edges(space)) is None:
        return None
    columns, places = mesh_index(space)
    number = np.full(sum(counts), -1)
    number[places] = columns
    of_columns = number[edges]
    return of_columns[(of_columns >= 0).all(axis=1)]


def grid_edges(mask: np.ndarray) -> np.ndarray:
    """Pairs of voxels of ``mask`` (i, j, k) bool that share a face, (n_edges, 2) int, in the order
    of ``np.argwhere(mask)``."""
    number = np.full(mask.shape, -1)
    number[mask] = np.arange(mask.sum())
    pairs = []
    for axis in range(3):
        along = np.moveaxis(number, axis, 0)
        both = np.stack([along[:-1].ravel(), along[1:].ravel()], axis=1)
        pairs.append(both[(both >= 0).all(axis=1)])
    edges = np.concatenate(pairs)
    return edges[np.lexsort(edges.T[::-1])]
