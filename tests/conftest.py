"""Fixtures that every test may use."""

import os
from pathlib import Path

import numpy as np
import pytest


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
