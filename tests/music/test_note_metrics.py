"""Scores of notes against notes. Oracles: a largest bipartite matching, numpy's correlation."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from giblet.music.note_metrics import (
    SCORE_METRICS,
    clip_scores,
    key_agreement,
    key_of,
    matched_notes,
    note_f1,
    pitch_class_r,
)
from giblet.music.notes import Notes

NOTHING = Notes.joined([])


def notes_of(onset, pitch, duration=0.5):
    onset, pitch = np.asarray(onset, float), np.asarray(pitch)
    return Notes.from_unsorted(onset, np.full(len(onset), duration), pitch, np.full(len(onset), 80))


def scale(tonic, steps):
    pitch = tonic + np.array(steps)
    return notes_of(np.arange(len(pitch)) / 2, pitch)


@pytest.mark.parametrize("seed", range(20))
def test_no_matching_has_more_notes(seed):
    rng = np.random.default_rng(seed)
    truth, guess = (notes_of(rng.random(60).round(2) * 2, rng.integers(60, 63, 60)) for _ in "ab")
    near = np.abs(truth.onset[:, None] - guess.onset).round(4) <= 0.05
    pairs = csr_array(near & (truth.pitch[:, None] == guess.pitch))
    expected = (maximum_bipartite_matching(pairs) >= 0).sum()
    assert matched_notes(truth, guess) == matched_notes(guess, truth) == expected
    assert 0 < expected < 60
    assert note_f1(truth, guess) == pytest.approx(expected / 60)


def test_f1_counts_pitch_and_onset_at_50_ms():
    truth = notes_of([0, 1, 2, 3], [60, 62, 64, 65])
    assert note_f1(truth, truth) == 1
    assert note_f1(truth, truth.moved(0.05)) == 1  # with float noise, too
    assert note_f1(truth, truth.moved(0.051)) == 0
    assert note_f1(truth, notes_of([0, 1], [60, 63])) == pytest.approx(2 / 6)
    assert note_f1(truth, NOTHING) == note_f1(NOTHING, truth) == 0
    assert np.isnan(note_f1(NOTHING, NOTHING))


def test_pitch_classes_are_weighted_by_duration_whatever_the_octave():
    truth, octave = notes_of([0, 1], [60, 67], 1.0), notes_of([0, 1], [72, 55], 1.0)
    assert pitch_class_r(truth, octave) == pytest.approx(1)
    longer = Notes(np.array([0.0, 1]), np.array([1.0, 3]), np.array([60, 67]), np.full(2, 80))
    counts = np.zeros((2, 12))
    counts[0, [0, 7]], counts[1, [0, 7]] = (1, 1), (1, 3)
    assert pitch_class_r(truth, longer) == pytest.approx(np.corrcoef(counts)[0, 1])
    assert pitch_class_r(truth, NOTHING) == 0
    assert np.isnan(pitch_class_r(NOTHING, truth))


def test_keys_are_those_of_the_scale():
    major, minor = [0, 2, 4, 5, 7, 9, 11, 0, 4, 7, 0], [0, 2, 3, 5, 7, 8, 10, 0, 3, 7, 0]
    for tonic in range(12):
        assert key_of(scale(60 + tonic, major)) == tonic
        assert key_of(scale(60 + tonic, minor)) == 12 + tonic
    assert key_agreement(scale(60, major), scale(48, major)) == 1
    assert key_agreement(scale(60, major), scale(60, minor)) == 0
    assert key_agreement(scale(60, major), NOTHING) == 0
    assert np.isnan(key_agreement(NOTHING, scale(60, major)))


def test_every_score_of_clips_has_an_entry():
    scores = clip_scores([scale(60, [0, 4, 7]), NOTHING], [scale(60, [0, 4, 7])] * 2)
    assert scores.keys() <= SCORE_METRICS.keys()
    assert [scores[name][0] for name in scores] == pytest.approx([1, 1, 1])
    assert scores["note_f1"][1] == 0
