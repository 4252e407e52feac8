"""Nulls of ridge maps. Oracle: ridge that is fitted again to BOLD that was moved."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.signal import lfilter

from giblet.stats.encoding_maps import ClockGroup, held_out_folds, linear_maps
from giblet.stats.fold_nulls import count_moves, draw_moves
from giblet.stats.group_maps import null_maps
from giblet.stats.pearson import correlation
from giblet.stats.ridge import banded_ridge

N_TRS, GAP = 90, 4


def uniform(losses, alphas, n_held):
    """The same weights for all BOLD, so that only they stay fixed in both."""
    return np.full(losses.shape, 1 / (losses.shape[0] * losses.shape[1]), dtype=np.float32)


def smooth(rng, *shape):
    return lfilter([1], [1, -0.6], rng.standard_normal(shape), axis=-2)


def moved(bold, moves, k):
    shifted = bold.copy()
    for fold, test in enumerate(moves.tests):
        group = next(n for n, folds in enumerate(moves.groups) if fold in folds)
        shift = moves.shifts[fold][moves.chosen[k, group]]
        shifted[:, test] = moves.signs[k, group] * np.roll(bold[:, test], shift, axis=1)
    return shifted


@pytest.mark.parametrize("widths", [(3, 4), (60, 70)], ids=["features", "kernels"])
@pytest.mark.parametrize(
    "runs",
    [np.zeros(N_TRS), np.repeat([0, 1], 45), np.repeat(np.arange(7), [14, 13, 12, 11, 14, 12, 14])],
    ids=["blocks", "runs", "runs that move together"],
)
def test_nulls_are_those_of_ridge_fitted_again(rng, monkeypatch, widths, runs):
    monkeypatch.setattr("giblet.stats.ridge.average", uniform)
    bands = {name: smooth(rng, N_TRS, n) for name, n in zip("ab", widths, strict=True)}
    bold = smooth(rng, 2, N_TRS, 3).astype(np.float32)
    folds, options = held_out_folds(runs, GAP), {"n_iter": 3, "n_shifts": 4, "seed": 4}
    audience = [ClockGroup([0, 1], bands)]
    maps = linear_maps(bold, audience, folds, n_shift_maps=4, **options)
    moves = draw_moves([fold.test for fold in folds], 4, 4)
    for label, names in {"r_a": "a", "r_all": "ab"}.items():
        chosen = [bands[name] for name in names]
        for k in range(5):
            r = []
            for fold in folds:
                for own in moved(bold, moves, k):
                    sets = (fold.train, fold.test, fold.inner)
                    predicted = banded_ridge(chosen, own, *sets, n_iter=3, choice=uniform)
                    r.append(correlation(predicted, own[fold.test]))
            expected = np.mean(r, axis=0)
            given = maps[f"{label}_nulls"][k - 1] if k else maps[label].mean("subject")
            np.testing.assert_allclose(given, expected, atol=2e-5, err_msg=f"{label} {k}")


@pytest.mark.parametrize("sizes", [(30,), (12, 15), (9, 8, 7)])
def test_few_moves_are_all_there_once_and_each_gives_another_map(rng, sizes):
    """As if all shifts and signs were tried: all signs turned together change nothing."""
    edges = np.cumsum([0, *sizes])
    tests = [np.arange(*pair) for pair in pairwise(edges)]
    n, n_signs = count_moves(tests), max(1, len(sizes) - 1)
    steps = [min(size, {1: 30, 2: 16, 3: 11}[len(sizes)]) for size in sizes]
    assert n == np.prod(steps) * 2**n_signs
    moves = draw_moves(tests, n - 1, 5)
    assert len(moves.chosen) == n == len(draw_moves(tests, 2 * n).chosen)
    bold = rng.standard_normal((1, edges[-1], 1))
    series = np.stack([moved(bold, moves, k)[0, :, 0] for k in range(n)])
    if len(sizes) > 1:
        series *= np.sign(series[:, [0]])
    assert len(np.unique(series.round(9), axis=0)) == n
    assert len(draw_moves(tests, n - 2).chosen) == n - 1


def test_training_trs_of_no_fold_stay(rng, monkeypatch):
    monkeypatch.setattr("giblet.stats.ridge.average", uniform)
    band, bold = smooth(rng, N_TRS, 3), smooth(rng, 1, N_TRS, 2).astype(np.float32)
    (fold, *_others) = held_out_folds(np.zeros(N_TRS), GAP)
    maps = linear_maps(
        bold, [ClockGroup([0], {"a": band})], [fold], n_shifts=9, n_shift_maps=9, seed=1
    )
    moves = draw_moves([fold.test], 9, 1)
    predicted = banded_ridge([band], bold[0], fold.train, fold.test, fold.inner, choice=uniform)
    for k in range(1, 10):
        expected = correlation(predicted, moved(bold, moves, k)[0, fold.test])
        np.testing.assert_allclose(maps["r_a_nulls"][k - 1], expected, atol=2e-5)


@pytest.mark.parametrize("width", [3, 100])
def test_what_has_no_r_has_no_p_and_no_nulls(rng, width):
    """A band that never varies in a run predicts a constant there, whose rounding correlates."""
    runs = np.repeat([0, 1, 2], 60)
    band = smooth(rng, 180, width)
    band[runs == 2] = 0
    for run in range(3):
        band[runs == run] -= band[runs == run].mean(axis=0)
    bold = smooth(rng, 2, 180, 30).astype(np.float32)
    bold[1, :, 4] = 7.3
    whole = {"a": smooth(rng, 180, width)}
    folds, options = held_out_folds(runs, GAP), {"n_shifts": 50, "n_shift_maps": 9}
    lacking = linear_maps(bold, [ClockGroup([0, 1], {"a": band})], folds, **options)
    for name in ("r_a", "r_a_p", "r_a_nulls"):
        assert np.isnan(lacking[name]).all(), name
    full = linear_maps(bold, [ClockGroup([0, 1], whole)], folds, **options)
    first = linear_maps(bold[:1], [ClockGroup([0], whole)], folds, **options)
    assert np.isnan(full["r_a"][1, 4])
    assert np.isfinite(full["r_a_p"]).all()
    np.testing.assert_allclose(full["r_a_nulls"][:, 4], first["r_a_nulls"][:, 4], atol=1e-6)


def test_blocks_of_voxels_do_not_change_p(rng, monkeypatch):
    band, bold = smooth(rng, N_TRS, 3), smooth(rng, 2, N_TRS, 7).astype(np.float32)
    bold[1, 5, 2] = np.nan
    arguments = (bold, [ClockGroup([0, 1], {"a": band})], held_out_folds(np.zeros(N_TRS), GAP))
    whole = linear_maps(*arguments, n_shifts=50, n_shift_maps=20)
    monkeypatch.setattr("giblet.stats.encoding_maps._MOST_VALUES", 100)
    parts = linear_maps(*arguments, n_shifts=50, n_shift_maps=20)
    for name in whole:
        np.testing.assert_allclose(parts[name], whole[name], atol=0.021, err_msg=name)
    np.testing.assert_allclose(parts["r_a_nulls"], whole["r_a_nulls"], atol=1e-5)


def test_the_highest_place_of_noise_is_anywhere_among_those_of_nulls(rng):
    """Its rank is .5 on average, and the nulls vary as the map does: with folds that are shifted
    alone and a factor of √2 the rank is .35."""
    ranks, powers = [], []
    for _draw in range(60):
        bold = smooth(rng, 3, 120, 40)
        bold = ((bold - bold.mean(axis=1, keepdims=True)) / bold.std(axis=1, keepdims=True)).astype(
            "f4"
        )
        folds, band = held_out_folds(np.zeros(120), 8), {"a": smooth(rng, 120, 5)}
        options = {"n_shifts": 60, "n_shift_maps": 60}
        maps = linear_maps(bold, [ClockGroup([0, 1, 2], band)], folds, **options)
        observed, nulls = maps["r_a"].values.mean(axis=0), maps["r_a_nulls"].values
        ranks.append(1 - null_maps(observed, nulls).p_max.min())
        powers.append(((observed**2).mean(), (nulls**2).mean()))
    one, other = np.mean(powers, axis=0)
    assert 0.42 < np.mean(ranks) < 0.58
    assert 0.88 < one / other < 1.12
