"""Voxels on the cortex. Oracles: FreeSurfer's documented example, identities of linear maps."""

import numpy as np
import pytest
import xarray as xr
from nibabel.affines import apply_affine
from nilearn.datasets import load_fsaverage

from giblet.brain.projection import MNI152_OF_FSAVERAGE, project, why_not_projected

N = 10_242


def scans(edge_mm=4.0, flipped=False):
    """A box of voxels around the whole brain; ``flipped``: i runs from right to left, as in FSL."""
    shape = np.ceil(np.array([184, 232, 204]) / edge_mm).astype(int)
    affine = np.diag([edge_mm, edge_mm, edge_mm, 1.0])
    affine[:3, 3] = -91.3, -127.1, -73.7
    if flipped:
        affine[0, 0], affine[0, 3] = -edge_mm, affine[0, 3] + edge_mm * (shape[0] - 1)
    mask = np.ones(shape, dtype=bool)
    places = apply_affine(affine, np.argwhere(mask))
    space = xr.Dataset({"mask": (("i", "j", "k"), mask)}, attrs={"affine": affine.ravel().tolist()})
    return space, places


def without_cortex(side):
    """(10,242,) bool: vertices where white and pial surface coincide."""
    mesh = load_fsaverage("fsaverage5")
    pial, white = (mesh[kind].parts[side].coordinates for kind in ("pial", "white_matter"))
    return (pial == white).all(axis=1)


def test_fsaverage_is_moved_to_mni152_as_freesurfer_documents():
    moved = apply_affine(MNI152_OF_FSAVERAGE, [10, -20, 35])
    np.testing.assert_allclose(moved, [10.695, -18.409, 36.137], atol=5e-3)


@pytest.mark.parametrize(("edge_mm", "flipped"), [(4.0, False), (4.0, True), (7.0, False)])
def test_a_map_of_coordinates_gives_those_of_the_cortex(edge_mm, flipped):
    """Trilinear interpolation of a linear map is exact, whatever the grid."""
    space, places = scans(edge_mm, flipped)
    mesh = load_fsaverage("fsaverage5")
    for axis in range(3):
        for side, found in zip(("left", "right"), project(places[:, axis], space), strict=True):
            pial, white = (mesh[kind].parts[side].coordinates for kind in ("pial", "white_matter"))
            middle = apply_affine(MNI152_OF_FSAVERAGE, (pial + white) / 2)[:, axis]
            known = ~without_cortex(side)
            assert found.shape == (N,)
            np.testing.assert_allclose(found[known], middle[known], atol=0.01)
            assert np.isnan(found[~known]).all()
            assert 200 < (~known).sum() < 400


def test_one_hemisphere_stays_on_its_side():
    space, places = scans()
    left, right = project(np.where(places[:, 0] < 0, 1.0, np.nan), space)
    assert np.isfinite(left).mean() > 0.9
    assert np.isfinite(right).mean() < 0.05, "next to the midline"
    np.testing.assert_allclose(left[np.isfinite(left)], 1.0, rtol=1e-5)


def test_voxels_without_a_value_are_not_zero(rng):
    space, places = scans()
    values = np.where(rng.random(len(places)) < 0.5, 0.25, np.nan)
    for side in project(values, space):
        assert 0.3 < np.isfinite(side).mean() < 0.9
        np.testing.assert_allclose(side[np.isfinite(side)], 0.25, rtol=1e-5)


def test_the_edge_of_the_image_is_not_stretched():
    space, places = scans()
    cut = space.isel(k=slice(0, 20))  # below z of some 6 mm
    inside = places[:, 2] < places[:, 2].min() + 19.5 * 4
    left, _right = project(places[inside, 2], cut)
    assert np.nanmax(left) < places[inside, 2].max() + 2.01


def test_parcels_are_projected_by_their_labels():
    space, places = scans()
    labels = np.where(places[:, 0] < 0, 3, 7).reshape(space["mask"].shape)
    space = space.assign(labels=(("i", "j", "k"), labels)).assign_coords(parcel=[3, 7])
    left, right = project(np.array([0.25, 0.75]), space)
    assert np.nanmedian(left) == pytest.approx(0.25)
    assert np.nanmedian(right) == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("name", "edge_mm", "reason"),
    [
        ("MNI152NLin6Asym", 2.0, ""),
        ("space-MNI152NLin2009cAsym:res-2", 3.0, ""),
        ("T1w", 2.0, "the scans are in T1w, not in MNI space"),
        ("MNI152NLin6Asym", 12.0, "voxels of 12 mm are too coarse; at most 10 mm are projected"),
    ],
)
def test_what_is_not_projected(name, edge_mm, reason):
    space, _ = scans(edge_mm)
    assert why_not_projected(space.assign_attrs(space=name)) == reason
