"""Scans, masks and arrays that make their reader open further files are refused, in one line."""

import os

import h5py
import nibabel
import numpy as np
import pandas as pd
import pytest

from giblet.brain.images import open_image
from giblet.brain.series import open_series, read_series
from giblet.commands.cli import main
from giblet.errors import GibletError
from giblet.io.arrays import load_arrays

SERIES = np.arange(12.0, dtype=np.float32).reshape(4, 3)
GIFTI = """<?xml version="1.0"?>
<GIFTI Version="1.0" NumberOfDataArrays="1"><DataArray Intent="NIFTI_INTENT_NONE"
DataType="NIFTI_TYPE_FLOAT32" ArrayIndexingOrder="RowMajorOrder" Dimensionality="1" Dim0="12"
Encoding="ExternalFileBinary" Endian="LittleEndian" ExternalFileName="{name}"
ExternalFileOffset="0"><Data></Data></DataArray></GIFTI>"""


def external(file, other):
    file.create_dataset("bold", SERIES.shape, "f4", external=[(str(other), 0, SERIES.nbytes)])


def virtual(file, other):
    layout = h5py.VirtualLayout(SERIES.shape, "f4")
    layout[:] = h5py.VirtualSource(str(other), "bold", SERIES.shape)
    file.create_virtual_dataset("bold", layout)


def unlimited(file, other):
    """Of as many rows as the others have: HDF5 asks them when it is asked for the shape."""
    layout = h5py.VirtualLayout((1, 3), "f4", maxshape=(None, 3))
    source = h5py.VirtualSource(str(other), "bold", (1, 3), maxshape=(None, 3))
    layout[: h5py.h5s.UNLIMITED] = source[: h5py.h5s.UNLIMITED]
    file.create_virtual_dataset("bold", layout)


def linked(file, other):
    file["bold"] = h5py.ExternalLink(str(other), "bold")


def linked_in_a_group(file, other):
    file["own"] = SERIES
    file["far/bold"] = h5py.ExternalLink(str(other), "bold")


WAYS = [external, virtual, unlimited, linked, linked_in_a_group]


@pytest.fixture(params=["file", "pipe"])
def other(request, tmp_path):
    """What lies elsewhere: numbers that could be read, or a pipe that nobody writes into."""
    path = tmp_path / "elsewhere"
    if request.param == "pipe":
        os.mkfifo(path)
        return path
    with h5py.File(path, "w") as file:
        file["bold"] = SERIES
    return path


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["bold.h5", "bold.nc", "mask.mnc"])
def test_hdf5_that_points_elsewhere_is_refused(tmp_path, other, way, name):
    with h5py.File(tmp_path / name, "w") as file:
        way(file, other)
    readers = {".h5": open_series, ".nc": load_arrays, ".mnc": open_image}
    with pytest.raises(GibletError, match=rf"{name}: (far/)?bold lies in another file; copy"):
        readers[(tmp_path / name).suffix](tmp_path / name)


def test_links_within_a_file_are_read(tmp_path):
    with h5py.File(tmp_path / "bold.h5", "w") as file:
        file["runs/bold"] = SERIES
        file["runs/again"] = file["runs"]  # round and round
        file["first"] = h5py.SoftLink("/runs/bold")
        file["dangling"] = h5py.SoftLink("/nowhere")
    np.testing.assert_array_equal(read_series(tmp_path / "bold.h5")[0], SERIES)


@pytest.mark.parametrize("name", ["bold.func.gii", "bold.gii"])
def test_a_surface_whose_numbers_lie_elsewhere_is_refused(tmp_path, other, name):
    (tmp_path / name).write_text(GIFTI.format(name=other.name))
    with pytest.raises(GibletError, match=rf"{name}: its numbers lie in another file"):
        read_series(tmp_path / name)


def test_a_pair_of_files_is_read_and_a_pipe_in_it_is_not(tmp_path):
    voxels = np.ones((2, 2, 2), dtype=np.float32)
    nibabel.save(nibabel.Nifti1Pair(voxels, np.eye(4)), tmp_path / "mask.img")
    for name in ("mask.img", "mask.hdr"):
        np.testing.assert_array_equal(open_image(tmp_path / name).dataobj, voxels)
    (tmp_path / "mask.img").unlink()
    os.mkfifo(tmp_path / "mask.img")
    with pytest.raises(GibletError, match=r"mask\.img: is a pipe"):
        open_image(tmp_path / "mask.hdr")


def test_load_bold_leaves_nothing(tmp_path, capsys):
    with h5py.File(tmp_path / "bold.h5", "w") as file:
        external(file, "/etc/passwd")
    row = {"subject": ["01"], "file": ["bold.h5"], "t_r": [2.0], "film_onset": [0.0]}
    pd.DataFrame(row).to_csv(tmp_path / "runs.tsv", sep="\t", index=False)
    words = ["load_bold", "--source", str(tmp_path / "runs.tsv"), "--bold", str(tmp_path / "x.nc")]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert "bold lies in another file" in said
    assert said.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bold.h5", "runs.tsv"]
