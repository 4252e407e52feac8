"""Disentanglement scores on known factors: as they are, rotated, and hand-made cases."""

from functools import partial

import numpy as np
import pytest

from giblet.errors import GibletError
from giblet.music.attributes import attributes_of
from giblet.music.disentanglement import (
    dci,
    dci_above_chance,
    mutual_information_gap,
    separated_attribute_predictability,
)
from giblet.music.synthetic_scores import (
    FACTORS,
    disentanglement_of,
    factor_grid,
    simulated_score,
)


def rotation(n, rng):
    """A random rotation (Haar)."""
    q, r = np.linalg.qr(rng.standard_normal((n, n)))
    return q * np.sign(np.diag(r))


def standardized(x):
    return (x - x.mean(0)) / x.std(0)


@pytest.fixture
def factors():
    """Each combination of five tempi, densities and registers and two modes, eight times."""
    return np.repeat(factor_grid(5), 8, axis=0)


@pytest.fixture
def rotated(factors, rng):
    """Factors and 60 numbers that have nothing to do with them, in a random rotation."""
    nuisance = rng.standard_normal((len(factors), 60))
    return np.hstack([standardized(factors), nuisance]) @ rotation(64, rng)


def test_the_true_factors_score_1(factors, rng):
    nuisance = rng.standard_normal((len(factors), 2))
    scaled = np.hstack([nuisance, -3 * factors[:, ::-1] + 7])  # order, scale and sign do not count
    for codes in (factors, scaled):
        assert mutual_information_gap(codes, factors) == pytest.approx(1, abs=0.06)
        assert separated_attribute_predictability(codes, factors) == pytest.approx(1, abs=0.02)
    assert mutual_information_gap(factors, factors) == pytest.approx(1, abs=0.02)
    scores = dci(factors, factors)
    assert scores.disentanglement == pytest.approx(1, abs=0.02)
    assert scores.completeness == pytest.approx(1, abs=0.02)
    assert scores.informativeness == pytest.approx(1, abs=0.02)


def test_a_random_rotation_scores_below_a_tenth(factors, rotated):
    assert mutual_information_gap(rotated, factors) < 0.1
    assert separated_attribute_predictability(rotated, factors) < 0.1
    assert dci(rotated, factors).completeness < 0.1


def test_dcis_disentanglement_of_a_rotation_is_chance(factors, rotated, rng):
    """Random weights are not all equal: their entropy is less than the largest possible."""
    weights = np.abs(rng.standard_normal((4, 20_000)))
    shares = weights / weights.sum(0)
    by_code = 1 + (shares * np.log(shares)).sum(0) / np.log(4)
    chance = (by_code * weights.sum(0)).sum() / weights.sum()
    assert 0.1 < chance < 0.2
    scores = dci(rotated, factors)
    assert scores.disentanglement == pytest.approx(chance, abs=0.05)
    assert scores.informativeness == pytest.approx(1, abs=0.02)  # all is there, only mixed


def test_beyond_chance_the_true_factors_score_1_and_a_rotation_below_a_tenth(factors, rotated, rng):
    true = dci_above_chance(factors, factors, rng)
    assert [*vars(true).values()] == pytest.approx([1, 1, 1], abs=0.02)
    scores = dci_above_chance(rotated, factors, rng)
    assert abs(scores.disentanglement) < 0.03
    assert abs(scores.completeness) < 0.03
    assert scores.informativeness == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("n_codes", [8, 64, 200])
def test_chance_is_that_of_random_weights_for_any_number_of_codes(n_codes, factors):
    """With the chance of half-normal weights of four factors, .156, put in by hand."""
    rng = np.random.default_rng(n_codes)
    codes = np.hstack([standardized(factors), rng.standard_normal((len(factors), n_codes - 4))])
    codes = codes @ rotation(n_codes, rng)
    by_hand = (dci(codes, factors).disentanglement - 0.156) / (1 - 0.156)
    found = dci_above_chance(codes, factors, rng).disentanglement
    assert found == pytest.approx(by_hand, abs=0.03)


def test_an_even_rotation_scores_0(factors):
    """Four codes in each of which every factor has the same weight: a Hadamard matrix."""
    even = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
    codes = standardized(factors) @ even
    assert separated_attribute_predictability(codes, factors) == pytest.approx(0, abs=1e-9)
    scores = dci(codes, factors)
    assert scores.disentanglement == pytest.approx(0, abs=1e-9)
    assert scores.completeness == pytest.approx(0, abs=1e-9)
    assert scores.informativeness == pytest.approx(1, abs=0.02)
    assert dci_above_chance(codes, factors, np.random.default_rng(0)).disentanglement < -0.1


