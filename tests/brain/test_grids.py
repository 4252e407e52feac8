"""Scans on a grid that differs a little from the others' are resampled, as nilearn does it."""

import nibabel
import numpy as np
import pytest
from nilearn.image import resample_img

from giblet.brain import images
from giblet.brain.grids import EQUAL_GRID, grid_shift, resample
from giblet.brain.recording import open_recording
from giblet.errors import GibletError

SHAPE = (9, 8, 7)
RNG = np.random.default_rng(0)
VALUES = RNG.normal(1000, 10, (*SHAPE, 11)).astype(np.float32)
GRID = np.diag([3.0, 3.0, 3.0, 1.0])
OTHER = np.array([[3, 0.01, 0, 0.2], [0, 3.01, 0, -0.1], [0, 0.004, 2.98, 0.1], [0, 0, 0, 1]])


def image(path, values, affine):
    nibabel.save(nibabel.Nifti1Image(values, affine), path)
    return path


def two_recordings(folder, affine=OTHER, values=VALUES, mask=None):
    mask = np.ones(SHAPE, np.uint8) if mask is None else mask
    masks = [image(folder / f"m{n}.nii.gz", mask, a) for n, a in enumerate((GRID, affine))]
    files = [image(folder / "a.nii", VALUES, GRID), image(folder / "b.nii.gz", values, affine)]
    return [open_recording(path, mask) for path, mask in zip(files, masks, strict=True)]


def read(recording, columns):
    return np.concatenate(list(recording.blocks(columns)))


def by_nilearn(values, affine):
    options = {"interpolation": "continuous", "copy_header": True, "force_resample": True}
    moved = resample_img(nibabel.Nifti1Image(values, affine), GRID, SHAPE, **options)
    return moved.get_fdata()


@pytest.mark.parametrize(("n_at_once", "dtype"), [(2, "f4"), (100, "f4"), (100, "i2")])
def test_volumes_are_those_of_nilearn(tmp_path, monkeypatch, n_at_once, dtype):
    """Oracle: nilearn, where it does not reach beyond the image."""
    values = VALUES.astype(dtype)
    monkeypatch.setattr(images, "_GRID_AT_ONCE", n_at_once * np.prod(SHAPE))
    inside = np.zeros(SHAPE, np.uint8)
    inside[1:-1, 1:-1, 1:-1] = RNG.random(np.subtract(SHAPE, 2)) > 0.3
    first, second = two_recordings(tmp_path, values=values, mask=inside)
    columns = first.shared_columns([first, second])
    series = read(second, columns)
    assert series.dtype == np.float32
    expected = by_nilearn(values.astype(float), OTHER)[inside > 0].T
    np.testing.assert_allclose(series, expected, rtol=1e-6)
    assert np.abs(series - VALUES[inside > 0].T).max() > 1  # not as they are in the file
    np.testing.assert_array_equal(read(first, columns), VALUES[inside > 0].T)
    (line,) = columns.warnings
    assert line.startswith(f"b.nii.gz: its voxels are up to {grid_shift(second, first):.2g} of a ")


def test_voxels_at_the_edge_are_kept(tmp_path):
    """nilearn sets those to 0 whose centre is a hair outside the image."""
    first, second = two_recordings(tmp_path, np.diag([3.0, 3.0, 2.998, 1.0]))
    columns = first.shared_columns([first, second])
    values = read(second, columns)
    assert not by_nilearn(VALUES, second.affine)[..., -1, :].any()
    np.testing.assert_allclose(values, VALUES[np.ones(SHAPE, bool)].T, atol=0.5)


def test_parcels_are_means_of_resampled_voxels(tmp_path):
    first, second = two_recordings(tmp_path)
    voxels = first.shared_columns([first, second])
    labels = RNG.integers(0, 4, SHAPE).astype(np.int16)
    columns = voxels.parcels(image(tmp_path / "atlas.nii.gz", labels, GRID))
    moved = read(second, voxels)
    expected = [moved[:, labels.ravel() == label].mean(axis=1) for label in (1, 2, 3)]
    np.testing.assert_allclose(read(second, columns), np.transpose(expected), rtol=1e-6)


def test_nan_outside_the_brain_stays_there(tmp_path):
    values = VALUES.copy()
    values[:2] = np.nan
    first, second = two_recordings(tmp_path, values=values)
    series = read(second, first.shared_columns([first, second]))
    outside = np.arange(np.prod(SHAPE)) < 2 * SHAPE[1] * SHAPE[2]
    assert np.isnan(series[:, outside]).all()
    assert np.isfinite(series[:, ~outside]).all()


@pytest.mark.parametrize(("size", "resampled"), [(3.0001, False), (3.002, True), (3.1, True)])
def test_what_differs_by_rounding_is_read_as_it_is(tmp_path, size, resampled):
    first, second = two_recordings(tmp_path, np.diag([3.0, 3.0, size, 1.0]))
    columns = first.shared_columns([first, second])
    assert (grid_shift(second, first) > EQUAL_GRID) == resampled == bool(columns.warnings)
    same = np.array_equal(read(second, columns), VALUES[np.ones(SHAPE, bool)].T)
    assert same != resampled


def test_a_grid_that_is_half_a_voxel_off_is_refused(tmp_path):
    first, second = two_recordings(tmp_path, np.diag([3.0, 3.0, 3.3, 1.0]))
    with pytest.raises(GibletError, match=r"b.nii.gz: its image or mask .* resample them to one"):
        first.shared_columns([first, second])


def test_a_mask_that_is_a_little_off_is_taken_by_its_nearest_voxels(tmp_path):
    first, _ = two_recordings(tmp_path)
    mask = RNG.random(SHAPE) > 0.5
    path = image(tmp_path / "mask.nii.gz", mask.astype(np.uint8), np.diag([3.0, 3.0, 3.05, 1.0]))
    recording = open_recording(first.path, path)
    columns = recording.shared_columns([recording])
    np.testing.assert_array_equal(columns.mask, mask)
    assert columns.warnings[0].startswith("a.nii: its mask is up to 0.1 of a voxel off")
    np.testing.assert_array_equal(read(recording, columns), VALUES[mask].T)


def test_smooth_series_keep_their_deviation():
    """A shift of a tenth of a voxel: cubic splines hardly smooth, linear weights would."""
    wave = np.cos(np.arange(41) * np.pi / 4)  # eight voxels long
    block = np.broadcast_to(wave, (3, 3, 41))[..., None]
    places = np.column_stack([np.ones(31), np.ones(31), np.arange(5, 36) + 0.1])
    np.testing.assert_allclose(
        resample(block, places)[0], np.cos(places[:, 2] * np.pi / 4), atol=5e-3
    )
