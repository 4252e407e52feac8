"""One Slurm for all tests of this folder; they are skipped where none can be started."""

import importlib.util
from pathlib import Path

import pytest


def _cluster():
    spec = importlib.util.spec_from_file_location("cluster", Path(__file__).with_name("cluster.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def slurm():
    """Environment variables under which commands reach a Slurm of two nodes on this computer."""
    cluster = _cluster()
    if reason := cluster.why_not():
        pytest.skip(f"no Slurm: {reason}")
    with cluster.slurm() as environment:
        # nodes of one computer, whose names nobody resolves
        yield environment | {"MASTER_ADDR": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo"}
