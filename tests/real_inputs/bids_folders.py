"""Small BIDS folders with fMRIPrep derivatives, with known values, for tables of properties."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd

from giblet.brain.runs import MOTION

SPACE = "space-MNI152NLin2009cAsym"
FUNC = "derivatives/fmriprep/sub-01/func"
STEM = "sub-01_task-movie"
BOLD = f"{STEM}_{SPACE}_desc-preproc_bold"
CONFOUNDS = f"{STEM}_desc-confounds_timeseries"
GRID = np.diag([3.0, 3.0, 3.0, 1.0])
FILM = {"onset": 6.0, "duration": 60.0, "stim_file": "film.mp4"}


def noise(n=40, shape=(4, 4, 4), seed=0):
    """Volumes (i, j, k, n) around 1000; voxel (1, 1, 1) rises from 100 on, unevenly."""
    values = np.random.default_rng(seed).normal(1000, 10, (*shape, n)).astype(np.float32)
    values[1, 1, 1] = 100 + np.arange(n) + np.arange(n) % 5
    return values


def motion(n=40):
    values = np.random.default_rng(1).normal(0, 0.01, (n, 6))
    return pd.DataFrame(values, columns=list(MOTION))


def save_image(path, values, affine=GRID, t_r=2.0):
    image = nibabel.Nifti1Image(values, affine)
    if values.ndim > 3:
        zooms = (3, 3, 3, *(t_r if n > 1 else 1 for n in values.shape[3:]))
        image.header.set_zooms(zooms)
    image.header.set_xyzt_units("mm", "sec")
    image.to_filename(path)
    return image


def save_table(path, table):
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(table).to_csv(path, sep="\t", index=False, na_rep="n/a")


def bids(
    folder: Path,
    *,
    subjects=("01",),
    entities="",
    events_entities=None,
    space=SPACE,
    sidecar=None,
    events=FILM,
    confounds=None,
    values=None,
    mask=None,
    affine=GRID,
    t_r=2.0,
    header_t_r=None,
    derivative="derivatives/fmriprep",
    raw=".",
) -> Path:
    """A data set of one run of each subject: 40 volumes, TR 2 s, the film on from 6 s to 66 s."""
    volumes = noise() if values is None else values
    n = max(volumes.shape[3:])
    side = {"RepetitionTime": t_r, "StartTime": 0.0} if sidecar is None else sidecar
    brain = np.ones(volumes.shape[:3], np.uint8) if mask is None else mask
    for label in subjects:
        stem = f"sub-{label}_task-movie{entities}"
        func = folder / derivative / f"sub-{label}" / "func"
        func.mkdir(parents=True)
        save_image(
            func / f"{stem}_{space}_desc-preproc_bold.nii.gz",
            volumes,
            affine,
            t_r if header_t_r is None else header_t_r,
        )
        save_image(func / f"{stem}_{space}_desc-brain_mask.nii.gz", brain, affine)
        (func / f"{stem}_{space}_desc-preproc_bold.json").write_text(json.dumps(side))
        table = motion(n) if confounds is None else confounds
        save_table(func / f"{stem}_desc-confounds_timeseries.tsv", table)
        name = entities if events_entities is None else events_entities
        rows = [events] if isinstance(events, dict) else events
        save_table(folder / raw / f"sub-{label}/func/sub-{label}_task-movie{name}_events.tsv", rows)
    return folder


def move(folder, old, new):
    """Move the one file or folder that the pattern ``old`` names."""
    (source,) = folder.glob(old)
    target = folder / new
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)
    return folder
