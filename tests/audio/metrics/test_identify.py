"""Which of some moments: all draws, one by one, and all orders of the truths anew."""

from itertools import combinations

import numpy as np
import pytest

from giblet.audio.metrics.identify import identification, identification_p


@pytest.fixture
def moments(rng):
    """Estimates that tell a little, of which one never changes; a truth that never does."""
    truth = rng.standard_normal((9, 6))
    truth[4] = 1.0
    estimates = [truth + 4 * rng.standard_normal(truth.shape) for _ in range(2)]
    estimates[0][2] = 5.0
    return estimates, truth


@pytest.mark.parametrize("n_way", [2, 4])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_identification_is_the_mean_over_all_draws(moments, n_way):
    (estimate, _other), truth = moments
    for n, found in enumerate(identification(estimate, truth, n_way)):
        r = np.array([np.corrcoef(estimate[n], one)[0, 1] for one in truth])
        draws = combinations(np.delete(r, n), n_way - 1)
        expected = np.mean([all(r[n] > np.array(others)) for others in draws])
        assert found == pytest.approx(np.nan if np.isnan(r[n]) else expected, nan_ok=True)


def test_p_is_of_orders_drawn_for_all_subjects_alike(moments):
    estimates, truth = moments

    def mean(order):
        return np.nanmean([identification(one, truth[order], 3) for one in estimates])

    drawn = np.random.default_rng(1)
    nulls = np.array([mean(drawn.permutation(9)) for _ in range(99)])
    expected = (1 + (nulls >= mean(np.arange(9)) - 1e-12).sum()) / 100
    assert identification_p(estimates, truth, 3, 99, seed=1) == expected
    assert 0.01 < expected < 1
