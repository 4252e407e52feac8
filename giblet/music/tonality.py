"""Tonality as it is heard so far: key clarity, position and speed in the tonnetz, chord change."""

import numpy as np

from giblet.music.attributes import KEYS
from giblet.music.notes import Notes
from giblet.music.sounding import chroma, leaky_chroma

KEY_WINDOW = 8.0  # s
CENTROID_WINDOW = 1.5  # s
SPEED_STEP = 0.1  # s over which a speed is measured

# Angles of pitch classes on the circles of fifths, minor thirds and major thirds, and their radii
# (Harte, Sandler & Gasser 2006, Detecting harmonic change in musical audio, AMCMM)
_ANGLES = np.arange(12)[:, None] * np.pi * np.array([7 / 6, 3 / 2, 2 / 3])
_RADII = np.array([1.0, 1.0, 0.5])
TONNETZ = np.stack([_RADII * np.sin(_ANGLES), _RADII * np.cos(_ANGLES)], -1).reshape(12, 6)


def tonal_centroid(chroma: np.ndarray) -> np.ndarray:
    """Position (..., 6) in the tonnetz of amounts (..., 12) of pitch classes; 0 of nothing.

    x and y on the circle of fifths, of minor thirds and of major thirds: the amounts, divided by
    their sum, times ``TONNETZ`` (Harte et al. 2006, equation 1).

    >>> fifth = tonal_centroid(np.eye(12)[0] + np.eye(12)[7])
    >>> fifth.round(2).tolist()
    [0.25, 0.93, 0.5, 0.5, 0.22, 0.13]
    """
    total = chroma.sum(-1, keepdims=True)
    return (chroma @ TONNETZ) / np.where(total > 0, total, 1)


def key_fits(notes: Notes, moments: np.ndarray, window: float = KEY_WINDOW) -> np.ndarray:
    """Fit of each key to what was heard before: C, C#, … major, then minor, (n_moments, 24).

    Correlations (-1 to 1) of `leaky_chroma` with the profiles of Krumhansl & Kessler (1982); 0
    where nothing was heard, or all pitch classes alike.
    """
    heard = leaky_chroma(notes, moments, window)
    centred = heard - heard.mean(-1, keepdims=True)
    norm = np.linalg.norm(centred, axis=-1, keepdims=True)
    audible = norm > 1e-12 * np.maximum(heard.sum(-1, keepdims=True), 1e-12)
    return np.where(audible, centred / np.where(audible, norm, 1), 0.0) @ KEYS.T


def key_clarity(notes: Notes, moments: np.ndarray, window: float = KEY_WINDOW) -> np.ndarray:
    """Fit of the key that fits best, (n_moments,): see `key_fits`."""
    return key_fits(notes, moments, window).max(-1)


def tonnetz(notes: Notes, moments: np.ndarray, window: float = CENTROID_WINDOW) -> np.ndarray:
    """Position (n_moments, 6) in the tonnetz of what was heard before: `tonal_centroid` of
    `leaky_chroma`.
    """
    return tonal_centroid(leaky_chroma(notes, moments, window))


def tonnetz_speed(notes: Notes, moments: np.ndarray, window: float = CENTROID_WINDOW) -> np.ndarray:
    """Speed (n_moments,) of the position in the tonnetz over the 0.1 s before, per s.

    Moments that are 0.1 s apart (in TRs of other lengths about 0.1 s) add up to the path of the
    position, also where the first note after a long rest moves it at once. 0 where nothing
    was heard before these 0.1 s.
    """
    now, before = (leaky_chroma(notes, m, window) for m in (moments, moments - SPEED_STEP))
    moved = np.linalg.norm(tonal_centroid(now) - tonal_centroid(before), axis=-1)
    return np.where(before.sum(-1) > 0, moved / SPEED_STEP, 0.0)


def chord_change(notes: Notes) -> np.ndarray:
    """Distance (n_notes,) in the tonnetz of what sounds from a note's onset on to that before.

    The harmonic change of Harte et al. (2006) from onset to onset, not from frame to frame. NaN at
    the first onset.
    """
    onsets, at = np.unique(notes.onset, return_inverse=True)
    position = tonal_centroid(chroma(notes, onsets))
    steps = np.linalg.norm(np.diff(position, axis=0), axis=-1)
    return np.concatenate([[np.nan], steps])[at] if len(onsets) else np.zeros(0)
