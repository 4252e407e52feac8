"""Atlases by name come from nilearn's cache; without it one line says which files to put where."""

import nibabel
import numpy as np
import pytest

from giblet.brain.atlases import (
    ATLASES,
    is_atlas_name,
    label_names,
    template_warnings,
    volume_atlas,
)
from giblet.brain.images import Voxels
from giblet.brain.nifti import brain_volume
from giblet.brain.regions import find_regions
from giblet.errors import GibletError

LABELS = "1\t7Networks_LH_Vis_1\t1\t2\t3\t0\n2\t7Networks_RH_Default_1\t4\t5\t6\t0\n"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """nilearn's data folder, with no network behind it."""
    from nilearn.datasets import _utils

    def refuse(*_args, **_options):
        raise OSError("no network in this test")

    monkeypatch.setenv("NILEARN_DATA", str(tmp_path / "nilearn"))
    monkeypatch.delenv("NILEARN_SHARED_DATA", raising=False)
    monkeypatch.setattr(_utils, "fetch_single_file", refuse)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "nilearn"


def put_schaefer(cache):
    stem = "Schaefer2018_100Parcels_7Networks_order"
    folder = cache / "schaefer_2018"
    folder.mkdir(parents=True)
    (folder / f"{stem}.txt").write_text(LABELS)
    image = np.zeros((4, 4, 4), np.uint8)
    image[:2], image[2:] = 1, 2
    nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), folder / f"{stem}_FSLMNI152_1mm.nii.gz")


def test_labels_have_their_names(cache):
    put_schaefer(cache)
    voxels = Voxels(np.ones((4, 4, 4), bool), np.eye(4))
    columns = voxels.parcels("schaefer_2018_100")
    space = columns.coordinates()
    assert space["parcel"].values.tolist() == ["7Networks_LH_Vis_1", "7Networks_RH_Default_1"]
    assert space["parcel_label"].values.tolist() == [1, 2]
    volume = brain_volume(np.array([5.0, 6.0]), space)
    assert volume[0, 0, 0] == 5
    assert volume[3, 3, 3] == 6
    assert find_regions(space, None)["7Networks_RH_Default_1"].tolist() == [False, True]


def test_a_missing_atlas_says_which_file_to_put_where(cache):
    with pytest.raises(GibletError) as caught:
        volume_atlas("schaefer_2018_400_17networks_2mm")
    message = str(caught.value)
    assert "\n" not in message
    assert "Schaefer2018_400Parcels_17Networks_order_FSLMNI152_2mm.nii.gz" in message
    assert "Schaefer2018_400Parcels_17Networks_order.txt" in message
    assert str(cache) in message


@pytest.mark.parametrize("name", [name for source in ATLASES for name in source.names])
def test_every_fetcher_exists_and_its_files_are_those_nilearn_asks_for(cache, monkeypatch, name):
    """What the message names is what nilearn's fetcher looks for."""
    from nilearn.datasets import atlas

    asked = []

    def note(folder, files, **_):
        asked.extend(str(file[0]) for file in files)
        raise OSError("asked")

    monkeypatch.setattr(atlas, "fetch_files", note)
    with pytest.raises(GibletError, match="cannot be fetched") as caught:
        volume_atlas(name)
    named = str(caught.value).split("; put ")[1]
    assert asked
    if "unpacked" not in named:
        assert all(file.split("/")[-1] in named for file in asked)
    else:
        assert all(file.split("/")[0] in named for file in asked)


def test_an_atlas_of_another_mni_space_is_a_warning():
    (warning,) = template_warnings("schaefer_2018_400", "MNI152NLin2009cAsym")
    assert "schaefer_2018_400 is made in MNI152NLin6Asym, the scans lie in" in warning
    assert template_warnings("schaefer_2018_400", "MNI152NLin6Asym") == []
    assert template_warnings("schaefer_2018_400", None) == []


def test_names_and_files():
    assert is_atlas_name("schaefer_2018_1000_17networks")
    assert not is_atlas_name("schaefer_2018_450")
    with pytest.raises(
        GibletError, match=r"scan.parcellation: schaefer_2018_450: no file, and no "
    ):
        volume_atlas("schaefer_2018_450")
    with pytest.raises(GibletError, match=r"atlas.nii.gz: no such file"):
        volume_atlas("nowhere/atlas.nii.gz")


def test_an_image_has_the_names_of_its_table(tmp_path):
    image = np.zeros((2, 2, 2), np.uint8)
    image[0], image[1] = 3, 8
    path = tmp_path / "own.nii.gz"
    nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), path)
    voxels = Voxels(np.ones((2, 2, 2), bool), np.eye(4))
    assert voxels.parcels(path).coordinates()["parcel"].values.tolist() == [3, 8]
    (tmp_path / "own.tsv").write_text("index\tname\n3\tV1\n")
    assert label_names(path) == {3: "V1"}
    assert voxels.parcels(path).coordinates()["parcel"].values.tolist() == ["V1", "8"]


def test_an_atlas_of_a_surface_is_refused_for_voxels(tmp_path):
    path = tmp_path / "lh.x.annot"
    path.write_bytes(b"x")
    with pytest.raises(GibletError, match="an atlas of a surface, but the scans are voxels"):
        volume_atlas(path)
