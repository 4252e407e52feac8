"""The synthesiser plays the right pitch at the right moment."""

import numpy as np
import pytest

from giblet.music.notes import Notes
from giblet.music.synth import sound_seconds, synthesize

RATE = 24000


def one(onset=0.0, duration=1.0, pitch=69, velocity=80):
    columns = np.array([onset]), np.array([duration]), np.array([pitch]), np.array([velocity])
    return Notes(*columns)


@pytest.mark.parametrize(("pitch", "hertz"), [(69, 440.0), (60, 261.626), (81, 880.0)])
def test_a_note_has_its_frequency(pitch, hertz):
    sound = synthesize(one(pitch=pitch), RATE)
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    assert spectrum.argmax() * RATE / len(sound) == pytest.approx(hertz, abs=1.5)


def test_a_note_is_the_sum_of_decaying_harmonics():
    sound = synthesize(one(duration=0.5, pitch=100), RATE)  # four of eight lie below 12 kHz
    times = np.arange(round(0.58 * RATE)) / RATE
    hertz, decay = 440 * 2 ** (31 / 12), 1.2 * 2 ** (-40 / 24)
    harmonics = [
        np.sin(2 * np.pi * k * hertz * times) * np.exp(-k * times / decay) / k**1.5
        for k in range(1, 5)
    ]
    envelope = np.minimum(times / 0.005, 1) * np.clip((0.58 - times) / 0.08, 0, 1)
    expected = sum(harmonics) * envelope
    expected *= 0.8 / np.abs(expected).max()
    np.testing.assert_allclose(sound[: len(times)], expected, atol=1e-6)


def test_the_sound_is_as_long_as_it_is_said_to_be():
    notes = one(onset=0.3, duration=0.7)
    assert len(synthesize(notes, RATE)) / RATE == pytest.approx(sound_seconds(notes), abs=1e-4)


def test_a_note_begins_and_ends_in_time():
    sound = synthesize(one(onset=0.5, duration=0.25), RATE)
    heard = np.flatnonzero(np.abs(sound) > 1e-3) / RATE
    assert heard[0] == pytest.approx(0.5, abs=0.002)
    assert 0.7 < heard[-1] < 0.75 + 0.09
    assert np.abs(sound).max() == pytest.approx(0.8)


def test_louder_notes_are_louder():
    both = Notes(np.array([0.0, 2.0]), np.ones(2), np.array([60, 60]), np.array([40, 80]))
    sound = np.abs(synthesize(both, RATE))
    assert sound[: 2 * RATE].max() == pytest.approx(sound[2 * RATE :].max() / 4, rel=0.01)


def test_high_notes_do_not_alias():
    sound = synthesize(one(pitch=127), RATE)  # 12.5 kHz, above what 24 kHz holds
    assert not sound.any()
    assert not synthesize(
        Notes(*(np.zeros(0), np.zeros(0), np.zeros(0, int), np.zeros(0, int)))
    ).any()
