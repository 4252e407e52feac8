"""Chance: nulls that are as smooth as BOLD, and p-values that mean what they say."""

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import kstest, monte_carlo_test, norm

from giblet.stats.intersubject import isc
from giblet.stats.pearson import correlation
from giblet.stats.permutation import (
    against_chance,
    among_nulls,
    block_permuted,
    false_discovery_rate,
    phase_randomised,
    shifted_correlation,
)

HRF_TRS = 22  # 32 s at TR 1.5 s


def smooth(rng, *shape, phi=0.85):
    """AR(1) noise (..., n_trs, n_voxels): neighbouring TRs are alike, as in BOLD."""
    return lfilter([1], [1, -phi], rng.standard_normal(shape), axis=-2)


def blocks_of(block_trs):
    return lambda bold, rng: block_permuted(bold, rng, block_trs)


@pytest.mark.parametrize("n_trs", [60, 61])
def test_random_phases_keep_every_power_and_how_voxels_go_together(rng, n_trs):
    bold = (3 + smooth(rng, n_trs, 5)).astype(np.float32)
    bold[:, 1] += bold[:, 0]
    other = phase_randomised(bold, rng)
    assert other.dtype == bold.dtype
    assert np.abs(np.diag(np.corrcoef(bold.T, other.T)[:5, 5:])).max() < 0.9
    powers = [np.abs(np.fft.rfft(x, axis=0)) for x in (other, bold)]
    np.testing.assert_allclose(*powers, atol=1e-3)
    np.testing.assert_allclose(np.cov(other.T), np.cov(bold.T), atol=1e-3)
    np.testing.assert_allclose(other.mean(axis=0), bold.mean(axis=0), atol=1e-4)


@pytest.mark.parametrize("randomise", [phase_randomised, blocks_of(7)])
def test_each_subject_gets_moments_of_its_own(rng, randomise):
    one = smooth(rng, 200, 3)
    first, second = randomise(np.stack([one, one]), rng)
    assert np.abs(first - second).max() > 0.1
    for null in (first, second):  # within a subject all voxels move alike
        np.testing.assert_allclose(np.corrcoef(null.T), np.corrcoef(one.T), atol=1e-9)


def test_blocks_move_whole(rng):
    trs = np.arange(50.0)[:, None] + [0, 100]
    order = block_permuted(trs, rng, block_trs=8)
    np.testing.assert_array_equal(order[:, 1], order[:, 0] + 100)
    assert sorted(order[:, 0]) == trs[:, 0].tolist()
    breaks = (np.diff(order[:, 0]) % 50 != 1).sum()
    assert 3 <= breaks <= 6  # seven blocks on a ring


def test_blocks_begin_anywhere():
    """Not at multiples of their length alone: the series is a ring."""
    series, rng = np.arange(12.0)[:, None], np.random.default_rng(0)
    begins = {block_permuted(series, rng, 12)[0, 0] for _ in range(200)}
    assert len(begins) == 12


def test_ties_and_nulls_without_a_number_count_against_the_score():
    nulls = [np.array([2.0, 1.0, np.nan]), np.array([1.0, 0.0, 0.0]), np.array([-3.0, 0.5, 0.0])]
    chance = among_nulls(np.array([1.0, 1.0, 1.0]), nulls)
    np.testing.assert_allclose(chance.p, [(1 + 2) / 4, (1 + 1) / 4, (1 + 1) / 4])
    assert chance.null_mean_abs[0] == pytest.approx(2.0)


