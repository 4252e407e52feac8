"""The whole pipeline, report included, on a data set of any size: seconds and memory of each rule.

    python benchmarks/scaling.py [--trs 1976] [--voxels 85810] [--subjects 17] [--epochs 2]
        [--max-voxels 5000] [--mixtures 20] [--test 0.2]
    python benchmarks/scaling.py --slopes [trs voxels subjects] --epochs 1 --mixtures 3 --test 0.05
        each of the three, or those named, grows eightfold; every rule gets all voxels
    python benchmarks/scaling.py --slopes --trs 160 --voxels 500 --subjects 2 --figure growth.svg
        the same on a small base, and a figure of minutes against hours of film, people, voxels
    python benchmarks/scaling.py --slopes trs --trs 1280 --voxels 500 --subjects 2
        --target results/scaling/brain_quality.nc
        another base; only up to this file

The film is giblet's own, repeated; the brains are SIMULATED and watch it, two runs each, as
uncompressed NIfTI. A rule's peak memory is its process's high-water mark; the job's is
that of all processes together, sampled ten times a second. "busy" are processor seconds,
which other work on the machine affects less than wall-clock seconds: slopes use these.
Needs three times the scans' size of disk (for Sherlock's: 30 GB), removed at the end.

A slope s of 1 is linear. A rule's fixed cost (imports, models) would hide growth, so each
is run at three sizes, half of BASE, BASE and four times BASE, and s is the exponent of
fixed + growing * size ** s, fitted to the three. Growth of less than LEAST from BASE
to four times BASE is within the noise: -. A repeated
film adds no new content, so its regressors have fewer dimensions than those of a film of
that length: ridge with fewer training TRs than these grows with their square.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import av
import nibabel
import numpy as np
import pandas as pd
import psutil
from scaling_figure import draw
from scipy.ndimage import binary_dilation, generate_binary_structure

from giblet.brain.runs import MOTION
from giblet.config.config import Config
from giblet.demo import annotations_path, film_path
from giblet.demo.brains import Brain, make_brain, run_clocks, simulate_scans
from giblet.demo.stimulus import RATE_HZ, stimulus_features
from giblet.io.tables import load_table, save_json, save_table

ROOT = Path(__file__).parents[1]
T_R, N_RUNS, LEAD_IN, LEAD_OUT = 1.5, 2, 6.0, 9.0  # s
SHERLOCK = {"trs": 1976, "voxels": 85810, "subjects": 17}
BASE = {"trs": 320, "voxels": 2000, "subjects": 4}
LEAST = {"busy": 3.0, "peak_mb": 40.0}


@dataclass(frozen=True)
class Cost:
    """Cost of one rule: wall seconds, processor seconds, peak memory (MB)."""

    seconds: float
    busy: float
    peak_mb: float


def write_film(folder: Path, seconds: float) -> tuple[Path, Path]:
    """Write the bundled film and its words, repeated for at least ``seconds``."""
    film, words = folder / "film.mp4", load_table(annotations_path())
    said, start = [], 0.0
    with av.open(str(film), "w") as out:
        streams = None
        while start < seconds:
            with av.open(str(film_path())) as source:
                streams = streams or [out.add_stream_from_template(s) for s in source.streams]
                for packet in source.demux():
                    if packet.dts is None:
                        continue
                    shift = round(start / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = streams[packet.stream.index]
                    out.mux(packet)
                length = source.duration / av.time_base + 0.2  # copies must not overlap
            said.append(words.assign(onset=words["onset"] + start))
            start += length
    save_table(pd.concat(said), folder / "words.tsv")
    return film, folder / "words.tsv"


def brain_of(n_voxels: int) -> Brain:
    """A 3 mm brain with ``n_voxels``: a mask widened by two voxels and evenly subsampled."""
    brain = make_brain(3, noise=1.1)
    wide = binary_dilation(brain.mask, generate_binary_structure(3, 3), iterations=2)
    places = np.argwhere(wide)
    kept = places[np.linspace(0, len(places) - 1, n_voxels).round().astype(int)]
    low = places.min(axis=0)
    mask = np.zeros(places.max(axis=0) + 1 - low, dtype=bool)
    mask[tuple((kept - low).T)] = True
    index = np.full(wide.shape, -1)
    index[brain.mask] = np.arange(brain.mask.sum())
    own = index[tuple(kept.T)]  # -1: outside of the brain, answers to nothing
    affine = brain.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ low
    membership, strength = brain.membership[:, own] & (own >= 0), brain.strength[own] * (own >= 0)
    return Brain(mask, affine, membership, strength, brain.noise)


def write_scans(folder: Path, film: Path, words: Path, brain: Brain, n_trs: int, n: int) -> Path:
    """Write SIMULATED scans of ``n`` subjects and their table of runs."""
    features = stimulus_features(film, words, Config().words)
    features = [f[: round(n_trs * T_R * RATE_HZ)] for f in features]
    clocks = run_clocks(n_trs * T_R, T_R, N_RUNS, LEAD_IN, LEAD_OUT)
    nibabel.save(nibabel.Nifti1Image(brain.mask.astype(np.uint8), brain.affine), folder / "m.nii")
    rows = []
    scans = simulate_scans(features, RATE_HZ, T_R, clocks, brain, n, seed=0)
    for subject, run, bold, motion in scans:
        name = f"sub-{subject + 1:02d}_run-{run + 1}"
        image = np.zeros((*brain.mask.shape, len(bold)), dtype=np.int16, order="F")
        image[brain.mask] = np.rint(bold).T
        nibabel.save(nibabel.Nifti1Image(image, brain.affine), folder / f"{name}.nii")
        save_table(pd.DataFrame(motion, columns=list(MOTION)), folder / f"{name}.tsv")
        clock = clocks[run]
        rows.append(
            {
                "subject": f"sub-{subject + 1:02d}",
                "run": f"run-{run + 1}",
                "file": f"{name}.nii",
                "mask": "m.nii",
                "confounds": f"{name}.tsv",
                "t_r": T_R,
                "start_time": clock.scan_times[0],
                "film_onset": clock.lead_in,
                "stim_onset": clock.film_start,
                "duration": clock.duration,
            }
        )
    save_table(pd.DataFrame(rows), folder / "runs.tsv")
    return folder / "runs.tsv"


def run(folder: Path, config: dict, target: str) -> tuple[dict[str, Cost], Cost]:
    """Run Snakemake in ``folder``; costs of every rule by name, and of the whole job."""
    save_json(config, folder / "config.yaml")  # JSON is YAML
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--cores", "2", target, "--configfile", "config.yaml"]
    start, marks, peak = time.perf_counter(), {}, 0.0
    with (folder / "log.txt").open("w") as output:
        job = psutil.Popen(command, cwd=folder, stdout=output, stderr=output)
        while job.poll() is None:
            peak = max(peak, note_marks(job, marks))
            time.sleep(0.1)
    if job.returncode:
        sys.exit((folder / "log.txt").read_text()[-3000:])
    times = (folder / "results" / config["dataset"] / "times").glob("*.tsv")
    seconds = {file.stem: load_table(file)["s"].iloc[0] for file in times}
    costs = {rule: Cost(s, *marks.get(rule, (np.nan, np.nan))) for rule, s in seconds.items()}
    busy = sum(mark for mark, _mb in marks.values())
    return costs, Cost(time.perf_counter() - start, busy, peak)


def note_marks(job: psutil.Process, marks: dict[str, tuple[float, float]]) -> float:
    """Record in ``marks`` the processor s and peak MB of running verbs; MB of all together."""
    total = 0.0
    for process in [job, *job.children(recursive=True)]:
        try:
            words = process.cmdline()
            total += process.memory_info().rss / 1e6
            status, used = Path(f"/proc/{process.pid}/status").read_text(), process.cpu_times()
        except (psutil.Error, OSError):
            continue
        if words[1:3] == ["-m", "giblet"] and "VmHWM" in status:
            mark = float(status.split("VmHWM:")[1].split()[0]) / 1000
            busy = sum((used.user, used.system, used.children_user, used.children_system))
            marks[rule_of(words[3:])] = busy, mark
    return total


def rule_of(words: list[str]) -> str:
    """Name of the rule's benchmark: verb and object, as of its file in ``times``.

    >>> rule_of(["group_trs", "--stream", "results/x/features/mel.nc", "--trs", "t"])
    'group_trs_mel'
    """
    verb = words[0]
    if verb not in ("group_trs", "convolve_hrf", "sync_align", "train", "reconstruct"):
        return verb
    first = Path(words[2] if verb != "reconstruct" else words[words.index("--aligned") + 1])
    return f"{verb}_{first.stem}"


def measure(size: dict[str, int], settings: dict, options: argparse.Namespace):
    """Costs by rule, and of the job, for a data set of this size."""
    n_trs, n_voxels, n_subjects = size.values()
    where = options.folder
    with tempfile.TemporaryDirectory(dir=where) as temporary:
        folder = Path(temporary)
        film, words = write_film(folder, n_trs * T_R)
        bold = write_scans(folder, film, words, brain_of(n_voxels), n_trs, n_subjects)
        config = {
            "dataset": "scaling",
            "film": str(film),
            "annotations": str(words),
            "bold": str(bold),
            "t_r": T_R,
            "max_trs": n_trs,
            **settings,
        }
        costs, job = run(folder, config, options.target)
        files = sorted(
            ((f.stat().st_size / 1e9, str(f.relative_to(folder))) for f in folder.rglob("*.n*")),
            reverse=True,
        )
        print(f"scans {sum(s for s, f in files if f.endswith('.nii')):.1f} GB; largest made:")
        print(*(f"  {size:.2f} GB {name}" for size, name in files if "/" in name), sep="\n")
        for page in folder.glob("results/scaling/report.html"):
            print(f"  report {page.stat().st_size / 1e6:.1f} MB", flush=True)
    return costs, job


def show(costs: dict[str, Cost], job: Cost) -> None:
    """Print one row per rule."""
    print(f"{'rule':<26}{'seconds':>9}{'busy':>9}{'peak MB':>9}")
    for rule, cost in sorted(costs.items()):
        print(f"{rule:<26}{cost.seconds:>9.1f}{cost.busy:>9.1f}{cost.peak_mb:>9.0f}")
    print(f"{'whole job':<26}{job.seconds:>9.1f}{job.busy:>9.1f}{job.peak_mb:>9.0f}", flush=True)


def show_slopes(base: dict[str, int], settings: dict, options: argparse.Namespace) -> None:
    """Exponents of growth of each rule's processor seconds and memory, by what grows."""
    names = options.slopes or list(base)
    found = {"base": measure_all(base, settings, options)}
    for what in names:
        for factor in (0.5, 4):
            grown = base | {what: round(factor * base[what])}
            found[what, factor] = measure_all(grown, settings, options)
    print(f"{'rule':<26}" + "".join(f"{what + ': s':>14}{'MB':>7}" for what in names))
    for rule in sorted(found["base"]):
        row = f"{rule:<26}"
        for what in names:
            costs = [found[key][rule] for key in ((what, 0.5), "base", (what, 4))]
            row += f"{slope(costs, 'busy'):>14}{slope(costs, 'peak_mb'):>7}"
        print(row, flush=True)
    if options.figure:
        draw(growth_of(found, base, names), T_R, options.figure)


