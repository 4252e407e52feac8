"""Parts never touch, and nothing of the test part reaches the training. Oracle: scikit-learn."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from giblet.alignment import dataset
from giblet.alignment.dataset import (
    PARTS,
    FilmData,
    check_apart,
    check_no_overlap,
    split_film,
    windows,
    zscore_bold,
)
from giblet.alignment.regressors import reach_warnings
from giblet.config.config import parse_config
from giblet.config.sections import SplitConfig
from giblet.errors import GibletError
from giblet.stats.cross_validation import near


def make_data(part, run=None, **film):
    run = np.repeat("run-1", len(part)) if run is None else run
    return FilmData(film, None, np.asarray(part), np.asarray(run))


def nearest(parts, one, other):
    a, b = np.flatnonzero(parts == one), np.flatnonzero(parts == other)
    return np.abs(a[:, None] - b[None]).min()


@pytest.mark.parametrize("t_r", [0.72, 1.5, 2.0])
@pytest.mark.parametrize("n_trs", [220, 361, 1000])
@pytest.mark.parametrize("has_bold", [True, False])
def test_parts_are_never_nearer_than_the_gap(n_trs, t_r, has_bold):
    splits = SplitConfig()
    parts = split_film(n_trs, t_r, splits, has_bold)
    assert len(parts) == n_trs
    for i, one in enumerate(PARTS):
        for other in PARTS[i + 1 :]:
            seconds_between = (nearest(parts, one, other) - 1) * t_r
            assert seconds_between >= (32.0 if has_bold else t_r) - 1e-9
    assert (parts == "test").sum() == round(0.2 * n_trs)
    assert (parts == "validation").sum() == round(0.1 * n_trs)
    assert parts[-1] == "test"  # the film's end
    assert all((np.diff(np.flatnonzero(parts == part)) == 1).all() for part in PARTS)


def test_a_split_is_the_same_each_time_and_for_everyone():
    """Parts come from the film's TRs alone: there is no subject to ask for and no seed."""
    one, other = (split_film(200, 1.5, SplitConfig(), True) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    subjects = torch.arange(200.0).expand(3, 200)[..., None]
    data = FilmData({}, subjects, one, np.repeat("run-1", 200), ("1", "2", "3"))
    test = data.slice(data.where("test")).bold
    assert (test == torch.from_numpy(data.where("test"))[None, :, None]).all()


def test_a_film_too_short_for_three_parts_is_named():
    with pytest.raises(GibletError, match="60 TRs are too few: 12 to test, 6 to validate"):
        split_film(60, 1.5, SplitConfig(), has_bold=True)
    assert (split_film(60, 1.5, SplitConfig(), has_bold=False) == "train").sum() == 40


SIX_RUNS = np.repeat([f"task-film_run-{n}" for n in range(1, 7)], 60)


def by_run(test, validation=(), runs=SIX_RUNS, **more):
    test, validation = ([f"task-film_run-{n}" for n in names] for names in (test, validation))
    splits = SplitConfig(test_runs=test, validation_runs=validation, **more)
    return split_film(len(runs), 1.5, splits, True, runs)


@pytest.mark.parametrize(
    ("test", "validation"),
    [([6], []), ([1], []), ([3], []), ([5, 4], []), ([6], [5]), ([2], [3, 1]), ([1], [4])],
)
def test_runs_are_tested_whole_and_gaps_are_taken_from_the_others(test, validation):
    parts, number = by_run(test, validation), np.repeat(range(1, 7), 60)
    np.testing.assert_array_equal(parts == "test", np.isin(number, test))
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert nearest(parts, one, other) > 22  # TRs that last 32 s
    for tr in np.flatnonzero(parts == "gap"):  # and no TR is left out for nothing
        assert np.isin(parts[max(0, tr - 22) : tr + 23], ["test", "validation"]).any()
    if validation:
        assert set(number[parts == "validation"]) == set(validation)
        assert set(number[parts == "train"]) == {1, 2, 3, 4, 5, 6} - {*test, *validation}


def test_validation_is_the_last_share_of_what_tested_runs_leave():
    parts = by_run([6])  # 300 TRs before it, less a gap of 22
    assert np.flatnonzero(parts == "validation").tolist() == list(range(278 - 28, 278))
    parts = by_run([3], validation=[])  # 98 TRs before, 158 after
    assert np.flatnonzero(parts == "validation").tolist() == list(range(360 - 26, 360))


def test_a_run_that_may_not_be_tested_is_named():
    with pytest.raises(GibletError, match=r"no run task-film_run-9 in the scan; did you mean .*-6"):
        by_run([9])
    with pytest.raises(GibletError, match=r"splits.validation_runs: no run .* there are: task-f"):
        by_run([1], [7])
    with pytest.raises(GibletError, match=r"splits.test_runs .* name every run"):
        by_run([1, 2, 3, 4, 5, 6])
    with pytest.raises(GibletError, match=r"splits.test_runs .* name every run"):
        by_run([1, 2, 3], [4, 5, 6])
    with pytest.raises(GibletError, match=r"60 to test, 0 to validate and gaps of 67 leave 0"):
        by_run([2], [1], runs=SIX_RUNS[:180], gap_seconds=100)
    with pytest.raises(GibletError, match="no run 2 in the scan; there are: none"):
        split_film(40, 1.5, SplitConfig(test_runs=["2"]), False, np.repeat("none", 40))


@pytest.mark.parametrize("tested", [{}, {"test_runs": ["a", "b"]}])
def test_runs_to_validate_go_with_others_to_test(tested):
    with pytest.raises(GibletError, match=r"splits.validation_runs = \['b'\].* no run may be in"):
        parse_config({"splits": {"validation_runs": ["b"], **tested}})


def test_no_overlap_is_proved_or_refused():
    parts = split_film(200, 1.5, SplitConfig(), has_bold=True)
    check_no_overlap(make_data(parts), gap_trs=22)
    with pytest.raises(GibletError, match="train and validation TRs are nearer than 23 TRs"):
        check_no_overlap(make_data(parts), gap_trs=23)
    mixed = np.random.default_rng(0).permutation(parts)  # a random split
    with pytest.raises(GibletError, match="nearer"):
        check_no_overlap(make_data(mixed), gap_trs=1)


def test_a_window_that_reaches_into_another_part_is_found(monkeypatch):
    """Labels may be right and windows wrong: the proof is of the windows."""
    data = make_data(split_film(200, 1.5, SplitConfig(), has_bold=True))
    cut = dataset.windows

    def reaching(data, part, n_trs, step):
        later = 140 if part == "train" else 0
        return [np.minimum(window + later, 199) for window in cut(data, part, n_trs, step)]

    monkeypatch.setattr(dataset, "windows", reaching)
    with pytest.raises(GibletError, match="train and test share 40 TRs, the first is TR 160"):
        check_no_overlap(data)


def test_windows_made_by_hand_are_proved_or_refused():
    seen = {"train": [np.arange(10), np.arange(5, 15)], "validation": [np.arange(20, 25)]}
    check_apart(seen | {"test": [np.arange(30, 40)]}, gap_trs=5)
    with pytest.raises(GibletError, match="train and validation TRs are nearer than 6 TRs"):
        check_apart(seen | {"test": [np.arange(30, 40)]}, gap_trs=6)
    with pytest.raises(GibletError, match="validation and test share 1 TRs, the first is TR 24"):
        check_apart(seen | {"test": [np.arange(24, 40)]}, gap_trs=1)


def test_the_gap_of_the_data_is_proved_without_being_asked_for():
    parts = split_film(200, 1.5, SplitConfig(), has_bold=True)
    data = make_data(parts)
    check_no_overlap(dataclasses.replace(data, gap_trs=22))
    with pytest.raises(GibletError, match="nearer than 23 TRs"):
        check_no_overlap(dataclasses.replace(data, gap_trs=23), gap_trs=1)


@pytest.fixture
def bold(rng):
    """Two subjects, 90 TRs in two runs of unlike scale, 7 voxels."""
    bold = rng.standard_normal((2, 90, 7)) * rng.uniform(1, 300, 7) + 1000
    bold[:, 50:] *= 3
    return bold.astype(np.float32)


RUNS = np.repeat(["run-1", "run-2"], [50, 40])


def test_bold_is_scaled_as_scikit_learn_scales_training_trs(bold):
    is_train = np.arange(90) % 50 < 30  # the beginning of both runs
    scaled, has_signal = zscore_bold(bold, RUNS, is_train)
    assert scaled.dtype == np.float32
    assert has_signal.all()
    for run in ("run-1", "run-2"):
        here = run == RUNS
        for subject in range(2):
            scaler = StandardScaler().fit(bold[subject, here & is_train].astype(float))
            expected = scaler.transform(bold[subject, here].astype(float))
            np.testing.assert_allclose(scaled[subject, here], expected, atol=2e-3)


def test_a_run_without_training_trs_takes_the_scale_of_them_all(bold):
    is_train = np.arange(90) < 40
    scaled, _ = zscore_bold(bold, RUNS, is_train)
    expected = (
        StandardScaler().fit(bold[0, :40].astype(float)).transform(bold[0, 50:].astype(float))
    )
    np.testing.assert_allclose(scaled[0, 50:], expected, atol=2e-3)


@pytest.mark.parametrize("n_train", [1, 2, 9])
def test_a_run_of_few_training_trs_takes_the_scale_of_them_all(bold, n_train):
    is_train = (np.arange(90) < 40) | ((np.arange(90) >= 50) & (np.arange(90) < 50 + n_train))
    scaled, has_signal = zscore_bold(bold, RUNS, is_train)
    assert has_signal.all()
    expected = StandardScaler().fit(bold[0, is_train].astype(float)).transform(bold[0, 50:])
    np.testing.assert_allclose(scaled[0, 50:], expected, atol=2e-3)


def test_test_trs_have_no_say_in_the_scale_of_training_trs(bold):
    is_train = np.arange(90) % 50 < 30
    altered = bold.copy()
    altered[:, ~is_train] = altered[:, ~is_train] * 100 + 7
    scaled, scaled_too = (zscore_bold(b, RUNS, is_train)[0] for b in (bold, altered))
    np.testing.assert_array_equal(scaled[:, is_train], scaled_too[:, is_train])
    assert np.abs(scaled_too[:, ~is_train]).max() > 100


@pytest.mark.parametrize("factor", [2.0**20, 2.0**-20])
def test_the_scanners_unit_does_not_matter(bold, factor):
    is_train = np.arange(90) % 50 < 30
    one, other = (zscore_bold(b.astype(np.float32), RUNS, is_train) for b in (bold, bold * factor))
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])


