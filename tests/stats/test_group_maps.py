"""Max-T and TFCE over people. Oracles: nilearn, scipy, every threshold by hand, null data."""

from itertools import product

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, generate_binary_structure
from scipy.signal import lfilter
from scipy.stats import ttest_1samp

from giblet.brain.neighbours import grid_edges
from giblet.stats.group_maps import cluster_numbers, null_maps, sign_flip_maps, sign_patterns
from giblet.stats.intersubject import isc, isc_nulls
from giblet.stats.tfce import tfce

SHAPE = (5, 5, 4)
EDGES = grid_edges(np.ones(SHAPE, bool))


def smooth_map(rng, shape=SHAPE):
    return 4 * gaussian_filter(rng.standard_normal(shape), 1)


def test_tfce_is_the_limit_of_nilearns_steps(rng):
    """nilearn sums over thresholds and leaves out the step; its error falls as the step does."""
    from nilearn.mass_univariate._utils import calculate_tfce

    values = smooth_map(rng)
    exact, errors = tfce(values.ravel(), EDGES), []
    for n_steps in (100, 1000):
        step = values.max() / n_steps
        neighbourhood = generate_binary_structure(3, 1)
        steps = calculate_tfce(values[..., None], neighbourhood, dh=step, two_sided_test=False)
        errors.append(np.abs(steps[..., 0].ravel() * step - exact).max() / exact.max())
    assert errors[0] < 0.02
    assert errors[1] < 0.2 * errors[0]


def test_tfce_on_a_graph_is_the_integral_by_hand(rng):
    """Midpoints of fine steps, whose clusters are labelled one threshold at a time."""
    edges = np.array([pair for pair in product(range(12), repeat=2) if rng.random() < 0.12])
    heights = rng.normal(0.5, 1, 12)
    step, expected = 1e-3, np.zeros(12)
    for height in np.arange(step / 2, heights.max(), step):
        numbers = cluster_numbers(heights >= height, edges)
        sizes = np.bincount(numbers)
        sizes[0] = 0
        expected += sizes[numbers] ** 1.0 * height**2 * step
    np.testing.assert_allclose(tfce(heights, edges, (1.0, 2.0)), expected, rtol=0.01, atol=1e-3)


def test_equal_heights_are_one_cluster():
    assert tfce(np.ones(4), np.array([[0, 1], [1, 2], [2, 3]]), (1.0, 0.0)).tolist() == [4] * 4
    assert tfce(np.zeros(3), np.array([[0, 1]])).tolist() == [0] * 3


def test_max_t_is_that_of_all_patterns_by_hand(rng):
    values = rng.normal(0.4, 1, (6, 7))
    group = sign_flip_maps(values)
    np.testing.assert_allclose(group.statistic, ttest_1samp(values, 0).statistic)
    highest = np.array(
        [
            ttest_1samp(values * np.array(signs)[:, None], 0).statistic.max()
            for signs in product([1, -1], repeat=6)
        ]
    )
    expected = [(highest >= t - 1e-9).mean() for t in group.statistic]
    np.testing.assert_allclose(group.p_max, expected)
    assert group.n_nulls == 64


def test_random_patterns_agree_with_nilearn(rng):
    """p within the error of 2,000 random patterns of each."""
    from nilearn.mass_univariate import permuted_ols

    values = rng.normal(0.35, 1, (16, 20))
    ours = sign_flip_maps(values, n_flips=2000, seed=1).p_max
    theirs = permuted_ols(
        np.ones((16, 1)), values, model_intercept=False, n_perm=2000, two_sided_test=False,
        random_state=2,
    )["logp_max_t"][0]  # fmt: skip
    np.testing.assert_allclose(ours, 10.0**-theirs, atol=0.045)
    assert len(sign_patterns(16, 2000)) == 2000


def test_places_that_somebody_lacks_are_left_out(rng):
    values = rng.normal(3, 1, (8, 100))
    values[2, 40] = np.nan
    group = sign_flip_maps(values, EDGES)
    assert np.isnan(group.p_tfce).nonzero()[0].tolist() == [40]
    without = np.delete(values, 40, axis=1)
    np.testing.assert_allclose(np.delete(group.p_max, 40), sign_flip_maps(without).p_max)


def test_tfce_finds_what_is_weak_and_wide(rng):
    values = np.stack([smooth_map(rng).ravel() for _ in range(12)])
    group = sign_flip_maps(values + 0.9, EDGES, n_flips=200)
    assert (group.p_tfce < 0.05).mean() > (group.p_max < 0.05).mean()
    assert (group.p_tfce < 0.05).mean() > 0.5


def noise(rng, n_people=12, n_trs=120):
    """Independent people whose series are smooth in time and over the grid."""
    white = gaussian_filter(rng.standard_normal((n_people, n_trs, *SHAPE)), (0, 0, 0.8, 0.8, 0.8))
    smooth = lfilter([1], [1, -0.6], white.reshape(n_people, n_trs, -1), axis=1)
    return (
        (smooth - smooth.mean(axis=1, keepdims=True)) / smooth.std(axis=1, keepdims=True)
    ).astype(np.float32)


def test_isc_that_all_share_is_found_among_its_nulls(rng):
    bold = noise(rng, n_people=5)
    bold[:, :, :10] += 0.7 * noise(rng, n_people=1)[:, :, :1]
    runs = np.zeros(120, int)
    nulls = isc_nulls(bold, runs, 99, seed=0)
    group = null_maps(isc(bold).mean(axis=0), nulls, EDGES)
    assert (group.p_max[:10] < 0.05).mean() > 0.8
    assert (group.p_max[10:] < 0.05).mean() < 0.05
    assert group.n_nulls == 100


@pytest.mark.slow
def test_false_positives_on_null_data():
    """Any place at p < .05, over 200 draws of noise: .05 ± .02 for max-T and TFCE of phases.

    Sign flips of leave-one-out ISC are above that: why they are not used.
    """
    hits = {"flips": [], "phases": [], "phases tfce": []}
    for draw in range(200):
        bold = noise(np.random.default_rng([7, draw]))
        own, nulls = isc(bold), isc_nulls(bold, np.zeros(120, int), 200, seed=draw)
        phases = null_maps(own.mean(axis=0), nulls, EDGES)
        hits["flips"].append(sign_flip_maps(own, n_flips=250, seed=draw).p_max.min() <= 0.05)
        hits["phases"].append(phases.p_max.min() <= 0.05)
        hits["phases tfce"].append(phases.p_tfce.min() <= 0.05)
    rates = {name: np.mean(hit) for name, hit in hits.items()}
    assert rates["flips"] > 0.08
    assert 0.01 <= rates["phases"] <= 0.09  # two standard errors of 200 draws
    assert 0.01 <= rates["phases tfce"] <= 0.09
