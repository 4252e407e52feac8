"""Fixtures that every test may use."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from sounds import sounds, voice_file  # noqa: F401


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
