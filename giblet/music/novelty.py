"""Form as it is heard so far: by how much the last seconds differ from those before them."""

import numpy as np

from giblet.music.notes import Notes
from giblet.music.sounding import chroma

NOVELTY_WINDOW = 48.0  # s


def novelty(notes: Notes, moments: np.ndarray, window: float = NOVELTY_WINDOW) -> np.ndarray:
    """Distance (n_moments,), 0 to 1, of the last half window to the half before it.

    One minus the cosine of the seconds for which each pitch class sounded in either half; 0 where
    one of the halves is silent. That compares the two sides of a moment as the checkerboard kernel
    of Foote (2000, Automatic audio segmentation using a measure of audio novelty, ICME) does, but
    the kernel ends at the moment: nothing of what is to come is known, and the border between two
    sections is at its largest half a window later.

    Parameters
    ----------
    moments : (n_moments,) s, in any order
    window : s

    >>> notes = Notes(np.array([0.0, 2]), np.full(2, 2.0), np.array([60, 67]), np.full(2, 80))
    >>> novelty(notes, np.array([2.0, 3.0, 4.0]), window=4.0).round(2).tolist()
    [0.0, 0.29, 1.0]
    """
    moments = np.asarray(moments, float)
    edges = np.unique(np.concatenate([notes.onset, notes.onset + notes.duration, [0.0]]))
    seconds = np.diff(edges)[:, None] * chroma(notes, (edges[:-1] + edges[1:]) / 2)
    total = np.concatenate([np.zeros((1, 12)), np.cumsum(seconds, axis=0)])

    def sounded(until: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(until, edges, of_class) for of_class in total.T], axis=1)

    now, middle, before = (sounded(moments - back) for back in (0.0, window / 2, window))
    later, earlier = now - middle, middle - before
    norm = np.linalg.norm(later, axis=1) * np.linalg.norm(earlier, axis=1)
    cosine = (later * earlier).sum(1) / np.where(norm > 0, norm, 1)
    return np.where(norm > 0, np.maximum(0.0, 1 - cosine), 0.0)
