"""What others install is whole, and is found from wherever they work."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_the_wheel_holds_every_file_of_the_package(tmp_path):
    list_files = ["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard"]
    files = subprocess.check_output([*list_files, "giblet"], text=True).split()
    for name in [*files, "pyproject.toml", "README.md", "LICENSE"]:  # nothing is built in the clone
        (copy := tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path]
    done = subprocess.run([*build, tmp_path / "source"], capture_output=True, text=True)
    if "No matching distribution found for setuptools" in done.stderr:
        pytest.skip("no package index: nothing to build with")
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("giblet/")}
    assert held == set(files)


def test_a_clone_named_giblet_does_not_hide_the_package(tmp_path):
    (tmp_path / "giblet").symlink_to(ROOT)  # as who works in the folder above the clone has it
    said = subprocess.check_output(
        [sys.executable, "-c", "import giblet; print(giblet.__file__)"], cwd=tmp_path, text=True
    )
    assert Path(said.strip()).resolve() == ROOT / "giblet" / "__init__.py"
