"""Fixtures that every test may use, and how the suite is spread over processors."""

import hashlib
import os
from functools import partial
from pathlib import Path

# One thread a process, before any library starts its own: the suite runs one process a processor.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from sounds import sounds, voice_file  # noqa: E402, F401


def pytest_xdist_auto_num_workers(config):
    """``-n auto``: the processors that may be used; more than 8 would only wait for each other."""
    return min(8, getattr(os, "process_cpu_count", os.cpu_count)())


def pytest_collection_modifyitems(items):
    """Files with slow tests first: a long test that begins last is waited for."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    item.stash[SECONDS_BEFORE] = sum(os.times()[:4])
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item, nextitem):
    """Of each test, the seconds of processors that it and its processes took, for reports."""
    result = yield
    seconds = sum(os.times()[:4]) - item.stash[SECONDS_BEFORE]
    item.user_properties.append(("processor_seconds", f"{seconds:.2f}"))
    return result


SECONDS_BEFORE = pytest.StashKey[float]()


@pytest.fixture
def rng():
    """A seeded generator: the same numbers in every run."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def shared():
    """The folder of real sounds, films and scans beside the project; skips where it is missing."""
    root = Path(__file__).parents[1]
    folder = Path(os.environ.get("GIBLET_SHARED", root / ".." / "shared")).resolve()
    if not (folder / "audio").is_dir():
        pytest.skip(f"GIBLET_SHARED: no shared material in {folder}")
    return folder


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory):
    """A folder that all processes of this session share."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def small_results(session_folder):
    """A folder where the main job has run on 40 s of film; not to be changed."""
    from tiny_pipeline import make_film_alone, make_once

    return make_once(session_folder / "film alone", make_film_alone)


@pytest.fixture(scope="session")
def small_results_with_brains(small_results, session_folder):
    """The same with words and SIMULATED brains, up to the report; not to be changed."""
    from tiny_pipeline import make_once, make_with_brains

    make = partial(make_with_brains, small_results)
    return make_once(session_folder / "with brains", make)


@pytest.fixture
def as_the_hub_lays_it():
    """Makes a snapshot's files links to those of their hash in ``blobs``, as the hub's client."""

    def lay(snapshot):
        blobs = snapshot.parents[1] / "blobs"
        blobs.mkdir(exist_ok=True)
        for file in [path for path in snapshot.rglob("*") if not path.is_symlink()]:
            blob = blobs / hashlib.sha256(file.read_bytes()).hexdigest()
            file.replace(blob)
            file.symlink_to(os.path.relpath(blob, file.parent))

    return lay
