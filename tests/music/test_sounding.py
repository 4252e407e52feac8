"""What sounds, against a loop over notes and moments, and an integral by steps."""

import numpy as np
import pytest

from giblet.music.notes import Notes
from giblet.music.sounding import chroma, leaky_chroma, polyphony, sounding_pitches


def random_notes(rng, n=60, length=20.0):
    pitch = rng.integers(48, 72, n)
    onset, duration = rng.uniform(0, length, n), rng.exponential(0.8, n) + 0.01
    return Notes.from_unsorted(onset, duration, pitch, np.full(n, 80))


def sounding_at(notes, moment):
    return notes.pitch[(notes.onset <= moment) & (moment < notes.onset + notes.duration)]


def test_what_sounds_is_what_has_begun_and_not_ended(rng):
    notes, moments = random_notes(rng), rng.uniform(-1, 25, 300)
    found = np.zeros((300, 128), bool)
    for places, sounds in sounding_pitches(notes, moments):
        found[places] = sounds
    classes = chroma(notes, moments)
    for i, moment in enumerate(moments):
        pitches = sounding_at(notes, moment)
        assert np.flatnonzero(found[i]).tolist() == sorted(set(pitches))
        np.testing.assert_array_equal(classes[i], np.bincount(pitches % 12, minlength=12))
    np.testing.assert_array_equal(polyphony(notes, moments), found.sum(1))


def test_many_moments_are_worked_on_in_parts(rng):
    notes = random_notes(rng, 400)
    moments = rng.permutation(np.linspace(0, 22, 9001))
    expected = [len(set(sounding_at(notes, moment))) for moment in moments[::50]]
    assert polyphony(notes, moments)[::50].tolist() == expected


def test_a_note_that_ends_as_the_next_begins_is_over():
    onset, duration = np.array([0.1, 0.1 + 0.2]), np.array([0.2, 0.2])
    assert 0.1 + 0.2 > 0.3  # rounding
    notes = Notes(np.array([0.1, 0.3]), duration, np.array([60, 62]), np.full(2, 80))
    assert polyphony(notes, np.array([0.3])).tolist() == [1.0]
    notes = Notes(onset, duration, np.array([60, 60]), np.full(2, 80))
    assert chroma(notes, notes.onset).sum(1).tolist() == [1.0, 1.0]
    no_length = Notes(np.array([1.0]), np.zeros(1), np.array([60]), np.array([80]))
    assert polyphony(no_length, np.array([0.9, 1.0, 1.1])).tolist() == [0.0, 0.0, 0.0]


def test_what_was_heard_is_the_integral(rng):
    notes, window, step = random_notes(rng, 30, 6.0), 1.7, 1e-3
    grid = np.arange(0, 10, step)
    sounds = chroma(notes, grid + step / 2)
    moments = np.array([0.0, 2.0, 5.0, 9.0, 1.0])
    found = leaky_chroma(notes, moments, window)
    for moment, heard in zip(moments, found, strict=True):
        past = grid < moment
        kernel = np.exp(-(moment - grid[past] - step / 2) / window)
        np.testing.assert_allclose(heard, kernel @ sounds[past] * step, atol=5e-3)


def test_a_note_held_for_ever_fills_the_window():
    note = Notes(np.zeros(1), np.array([1000.0]), np.array([64]), np.array([80]))
    heard = leaky_chroma(note, np.array([900.0]), window=8.0)[0]
    assert heard[4] == pytest.approx(8.0)
    assert heard.sum() == heard[4]
