"""Inter-subject correlation of whole brains from disk: seconds and peak memory.

    python benchmarks/isc.py [--subjects 17] [--trs 1976] [--voxels 85810]

Writes a temporary HDF5 file of that size (Sherlock's: 11.5 GB), a shared time course and noise, and
reads it block by block. "numpy.corrcoef" is the definition in a loop, timed on 100 voxels.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

from giblet.brain.qc import tsnr
from giblet.stats.intersubject import isc, noise_ceiling

BLOCK = 1024  # voxels in a chunk of the file
N_LOOPED = 100


def write_brains(path: Path, shape: tuple[int, int, int]) -> None:
    """BOLD (n_subjects, n_trs, n_voxels) float32, block by block."""
    rng = np.random.default_rng(0)
    n_subjects, n_trs, n_voxels = shape
    with h5py.File(path, "w") as file:
        chunks = (1, n_trs, min(BLOCK, n_voxels))
        bold = file.create_dataset("bold", shape, dtype=np.float32, chunks=chunks)
        for start in range(0, n_voxels, BLOCK):
            size = (n_trs, min(BLOCK, n_voxels - start))
            shared = 1000 + rng.standard_normal(size, dtype=np.float32)
            for subject in range(n_subjects):
                noise = 2 * rng.standard_normal(size, dtype=np.float32)
                bold[subject, :, start : start + BLOCK] = shared + noise


def loop(bold: np.ndarray) -> np.ndarray:
    """Leave-one-out ISC by its definition, (n_subjects, n_voxels)."""
    r = np.empty((len(bold), bold.shape[2]))
    for i, voxel in np.ndindex(r.shape):
        others = np.delete(bold[:, :, voxel], i, axis=0).mean(axis=0)
        r[i, voxel] = np.corrcoef(bold[i, :, voxel], others)[0, 1]
    return r


def row(name: str, seconds: float, mean: float) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name:<36}{seconds:>9.1f}{peak:>11.0f}{mean:>9.4f}", flush=True)


def main() -> None:
    """Print one row per function."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subjects", type=int, default=17)
    parser.add_argument("--trs", type=int, default=1976)
    parser.add_argument("--voxels", type=int, default=85810)
    options = parser.parse_args()
    works = {
        "isc, leave_one_out": isc,
        "isc, pairwise": lambda bold: isc(bold, "pairwise"),
        "noise_ceiling": noise_ceiling,
        "tsnr": tsnr,
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bold.h5"
        write_brains(path, (options.subjects, options.trs, options.voxels))
        print(f"{'function':<36}{'wall s':>9}{'peak MB':>11}{'mean':>9}")
        with h5py.File(path) as file:
            for name, work in works.items():
                start = time.perf_counter()
                found = np.mean(work(file["bold"]))
                row(name, time.perf_counter() - start, found)
            part = file["bold"][:, :, :N_LOOPED]
        start = time.perf_counter()
        found = loop(part).mean()
        per_voxel = (time.perf_counter() - start) / part.shape[2]
        row("numpy.corrcoef loop, extrapolated", per_voxel * options.voxels, found)


if __name__ == "__main__":
    main()
