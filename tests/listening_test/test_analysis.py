"""Statistics of answers: against scipy, classical variance components and simulated listeners."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, ttest_1samp

from giblet.listening_test.analysis import EVERYONE, choice_table, crossed_mean, rating_table
from giblet.listening_test.trials import REFERENCE


def answers(values, kind="choice", column="brain"):
    """A table of values (n_listeners, n_clips)."""
    rows = [
        {"listener": f"l{i}", "kind": kind, "clip": k, "column": column, "value": float(value)}
        for i, row in enumerate(values)
        for k, value in enumerate(row)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("n_listeners", "n_clips", "of_listeners", "of_clips", "least", "most"),
    [(8, 10, 1, 1, 0.93, 0.98), (4, 6, 1, 1, 0.93, 0.98), (8, 10, 0, 0, 0.95, 1.0)],
)
def test_intervals_hold_the_mean_of_other_listeners_and_clips(
    n_listeners, n_clips, of_listeners, of_clips, least, most
):
    rng, held = np.random.default_rng(0), 0
    for _ in range(1000):
        values = of_listeners * rng.normal(size=(n_listeners, 1))
        values = values + of_clips * rng.normal(size=n_clips)
        _, low, high = crossed_mean(values + rng.normal(size=(n_listeners, n_clips)))
        held += low < 0 < high
    assert least <= held / 1000 <= most


def test_with_clips_alike_it_is_a_t_interval_over_listeners():
    values = np.array([[1.0, 1.1, 0.9], [4.0, 4.1, 4.0], [2.0, 1.9, 2.1], [6.0, 6.0, 6.1]])
    _, low, high = crossed_mean(values)
    theirs = ttest_1samp(values.mean(axis=1), 0).confidence_interval()
    assert (low, high) == pytest.approx(tuple(theirs), rel=1e-6)


def test_equal_answers_have_an_interval_of_no_width():
    assert crossed_mean(np.full((3, 4), 0.5)) == (0.5, 0.5, 0.5)


def test_choices_of_one_listener_are_binomial():
    table = choice_table(answers([[1, 1, 1, 0, 1, 1, 1, 1, 0, 1]])).set_index("listener")
    row = table.loc["l0"]
    assert (row["value"], row["n"], row["interval"]) == (0.8, 10, "binomial")
    assert row["low"] == pytest.approx(beta.ppf(0.025, 8, 3))
    assert row["high"] == pytest.approx(beta.ppf(0.975, 9, 2))
    assert row["p"] == pytest.approx(2 * 56 / 1024), "11 - 1 + 45 of 1,024 draws on either side"
    assert table.loc[EVERYONE, "interval"] == "binomial", "no mixed model of one listener"


def test_choices_of_all_are_of_the_mixed_model_and_within_0_and_1():
    table = choice_table(answers(np.eye(4)[:, :3] == 0)).set_index("listener")
    everyone = table.loc[EVERYONE]
    assert everyone["interval"] == "mixed model"
    assert 0 <= everyone["low"] < everyone["value"] == 0.75 < everyone["high"] <= 1


def test_who_misses_the_hidden_reference_is_left_out_of_the_means(caplog):
    reference = answers([[100, 95, 92], [100, 60, 70], [99, 98, 97]], "rating", REFERENCE)
    brain = answers([[20, 30, 25], [90, 90, 90], [22, 28, 26]], "rating")
    table = rating_table(pd.concat([reference, brain]))
    means = table.set_index(["column", "listener"])["value"]
    assert means["brain", EVERYONE] == pytest.approx(np.mean([20, 30, 25, 22, 28, 26]))
    assert means["brain", "l1"] == 90, "but has a row"
    assert "l1" in caplog.text
    assert "BS.1534-3" in caplog.text


def test_one_rating_has_no_interval():
    row = rating_table(answers([[50.0]], "rating")).iloc[0]
    assert np.isnan([row["low"], row["high"]]).all()
