"""Reading of surfaces from BIDS, and max-T and TFCE of maps: processor seconds and memory.

Simulated noise on fsaverage5: 20,484 vertices × 2,000 volumes.
`python benchmarks/surfaces.py FOLDER` writes the scans there (340 MB), unless it exists.
"""

import json
import resource
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import xarray as xr
from nibabel.cifti2 import BrainModelAxis, SeriesAxis

from giblet.brain.bids import read_runs
from giblet.brain.cortex import mesh_edges
from giblet.brain.runs import MOTION
from giblet.stats.group_maps import null_maps
from giblet.stats.tfce import MESH_POWERS

N_VERTICES, N_VOLUMES, T_R, N_NULLS = 10_242, 2000, 1.5, 1000


def write(folder: Path) -> None:
    func, stem = folder / "sub-01" / "func", "sub-01_task-film"
    func.mkdir(parents=True)
    rng = np.random.default_rng(0)
    shape = N_VOLUMES, 2 * N_VERTICES
    values = (1000 + 10 * rng.standard_normal(shape)).astype(np.float32)
    axes = []
    for side, name, part in zip("LR", ("LEFT", "RIGHT"), np.split(values, 2, axis=1), strict=True):
        arrays = [nibabel.gifti.GiftiDataArray(row) for row in part]
        path = func / f"{stem}_hemi-{side}_space-fsaverage5_bold.func.gii"
        nibabel.save(nibabel.gifti.GiftiImage(darrays=arrays), path)
        structure = f"CIFTI_STRUCTURE_CORTEX_{name}"
        axes.append(BrainModelAxis.from_surface(np.arange(N_VERTICES), N_VERTICES, structure))
    rows = SeriesAxis(0, T_R, N_VOLUMES, unit="SECOND")
    image = nibabel.Cifti2Image(values, (rows, axes[0] + axes[1]))
    nibabel.save(image, func / f"{stem}_space-fsLR_den-91k_bold.dtseries.nii")
    for kind in ("hemi-L_space-fsaverage5", "space-fsLR_den-91k"):
        sidecar = json.dumps({"RepetitionTime": T_R, "StartTime": 0.0})
        (func / f"{stem}_{kind}_bold.json").write_text(sidecar)
    table = pd.DataFrame(rng.normal(0, 0.01, (N_VOLUMES, 6)), columns=list(MOTION))
    table.to_csv(func / f"{stem}_desc-confounds_timeseries.tsv", sep="\t", index=False)
    events = pd.DataFrame({"onset": [0.0], "duration": [2990.0], "stim_file": ["film.mp4"]})
    events.to_csv(func / f"{stem}_events.tsv", sep="\t", index=False)


def megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(what: str, call) -> None:
    begin = time.process_time()
    call()
    print(f"{what}: {time.process_time() - begin:.1f} s, peak {megabytes():.0f} MB")


def read(folder: Path, space: str) -> None:
    recording = read_runs(folder, None, (), space=space)[0].recording
    columns = recording.shared_columns([recording])
    for block in recording.blocks(columns):
        del block


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    if not folder.exists():
        write(folder)
    print(f"imports: peak {megabytes():.0f} MB")
    for space in ("fsLR:den-91k", "fsaverage5"):
        timed(f"one reading, {space}", lambda space=space: read(folder, space))
    maps = np.random.default_rng(0).standard_normal((N_NULLS, 2 * N_VERTICES))
    attrs = {"surface": "fsaverage5", "n_vertices": [N_VERTICES, N_VERTICES]}
    edges = mesh_edges(xr.Dataset(attrs=attrs))
    timed("max-T, 1,000 nulls", lambda: null_maps(maps[0], maps))
    few = maps[:100]
    timed("max-T and TFCE, 100 nulls", lambda: null_maps(maps[0], few, edges, MESH_POWERS))
