"""What the system refuses: one clear line, exit code 1, and nothing that looks like a result."""

import os
import re
import resource
import shutil
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_pipeline import FILM, Pipeline, kill_all, wait_until

from giblet.demo import film_path
from giblet.io.atomic import replacing
from giblet.io.checkpoints import SealedCheckpoints
from giblet.io.tables import save_table

MEL = ["extract_mel", "--film", film_path(), "--settings", '{"max_trs": 20}']


def giblet(*arguments, **options):
    """Run a verb in a process of its own: exit code, lines of what it says."""
    command = [sys.executable, "-m", "giblet", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, **options)
    return done.returncode, [line for line in done.stderr.splitlines() if "INFO" not in line]


def write_runs(folder):
    """A table of one run of parcels."""
    series = {f"p{n}": 100 + np.sin(np.arange(60.0) * (n + 1)) for n in range(6)}
    save_table(pd.DataFrame(series), folder / "bold.tsv")
    run = {"subject": "01", "run": "1", "file": "bold.tsv", "t_r": 1.5, "start_time": 0.75}
    more = {"film_onset": 0.0, "stim_onset": 0.0, "duration": 90.0}
    save_table(pd.DataFrame([run | more]), folder / "runs.tsv")
    return folder / "runs.tsv"


@pytest.mark.parametrize(
    ("verb", "size"), [("init", 64), ("extract_mel", 8192), ("load_bold", 4096)]
)
def test_a_disk_that_is_full(verb, size, tmp_path):
    """A limit on the size of files stands for it, and for a quota: the system says no midway.

    HDF5 would crash at the process's end after that, when all has been said.
    """
    (out := tmp_path / "out.nc").write_text("old")
    words = {
        "init": ("init", film_path(), "--output", tmp_path / "config.yaml"),
        "extract_mel": (*MEL, "--mel", out),
        "load_bold": ("load_bold", "--source", write_runs(tmp_path), "--bold", out),
    }
    before = sorted(os.listdir(tmp_path))
    code, said = giblet(
        *words[verb],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )
    assert code == 1
    assert [line.startswith(f"giblet {verb}: {words[verb][-1]}: ") for line in said] == [True]
    assert sorted(os.listdir(tmp_path)) == before
    assert out.read_text() == "old"


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 kB, where one may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.slow
def test_a_disk_that_is_full_and_small(small_disk):
    code, said = giblet(*MEL, "--mel", small_disk / "mel.nc")
    assert code == 1, said
    (line,) = said
    assert f"{small_disk}/mel.nc: no space left on device" in line
    assert os.listdir(small_disk) == []


def test_models_on_a_disk_that_is_full(small_disk):
    from safetensors.torch import save_file

    large = {"weights": torch.zeros(100_000)}
    with pytest.raises(OSError, match=re.escape(f"{small_disk}/last.ckpt")):
        SealedCheckpoints().save_checkpoint(large, small_disk / "last.ckpt")
    with (
        pytest.raises(OSError, match="No space left"),
        replacing(small_disk / "model.safetensors") as temporary,
    ):
        save_file(large, temporary)
    assert os.listdir(small_disk) == []


@pytest.fixture
def read_only(tmp_path):
    """A folder with an older result that cannot be written, by root either."""
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "mel.nc").write_text("old")
    if os.geteuid():
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)
        return
    mount = ["mount", "--bind", folder, folder], ["mount", "-o", "remount,ro,bind", folder]
    if any(subprocess.run(command, capture_output=True).returncode for command in mount):
        subprocess.run(["umount", folder], capture_output=True)
        pytest.skip("no folder can be made read-only for root here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_folder_that_cannot_be_written(read_only):
    code, said = giblet(*MEL, "--mel", read_only / "mel.nc")
    assert code == 1, said
    (line,) = said
    assert f"{read_only}/mel.nc: " in line
    assert "read-only file system" in line or "permission denied" in line
    assert os.listdir(read_only) == ["mel.nc"]
    assert (read_only / "mel.nc").read_text() == "old"


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("new/mel.nc", "/new/mel.nc: "),
        ("", "is there already, and is not a file"),
        ("mel.nc/new.nc", "mel.nc: not a directory"),
    ],
)
def test_a_place_that_cannot_be_written_is_told_before_the_work(read_only, place, said):
    """The film is not there either: it was not looked for yet."""
    code, (line,) = giblet("extract_mel", "--film", "no film.mp4", "--mel", read_only / place)
    assert code == 1
    assert said in line
    assert "no film" not in line


FEW = ("results/tiny/trs/mel.nc", "results/tiny/trs/video.nc")


@pytest.fixture
def pipeline(tmp_path):
    return Pipeline(tmp_path / "it's here", FEW)


@pytest.mark.slow
def test_two_pipelines_on_one_folder(pipeline):
    first = pipeline.start()
    try:
        wait_until(lambda: "\nJob stats:" in pipeline.said() or first.poll() is not None)
        os.killpg(first.pid, signal.SIGSTOP)  # it must not end before the second one begins
        second = pipeline.start("--quiet", log="second.txt").wait(timeout=600)
        os.killpg(first.pid, signal.SIGCONT)
        said = (pipeline.folder / "second.txt").read_text()
        assert first.wait(timeout=600) == 0, pipeline.said()
    finally:
        kill_all(first)
    assert second == 1
    assert "Directory cannot be locked" in said
    assert all((pipeline.folder / target).is_file() for target in FEW)


@pytest.mark.slow
def test_an_input_that_vanished(pipeline):
    film = pipeline.folder / FILM
    process = pipeline.start()
    try:
        wait_until(lambda: "rule extract" in pipeline.said() or process.poll() is not None)
        film.rename(film.with_suffix(".away"))
        code = process.wait(timeout=600)
    finally:
        kill_all(process)
    said = pipeline.said()
    assert code == 1, said
    # by the verb, or by Snakemake before the job, or just as it begins
    missing = ("it's a film.mp4: no such file", "Missing input files", "mp4 (missing locally")
    assert any(message in said for message in missing), said
    assert "Traceback" not in said
    film.with_suffix(".away").rename(film)
    assert pipeline.run() == 0, pipeline.said()
    assert all((pipeline.folder / target).is_file() for target in FEW)


@pytest.mark.slow
@pytest.mark.parametrize("n_bytes", [-1000, 1000])
def test_a_result_that_was_damaged_is_set_aside_and_made_anew(
    small_results_with_brains, n_bytes, tmp_path
):
    """Cut at its end it is an array still, cut at its beginning nothing that can be opened."""
    pipeline = Pipeline(shutil.copytree(small_results_with_brains, tmp_path / "it's here"), FEW)
    stream = pipeline.folder / "results" / "tiny" / "features" / "mel.nc"
    trs = pipeline.folder / FEW[0]
    whole = stream.read_bytes(), trs.read_bytes()
    stream.write_bytes(cut := whole[0][:n_bytes])
    trs.unlink()
    code = pipeline.run()
    assert code == 1
    assert "results/tiny/features/mel.nc: " in pipeline.said()
    assert "It is results/tiny/features/mel.nc.damaged now: run again" in pipeline.said()
    assert "Traceback" not in pipeline.said()
    assert pipeline.run() == 0, pipeline.said()
    assert (stream.read_bytes(), trs.read_bytes()) == whole
    assert stream.with_name("mel.nc.damaged").read_bytes() == cut
