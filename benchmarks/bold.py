"""Reading and cleaning BOLD of Sherlock's size: seconds and peak memory by number of subjects.

    python benchmarks/bold.py [--subjects 1 2 4] [--trs 1976] [--voxels 85810] [--plain]

SIMULATED noise on the 3 mm grid of 61 × 73 × 61, int16, gzipped (``--plain``: not), six columns of
motion. Each number of subjects is read by the verb ``load_bold`` in its own process. Needs
5 GB of disk for four subjects, removed at the end.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd

from giblet.brain.runs import MOTION

SHAPE = (61, 73, 61)
AFFINE = np.array([[-3.0, 0, 0, 90], [0, 3, 0, -126], [0, 0, 3, -72], [0, 0, 0, 1]])
CHILD = """
import resource, sys, time
from pathlib import Path
from giblet.config.config import Config
from giblet.commands.scans import load_bold
start = time.perf_counter()
load_bold(Path(sys.argv[1]), Path(sys.argv[2]), Config())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(time.perf_counter() - start, peak)
"""


def write_subject(folder: Path, label: str, n_trs: int, mask: np.ndarray, ending: str) -> None:
    """Noise around 1,000 in the brain, 0 outside, and motion."""
    rng = np.random.default_rng(int(label))
    volumes = np.zeros((*SHAPE, n_trs), dtype=np.int16, order="F")
    for n in range(n_trs):
        volumes[..., n][mask] = 1000 + 30 * rng.standard_normal(mask.sum(), dtype=np.float32)
    nibabel.save(nibabel.Nifti1Image(volumes, AFFINE), folder / f"bold-{label}{ending}")
    motion = 0.01 * rng.standard_normal((n_trs, 6)).cumsum(axis=0)
    table = pd.DataFrame(motion, columns=list(MOTION))
    table.to_csv(folder / f"motion-{label}.tsv", sep="\t", index=False)


def write_scans(folder: Path, n_subjects: int, n_trs: int, n_voxels: int, ending: str) -> None:
    """Write images and their mask."""
    mask = np.zeros(SHAPE, dtype=bool)
    distance = np.square(np.indices(SHAPE) - np.reshape(SHAPE, (3, 1, 1, 1)) / 2).sum(axis=0)
    mask.flat[np.argsort(distance, axis=None, kind="stable")[:n_voxels]] = True
    nibabel.save(nibabel.Nifti1Image(mask.astype(np.uint8), AFFINE), folder / "mask.nii")
    for n in range(n_subjects):
        write_subject(folder, str(n + 1), n_trs, mask, ending)


def write_table(folder: Path, n_subjects: int, ending: str) -> Path:
    """A table of the first subjects' runs."""
    labels = [str(n + 1) for n in range(n_subjects)]
    table = pd.DataFrame({"subject": labels, "t_r": 1.5, "film_onset": 0.0, "mask": "mask.nii"})
    table["file"] = [f"bold-{label}{ending}" for label in labels]
    table["confounds"] = [f"motion-{label}.tsv" for label in labels]
    table.to_csv(folder / "runs.tsv", sep="\t", index=False)
    return folder / "runs.tsv"


def main() -> None:
    """Print one row a number of subjects."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subjects", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--trs", type=int, default=1976)
    parser.add_argument("--voxels", type=int, default=85810)
    parser.add_argument("--plain", action="store_true")
    options = parser.parse_args()
    ending = ".nii" if options.plain else ".nii.gz"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_scans(folder, max(options.subjects), options.trs, options.voxels, ending)
        print(f"{'subjects':>8}{'seconds':>9}{'peak, MB':>10}{'file, GB':>10}")
        for n in options.subjects:
            table, bold = write_table(folder, n, ending), folder / "bold.nc"
            command = [sys.executable, "-W", "ignore", "-c", CHILD, str(table), str(bold)]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            seconds, peak = map(float, said.split())
            size = bold.stat().st_size / 1e9
            print(f"{n:>8}{seconds:>9.1f}{peak:>10.0f}{size:>10.2f}", flush=True)


if __name__ == "__main__":
    main()
