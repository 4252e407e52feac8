"""Runs of intervals that a piece shares with training music."""

import numpy as np
import pytest

from giblet.music.memorisation import TrainingIntervals
from giblet.music.notes import Notes


def melody(pitches, speed=0.5):
    n = len(pitches)
    onset = np.arange(n) * speed
    return Notes(onset, np.full(n, speed), np.asarray(pitches, int), np.full(n, 80))


@pytest.fixture
def pitches(rng):
    return rng.integers(50, 80, size=300)


def test_a_planted_passage_is_found_transposed_and_faster(rng, pitches):
    training = TrainingIntervals.of(
        {"other": melody(rng.integers(50, 80, 300)), "it": melody(pitches)}
    )
    made = np.concatenate([rng.integers(50, 80, 40), pitches[100:125] + 7])
    run = training.longest_run(melody(made, speed=0.1))
    assert (run.n_intervals, run.start, run.source) == (24, 40, "it")
    assert "24 (it)" in str(run)


def test_a_run_does_not_cross_from_piece_to_piece(pitches):
    training = TrainingIntervals.of({"a": melody(pitches[:20]), "b": melody(pitches[19:])})
    assert training.longest_run(melody(pitches[:40])).n_intervals == 20  # those of b
    assert training.longest_run(melody(pitches)).n_intervals == 280


def test_equals_a_slow_search(rng):
    few = rng.integers(3, size=(2, 120)) + 60
    a, b = (np.diff(each).tolist() for each in few)
    expected = max(
        n
        for n in range(30)
        for i in range(len(b) - n + 1)
        for j in range(len(a) - n + 1)
        if b[i : i + n] == a[j : j + n]
    )
    assert expected > 3
    run = TrainingIntervals.of({"a": melody(few[0])}).longest_run(melody(few[1]))
    assert run.n_intervals == expected


def test_only_the_top_voice_counts(rng, pitches):
    chords = Notes.from_unsorted(
        np.repeat(np.arange(300) * 0.5, 2),
        np.full(600, 0.4),
        np.stack([rng.integers(20, 40, 300), pitches], axis=1).ravel(),
        np.full(600, 80),
    )
    assert TrainingIntervals.of({"it": melody(pitches)}).longest_run(chords).n_intervals == 299


def test_nothing_shared_is_said_so():
    training = TrainingIntervals.of({"up": melody([60, 61, 62])})
    for piece in (melody([60, 50, 40]), melody([60]), melody([])):
        run = training.longest_run(piece)
        assert (run.n_intervals, run.source) == (0, None)
        assert "shares no interval" in str(run)
    assert TrainingIntervals.of({}).longest_run(melody([60, 62])).n_intervals == 0


def test_the_widest_intervals_are_their_own():
    training = TrainingIntervals.of({"wide": melody([0, 127, 0])})
    assert training.longest_run(melody([127, 0, 127])).n_intervals == 1
    assert training.longest_run(melody([0, 127, 0])).n_intervals == 2
