"""Wall time and peak memory of the main job on the demo, from a clean tree, and of a second call.

    python benchmarks/main_job.py [--cores 8] [--target report] [snakemake arguments …]
    python benchmarks/main_job.py --compare COMMIT [--target report] [snakemake arguments …]

Runs in a temporary folder, so existing results are kept. Peak memory is that of all
processes of the job together, sampled ten times a second. A timeline of the jobs and the number
of processors that were busy on average follow. With ``--compare`` the same is run with the code
of a commit, in a git worktree of its own, and processor seconds are compared job by job.
Files among the arguments need absolute paths, as ``--configfile "$PWD/small.yaml"``.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from job_times import Job, ratios, read_jobs, timeline

ROOT = Path(__file__).parents[1]


def resident_mb(process: psutil.Process) -> float:
    """Memory (MB) of a process and all that it started, shared pages counted once each."""
    total = 0.0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_info().rss / 1e6
        except psutil.NoSuchProcess:
            continue
    return total


def measure(command: list[str], folder: str, code: Path = ROOT) -> tuple[float, float]:
    """Wall seconds and peak memory (MB) of a command, with giblet imported from ``code``."""
    paths = filter(None, [str(code), os.environ.get("PYTHONPATH")])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    start, peak = time.perf_counter(), 0.0
    log = Path(folder, "log.txt")
    with log.open("w") as output:
        running = psutil.Popen(command, cwd=folder, stdout=output, stderr=output, env=environment)
        while running.poll() is None:
            peak = max(peak, resident_mb(running))
            time.sleep(0.1)
    if running.returncode:
        sys.exit(log.read_text()[-3000:])
    return time.perf_counter() - start, peak


@contextmanager
def worktree(commit: str) -> Iterator[Path]:
    """The code of a commit, in a temporary folder."""
    git = ["git", "-C", str(ROOT), "worktree"]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "code")
        subprocess.run([*git, "add", "--quiet", "--detach", str(place), commit], check=True)
        try:
            yield place
        finally:
            subprocess.run([*git, "remove", "--force", str(place)], check=True)


def run(code: Path, options: argparse.Namespace, rest: list[str], calls: list[str]) -> list[Job]:
    """Run the job once for each of ``calls``, print a row each; the jobs of the first one."""
    snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(code / "Snakefile")]
    command = [*snakemake, "--cores", options.cores, options.target, *rest]
    jobs: list[Job] = []
    with tempfile.TemporaryDirectory() as folder:
        for call in calls:
            seconds, peak = measure(command, folder, code)
            print(f"{call:<12}{seconds:>10.1f}{peak:>10.0f}", flush=True)
            if not jobs:
                (times,) = Path(folder, "results").glob("*/times")
                jobs = read_jobs(times.parent)
    return jobs


def main() -> None:
    """Print one row per call, a timeline, and ratios if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", default="8")
    parser.add_argument("--target", default="reconstruct_audio")
    parser.add_argument("--compare", metavar="COMMIT", help="run it with this code first")
    options, rest = parser.parse_known_args()
    print(f"{'call':<12}{'seconds':>10}{'peak MB':>10}")
    before: list[Job] = []
    if options.compare:
        with worktree(options.compare) as code:
            before = run(code, options, rest, ["before"])
    jobs = run(ROOT, options, rest, ["after"] if options.compare else ["clean", "no-op"])
    print("", *timeline(jobs), sep="\n")
    if before:
        print("", *ratios(before, jobs), sep="\n")
    subprocess.run(["uname", "-srm"], check=True)


if __name__ == "__main__":
    main()
