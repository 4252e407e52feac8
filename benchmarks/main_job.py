"""Wall time and peak memory of the main job on the demo, from a clean tree, and of a second call.

    python benchmarks/main_job.py [--cores 8] [snakemake arguments …]

Runs in a temporary folder, so existing results are kept. Peak memory is that of all
processes of the job together, sampled ten times a second.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

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


def measure(command: list[str], folder: str) -> tuple[float, float]:
    """Wall seconds and peak memory (MB) of a command."""
    start, peak = time.perf_counter(), 0.0
    log = Path(folder, "log.txt")
    with log.open("w") as output:
        running = psutil.Popen(command, cwd=folder, stdout=output, stderr=output)
        while running.poll() is None:
            peak = max(peak, resident_mb(running))
            time.sleep(0.1)
    if running.returncode:
        sys.exit(log.read_text()[-3000:])
    return time.perf_counter() - start, peak


def main() -> None:
    """Print one row per call."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", default="8")
    parser.add_argument("--target", default="reconstruct_audio")
    options, rest = parser.parse_known_args()
    snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command = [*snakemake, "--cores", options.cores, options.target, *rest]
    print(f"{'call':<12}{'seconds':>10}{'peak MB':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for call in ("clean", "no-op"):
            seconds, peak = measure(command, folder)
            print(f"{call:<12}{seconds:>10.1f}{peak:>10.0f}", flush=True)
    subprocess.run(["uname", "-srm"], check=True)


if __name__ == "__main__":
    main()
