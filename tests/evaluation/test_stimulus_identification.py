"""Identification among whole stimuli: known answers, chance, and one row for all."""

import numpy as np

from giblet.evaluation.stimulus_identification import EVERY, identify_stimuli, stimulus_patterns
from giblet.report.extras import Extras, brain_tables

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
    (shown,) = brain_tables(Extras(identified={"encodec": table}), simulated=False)
    assert shown.caption.startswith("Held-out stimuli, one of 4")
    assert shown.rows[0][:2] == ["rain", "rain"]


def test_the_stimulus_that_is_decoded_in_its_place_is_named(rng):
    """Two stimuli have each other's estimates."""
    truth = rng.normal(size=(20, 3))
    names = np.repeat(["a", "b", "c", "d"], 5)
    guess = truth.copy()
    guess[:5], guess[5:10] = truth[5:10], truth[:5]
    table = identify_stimuli([guess], truth, names, 50, seed=0)
    assert table["closest"].tolist()[:4] == ["b", "a", "c", "d"]
    assert table["identified"].tolist() == [0, 0, 1, 1, 0.5]


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
