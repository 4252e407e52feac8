"""Recordings of every kind of file give what nibabel, nilearn and pandas read of the same files."""

import nibabel
import numpy as np
import pandas as pd
import pytest
from nilearn.maskers import NiftiLabelsMasker, NiftiMasker

from giblet.brain.recording import open_recording, shared_columns
from giblet.errors import GibletError

N_VOLUMES = 12
AFFINE = np.diag([-3.0, 3.0, 4.0, 1.0])
AFFINE[:3, 3] = 30, -20, 10
SERIES = 100 + np.sin(np.outer(np.arange(N_VOLUMES), 1 + np.arange(5) / 7)).astype(np.float32)
NAMES = ["V1", "V2", "A1", "A2", "M1"]


def write_image(folder, seed=0, corner=0):
    """BOLD in a 5 × 4 × 6 grid and a mask that leaves voxels out, ``corner`` among them."""
    voxels = np.random.default_rng(seed).normal(500, 9, (5, 4, 6, N_VOLUMES))  # noise: any will do
    mask = np.ones((5, 4, 6), dtype=np.uint8)
    mask[corner, 1:3] = 0
    files = folder / f"bold{seed}.nii.gz", folder / f"mask{seed}.nii.gz"
    for path, values in zip(files, (voxels.astype(np.float32), mask), strict=True):
        nibabel.save(nibabel.Nifti1Image(values, AFFINE), path)
    return files


def write_atlas(folder):
    labels = np.zeros((5, 4, 6), dtype=np.int16)
    labels[:2], labels[3:] = 4, 9
    nibabel.save(nibabel.Nifti1Image(labels, AFFINE), folder / "atlas.nii.gz")
    return folder / "atlas.nii.gz"


def write_surface(folder):
    arrays = [nibabel.gifti.GiftiDataArray(volume, datatype=16) for volume in SERIES]
    nibabel.save(nibabel.gifti.GiftiImage(darrays=arrays), folder / "lh.func.gii")
    return folder / "lh.func.gii"


def write_table(folder, names=NAMES):
    pd.DataFrame(SERIES, columns=names).to_csv(folder / "bold.tsv", sep="\t", index=False)
    return folder / "bold.tsv"


def read(recording, columns):
    return np.concatenate(list(recording.blocks(columns)))


def test_voxels_are_nilearns(tmp_path):
    path, mask = write_image(tmp_path)
    image = open_recording(path, mask)
    columns = shared_columns([image], tmp_path)
    values = read(image, columns)
    assert (image.n_volumes, len(columns)) == values.shape
    assert values.dtype == columns.dtype
    np.testing.assert_array_equal(values, NiftiMasker(mask, standardize=None).fit().transform(path))


def test_voxels_have_nibabels_coordinates(tmp_path):
    path, mask = write_image(tmp_path)
    image = open_recording(path, mask)
    arrays = shared_columns([image], tmp_path).coordinates()
    inside = np.asarray(nibabel.load(mask).dataobj) > 0
    expected = nibabel.affines.apply_affine(AFFINE, np.argwhere(inside))
    np.testing.assert_allclose(np.column_stack([arrays[axis] for axis in "xyz"]), expected)
    np.testing.assert_array_equal(arrays["mask"], inside)
    np.testing.assert_allclose(np.reshape(arrays.attrs["affine"], (4, 4)), AFFINE)
    assert arrays["x"].dims == ("voxel",)
    assert arrays["x"].attrs == {"units": "mm"}


def test_voxels_are_those_of_all_masks_and_of_what_is_kept(tmp_path):
    files = [write_image(tmp_path, seed, corner) for seed, corner in ((0, 0), (1, 4))]
    images = [open_recording(*pair) for pair in files]
    inside = np.all([nibabel.load(mask).get_fdata() > 0 for _, mask in files], axis=0)
    kept = np.arange(inside.sum()) % 3 > 0
    columns = shared_columns(images, tmp_path).keep(kept)
    for image, (path, _) in zip(images, files, strict=True):
        expected = nibabel.load(path).get_fdata(dtype=np.float32)[inside].T[:, kept]
        np.testing.assert_array_equal(read(image, columns), expected)
    np.testing.assert_array_equal(columns.coordinates().sizes["voxel"], kept.sum())


