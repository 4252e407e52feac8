"""Notes as sound: a plain additive synthesiser, to hear what a model made."""

import numpy as np

from giblet.music.notes import Notes
from giblet.timing import count_samples, nyquist_hz, sample_times

SAMPLE_RATE = 24000
_A4, _A4_HZ = 69, 440.0
_N_HARMONICS = 8  # harmonic k has amplitude 1 / k^1.5, and dies away k times as fast
_DECAY_SECONDS = 1.2  # of middle C's fundamental, to 1/e; higher notes die away faster
_ATTACK_SECONDS, _RELEASE_SECONDS = 0.005, 0.08
_PEAK = 0.8


def synthesize(notes: Notes, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Sound (n_samples,) float32 in [-1, 1] of notes, from their second 0 on.

    Eight decaying harmonics in equal temperament, A4 at 440 Hz, as loud as the velocity says
    (amplitude with its square). The whole is scaled so that its peak is 0.8.
    """
    n_samples = count_samples(sound_seconds(notes), sample_rate) + 1
    sound = np.zeros(n_samples, np.float32)
    for onset, duration, pitch, velocity in zip(
        notes.onset, notes.duration, notes.pitch, notes.velocity, strict=True
    ):
        tone = _tone(duration, int(pitch), sample_rate) * (velocity / 127) ** 2
        first = count_samples(onset, sample_rate)
        sound[first : first + len(tone)] += tone[: n_samples - first]
    peak = max(sound.max(initial=0.0), -sound.min(initial=0.0))
    if peak > 0:
        sound *= np.float32(_PEAK / peak)
    return sound


def sound_seconds(notes: Notes) -> float:
    """Length of the sound of notes, s: to the end of the last one's release."""
    return notes.end + _RELEASE_SECONDS


def _tone(duration: float, pitch: int, sample_rate: int) -> np.ndarray:
    """One note with its release, as if of velocity 127.

    Harmonic k is the imaginary part of z**k / k**1.5, where z turns and decays as the fundamental
    does.
    """
    times = sample_times(duration + _RELEASE_SECONDS, sample_rate)
    fundamental = _A4_HZ * 2 ** ((pitch - _A4) / 12)
    decay = _DECAY_SECONDS * 2 ** ((60 - pitch) / 24)
    z = np.exp((2j * np.pi * fundamental - 1 / decay) * times)
    harmonics = [k for k in range(1, _N_HARMONICS + 1) if k * fundamental < nyquist_hz(sample_rate)]
    tone = np.zeros(len(times), complex)
    for k in reversed(harmonics):
        tone = (tone + k**-1.5) * z
    envelope = np.minimum(times / _ATTACK_SECONDS, 1)
    envelope *= np.clip((duration + _RELEASE_SECONDS - times) / _RELEASE_SECONDS, 0, 1)
    return (tone.imag * envelope).astype(np.float32)
