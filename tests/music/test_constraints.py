"""Constraints equal counts on tokens and means over draws, prefer the better example, and teach."""

import numpy as np
import pytest
import torch

from giblet.music.constraints import (
    Grid,
    harmonic_dissonance,
    key_departure,
    rhythm_off_grid,
    sixteenths,
    sounding_pitches,
    voice_leap,
)
from giblet.music.notes import Beats, Notes
from giblet.music.tokens import VOCABULARY as V, token_seconds, tokenize

SIXTEENTH = 0.125  # s: 8 steps
CONSONANCE = {1: -1.428, 2: -0.582, 3: 0.594, 4: 0.386, 5: 1.24, 6: -0.453, 0: 1.24}
MAJOR = [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88]
MINOR = [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17]


def one_hot(tokens):
    return torch.nn.functional.one_hot(torch.as_tensor(tokens).long(), V.n_ids).double()


def sequence(chords, length=2 * SIXTEENTH):
    """Tokens of chords (tuples of pitches), one after the other."""
    rows = [(i * length, length, p) for i, chord in enumerate(chords) for p in sorted(chord)]
    onset, duration, pitch = map(np.array, zip(*rows, strict=True))
    return tokenize(Notes(onset, duration, pitch, np.full(len(rows), 80)))


def grid_of(tokens):
    """As of a beat of half a second, which began with the first token."""
    seconds = torch.from_numpy(token_seconds(tokens))[None]
    return Grid(seconds / SIXTEENTH % 1, torch.full_like(seconds, SIXTEENTH))


LOSSES = {
    "rhythm": lambda p, tokens: rhythm_off_grid(p, grid_of(tokens)),
    "harmony": lambda p, tokens: harmonic_dissonance(p, torch.from_numpy(tokens)[None]),
    "key": lambda p, tokens: key_departure(p, torch.from_numpy(tokens)[None]),
    "voices": lambda p, tokens: voice_leap(
        p, torch.from_numpy(tokens)[None], torch.from_numpy(token_seconds(tokens))[None]
    ),
}
HYMN = [(48, 60, 64, 67), (53, 60, 65, 69), (55, 59, 62, 67), (48, 60, 64, 67), (45, 60, 64, 69)]
ROUGH = [(48, 61, 67, 72), (50, 51, 56, 81), (40, 54, 58, 63), (59, 60, 77, 80), (41, 42, 55, 66)]
every_loss = pytest.mark.parametrize("name", LOSSES)


def count(name, drawn, tokens):
    """(sum, number) for tokens that are drawn after those before them, by walking through."""
    steps = held = 0
    total, n, held, begun = 0.0, 0, set(), []
    seconds = token_seconds(tokens)
    profile = key_profile(tokens)
    for moment, draw, token in zip(seconds, drawn, tokens, strict=True):
        if name == "rhythm" and V.is_time_shift(draw):
            steps = V.steps(draw) * V.step_seconds
            total += np.sin(np.pi * (moment + steps) / SIXTEENTH) ** 2
            n += 1
        if V.is_note_on(draw):
            if name == "harmony":
                for pitch in held:
                    interval = abs(pitch - draw) % 12
                    total += (1.24 - CONSONANCE[min(interval, 12 - interval)]) / (1.24 + 1.428)
                    n += 1
            if name == "key":
                total += (max(profile) - profile[draw % 12]) / (max(profile) - min(profile))
                n += 1
            before = [p for t, p in begun if moment - 2 <= t < moment]
            if name == "voices" and before:
                total += min(12, min(abs(p - draw) for p in before))
                n += 1
        if V.is_note_on(token):
            held.add(int(token))
            begun.append((moment, int(token)))
        held -= {int(token) - V.note_off.start}
    return total, n


def key_profile(tokens):
    heard = np.bincount(tokens[V.is_note_on(tokens)] % 12, minlength=12)
    keys = [np.roll(p, tonic) for p in (MAJOR, MINOR) for tonic in range(12)]
    return max(keys, key=lambda key: np.corrcoef(heard, key)[0, 1])


@every_loss
@pytest.mark.parametrize("chords", [HYMN, ROUGH])
def test_on_one_hots_it_counts(name, chords):
    tokens = sequence(chords, length=0.3)
    total, n = count(name, tokens, tokens)
    assert float(LOSSES[name](one_hot(tokens)[None], tokens)) == pytest.approx(total / n)
    assert total > 0


