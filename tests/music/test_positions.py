"""Positions are moments: the number of tokens says nothing."""

import math

import numpy as np
import pytest
import torch

from giblet.music.notes import Beats, Notes
from giblet.music.positions import BeatEncoding, token_phases
from giblet.music.tokens import VOCABULARY, token_seconds, tokenize

BEATS = Beats(  # 3/4 at 120 a minute, then 2/4 at 60
    np.array([0, 0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6]),
    np.array([0, 1, 2, 0, 1, 2, 0, 1, 0, 1]),
    np.array([3, 3, 3, 3, 3, 3, 2, 2, 2, 2]),
)


def scale(velocities):
    """A note on every beat of BEATS, of the given velocities."""
    n = len(BEATS.seconds)
    return Notes(BEATS.seconds, np.full(n, 0.25), np.arange(60, 60 + n), velocities)


def test_phases_follow_the_tempo_map():
    tokens = tokenize(scale(np.full(10, 80)))
    phases = token_phases(tokens, BEATS, first_onset=0.0)
    ons = phases[VOCABULARY.is_note_on(tokens)]
    np.testing.assert_array_equal(ons[:, 0], 0)
    np.testing.assert_allclose(ons[:, 1], BEATS.in_bar / BEATS.per_bar, atol=1e-7)
    offs = phases[VOCABULARY.is_note_off(tokens)]
    np.testing.assert_allclose(offs[:, 0], [0.5] * 6 + [0.25] * 4)
    assert phases.dtype == np.float32


def test_more_velocity_tokens_do_not_move_the_phase():
    even, varied = scale(np.full(10, 80)), scale(np.tile([30, 110], 5))
    few, many = tokenize(even), tokenize(varied)
    assert len(many) > len(few)
    of_few, of_many = (
        token_phases(tokens, BEATS, 0.0)[~VOCABULARY.is_velocity(tokens)] for tokens in (few, many)
    )
    np.testing.assert_array_equal(of_few, of_many)


def test_phases_count_from_the_first_onset():
    notes = scale(np.full(10, 80))
    late = Notes(notes.onset[1:], notes.duration[1:], notes.pitch[1:], notes.velocity[1:])
    tokens = tokenize(late)
    phases = token_phases(tokens, BEATS, first_onset=0.5)
    np.testing.assert_allclose(
        phases[VOCABULARY.is_note_on(tokens), 1], (BEATS.in_bar / BEATS.per_bar)[1:], atol=1e-7
    )


def test_without_beats_and_without_tokens():
    assert not token_phases(np.array([771, 60, 300, 188]), None, 0.0).any()
    assert token_phases(np.zeros(0, np.int32), BEATS, 0.0).shape == (0, 2)


def test_phases_stay_below_one_in_single_precision():
    beats = Beats(np.array([0.0, 1.0]) + 1e-9, np.zeros(2, int), np.ones(2, int))
    assert (token_phases(np.array([60]), beats, 0.0) == 0).all()


@pytest.fixture
def encode():
    torch.manual_seed(0)
    return BeatEncoding(16).requires_grad_(False)


def test_the_encoding_sees_moments_alone(encode):
    """Equal moments get equal vectors, wherever they stand in a sequence."""
    seconds = torch.tensor([[0.0, 1.0, 1.0, 1.0, 2.5]])
    phases = torch.stack((seconds % 1, seconds / 4 % 1), dim=-1)
    out = encode(seconds, phases)
    torch.testing.assert_close(out[:, 2], out[:, 3], rtol=0, atol=0)
    assert not torch.allclose(out[:, 0], out[:, 2])


def test_the_encoding_sees_the_time_since_the_token_before(encode):
    phases = torch.zeros(1, 2, 2)
    out = [encode(torch.tensor([[3.0 - gap, 3.0]]), phases)[0, 1] for gap in (0.25, 0.5)]
    assert not torch.allclose(*out)
    alone = encode(torch.tensor([[3.0]]), phases[:, :1], before=torch.tensor([2.75]))[0, 0]
    torch.testing.assert_close(alone, out[0])


def test_phase_wraps_around_without_a_jump(encode):
    seconds = torch.zeros(1, 2)
    near = encode(seconds, torch.tensor([[[0.0, 0.0], [1 - 1e-6, 1 - 1e-6]]]))
    torch.testing.assert_close(near[:, 0], near[:, 1], rtol=0, atol=1e-4)


def test_the_encoding_is_bounded_and_exact_after_hours(encode):
    """A day later, at a whole number of the longest period: the same vector to rounding."""
    early = torch.arange(64)[None] / 64 + 7
    late = early + 512 * math.floor(86_400 / 512)
    phases = torch.zeros(1, 64, 2)
    torch.testing.assert_close(encode(early, phases), encode(late, phases), rtol=0, atol=1e-6)


def test_seconds_match_the_tokens():
    tokens = tokenize(scale(np.full(10, 80)))
    seconds = token_seconds(tokens)
    np.testing.assert_array_equal(seconds[VOCABULARY.is_note_on(tokens)], BEATS.seconds)
