"""Volumes come a few at a time as nibabel reads them at once; parcels are means of their voxels."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from giblet.brain import images
from giblet.brain.bold import load_runs
from giblet.brain.images import read_labels
from giblet.brain.parcels import parcel_means
from giblet.brain.recording import open_recording
from giblet.errors import GibletError

SHAPE = (5, 4, 3, 23)


def write(path, scaled, dtype):
    """Counted voxels; ``scaled``: by a slope and an intercept in the header."""
    voxels = (np.arange(np.prod(SHAPE)) % 251 - 100).reshape(SHAPE).astype(dtype)
    image = nibabel.Nifti1Image(voxels, np.eye(4))
    if scaled:
        image.header.set_slope_inter(0.3, 1000.5)
    nibabel.save(image, path)


def write_mask(folder, mask):
    nibabel.save(nibabel.Nifti1Image(mask.astype(np.uint8), np.eye(4)), folder / "mask.nii.gz")
    return folder / "mask.nii.gz"


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize(("scaled", "dtype"), [(True, np.int16), (False, np.int16), (0, "f4")])
@pytest.mark.parametrize("n_at_once", [1, 4, 100])
def test_volumes_are_those_of_nibabel(tmp_path, monkeypatch, ending, scaled, dtype, n_at_once):
    path, mask = tmp_path / f"bold{ending}", np.indices(SHAPE[:3]).sum(axis=0) % 3 == 1
    write(path, scaled, dtype)
    monkeypatch.setattr(images, "_GRID_AT_ONCE", n_at_once * mask.size)
    image = open_recording(path, write_mask(tmp_path, mask))
    blocks = list(image.blocks(image.shared_columns([image])))
    expected = np.asarray(nibabel.load(path).dataobj, dtype=np.float32)[mask].T
    assert len(blocks[0]) == min(n_at_once, 23)
    assert {block.dtype for block in blocks} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(np.concatenate(blocks), expected)


def test_an_image_that_breaks_off_is_named(tmp_path):
    write(tmp_path / "bold.nii", scaled=False, dtype=np.int16)
    content = (tmp_path / "bold.nii").read_bytes()
    mask = write_mask(tmp_path, np.ones(SHAPE[:3], dtype=bool))
    image = open_recording(tmp_path / "bold.nii", mask)
    columns = image.shared_columns([image])
    (tmp_path / "bold.nii").write_bytes(content[:-10])
    with pytest.raises(GibletError, match=r"bold.nii: not a readable image"):
        list(image.blocks(columns))


def test_parcels_are_means_over_labels():
    """Oracle: numpy, label by label."""
    values, labels = np.sin(np.arange(60.0)).reshape(3, 20), np.arange(20) % 4 * 5
    expected = [values[:, labels == label].mean(axis=1) for label in (5, 10, 15)]
    np.testing.assert_allclose(parcel_means(values, labels), np.transpose(expected))


def test_a_mask_or_labels_that_are_no_volume_are_one_line(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.ones((3, 3, 3, 2)), np.eye(4)), tmp_path / "bold.nii.gz")
    surface = nibabel.gifti.GiftiDataArray(np.ones(5, np.float32))
    nibabel.save(nibabel.gifti.GiftiImage(darrays=[surface]), tmp_path / "surface.gii")
    for other, n in (("bold.nii.gz", 4), ("surface.gii", 0)):
        image = open_recording(tmp_path / "bold.nii.gz", tmp_path / other)
        with pytest.raises(GibletError, match=f"{other}: must be one volume .* has {n} dimensions"):
            image.shared_columns([image])
        with pytest.raises(GibletError, match=f"{other}: must be one volume"):
            read_labels(tmp_path / other, np.ones((3, 3, 3), bool), np.eye(4))


def test_an_image_in_a_table_of_runs_warns_as_in_a_bids_folder(tmp_path):
    """Of a header without coordinates, and of labels outside the mask; axes of 1 are left out."""
    image = nibabel.Nifti1Image(np.random.default_rng(0).normal(9, 1, (3, 3, 3, 1, 20)), None)
    nibabel.save(image, tmp_path / "bold.nii.gz")
    grid = nibabel.load(tmp_path / "bold.nii.gz").affine
    values = {"mask": np.ones((3, 3, 3, 1)), "atlas": np.arange(1.0, 28).reshape(3, 3, 3, 1)}
    values["mask"][0, 0, 0] = 0
    for name, content in values.items():
        image = nibabel.Nifti1Image(content.astype(np.uint8), grid)
        nibabel.save(image, tmp_path / f"{name}.nii.gz")
    (tmp_path / "runs.csv").write_text(
        "subject,file,mask,t_r,film_onset\n1,bold.nii.gz,mask.nii.gz,2,0\n"
    )
    scans = load_runs(tmp_path / "runs.csv", parcellation=tmp_path / "atlas.nii.gz")
    assert scans["bold"].shape == (20, 26)
    where, lost = scans.attrs["warnings"]
    assert "does not say where voxels lie" in where
    assert "1 of 27 labels lie in no voxel of the scans and are left out: 1" in lost


@pytest.mark.parametrize(
    ("kind", "name"),
    [("Nifti1Pair", "f.hdr"), ("Nifti1Pair", "f.img"), ("Nifti2Image", "f.nii"),
     ("Spm99AnalyzeImage", "f.img"), ("MGHImage", "f.mgz"), ("Nifti1Image", "f.nii")],
)  # fmt: skip
def test_other_files_of_voxels_are_read_with_a_mask(tmp_path, kind, name):
    """SPM's pairs, FreeSurfer's volumes."""
    values = np.random.default_rng(0).integers(900, 1100, SHAPE).astype(np.int16)
    values = values.astype(np.float32) if kind == "MGHImage" else values
    image = getattr(nibabel, kind)(values, np.eye(4))
    nibabel.save(image, tmp_path / name)
    image = open_recording(tmp_path / name, write_mask(tmp_path, np.ones(SHAPE[:3])))
    read = np.concatenate(list(image.blocks(image.shared_columns([image]))))
    np.testing.assert_array_equal(read, values.reshape(-1, SHAPE[3]).T)


def test_one_volume_of_a_run_says_what_to_do(tmp_path):
    """SPM keeps a file for each volume."""
    nibabel.save(nibabel.Nifti1Image(np.ones(SHAPE[:3]), np.eye(4)), tmp_path / "f001.nii")
    with pytest.raises(GibletError, match=r"this image has 3 .*; merge the volumes of a run"):
        open_recording(tmp_path / "f001.nii", tmp_path / "f001.nii")


def test_a_packed_image_that_is_named_otherwise_is_named(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.ones(SHAPE), np.eye(4)), tmp_path / "f.nii.gz")
    (tmp_path / "f.nii.gz").rename(tmp_path / "f.nii")
    with pytest.raises(GibletError, match=r"\(it is packed by gzip\): rename it to f.nii.gz$"):
        open_recording(tmp_path / "f.nii", tmp_path / "f.nii")


@pytest.mark.parametrize("name", ["example4d+orig.HEAD", "example4d+orig.BRIK.gz"])
def test_afnis_pairs_are_read_with_a_mask(tmp_path, name):
    """nibabel brings such a file; it cannot write one."""
    path = Path(nibabel.__file__).parent / "tests" / "data" / name
    if not path.exists():
        pytest.skip("nibabel without its test data")
    image = nibabel.load(path)
    mask = nibabel.Nifti1Image(np.ones(image.shape[:3], np.uint8), image.affine)
    nibabel.save(mask, tmp_path / "mask.nii.gz")
    recording = open_recording(path, tmp_path / "mask.nii.gz")
    columns = recording.shared_columns([recording])
    read = np.concatenate(list(recording.blocks(columns)))
    np.testing.assert_allclose(read, image.get_fdata().reshape(-1, image.shape[3]).T)
    assert (recording.header_t_r, columns.warnings) == (3.0, ())
