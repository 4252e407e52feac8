"""Seconds and peak memory of ``extract_video`` on the demo film, by ``video.features``.

    python benchmarks/pictures.py [--features colours motion_energy]

Each runs in its own process.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from giblet.demo import film_path


def measured(features: str, folder: Path) -> tuple[float, float, float]:
    """Wall seconds, processor seconds and peak memory (MB)."""
    spent = time_of_children()
    options = {"film": film_path(), "video": folder / "video.nc"}
    options["settings"] = json.dumps({"video": {"features": features}})
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    began, peak = time.perf_counter(), 0
    job = subprocess.Popen([sys.executable, "-m", "giblet", "extract_video", *words])
    watched = psutil.Process(job.pid)
    while job.poll() is None:
        peak = max(peak, watched.memory_info().rss)
        time.sleep(0.05)
    assert job.returncode == 0
    return time.perf_counter() - began, time_of_children() - spent, peak / 1e6


def time_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", nargs="+", default=["colours", "motion_energy"])
    print(f"{'features':<16} {'seconds':>8} {'CPU s':>8} {'peak MB':>8}")
    for features in parser.parse_args().features:
        with tempfile.TemporaryDirectory() as folder:
            seconds, worked, peak = measured(features, Path(folder))
        print(f"{features:<16} {seconds:>8.0f} {worked:>8.0f} {peak:>8.0f}")


if __name__ == "__main__":
    main()
