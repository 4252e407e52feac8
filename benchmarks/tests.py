"""Time of the test suite: its slowest tests and files, and the total.

    python benchmarks/tests.py [--slowest 30] [-- pytest's arguments, as -m '' or tests/audio]

Wall-clock seconds are those of a test with its fixtures; a session fixture counts for the first
test that uses it. Processor seconds include the processes that a test starts, and are stable on
a busy computer: their sum over the number of processors is about the suite's time on idle ones.
"""

import argparse
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]


def read_times(report: Path) -> dict[str, tuple[float, float]]:
    """Test → its wall-clock and processor seconds."""
    times = {}
    for case in ElementTree.parse(report).iter("testcase"):
        values = {p.get("name"): p.get("value") for p in case.iter("property")}
        seconds = float(case.get("time")), float(values.get("processor_seconds", 0))
        times[f"{case.get('classname')}::{case.get('name')}"] = seconds
    return times


def print_slowest(times: dict[str, tuple[float, float]], n: int) -> None:
    for name, (seconds, processor) in sorted(times.items(), key=lambda t: t[1][1])[-n:][::-1]:
        print(f"{seconds:8.1f} {processor:10.1f}  {name[:110]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slowest", type=int, default=30, help="how many to print")
    parser.add_argument("--report", type=Path, help="JUnit XML of an earlier run: run nothing")
    parser.add_argument("pytest", nargs="*", help="pytest's arguments, after --")
    options = parser.parse_args()
    code, total = 0, None
    with tempfile.TemporaryDirectory() as folder:
        report = options.report or Path(folder) / "report.xml"
        if not options.report:
            began = time.perf_counter()
            command = [sys.executable, "-m", "pytest", f"--junitxml={report}", *options.pytest]
            code = subprocess.run(command, cwd=ROOT).returncode
            total = time.perf_counter() - began
        times = read_times(report)
    files = defaultdict(lambda: (0.0, 0.0))
    for name, (seconds, processor) in times.items():
        file = name.partition("::")[0]
        files[file] = files[file][0] + seconds, files[file][1] + processor
    print(f"\n{'seconds':>8} {'processor':>10}  test")
    print_slowest(times, options.slowest)
    print(f"\n{'seconds':>8} {'processor':>10}  file")
    print_slowest(files, options.slowest)
    both = [sum(column) for column in zip(*times.values(), strict=True)]
    print(f"\n{len(times)} tests: {both[0]:.0f} s, {both[1]:.0f} s of processors", end="")
    print(f"; {total:.0f} s by the clock" if total else "")
    return code


if __name__ == "__main__":
    sys.exit(main())
