"""The slow part: choices on training TRs, uncertainty. Oracles: scipy, planted signals."""

import numpy as np
import pytest
from scipy.stats import linregress
from sklearn.decomposition import PCA

from giblet.evaluation.slow_part import (
    MOST_COMPONENTS,
    SlowDecoder,
    SlowSpace,
    _line,
    choose_smoothing,
    low_pass,
)
from giblet.stats.cross_validation import purged_folds

N = 150


@pytest.fixture
def folds():
    return purged_folds(np.zeros(N), 4)


def test_lines_are_those_of_scipy(rng):
    x, y = rng.standard_normal((2, 50, 3))
    slopes, noise = _line(x, x + y)
    for k in range(3):
        line = linregress(x[:, k], (x + y)[:, k])
        residual = (x + y)[:, k] - line.slope * x[:, k] - line.intercept
        np.testing.assert_allclose([slopes[k], noise[k]], [line.slope, residual.var()])


def test_components_have_deviation_one_and_constant_features_do_not_count(rng):
    slow = rng.standard_normal((N, 6)) @ np.diag([1, 2, 3, 4, 5, 0]) + 7
    space = SlowSpace.fit(slow, 0.0, [np.arange(N)])
    components = space.components(slow, [np.arange(N)])
    assert components.shape == (N, 5)
    np.testing.assert_allclose(components.std(axis=0), 1)
    np.testing.assert_allclose(components.mean(axis=0), 0, atol=1e-9)


def test_components_are_those_of_the_most_variance(rng):
    """Of many features, as scikit-learn's PCA finds them."""
    slow = rng.standard_normal((N, 6)) @ rng.standard_normal((6, 80))
    slow += 0.3 * rng.standard_normal(slow.shape)
    own = SlowSpace.fit(slow, 0.0, [np.arange(N)]).components(slow, [np.arange(N)])
    scaled = (slow - slow.mean(axis=0)) / slow.std(axis=0)
    expected = PCA(MOST_COMPONENTS, whiten=True, svd_solver="full").fit_transform(scaled)
    assert own.shape == (N, MOST_COMPONENTS)
    r = np.abs(np.sum(own * expected, axis=0)) / N
    np.testing.assert_allclose(r, 1, atol=0.02)


def test_the_low_pass_does_not_cross_from_one_stretch_to_the_next(rng):
    values = rng.standard_normal((20, 2))
    changed = values.copy()
    changed[10:] += 5
    stretches = [np.arange(10), np.arange(10, 20)]
    one, other = (low_pass(v, 2.0, stretches)[:10] for v in (values, changed))
    np.testing.assert_array_equal(one, other)


def test_what_is_in_no_voxel_is_decoded_with_no_gain(rng, folds):
    components = rng.standard_normal((N, 3))
    weights = np.stack([rng.standard_normal(20), rng.standard_normal(20), np.zeros(20)])
    x = components @ weights + rng.standard_normal((N, 20))
    decoder = SlowDecoder.fit(x, components, folds)
    assert (decoder.shrink[:2] > 0.7).all()
    assert (decoder.spread[:2] < 0.4).all()
    assert decoder.gain[2] < 0.1
    assert decoder.spread[2] > 0.8
    assert (decoder.information[:2] > 0.4).all()
    assert decoder.information[2] < 0.1


def test_the_uncertainty_is_that_of_new_trs(rng, folds):
    weights = rng.standard_normal((2, 30))

    def brain(components):
        return components @ weights + 4 * rng.standard_normal((len(components), 30))

    components, new = rng.standard_normal((N, 2)), rng.standard_normal((4000, 2))
    decoder = SlowDecoder.fit(brain(components), components, folds)
    error = (new - decoder.expected(decoder.decode(brain(new)))).var(axis=0)
    np.testing.assert_allclose(error, decoder.spread, rtol=0.3)


def test_a_slow_brain_asks_for_a_low_pass_and_a_fast_one_for_none(rng, folds):
    slow, stretches = rng.standard_normal((N, 8)), [np.arange(N)]
    weights = rng.standard_normal((8, 40))
    noise = rng.standard_normal((N, 40))
    fast = slow @ weights + noise
    chosen, scores = choose_smoothing(slow, [fast], stretches, folds, 5)
    assert chosen == 0
    assert set(scores) == {0.0, 1.0, 2.0, 4.0}
    blurred = 10 * low_pass(slow, 4.0, stretches) @ weights + noise
    assert choose_smoothing(slow, [blurred], stretches, folds, 5)[0] > 0