@every_loss
def test_it_is_the_mean_over_independent_draws(name, rng):
    tokens = sequence(HYMN)
    probabilities = torch.from_numpy(rng.standard_normal((len(tokens), V.n_ids)) * 2).softmax(-1)
    inverse = probabilities.cumsum(-1)[None] < torch.from_numpy(rng.random((300, len(tokens), 1)))
    sums = np.array([count(name, draw, tokens) for draw in inverse.sum(-1).numpy()])
    total, n = sums.mean(0)
    error = np.std(sums[:, 0] - total / n * sums[:, 1]) / n / len(sums) ** 0.5
    found = float(LOSSES[name](probabilities[None], tokens))
    assert found == pytest.approx(total / n, abs=4 * error)
    assert error < 0.05 * found


@every_loss
def test_the_worse_example_scores_worse(name):
    good, bad = sequence(HYMN), sequence(ROUGH)
    if name == "rhythm":
        bad = sequence(HYMN, length=0.17)
    if name == "key":  # a wrong note in the same piece
        bad, probabilities = good, one_hot(np.where(good == 64, 63, good))[None]
    else:
        probabilities = one_hot(bad)[None]
    assert LOSSES[name](probabilities, bad) > 1.2 * LOSSES[name](one_hot(good)[None], good)


def test_eighths_are_on_the_grid_and_halves_of_sixteenths_are_as_far_as_can_be():
    for length, expected in ((0.25, 0.0), (0.0625, 0.5)):
        tokens = sequence(HYMN, length)
        assert float(LOSSES["rhythm"](one_hot(tokens)[None], tokens)) == pytest.approx(
            expected, abs=0.15 if expected else 1e-6
        )


@every_loss
def test_the_gradient_reaches_the_logits_and_lowers_the_loss(name, rng):
    tokens = sequence(HYMN, length=0.3)
    logits = torch.from_numpy(rng.standard_normal((1, len(tokens), V.n_ids))).requires_grad_()
    loss = LOSSES[name](logits.softmax(-1), tokens)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient.abs().max() > 0
    lower = LOSSES[name]((logits - 10 * gradient / gradient.norm()).softmax(-1), tokens)
    assert lower < loss


@every_loss
def test_it_does_not_pay_to_play_less(name, rng):
    """With the same proportions between notes (or shifts), their number does not matter."""
    tokens = sequence(HYMN, length=0.3)
    logits = torch.from_numpy(rng.standard_normal((1, len(tokens), V.n_ids)))
    fewer = logits.clone()
    fewer[..., V.velocity] += 5
    full, sparse = (LOSSES[name](x.softmax(-1), tokens) for x in (logits, fewer))
    assert float(sparse) == pytest.approx(float(full), rel=0.02)


def test_without_beats_rhythm_asks_nothing():
    tokens = sequence(HYMN)
    none = torch.zeros(1, len(tokens))
    assert rhythm_off_grid(one_hot(tokens)[None], Grid(none, none)) == 0
    assert not sixteenths(None, token_seconds(tokens)).any()


def test_sixteenths_follow_the_tempo():
    beats = Beats(np.array([1.0, 2.0, 2.4, 2.8]), np.array([0, 1, 0, 1]), np.full(4, 2))
    moments = np.array([1.0, 1.25, 1.3, 2.0, 2.15])
    expected = [[0, 0.25], [0, 0.25], [0.2, 0.25], [0, 0.1], [0.5, 0.1]]
    np.testing.assert_allclose(sixteenths(beats, moments), expected, atol=1e-6)


def test_sounding_pitches_are_those_begun_and_not_ended():
    tokens = sequence([(60, 64), (64,)])
    held, expected = set(), []
    for token in tokens.tolist():
        expected.append(set(held))
        held = held | {token} if token < 128 else held - {token - 128}
    found = sounding_pitches(torch.from_numpy(tokens)[None])[0]
    assert [set(row.nonzero().flatten().tolist()) for row in found] == expected


@every_loss
def test_rows_of_a_batch_count_by_their_notes(name, rng):
    """A batch's loss is that of the rows put together, not their mean."""
    one, two = sequence(HYMN, 0.3), sequence(ROUGH, 0.3)
    tokens = torch.from_numpy(np.stack([one[: len(two)], two[: len(one)]]))
    seconds = torch.from_numpy(np.stack([token_seconds(t) for t in tokens.numpy()]))
    grid = Grid(seconds / SIXTEENTH % 1, torch.full_like(seconds, SIXTEENTH))
    found = {
        "rhythm": lambda p: rhythm_off_grid(p, grid),
        "harmony": lambda p: harmonic_dissonance(p, tokens),
        "key": lambda p: key_departure(p, tokens),
        "voices": lambda p: voice_leap(p, tokens, seconds),
    }[name](one_hot(tokens))
    total, n = np.sum([count(name, t, t) for t in tokens.numpy()], axis=0)
    assert float(found) == pytest.approx(total / n)