def test_voxels_without_signal_are_zero_in_everyone(bold):
    bold[1, RUNS == "run-2", 3] = 40.0  # constant in one run of one subject
    scaled, has_signal = zscore_bold(bold, RUNS, np.arange(90) % 50 < 30)
    assert has_signal.tolist() == [True, True, True, False, True, True, True]
    assert not scaled[..., 3].any()


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:Degrees of freedom")
def test_what_was_not_scanned_stays_unknown_and_spoils_nothing_else(bold):
    missing = bold.copy()
    missing[0, :10] = np.nan
    missing[1, RUNS == "run-2"] = np.nan  # a whole run
    is_train = np.arange(90) % 50 < 30
    scaled, has_signal = zscore_bold(missing, RUNS, is_train)
    assert has_signal.all()
    np.testing.assert_array_equal(np.isnan(scaled), np.isnan(missing))
    whole, _ = zscore_bold(bold, RUNS, is_train)
    np.testing.assert_array_equal(scaled[0, 50:], whole[0, 50:])
    np.testing.assert_array_equal(scaled[1, :50], whole[1, :50])


@pytest.mark.parametrize(("n_trs", "step"), [(8, 4), (40, 20), (1, 1), (500, 250)])
def test_windows_lie_in_one_part_and_one_run(n_trs, step):
    parts = split_film(300, 1.5, SplitConfig(), has_bold=True)
    data = make_data(parts, np.repeat(["run-1", "run-2"], [100, 200]))  # training spans both runs
    for part in PARTS:
        found = windows(data, part, n_trs, step)
        for window in found:
            assert set(data.part[window]) == {part}
            assert len(set(data.run[window])) == 1
            assert (np.diff(window) == 1).all()
            assert len(window) <= n_trs
        assert set(np.concatenate(found)) == set(data.where(part))  # nothing is left unused


