"""Reading BOLD: fMRIPrep derivatives, or files that a table names; cleaned, on the film's clock."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from giblet.bids import MOTION, BoldRun, derivatives, open_image, read_runs, reading_image
from giblet.checks import GibletError
from giblet.runs import read_run_table, read_series
from giblet.store import load_json
from giblet.timing import acquisition_times


def load_bids(
    folder: str | Path,
    task: str | None = None,
    high_pass_hz: float | None = 0.01,
    parcellation: str | Path | None = None,
    confounds: Sequence[str] = MOTION,
) -> xr.Dataset:
    """BOLD of every run of every subject, cleaned but not z-scored (that needs the training split).

    ``folder`` holds ``sub-*/[ses-*/]func``, or ``derivatives/fmriprep`` with them inside. Each run
    has its brain mask, confounds table and JSON sidecar beside it, and an events table there or in
    the raw data set. Non-steady-state volumes are dropped; a linear trend, cosines below
    ``high_pass_hz`` (None: none) and the ``confounds`` columns are regressed out.

    Returns
    -------
    ``bold`` (volume, voxel) float32, in the scanner's own units around 0, or (volume, parcel) when
    ``parcellation`` is a label image: the mean over each parcel's voxels. Along ``volume``:
    ``subject``, ``run``, ``film_time`` (s, when the volume was taken, on the film's clock) and
    ``in_film``. Along ``voxel``: ``x y z`` (mm, MNI). ``mask`` (i, j, k) holds the voxels in
    ``np.argwhere`` order. Attributes ``t_r``, ``source``, ``stim_file``, ``affine``, ``warnings``.

    Raises
    ------
    GibletError
        Missing or unreadable files, no RepetitionTime, NaN in the BOLD, an empty common mask,
        confounds of another length, two runs with one name, different grids, a scan that ends a
        TR or more before the film.
    """
    folder = Path(folder)
    return _load(read_runs(folder, task, confounds), folder, high_pass_hz, parcellation)


def load_runs(
    table: str | Path,
    high_pass_hz: float | None = 0.01,
    parcellation: str | Path | None = None,
    confounds: Sequence[str] = (),
) -> xr.Dataset:
    """BOLD of the runs that a table names (see ``giblet.runs.read_run_table``), as `load_bids`.

    Parcels and vertices come as ``bold`` (volume, parcel) with their names as ``parcel``, and
    without places. Raises GibletError as both of them do, and for runs of different columns.
    """
    table = Path(table)
    return _load(read_run_table(table, confounds), table, high_pass_hz, parcellation)


def _load(
    runs: list[BoldRun], source: Path, high_pass_hz: float | None, parcellation
) -> xr.Dataset:
    images = [run.mask is not None for run in runs]
    if any(images) != all(images):
        raise GibletError(f"{source}: images of voxels beside tables; load them apart")
    mask, affine = _common_mask(runs) if all(images) else (None, None)
    names = None if all(images) else _column_names(runs)
    cleaned = [_clean(run, mask, high_pass_hz) for run in runs]
    runs, cleaned, warnings = _without_constant_subjects(runs, cleaned, source)
    varying = np.all([bold.any(axis=0) for bold in cleaned], axis=0)  # (n_voxels,)
    if not varying.any():
        raise GibletError(f"{source}: every voxel is constant in some run; look at the images")
    bold = np.concatenate(cleaned)[:, varying]
    if names is None:
        mask[mask] = varying
        arrays = _label(bold, mask, affine)
    else:
        kept = [name for name, varies in zip(names, varying, strict=True) if varies]
        arrays = xr.Dataset({"bold": (("volume", "parcel"), bold)}, coords={"parcel": kept})
    if parcellation is not None:
        arrays = _average(arrays, Path(parcellation))
    volumes = pd.concat([run.volumes() for run in runs], ignore_index=True)
    arrays = arrays.assign_coords({name: ("volume", volumes[name].to_numpy()) for name in volumes})
    warnings += [warning for run in runs for warning in run.warnings]
    if not varying.all():
        warnings.append(f"{(~varying).sum()} voxels, constant in some run, were left out")
    attrs = {"t_r": runs[0].t_r, "stim_file": runs[0].stim_file, "source": _source(source)}
    return arrays.assign_attrs(attrs | {"warnings": warnings})


def _without_constant_subjects(runs, cleaned, source) -> tuple[list, list, list[str]]:
    """Runs and their BOLD without subjects of whom some run says nothing, and what was done."""
    silent = {run.subject for run, bold in zip(runs, cleaned, strict=True) if not bold.any()}
    kept = [i for i, run in enumerate(runs) if run.subject not in silent]
    if not kept:
        raise GibletError(f"{source}: every voxel of some run is constant; look at the images")
    warnings = [f"{name}: constant in some run, left out" for name in sorted(silent)]
    return [runs[i] for i in kept], [cleaned[i] for i in kept], warnings


def _column_names(runs: list[BoldRun]) -> list[str]:
    """Of the parcels, which must be alike in all runs."""
    _, first = read_series(runs[0].path)
    for run in runs[1:]:
        _, names = read_series(run.path)
        if names != first:
            raise GibletError(
                f"{run.path}: other columns than {runs[0].path.name} "
                f"({len(names)} and {len(first)}): parcels must be the same in every run"
            )
    return first


def _source(folder: Path) -> str:
    """Who made the data set, by its description (simulated data say so there)."""
    if folder.is_file():
        return folder.name
    description = derivatives(folder) / "dataset_description.json"
    makers = load_json(description).get("GeneratedBy", []) if description.is_file() else []
    return ", ".join([folder.name, *(maker["Name"] for maker in makers)])


def _common_mask(runs: list[BoldRun]) -> tuple[np.ndarray, np.ndarray]:
    """Voxels in every run's brain mask (i, j, k) bool, and the affine (4, 4) of them all."""
    first = open_image(runs[0].path)
    mask = np.ones(first.shape[:3], dtype=bool)
    for run in runs:
        path = run.mask
        for image in (open_image(run.path), brain := open_image(path)):
            same = image.shape[:3] == mask.shape
            if not same or not np.allclose(image.affine, first.affine, atol=1e-3):
                raise GibletError(
                    f"{run.path}: its image or mask has another grid (shape or affine) than "
                    f"{runs[0].path.name}; resample them to one"
                )
        with reading_image(path):
            mask &= np.asanyarray(brain.dataobj) > 0
        if not mask.any():
            raise GibletError(f"{path}: mask empty: no voxel is in the brain in all runs so far")
    return mask, first.affine


def _raw(run: BoldRun, mask: np.ndarray | None) -> np.ndarray:
    """BOLD of one run as it is in the file, (n_scanned, n_voxels) float32."""
    if mask is None:
        return read_series(run.path)[0]
    with reading_image(run.path):
        return np.asarray(open_image(run.path).dataobj, dtype=np.float32)[mask].T


def _clean(run: BoldRun, mask: np.ndarray | None, high_pass_hz: float | None) -> np.ndarray:
    """Cleaned BOLD of one run, (n_volumes, n_voxels) float32, around 0."""
    from nilearn import signal

    raw = _raw(run, mask)
    broken = (~np.isfinite(raw)).any(axis=0).sum()
    if broken:
        raise GibletError(f"{run.path}: NaN in the BOLD of {broken} voxels; preprocess it again")
    nuisance = np.hstack([run.nuisance, _slow_cosines(len(run.film_time), run.t_r, high_pass_hz)])
    cleaned = signal.clean(
        raw[run.steady],
        detrend=True,
        standardize=None,
        filter=False,
        confounds=nuisance if nuisance.shape[1] else None,
    ).astype(np.float32)
    cleaned[:, np.ptp(raw[run.steady], axis=0) == 0] = 0.0  # constant, but for rounding
    return cleaned


def _slow_cosines(n_volumes: int, t_r: float, high_pass_hz: float | None) -> np.ndarray:
    """Cosines slower than ``high_pass_hz``, (n_volumes, n_cosines).

    Not by ``signal.clean(filter="cosine")``: nilearn 0.13 leaves the filter out, with a warning,
    when a confound happens to look like one of the cosines (r > 0.9), as slow motion does.
    """
    from nilearn.glm.first_level import make_first_level_design_matrix

    if not high_pass_hz:
        return np.empty((n_volumes, 0))
    times = acquisition_times(n_volumes, t_r)
    design = make_first_level_design_matrix(times, drift_model="cosine", high_pass=high_pass_hz)
    return design.drop(columns="constant").to_numpy()


def _label(bold: np.ndarray, mask: np.ndarray, affine: np.ndarray) -> xr.Dataset:
    """``bold`` (n_volumes, n_voxels) with the place of every voxel."""
    from nibabel.affines import apply_affine

    places = apply_affine(affine, np.argwhere(mask))  # (n_voxels, 3) mm
    return xr.Dataset(
        {"bold": (("volume", "voxel"), bold), "mask": (("i", "j", "k"), mask)},
        coords={axis: ("voxel", places[:, n], {"units": "mm"}) for n, axis in enumerate("xyz")},
        attrs={"affine": affine.ravel().tolist()},
    )


def _average(arrays: xr.Dataset, path: Path) -> xr.Dataset:
    """Voxels become parcels: means over the voxels of each label of the image at ``path``.

    Cleaning and averaging are linear, so the order does not matter. ``labels`` (i, j, k) is the
    parcellation on the grid of the BOLD; ``x y z`` (mm) are the parcels' centres.
    """
    from nibabel import Nifti1Image
    from nilearn.image import resample_to_img

    mask = arrays["mask"].to_numpy()
    grid = Nifti1Image(mask.astype(np.uint8), np.reshape(arrays.attrs["affine"], (4, 4)))
    with reading_image(path):
        atlas = resample_to_img(open_image(path), grid, interpolation="nearest")
    labels = np.where(mask, np.asanyarray(atlas.dataobj).round().astype(int), 0)
    if not labels.any():
        raise GibletError(f"{path}: no label lies in the brain mask; is it in MNI space?")
    of_voxel = xr.DataArray(labels[mask], dims="voxel", name="parcel")
    voxels = arrays.drop_vars("mask").reset_coords(["x", "y", "z"])
    parcels = voxels.isel(voxel=of_voxel.to_numpy() > 0).groupby(of_voxel[of_voxel > 0]).mean()
    parcels = parcels.transpose("volume", "parcel").set_coords(["x", "y", "z"])
    return parcels.assign(mask=arrays["mask"], labels=(("i", "j", "k"), labels))
