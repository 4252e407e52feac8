"""Surprisal by a model of tokens, split by note, against its own nats."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from music.pieces import broken_chords
from torch.nn import functional

from giblet.errors import GibletError
from giblet.music.inputs import encoded
from giblet.music.model import MusicTransformerVAEGAN
from giblet.music.notes import Notes
from giblet.music.surprisal import context_surprisal, note_surprisal, note_tokens
from giblet.music.tokens import VOCABULARY, tokenize

TINY = {"width": 16, "n_heads": 2, "n_layers": 2}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    made = MusicTransformerVAEGAN({"transformer": TINY})
    with torch.no_grad():  # a new one is nearly uniform: make it say something
        for weights in made.parameters():
            weights.mul_(3)
    return made


def dense(model, notes):
    """Log probabilities (n_tokens, n_ids) of each token of a piece, in one pass."""
    batch = {name: values[None] for name, values in encoded(notes).items()}
    with torch.no_grad():
        logits = model.transformer.logits(model(batch))[0]
        logits[~batch["possible"][0]] = -1e9
        return functional.log_softmax(logits, -1)[:-1].numpy()


def with_unisons():
    notes = broken_chords(1, n_bars=3)
    again = np.array([5, 9])
    columns = (notes.onset, notes.duration, notes.pitch, notes.velocity)
    both = [np.concatenate([column, column[again]]) for column in columns]
    both[3] = 40 + np.arange(len(both[3])) * 3 % 70  # and changes of loudness
    return Notes.from_unsorted(*both, beats=notes.beats)


def test_a_note_has_its_own_note_on_and_the_time_shifts_before_it(model):
    notes = with_unisons()
    tokens, logs = tokenize(notes), dense(model, notes)
    found, v = note_surprisal(model, notes), VOCABULARY
    pitch, time, expected_pitch, expected_time, waited, uncertain = [], [], [], [], 0.0, 0.0
    for token, log in zip(tokens, logs, strict=True):
        entropy = -(np.exp(log) * log).sum()
        if v.is_time_shift(token):
            waited, uncertain = waited - log[token], uncertain + entropy
        if v.is_note_on(token):
            pitch.append(-log[token])
            time.append(waited)
            expected_pitch.append(entropy)
            expected_time.append(uncertain)
            waited = uncertain = 0.0
    own = ~np.isnan(found.pitch)
    assert own.sum() == len(notes) - 2 == len(pitch)
    np.testing.assert_allclose(found.pitch[own], pitch, rtol=2e-4)
    np.testing.assert_allclose(found.time[own], time, rtol=2e-4, atol=1e-6)
    np.testing.assert_allclose(found.pitch_entropy[own], expected_pitch, rtol=2e-4)
    np.testing.assert_allclose(found.time_entropy[own], expected_time, rtol=2e-4, atol=1e-6)


def test_parts_are_the_models_nats(model):
    notes = broken_chords(0)
    tokens, v = tokenize(notes), VOCABULARY
    nats = model.nats(tokens, notes.beats, float(notes.onset[0]))
    found = note_surprisal(model, notes)
    kinds = v.is_note_on(tokens) | v.is_time_shift(tokens)
    last = np.flatnonzero(v.is_note_on(tokens))[-1]
    assert np.nansum(found.both) == pytest.approx(nats[: last + 1][kinds[: last + 1]].sum(), 1e-4)


def test_notes_find_their_tokens():
    notes = with_unisons()
    tokens, places = tokenize(notes), note_tokens(notes)
    own = places >= 0
    np.testing.assert_array_equal(VOCABULARY.pitch(tokens[places[own]]), notes.pitch[own])
    assert len(np.unique(places[own])) == VOCABULARY.is_note_on(tokens).sum() == own.sum()
    # within one step the lower comes first, whichever began first
    close = Notes(np.array([0.0, 0.002]), np.ones(2), np.array([64, 60]), np.full(2, 80))
    assert note_tokens(close).tolist() == [2, 1]


def test_a_note_after_t_changes_nothing_before(model):
    notes = broken_chords(3, n_bars=4)
    at = 20
    pitch = notes.pitch.copy()
    pitch[at:] += 1
    onset = np.where(np.arange(len(notes)) < at, notes.onset, notes.onset + 0.2)
    changed = replace(notes, pitch=pitch, onset=onset)
    before = notes.onset < notes.onset[at] - VOCABULARY.step_seconds
    found, other = note_surprisal(model, notes), note_surprisal(model, changed)
    for part in ("pitch", "time", "pitch_entropy", "time_entropy"):
        a, b = getattr(found, part), getattr(other, part)
        np.testing.assert_allclose(a[before], b[before], rtol=1e-5)
        assert not np.allclose(a[at:], b[at:])
    a, b = (context_surprisal(model, n, (2, 8)) for n in (notes, changed))
    np.testing.assert_allclose(a[before], b[before], rtol=1e-4)


def test_a_context_is_a_piece_that_begins_with_it(model):
    notes = broken_chords(2, n_bars=3)
    found = context_surprisal(model, notes, (1, 4), slack=0)
    for column, context in enumerate((1, 4)):
        for i in (context, 11, len(notes) - 1):
            columns = (notes.onset, notes.duration, notes.pitch, notes.velocity)
            alone = Notes(*(c[i - context : i + 1] for c in columns), beats=notes.beats)
            expected = note_surprisal(model, alone).both[-1]
            assert found[i, column] == pytest.approx(expected, rel=1e-3)
        assert np.isnan(found[:context, column]).all()
        assert np.isfinite(found[context:, column]).all()


def test_a_context_of_all_notes_is_the_whole_past(model):
    notes = with_unisons()
    own = np.flatnonzero(~np.isnan(note_surprisal(model, notes).pitch))
    n = len(own) - 1
    found = context_surprisal(model, notes, (n,))
    assert found[own[-1], 0] == pytest.approx(note_surprisal(model, notes).both[own[-1]], rel=1e-3)
    assert np.isfinite(found).sum() == 1


def test_slack_gives_notes_at_least_their_context(model):
    notes = broken_chords(2, n_bars=4)
    exact = context_surprisal(model, notes, (16,), slack=0)[:, 0]
    fast = context_surprisal(model, notes, (16,), slack=0.25)[:, 0]
    first = slice(16, None, 5)  # of those that are scored together: exactly so many
    np.testing.assert_allclose(fast[first], exact[first], rtol=1e-4)
    np.testing.assert_array_equal(np.isnan(fast), np.isnan(exact))


def test_models_that_know_the_future_are_refused():
    latents = {"n_token_blocks": 1, "n_segment_blocks": 1}
    model = MusicTransformerVAEGAN({"transformer": TINY, "latents": latents})
    for surprisal in (note_surprisal, context_surprisal):
        with pytest.raises(GibletError, match="mode transformer"):
            surprisal(model, broken_chords(0))


def test_no_notes_and_no_context(model):
    empty = Notes(np.zeros(0), np.zeros(0), np.zeros(0, int), np.zeros(0, int))
    assert len(note_surprisal(model, empty).both) == 0
    assert context_surprisal(model, empty, (1, 2)).shape == (0, 2)
    with pytest.raises(GibletError, match="1 note or more"):
        context_surprisal(model, broken_chords(0), (0,))
