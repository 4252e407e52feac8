"""The table of how metrics agree, against scipy, with missing scores and too few segments."""

import numpy as np
from scipy.stats import spearmanr

from giblet.report.metric_agreement import agreement, agreement_table

RNG = np.random.default_rng(0)


def scores_of(n, **more):
    base = RNG.normal(0, 1, n)
    return {"stoi": base, "log_mel_db": -np.exp(base), "si_sdr_db": RNG.normal(0, 1, n)} | more


def test_correlations_are_those_of_scipy_with_signs_of_the_better_direction():
    one, other = scores_of(20), scores_of(20)
    table = agreement({("encodec", "codec"): one, ("mel", "codec"): other})
    assert np.allclose(np.diag(table), 1)
    assert table.loc["stoi", "log_mel_db"] == 1  # less distance where STOI is higher
    expected = [spearmanr(s["stoi"], s["si_sdr_db"]).statistic for s in (one, other)]
    np.testing.assert_allclose(table.loc["stoi", "si_sdr_db"], np.mean(expected))


def test_missing_scores_and_metrics_of_other_segments_are_left_out():
    scores = scores_of(20, pesq_wb=RNG.normal(0, 1, 7))
    scores["si_sdr_db"][:11] = np.nan
    table = agreement({("encodec", "codec"): scores})
    assert "pesq_wb" not in table
    assert np.isnan(table.loc["stoi", "si_sdr_db"])  # nine segments
    printed = agreement_table({("encodec", "codec"): scores})
    assert printed.header == ["Metric", "STOI", "SI-SDR", "Log-mel distance"]
    assert printed.rows[0] == ["STOI", "", "–", "1.00"]


def test_there_is_no_table_of_few_segments():
    assert agreement_table({("encodec", "codec"): scores_of(9)}) is None
    assert agreement_table({}) is None
