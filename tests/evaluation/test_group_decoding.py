"""People decoded together and by others. Oracles: planted rotations, changed test TRs, averages."""

import logging

import numpy as np
import pytest
import torch
from scipy.stats import ortho_group

from giblet.alignment.dataset import FilmData
from giblet.config.sections import DecodingConfig, ScanConfig
from giblet.evaluation.decoding import decode_subject
from giblet.evaluation.group_decoding import (
    decode_from_others,
    decode_group,
    decode_together,
    space_of,
)
from giblet.stats.common_space import ALIGNMENTS
from giblet.stats.pearson import correlation

N_TRS, N_VOXELS, N_CODE, LAGS = 200, 14, 5, range(1, 3)
TRAIN, TEST = np.arange(140), np.arange(150, 198)
RUNS = np.repeat("run-1", N_TRS)
SCANS = {m: ScanConfig(alignment=m, alignment_features=8) for m in ALIGNMENTS}
ALIGNED = [method for method in ALIGNMENTS if method != "none"]


@pytest.fixture
def film(rng):
    """A code, and BOLD of four people who follow it a TR later, each with a topography of their
    own and noise."""
    code = rng.standard_normal((N_TRS, N_CODE))
    answer = np.roll(code, 1, axis=0) @ rng.standard_normal((N_CODE, N_VOXELS))
    turns = ortho_group.rvs(N_VOXELS, size=4, random_state=2)
    return code, answer @ turns + 1.5 * rng.standard_normal((4, N_TRS, N_VOXELS))


def r_of(decoded, code):
    return correlation(decoded, code[TEST]).mean()


@pytest.mark.parametrize("method", ALIGNED)
def test_alignment_reads_people_whom_voxels_do_not(film, method):
    code, bold = film
    parts = (RUNS, code, TRAIN, TEST, LAGS)
    r = {
        one: r_of(decode_from_others(bold[1:], bold[0], *parts, SCANS[one]), code)
        for one in ("none", method)
    }
    assert r[method] > 1.3 * max(r["none"], 0.2)
    together = {one: decode_group(bold, *parts, SCANS[one])["brain"] for one in ("none", method)}
    alone = decode_subject(bold[0], *parts)["brain"]
    assert r_of(together[method], code) > r_of(alone, code) > r_of(together["none"], code)


@pytest.mark.parametrize("method", ALIGNED)
def test_test_trs_never_enter_a_fit(film, method):
    """Other test TRs give the same transforms, and the same decoder: each test TR is read alone."""
    code, bold = film
    changed, other_code = bold.copy(), code.copy()
    changed[:, 145:] *= -3.0
    other_code[145:] = 7.0
    before, after = (space_of(one, TRAIN, SCANS[method]) for one in (bold, changed))
    np.testing.assert_array_equal(before.template, after.template)
    for one, other in zip(before.people, after.people, strict=True):
        np.testing.assert_array_equal(one.into, other.into)
    mixed = changed.copy()
    mixed[:, 160:162] = bold[:, 160:162]
    read = [
        decode_group(b, RUNS, c, TRAIN, TEST, range(1), SCANS[method])["brain"]
        for b, c in ((bold, code), (mixed, other_code))
    ]
    np.testing.assert_allclose(read[0][10:12], read[1][10:12], atol=1e-4)
    assert np.abs(read[0][13:] - read[1][13:]).max() > 0.1


@pytest.mark.parametrize("method", ALIGNED)
def test_of_the_left_out_person_only_a_transform_is_fitted(film, method):
    """What is decoded from a person does not depend on the other test TRs of that person."""
    code, bold = film
    own = bold[0].copy()
    own[170:] = 99.0
    parts = (RUNS, code, TRAIN, TEST, range(1), SCANS[method])
    one, other = (decode_from_others(bold[1:], each, *parts) for each in (bold[0], own))
    np.testing.assert_allclose(one[:20], other[:20], atol=1e-5)


def test_without_alignment_the_group_is_the_mean_brain(film):
    code, bold = film
    parts = (RUNS, code, TRAIN, TEST, LAGS)
    expected = decode_subject(bold.mean(axis=0), *parts)["brain"]
    np.testing.assert_allclose(decode_group(bold, *parts, SCANS["none"])["brain"], expected)


def test_folds_of_the_others_hold_out_seconds_of_the_film(film):
    """Noise of the training TRs cannot be learned by heart: the same second of other people would
    be in another fold, and ridge would choose too small a penalty."""
    code, bold = film
    noise = np.random.default_rng(3).standard_normal(bold[0].shape)
    alike = np.stack([noise] * 4)  # people who agree in everything but the film
    decoded = decode_from_others(alike[1:], noise, RUNS, code, TRAIN, TEST, LAGS, SCANS["none"])
    assert decoded.std() < 0.3 * code.std()


def test_one_subject_has_no_group(film, caplog):
    code, bold = film
    part = np.full(N_TRS, "gap", dtype="<U10")
    part[TRAIN], part[TEST] = "train", "test"

    def together(bold, method):
        data = FilmData({}, torch.from_numpy(bold.astype(np.float32)), part, RUNS)
        return decode_together(code, data, 1.5, DecodingConfig(voxel_share=1), SCANS[method])

    with caplog.at_level(logging.WARNING):
        assert together(bold[:1], "none") == {}
        assert not caplog.records
        assert together(bold[:1], "srm") == {}
    assert "needs two subjects or more, and there is one" in caplog.text
    (column,) = together(bold, "srm").values()
    assert column[0].shape == (len(TEST), N_CODE)
