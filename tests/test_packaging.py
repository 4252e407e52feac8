"""What others install is whole, does the main job alone, and is found from wherever they work."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from giblet.io.tables import load_table

ROOT = Path(__file__).parents[1]
QUICK = ("max_trs=80", "video={height: 20, width: 30}", "training={max_epochs: 1}")


def git_files(*folders):
    list_files = ["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard"]
    return subprocess.check_output([*list_files, *folders], text=True).splitlines()


def copy_files(names, folder):
    for name in names:
        (copy := folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """As ``python -m build`` makes it, from the archive of sources; not within the clone."""
    folder = tmp_path_factory.mktemp("wheel")
    names = [*git_files("giblet"), "pyproject.toml", "README.md", "LICENSE"]
    copy_files(names, folder / "source")
    build = [sys.executable, "-m", "build", "--outdir", folder, folder / "source"]
    done = subprocess.run(build, capture_output=True, text=True)
    if "No matching distribution found for setuptools" in done.stdout + done.stderr:
        pytest.skip("no package index: nothing to build with")
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_package(wheel):
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("giblet/")}
    assert held == set(git_files("giblet"))


@pytest.mark.slow
def test_the_wheel_alone_does_the_main_job(wheel, tmp_path):
    """In a folder with the workflow, and nothing else of the clone."""
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, "--target", tmp_path / "site", wheel], check=True)
    copy_files(git_files("Snakefile", "workflow", "config"), job := tmp_path / "job")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    options = {"cwd": job, "env": environment, "text": True, "capture_output": True}
    where = [sys.executable, "-c", "import giblet; print(giblet.__file__)"]
    found = Path(subprocess.run(where, **options).stdout.strip())
    assert found.is_relative_to(tmp_path / "site")
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "reconstruct_audio", "--config"]
    done = subprocess.run([*command, *QUICK], **options)
    assert done.returncode == 0, done.stderr[-3000:]
    scores = load_table(job / "results" / "demo" / "scores.tsv")
    assert {"codec", "stimulus", "brain"} <= set(scores["column"])


def test_a_clone_named_giblet_does_not_hide_the_package(tmp_path):
    (tmp_path / "giblet").symlink_to(ROOT)  # as who works in the folder above the clone has it
    said = subprocess.check_output(
        [sys.executable, "-c", "import giblet; print(giblet.__file__)"], cwd=tmp_path, text=True
    )
    assert Path(said.strip()).resolve() == ROOT / "giblet" / "__init__.py"


def test_types_are_proved_of_all_that_the_manual_shows():
    proved = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["files"]
    pages = [page.read_text() for page in (ROOT / "notes" / "api").glob("*.md")]
    shown = [line.split()[1] for page in pages for line in page.splitlines() if ":::" in line]
    files = [name.replace(".", "/") + ".py" for name in shown if name != "giblet.load"]
    assert [file for file in files if not file.startswith(tuple(proved))] == []
