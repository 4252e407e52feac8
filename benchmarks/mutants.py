"""Mutation testing: insert faults into the code one by one and list those that no test detects.

    python benchmarks/mutants.py [--only timing hrf] [--limit 300] [--list]

Each fault of ``mutants.yaml`` replaces one text of one file, in a temporary copy of the tree. A
fault survives if all test files listed with it still pass: then a test is missing. A fault whose
text is not in its file exactly once is stale and must be rewritten. Test files that fail, or take
too long, without any fault show nothing: they are reported as not green.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from importlib import import_module
from importlib.util import cache_from_source
from multiprocessing import get_context
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
TABLE = Path(__file__).with_suffix(".yaml")
# imported once, before the fork for each fault: they cost more than the tests
LIBRARIES = ("lightning", "librosa", "nilearn.glm.first_level", "pandas", "transformers", "xarray")
FORK = get_context("fork")
COPIED = ("giblet", "tests", "workflow", "config", "Snakefile", "pyproject.toml", "README.md")


@dataclass(frozen=True)
class Fault:
    """``old`` occurs once in ``file``; with ``new`` instead, one of ``tests`` must fail."""

    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def apply(self, text: str) -> str | None:
        """``text`` of the file with the fault in it; None if the fault is stale."""
        return text.replace(self.old, self.new) if text.count(self.old) == 1 else None


def all_faults() -> list[Fault]:
    """Every fault of ``mutants.yaml``."""
    groups = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    return [
        Fault(group["file"], old, new, tuple(group["tests"]))
        for group in groups["once_untested"] + groups["plausible"]
        for old, new in group["faults"]
    ]


def copy_tree(folder: Path) -> None:
    """Copy the files that tests need to ``folder``."""
    ignored = shutil.ignore_patterns("__pycache__", ".snakemake", "results")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        elif (ROOT / name).is_file():
            shutil.copy2(ROOT / name, folder / name)


def run_fault(fault: Fault, tree: Path, limit: float) -> str:
    """``caught``, ``survived``, ``stale`` or ``too slow`` (of an endless loop)."""
    file = tree / fault.file
    whole = file.read_text(encoding="utf-8")
    if (faulty := fault.apply(whole)) is None:
        return "stale"
    try:
        file.write_text(faulty, encoding="utf-8")
        status = run_tests(fault.tests, tree, limit)
    finally:
        file.write_text(whole, encoding="utf-8")
        Path(cache_from_source(str(file))).unlink(missing_ok=True)  # of the faulty text
    if status is None:
        return "too slow"
    return "caught" if status else "survived"


def run_tests(tests: tuple[str, ...], tree: Path, limit: float) -> int | None:
    """Exit status of pytest; None after ``limit`` seconds."""
    process = FORK.Process(target=_pytest, args=(tree, tests))
    process.start()
    process.join(limit)
    if process.is_alive():
        process.kill()
        process.join()
        return None
    if process.exitcode not in (pytest.ExitCode.OK, 1, pytest.ExitCode.INTERRUPTED):
        raise SystemExit(f"pytest could not run {' '.join(tests)}: exit {process.exitcode}")
    return process.exitcode


def _pytest(tree: Path, tests: tuple[str, ...]) -> None:
    """Run tests in this process, a fork with the large libraries but no giblet imported."""
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1), os.dup2(silent, 2)
    os.chdir(tree)
    sys.path[:] = [str(tree), *(p for p in sys.path if Path(p or ".").resolve() != ROOT)]
    os.environ["PYTHONPATH"] = str(tree)
    os.environ.setdefault("GIBLET_SHARED", str(ROOT.parent / "shared"))
    for marked in ("not slow", "slow"):
        options = ["-x", "-n", "0", "-q", "-p", "no:cacheprovider", "-m", marked]
        status = pytest.main([*options, *tests])
        if status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            os._exit(status)
    os._exit(0)


def main() -> None:
    """Run the chosen faults and print the result of each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[""], help="parts of files' names")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds a fault")
    parser.add_argument("--list", action="store_true", help="print the faults and run nothing")
    options = parser.parse_args()
    faults = [f for f in all_faults() if any(part in f.file for part in options.only)]
    if options.list:
        for fault in faults:
            text = (ROOT / fault.file).read_text(encoding="utf-8")
            print("stale" if fault.apply(text) is None else "     ", fault.file, repr(fault.new))
        return
    for library in LIBRARIES:
        import_module(library)
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        copy_tree(Path(folder))
        groups = {fault.tests for fault in faults}
        green = {tests: run_tests(tests, Path(folder), options.limit) == 0 for tests in groups}
        for fault in faults:
            begin = time.monotonic()
            is_green = green[fault.tests]
            outcome = run_fault(fault, Path(folder), options.limit) if is_green else "not green"
            outcomes[outcome] += 1
            seconds = time.monotonic() - begin
            print(f"{outcome:9}{seconds:5.0f} s  {fault.file}: {fault.new!r}", flush=True)
    print(f"{len(faults)} faults:", ", ".join(f"{n} {name}" for name, n in outcomes.items()))
    sys.exit(outcomes["caught"] + outcomes["too slow"] < len(faults))


if __name__ == "__main__":
    main()
