"""Scores of short sounds: those of other sounds are named, right ones are not."""

import numpy as np
import pytest
from scipy.stats import norm

from giblet.music import score_fits as module
from giblet.music.score_fits import LIKELY, score_fits

DELAY, RATE = 0.18, 100  # s, frames a second
CYCLE = {3: 11, 11: 20, 20: 3}  # sound → the one whose score it has


def onsets_of(rng, seconds):
    """Onsets (s) in a tempo of their own."""
    steps = rng.choice([0.0, 0.25, 0.5], round(8 * seconds)) * rng.uniform(0.8, 1.25)
    onsets = np.append(0.0, np.cumsum(steps))
    return onsets[onsets < seconds - 0.5]


def heard(rng, onsets, n, noise=0.3):
    """An onset envelope of ``n`` frames, late."""
    rises = np.bincount((RATE * (onsets + DELAY)).astype(int), minlength=n)[:n]
    return np.convolve(rises, np.exp(-np.arange(10) / 3))[:n] + noise * rng.random(n)


def written(onsets, n):
    return np.bincount((RATE * onsets).astype(int), minlength=n)[:n].astype(float)


def sounds(seed, n_sounds=30, scores=None, draw=onsets_of, noise=0.3):
    """Onset density and envelope of each; ``scores``: sound → the one whose score it has."""
    rng = np.random.default_rng(seed)
    lengths = rng.uniform(6, 12, n_sounds)
    onsets = [draw(rng, seconds) for seconds in lengths]
    frames = [round(RATE * seconds) for seconds in lengths]
    envelopes = [heard(rng, one, n, noise) for one, n in zip(onsets, frames, strict=True)]
    whose = [(scores or {}).get(k, k) for k in range(n_sounds)]
    return [(written(onsets[j], frames[k]), envelopes[k]) for k, j in enumerate(whose)]


@pytest.mark.parametrize("seed", range(4))
def test_exchanged_scores_are_named_with_the_one_that_fits(seed):
    fits = score_fits(sounds(seed, scores=CYCLE), DELAY)
    named = [k for k in CYCLE if fits.others[k] > 0.05]  # by chance a wrong score fits, too
    assert set(fits.named) == set(named)
    assert len(named) >= 2
    whose = {other: k for k, other in CYCLE.items() if other in named}
    assert fits.better == whose  # the score of sound 3 is that of the part that has it
    right = np.delete(np.arange(30), list(CYCLE))
    assert fits.wrong[right].max() < 0.5
    assert fits.r[right].min() > fits.r[list(CYCLE)].max()


@pytest.mark.parametrize("seed", [0, 2, 3, 5])
def test_the_right_score_of_one_sound_with_soft_onsets_is_not_named(seed):
    parts, soft = sounds(seed), sounds(seed, noise=8.0)
    fits = score_fits([soft[7] if k == 7 else part for k, part in enumerate(parts)], DELAY)
    assert fits.wrong[7] > LIKELY  # by its fit beside the rest's alone
    assert fits.others[7] < 0.05  # but its score fits better than others
    assert fits.named == []


def test_a_score_of_no_sound_is_named_without_one_that_fits():
    parts, others = sounds(1), sounds(2)
    parts[5] = others[5][0][: len(parts[5][1])], parts[5][1][: len(others[5][0])]
    fits = score_fits(parts, DELAY)
    assert fits.named == [5]
    assert fits.better == {}


@pytest.mark.parametrize("noise", [0.3, 3.0])
def test_right_scores_are_not_named(noise):
    named = [score_fits(sounds(seed, noise=noise), DELAY).named for seed in range(8)]
    assert sum(map(len, named)) == 0


def test_right_scores_of_one_rhythm_are_not_named():
    """The score of any other sound fits as well as its own."""

    def same(_rng, seconds):
        return np.arange(0, seconds - 0.5, 0.5)

    assert score_fits(sounds(0, draw=same), DELAY).named == []


def test_right_scores_of_one_rhythm_among_others_are_not_named():
    """Those of twelve of thirty sounds fit each other."""
    drawn = iter(range(99))

    def some(rng, seconds):
        is_same = next(drawn) < 12
        return np.arange(0, seconds - 0.5, 0.5) if is_same else onsets_of(rng, seconds)

    assert score_fits(sounds(0, draw=some), DELAY).named == []


def test_scores_at_another_lag_do_not_fit():
    """All but one begin 180 ms before their sounds, that one 380 ms."""
    parts = sounds(4)
    density, envelope = parts[7]
    parts[7] = np.append(density[20:], np.zeros(20)), envelope
    assert score_fits(parts, DELAY).named == [7]


def test_the_same_music_is_no_other_score():
    parts = sounds(0)
    assert score_fits(parts, DELAY, np.zeros(30, int)) is None
    two = [part for part in parts for _ in range(2)]  # each score in two recordings
    music = np.repeat(np.arange(30), 2)
    assert score_fits(two, DELAY, music).better == score_fits(two, DELAY, music).better == {}
    swapped = [part for part in sounds(0, scores=CYCLE) for _ in range(2)]
    fits = score_fits(swapped, DELAY, music)
    assert set(fits.named) == {n for k in CYCLE for n in (2 * k, 2 * k + 1)}
    assert {music[j] for j in fits.better.values()} == set(CYCLE)


