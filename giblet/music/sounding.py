"""What sounds at a moment, and what has sounded just before, from notes alone."""

from collections.abc import Iterator

import numpy as np

from giblet.music.notes import Notes
from giblet.music.tokens import VOCABULARY
from giblet.timing import TOLERANCE

_ROWS = 4096  # moments whose pitches are in memory at a time


def sounding_pitches(notes: Notes, moments: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pitches that sound, by parts of the moments: a note from its onset to just before its end.

    Parameters
    ----------
    moments : (n_moments,) s, in any order

    Yields
    ------
    places : (n,) int64, of a part of the moments
    sounds : (n, 128) bool
    """
    order = np.argsort(moments, kind="stable")
    times = np.asarray(moments, float)[order]
    # A note sounds from the first moment not before its onset to the one before its end.
    first = np.searchsorted(times, notes.onset, side="left")
    last = np.maximum(first, np.searchsorted(times, _ends(notes), side="left"))
    running = np.zeros(VOCABULARY.n_pitches, np.int64)
    for begin in range(0, len(times), _ROWS):
        size = min(_ROWS, len(times) - begin)
        changes = np.zeros((size, VOCABULARY.n_pitches), np.int64)
        changes[0] = running
        for places, change in ((first, 1), (last, -1)):
            inside = (places >= begin) & (places < begin + size)
            np.add.at(changes, (places[inside] - begin, notes.pitch[inside]), change)
        counts = np.cumsum(changes, axis=0)
        running = counts[-1]
        yield order[begin : begin + size], counts > 0


def polyphony(notes: Notes, moments: np.ndarray) -> np.ndarray:
    """Different pitches (n_moments,) that sound.

    >>> notes = Notes(np.array([0.0, 1]), np.array([2.0, 1]), np.array([60, 64]), np.full(2, 80))
    >>> polyphony(notes, np.array([0.0, 1.0, 2.0])).tolist()
    [1.0, 2.0, 0.0]
    """
    values = np.zeros(len(moments))
    for places, sounds in sounding_pitches(notes, moments):
        values[places] = sounds.sum(1)
    return values


def chroma(notes: Notes, moments: np.ndarray) -> np.ndarray:
    """Notes of each pitch class that sound at each moment, (n_moments, 12) float64."""
    order = np.argsort(moments, kind="stable")
    times = np.asarray(moments, float)[order]
    counts = np.zeros((len(times) + 1, 12))
    for edges, change in ((notes.onset, 1), (_ends(notes), -1)):
        places = np.searchsorted(times, edges, side="left")
        np.add.at(counts, (places, notes.pitch % 12), change)
    values = np.empty((len(times), 12))
    values[order] = np.cumsum(counts, axis=0)[:-1]
    return values


def leaky_chroma(notes: Notes, moments: np.ndarray, window: float) -> np.ndarray:
    """Seconds for which each pitch class has sounded up to each moment, forgotten exponentially.

    ``c(t) = ∫ s(u) exp(-(t - u) / window) du`` over ``u < t``, ``s`` as in `chroma`. A note that
    begins at ``t`` is not in it yet.

    Parameters
    ----------
    moments : (n_moments,) s, in any order
    window : time constant in s

    Returns
    -------
    heard : (n_moments, 12) float64, s

    >>> note = Notes(np.zeros(1), np.ones(1), np.array([60]), np.array([80]))
    >>> leaky_chroma(note, np.array([0.0, 1.0, 3.0]), window=2.0)[:, 0].round(3).tolist()
    [0.0, 0.787, 0.289]
    """
    times = np.unique(np.concatenate([notes.onset, _ends(notes), moments]))
    sounds = chroma(notes, times)  # constant up to the next time
    kept = np.exp(-np.diff(times) / window)
    added = sounds[:-1] * (window * (1 - kept))[:, None]
    heard = np.zeros_like(sounds)
    for i, share in enumerate(kept):
        heard[i + 1] = heard[i] * share + added[i]
    return heard[np.searchsorted(times, moments)]


def _ends(notes: Notes) -> np.ndarray:
    """Ends (n_notes,), in s, never by rounding after the onset of the note that follows."""
    return np.maximum(notes.onset, notes.onset + notes.duration - TOLERANCE)
