"""Music that is wrong on one time scale: what the discriminators are to distinguish from real.

`draw_unigram`: each token is likely, no two belong together (local). `transpose_low_voices`: each
voice is real, together they are in two keys (phrase). `shuffle_bars`: each bar is real, their order
is not (global).
"""

import numpy as np

from giblet.errors import GibletError
from giblet.music.notes import Notes


def draw_unigram(tokens: np.ndarray, shape: tuple[int, ...], rng: np.random.Generator):
    """Tokens of ``shape`` drawn independently, each as often as in ``tokens`` (n,)."""
    ids, counts = np.unique(tokens, return_counts=True)
    return rng.choice(ids, size=shape, p=counts / counts.sum())


def transpose_low_voices(notes: Notes, semitones: int) -> Notes:
    """Notes below the median pitch moved by ``semitones``, where they stay within 0-127."""
    moved = notes.pitch + semitones
    low = (notes.pitch < np.median(notes.pitch)) & (moved >= 0) & (moved <= 127)
    pitch = np.where(low, moved, notes.pitch)
    return Notes.from_unsorted(notes.onset, notes.duration, pitch, notes.velocity, notes.beats)


def bar_edges(notes: Notes) -> np.ndarray:
    """Moments (n_bars + 1,) in s at which bars begin, and the end of the last beat that is known.

    Notes before the first downbeat are in no bar. Raises GibletError for notes without beats.
    """
    if notes.beats is None:
        raise GibletError("notes: without beats there are no bars; read them from a MIDI file")
    downbeats = notes.beats.seconds[notes.beats.in_bar == 0]
    end = max(notes.beats.seconds[-1], notes.onset[-1] + 1e-3)
    return np.unique([*downbeats, end])


def shuffle_bars(notes: Notes, rng: np.random.Generator) -> Notes:
    """Bars in random order, each with its own length and the notes that begin in it.

    A note keeps its duration, also across a bar line. Notes before the first downbeat stay in
    front. Without beats afterwards: those of ``notes`` no longer fit.
    """
    edges = bar_edges(notes)
    lengths = np.diff(edges)
    order = rng.permutation(len(lengths))
    starts = np.empty(len(lengths))
    starts[order] = edges[0] + np.concatenate([[0], np.cumsum(lengths[order])[:-1]])
    bar = np.searchsorted(edges, notes.onset + 1e-6, side="right") - 1
    moved = np.where(bar >= 0, starts[bar] - edges[bar], 0.0)
    return Notes.from_unsorted(notes.onset + moved, notes.duration, notes.pitch, notes.velocity)
