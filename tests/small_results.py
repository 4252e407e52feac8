"""A small folder of results, as the workflow writes them, of SIMULATED brains and noise."""

from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import soundfile
import xarray as xr

from giblet.io.arrays import save_arrays
from giblet.io.tables import save_table

RATE, SHAPE = 8000, (3, 4, 2)
MODEL = Path(__file__).parents[1] / "giblet/autoencoder/bundled/encodec"
AFFINE = np.array([[4.0, 0, 0, -8], [0, 4, 0, -4], [0, 0, 4, 0], [0, 0, 0, 1]])


def write_results(folder):
    """Two subjects' results with sounds, scores and one map."""
    rng = np.random.default_rng(0)
    (folder / "audio/encodec").mkdir(parents=True)
    for name, level in (("original", 0.2), ("brain", 0.002), ("codec", 0.2)):
        wave = rng.normal(0, level, 12 * RATE)
        soundfile.write(folder / f"audio/encodec/{name}.wav", wave, RATE)
    row = {
        "metric": "identification_sound_10way",
        "value": 0.44,
        "low": 0.21,
        "high": 0.68,
        "n": 12,
    }
    rows = [{"path": "encodec", "column": "brain", "n_failed": 0} | row]
    rows += [rows[0] | {"column": "brain_shuffled", "value": 0.08}]
    save_table(pd.DataFrame(rows), folder / "scores/encodec.tsv")
    (folder / "model").mkdir()
    (folder / "model/encodec").symlink_to(MODEL)
    mask = rng.random(SHAPE) > 0.3
    places = nibabel.affines.apply_affine(AFFINE, np.argwhere(mask))
    coords = {axis: ("voxel", places[:, k]) for k, axis in enumerate("xyz")}
    n_voxels, names = int(mask.sum()), ["sub-01", "sub-02"]
    isc = rng.random((2, n_voxels)).astype(np.float32)
    quality = xr.Dataset({"isc": (("subject", "voxel"), isc)}, coords | {"subject": names})
    save_arrays(quality.assign_attrs(bold_source="SIMULATED"), folder / "brain_quality.nc")
    volume = {"film_time": [0.0, 2.0], "in_film": [True, True]}
    volume |= {"subject": names, "run": ["run-1"] * 2}
    scans = xr.Dataset(
        {
            "bold": (("volume", "voxel"), np.zeros((2, n_voxels), np.float32)),
            "mask": (("i", "j", "k"), mask),
        },
        coords | {name: ("volume", values) for name, values in volume.items()},
        {"t_r": 2.0, "source": "SIMULATED", "affine": AFFINE.ravel().tolist()},
    )
    save_arrays(scans, folder / "bold.nc")
    return folder
