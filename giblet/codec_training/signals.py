"""Synthetic sounds to train on beside recordings: tones, noise, and constant offsets."""

import numpy as np

from giblet.timing import nyquist_hz, sample_edges

_LEVEL_DB = (-40.0, -3.0)  # of a tone's amplitude, or of noise, re full scale
_FREQUENCY = (50.0, 0.92)  # Hz; share of the highest that the sample rate allows
_MOST_TONES = 3
_STEEPEST = 2.0  # noise of power 1 / f^slope: from white (0) past pink (1) to brown (2)
_OFFSET = 0.3


def tones(rng: np.random.Generator, n_samples: int, sample_rate: int) -> np.ndarray:
    """One to three sinusoids (n_samples,); frequencies are drawn evenly in octaves."""
    n_tones = rng.integers(1, _MOST_TONES + 1)
    low, high = np.log([_FREQUENCY[0], _FREQUENCY[1] * nyquist_hz(sample_rate)])
    frequencies = np.exp(rng.uniform(low, high, n_tones))
    amplitudes = 10 ** (rng.uniform(*_LEVEL_DB, n_tones) / 20)
    turns = frequencies[:, None] * sample_edges(n_samples, sample_rate)[:-1]
    turns = turns + rng.random((n_tones, 1))
    return amplitudes @ np.sin(2 * np.pi * turns)


def noise(rng: np.random.Generator, n_samples: int) -> np.ndarray:
    """Gaussian noise (n_samples,) of random level and slope, between white and brown."""
    spectrum = np.fft.rfft(rng.standard_normal(n_samples))
    spectrum[1:] *= np.arange(1, len(spectrum)) ** (-rng.uniform(0, _STEEPEST) / 2)
    spectrum[0] = 0
    sound = np.fft.irfft(spectrum, n_samples)
    return sound * (10 ** (rng.uniform(*_LEVEL_DB) / 20) / (3 * sound.std()))


def offset(rng: np.random.Generator) -> float:
    """A constant, as a faulty sound card adds it."""
    return rng.uniform(-_OFFSET, _OFFSET)


def synthetic_crop(
    rng: np.random.Generator, crop: np.ndarray, sample_rate: int, peak: float = 1.0
) -> np.ndarray:
    """Tones, noise, or ``crop`` (n_samples,) itself with an offset; scaled down above ``peak``.

    Tones and noise have an offset in one of two.
    """
    kind = rng.choice(["tones", "noise", "offset"])
    sound = {
        "tones": lambda: tones(rng, len(crop), sample_rate),
        "noise": lambda: noise(rng, len(crop)),
        "offset": lambda: crop.astype(float),
    }[kind]()
    if kind == "offset" or rng.random() < 0.5:
        sound = sound + offset(rng)
    return (sound * min(1.0, peak / max(np.abs(sound).max(), 1e-9))).astype(np.float32)
