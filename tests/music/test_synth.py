"""The synthesiser plays the right pitch at the right moment."""

import numpy as np
import pytest

from giblet.music.notes import Notes
from giblet.music.synth import synthesize

RATE = 24000


def one(onset=0.0, duration=1.0, pitch=69, velocity=80):
    columns = np.array([onset]), np.array([duration]), np.array([pitch]), np.array([velocity])
    return Notes(*columns)


@pytest.mark.parametrize(("pitch", "hertz"), [(69, 440.0), (60, 261.626), (81, 880.0)])
def test_a_note_has_its_frequency(pitch, hertz):
    sound = synthesize(one(pitch=pitch), RATE)
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    assert spectrum.argmax() * RATE / len(sound) == pytest.approx(hertz, abs=1.5)


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
