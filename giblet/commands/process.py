"""Processes: the Python that rules run, and libraries that use few threads and print nothing."""

import logging
import os
import site
import sys
import warnings
from collections.abc import Collection
from pathlib import Path


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


def quiet_libraries() -> None:
    """Leave standard error to giblet: no tips, no progress bars that nobody watches."""
    if not sys.stderr.isatty():
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
        if "huggingface_hub" in sys.modules:  # it has read the environment already
            from huggingface_hub.utils import disable_progress_bars

            disable_progress_bars()
        if "transformers" in sys.modules:
            from transformers.utils.logging import disable_progress_bar

            disable_progress_bar()
    logging.disable(logging.INFO)  # lightning sets its own level when it is imported
    warnings.filterwarnings("ignore", module=r"(lightning|torch)\.")


def hush_hdf5() -> None:
    """What could not be written HDF5 says again as its objects are freed: not so any more."""
    sys.excepthook, sys.unraisablehook = _tell, _tell_unraisable


def _tell(kind, error, traceback) -> None:
    if not _is_of_hdf5(error):
        sys.__excepthook__(kind, error, traceback)


def _tell_unraisable(unraisable) -> None:
    if not _is_of_hdf5(unraisable.exc_value):
        sys.__unraisablehook__(unraisable)


def _is_of_hdf5(error: BaseException | None) -> bool:
    return str(error).startswith("Can't decrement id ref count")
