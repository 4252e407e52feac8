"""Attributes of notes: single numbers that one can hear, for latents to be compared with."""

from collections.abc import Callable

import numpy as np

from giblet.music.notes import Notes

# How well each of the 12 pitch classes fits a key with the tonic 0 (Krumhansl & Kessler 1982)
MAJOR = np.array([6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88])
MINOR = np.array([6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17])


def _unit(profile: np.ndarray) -> np.ndarray:
    """Centred and of norm 1, so that products are correlations."""
    centred = profile - profile.mean()
    return centred / np.linalg.norm(centred)


KEYS = np.stack([np.roll(_unit(p), tonic) for p in (MAJOR, MINOR) for tonic in range(12)])


def density(notes: Notes) -> float:
    """Notes per second, from the first onset to the last end."""
    seconds = notes.end - notes.onset[0] if len(notes) else 0.0
    return len(notes) / seconds if seconds > 0 else np.nan


def mean_pitch(notes: Notes) -> float:
    """Mean MIDI number."""
    return float(notes.pitch.mean()) if len(notes) else np.nan


def mean_velocity(notes: Notes) -> float:
    """Mean velocity, 1-127."""
    return float(notes.velocity.mean()) if len(notes) else np.nan


def polyphony(notes: Notes) -> float:
    """Notes that sound at once, a mean over the time from the first onset to the last end."""
    seconds = notes.end - notes.onset[0] if len(notes) else 0.0
    return float(notes.duration.sum() / seconds) if seconds > 0 else np.nan


def majorness(notes: Notes) -> float:
    """Fit of the best major key less that of the best minor key: above 0 in major.

    Fits are correlations (-1 to 1) of the durations by pitch class with the profiles of Krumhansl
    and Kessler (1982), in all 12 keys.
    """
    heard = np.bincount(notes.pitch % 12, weights=notes.duration, minlength=12)
    if np.ptp(heard) == 0:
        return np.nan
    major, minor = (KEYS @ _unit(heard)).reshape(2, 12).max(1)
    return float(major - minor)


def rhythm_spread(notes: Notes) -> float:
    """Spread of the time from onset to onset in octaves, which the tempo does not change.

    The standard deviation of ``log2`` of the intervals; 0 where all are equal.
    """
    intervals = np.diff(np.unique(notes.onset))
    return float(np.log2(intervals).std()) if len(intervals) else np.nan


def notes_per_beat(notes: Notes) -> float:
    """Notes per beat of the tempo map; NaN without beats."""
    if notes.beats is None or not len(notes):
        return np.nan
    seconds = notes.beats.seconds
    n_beats = np.interp([notes.onset[0], notes.end], seconds, np.arange(len(seconds)))
    return len(notes) / float(np.diff(n_beats)[0]) if np.diff(n_beats)[0] > 0 else np.nan


ATTRIBUTES: dict[str, Callable[[Notes], float]] = {
    "density": density,
    "mean_pitch": mean_pitch,
    "mean_velocity": mean_velocity,
    "polyphony": polyphony,
    "majorness": majorness,
    "rhythm_spread": rhythm_spread,
    "notes_per_beat": notes_per_beat,
}


def attributes_of(notes: Notes) -> dict[str, float]:
    """All of ``ATTRIBUTES``; NaN where one is not defined.

    >>> notes = Notes(np.array([0.0, 1.0]), np.ones(2), np.array([60, 64]), np.full(2, 80))
    >>> attributes_of(notes)["mean_pitch"]
    62.0
    """
    return {name: attribute(notes) for name, attribute in ATTRIBUTES.items()}
