"""Drawing tokens: their distribution, their end, what they go on from, and gaps between."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from music.pieces import broken_chords

from giblet.errors import GibletError
from giblet.music.generation import Hearing, draw, draw_tokens, infilled
from giblet.music.model import MusicTransformerVAEGAN
from giblet.music.notes import Notes
from giblet.music.tokens import VOCABULARY, detokenize, tokenize

V = VOCABULARY


@pytest.fixture
def model():
    torch.manual_seed(0)
    tiny = {"width": 32, "n_heads": 2, "n_layers": 1, "attention": {"window": 32}}
    return MusicTransformerVAEGAN({"transformer": tiny})


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_draws_follow_the_temperature(generator):
    logits = torch.tensor([2.0, 1.0, 0.0]).expand(20_000, 3)
    tokens = draw(logits, 0.5, 1.0, generator)
    shares = torch.bincount(tokens, minlength=3) / len(tokens)
    expected = (logits[0] / 0.5).softmax(0)
    torch.testing.assert_close(shares, expected, atol=0.01, rtol=0)


def test_draws_stay_in_the_nucleus(generator):
    logits = torch.tensor([0.15, 0.5, 0.05, 0.3]).log().expand(20_000, 4)
    tokens = draw(logits, 1.0, 0.7, generator)
    shares = torch.bincount(tokens, minlength=4) / len(tokens)
    torch.testing.assert_close(shares, torch.tensor([0, 0.625, 0, 0.375]), atol=0.01, rtol=0)
    assert (draw(logits, 1.0, 0.01, generator) == 1).all()


def test_equally_likely_tokens_stay_or_go_together(generator):
    logits = torch.tensor([0.4, 0.2, 0.2, 0.2]).log().expand(20_000, 4)
    tokens = draw(logits, 1.0, 0.5, generator)
    shares = torch.bincount(tokens, minlength=4) / len(tokens)
    torch.testing.assert_close(shares, logits[0].exp(), atol=0.015, rtol=0)


def test_forbidden_tokens_are_never_drawn(generator):
    logits = torch.zeros(1000, 5)
    logits[:, [0, 4]] = -torch.inf
    assert draw(logits, 1.0, 1.0, generator).unique().tolist() == [1, 2, 3]


def test_draws_use_the_cache_as_the_whole_piece_would(model):
    """The surprise of what was drawn, token by token, is that of the whole."""
    notes = broken_chords(0, n_bars=2)
    notes = replace(notes, onset=notes.onset + 0.2)  # begins within a beat
    before, asked = tokenize(notes), []
    logits_of = model.transformer.logits

    def kept(hidden, possible):
        asked.append(logits_of(hidden, possible))
        return asked[-1]

    model.transformer.logits = kept
    hearing = Hearing(model, notes.beats, float(notes.onset[0]))
    drawing = torch.Generator().manual_seed(1)
    drawn = draw_tokens(hearing, before, 2, 60.0, 1.0, 1.0, drawing, may_end=False)
    for row, tokens in enumerate(drawn):
        steps = [asked[i][row].log_softmax(0)[t] for i, t in enumerate(tokens[:-1].tolist())]
        whole = model.nats(np.concatenate([before, tokens]), notes.beats, float(notes.onset[0]))
        np.testing.assert_allclose(-torch.stack(steps), whole[len(before) : -1], atol=1e-4)


def test_drawn_tokens_last_as_long_as_they_should(model, generator):
    drawn = draw_tokens(
        Hearing(model), np.zeros(0, int), 5, 3.0, 1.0, 1.0, generator, may_end=False
    )
    for tokens in drawn:
        assert V.steps(tokens).sum() == 192
        assert (tokens < V.size).all()
        assert V.steps(tokens[:-1]).sum() < 192


def test_a_model_may_end_a_piece(model, generator):
    logits_of = model.transformer.logits

    def ends(hidden, possible):
        logits = logits_of(hidden)
        logits[..., V.eos] = 50.0
        return logits.masked_fill(~possible, -1e4)

    model.transformer.logits = ends
    note = np.array([771, 60, 300, 188])
    ended = draw_tokens(Hearing(model), note, 3, 3.0, 1.0, 1.0, generator)
    assert [tokens.tolist() for tokens in ended] == [[]] * 3
    on = draw_tokens(Hearing(model), note, 3, 3.0, 1.0, 1.0, generator, may_end=False)
    assert all(map(len, on))
    sounds = draw_tokens(Hearing(model), note[:2], 3, 3.0, 1.0, 1.0, generator)
    assert all(len(tokens) for tokens in sounds)  # a note ends before the piece does


def test_pieces_go_on_from_their_primer(model):
    primer = broken_chords(0, n_bars=1)
    primer = Notes(primer.onset + 1.5, primer.duration, primer.pitch, primer.velocity)
    made = model.generate(2.0, 3, primer, seed=1)
    assert len(made) == 3
    known = len(primer)
    for piece in made:
        np.testing.assert_allclose(piece.onset[:known], primer.onset, atol=1 / 128)
        np.testing.assert_array_equal(piece.pitch[:known], primer.pitch)
        assert piece.end <= primer.end + 2.0 + 1 / 64


def test_the_seed_decides(model):
    def pitches(seed):
        return [piece.pitch.tolist() for piece in model.generate(30.0, 2, seed=seed)]

    assert pitches(1) == pitches(1) != pitches(2)


@pytest.mark.parametrize(
    "wrong", [{"seconds": 0}, {"seconds": 1, "temperature": 0}, {"seconds": 1, "top_p": 1.5}]
)
def test_wrong_numbers_are_one_line(model, wrong):
    with pytest.raises(GibletError, match="must be above 0"):
        model.generate(**wrong)


def test_infilling_changes_the_gap_alone(model):
    notes = broken_chords(0, n_bars=6)
    made = infilled(model, notes, 5.0, 8.0, n_candidates=3, seed=1)
    for outside in (lambda n: n.onset < 5.0, lambda n: n.onset >= 8.0):
        old, new = outside(notes), outside(made)
        np.testing.assert_array_equal(made.onset[new], notes.onset[old])
        np.testing.assert_array_equal(made.pitch[new], notes.pitch[old])
    inside = (made.onset >= 5.0) & (made.onset < 8.0)
    assert (made.onset + made.duration)[inside].max(initial=0) <= 8.0
    assert (
        made.pitch[inside].tolist() != notes.pitch[(notes.onset >= 5) & (notes.onset < 8)].tolist()
    )
    assert made.beats is notes.beats
    ends = [(n.onset + n.duration)[n.onset < 5.0].max() for n in (notes, made)]
    assert ends == [6.0, 5.0]  # the bass is cut where the gap begins


def test_infilling_prefers_what_makes_the_rest_likely(model, monkeypatch):
    """A model to which the rest is likely after one candidate alone takes that one."""
    notes = broken_chords(0, n_bars=6)

    def nats(tokens, beats, first_onset, z):
        asked.append(tokens)
        return np.full(len(tokens), 0.1 if len(asked) == 3 else 9.0, np.float32)

    asked = []
    monkeypatch.setattr(model, "nats", nats)
    made = infilled(model, notes, 4.0, 8.0, n_candidates=4, seed=1)
    assert len(asked) == 4
    gap = detokenize(asked[2])
    chosen = gap.pitch[(gap.onset >= 4 - 1 / 128) & (gap.onset < 8 - 1 / 128)]
    np.testing.assert_array_equal(made.pitch[(made.onset >= 4) & (made.onset < 8)], chosen)
    late = tokenize(notes)
    assert asked[2][-20:].tolist() != late[:20].tolist()


def test_a_gap_may_begin_with_a_rest(model):
    """After a note that ends before the gap: the draw is not bound to its beginning."""
    notes = broken_chords(0, n_bars=6)
    short = replace(notes, duration=np.minimum(notes.duration, 0.1))
    begins = set()
    for seed in range(6):
        made = infilled(model, short, 4.05, 8.0, n_candidates=1, seed=seed)
        new = made.onset[(made.onset >= 4.04) & (made.onset < 8.0)]
        assert new.min(initial=9.0) >= 4.04
        begins.add(float(new.min(initial=8.0)))
    assert len(begins) > 2


@pytest.mark.parametrize(("begin", "end"), [(4.0, 4.0), (5.0, 4.0), (0.0, 4.0), (4.0, 4.001)])
def test_a_gap_that_cannot_be_filled_is_one_line(model, begin, end):
    with pytest.raises(GibletError, match="infilling from"):
        infilled(model, broken_chords(0, n_bars=4), begin, end)
