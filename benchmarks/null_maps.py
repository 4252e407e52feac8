"""Memory and time of p corrected over the brain, of ridge for one person.

    python benchmarks/null_maps.py [--voxels 50000 200000] [--trs 300] [--nulls 500] [--max-t]

BOLD is SIMULATED noise on a grid of voxels, read from a file in blocks; two bands, so there are
three maps with nulls (each band, both). Every size has a process of its own. Printed: wall and
processor seconds and the peak of memory.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray as xr

from giblet.evaluation.quality import brain_quality
from giblet.io.arrays import open_arrays, save_arrays

T_R = 1.5


def scans(n_trs: int, n_voxels: int) -> xr.Dataset:
    """One person, one run; places fill a cube."""
    side = int(np.ceil(n_voxels ** (1 / 3)))
    mask = np.zeros((side, side, side), dtype=bool)
    mask.ravel()[:n_voxels] = True
    i, j, k = np.argwhere(mask).T * 3.0
    bold = np.random.default_rng(0).standard_normal((n_trs, n_voxels), dtype=np.float32)
    return xr.Dataset(
        {"bold": (("volume", "voxel"), bold), "mask": (("i", "j", "k"), mask)},
        coords={
            "subject": ("volume", ["sub-01"] * n_trs),
            "run": ("volume", ["run-1"] * n_trs),
            "film_time": ("volume", (np.arange(n_trs) + 0.5) * T_R),
            "in_film": ("volume", np.ones(n_trs, dtype=bool)),
            "x": ("voxel", i),
            "y": ("voxel", j),
            "z": ("voxel", k),
        },
        attrs={"t_r": T_R, "warnings": [], "source": "SIMULATED"},
    )


def film(n_trs: int) -> dict[str, xr.Dataset]:
    """Two bands of noise as smooth as what the HRF blurs."""
    rng = np.random.default_rng(1)
    white = rng.standard_normal((2, n_trs + 4, 60))
    bands = sum(white[:, k : k + n_trs] for k in range(5)).astype(np.float32)
    names = ("audio", "video")
    return {
        n: xr.Dataset({"regressors": (("volume", "feature"), b)})
        for n, b in zip(names, bands, strict=True)
    }


def measure(path: Path, n_trs: int, max_t: bool, **options: int) -> None:
    """Print a row: the file's maps, in this process."""
    before, begin = time.process_time(), time.perf_counter()
    with open_arrays(path) as arrays:
        arrays = arrays.drop_vars("mask") if max_t else arrays
        found = brain_quality(arrays, film(n_trs), T_R, **options)
        n_voxels = arrays.sizes["voxel"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    wall, own = time.perf_counter() - begin, time.process_time() - before
    n_maps = sum(str(name).endswith("_p_max") for name in found)
    print(
        f"{n_voxels:>8}{options['n_shift_maps']:>7}{n_maps:>6}{wall:>9.0f}{own:>9.0f}{peak:>9.0f}",
        flush=True,
    )


def main() -> None:
    """Print one row per size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--voxels", type=int, nargs="+", default=[50_000, 200_000])
    parser.add_argument("--trs", type=int, default=300)
    parser.add_argument("--nulls", type=int, nargs="+", default=[500])
    parser.add_argument("--shifts", type=int, default=5000, help="nulls of single voxels")
    parser.add_argument("--iter", type=int, default=20, help="mixtures of the two bands")
    parser.add_argument("--max-t", action="store_true", help="no neighbours, and so no TFCE")
    options = parser.parse_args()
    print(f"{'voxels':>8}{'nulls':>7}{'maps':>6}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}")
    processes = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        for n_voxels in options.voxels:
            path = Path(folder) / "bold.nc"
            save_arrays(scans(options.trs, n_voxels), path)
            for n_nulls in options.nulls:
                asked = {"n_shift_maps": n_nulls, "n_shifts": options.shifts}
                asked["n_iter"] = options.iter
                sizes = (path, options.trs, options.max_t)
                job = processes.Process(target=measure, args=sizes, kwargs=asked)
                job.start()
                job.join()


if __name__ == "__main__":
    main()
