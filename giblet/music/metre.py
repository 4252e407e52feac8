"""Where in beat and bar notes begin, and how strong that place is."""

import numpy as np

from giblet.music.notes import Notes

_TOLERANCE = 1 / 48  # of a beat: a played onset this near a place is on it
_HALVES = (1 / 2, 1 / 3)  # of a beat; whether a beat has two or three parts is not known
_QUARTERS = (1 / 4, 1 / 6)


def beat_phase(notes: Notes) -> np.ndarray:
    """Phase of the beat (n_notes,) at each onset, in [0, 1); NaN without beats."""
    return _phases(notes)[:, 0]


def bar_phase(notes: Notes) -> np.ndarray:
    """Phase of the bar (n_notes,) at each onset, in [0, 1); NaN without beats."""
    return _phases(notes)[:, 1]


def metrical_weight(notes: Notes) -> np.ndarray:
    """Metrical levels (n_notes,) that have a beat at each onset, 0 to 5; NaN without beats.

    They are quarters or sixths of a beat, halves or thirds, beats, half bars (where a bar has
    an even number of beats, 4 or more), and bars: the grid of Lerdahl & Jackendoff (1983). In 3/4
    and 2/4 a bar's first beat has 4.

    >>> from giblet.music.notes import Beats
    >>> beats = Beats(np.arange(5.0), np.array([0, 1, 2, 3, 0]), np.full(5, 4))
    >>> onset = np.array([0, 0.25, 0.5, 1, 2])
    >>> notes = Notes(onset, np.full(5, 0.1), np.full(5, 60), np.full(5, 80), beats)
    >>> metrical_weight(notes).tolist()
    [5.0, 1.0, 2.0, 3.0, 4.0]
    """
    if notes.beats is None:
        return np.full(len(notes), np.nan)
    beats = notes.beats
    last = len(beats.seconds) - 1
    before = np.clip(np.searchsorted(beats.seconds, notes.onset, side="right") - 1, 0, last)
    phase = _phases(notes)[:, 0]
    nearest = np.minimum(before + np.rint(phase).astype(int), last)
    in_bar, per_bar = beats.in_bar[nearest], beats.per_bar[nearest]
    on_half, on_beat = _on(phase, _HALVES), _on(phase, (1.0,))
    half_bar = (per_bar >= 4) & (2 * in_bar == per_bar)
    bar = on_beat & (in_bar == 0)
    levels = (on_half | _on(phase, _QUARTERS), on_half, on_beat, bar | (on_beat & half_bar), bar)
    # without half bars a bar's beat has one level less
    no_half = bar & ((per_bar < 4) | (per_bar % 2 == 1))
    return np.sum(levels, axis=0) - no_half.astype(float)


def _phases(notes: Notes) -> np.ndarray:
    if notes.beats is None:
        return np.full((len(notes), 2), np.nan)
    return notes.beats.phases(notes.onset)


def _on(phase: np.ndarray, parts: tuple[float, ...]) -> np.ndarray:
    """Whether phases (n,) lie on a multiple of one of the parts of a beat."""
    grid = np.array(parts)
    away = np.abs(phase[:, None] - np.rint(phase[:, None] / grid) * grid)
    return (away <= _TOLERANCE).any(1)
