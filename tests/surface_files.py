"""Small data sets of scans on a surface, with the names that fMRIPrep gives them; noise."""

import json

import nibabel
import numpy as np
import pandas as pd

from giblet.brain.runs import MOTION

N, N_LEFT, T_R = 40, 30, 2.0
NEW = "{stem}_hemi-{side}_space-{space}_bold.func.gii"
OLD = "{stem}_space-{space}_hemi-{side}_bold.func.gii"  # fMRIPrep before 21


def series(side, seed=0, n=N, n_vertices=N_LEFT):
    """(n, n_vertices); vertex 3 of the left hemisphere is NaN, as on fMRIPrep's medial wall."""
    rng = np.random.default_rng([seed, ord(side)])
    values = rng.normal(1000, 10, (n, n_vertices)).astype(np.float32)
    if side == "L":
        values[:, 3] = np.nan
    return values


def save_gifti(path, values, step="2000.000000"):
    arrays = [
        nibabel.gifti.GiftiDataArray(row, intent="NIFTI_INTENT_TIME_SERIES") for row in values
    ]
    meta = nibabel.gifti.GiftiMetaData({"TimeStep": step} if step else {})
    nibabel.save(nibabel.gifti.GiftiImage(darrays=arrays, meta=meta), path)


def with_tables(folder, names, subjects=("01", "02")):
    """A data set whose files of BOLD ``names(func, stem, subject)`` writes; tables go with them."""
    root = folder / "derivatives" / "fmriprep"
    for number, subject in enumerate(subjects):
        func = root / f"sub-{subject}" / "func"
        func.mkdir(parents=True)
        stem = f"sub-{subject}_task-film_run-1"
        names(func, stem, number)
        motion = np.random.default_rng(number).normal(0, 0.01, (N, 6))
        table = pd.DataFrame(motion, columns=list(MOTION))
        table.to_csv(func / f"{stem}_desc-confounds_timeseries.tsv", sep="\t", index=False)
        events = pd.DataFrame({"onset": [4.0], "duration": [60.0], "stim_file": ["film.mp4"]})
        events.to_csv(func / f"{stem}_events.tsv", sep="\t", index=False)
    return folder


def hemispheres(pattern=NEW, space="fsaverage5", sides="LR", **options):
    def write(func, stem, number):
        for side in sides:
            path = func / pattern.format(stem=stem, side=side, space=space)
            save_gifti(path, options.get(f"{side}{number}", series(side, number)))
            sidecar = {"RepetitionTime": T_R, "StartTime": 0.0}
            path.with_name(path.name.replace(".func.gii", ".json")).write_text(json.dumps(sidecar))

    return write
