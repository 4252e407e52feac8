"""Reading BOLD: fMRIPrep derivatives of a BIDS data set, cleaned, on the film's clock."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from giblet.bids import MOTION, BoldRun, derivatives, open_image, read_runs, reading_image
from giblet.checks import GibletError
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
    runs = read_runs(folder, task, confounds)
    mask, affine = _common_mask(runs)
    cleaned = [_clean(run, mask, high_pass_hz) for run in runs]
    varying = np.all([bold.any(axis=0) for bold in cleaned], axis=0)  # (n_voxels,)
    if not varying.any():
        raise GibletError(f"{folder}: every voxel of some run is constant; look at the images")
    mask[mask] = varying
    arrays = _label(np.concatenate(cleaned)[:, varying], mask, affine)
    if parcellation is not None:
        arrays = _average(arrays, Path(parcellation))
    volumes = pd.concat([run.volumes() for run in runs], ignore_index=True)
    arrays = arrays.assign_coords({name: ("volume", volumes[name].to_numpy()) for name in volumes})
    warnings = [warning for run in runs for warning in run.warnings]
    if not varying.all():
        warnings.append(f"{(~varying).sum()} voxels, constant in some run, were left out")
    attrs = {"t_r": runs[0].t_r, "stim_file": runs[0].stim_file, "source": _source(folder)}
    return arrays.assign_attrs(attrs | {"warnings": warnings})


def _source(folder: Path) -> str:
    """Who made the data set, by its description (simulated data say so there)."""
    description = derivatives(folder) / "dataset_description.json"
    makers = load_json(description).get("GeneratedBy", []) if description.is_file() else []
    return ", ".join([folder.name, *(maker["Name"] for maker in makers)])


def _common_mask(runs: list[BoldRun]) -> tuple[np.ndarray, np.ndarray]:
    """Voxels in every run's brain mask (i, j, k) bool, and the affine (4, 4) of them all."""
    first = open_image(runs[0].path)
    mask = np.ones(first.shape[:3], dtype=bool)
    for run in runs:
        path = run.path.with_name(run.path.name.replace("preproc_bold", "brain_mask"))
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


def _clean(run: BoldRun, mask: np.ndarray, high_pass_hz: float | None) -> np.ndarray:
    """Cleaned BOLD of one run, (n_volumes, n_voxels) float32, around 0."""
    from nilearn import signal

    with reading_image(run.path):
        raw = np.asarray(open_image(run.path).dataobj, dtype=np.float32)[mask].T
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
