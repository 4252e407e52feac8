"""Novelty is that of the last half window after the one before, and knows nothing of the future."""

import numpy as np
import pytest

from giblet.music.notes import Notes
from giblet.music.novelty import novelty
from giblet.music.score_features import FEATURES, Listening, tr_features
from giblet.music.sounding import chroma


def piece(seconds, seed=0, n=None):
    rng = np.random.default_rng(seed)
    n = n or int(3 * seconds)
    onset = rng.uniform(0, seconds, n)
    pitch = rng.integers(40, 80, n)
    return Notes.from_unsorted(onset, rng.uniform(0.1, 2, n), pitch, np.full(n, 80))


def sections(*chords, seconds=40.0):
    """A chord in every half second of a section."""
    starts = [np.arange(k * seconds, (k + 1) * seconds, 0.5) for k in range(len(chords))]
    onset = np.concatenate([np.repeat(s, len(c)) for s, c in zip(starts, chords, strict=True)])
    pitch = np.concatenate([np.tile(c, len(s)) for s, c in zip(starts, chords, strict=True)])
    return Notes.from_unsorted(onset, np.full(len(onset), 0.5), pitch, np.full(len(onset), 80))


def test_it_is_the_distance_of_seconds_by_pitch_class():
    """Against sums on a fine grid."""
    notes, step = piece(60), 1e-3
    grid = np.arange(0, 60, step) + step / 2
    sounds = chroma(notes, grid) * step
    for moment in (13.0, 24.5, 48.0, 60.0):
        later = sounds[(grid > moment - 12) & (grid < moment)].sum(0)
        earlier = sounds[(grid > moment - 24) & (grid < moment - 12)].sum(0)
        wanted = 1 - later @ earlier / np.linalg.norm(later) / np.linalg.norm(earlier)
        (value,) = novelty(notes, np.array([moment]), window=24.0)
        assert value == pytest.approx(wanted, abs=2e-3)


def test_a_new_section_is_most_novel_half_a_window_after_it_began():
    notes = sections([60, 64, 67], [60, 64, 67], [61, 66, 70], seconds=40.0)
    moments = np.arange(0, 120, 0.5)
    values = novelty(notes, moments)
    assert moments[values.argmax()] == 80 + 24
    assert values.max() == pytest.approx(1.0)  # no pitch class in common
    assert np.abs(values[moments <= 80]).max() < 1e-9


def test_nothing_is_known_of_the_future():
    notes, moments = piece(100), np.arange(0, 50, 0.7)
    early = notes.onset < 50
    columns = (notes.onset, notes.duration, notes.pitch, notes.velocity)
    begun = Notes(*(column[early] for column in columns))
    np.testing.assert_allclose(novelty(begun, moments), novelty(notes, moments), atol=1e-12)
    assert FEATURES["novelty"].causal


def test_silence_and_beginnings_are_not_novel():
    nothing = Notes(np.zeros(0), np.zeros(0), np.zeros(0, int), np.zeros(0, int))
    assert not novelty(nothing, np.arange(10.0)).any()
    assert not novelty(piece(60), np.array([-5.0, 0.0, 23.9])).any()


def test_it_is_a_feature_of_trs():
    notes = piece(90)
    table = tr_features(Listening(notes), 1.5, 60, ["novelty"], offset=0.0)
    moments = (np.arange(60 * 15) + 0.5) / 10
    wanted = novelty(notes, moments).reshape(60, 15).mean(1)
    np.testing.assert_allclose(table["novelty"], wanted, atol=1e-12)
