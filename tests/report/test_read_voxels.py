"""The map of voxels that are read has those that the decoder gets. Oracle: decoding itself."""

from dataclasses import replace

import nibabel
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from giblet.alignment.aligned import film_data
from giblet.alignment.voxels import reliable_voxels
from giblet.brain.regions import find_regions
from giblet.config.config import parse_config
from giblet.evaluation import brain_scores
from giblet.report.brain_figures import read_figure
from giblet.report.read_voxels import read_voxels
from giblet.report.scan_quality import BrainResults

T_R, N_TRS, N_TEST, SHAPE = 1.5, 120, 40, (5, 6, 4)
AFFINE = np.array([[4.0, 0, 0, -8], [0, 4, 0, -8], [0, 0, 4, -4], [0, 0, 0, 1]])
KEPT = np.arange(3, 120, 2)  # of the 120 voxels of the scans, 59 are aligned with the film


def brain():
    quality = xr.Dataset(coords={"voxel": np.arange(120), "subject": ["sub-01", "sub-02"]})
    mask = xr.Dataset({"mask": (("i", "j", "k"), np.ones(SHAPE, dtype=bool))})
    return BrainResults(quality, pd.DataFrame(), mask.assign_attrs(affine=AFFINE.ravel().tolist()))


def aligned_of(rng, n_subjects):
    """Subjects share more from voxel to voxel in training TRs; in test TRs other voxels do."""
    share = np.linspace(0, 2, len(KEPT))
    common = rng.standard_normal((N_TRS, len(KEPT)))
    weight = np.where(np.arange(N_TRS)[:, None] < N_TRS - N_TEST, share, 9 * (share < 0.5))
    bold = rng.standard_normal((n_subjects, N_TRS, len(KEPT))) + weight * common
    part = np.repeat(["train", "gap", "test"], [N_TRS - N_TEST - 5, 5, N_TEST])
    places = nibabel.affines.apply_affine(AFFINE, np.argwhere(np.ones(SHAPE)))[KEPT]
    coords = {axis: ("voxel", places[:, n]) for n, axis in enumerate("xyz")}
    coords |= {"part": ("tr", part), "run": ("tr", np.repeat("run-1", N_TRS))}
    coords |= {"column": ("voxel", KEPT), "tr": np.arange(N_TRS)}
    coords |= {"subject": [f"sub-{n:02}" for n in range(n_subjects)]}
    return xr.Dataset({"bold": (("subject", "tr", "voxel"), bold)}, coords, {"gap_trs": 5})


@pytest.fixture
def atlas(tmp_path):
    labels = np.zeros(SHAPE, dtype=np.int16)
    labels[1:3] = 1
    nibabel.save(nibabel.Nifti1Image(labels, AFFINE), tmp_path / "atlas.nii.gz")
    (tmp_path / "atlas.tsv").write_text("index\tname\n1\tauditory\n")
    return tmp_path / "atlas.nii.gz"


@pytest.mark.parametrize("region", [None, "auditory"])
@pytest.mark.parametrize("n_subjects", [1, 2])
def test_the_map_has_exactly_the_voxels_that_the_decoder_gets(
    rng, monkeypatch, atlas, tmp_path, n_subjects, region
):
    decoding = {"voxel_share": 0.1, "region": region}
    config = parse_config({"decoding": decoding, "lesion": {"regions": str(atlas)}})
    aligned = aligned_of(rng, n_subjects)
    data, given = film_data(aligned), []
    monkeypatch.setattr(brain_scores, "decode_subject", lambda bold, *_: given.append(bold) or {})
    code = rng.standard_normal((N_TRS, 3))
    brain_scores.decode_brains(code, data, T_R, config.decoding, find_regions(aligned, atlas))
    same = (given[0][:, :, None] == data.bold[0].numpy()[:, None]).all(axis=0)  # (given, kept)
    expected = KEPT[same.argmax(axis=1)]
    assert same.sum() == len(expected)

    read = read_voxels(aligned, config, brain(), tmp_path / "none")
    assert sorted(read.columns) == sorted(expected)
    picture = read_figure(brain(), read, simulated=False)
    np.testing.assert_array_equal(np.flatnonzero(picture.table["read"]), np.sort(expected))
    assert picture.note.startswith(f"{len(expected)} of 120 voxels. 59 were kept for training")
    rule = {None: "the 10 % of 59 voxels", "auditory": "the voxels of the region auditory"}[region]
    is_all = n_subjects == 1 and region is None
    assert (f"The decoder reads {rule}" in picture.note) is not is_all


def test_voxels_that_agree_in_test_trs_alone_are_not_read(rng, tmp_path):
    aligned = aligned_of(rng, 2)
    read = read_voxels(aligned, parse_config({}), brain(), tmp_path)
    leaked = KEPT[reliable_voxels(film_data(aligned).bold.numpy(), 0.05)]
    assert not set(read.columns) & set(leaked)


def test_a_decoder_that_reads_everything_has_no_map(rng, tmp_path):
    read = read_voxels(aligned_of(rng, 2), parse_config({}), brain(), tmp_path)
    assert read_figure(brain(), replace(read, columns=np.arange(120)), simulated=False) is None


def test_what_is_unknown_is_not_drawn(rng, tmp_path):
    old = aligned_of(rng, 2).drop_vars("column")
    assert read_voxels(old, parse_config({}), brain(), tmp_path) is None
    region = parse_config({"decoding": {"region": "auditory"}})
    assert read_voxels(aligned_of(rng, 2), region, brain(), tmp_path / "none") is None
