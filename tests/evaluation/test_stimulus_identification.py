"""Identification among whole stimuli: known answers, chance, and one row for all."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter1d

from giblet.evaluation.stimulus_identification import (
    COLUMNS,
    EVERY,
    identify_stimuli,
    stimulus_patterns,
)
from giblet.evaluation.stimulus_intervals import tr_intervals
from giblet.report.extras import Extras, brain_tables
from giblet.report.tables import number

NAMES = np.repeat(["rain", "wind", "bell", "dog"], [5, 6, 5, 7])


def test_perfect_estimates_identify_every_stimulus(rng):
    truth = rng.normal(size=(len(NAMES), 3))
    table = identify_stimuli([truth, 2 * truth + 1e-3], truth, NAMES, 200, seed=0)
    assert table["stimulus"].tolist() == ["rain", "wind", "bell", "dog", EVERY]
    assert table["closest"].tolist()[:4] == ["rain", "wind", "bell", "dog"]
    assert table["identified"].eq(1).all()
    assert table["chance"].eq(0.25).all()
    assert table["better_than"].eq(1).all()
    assert table["p"].iloc[-1] < 0.1  # 1 of 24 orders
    assert table[["r", "better_low", "better_high"]].to_numpy() == pytest.approx(1)
    (shown,) = brain_tables(Extras(identified={"encodec": table}), simulated=False)
    assert shown.caption.startswith("Held-out stimuli, one of 4")
    assert shown.rows[0][:2] == ["rain", "rain"]
    assert shown.rows[0][4:6] == ["1.000 [1.000, 1.000]"] * 2
    assert shown.rows[-1][-1] == number(table["p"].iloc[-1], 3)
    older = table.drop(columns=[n for n in COLUMNS if n[:2] == "r_" or n == "r" or "better_" in n])
    older["better_than"] = table["better_than"]
    (shown,) = brain_tables(Extras(identified={"encodec": older}), simulated=False)
    assert len(shown.header) == len(shown.rows[0]) == 6


def test_the_page_lists_the_first_of_a_thousand_stimuli_and_the_mean_of_all(rng):
    n = 1000
    table = pd.DataFrame({"stimulus": [f"clip {k}" for k in range(n)]}).assign(closest="clip 0")
    for name in ("identified", "chance", "better_than"):
        table[name] = rng.random(n)
    table = table.assign(p=np.nan)
    table.loc[n] = [EVERY, None, 0.5, 0.001, 0.5, 0.02]
    (shown,) = brain_tables(Extras(identified={"mel": table}), simulated=True)
    assert [row[0] for row in shown.rows] == [*(f"clip {k}" for k in range(40)), EVERY]
    assert "Held-out stimuli, one of 1000" in shown.caption
    assert shown.caption.endswith("The first 40; 960 more are in identified/mel.tsv")


def test_the_stimulus_that_is_decoded_in_its_place_is_named(rng):
    """Two stimuli have each other's estimates."""
    truth = rng.normal(size=(20, 3))
    names = np.repeat(["a", "b", "c", "d"], 5)
    guess = truth.copy()
    guess[:5], guess[5:10] = truth[5:10], truth[:5]
    table = identify_stimuli([guess], truth, names, 50, seed=0)
    assert table["closest"].tolist()[:4] == ["b", "a", "c", "d"]
    assert table["identified"].tolist() == [0, 0, 1, 1, 0.5]


def test_p_is_the_share_of_all_orders_that_identify_as_many(rng):
    """Oracle: every order of the four stimuli, by hand."""
    truth = rng.normal(size=(len(NAMES), 3))
    guesses = [0.3 * truth + rng.normal(0, 2.5, truth.shape) for _ in range(3)]
    table = identify_stimuli(guesses, truth, NAMES, 4000, seed=0)
    own = stimulus_patterns(truth, NAMES)[1]
    closest = [
        np.corrcoef(stimulus_patterns(guess, NAMES)[1], own)[:4, 4:].argmax(axis=1)
        for guess in guesses
    ]
    orders = [np.mean([one == order for one in closest]) for order in permutations(range(4))]
    expected = np.mean(np.array(orders) >= orders[0] - 1e-9)
    assert table["p"].iloc[-1] == pytest.approx(expected, abs=0.03)