@pytest.mark.slow
def test_parcels_are_nilearns(tmp_path):
    path, mask = write_image(tmp_path)
    image, atlas = open_recording(path, mask), write_atlas(tmp_path)
    columns = shared_columns([image], tmp_path).parcels(atlas)
    values = read(image, columns)
    masker = NiftiLabelsMasker(atlas, mask_img=mask, standardize=None, resampling_target=None)
    np.testing.assert_allclose(values, masker.fit_transform(path), rtol=1e-6)
    assert (len(columns), values.dtype) == (2, columns.dtype)
    arrays = columns.coordinates()
    assert arrays["parcel"].values.tolist() == [4, 9]
    inside = np.asarray(nibabel.load(mask).dataobj) > 0
    of_nine = nibabel.affines.apply_affine(
        AFFINE, np.argwhere(inside & (arrays["labels"].values == 9))
    )
    centre = [float(arrays[axis][1]) for axis in "xyz"]
    np.testing.assert_allclose(centre, of_nine.mean(axis=0))


def test_vertices_are_nibabels(tmp_path):
    path = write_surface(tmp_path)
    surface = open_recording(path)
    columns = shared_columns([surface], tmp_path)
    expected = np.stack([array.data for array in nibabel.load(path).darrays])
    np.testing.assert_array_equal(read(surface, columns), expected)
    assert (surface.n_volumes, len(columns)) == SERIES.shape
    assert columns.coordinates()["parcel"].values.tolist() == ["0", "1", "2", "3", "4"]


def test_a_table_is_pandas(tmp_path):
    path = write_table(tmp_path)
    table = open_recording(path)
    columns = shared_columns([table], tmp_path)
    expected = pd.read_csv(path, sep="\t", dtype=np.float32)
    np.testing.assert_array_equal(read(table, columns), expected)
    assert columns.coordinates()["parcel"].values.tolist() == list(expected)
    kept = columns.keep(np.array([True, False, True, True, False])).keep(np.array([0, 1, 1], bool))
    np.testing.assert_array_equal(read(table, kept), expected[["A1", "A2"]])
    assert kept.coordinates()["parcel"].values.tolist() == ["A1", "A2"]
    assert len(kept) == 2


def test_only_files_that_are_read_soon_are_quick(tmp_path):
    assert open_recording(write_table(tmp_path)).is_quick
    assert not open_recording(*write_image(tmp_path)).is_quick
    np.save(tmp_path / "long.npy", np.ones((6500, 1000)))
    assert not open_recording(tmp_path / "long.npy").is_quick


def test_what_does_not_match_is_one_line(tmp_path):
    image, table = open_recording(*write_image(tmp_path)), open_recording(write_table(tmp_path))
    with pytest.raises(GibletError, match="images of voxels beside tables"):
        shared_columns([image, table], tmp_path)
    with pytest.raises(GibletError, match=r"atlas.nii.gz: parcels are made of voxels; bold.tsv"):
        shared_columns([table], tmp_path).parcels(write_atlas(tmp_path))
    with pytest.raises(GibletError, match=r"bold0.nii.gz: an image of voxels needs a mask"):
        open_recording(image.path)
    with pytest.raises(GibletError, match=r"lh.func.gii: BOLD must have 4 dimensions"):
        open_recording(write_surface(tmp_path), tmp_path / "mask0.nii.gz")
    (tmp_path / "other").mkdir()
    other = open_recording(write_table(tmp_path / "other", list("abcde")))
    with pytest.raises(GibletError, match=r"bold.tsv: other columns than bold.tsv"):
        shared_columns([table, other], tmp_path)
