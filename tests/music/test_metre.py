"""Metrical weights against written-out bars."""

import numpy as np
import pytest

from giblet.music.metre import bar_phase, beat_phase, metrical_weight
from giblet.music.notes import Beats, Notes


def in_metre(per_bar, onsets_in_beats, tempo=0.4, n_bars=2, first=1.0):
    n = per_bar * n_bars + 1
    beats = Beats(first + np.arange(n) * tempo, np.arange(n) % per_bar, np.full(n, per_bar))
    onset = first + np.asarray(onsets_in_beats, float) * tempo
    each = np.ones(len(onset))
    return Notes(onset, each, np.full(len(onset), 60), np.full(len(onset), 80), beats)


@pytest.mark.parametrize(
    ("per_bar", "onsets", "weights"),
    [
        (4, [0, 1, 2, 3, 4, 6], [5, 3, 4, 3, 5, 4]),
        (3, [0, 1, 2, 3], [4, 3, 3, 4]),
        (2, [0, 1, 2, 3], [4, 3, 4, 3]),
        (6, [0, 1, 3, 6], [5, 3, 4, 5]),
        (4, [0, 0.25, 0.5, 0.75, 1], [5, 1, 2, 1, 3]),
        (4, [1 / 3, 2 / 3, 1 / 6, 5 / 6, 0.1, 0.4], None),
        (4, [7.99, 8.0], [5, 5]),  # just before the bar line, and the last beat
    ],
)
def test_places_in_the_bar(per_bar, onsets, weights):
    if weights is None:
        onsets, weights = np.sort(onsets), [0, 1, 2, 0, 2, 1]
    assert metrical_weight(in_metre(per_bar, onsets)).tolist() == weights


def test_weights_follow_the_tempo_map():
    """A ritardando: beats of growing length."""
    seconds = np.cumsum(np.append(0, np.linspace(0.4, 0.9, 8)))
    beats = Beats(seconds, np.arange(9) % 4, np.full(9, 4))
    halves = (seconds[:-1] + seconds[1:]) / 2
    onset = np.sort(np.concatenate([seconds[:-1], halves]))
    notes = Notes(onset, np.full(16, 0.1), np.full(16, 60), np.full(16, 80), beats)
    assert metrical_weight(notes).tolist() == [5, 2, 3, 2, 4, 2, 3, 2] * 2
    np.testing.assert_allclose(beat_phase(notes), np.tile([0, 0.5], 8), atol=1e-12)
    np.testing.assert_allclose(bar_phase(notes), np.tile(np.arange(8) / 8, 2), atol=1e-12)


def test_without_beats_nobody_knows():
    notes = Notes(np.zeros(1), np.ones(1), np.array([60]), np.array([80]))
    for values in (metrical_weight(notes), beat_phase(notes), bar_phase(notes)):
        assert np.isnan(values).all()
