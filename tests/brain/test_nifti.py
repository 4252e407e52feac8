"""Maps as images: every voxel is where its coordinates have it."""

import nibabel
import numpy as np
import pytest
import xarray as xr

from giblet.brain.nifti import to_nifti
from giblet.errors import GibletError


def values(places, numbers):
    coords = {axis: ("voxel", places[:, k]) for k, axis in enumerate("xyz")}
    return xr.DataArray(numbers, dims="voxel", coords=coords)


def test_places_are_kept():
    """Voxels of 2, 2 and 3.3 mm, as floats of a header have them."""
    rng = np.random.default_rng(1)
    grid = np.argwhere(rng.random((5, 6, 4)) > 0.4)
    steps, corner = np.array([2.0, 2.0, np.float32(3.3)]), np.array([-91.5, 3.1, -40.0])
    places, numbers = grid * steps + corner, rng.random(len(grid)).astype(np.float32)
    image = to_nifti(values(places, numbers))
    np.testing.assert_allclose(image.header.get_zooms(), steps, rtol=1e-5)
    at = nibabel.affines.apply_affine(np.linalg.inv(image.affine), places).round().astype(int)
    np.testing.assert_array_equal(image.get_fdata()[tuple(at.T)], numbers)
    assert np.isfinite(image.get_fdata()).sum() == len(grid)
    assert image.header.get_xyzt_units() == ("mm", "unknown")


def test_a_map_of_p_is_not_significant_outside_the_brain():
    """0 there would pass p < .05; a voxel without a p is no finding either."""
    p = np.array([0.5, np.nan, 0.01])
    space = xr.Dataset({"mask": (("i", "j", "k"), np.array([[[True, True], [False, True]]]))})
    space.attrs["affine"] = np.eye(4).ravel().tolist()
    places = np.argwhere(space["mask"].values) * 1.0
    for image in (to_nifti(values(places, p), space), to_nifti(values(places, p))):
        assert np.argwhere(image.get_fdata() < 0.05).tolist() == [[0, 1, 1]]
        assert np.isfinite(image.get_fdata()).sum() == 2


def test_grids_that_are_turned_need_the_scans():
    turn = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
    places = np.argwhere(np.ones((3, 3, 3))) @ (2.7 * turn)
    with pytest.raises(GibletError, match="not along x, y and z"):
        to_nifti(values(places, np.ones(27)))


def test_values_without_places():
    with pytest.raises(GibletError, match="no coordinates x, y, z"):
        to_nifti(xr.DataArray([1.0, 2.0], dims="voxel"))
    with pytest.raises(GibletError, match="give one map of the data set"):
        to_nifti(xr.Dataset({"isc": ("voxel", [1.0])}))
    with pytest.raises(GibletError, match="single voxel"):
        to_nifti(values(np.zeros((1, 3)), [1.0]))


def test_parcels_fill_their_labels():
    labels = np.array([[[0, 7], [3, 7]]])
    space = xr.Dataset(
        {"mask": (("i", "j", "k"), labels > 0), "labels": (("i", "j", "k"), labels)},
        {"parcel": ("parcel", ["3", "7"])},
        {"affine": "[2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1]"},
    )
    image = to_nifti(xr.DataArray([0.25, 0.5], dims="voxel"), space)
    assert np.nan_to_num(image.get_fdata(), nan=-1).tolist() == [[[-1, 0.5], [0.25, 0.5]]]


def test_another_number_of_voxels():
    space = xr.Dataset({"mask": (("i", "j", "k"), np.ones((1, 1, 3), bool))})
    space.attrs["affine"] = np.eye(4).ravel().tolist()
    with pytest.raises(GibletError, match="2 values, but space has 3 voxels"):
        to_nifti(xr.DataArray([1.0, 2.0], dims="voxel"), space)


def test_sorted_values_are_not_put_in_the_places_of_others():
    places = np.argwhere(np.ones((2, 2, 2))) * 2.0
    image = values(places, np.arange(8.0))
    coords = dict(image.coords)
    affine = "[2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1]"
    space = xr.Dataset({"mask": (("i", "j", "k"), np.ones((2, 2, 2)))}, coords, {"affine": affine})
    expected = to_nifti(image, space).get_fdata()
    assert expected.ravel().tolist() == list(range(8))
    with pytest.raises(
        GibletError, match="the values and space differ in x: the values were sorted or subsetted"
    ):
        to_nifti(image[::-1], space)
    np.testing.assert_array_equal(to_nifti(image[::-1]).get_fdata(), expected)  # by their places


def test_sorted_parcels_are_refused():
    labels = np.array([[[0, 7], [3, 7]]])
    names = {"parcel": ("parcel", ["3", "7"])}
    space = xr.Dataset(
        {"mask": (("i", "j", "k"), labels > 0), "labels": (("i", "j", "k"), labels)},
        names,
        {"affine": "[2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1]"},
    )
    own = xr.DataArray([0.25, 0.5], dims="voxel", coords={"parcel": ("voxel", ["3", "7"])})
    image = np.nan_to_num(to_nifti(own, space).get_fdata(), nan=-1)
    assert image.tolist() == [[[-1, 0.5], [0.25, 0.5]]]
    with pytest.raises(GibletError, match="the values and space differ in parcel"):
        to_nifti(own[::-1], space)


def test_the_order_of_axes_and_the_kind_of_array_do_not_matter():
    places = np.argwhere(np.ones((2, 2, 2))) * 2.0
    coords = values(places, np.arange(8.0)).coords
    both = xr.DataArray(np.arange(16.0).reshape(2, 8), dims=("subject", "voxel"), coords=coords)
    expected = to_nifti(both).get_fdata()
    np.testing.assert_array_equal(to_nifti(both.T).get_fdata(), expected)
    affine = "[2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1]"
    space = xr.Dataset({"mask": (("i", "j", "k"), np.ones((2, 2, 2)))}, attrs={"affine": affine})
    for maps in (both.values, both.values.tolist()):
        np.testing.assert_array_equal(to_nifti(maps, space).get_fdata(), expected)
    with pytest.raises(GibletError, match="no coordinates x, y, z"):
        to_nifti(both.values)
    with pytest.raises(GibletError, match=r"a map is .* not \(1, 2, 8\)"):
        to_nifti(both.values[None], space)
