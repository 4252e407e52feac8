"""N-gram surprisal: sums to 1, causal, and what music theory expects."""

import time
from dataclasses import replace

import numpy as np
import pytest
from music.pieces import broken_chords

from giblet.errors import GibletError
from giblet.music.midi import read_midi
from giblet.music.ngrams import N_TIMES, NgramModel, time_classes
from giblet.music.notes import Notes
from giblet.music.ppm import combined, short_term


def melody(pitch, interval=0.25):
    onset = np.arange(len(pitch)) * interval
    each = np.full(len(pitch), interval)
    return Notes(onset, each, np.asarray(pitch), np.full(len(pitch), 80))


def random_melody(rng, n):
    return melody(40 + np.abs(np.cumsum(rng.integers(-4, 5, n)) % 60 - 30))


@pytest.mark.parametrize("memory", ["short", "long", "both"])
def test_probabilities_sum_to_1_at_each_note(memory):
    model = NgramModel([broken_chords(i) for i in range(3)], memory=memory)
    notes = broken_chords(7)
    for distributions, size in zip(model.distributions(notes), (128, N_TIMES), strict=True):
        assert distributions.shape == (len(notes), size)
        assert (distributions > 0).all()
        np.testing.assert_allclose(distributions.sum(1), 1, rtol=1e-12)


def test_surprisal_and_entropy_are_those_of_the_distributions():
    notes = broken_chords(2)
    model = NgramModel(order=3)
    pitch, when = model.distributions(notes)
    found = model.surprisal(notes)
    for i in range(len(notes)):
        assert found.pitch[i] == pytest.approx(-np.log(pitch[i, notes.pitch[i]]))
        assert found.time_entropy[i] == pytest.approx(-(when[i] * np.log(when[i])).sum())
    np.testing.assert_array_equal(found.both, found.pitch + found.time)
    np.testing.assert_array_equal(found.entropy, found.pitch_entropy + found.time_entropy)


def test_time_is_the_model_of_time_classes():
    notes = broken_chords(2)
    classes = time_classes(notes.onset)
    p = short_term(classes, N_TIMES, 4)[np.arange(len(notes)), classes]
    np.testing.assert_allclose(NgramModel(order=4).surprisal(notes).time, -np.log(p))


def test_intervals_to_pitches_that_do_not_exist_are_left_out():
    """Near the top, against the two views written out."""
    notes = melody([120, 127, 120, 127, 125, 127])
    order, n = 2, len(notes)
    by_interval = np.full((n, 128), 1 / 128)
    intervals = short_term(np.diff(notes.pitch) + 127, 255, order)
    for i in range(1, n):
        allowed = [intervals[i - 1, q - notes.pitch[i - 1] + 127] for q in range(128)]
        by_interval[i] = np.array(allowed) / sum(allowed)
    views = [short_term(notes.pitch, 128, order), by_interval]
    found, _ = NgramModel(order=order, view_bias=3.0).distributions(notes)
    np.testing.assert_allclose(found, combined(views, 3.0))


def test_a_transposed_piece_is_known_by_its_intervals(rng):
    tune = random_melody(rng, 200)
    higher = replace(tune, pitch=tune.pitch + 7)
    model, other = NgramModel([tune], memory="long"), NgramModel([random_melody(rng, 200)])
    other.memory = "long"
    assert model.surprisal(higher).pitch[5:].mean() < other.surprisal(higher).pitch[5:].mean() - 1


def test_repetition_is_learned_and_a_wrong_note_surprises():
    pitch = np.tile([60, 64, 67, 64], 12)
    pitch[41] += 1
    found = NgramModel().surprisal(melody(pitch)).pitch
    assert found[20:41].max() < 0.2 < 3 < found[41]
    late = melody(np.full(40, 60))
    onset = late.onset.copy()
    onset[30:] += 0.35
    assert NgramModel().surprisal(replace(late, onset=onset)).time.argmax() == 30


def test_both_memories_are_better_than_either_where_each_knows_something(rng):
    style = [random_melody(rng, 300) for _ in range(6)]
    theme = random_melody(rng, 60).pitch
    piece = melody(np.concatenate([theme, random_melody(rng, 60).pitch, theme]))
    nats = {m: NgramModel(style, memory=m).surprisal(piece).pitch.sum() for m in ("short", "long")}
    both = NgramModel(style).surprisal(piece).pitch.sum()
    assert both < min(nats.values())


def test_a_note_after_t_changes_nothing_before(rng):
    notes = broken_chords(3)
    model = NgramModel([broken_chords(i) for i in range(2)])
    at = 40
    pitch, onset = notes.pitch.copy(), notes.onset.copy()
    pitch[at:] = rng.permutation(pitch[at:])
    onset[at:] += 0.11
    changed = Notes.from_unsorted(onset, notes.duration, pitch, notes.velocity)
    np.testing.assert_array_equal(changed.pitch[:at], notes.pitch[:at])
    found, other = model.surprisal(notes), model.surprisal(changed)
    for part in ("pitch", "time", "pitch_entropy", "time_entropy"):
        np.testing.assert_array_equal(getattr(found, part)[:at], getattr(other, part)[:at])
    assert found.pitch_entropy[at] == other.pitch_entropy[at]  # expected before it is heard
    assert (found.pitch[at:] != other.pitch[at:]).any()


def test_no_notes_and_no_corpus():
    empty = melody(np.zeros(0, int))
    assert len(NgramModel().surprisal(empty).both) == 0
    assert NgramModel([empty]).memory == "short"
    with pytest.raises(GibletError, match="corpus"):
        NgramModel(memory="long")


def test_time_classes_do_not_see_rounding():
    triplets = np.round(np.arange(40) / 3, 3)
    assert len(np.unique(time_classes(triplets)[1:])) == 1
    assert time_classes(np.array([0.0, 0.004, 0.02])).tolist() == [0, 0, 1]
    assert time_classes(np.array([0.0, 100.0]))[1] == N_TIMES - 1
    halves = time_classes(np.cumsum([0, 0.25, 0.5, 1, 2]))[1:]
    assert np.diff(halves).tolist() == [4, 4, 4]


@pytest.mark.slow
def test_twenty_thousand_notes_take_seconds(rng):
    notes = random_melody(rng, 20_000)
    begin = time.process_time()
    found = NgramModel().surprisal(notes)
    assert time.process_time() - begin < 10
    assert np.isfinite(found.both).all()


def test_real_pieces_teach_their_own_expectations(shared):
    """On a real song the short-term model is far below what its pitches' frequencies allow."""
    file = sorted((shared / "music/data/validation/lieder").glob("*.mid"))[0]
    notes = read_midi(file)
    orders = [NgramModel(order=k).surprisal(notes).both.mean() for k in (0, 3)]
    assert orders[1] < orders[0] - 0.3