def test_slicing_takes_film_brains_and_labels_together(rng):
    part = np.repeat(["train", "test"], [6, 4])
    bold = torch.from_numpy(rng.standard_normal((2, 10, 3)))
    data = FilmData({"audio": torch.arange(10)}, bold, part, np.repeat("r", 10), ("a", "b"))
    test = data.slice(data.where("test"))
    assert test.film["audio"].tolist() == [6, 7, 8, 9]
    torch.testing.assert_close(test.bold, bold[:, 6:])
    assert (set(test.part), len(test.run), test.subjects) == ({"test"}, 4, ("a", "b"))


def test_a_subject_in_larger_units_makes_nobody_constant(rng):
    bold, runs = rng.standard_normal((2, 20, 4)), np.repeat("1", 20)
    bold[0] = 1e7 + 1e2 * bold[0]
    scaled, has_signal = zscore_bold(bold, runs, np.ones(20, dtype=bool))
    assert has_signal.all()
    np.testing.assert_allclose(scaled.std(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(("reach", "gap", "warns"), [(32, 32, 0), (33, 60, 1), (7, 6, 1)])
def test_features_that_hear_beyond_the_gap(reach, gap, warns):
    """Of splits, or of brain_quality: the HRF's length, 32 s."""
    assert len(reach_warnings(reach, SplitConfig(gap_seconds=gap))) == warns


def test_near_is_within_the_gap(rng):
    for gap, share in [(0, 0.1), (3, 0.1), (7, 0.01), (50, 0.02), (3, 0.0)]:
        chosen = rng.random(40) < share
        away = np.abs(np.arange(40)[:, None] - np.flatnonzero(chosen))
        np.testing.assert_array_equal(near(chosen, gap), (away <= gap).any(axis=1))
