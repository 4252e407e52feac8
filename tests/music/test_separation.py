"""Music that is wrong on one scale keeps what it is to keep."""

import numpy as np
import pytest

from giblet.errors import GibletError
from giblet.music.notes import Beats, Notes
from giblet.music.separation import bar_edges, draw_unigram, shuffle_bars, transpose_low_voices


@pytest.fixture
def notes():
    """Four bars of three beats, after an upbeat; each bar is slower than the one before."""
    lengths = np.repeat([0.5, 0.6, 0.7, 0.8], 3)
    seconds = 0.5 + np.concatenate([[0], np.cumsum(lengths)])
    beats = Beats(
        np.concatenate([[0.0], seconds]),
        np.concatenate([[2], np.arange(13) % 3]),
        np.full(14, 3),
    )
    onset = np.repeat(beats.seconds[:-1], 2)
    pitch = np.tile([50, 70], 13) + np.repeat(np.arange(13), 2)
    return Notes(onset, np.full(26, 0.25), pitch, np.full(26, 80), beats)


def bars(notes, edges):
    """Of each bar: (onset from its beginning, pitch) of its notes."""
    bar = np.searchsorted(edges, notes.onset + 1e-6, side="right") - 1
    return [
        [
            (round(t - edges[b], 6), p)
            for t, p in zip(notes.onset[bar == b], notes.pitch[bar == b], strict=True)
        ]
        for b in range(len(edges) - 1)
    ]


def test_unigram_draws_are_as_frequent_as_the_tokens(rng):
    drawn = draw_unigram(np.array([5, 5, 5, 700]), (1000, 20), rng)
    assert drawn.shape == (1000, 20)
    assert set(np.unique(drawn)) == {5, 700}
    assert (drawn == 5).mean() == pytest.approx(0.75, abs=0.01)


def test_only_low_voices_are_transposed(notes):
    moved = transpose_low_voices(notes, 3)
    low = notes.pitch < np.median(notes.pitch)
    expected = sorted(zip(notes.onset, np.where(low, notes.pitch + 3, notes.pitch), strict=True))
    assert list(zip(moved.onset, moved.pitch, strict=True)) == expected
    assert 0 < low.sum() < len(low)


def test_what_cannot_move_stays():
    notes = Notes(np.arange(4.0), np.ones(4), np.array([1, 2, 100, 101]), np.full(4, 80))
    assert transpose_low_voices(notes, -2).pitch.tolist() == [1, 0, 100, 101]


def test_bars_are_whole_and_in_another_order(notes, rng):
    edges = bar_edges(notes)
    np.testing.assert_allclose(edges, [0.5, 2.0, 3.8, 5.9, 8.3])
    before = bars(notes, edges)
    orders = set()
    for _ in range(5):
        shuffled = shuffle_bars(notes, rng)
        upbeat = notes.onset < 0.5
        assert shuffled.onset[:2].tolist() == notes.onset[upbeat].tolist()
        order = [int(p - 51) // 3 for p in shuffled.pitch[2::6]]
        lengths = np.diff(edges)[order]
        after = bars(shuffled, np.concatenate([[0.5], 0.5 + np.cumsum(lengths)]))
        assert after == [before[b] for b in order]
        orders.add(tuple(order))
    assert len(orders) > 1


def test_without_beats_there_are_no_bars(notes, rng):
    bare = Notes(notes.onset, notes.duration, notes.pitch, notes.velocity)
    with pytest.raises(GibletError, match="without beats there are no bars"):
        shuffle_bars(bare, rng)
