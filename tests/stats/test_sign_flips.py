"""Sign flips, circular shifts, and Holm's correction. Oracles: scipy, loops, R's p.adjust."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import ttest_1samp, wilcoxon

from giblet.stats.permutation import (
    MOST_EXACT,
    N_FLIPS,
    circular_shifts,
    holm,
    n_sign_flips,
    sign_flip_p,
)


def test_sign_flips_agree_with_an_exact_rank_test_where_ranks_are_all():
    """Of differences 1 … n sums of values and of ranks are the same."""
    differences = np.array([1.0, -2.0, 3.0, 4.0, 5.0, -6.0, 7.0, 8.0])
    assert sign_flip_p(differences) == pytest.approx(wilcoxon(differences, method="exact").pvalue)
    assert np.isnan(sign_flip_p(differences[:1]))


def test_all_patterns_of_few_differences_are_counted(rng):
    differences = rng.standard_normal(9) + 0.4
    signs = np.array(list(product([1, -1], repeat=9)))
    far = np.abs((signs * differences).mean(axis=1)) >= abs(differences.mean()) - 1e-12
    assert sign_flip_p(differences) == far.mean()
    assert n_sign_flips(9) == len(signs)


def test_the_lowest_p_of_random_flips_is_one_over_their_number_and_one():
    differences = np.linspace(1, 2, MOST_EXACT + 20)
    assert sign_flip_p(differences) == 1 / (1 + N_FLIPS)
    assert sign_flip_p(-differences) == 1 / (1 + N_FLIPS)
    assert n_sign_flips(len(differences)) == N_FLIPS
    assert sign_flip_p(np.ones(MOST_EXACT)) == 2 / 2**MOST_EXACT


def test_random_flips_agree_with_a_t_test(rng):
    differences = rng.standard_normal(60) + 0.25
    assert sign_flip_p(differences) == pytest.approx(ttest_1samp(differences, 0).pvalue, abs=0.02)


@pytest.mark.parametrize(("n", "away"), [(72, 11), (14, 2), (5, 2), (4, 3), (3, 2), (2, 2)])
def test_shifts_are_as_far_from_0_both_ways_as_asked_or_as_they_can_be(n, away):
    shifts = circular_shifts(n, away, 1000, seed=0)
    expected = [k for k in range(1, n) if min(k, n - k) >= min(away, n // 2)]
    assert sorted(shifts) == expected
    assert circular_shifts(n, away, 1, seed=0).tolist() == shifts[:1].tolist()


def test_one_moment_has_no_shift():
    assert len(circular_shifts(1, 2, 9, seed=0)) == 0


def test_holm_is_rs_p_adjust():
    """``p.adjust(c(0.01, 0.02, 0.03, 0.04), "holm")`` and of c(0.6, 0.001, 0.04)."""
    np.testing.assert_allclose(holm(np.array([0.01, 0.02, 0.03, 0.04])), [0.04, 0.06, 0.06, 0.06])
    np.testing.assert_allclose(holm(np.array([0.6, 0.001, 0.04])), [0.6, 0.003, 0.08])
    np.testing.assert_array_equal(holm(np.array([0.9, 0.8])), [1, 1])
