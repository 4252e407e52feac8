import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from giblet.errors import GibletError
from giblet.music.notes import Beats, Notes


def notes_of(onset, duration, pitch, velocity):
    columns = (np.array(onset, float), np.array(duration, float), np.array(pitch))
    return Notes(*columns, np.array(velocity))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([0, 1], [1], [60], [80]), "one shape"),
        (([0], [-1], [60], [80]), "negative"),
        (([np.nan], [1], [60], [80]), "finite"),
        (([0], [1], [128], [80]), "pitch must lie in 0-127, got 128"),
        (([0], [1], [60.5], [80]), "pitch must be integers"),
        (([0], [1], [60], [0]), "velocity must lie in 1-127, got 0"),
        (([1, 0], [1, 1], [60, 60], [80, 80]), "ascend"),
        (([0, 0], [1, 1], [62, 60], [80, 80]), "ascend"),
        (([0, 90000], [1, 1], [60, 60], [80, 80]), "span 25 h"),
        (([0], [1e308], [60], [80]), "24 h"),
    ],
)
def test_wrong_notes_are_refused(columns, message):
    with pytest.raises(GibletError, match=message):
        notes_of(*columns)


def test_unsorted_notes_are_sorted_by_onset_then_pitch():
    notes = Notes.from_unsorted([1, 0, 0], [1, 2, 3], np.array([60, 72, 64]), np.array([1, 2, 3]))
    assert notes.onset.tolist() == [0, 0, 1]
    assert notes.pitch.tolist() == [64, 72, 60]
    assert notes.duration.tolist() == [3, 2, 1]
    assert notes.velocity.tolist() == [3, 2, 1]


def test_the_end_is_that_of_the_longest_sounding_note():
    assert notes_of([0, 1], [9, 1], [60, 60], [80, 80]).end == 9
    assert notes_of([], [], np.zeros(0, int), np.zeros(0, int)).end == 0


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([0.0, 1], [0], [4]), "one shape"),
        (([0.0], [0], [4]), "at least 2"),
        (([0.0, 0.0], [0, 1], [4, 4]), "strictly ascending"),
        (([0.0, 1], [0, 4], [4, 4]), "in_bar"),
    ],
)
def test_wrong_beats_are_refused(columns, message):
    with pytest.raises(GibletError, match=message):
        Beats(*(np.array(column) for column in columns))


def test_phases_of_a_tempo_change_and_a_change_of_metre():
    # a bar of 2 at 60 beats per minute, then a bar of 3 at 120
    beats = Beats(
        np.array([0, 1, 2, 2.5, 3, 3.5]), np.array([0, 1, 0, 1, 2, 0]), np.array([2, 2, 3, 3, 3, 3])
    )
    moments = np.array([0, 0.5, 1.5, 2, 2.25, 3.25, -0.5, 3.75])
    beat = [0, 0.5, 0.5, 0, 0.5, 0.5, 0.5, 0.5]
    bar = [0, 0.25, 0.75, 0, 0.5 / 3, 2.5 / 3, 0.75, 0.5 / 3]
    np.testing.assert_allclose(beats.phases(moments), np.stack([beat, bar], 1), atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_phases_lie_in_0_to_1(moments):
    beats = Beats(np.array([0.0, 0.3, 0.9]), np.array([1, 2, 0]), np.array([3, 3, 4]))
    phases = beats.phases(np.array([*moments, -1e-20, -1e-300]))
    assert ((phases >= 0) & (phases < 1)).all()
