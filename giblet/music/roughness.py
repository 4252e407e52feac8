"""Roughness of what sounds, from the beating of the notes' harmonics."""

from functools import cache

import numpy as np

from giblet.music.notes import Notes
from giblet.music.sounding import sounding_pitches
from giblet.music.tokens import VOCABULARY

N_HARMONICS = 6
ROLL_OFF = 0.88  # amplitude of a harmonic as a share of the one below it


def partial_roughness(
    first_hz: np.ndarray, second_hz: np.ndarray, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """Roughness of pairs of sine tones of frequencies in Hz and amplitudes ``first``, ``second``.

    ``min(a, b) * 5 (exp(-3.51 s d) - exp(-5.75 s d))`` with the difference ``d`` in Hz and
    ``s = 0.24 / (0.0207 f + 18.96)``, ``f`` the lower frequency: Sethares' fit to the curves of
    Plomp & Levelt (1965), with the amplitude of the beats (Sethares 2005, Tuning, Timbre, Spectrum,
    Scale, appendices E and G).

    >>> float(partial_roughness(440.0, 440.0, 1.0, 1.0))
    0.0
    """
    difference = np.abs(np.subtract(first_hz, second_hz))
    stretched = 0.24 / (0.0207 * np.minimum(first_hz, second_hz) + 18.96) * difference
    return np.minimum(first, second) * 5 * (np.exp(-3.51 * stretched) - np.exp(-5.75 * stretched))


@cache
def pair_roughness() -> np.ndarray:
    """Roughness (128, 128) of all partials of one pitch with all of another, equally loud.

    The diagonal has a pitch's own partials, each pair once.
    """
    n = np.arange(1, N_HARMONICS + 1)
    pitches = np.arange(VOCABULARY.n_pitches)
    fundamentals = 440.0 * 2 ** ((pitches - 69) / 12)  # Hz
    hz = fundamentals[:, None] * n
    amplitude = ROLL_OFF ** (n - 1)
    pairs = np.stack(
        [
            partial_roughness(hz[p][:, None], hz[:, None], amplitude[:, None], amplitude).sum(
                (-2, -1)
            )
            for p in pitches
        ]
    )
    pairs[pitches, pitches] /= 2
    return pairs


def roughness(notes: Notes, moments: np.ndarray) -> np.ndarray:
    """Roughness (n_moments,) of all partials of the pitches that sound, equally loud.

    Each pitch has 6 harmonics, each .88 times the one below. The sum of `partial_roughness` over
    all pairs of partials, also of one note. 0 in silence.
    """
    pairs = pair_roughness()
    upper = np.triu(pairs)
    values = np.zeros(len(moments))
    for places, sounds in sounding_pitches(notes, moments):
        amounts = sounds.astype(float)
        values[places] = ((amounts @ upper) * amounts).sum(1)
    return values
