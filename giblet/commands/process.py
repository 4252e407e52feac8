"""Processes: the Python that rules run, and how many threads and jobs they use."""

import os
import site
import sys
from collections.abc import Collection
from pathlib import Path

from giblet.errors import GibletError


def rule_environment(deployment: Collection[str]) -> dict[str, str]:
    """Environment variables for the shell lines of rules, which run ``$GIBLET_PYTHON -m giblet``.

    It is the Python that runs now, with the giblet that is imported now, whatever ``PATH`` names
    and the working folder holds; with ``CONDA`` or ``APPTAINER`` (Snakemake's names of deployment
    methods) among ``deployment`` it is the one that these bring.
    """
    if not {"CONDA", "APPTAINER"}.isdisjoint(deployment):
        return {"GIBLET_PYTHON": "python"}
    variables = {"GIBLET_PYTHON": sys.executable, "PYTHONSAFEPATH": "1"}
    folder = str(Path(__file__).resolve().parents[2])
    if folder in site.getsitepackages():
        return variables
    paths = filter(None, [folder, os.environ.get("PYTHONPATH")])
    return variables | {"PYTHONPATH": os.pathsep.join(paths)}


def limit_threads(n: int) -> None:
    """Keep torch, BLAS and OpenMP to ``n`` threads that sleep while they wait."""
    for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA"):
        os.environ[f"{name}_NUM_THREADS"] = str(n)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def jobs_at_once(jobs: int) -> int:
    """``--jobs``, but no more than there are processors.

    The workflow gives a rule's threads, which are many with ``--cores 8`` on two processors.
    Raises GibletError below 1.
    """
    if jobs < 1:
        raise GibletError(f"--jobs must be 1 or more, not {jobs}")
    return min(jobs, os.cpu_count() or 1)


def quiet_hdf5() -> None:
    """Do not print that HDF5 cannot free objects: a failure to write them was reported before."""
    sys.excepthook, sys.unraisablehook = _print_exception, _print_unraisable


def _print_exception(kind, error, traceback) -> None:
    if not _is_of_hdf5(error):
        sys.__excepthook__(kind, error, traceback)


def _print_unraisable(unraisable) -> None:
    if not _is_of_hdf5(unraisable.exc_value):
        sys.__unraisablehook__(unraisable)


def _is_of_hdf5(error: BaseException | None) -> bool:
    return str(error).startswith("Can't decrement id ref count")
