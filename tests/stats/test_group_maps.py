"""Max-T and TFCE over people. Oracles: nilearn, scipy, every threshold by hand, null data."""

from itertools import product

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, generate_binary_structure
from scipy.signal import lfilter

from giblet.brain.neighbours import grid_edges
from giblet.stats.encoding_maps import ClockGroup, held_out_folds, linear_maps
from giblet.stats.group_maps import cluster_numbers, null_maps
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


def test_max_t_is_counted_by_hand(rng):
    observed, nulls = rng.normal(1, 1, 7), rng.standard_normal((99, 7)) * np.arange(1, 8)
    group = null_maps(observed, nulls)
    maps = np.vstack([observed, nulls])
    t = (maps - maps.mean(axis=0)) / maps.std(axis=0)
    t_of_places, highest = t[0], t.max(axis=1)
    np.testing.assert_allclose(group.statistic, t_of_places)
    expected = [np.mean(highest >= t - 1e-9) for t in t_of_places]
    np.testing.assert_allclose(group.p_max, expected)
    assert group.n_nulls == 100


def test_few_nulls_of_many_places_have_no_more_false_positives(rng):
    """Deviations of the nulls alone have some place at p < .05 in more than .08 of the draws."""
    hits, alone = [], []
    for _draw in range(200):
        maps = rng.standard_normal((101, 1000))
        hits.append(null_maps(maps[0], maps[1:]).p_max.min() <= 0.05)
        t = (maps - maps[1:].mean(axis=0)) / maps[1:].std(axis=0)
        alone.append((t.max(axis=1) >= t[0].max()).mean() <= 0.05)
    assert 0.01 <= np.mean(hits) <= 0.09
    assert np.mean(alone) > 0.12


def test_places_without_a_value_or_nulls_are_left_out(rng):
    observed, nulls = rng.normal(2, 1, 100), rng.standard_normal((50, 60))
    places = np.sort(rng.permutation(100)[:60])
    observed[places[7]], nulls[3, 20], nulls[:, 30] = np.nan, np.nan, 4.0
    group = null_maps(observed, nulls, EDGES, places=places)
    kept = np.delete(np.arange(60), [7, 20, 30])
    missing = np.delete(np.arange(100), places[kept])
    assert np.isnan(group.p_tfce).nonzero()[0].tolist() == missing.tolist()
    alone = null_maps(observed[places[kept]], nulls[:, kept])
    np.testing.assert_allclose(group.p_max[places[kept]], alone.p_max)
    everywhere = np.zeros((50, 100))
    everywhere[:, places[kept]] = nulls[:, kept]
    np.testing.assert_allclose(null_maps(observed, everywhere, EDGES).p_tfce, group.p_tfce)


def test_tfce_finds_what_is_weak_and_wide(rng):
    nulls = np.stack([smooth_map(rng).ravel() for _ in range(200)])
    group = null_maps(smooth_map(rng).ravel() + 1.5 * nulls.std(), nulls, EDGES)
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
def test_false_positives_of_isc_on_null_data():
    """Any place at p < .05, over 200 draws of noise: .05 ± .02 for max-T and TFCE of phases."""
    hits = {"max-T": [], "TFCE": []}
    for draw in range(200):
        bold = noise(np.random.default_rng([7, draw]))
        own, nulls = isc(bold), isc_nulls(bold, np.zeros(120, int), 200, seed=draw)
        phases = null_maps(own.mean(axis=0), nulls, EDGES)
        hits["max-T"].append(phases.p_max.min() <= 0.05)
        hits["TFCE"].append(phases.p_tfce.min() <= 0.05)
    assert 0.01 <= np.mean(hits["max-T"]) <= 0.09  # two standard errors of 200 draws
    assert 0.01 <= np.mean(hits["TFCE"]) <= 0.09


def encoded(rng, shared, effect=0.0, n_people=6, n_trs=120):
    """Maps of two bands for people who share a part of BOLD; the first drives ten voxels."""
    film = lfilter([1], [1, -0.6], rng.standard_normal((2, n_trs, 5)), axis=1)
    bold = np.sqrt(shared) * noise(rng, 1, n_trs)
    bold = bold + np.sqrt(1 - shared) * noise(rng, n_people, n_trs)
    bold[:, :, :10] += effect * film[0][:, :1]
    audience = [ClockGroup(list(range(n_people)), {"one": film[0], "other": film[1]})]
    options = {"n_shifts": 200, "n_iter": 2, "n_shift_maps": 200}
    return linear_maps(bold, audience, held_out_folds(np.zeros(n_trs), 8), **options)


def smallest_p(maps, name):
    return null_maps(maps[name].values.mean(axis=0), maps[f"{name}_nulls"].values, EDGES)


def test_a_region_that_follows_one_band_is_found_where_people_share_more(rng):
    maps = encoded(rng, shared=0.3, effect=1.0, n_trs=300)
    group = smallest_p(maps, "r_one")
    assert (group.p_max[:10] < 0.05).mean() > 0.8
    assert (group.p_tfce[:10] < 0.05).mean() > 0.8
    assert (group.p_max[10:] < 0.05).mean() < 0.05
    assert smallest_p(maps, "r_other").p_max.min() > 0.05


@pytest.mark.slow
def test_false_positives_of_ridge_where_people_share_bold():
    """Any place at p < .05 in .05 ± .03 of 150 draws; flips of people have it in more."""
    hits = {name: [] for name in ("r_one", "r_all")}
    flips, alone = [], []
    for draw in range(150):
        rng = np.random.default_rng([8, draw])
        maps = encoded(rng, shared=0.3, n_trs=300)
        for name, hit in hits.items():
            hit.append(smallest_p(maps, name).p_max.min() <= 0.05)
        alone.append((maps["r_one_p"].values <= 0.05).mean())
        signs = np.vstack([np.ones(6), rng.choice([-1, 1], (200, 6))])
        means = signs @ maps["r_one"].values / 6
        t = means / np.sqrt((maps["r_one"].values ** 2).mean(axis=0) - means**2)
        flips.append((t.max(axis=1) >= t[0].max()).mean() <= 0.05)
    for name, hit in hits.items():
        assert 0.02 <= np.mean(hit) <= 0.08, name
    assert 0.02 <= np.mean(alone) <= 0.08  # of single voxels, uncorrected
    assert np.mean(flips) > 0.08