def test_p_is_scipys(rng):
    """SciPy's Monte Carlo test on the same nulls."""
    bold, film = smooth(rng, 90, 3), smooth(rng, 90, 3)
    bold += film * [0, 0.2, 2.0]
    found = against_chance(lambda b: correlation(film, b), bold, n_permutations=200, seed=5)
    for voxel in range(3):
        again = np.random.default_rng(5)
        nulls = [phase_randomised(bold, again)[:, voxel] for _ in range(200)]
        expected = monte_carlo_test(
            bold[:, voxel],
            lambda size, nulls=nulls: np.stack(nulls),
            lambda x, axis, v=voxel: correlation(film[:, [v]], np.atleast_2d(x).T),
            n_resamples=200,
            vectorized=True,
            alternative="greater",
        )
        r = [np.corrcoef(film[:, voxel], null)[0, 1] for null in nulls]
        assert found.p[voxel] == pytest.approx(expected.pvalue)
        assert found.observed[voxel] == pytest.approx(expected.statistic.item())
        assert found.null_mean_abs[voxel] == pytest.approx(np.mean(np.abs(r)))
    assert found.p[2] == pytest.approx(1 / 201)


def null_p(rng, randomise):
    """p-values of 300 voxels of smooth noise, each beside a smooth course of its own."""
    bold, film = smooth(rng, 220, 300), smooth(rng, 220, 300)
    found = against_chance(lambda b: correlation(film, b), bold, randomise, n_permutations=199)
    return found.p


@pytest.mark.parametrize("randomise", [phase_randomised, blocks_of(2 * HRF_TRS)])
def test_p_is_uniform_where_there_is_nothing(rng, randomise):
    assert kstest(null_p(rng, randomise), "uniform").pvalue > 0.05


def test_shuffled_trs_call_smooth_noise_significant(rng):
    """The trap: nulls without memory make chance look like an answer."""
    p = null_p(rng, blocks_of(1))
    assert kstest(p, "uniform").pvalue < 1e-6
    assert (p < 0.05).mean() > 0.15


def test_a_voxel_without_a_score_has_no_p(rng):
    bold, film = smooth(rng, 60, 3), smooth(rng, 60, 3)
    bold[:, 1] = 2.0
    found = against_chance(lambda b: correlation(film, b), bold, n_permutations=20)
    assert np.isnan(found.p).tolist() == [False, True, False]
    assert np.isnan(false_discovery_rate(found.p)).tolist() == [False, True, False]


def test_false_discoveries_are_nilearns(rng):
    from nilearn.glm import fdr_threshold

    z = rng.standard_normal(500) + np.where(np.arange(500) < 60, 3.0, 0.0)
    adjusted = false_discovery_rate(norm.sf(z))
    for alpha in (0.01, 0.05, 0.2):
        found = adjusted <= alpha
        np.testing.assert_array_equal(found, z >= fdr_threshold(z, alpha) - 1e-9)
        assert found.any()


def test_a_story_that_people_shared_is_significant(shared):
    files = sorted((shared / "fmri/alice/alice_data_shared/6mm").glob("*-timecourses.txt"))
    if not files:
        pytest.skip("GIBLET_SHARED holds no fmri/alice")
    bold = np.stack([np.loadtxt(f) for f in files])

    def agreement(bold):
        return np.nanmean(isc(bold), axis=0)

    found = against_chance(agreement, bold, n_permutations=199)
    assert (false_discovery_rate(found.p) < 0.05).all()
    apart = np.stack([np.roll(one, 13 * i, axis=0) for i, one in enumerate(bold)])
    assert against_chance(agreement, apart, n_permutations=199).p.min() > 0.01
    assert (found.null_mean_abs < 0.05).all()


def test_a_prediction_that_is_moved_round_correlates_as_numpy_rolls_it(rng):
    predicted, bold = smooth(rng, 2, 2, 31, 4)
    found = shifted_correlation(predicted, bold)
    for shift in range(31):
        moved = np.roll(predicted, shift, axis=1)
        for subject in range(2):
            expected = correlation(moved[subject], bold[subject])
            np.testing.assert_allclose(found[subject, shift], expected, atol=1e-12)


def test_what_never_changes_has_no_shifted_correlation(rng):
    predicted, bold = smooth(rng, 2, 1, 20, 3)
    predicted[..., 0], bold[0, 5, 1] = 7.0, np.nan
    found = shifted_correlation(predicted, bold)[0]
    assert np.isnan(found).all(axis=0).tolist() == [True, True, False]
