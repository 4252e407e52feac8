"""What will be read of the scans: runs and columns that vary, found in a first reading."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from giblet.brain.bids import BoldRun
from giblet.brain.images import common_mask, parcel_means, read_labels, read_volumes
from giblet.brain.run_table import read_columns
from giblet.errors import GibletError
from giblet.log import progress

SILENT = "{}: constant in some run, left out"  # a subject


@dataclass(frozen=True)
class Scans:
    """What will be read: the runs and columns that are left, and what is known of them before.

    runs : without those of constant subjects
    kept : what is read of each: the mask (i, j, k) of images, or which columns of tables
    labels : (n_voxels,) int, the parcel of each voxel where parcels are to be made; 0: none
    columns : array set with the places or names of the columns of ``bold``
    """

    runs: list[BoldRun]
    kept: np.ndarray
    labels: np.ndarray | None
    columns: xr.Dataset
    source: Path
    warnings: list[str]

    @property
    def sizes(self) -> dict[str, int]:
        """Of ``bold``, by dimension."""
        space = "voxel" if "voxel" in self.columns.dims else "parcel"
        return {"volume": sum(run.n_volumes for run in self.runs), space: self.columns.sizes[space]}


def survey(runs: list[BoldRun], source: Path, parcellation: str | Path | None = None) -> Scans:
    """Read every run once, and leave out what says nothing: constant subjects and columns.

    Raises
    ------
    GibletError
        Images beside tables, tables of different columns, different grids, an empty common mask,
        an unreadable file, NaN in the BOLD, nothing that varies; a parcellation of tables, or one
        that lies elsewhere.
    """
    images = [run.mask is not None for run in runs]
    if any(images) != all(images):
        raise GibletError(f"{source}: images of voxels beside tables; load them apart")
    if all(images):
        mask, affine = common_mask((run.path, run.mask) for run in runs)
    else:
        mask, affine = np.ones(len(_same_columns(runs)), dtype=bool), None
    found = [
        varying_columns(run, mask) for run in progress(runs, "looking at scans", "runs")
    ]  # (n_voxels,) each
    silent = silent_subjects(runs, [varies.any() for varies in found], source)
    warnings = [SILENT.format(name) for name in silent]
    left = [n for n, run in enumerate(runs) if run.subject not in silent]
    runs, varying = [runs[n] for n in left], np.all([found[n] for n in left], axis=0)
    if not varying.any():
        raise GibletError(f"{source}: every voxel is constant in some run; look at the images")
    warnings += [warning for run in runs for warning in run.warnings]
    if not varying.all():
        warnings.append(f"{(~varying).sum()} voxels, constant in some run, were left out")
    kept = mask.copy()
    kept[mask] = varying
    labels, columns = _columns(runs[0], kept, affine, parcellation)
    return Scans(runs, kept, labels, columns, source, warnings)


def steady_volumes(run: BoldRun, kept: np.ndarray) -> Iterator[np.ndarray]:
    """Steady volumes as they are in the file, (n, n_columns) float32, some at a time."""
    blocks = read_volumes(run.path, kept) if run.mask else [read_columns(run)[:, kept]]
    start = 0
    for block in blocks:
        steady = run.steady[start : start + len(block)]
        start += len(block)
        if steady.any():
            yield block if steady.all() else block[steady]


def silent_subjects(runs: list[BoldRun], varies: list[bool], source: Path) -> list[str]:
    """Who has a run in which nothing ``varies``, told for each of ``runs``.

    Raises GibletError if that is everybody.
    """
    silent = {run.subject for run, any_does in zip(runs, varies, strict=True) if not any_does}
    if silent == {run.subject for run in runs}:
        raise GibletError(f"{source}: every voxel of some run is constant; look at the images")
    return sorted(silent)


def varying_columns(run: BoldRun, mask: np.ndarray) -> np.ndarray:
    """Which columns are not constant in the steady volumes, (n_columns,) bool.

    Raises GibletError if some are no numbers.
    """
    low, high = np.inf, -np.inf
    for block in steady_volumes(run, mask):
        low, high = np.minimum(low, block.min(axis=0)), np.maximum(high, block.max(axis=0))
    broken = ~(np.isfinite(low) & np.isfinite(high))  # NaN stays NaN
    if broken.any():
        raise GibletError(
            f"{run.path}: NaN in the BOLD of {broken.sum()} voxels; preprocess it again"
        )
    return high > low


def _same_columns(runs: list[BoldRun]) -> list[str]:
    """Names of the columns, which must be alike in all tables."""
    first = runs[0]
    for run in runs[1:]:
        if run.columns != first.columns:
            raise GibletError(
                f"{run.path}: other columns than {first.path.name} "
                f"({len(run.columns)} and {len(first.columns)}): "
                "parcels must be the same in every run"
            )
    return first.columns


def _columns(run: BoldRun, kept, affine, parcellation) -> tuple[np.ndarray | None, xr.Dataset]:
    """The parcel of each voxel, if asked for; names or places of the columns of ``bold``."""
    if run.mask is not None:
        return _places(kept, affine, parcellation)
    if parcellation is not None:
        raise GibletError(f"{parcellation}: parcels are made of voxels; {run.path.name} has none")
    names = [name for name, is_kept in zip(run.columns, kept, strict=True) if is_kept]
    return None, xr.Dataset(coords={"parcel": names})


def _places(mask, affine, parcellation) -> tuple[np.ndarray | None, xr.Dataset]:
    """Of voxels, or of parcels: centres of the voxels that have a label."""
    from nibabel.affines import apply_affine

    arrays = xr.Dataset(
        {"mask": (("i", "j", "k"), mask)}, attrs={"affine": affine.ravel().tolist()}
    )
    places, labels, space = apply_affine(affine, np.argwhere(mask)), None, "voxel"  # mm
    if parcellation is not None:
        atlas = read_labels(Path(parcellation), mask, affine)
        labels, space = atlas[mask], "parcel"
        places = parcel_means(places.T, labels).T
        arrays["labels"] = ("i", "j", "k"), atlas
        arrays = arrays.assign_coords(parcel=np.unique(labels[labels > 0]))
    axes = {axis: (space, places[:, n], {"units": "mm"}) for n, axis in enumerate("xyz")}
    return labels, arrays.assign_coords(axes)
