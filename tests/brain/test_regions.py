"""Voxels find their regions. The oracle: nilearn's resampling."""

import nibabel
import numpy as np
import pytest
import xarray as xr
from nibabel.affines import apply_affine

from giblet.brain.images import read_labels
from giblet.brain.regions import find_regions, labels_at, read_regions
from giblet.errors import GibletError

AFFINE = np.array([[0, 4.0, 0, -30], [-4.0, 0, 0, 30], [0, 0, 4.0, -20], [0, 0, 0, 1]])  # turned


@pytest.fixture
def atlas(tmp_path):
    """Two boxes, labels 3 and 40, on a grid of its own."""
    labels = np.zeros((15, 16, 10), dtype=np.int16)
    labels[1:7, 2:9, 1:8] = 3
    labels[8:14, 5:12, 2:9] = 40
    path = tmp_path / "atlas_dseg.nii.gz"
    nibabel.save(nibabel.Nifti1Image(labels, AFFINE), path)
    return path


def name_labels(atlas, text):
    atlas.with_name("atlas_dseg.tsv").write_text(text)


@pytest.fixture
def places():
    return 3.3 * (np.argwhere(np.ones((25, 25, 25))) - 12)


def test_labels_are_those_that_nilearn_resamples(atlas):
    mask, grid = np.ones((20, 20, 15), dtype=bool), np.diag([3.3, 3.3, 3.3, 1])
    grid[:3, 3] = -31.7, -24.9, -21.3  # beyond the atlas on every side
    image = nibabel.load(atlas)
    found = labels_at(image.get_fdata().astype(int), AFFINE, apply_affine(grid, np.argwhere(mask)))
    np.testing.assert_array_equal(found, read_labels(atlas, mask, grid)[0][mask])
    assert set(found.tolist()) == {0, 3, 40}


def test_a_label_image_may_have_a_fourth_axis_and_floats(atlas, places):
    expected = read_regions(atlas, places)
    values = nibabel.load(atlas).get_fdata()[..., None] - 1e-5
    save_values(atlas, values.astype(np.float32))
    regions = read_regions(atlas, places)
    assert list(regions) == list(expected)
    assert all((regions[name] == expected[name]).all() for name in expected)


def test_names_stand_in_the_table_beside_the_image(atlas, places):
    name_labels(atlas, "index\tname\n3\tauditory cortex\n")
    regions = read_regions(atlas, places)
    assert list(regions) == ["auditory cortex", "40"]
    assert not (regions["auditory cortex"] & regions["40"]).any()


def test_two_labels_of_one_name_are_one_region(atlas, places):
    parts = read_regions(atlas, places)
    name_labels(atlas, "index\tname\n3\tboth\n40\tboth\n")
    whole = read_regions(atlas, places)
    assert list(whole) == ["both"]
    np.testing.assert_array_equal(whole["both"], parts["3"] | parts["40"])


def test_one_label_of_two_names_is_refused(atlas, places):
    """Tables of the hemispheres one behind the other, both from 1 on: the last name was taken."""
    name_labels(atlas, "index\tname\n3\tleft\n40\tother\n3\tright\n")
    with pytest.raises(GibletError, match=r"dseg.tsv: label 3 has several names \(left, right\)"):
        read_regions(atlas, places)
    name_labels(atlas, "index\tname\n3\tleft\n3\tleft\n")
    assert list(read_regions(atlas, places)) == ["left", "40"]


def save_values(path, values):
    nibabel.save(nibabel.Nifti1Image(values, AFFINE), path)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.unlink(), "no such file"),
        (lambda path: path.write_text("no image"), "not a readable image"),
        (lambda path: save_values(path, np.ones((3, 3, 3, 2), np.int16)), "must be one volume"),
        (lambda path: save_values(path, np.full((3, 3, 3), 0.5, np.float32)), "whole numbers"),
        (lambda path: save_values(path, np.zeros((15, 16, 10), np.int16)), "no voxel of the scan"),
        (lambda path: name_labels(path, "label\tname\n3\tauditory\n"), "needs columns index"),
        (lambda path: name_labels(path, "index\tname\nthree\tauditory\n"), "needs columns index"),
    ],
)
def test_what_is_no_label_image_is_named(atlas, places, spoil, said):
    spoil(atlas)
    with pytest.raises(GibletError, match=said):
        read_regions(atlas, places)


def test_a_label_image_in_another_space_is_refused(atlas, places):
    with pytest.raises(GibletError, match="is it in the scan's space"):
        read_regions(atlas, places + 500)


def aligned(**coords):
    return xr.Dataset(coords={name: ("voxel", values) for name, values in coords.items()})


def test_parcels_are_regions_where_the_scan_has_them(atlas):
    regions = find_regions(aligned(parcel=["A1", "V1", "A1"]), None)
    assert {name: inside.tolist() for name, inside in regions.items()} == {
        "A1": [True, False, True],
        "V1": [False, True, False],
    }
    with pytest.raises(GibletError, match="give a label image"):
        find_regions(aligned(x=[0.0], y=[0.0], z=[0.0]), None)
    with pytest.raises(GibletError, match="use parcels instead"):
        find_regions(aligned(parcel=["A1"]), atlas)
