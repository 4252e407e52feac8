"""Passages of a score and their clips; piano rolls back to notes."""

import numpy as np
import pytest
from music.pieces import broken_chords

from giblet.audio.metrics.identify import join_clips
from giblet.music.note_metrics import note_f1
from giblet.music.notes import Notes
from giblet.music.passages import clips, laid_out, passages, roll_notes
from giblet.music.score_trs import piano_roll
from giblet.music.tokens import VOCABULARY

T_R, TRS = 1.5, np.array([2, 3, 4, 8, 9])
STRETCHES = [np.arange(3), np.arange(3, 5)]


def notes_at(onset):
    n = len(onset)
    return Notes(np.asarray(onset, float), np.full(n, 9.0), 60 + np.arange(n), np.full(n, 80))


def test_passages_hold_the_notes_of_their_trs_and_no_more():
    piece = notes_at([2.9, 3.0, 7.4, 7.5, 11.99, 12.0, 14.99, 15.0])
    first, second = passages(piece, TRS, STRETCHES, T_R)  # film 3-7.5 s, 12-15 s
    assert first.pitch.tolist() == [61, 62]
    assert second.pitch.tolist() == [65, 66]
    np.testing.assert_allclose(first.onset, [0, 4.4])
    np.testing.assert_allclose(first.duration, [4.5, 0.1])  # cut where the stretch ends
    whole = laid_out([first, second], STRETCHES, T_R)
    np.testing.assert_allclose(whole.onset, [0, 4.4, 4.5, 7.49])


def test_clips_are_those_of_join_clips():
    onset = np.arange(5) * T_R + 0.3
    cut = clips(notes_at(onset), STRETCHES, 2, T_R)
    joined = join_clips(60 + np.arange(5)[:, None], STRETCHES, 2)
    assert [one.pitch.tolist() for one in cut] == joined.tolist()
    np.testing.assert_allclose(cut[1].onset, [0.3, 1.8])


def test_a_piano_roll_gives_its_notes_back():
    piece = broken_chords(0)
    n_trs = int(np.ceil(piece.end / T_R)) + 1
    roll = piano_roll(piece, T_R, n_trs).astype(float)
    cells, step = roll.reshape(-1, roll.shape[-1]), T_R / roll.shape[1]
    sounding, onset = np.split(cells, [VOCABULARY.n_pitches], axis=1)
    again = roll_notes(cells, int(onset.sum()), float(sounding.mean()), step)
    assert note_f1(piece, again, tolerance=step / 2 + 1e-3) == 1
    longest = again.duration.max()
    assert longest == pytest.approx(piece.duration.max(), abs=step)


def test_the_likeliest_peaks_become_notes():
    roll = np.full((8, 2 * VOCABULARY.n_pitches), 0.01)
    onset = VOCABULARY.n_pitches
    roll[2:5, onset + 60] = 0.5, 0.9, 0.6  # one note, blurred
    roll[6, onset + 64] = 0.3
    roll[3:6, 60] = 0.8
    notes = roll_notes(roll, 2, 3 / roll[:, :onset].size, 0.125)
    assert notes.pitch.tolist() == [60, 64]
    np.testing.assert_allclose(notes.onset, [3.5 * 0.125, 6.5 * 0.125])
    np.testing.assert_allclose(notes.duration, [2.5 * 0.125, 0.5 * 0.125])
    assert len(roll_notes(roll, 0, 0.1, 0.125)) == 0
