"""The null of identification: compared with scipy's permutation test, and with its expectation."""

import numpy as np
import pytest
from scipy.stats import permutation_test

from giblet.audio.metrics.identify import identification_shares_p, permuted_shares
from giblet.audio.metrics.table import BOTTLENECK, CLIPS, TRS
from giblet.config.sections import DecodingConfig
from giblet.evaluation.brain_scores import identify_moments
from giblet.evaluation.moments import Scored
from giblet.evaluation.permuted_clips import PERMUTED, null_rows, null_table

KEY = "brain", "identification_10way"


@pytest.fixture
def shares(rng):
    """Of 3 subjects, 6 clips; the diagonal is somewhat higher."""
    return np.clip(rng.random((3, 6, 6)) + 0.3 * np.eye(6), 0, 1)


def rows_of(shares, null):
    return list(null_rows({KEY: shares.diagonal(axis1=1, axis2=2)}, {KEY: null}))


def test_p_and_distribution_are_those_of_scipy(shares):
    def mean(order):
        return shares[:, np.arange(6), order.astype(int)].mean()

    exact = permutation_test(
        (np.arange(6.0),), mean, permutation_type="pairings", alternative="greater", n_resamples=720
    )
    rows = rows_of(shares, permuted_shares(shares, 4000, seed=0))
    assert rows[0]["observed"] == pytest.approx(exact.statistic)
    error = 4 * np.sqrt(exact.pvalue * (1 - exact.pvalue) / 4000)
    assert rows[0]["p"] == pytest.approx(exact.pvalue, abs=error + 1 / 4000)
    values = [row["value"] for row in rows]
    quantiles = np.percentile(exact.null_distribution, [10, 50, 90])
    assert [values[k] for k in (10, 50, 90)] == pytest.approx(quantiles, abs=0.02)


def test_the_mean_of_the_null_is_that_of_all_pairs(shares):
    null = permuted_shares(shares, 4000, seed=1)
    assert null.mean() == pytest.approx(shares.mean(), abs=4 * null.std() / np.sqrt(4000))


def test_there_is_a_null_of_clips_and_none_of_trs_and_p_is_that_of_the_table(rng):
    truth, scored = rng.standard_normal((12, 5)), Scored()
    guesses = [truth + rng.standard_normal((12, 5)) for _ in range(2)]
    decoding = DecodingConfig(n_permutations=99)
    for what in ((BOTTLENECK, CLIPS), (BOTTLENECK, TRS)):
        rows = identify_moments(scored, "brain", guesses, truth, what, 8.0, decoding, seed=0)
        if what[1] == CLIPS:
            in_table = {row["column"]: row["value"] for row in rows}
    identify_moments(scored, "stimulus", guesses, truth, (BOTTLENECK, CLIPS), 8.0, decoding, seed=0)
    assert list(scored.permuted) == [KEY]
    table = null_table("mel", list(null_rows(scored.moments, scored.permuted)))
    assert list(table) == PERMUTED
    assert len(table) == 101
    assert table["p"].iloc[0] == in_table["brain"]


def test_missing_clips_count_for_nothing(shares):
    shares[0, 2] = np.nan
    null = permuted_shares(shares, 99, seed=0)
    assert np.isfinite(null).all()
    rows = rows_of(shares, null)
    assert rows[0]["p"] == pytest.approx(identification_shares_p(shares, 99, seed=0))
    assert len(null_table("mel", [])) == 0


def test_silence_has_no_p_and_no_row():
    silent = np.full((2, 12, 12), np.nan)
    assert np.isnan(identification_shares_p(silent, 50, 0))
    rows = null_rows({("brain", CLIPS): np.full((2, 12), np.nan)}, {("brain", CLIPS): np.ones(9)})
    assert list(rows) == []
