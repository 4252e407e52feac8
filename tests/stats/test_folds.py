"""Folds hold out every TR once, nothing of them or of their gaps trains, and intervals cover."""

import numpy as np
import pytest

from giblet.errors import GibletError
from giblet.stats.cross_validation import fold_labels
from giblet.stats.encoding_maps import ClockGroup, held_out_folds, linear_maps
from giblet.stats.fold_intervals import fold_interval
from giblet.stats.ridge import banded_ridge

GAP = 5  # TRs
LAYOUTS = {
    "one run": np.zeros(200),
    "fewer runs than folds": np.repeat(["b", "a"], [130, 70]),
    "as many runs": np.repeat(["d", "c", "b", "a"], 50),
    "a short run": np.repeat(["d", "c", "x", "b", "a"], [50, 50, 5, 45, 50]),
    "more runs": np.repeat(list("gfedcba"), [40, 20, 30, 30, 20, 40, 20]),
}


@pytest.mark.parametrize("runs", LAYOUTS.values(), ids=LAYOUTS)
def test_every_tr_is_held_out_once(runs):
    folds = held_out_folds(runs, GAP, 4)
    assert len(folds) == 4
    assert np.concatenate([fold.test for fold in folds]).tolist() == list(range(200))


@pytest.mark.parametrize("name", ["as many runs", "a short run", "more runs"])
def test_a_run_is_in_one_fold(name):
    runs, labels = LAYOUTS[name], fold_labels(LAYOUTS[name], 4)
    assert np.unique(labels).tolist() == [0, 1, 2, 3]
    assert all(len(np.unique(labels[runs == run])) == 1 for run in np.unique(runs))


def test_blocks_are_equally_long():
    assert np.bincount(fold_labels(np.zeros(203), 4)).tolist() == [51, 51, 51, 50]


def test_too_many_folds_are_refused():
    with pytest.raises(GibletError, match="too few TRs"):
        held_out_folds(np.zeros(20), 0, 30)


def leaks(folds, gap, rng):
    """Whether BOLD of a fold's test TRs, or of TRs within ``gap`` of them, reaches its training.

    There it is NaN, and a voxel with NaN in training TRs is predicted as NaN.
    """
    film = rng.standard_normal((200, 3))
    for fold in folds:
        bold = film @ rng.standard_normal((3, 2))
        bold[[tr for tr in range(200) if np.abs(fold.test - tr).min() <= gap]] = np.nan
        options = (film, bold, fold.train, fold.test, fold.inner)
        yield bool(np.isnan(banded_ridge([options[0]], *options[1:], n_iter=2)).any())


def test_nothing_of_a_test_block_or_its_gap_trains(rng):
    runs = LAYOUTS["one run"]
    assert not any(leaks(held_out_folds(runs, GAP, 4), GAP, rng))
    assert all(leaks(held_out_folds(runs, GAP - 1, 4), GAP, rng))  # a planted leak is seen


def test_penalties_are_chosen_in_training_trs(rng):
    for runs in LAYOUTS.values():
        for fold in held_out_folds(runs, GAP, 4):
            for train, test in fold.inner:
                assert {*train, *test} <= {*fold.train}


def test_a_score_is_the_mean_of_its_folds(rng):
    bands = {name: rng.standard_normal((200, 3)) for name in ("sound", "words")}
    bold = (bands["sound"] @ rng.standard_normal((3, 6)))[None] + rng.standard_normal((2, 200, 6))
    folds = held_out_folds(np.zeros(200), GAP, 4)
    audience = [ClockGroup([0, 1], bands)]
    maps = linear_maps(bold.astype("f4"), audience, folds, n_shifts=9, n_iter=3, by_fold=True)
    for name in ("r_sound", "r_words", "r_all", "r2_all", "unique_sound", "unique_words"):
        by_fold = maps[f"folds_{name}"]
        assert by_fold.shape == (4, 6)
        np.testing.assert_allclose(by_fold.mean("fold"), maps[name].mean("subject"), atol=1e-6)


def test_an_interval_over_folds_covers(rng):
    """Scores of folds that share training data: a common part, which no fold can see.

    Nadeau and Bengio's correction assumes a correlation of n_test / (n_test + n_train) = 1 / k.
    """
    k, n = 5, 4000
    scores = np.sqrt(1 / k) * rng.standard_normal(n) + np.sqrt(1 - 1 / k) * rng.standard_normal(
        (k, n)
    )
    low, high = fold_interval(scores)
    assert ((low < 0) & (high > 0)).mean() == pytest.approx(0.95, abs=0.015)


def test_one_fold_has_no_interval():
    assert np.isnan(fold_interval(np.ones((1, 3)))).all()