def growth_of(found: dict, base: dict[str, int], names: list[str]) -> dict:
    """What grows → size → rule → processor seconds, as `draw` takes it."""
    return {
        what: {
            round(factor * base[what]): {
                rule: cost.busy for rule, cost in found[key].items() if np.isfinite(cost.busy)
            }
            for factor, key in ((0.5, (what, 0.5)), (1, "base"), (4, (what, 4)))
        }
        for what in names
    }


def measure_all(size: dict[str, int], settings: dict, options: argparse.Namespace):
    """Measure and print costs by rule, and of the job by its name."""
    print("---", *(f"{n} {what}" for what, n in size.items()), flush=True)
    costs, job = measure(size, settings, options)
    show(costs, job)
    return costs | {"whole job": job}


def slope(costs: list[Cost], what: str) -> str:
    """The exponent fitted to a rule's costs at half a size, at the size and at four times it.

    >>> slope([Cost(0, 10, 0), Cost(0, 15, 0), Cost(0, 45, 0)], "busy")
    '1.00'
    >>> slope([Cost(0, 10, 0), Cost(0, 16, 0), Cost(0, 136, 0)], "busy")
    '2.00'
    >>> slope([Cost(0, 10, 0), Cost(0, 11, 0), Cost(0, 13, 0)], "busy")
    '-'
    """
    half, base, grown = (getattr(cost, what) for cost in costs)
    if not grown - base > LEAST[what]:
        return "-"
    ratio = (grown - base) / max(base - half, LEAST[what] / 6)  # 6 if in proportion
    exponents = np.arange(0.005, 4, 0.005)
    ratios = (4**exponents - 1) / (1 - 0.5**exponents)
    return f"{exponents[np.abs(ratios - ratio).argmin()]:.2f}"


def main() -> None:
    """Print costs at one size, or slopes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for what in BASE:
        parser.add_argument(f"--{what}", type=int)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--max-voxels", type=int, default=5000)
    parser.add_argument("--mixtures", type=int, default=20, help="that banded ridge tries")
    parser.add_argument("--test", type=float, default=0.2, help="share of the film")
    parser.add_argument("--target", default="report", help="of the workflow")
    parser.add_argument("--folder", help="where the temporary folder goes")
    parser.add_argument("--slopes", nargs="*", choices=list(BASE), help="of all, or of these")
    parser.add_argument("--figure", type=Path, help="of --slopes: minutes against size")
    options = parser.parse_args()
    settings = {
        "max_voxels": options.max_voxels,
        "training": {"max_epochs": options.epochs},
        "quality": {"n_iter": options.mixtures},
        "splits": {"test": options.test},
    }
    given = {what: n for what in BASE if (n := getattr(options, what))}
    if options.slopes is not None:
        show_slopes(BASE | given, settings | {"max_voxels": None}, options)
    else:
        show(*measure(SHERLOCK | given, settings, options))


if __name__ == "__main__":
    main()
