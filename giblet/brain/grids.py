"""Grids of voxels that differ a little, and resampling from one to another."""

import math
from itertools import product
from typing import Protocol

import numpy as np

EQUAL_GRID = 0.001  # of a voxel: corners that are less apart differ by rounding of headers
LARGEST_SHIFT = 0.5  # of a voxel: up to here each voxel is nearest to the one of its own index


class Grid(Protocol):
    """``shape`` (n_i, n_j, n_k) of voxels, and ``affine`` (4, 4) from their indices to mm."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def affine(self) -> np.ndarray: ...


def grid_shift(grid: Grid, other: Grid) -> float:
    """The most that a corner of ``grid`` is off that of ``other``, in voxels along an axis.

    Infinite for another shape.
    """
    from nibabel.affines import apply_affine

    if tuple(grid.shape) != tuple(other.shape):
        return math.inf
    corners = np.array(list(product(*([0, n - 1] for n in other.shape))))
    in_other = apply_affine(np.linalg.inv(other.affine) @ grid.affine, corners)
    return float(np.abs(in_other - corners).max())


def resample(block: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Values of volumes (i, j, k, n_volumes) at ``places`` (n_places, 3) between their voxels.

    By cubic splines, as nilearn's "continuous", (n_volumes, n_places) float32. Places outside the
    volume have mirrored values, where nilearn has 0. NaN where the nearest voxel is NaN.

    >>> ramp = np.broadcast_to(np.arange(9.0) ** 2, (9, 9, 9))[..., None]
    >>> resample(ramp, np.array([[4, 4, 4], [4, 4, 4.5]])).round().tolist()
    [[16.0, 20.0]]
    """
    from scipy.ndimage import map_coordinates

    last = np.array(block.shape[:3]) - 1
    nearest = tuple(np.clip(np.rint(places).astype(int), 0, last).T)
    values = np.empty((block.shape[3], len(places)), dtype=np.float32)
    for volume, row in zip(np.moveaxis(block, 3, 0), values, strict=True):
        missing = ~np.isfinite(volume)
        if missing.any():
            volume = np.where(missing, 0, volume)  # a spline would spread it
        map_coordinates(volume, places.T, output=row, order=3, mode="mirror")
        row[missing[nearest]] = np.nan
    return values