def test_a_factor_that_two_codes_share_has_no_gap_and_is_incomplete(factors):
    twice = np.hstack([factors, factors])
    assert mutual_information_gap(twice, factors) == pytest.approx(0, abs=1e-9)
    assert separated_attribute_predictability(twice, factors) == pytest.approx(0, abs=1e-9)
    scores = dci(twice, factors)
    assert scores.disentanglement == pytest.approx(1, abs=0.02)  # each code is of one factor
    assert scores.completeness == pytest.approx(1 - np.log(2) / np.log(8), abs=0.02)


def test_codes_that_know_nothing_are_not_informative(factors, rng):
    noise = rng.standard_normal((len(factors), 200))
    scores = dci(noise, factors)
    assert scores.informativeness < 0.02  # the fit itself, not left out, has .1
    assert separated_attribute_predictability(noise, factors) < 0.02


def test_left_out_errors_equal_those_of_fits_without_the_sample(rng):
    codes, factors = rng.standard_normal((30, 4)), rng.standard_normal((30, 1))
    factors += codes[:, :1]
    errors = []
    for i in range(30):
        rest = np.delete(np.arange(30), i)
        design = np.column_stack([np.ones(29), codes[rest]])
        fit = np.linalg.lstsq(design, factors[rest], rcond=None)[0]
        errors.append((factors[i] - np.append(1, codes[i]) @ fit).item())
    expected = 1 - np.mean(np.square(errors)) / factors.var()
    assert dci(codes, factors).informativeness == pytest.approx(expected)


def test_constant_codes_are_worth_nothing(factors):
    codes = np.hstack([factors, np.ones((len(factors), 1))])
    assert mutual_information_gap(codes, factors) == pytest.approx(1, abs=0.02)
    scores = dci(codes, factors)
    assert scores.disentanglement == pytest.approx(1, abs=0.02)
    assert scores.completeness == pytest.approx(1, abs=0.02)
    nothing = np.zeros_like(factors)
    assert dci(nothing, factors).disentanglement == 0
    assert mutual_information_gap(nothing, factors) == 0


def heard(notes):
    """Attributes of a score that stand for the factors, and its notes per second."""
    found = attributes_of(notes)
    tempo = 60 / np.diff(notes.beats.seconds)[0]
    names = ("notes_per_beat", "mean_pitch", "majorness", "density")
    return np.array([tempo, *(found[name] for name in names)])


def test_the_factors_of_simulated_scores_can_be_heard(rng):
    grid = np.repeat(factor_grid(4), 2, axis=0)
    codes = np.array([heard(simulated_score(row, 64, rng)) for row in grid])
    r = np.diag(np.corrcoef(codes.T, grid.T)[:4, 5:])
    assert (r > [0.999, 0.99, 0.98, 0.8]).all()
    assert codes[:, 4] == pytest.approx(codes[:, 0] / 60 * codes[:, 1], rel=1e-6)


def test_an_encoder_that_hears_the_factors_scores_more_than_one_that_mixes_them(rng):
    mixing = rotation(64, rng)

    def mixed(notes):
        codes = (heard(notes)[:4] - [120, 2, 66, 0.1]) / [43, 1.2, 13, 0.3]
        return np.append(codes, rng.standard_normal(60)) @ mixing

    clean = disentanglement_of(lambda n: heard(n)[:4], np.random.default_rng(0), 4, 4)
    rotated = disentanglement_of(mixed, np.random.default_rng(0), 4, 4)
    assert min(clean.values()) > 0.7
    for name in ("mig", "sap", "completeness", "disentanglement_above_chance"):
        assert rotated[name] < 0.1


def test_simulated_scores_are_seeded_and_named():
    a, b = (simulated_score([90, 2, 60, 0], 8, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(a.pitch, b.pitch)
    assert np.array_equal(a.onset, b.onset)
    assert "SIMULATED" in a.warnings[0]


@pytest.mark.parametrize("index", range(4))
def test_factors_out_of_range_are_refused(index):
    values = [90.0, 2.0, 60.0, 0.0]
    values[index] = 1000.0
    with pytest.raises(GibletError, match=list(FACTORS)[index]):
        simulated_score(values, 8, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("codes", "factors", "message"),
    [
        (np.zeros((3, 2)), np.zeros((4, 2)), "shapes"),
        (np.zeros(3), np.zeros((3, 1)), "shapes"),
        (np.zeros((3, 2)), np.array([[1, 2], [1, 3], [1, 4]]), "factor 0 is constant"),
        (np.full((2, 1), np.nan), np.array([[1], [2]]), "finite"),
    ],
)
def test_what_cannot_be_scored_is_refused(codes, factors, message):
    above_chance = partial(dci_above_chance, rng=np.random.default_rng(0))
    for score in (mutual_information_gap, separated_attribute_predictability, dci, above_chance):
        with pytest.raises(GibletError, match=message):
            score(codes, factors)
