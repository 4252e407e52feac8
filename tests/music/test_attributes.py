"""Attributes of notes, by hand and in all keys."""

import numpy as np
import pytest

from giblet.music.attributes import ATTRIBUTES, MAJOR, MINOR, attributes_of, majorness
from giblet.music.notes import Beats, Notes

C_MAJOR = (60, 62, 64, 65, 67, 69, 71, 72, 60, 64, 67, 60)
A_MINOR = (57, 59, 60, 62, 64, 65, 68, 69, 57, 60, 64, 57)


def line(pitches, seconds=0.5, velocity=80, beats=None):
    n = len(pitches)
    onset = np.arange(n) * seconds
    return Notes(onset, np.full(n, seconds), np.array(pitches), np.full(n, velocity), beats)


def test_by_hand():
    onset = np.array([0.0, 0.0, 1.0, 1.5])
    notes = Notes(onset, np.array([1.0, 2, 0.5, 0.5]), np.array([60, 64, 62, 66]), np.full(4, 70))
    found = attributes_of(notes)
    assert found["density"] == 2
    assert found["mean_pitch"] == 63
    assert found["mean_velocity"] == 70
    assert found["polyphony"] == 2
    assert found["rhythm_spread"] == pytest.approx(0.5)  # 1 s and 1/2 s: an octave apart


def test_keys_major_and_minor_in_every_transposition():
    for shift in range(12):
        assert majorness(line(np.array(C_MAJOR) + shift)) > 0.1
        assert majorness(line(np.array(A_MINOR) + shift)) < -0.1


def test_fits_of_keys_are_correlations(rng):
    pitches = rng.integers(40, 80, 30)
    heard = np.bincount(pitches % 12, minlength=12)
    fits = [
        max(np.corrcoef(np.roll(profile, tonic), heard)[0, 1] for tonic in range(12))
        for profile in (MAJOR, MINOR)
    ]
    assert majorness(line(pitches)) == pytest.approx(fits[0] - fits[1])


def test_rhythm_spread_does_not_change_with_the_tempo():
    onset = np.array([0.0, 1, 1.5, 2, 4])
    slow, fast = (
        Notes(onset * k, np.full(5, 0.1), np.full(5, 60), np.full(5, 80)) for k in (1.0, 0.3)
    )
    assert ATTRIBUTES["rhythm_spread"](slow) == pytest.approx(ATTRIBUTES["rhythm_spread"](fast))
    assert ATTRIBUTES["density"](slow) < ATTRIBUTES["density"](fast)


def test_notes_per_beat_follows_the_tempo_map():
    """The second half at half the tempo: as many notes per beat, fewer per second."""
    seconds = np.array([0.0, 0.5, 1.0, 2.0, 3.0])
    beats = Beats(seconds, np.arange(5) % 4, np.full(5, 4))
    onset = np.array([0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5])
    notes = Notes(onset, np.diff(onset, append=3.0), np.full(8, 60), np.full(8, 80), beats)
    assert ATTRIBUTES["notes_per_beat"](notes) == pytest.approx(2)


def test_what_is_not_defined_is_nan():
    empty = Notes(np.zeros(0), np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert np.isnan(list(attributes_of(empty).values())).all()
    assert np.isnan(attributes_of(line([60]))["rhythm_spread"])
    assert np.isnan(attributes_of(line([60, 62]))["notes_per_beat"])
