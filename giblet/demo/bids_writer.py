"""Write SIMULATED brains as a BIDS data set of fMRIPrep derivatives, with the ground truth."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from giblet.brain.bids_files import SPACE
from giblet.brain.regions import SIMULATED as ATLAS
from giblet.brain.runs import MOTION
from giblet.demo.brains import (
    LISTENERS,
    VIEWERS,
    Brain,
    Kind,
    RunClock,
    make_brain,
    run_clocks,
    simulate_scans,
)
from giblet.demo.stimulus import RATE_HZ
from giblet.errors import GibletError
from giblet.io.arrays import save_arrays
from giblet.io.atomic import replacing_folder
from giblet.io.tables import save_json, save_table


def simulate_bids(
    folder: str | Path,
    sound: np.ndarray,
    pictures: np.ndarray,
    words: np.ndarray,
    t_r: float,
    *,
    stim_file: str = "film.mp4",
    **options: Any,
) -> None:
    """Simulate subjects who watch the film whose features are given, and write their scans.

    ``sound``, ``pictures``, ``words`` (n_samples, n_features each): features of the film as
    `giblet.demo.stimulus` makes them. The rest as of `simulate_brains`, which raises its errors.
    """
    features = (sound, pictures, words)
    simulate_brains(folder, VIEWERS, features, t_r, stim_file=stim_file, **options)


def simulate_listeners(
    folder: str | Path,
    sound: np.ndarray,
    surprisal: np.ndarray,
    tonality: np.ndarray,
    form: np.ndarray,
    t_r: float,
    *,
    stim_file: str = "demo_music.wav",
    **options: Any,
) -> None:
    """Simulate subjects who listen to the music whose features are given, and write their scans.

    ``sound``, ``surprisal``, ``tonality``, ``form`` (n_samples, n_features each): features of the
    music as `giblet.demo.listening` makes them. The rest as of `simulate_brains`, which raises its
    errors; three runs with a noise of 0.3, by default, are less noisy than any scanner.
    """
    features = (sound, surprisal, tonality, form)
    options = {"n_runs": 3, "noise": 0.3} | options
    simulate_brains(folder, LISTENERS, features, t_r, stim_file=stim_file, **options)


def simulate_brains(
    folder: str | Path,
    kind: Kind,
    features: Sequence[np.ndarray],
    t_r: float,
    *,
    stim_file: str,
    rate_hz: float = RATE_HZ,
    n_subjects: int = 4,
    n_runs: int = 2,
    noise: float = 1.1,
    resolution_mm: float = 8,
    lead_in: float = 6.0,
    lead_out: float = 9.0,
    seed: int = 0,
    topography: float = 0.0,
) -> None:
    """Simulate subjects of one kind, and write their scans.

    ``features``: for each region of the kind (n_samples, n_features) at ``rate_hz`` from the first
    second on; the film is as long as the shortest. In each run the film begins ``lead_in`` s into
    the scan, which goes on for ``lead_out`` s or more after it. ``noise``: standard deviation of
    the noise over that of the strongest response. ``topography``: share of a voxel's variance that
    is arranged in each subject's own way. The same ``seed`` gives the same bytes.

    ``truth.nc``: ``membership`` (region, voxel), ``noise_ceiling`` (voxel: see `Brain`, 0 outside
    the regions), ``x y z`` (mm), ``mask`` (i, j, k). Voxels are those of `giblet.brain.load_bids`.
    The regions are a label image with a table of names, too: ``atlas-simulated_dseg``.

    Raises
    ------
    GibletError
        ``folder`` holds something other than simulated brains (which are replaced).
    """
    folder = Path(folder)
    _check_free(folder)
    clocks = run_clocks(min(map(len, features)) / rate_hz, t_r, n_runs, lead_in, lead_out)
    brain = make_brain(resolution_mm, noise, kind)
    with replacing_folder(folder) as root:
        scans = simulate_scans(features, rate_hz, t_r, clocks, brain, n_subjects, seed, topography)
        for subject, run, bold, motion in scans:
            clock, label = clocks[run], f"sub-{subject + 1:02d}"
            stem = root / label / "func" / f"{label}_task-{kind.task}_run-{run + 1}"
            _write_images(stem, bold, clock, brain, t_r)
            _write_tables(stem, motion, clock, kind, stim_file)
        save_json(_description(kind), root / "dataset_description.json")
        facts = {"topography": topography} if topography else {}
        save_arrays(_truth(brain).assign_attrs(facts), root / "truth.nc")
        _write_regions(root / ATLAS, brain)


def _check_free(folder: Path) -> None:
    """``folder`` is new or empty, or simulated brains are all that would be lost."""
    description = folder / "dataset_description.json"
    if description.is_file() and "SIMULATED" in description.read_text(encoding="utf-8"):
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise GibletError(f"{folder}: holds other files; give a new folder for simulated brains")


def _write_images(stem: Path, bold: np.ndarray, clock: RunClock, brain: Brain, t_r: float) -> None:
    """BOLD, its sidecar and the brain mask, named as fMRIPrep names them."""
    import nibabel

    stem.parent.mkdir(parents=True, exist_ok=True)
    space = f"{stem}_space-{SPACE}_desc"
    volumes = np.zeros((*brain.mask.shape, len(bold)), dtype=np.int16)
    volumes[brain.mask] = np.rint(bold).T
    image = nibabel.Nifti1Image(volumes, brain.affine)
    image.header.set_xyzt_units("mm", "sec")
    image.header.set_zooms((*image.header.get_zooms()[:3], t_r))
    image.header["descrip"] = b"SIMULATED by giblet"
    nibabel.save(image, f"{space}-preproc_bold.nii.gz")
    mask = nibabel.Nifti1Image(brain.mask.astype(np.uint8), brain.affine)
    nibabel.save(mask, f"{space}-brain_mask.nii.gz")
    sidecar = {
        "Description": "SIMULATED BOLD: nobody was scanned",
        "RepetitionTime": t_r,
        "StartTime": float(clock.scan_times[0]),
        "SkullStripped": True,
        "TaskName": brain.kind.task,
    }
    save_json(sidecar, f"{space}-preproc_bold.json")


def _write_tables(
    stem: Path, motion: np.ndarray, clock: RunClock, kind: Kind, stim_file: str
) -> None:
    """The confounds and when the film was on."""
    confounds = pd.DataFrame(motion, columns=list(MOTION))
    confounds["framewise_displacement"] = _framewise_displacement(motion)
    save_table(confounds, f"{stem}_desc-confounds_timeseries.tsv")
    event = {
        "onset": clock.lead_in,
        "duration": clock.duration,
        "trial_type": kind.task,
        "stim_file": stim_file,
        "stim_onset": clock.film_start,
    }
    save_table(pd.DataFrame([event]), f"{stem}_events.tsv")


def _framewise_displacement(motion: np.ndarray, *, head_radius_mm: float = 50.0) -> np.ndarray:
    """Power et al. 2012: absolute steps of ``motion`` (n_volumes, 6), summed; mm, NaN at first."""
    steps = np.abs(np.diff(motion, axis=0)) * ([1.0] * 3 + [head_radius_mm] * 3)
    return np.concatenate([[np.nan], steps.sum(axis=1)])


def _write_regions(path: Path, brain: Brain) -> None:
    """Regions as labels from 1 on, with a table of their names."""
    import nibabel

    index = np.arange(1, len(brain.kind.regions) + 1)
    labels = np.zeros(brain.mask.shape, dtype=np.int16)
    labels[brain.mask] = index @ brain.membership
    nibabel.save(nibabel.Nifti1Image(labels, brain.affine), path)
    table = pd.DataFrame({"index": index, "name": list(brain.kind.regions)})
    save_table(table, str(path).replace(".nii.gz", ".tsv"))


def _description(kind: Kind) -> dict:
    return {
        "Name": f"SIMULATED brains {kind.does}",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [
            {"Name": "giblet SIMULATED brains", "Description": "A forward model; nobody scanned"}
        ],
    }


def _truth(brain: Brain) -> xr.Dataset:
    """Region of each voxel, and how well it can be predicted at best."""
    from nibabel.affines import apply_affine

    places = apply_affine(brain.affine, np.argwhere(brain.mask))
    return xr.Dataset(
        {
            "membership": (("region", "voxel"), brain.membership),
            "noise_ceiling": ("voxel", brain.noise_ceiling),
            "mask": (("i", "j", "k"), brain.mask),
        },
        coords={"region": list(brain.kind.regions)}
        | {axis: ("voxel", places[:, n], {"units": "mm"}) for n, axis in enumerate("xyz")},
        attrs={"simulated": 1, "affine": brain.affine.ravel().tolist(), "noise": brain.noise},
    )
