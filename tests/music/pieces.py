"""Small pieces that tests share: broken chords over a bass, with beats."""

import numpy as np

from giblet.music.notes import Beats, Notes

CHORDS = np.array([[0, 4, 7, 12], [5, 9, 12, 17], [7, 11, 14, 19], [0, 4, 7, 12]])


def broken_chords(seed, n_bars=8, beat=0.5, shuffled=True):
    """Broken chords in eighths (0.25 s by default) over a bass note for each bar of four beats."""
    rng = np.random.default_rng(seed)
    root, onset, duration, pitch = int(rng.integers(48, 60)), [], [], []
    for bar in range(n_bars):
        chord = CHORDS[bar % 4] + root
        notes, start = np.tile(chord, 2), bar * 4 * beat
        onset += [start + i * beat / 2 for i in range(8)] + [start]
        duration += [beat / 2] * 8 + [4 * beat]
        pitch += [
            *(rng.permutation(notes) if shuffled else notes),
            root + int(CHORDS[bar % 4][0]) - 12,
        ]
    n_beats = 4 * n_bars + 1
    beats = Beats(np.arange(n_beats) * beat, np.arange(n_beats) % 4, np.full(n_beats, 4))
    velocity = np.full(len(pitch), 80)
    return Notes.from_unsorted(
        np.array(onset), np.array(duration), np.array(pitch), velocity, beats
    )