def test_few_sounds_and_those_without_onsets_are_not_compared():
    parts = sounds(0)
    assert score_fits(parts[:9], DELAY) is None
    assert score_fits([], DELAY) is None
    assert score_fits(parts[:10], DELAY) is not None
    silent = np.zeros(800)
    parts[2], parts[3], parts[4] = (silent, parts[2][1]), (parts[3][0], silent), (np.zeros(0),) * 2
    fits = score_fits(parts, DELAY)
    known = np.isfinite(fits.wrong)
    assert np.flatnonzero(~known).tolist() == [2, 3, 4]
    assert np.isnan(fits.r[~known]).all()


def test_sounds_of_which_less_than_half_overlaps_are_not_compared():
    """At 4 s of lag a sound of 7.5 s, without its first 0.25 s, is left out, one of 8.5 s not."""
    parts = [tuple(np.resize(one, 900) for one in part) for part in sounds(0, 12)]
    parts[0], parts[1] = (tuple(one[:n] for one in parts[0]) for n in (750, 850))
    fits = score_fits(parts, 4.0)
    assert np.isnan(fits.wrong[0])
    assert np.isfinite(fits.wrong[1:]).all()


@pytest.mark.parametrize("lag", [0, 18, -40])
def test_the_fit_is_that_of_numpy_at_the_best_lag(lag):
    rng = np.random.default_rng(0)
    envelope, densities = rng.random(300) + 7, rng.random((3, 300)) + 2
    lags = lag + np.arange(-5, 6)
    found = module._fit([*densities, np.zeros(300)], envelope, lags)
    for density, fit in zip(densities, found, strict=False):
        r = []
        for at in lags:
            first, second = density[max(-at, 0) : 300 - max(at, 0)], envelope[max(at, 0) :]
            r.append(np.corrcoef(first, second[: len(first)])[0, 1])
        assert fit == pytest.approx(np.arctanh(max(r)))
    assert found[3] == 0


def test_others_are_scores_at_distinct_shifts_repeated_to_the_length():
    scores = [np.arange(n, dtype=float) + 1000 * k for k, n in enumerate((250, 320, 80))]
    drawn = module._drawn(scores, 400, np.random.default_rng(0))
    expected = [np.resize(np.roll(scores[k], s), 400) for k, n in ((0, 2), (1, 3), (2, 1))
                for s in range(100, 100 * n + 1, 100)]  # fmt: skip
    assert sorted(one.tobytes() for one in drawn) == sorted(one.tobytes() for one in expected)
    many = module._drawn([np.random.default_rng(0).random(4000)] * 9, 50, np.random.default_rng(0))
    assert len(many) == 99
    assert module._drawn([], 50, np.random.default_rng(0)) == []


def test_probabilities_are_those_of_the_groups_that_were_drawn():
    """Oracle: Bayes' rule with the true shares, means and deviations."""
    rng = np.random.default_rng(0)
    is_wrong = np.arange(2000) < 500
    mean, spread = rng.uniform(-0.1, 0.3, 2000), rng.uniform(0.1, 0.2, 2000)
    own = np.where(is_wrong, rng.normal(mean, spread), rng.normal(0.8, 0.2, 2000))
    wrong, least = module._probability_wrong(own, mean, spread)
    at = np.clip(own, mean, 0.8)
    odds = 0.25 * norm.pdf(at, mean, spread), 0.75 * norm.pdf(at, 0.8, 0.2)
    truth = odds[0] / sum(odds)
    assert np.abs(wrong - truth).mean() < 0.02
    assert (wrong - truth).max() < 0.05
    assert least == pytest.approx(norm.isf(0.99, 0.8, 0.2), abs=0.05)
    assert (~is_wrong)[wrong > LIKELY].mean() < 0.05
    assert (wrong > LIKELY)[is_wrong].mean() > 0.5


def test_a_bad_fit_is_never_better_than_that_of_others():
    """Far below the others' a fit is as likely to be wrong as at their mean; above: right."""
    own = np.r_[np.full(40, 1.0), 0.1, -0.9, 2.5]
    mean, spread = np.full(43, 0.1), np.full(43, 0.15)
    wrong, _least = module._probability_wrong(own + 0.01 * np.arange(43) % 0.2, mean, spread)
    assert (wrong > LIKELY).tolist() == [False] * 40 + [True, True, False]


def test_where_others_fit_better_than_right_scores_nothing_can_be_said():
    """The usual fit is .5, that of the others with the last sound .9."""
    own = 0.5 + 0.02 * np.arange(20) % 0.2
    wrong, _least = module._probability_wrong(own, np.r_[np.full(19, 0.1), 0.9], np.full(20, 0.1))
    assert wrong.max() < 0.5
