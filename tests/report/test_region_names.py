"""Names of peaks by an atlas in nilearn's data folder. Oracle: nilearn's resampling."""

import nibabel
import numpy as np
import pytest
import xarray as xr
from nibabel.affines import apply_affine
from nilearn.image import resample_to_img

from giblet.evaluation.quality import summary_table
from giblet.report.extras import Extras, brain_tables
from giblet.report.peaks import peak_tables
from giblet.report.region_names import region_names
from giblet.report.scan_quality import BrainResults, shown_regions

LABELS = ("Left Temporal", "Right Temporal", "Left Occipital", "Right Occipital")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """nilearn's data folder, and no network behind it."""
    from nilearn.datasets import _utils

    def refuse(*_args, **_options):
        raise AssertionError("the report downloads nothing")

    monkeypatch.setenv("NILEARN_DATA", str(tmp_path / "nilearn"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("NILEARN_SHARED_DATA", raising=False)
    monkeypatch.setattr(_utils, "fetch_single_file", refuse)
    return tmp_path / "nilearn"


def atlas_image():
    """Four quarters of a box of 2 mm voxels; as FSL's, i runs from right to left."""
    affine = np.diag([-2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = 90, -126, -72
    x, y, _z = apply_affine(affine, np.argwhere(np.ones((91, 109, 91)))).T
    labels = 1 + (x > 0) + 2 * (y < -60)
    labels[(np.abs(x) > 70) | (y > 40)] = 0
    return nibabel.Nifti1Image(labels.reshape(91, 109, 91).astype(np.uint8), affine)


def put_harvard_oxford(cache):
    """As FSL's and nilearn's: the image, and an XML file whose labels count from 0."""
    folder = cache / "fsl/data/atlases"
    (folder / "HarvardOxford").mkdir(parents=True)
    path = folder / "HarvardOxford/HarvardOxford-cort-maxprob-thr25-2mm.nii.gz"
    nibabel.save(atlas_image(), path)
    labels = "".join(
        f'<label index="{n}" x="1" y="2" z="3">{name}</label>\n' for n, name in enumerate(LABELS)
    )
    text = f'<?xml version="1.0"?>\n<atlas version="1.0"><data>\n{labels}</data></atlas>\n'
    (folder / "HarvardOxford-Cortical.xml").write_text(text)
    return folder


def put_aal(cache):
    folder = cache / "aal_SPM12/aal/atlas"
    folder.mkdir(parents=True)
    labels = np.asarray(atlas_image().dataobj)
    numbers = np.array([0, 8111, 8112, 5101, 5102], dtype=np.int16)
    nibabel.save(nibabel.Nifti1Image(numbers[labels], atlas_image().affine), folder / "AAL.nii")
    names = {5101: "Occipital_L", 5102: "Occipital_R", 8111: "Temporal_L", 8112: "Temporal_R"}
    rows = "".join(
        f"<label><index>{n}</index><name>{name}</name></label>\n" for n, name in names.items()
    )
    (folder / "AAL.xml").write_text(f"<atlas><data>\n{rows}</data></atlas>\n")


def scans(edge_mm, peak=(-50, -20, 8), i_from_right=False):
    """Voxels of a grid that is not the atlas's; r is highest next to ``peak`` (mm)."""
    shape = tuple(int(np.ceil(size / edge_mm)) for size in (150, 180, 140))
    affine = np.diag([edge_mm, edge_mm, edge_mm, 1.0])
    affine[:3, 3] = -74.33, -109.37, -59.23
    if i_from_right:
        affine[0, 0], affine[0, 3] = -edge_mm, 74.63
    mask = np.ones(shape, dtype=bool)
    mask[0] = False
    places = apply_affine(affine, np.argwhere(mask))
    r = np.exp(-((places - np.array(peak)) ** 2).sum(axis=1) / 2 / 8**2)
    coords = {axis: ("voxel", places[:, k]) for k, axis in enumerate("xyz")}
    attrs = {"lag_applied": 0.0, "warnings": "[]"}
    columns = {"r_encodec": (("subject", "voxel"), r[None])}
    quality = xr.Dataset(columns, coords | {"subject": ["sub-01"]}, attrs)
    space = xr.Dataset({"mask": (("i", "j", "k"), mask)}, attrs={"affine": affine.ravel().tolist()})
    return BrainResults(quality, summary_table(quality), space)


def named(brain, tmp_path, wanted="auto"):
    return region_names(wanted, tmp_path / "simulated", brain.quality, brain.space)


@pytest.mark.parametrize("i_from_right", [False, True])
@pytest.mark.parametrize("edge_mm", [2.0, 3.3, 8.0])
def test_voxels_have_the_labels_that_nilearn_resamples(cache, tmp_path, edge_mm, i_from_right):
    put_harvard_oxford(cache)
    brain = scans(edge_mm, i_from_right=i_from_right)
    names = named(brain, tmp_path)
    mask, affine = brain.space["mask"].values, np.reshape(brain.space.attrs["affine"], (4, 4))
    grid = nibabel.Nifti1Image(mask.astype(np.int8), affine)
    expected = resample_to_img(atlas_image(), grid, interpolation="nearest").get_fdata()[mask]
    assert list(names.masks) == list(LABELS)
    for number, inside in enumerate(names.masks.values(), start=1):
        np.testing.assert_array_equal(inside, expected == number)


@pytest.mark.parametrize(
    ("peak", "region"),
    [((-50, -20, 8), 0), ((50, -20, 8), 1), ((-20, -90, 0), 2), ((20, -90, 0), 3)],
)
@pytest.mark.parametrize(("edge_mm", "i_from_right"), [(2.0, False), (4.0, True), (8.0, False)])
def test_a_planted_peak_has_its_label(cache, tmp_path, peak, region, edge_mm, i_from_right):
    put_harvard_oxford(cache)
    brain = scans(edge_mm, peak, i_from_right)
    names = named(brain, tmp_path)
    (table,) = peak_tables(brain, names.masks, False, names.atlas)
    assert table.header[-1] == "Region (Harvard-Oxford)"
    assert table.rows[0][-1] == LABELS[region]
    place = [float(one.replace("\u2212", "-")) for one in table.rows[0][0].split(",\u00a0")]
    np.testing.assert_allclose(place, peak, atol=edge_mm)
    assert "harvard_oxford_cortical in nilearn's data folder" in names.note
    assert "MNI152NLin6Asym" in names.note


def test_aal_has_its_own_numbers(cache, tmp_path):
    put_aal(cache)
    brain = scans(4.0)
    names = named(brain, tmp_path)
    assert names.atlas == "AAL"
    (table,) = peak_tables(brain, names.masks, False, names.atlas)
    assert table.rows[0][-1] == "Temporal_L"
    regions = shown_regions(brain.quality, names.masks)
    extras = Extras(atlas=names.masks, atlas_name=names.atlas, regions=regions)
    assert brain_tables(extras, simulated=False)[0].caption == "Regions of AAL"


def test_without_an_atlas_one_line_says_which_file_to_put_where(cache, tmp_path):
    folder = put_harvard_oxford(cache)
    (folder / "HarvardOxford-Cortical.xml").unlink()
    brain = scans(8.0)
    names = named(brain, tmp_path)
    assert names.masks == {}
    assert "\n" not in names.note
    assert "fsl/data/atlases/HarvardOxford-Cortical.xml" in names.note
    assert "NILEARN_DATA" in names.note
    (table,) = peak_tables(brain, names.masks, False, names.atlas)
    assert table.header == ["x, y, z (mm)", "r", "q", "Cluster (mm³)"]


def test_only_the_folder_that_nilearn_reads_counts(cache, tmp_path, monkeypatch):
    """nilearn takes the first folder of a data set, and downloads what is missing in it."""
    put_harvard_oxford(cache)
    shared = tmp_path / "shared"
    (shared / "fsl").mkdir(parents=True)
    monkeypatch.setenv("NILEARN_SHARED_DATA", str(shared))
    assert named(scans(8.0), tmp_path).masks == {}


def test_a_broken_atlas_is_named_and_no_region_is_made_up(cache, tmp_path):
    folder = put_harvard_oxford(cache)
    (folder / "HarvardOxford-Cortical.xml").write_text("<atlas")
    names = named(scans(8.0), tmp_path)
    assert names.masks == {}
    assert names.note.startswith("Peaks have no names of regions: harvard_oxford_cortical cannot")


def test_scans_outside_mni_have_no_names(cache, tmp_path):
    put_harvard_oxford(cache)
    brain = scans(8.0)
    own = BrainResults(brain.quality, brain.summary, brain.space.assign_attrs(space="T1w"))
    names = named(own, tmp_path)
    assert names.masks == {}
    assert "the scans are in T1w, atlases in MNI space" in names.note


def test_names_say_that_mni_is_assumed_where_no_file_names_a_space(cache, tmp_path):
    put_harvard_oxford(cache)
    brain = scans(8.0)
    assert "MNI space is assumed" in named(brain, tmp_path).note
    told = BrainResults(
        brain.quality, brain.summary, brain.space.assign_attrs(space="MNI152NLin6Asym:res-2")
    )
    names = named(told, tmp_path)
    assert names.masks
    assert "assumed" not in names.note


def test_the_settings_come_first(cache, tmp_path):
    put_harvard_oxford(cache)
    path = tmp_path / "own.nii.gz"
    nibabel.save(atlas_image(), path)
    names = named(scans(8.0), tmp_path, str(path))
    assert list(names.masks) == ["1", "2", "3", "4"]
    assert (names.atlas, names.note) == ("own.nii.gz", "")
