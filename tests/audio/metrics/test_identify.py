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
        draws = combinations(np.delete(r, [n, 4]), n_way - 1)  # no correlation with truth 4
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


@pytest.mark.parametrize(
    ("estimate", "truth", "n_way", "message"),
    [
        ((12, 5), (8, 5), 2, r"both be \(n, n_features\), not \(12, 5\) and \(8, 5\)"),
        ((8, 5), (12, 5), 2, "both be"),
        ((8, 5), (8, 4), 2, "both be"),
        ((8,), (8,), 2, "both be"),
        ((8, 5), (8, 5), 1, "n_way must be 2 or more"),
    ],
)
def test_what_cannot_be_identified(estimate, truth, n_way, message):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=message):
        identification(rng.random(estimate), rng.random(truth), n_way)


def test_a_truth_without_values_is_nobodys_choice(moments):
    """As if it were not there: of silence, or of NaN."""
    (estimate, _other), truth = moments
    for gap in (np.nan, 0.0, 0.1):
        gappy = truth.copy()
        gappy[3] = gap
        scores = identification(estimate, gappy, 3)
        others = np.delete(np.arange(len(truth)), 3)
        assert np.isnan(identification(estimate, gappy, 8)).all()  # 7 are left
        expected = identification(estimate[others], truth[others], 3)
        np.testing.assert_array_equal(scores[others], expected)
        assert np.isnan(scores[3])


def test_one_feature_has_no_correlation():
    assert np.isnan(identification(np.arange(4.0)[:, None], np.arange(4.0)[:, None])).all()
