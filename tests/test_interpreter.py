"""Rules run the Python and the giblet that planned them, unless conda or a container is used."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from giblet.commands.process import rule_environment

ROOT = Path(__file__).parents[1]
SNAKEMAKE = Path(sys.executable).with_name("snakemake")


@pytest.mark.slow
@pytest.mark.skipif(not SNAKEMAKE.exists(), reason="no snakemake beside this Python")
def test_another_python_on_the_path_is_not_run(tmp_path):
    """Also a film whose name begins as an option, and modules in the folder with others' names."""
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 4 * 8000)
    soundfile.write(tmp_path / "-clip.wav", noise, 8000)
    (tmp_path / "bin").mkdir()
    for name in ("python", "python3"):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\necho another Python; exit 9\n")
        (tmp_path / "bin" / name).chmod(0o755)
    for name in ("av.py", "giblet.py"):
        (tmp_path / name).write_text("raise ImportError('not this one')\n")
    command = [SNAKEMAKE, "--snakefile", ROOT / "Snakefile", "--cores", "1"]
    command += ["results/x/features/mel.nc", "--config", "dataset=x", "film=-clip.wav"]
    path = os.pathsep.join([str(tmp_path / "bin"), "/usr/bin", "/bin"])
    done = subprocess.run(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
        env={"PATH": path, "HOME": str(tmp_path), "OMP_WAIT_POLICY": "PASSIVE"},
    )
    assert done.returncode == 0, done.stdout
    assert "another Python" not in done.stdout
    assert (tmp_path / "results" / "x" / "features" / "mel.nc").is_file()


@pytest.mark.parametrize("method", ["CONDA", "APPTAINER"])
def test_conda_and_containers_have_a_python_of_their_own(method):
    assert rule_environment({method, "ENV_MODULES"}) == {"GIBLET_PYTHON": "python"}
    assert rule_environment({"ENV_MODULES"})["GIBLET_PYTHON"] == sys.executable


def test_what_is_in_pythonpath_stays(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/mine")
    monkeypatch.setattr("site.getsitepackages", list)
    *_, last = rule_environment(set())["PYTHONPATH"].split(os.pathsep)
    assert last == "/mine"
