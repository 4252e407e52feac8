"""Values of voxels or parcels as a NIfTI image."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from giblet.errors import GibletError

if TYPE_CHECKING:
    from nibabel import Nifti1Image

_AXES = ("x", "y", "z")
_ROUNDING = 1e-3  # mm


def to_nifti(values: xr.DataArray, space: xr.Dataset | None = None) -> "Nifti1Image":
    """A map as an image of float32: ``to_nifti(map).to_filename(path)``.

    NaN outside the brain, as in the files of the page and of ``export``, and where a value is
    missing: 0 would be a p of 0.

    Parameters
    ----------
    values : (voxel,) or (subject, voxel)
        For instance ``quality["isc"]``, with coordinates ``x``, ``y`` and ``z`` (mm) along
        ``voxel``. Of several subjects the image has a fourth axis.
    space
        Scans as `giblet.load_bids` or ``giblet.io.arrays.open_arrays("bold.nc")`` give them: the
        image has their grid. Parcels need it. Without it the grid is the smallest that holds the
        voxels, its axes along x, y and z.

    Raises
    ------
    GibletError
        Values without places in the brain; voxels in no such grid, or in another order or choice
        than in ``space``.

    >>> places = {"x": [0.0, 4.0], "y": [2.0, 2.0], "z": [8.0, 8.0]}
    >>> coords = {axis: ("voxel", mm) for axis, mm in places.items()}
    >>> image = to_nifti(xr.DataArray([0.25, 0.5], dims="voxel", coords=coords))
    >>> image.shape, image.affine.diagonal().tolist()
    ((2, 1, 1), [4.0, 4.0, 4.0, 1.0])
    >>> image.get_fdata()[1, 0, 0].item()
    0.5
    """
    from nibabel import Nifti1Image

    values = _voxels_last(values)
    rows = np.atleast_2d(np.asarray(values, dtype=np.float32))
    if space is None:
        indices, affine, shape = _smallest_grid(values)
        images = np.full((*shape, len(rows)), np.nan, dtype=np.float32)
        images[tuple(indices.T)] = rows.T
    else:
        images, affine = _on_grid(rows, space)
        _check_order(values, space)  # after their number
    image = Nifti1Image(images if values.ndim == 2 else images[..., 0], affine)
    image.header.set_xyzt_units("mm", "unknown")  # a fourth axis is of subjects
    return image


def _voxels_last(values) -> xr.DataArray:
    """``values`` as a DataArray whose last axis is that of the voxels."""
    if isinstance(values, xr.Dataset):
        raise GibletError('give one map of the data set, such as quality["isc"]')
    if not isinstance(values, xr.DataArray):
        values = xr.DataArray(np.asarray(values))
    if values.ndim not in (1, 2):
        raise GibletError(f"a map is (voxel,) or (subject, voxel), not {values.shape}")
    return values.transpose(..., "voxel") if "voxel" in values.dims else values


def _check_order(values: xr.DataArray, space: xr.Dataset) -> None:
    """GibletError where ``values`` were sorted or subsetted: they would be put in wrong places."""
    for name in (*_AXES, "parcel"):
        if name not in values.coords or name not in space.coords:
            continue
        ours, theirs = values[name].values, space[name].values
        if name == "parcel":
            is_same = np.array_equal(ours.astype(str), theirs.astype(str))
        else:
            is_same = ours.shape == theirs.shape and np.allclose(ours, theirs, atol=10 * _ROUNDING)
        if not is_same:
            raise GibletError(
                f"the values and space differ in {name}: the values were sorted or subsetted. Put "
                "them in the order of space, with NaN where there is no value"
            )


def brain_volume(values: np.ndarray, space: xr.Dataset, fill: float = 0.0) -> np.ndarray | None:
    """Values (n_voxels,) or (n_parcels,) where they were measured, (i, j, k), ``fill`` elsewhere.

    ``space``: the array set of ``giblet.brain.load_bids`` without the series. None without a mask.

    >>> space = xr.Dataset({"mask": (("i", "j", "k"), [[[True, False, True]]])})
    >>> brain_volume(np.array([2.0, 3.0]), space).tolist()
    [[[2.0, 0.0, 3.0]]]
    """
    if "mask" not in space:
        return None
    volume = np.full(space["mask"].shape, fill, dtype=np.float32)
    if "labels" not in space:
        volume[space["mask"].values.astype(bool)] = values
        return volume
    labels = np.maximum(space["labels"].values.astype(int), 0)  # 0: no parcel
    by_label = np.full(labels.max() + 1, fill, dtype=np.float32)
    of_parcel = space["parcel_label"] if "parcel_label" in space.coords else space["parcel"]
    by_label[of_parcel.values.astype(int)] = values
    return by_label[labels]


def brain_affine(space: xr.Dataset) -> np.ndarray:
    """Voxel indices to mm, (4, 4); a file holds it as JSON."""
    affine = space.attrs["affine"]
    return np.reshape(json.loads(affine) if isinstance(affine, str) else affine, (4, 4))


def save_volume(
    path: Path, volume: np.ndarray, affine: np.ndarray, t_r: float | None = None
) -> None:
    """Write a volume (i, j, k), or volumes (i, j, k, n) that are ``t_r`` s apart, as NIfTI.

    The same values give the same bytes.
    """
    from nibabel import Nifti1Image

    image = Nifti1Image(volume.astype(np.float32, copy=False), affine)
    image.header.set_xyzt_units("mm", "sec")
    if t_r is not None:
        image.header.set_zooms((*image.header.get_zooms()[:3], t_r))
    image.to_filename(path)


def _on_grid(rows: np.ndarray, space: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """``rows`` (n_images, n_columns) on the grid of ``space``: (i, j, k, n_images), affine."""
    if "mask" not in space:
        raise GibletError("space has no mask: these data have no coordinates in the brain")
    n_columns = len(space["parcel"]) if "labels" in space else int(space["mask"].sum())
    if n_columns != rows.shape[1]:
        raise GibletError(f"{rows.shape[1]} values, but space has {n_columns} voxels or parcels")
    volumes = [brain_volume(row, space, fill=np.nan) for row in rows]
    return np.stack([one for one in volumes if one is not None], axis=-1), brain_affine(space)


def _smallest_grid(values: xr.DataArray) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """Indices of the voxels (n_voxels, 3), the affine and the shape of the grid that holds them."""
    if not all(axis in values.coords for axis in _AXES):
        raise GibletError(
            f"the values have no coordinates {', '.join(_AXES)}: give the scans as space"
        )
    places = np.column_stack([values[axis].values for axis in _AXES])
    apart = [np.diff(np.unique(np.round(column / _ROUNDING))) * _ROUNDING for column in places.T]
    known = [float(gaps.min()) for gaps in apart if len(gaps)]
    if not known:
        raise GibletError("a single voxel has no grid: give the scans as space")
    steps = np.array([gaps.min() if len(gaps) else min(known) for gaps in apart])
    exact = (places - places.min(axis=0)) / steps
    indices = np.rint(exact).astype(int)
    shape = tuple(int(n) for n in indices.max(axis=0) + 1)
    off = np.abs((exact - indices) * steps).max() > 10 * _ROUNDING
    if off or not _has_neighbours(indices, shape):
        raise GibletError("the voxels' grid is not along x, y and z: give the scans as space")
    affine = np.diag([*steps, 1.0])
    affine[:3, 3] = places.min(axis=0)
    return indices, affine, shape


def _has_neighbours(indices: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether some voxels lie side by side along each axis: in a grid that is turned none do."""
    places = np.ravel_multi_index(tuple(indices.T), shape)
    strides = np.array([shape[1] * shape[2], shape[2], 1])
    along = [stride for stride, n in zip(strides, shape, strict=True) if n > 1]
    return all(np.isin(places + stride, places).any() for stride in along)
