"""A new person's calibration. Oracles: planted rotations, changed TRs, the functions it uses."""

import numpy as np
import pytest
import torch
from scipy.stats import ortho_group

from giblet.alignment.dataset import FilmData, zscore_bold
from giblet.config.sections import DecodingConfig, ScanConfig
from giblet.evaluation.calibration import (
    COLUMNS,
    EVERYONE,
    Codes,
    calibration_rows,
    calibration_table,
    training_amounts,
)
from giblet.evaluation.decoding import lags_in_trs
from giblet.evaluation.group_decoding import decode_from_others
from giblet.evaluation.held_out import HeldOut
from giblet.report.calibration import finding
from giblet.stats.ridge import ridge_encoding

N_TRS, N_VOXELS, N_CODE, T_R = 260, 12, 5, 1.5
DECODING = DecodingConfig(first_lag_seconds=1.5, last_lag_seconds=3, voxel_share=1)
SRM = ScanConfig(alignment="srm", alignment_features=6)
METRICS = {"bold_r_reliable", "identification_2way", "identification_10way", "bottleneck_r"}


@pytest.fixture
def film(rng):
    """Codes, and three people who follow them with rotated voxels and noise."""
    code = rng.standard_normal((N_TRS, N_CODE)).astype(np.float32)
    answer = np.roll(code, 1, axis=0) @ rng.standard_normal((N_CODE, N_VOXELS))
    turns = ortho_group.rvs(N_VOXELS, size=3, random_state=2)
    bold = (answer @ turns + 0.7 * rng.standard_normal((3, N_TRS, N_VOXELS))).astype(np.float32)
    part = np.full(N_TRS, "gap", dtype="<U10")
    part[:180], part[200:] = "train", "test"
    bold, _ = zscore_bold(bold, np.repeat("1", N_TRS), part == "train")  # as the pipeline does
    names = ("ann", "bo", "cy")
    data = FilmData({}, torch.from_numpy(bold), part, np.repeat("1", N_TRS), names)
    return Codes(code, np.roll(code, 1, axis=0)), data


def rows_of(codes, data, scan=SRM, minutes=(0.5, 2)):
    rows = calibration_rows(codes, data, T_R, DECODING, scan, minutes, seed=0)
    return {(row["subject"], row["minutes"], row["metric"]): row for row in rows}


def test_a_new_person_is_read_after_some_minutes(film):
    rows = rows_of(*film)
    assert {metric for _, _, metric in rows} == METRICS
    assert sorted({minutes for _, minutes, _ in rows}) == [0.5, 2, 4.5]  # and all that there are
    for metric in ("identification_2way", "bold_r_reliable"):
        few, some, every = (rows[EVERYONE, m, metric] for m in (0.5, 2, 4.5))
        assert few["value"] > few["shuffled"] + 0.2
        if metric == "identification_2way":
            assert few["value"] > few["alone"]  # others help where there is little
        assert every["alone"] == every["full"] == few["full"]
        chance = {"identification_2way": 0.5, "bold_r_reliable": 0.0}[metric]
        assert some["share"] == pytest.approx((some["value"] - chance) / (some["full"] - chance))
        assert some["share"] > 0.8
        subjects = [rows[one, 2, metric]["value"] for one in ("ann", "bo", "cy")]
        assert some["value"] == pytest.approx(np.mean(subjects))
    chance = [rows[EVERYONE, 2, f"identification_{n}way"]["shuffled"] for n in (2, 10)]
    np.testing.assert_allclose(chance, [0.5, 0.1], atol=0.06)


def test_all_minutes_are_the_decoder_of_others(film):
    codes, data = film
    bold, train, test = data.bold.numpy(), data.where("train"), data.where("test")
    parts = (data.run, codes.code, train, test, lags_in_trs(T_R, DECODING), SRM)
    decoded = decode_from_others(bold[1:], bold[0], *parts)
    expected = HeldOut(codes.code, data, np.zeros(0), 1.0, 5).bottleneck_scores(decoded)
    row = rows_of(*film)["ann", 4.5, "identification_2way"]
    assert row["value"] == pytest.approx(expected["identification_2way"].mean(), abs=1e-6)
    predicted = ridge_encoding(codes.blurred, bold[0], train, test)
    r = [np.corrcoef(p, b)[0, 1] for p, b in zip(predicted.T, bold[0, test].T, strict=True)]
    full = rows_of(*film)["ann", 4.5, "bold_r_reliable"]["full"]
    assert full == pytest.approx(np.mean(r), abs=1e-5)


def test_later_minutes_and_test_trs_do_not_enter(film):
    """What comes after the person's first minutes changes nothing that is fitted to them."""
    codes, data = film
    changed = data.bold.clone()
    changed[0, 30:180] *= -5.0
    other = FilmData({}, changed, data.part, data.run, data.subjects)
    for metric in METRICS:
        one, two = (rows_of(codes, each)["ann", 0.5, metric] for each in (data, other))
        assert one["value"] == pytest.approx(two["value"], abs=1e-6)
        assert one["alone"] == pytest.approx(two["alone"], abs=1e-6)
    assert one["full"] != two["full"]


def test_voxels_are_z_scored_by_the_first_minutes_alone(film):
    """Later training TRs of another level and scale change nothing, also before z-scoring."""
    codes, data = film
    raw = data.bold.numpy() * 3 + 100
    other = raw.copy()
    other[0, 30:180] = 5 * other[0, 30:180] + 20
    found = []
    for bold in (raw, other):
        scaled, _ = zscore_bold(bold, data.run, data.part == "train")
        person = FilmData({}, torch.from_numpy(scaled), data.part, data.run, data.subjects)
        found.append(rows_of(codes, person))
    for metric in METRICS:
        one, two = (rows["ann", 0.5, metric] for rows in found)
        assert one["value"] == pytest.approx(two["value"], abs=2e-3)
        assert one["alone"] == pytest.approx(two["alone"], abs=2e-3)


def test_the_table_says_whose_scale_it_is(film):
    """Of two runs, .5 minutes (20 TRs) lie in the first: the other keeps its earlier scale."""
    codes, data = film
    assert {row["scale"] for row in rows_of(codes, data).values()} == {"minutes"}
    runs = np.repeat(["1", "2"], [100, N_TRS - 100])
    of_two = FilmData({}, data.bold, data.part, runs, data.subjects)
    rows = rows_of(codes, of_two, minutes=(0.5, 3))
    found = {(minutes, row["scale"]) for (_, minutes, _), row in rows.items()}
    assert found == {(0.5, "training"), (3, "minutes"), (4.5, "minutes")}
    table = calibration_table("encodec", "srm", list(rows.values()))
    assert "Up to 0.5 minutes, some runs have fewer than 10 TRs" in finding(table)


def test_minutes_that_there_are_not_are_left_out():
    assert training_amounts(1600, 1.5, [40, 2, 5]) == {2: 80, 5: 200, 40: 1600}
    assert training_amounts(100, 1.5, [0.1, 5]) == {2.5: 100}  # 4 TRs are too few


def test_the_table_has_its_columns(film):
    codes, data = film
    rows = calibration_rows(codes, data, T_R, DECODING, ScanConfig(), [2], seed=0)
    table = calibration_table("encodec", "none", rows)
    assert list(table) == COLUMNS
    assert set(table["alignment"]) == {"none"}
    assert not table.drop(columns="shuffled").isna().any(axis=None)
