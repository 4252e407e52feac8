"""Maps as NIfTI beside their figures. Oracles: nibabel, and the mean of the subjects' values."""

import nibabel
import numpy as np
import xarray as xr

from giblet.brain.nifti import to_nifti
from giblet.evaluation.quality import summary_table
from giblet.report.brain_figures import map_figures, map_volume
from giblet.report.pictures import save_pictures
from giblet.report.scan_quality import BrainResults

AFFINE = [-3.0, 0, 0, 60, 0, 3, 0, -75, 0, 0, 4, -45, 0, 0, 0, 1]  # left is right


def results():
    mask = np.zeros((5, 6, 5), dtype=bool)
    mask[1:4, 1:5, 1:4] = True
    isc = (("subject", "voxel"), np.array([np.arange(36), np.arange(36) + 2]) / 100)
    quality = xr.Dataset({"isc": isc}, {"subject": ["01", "02"]}, {"warnings": "[]"})
    space = xr.Dataset({"mask": (("i", "j", "k"), mask)}, attrs={"affine": AFFINE})
    return BrainResults(quality, summary_table(quality), space)


def test_a_map_is_written_with_its_affine_and_linked(tmp_path):
    brain = results()
    (picture,) = map_figures(brain, simulated=False)
    assert ("map_isc.nii.gz", "NIfTI") in picture.files
    save_pictures([picture], tmp_path)
    assert {name for name, _ in picture.files} < {file.name for file in tmp_path.iterdir()}
    image = nibabel.load(tmp_path / "map_isc.nii.gz")
    np.testing.assert_array_equal(image.affine, np.reshape(AFFINE, (4, 4)))
    assert image.header.get_xyzt_units() == ("mm", "sec")
    values, inside = image.get_fdata(), brain.space["mask"].values
    np.testing.assert_allclose(values[inside], (np.arange(36) + 1) / 100, rtol=1e-6)
    assert np.isnan(values[~inside]).all()
    mean = brain.quality["isc"].mean("subject")
    np.testing.assert_array_equal(
        values, to_nifti(mean, brain.space).get_fdata().astype(np.float32)
    )
    first = (tmp_path / "map_isc.nii.gz").read_bytes()
    picture.save(tmp_path)
    assert (tmp_path / "map_isc.nii.gz").read_bytes() == first


def test_parcels_fill_their_voxels_and_a_surface_has_no_image():
    labels = np.array([[[1, 2, 2, 0]]])
    space = xr.Dataset(
        {"mask": (("i", "j", "k"), labels > 0), "labels": (("i", "j", "k"), labels)},
        {"parcel": ["a", "b"], "parcel_label": ("parcel", [1, 2])},
        {"affine": AFFINE},
    )
    volume, _ = map_volume(np.array([0.5, 0.25]), space)
    np.testing.assert_array_equal(volume, [[[0.5, 0.25, 0.25, np.nan]]])
    assert map_volume(np.ones(3), xr.Dataset()) is None
