"""Tonality against librosa, finite differences and what music theory says of chords and keys."""

import librosa
import numpy as np
import pytest
from music.pieces import broken_chords
from music.test_sounding import random_notes

from giblet.music.notes import Notes
from giblet.music.tonality import (
    chord_change,
    key_clarity,
    key_fits,
    tonal_centroid,
    tonnetz,
    tonnetz_speed,
)

C_MAJOR, F_MAJOR, F_SHARP_MAJOR, A_MINOR = (0, 4, 7), (5, 9, 0), (6, 10, 1), (9, 0, 4)


def classes(*pitches):
    return np.bincount(np.array(pitches) % 12, minlength=12).astype(float)


def chords(*each, seconds=1.0):
    onset = np.repeat(np.arange(len(each)) * seconds, [len(chord) for chord in each])
    pitch = np.concatenate([np.sort(np.array(chord) % 12) + 60 for chord in each])
    return Notes(onset, np.full(len(onset), seconds), pitch, np.full(len(onset), 80))


def test_the_centroid_is_librosas(rng):
    amounts = rng.random((50, 12))
    np.testing.assert_allclose(
        tonal_centroid(amounts), librosa.feature.tonnetz(chroma=amounts.T).T, atol=1e-12
    )


def test_the_centroid_knows_the_circles():
    single = tonal_centroid(np.eye(12))
    fifths = np.linalg.norm(single[:, :2] - np.roll(single, -7, 0)[:, :2], axis=1)
    assert fifths == pytest.approx(2 * np.sin(np.pi / 12))  # neighbours on a circle of twelve
    np.testing.assert_allclose(single[0, 2:4], single[3 * 4 % 12, 2:4], atol=1e-12)
    np.testing.assert_allclose(single[1, 2:4], single[4 * 3 % 12 + 1, 2:4], atol=1e-12)
    np.testing.assert_allclose(tonal_centroid(np.ones(12)), 0, atol=1e-12)  # the whole circle
    np.testing.assert_array_equal(tonal_centroid(np.zeros(12)), 0)
    minor = np.linalg.norm(single[:, 2:4] - np.roll(single, -3, 0)[:, 2:4], axis=1)
    assert minor == pytest.approx(np.sqrt(2))  # four minor thirds make an octave
    major = np.linalg.norm(single[:, 4:] - np.roll(single, -4, 0)[:, 4:], axis=1)
    assert major == pytest.approx(0.5 * np.sqrt(3))  # three major thirds do


def test_near_keys_are_near():
    c, f, f_sharp, a = (
        tonal_centroid(classes(*chord)) for chord in (C_MAJOR, F_MAJOR, F_SHARP_MAJOR, A_MINOR)
    )
    near, far = np.linalg.norm(c - a), np.linalg.norm(c - f_sharp)
    assert near < np.linalg.norm(c - f) < far


@pytest.mark.parametrize("tonic", range(12))
def test_a_scale_with_its_tonic_is_its_key(tonic):
    major = [(tonic + step) % 12 + 60 for step in (0, 4, 7, 0, 5, 9, 0, 7, 11, 2, 0, 4, 7, 0)]
    notes = Notes(np.arange(14) / 2, np.full(14, 0.5), np.array(major), np.full(14, 80))
    fits = key_fits(notes, np.array([7.0]), window=100.0)[0]
    assert fits.argmax() == tonic
    assert -1 <= fits.min() < fits.max() <= 1
    assert key_clarity(notes, np.array([7.0]), window=100.0)[0] == fits.max() > 0.8


def test_a_key_is_clear_and_a_cluster_is_not():
    clear = broken_chords(0)
    chromatic = Notes(
        np.arange(48) / 4, np.full(48, 0.25), 60 + np.arange(48) % 12, np.full(48, 80)
    )
    moments = np.array([8.0, 11.0])
    assert (key_clarity(clear, moments) > key_clarity(chromatic, moments) + 0.2).all()
    assert key_clarity(clear, np.array([-5.0, 0.0])).tolist() == [0.0, 0.0]


def test_clarity_is_the_correlation(rng):
    notes = random_notes(rng)
    from giblet.music.attributes import MINOR
    from giblet.music.sounding import leaky_chroma

    heard = leaky_chroma(notes, np.array([12.0]), 8.0)[0]
    expected = np.corrcoef(np.roll(MINOR, 5), heard)[0, 1]
    assert key_fits(notes, np.array([12.0]))[0, 12 + 5] == pytest.approx(expected)


def test_speed_is_that_of_the_position(rng):
    notes = random_notes(rng)
    moments = rng.uniform(notes.onset[0] + 0.11, 19, 50)
    found = tonnetz_speed(notes, moments)
    expected = (tonnetz(notes, moments) - tonnetz(notes, moments - 0.1)) / 0.1
    np.testing.assert_allclose(found, np.linalg.norm(expected, axis=1), rtol=1e-9)
    assert (found > 0).any()
    held = chords(C_MAJOR, seconds=9.0)
    assert tonnetz_speed(held, np.array([0.0, 4.0, 20.0])) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("rest", [4.0, 20.0, 200.0])
def test_the_first_note_after_a_rest_moves_the_position_once(rest):
    columns = (np.array([0.0, 2.0 + rest]), np.full(2, 2.0), np.array([60, 66]), np.full(2, 80))
    notes = Notes(*columns)
    moments = np.arange(0.05, 5 + rest, 0.1)
    path = 0.1 * tonnetz_speed(notes, moments).sum()
    apart = np.linalg.norm(np.diff(tonnetz(notes, np.array([2.0, 4.0 + rest])), axis=0))
    assert path == pytest.approx(apart, rel=0.1)


def test_a_chord_changes_where_it_does():
    notes = chords(C_MAJOR, C_MAJOR, A_MINOR, F_SHARP_MAJOR)
    found = chord_change(notes).reshape(4, 3)
    assert np.isnan(found[0]).all()
    assert found[1] == pytest.approx(0.0)
    distance = tonal_centroid(classes(*C_MAJOR)) - tonal_centroid(classes(*A_MINOR))
    assert found[2] == pytest.approx(np.linalg.norm(distance))
    assert (found[3] > found[2]).all()