def test_noise_is_at_chance(rng):
    names, n = np.repeat([f"s{k}" for k in range(8)], 4), 300
    truth = rng.normal(size=(32, 4))
    guesses = [rng.normal(size=(32, 4)) for _ in range(n)]
    table = identify_stimuli(guesses, truth, names, 20, seed=0)
    assert abs(table["identified"].iloc[-1] - 1 / 8) < 0.03
    assert abs(table["better_than"].iloc[-1] - 0.5) < 0.03
    ps = [identify_stimuli([g], truth, names, 40, seed=0)["p"].iloc[-1] for g in guesses[:60]]
    assert np.mean(np.array(ps) < 0.1) < 0.25


def test_one_stimulus_is_not_identified_and_patterns_begin_together(rng):
    assert identify_stimuli([np.ones((4, 2))], np.ones((4, 2)), np.array(["a"] * 4), 5, 0) is None
    names, patterns = stimulus_patterns(rng.normal(size=(len(NAMES), 2)), NAMES)
    assert names == ["rain", "wind", "bell", "dog"]
    assert patterns.shape == (4, 10)


def noisy(rng, noise):
    """Two subjects' estimates of six stimuli of seven TRs, and the truth."""
    truth = rng.normal(size=(6, 7, 5))
    return [truth + noise * rng.normal(size=truth.shape) for _ in range(2)], truth


def test_intervals_are_those_of_numpy_on_drawn_trs(rng):
    guesses, truth = noisy(rng, 3.0)
    r, better = tr_intervals(guesses, truth, 1, seed=4)
    drawn = np.random.default_rng(4).integers(7, size=(1000, 7))
    scores = np.empty((2, 1000, 6))
    for k, trs in enumerate(drawn):
        rows = [values[:, trs].reshape(6, -1) for values in (*guesses, truth)]
        every = [np.corrcoef(guess, rows[-1])[:6, 6:] for guess in rows[:-1]]
        own = [one.diagonal() for one in every]
        lower = [(m < o[:, None]).sum(axis=1) / 5 for m, o in zip(every, own, strict=True)]
        scores[:, k] = np.mean(own, axis=0), np.mean(lower, axis=0)
    np.testing.assert_allclose(r, np.quantile(scores[0], [0.025, 0.975], axis=0), atol=1e-9)
    np.testing.assert_allclose(better, np.quantile(scores[1], [0.025, 0.975], axis=0), atol=1e-9)


def test_intervals_hold_the_values_and_shrink_with_more_trs(rng):
    guesses, truth = noisy(rng, 1.0)
    names = np.repeat([*"abcdef"], 7)
    table = identify_stimuli([g.reshape(42, 5) for g in guesses], truth.reshape(42, 5), names, 9, 0)
    assert (table["r_low"] <= table["r"]).all()
    assert (table["r"] <= table["r_high"]).all()
    own = [np.corrcoef(g.reshape(6, -1), truth.reshape(6, -1))[:6, 6:] for g in guesses]
    off = ~np.eye(6, dtype=bool)
    assert table["r"].iloc[2] == pytest.approx(np.mean([one[2, 2] for one in own]))
    assert table["r_others"].iloc[2] == pytest.approx(np.mean([one[off[:, 2], 2] for one in own]))
    longer = [np.concatenate([values] * 4, axis=1) for values in (*guesses, truth)]
    width = np.ptp(tr_intervals(guesses, truth, 1, 0)[0], axis=0)
    assert (np.ptp(tr_intervals(longer[:-1], longer[-1], 1, 0)[0], axis=0) < 0.7 * width).all()


def test_stretches_cover_what_neighbouring_trs_share(rng):
    """SIMULATED slow series that have nothing in common: 95 % intervals of r hold 0."""
    held = {1: 0, 12: 0}
    for seed in range(40):
        slow = gaussian_filter1d(rng.normal(size=(2, 4, 80, 3)), 2.0, axis=2)
        for block in held:
            low, high = tr_intervals([slow[0]], slow[1], block, seed)[0]
            held[block] += int(((low <= 0) & (high >= 0)).sum())
    assert held[1] < 0.75 * 160
    assert held[12] > 0.85 * 160
    assert np.isnan(tr_intervals([slow[0]], slow[1], 21, 0)[0]).all()


def test_a_single_tr_has_no_interval(rng):
    truth = rng.normal(size=(3, 4))
    table = identify_stimuli([truth], truth, np.array([*"abc"]), 9, 0)
    assert table.loc[:2, ["r_low", "better_high"]].isna().all(axis=None)
    (shown,) = brain_tables(Extras(identified={"mel": table}), simulated=True)
    assert shown.rows[0][4] == "1.000"
