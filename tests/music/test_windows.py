"""Windows: every token is where it should be, and streamed scores equal those of the whole."""

import numpy as np
import pytest
import torch

from giblet.errors import GibletError
from giblet.music.attention import AttentionSettings
from giblet.music.grammar import Grammar
from giblet.music.notes import Beats, Notes
from giblet.music.positions import token_phases
from giblet.music.tokens import VOCABULARY, token_seconds, tokenize
from giblet.music.transformer import Transformer, TransformerSettings, shift_right
from giblet.music.windows import musical_cuts, scoring_windows, stream_nats, training_windows


def bars(n_bars, rest_after=()):
    """Bars of four notes of 2 s; of those in ``rest_after`` the last note is a rest."""
    onset = np.concatenate(
        [2 * bar + 0.5 * np.arange(3 if bar in rest_after else 4) for bar in range(n_bars)]
    )
    n = len(onset)
    notes = Notes(onset, np.full(n, 0.5), 60 + np.arange(n) % 12, np.full(n, 80))
    beats = Beats(
        np.arange(4 * n_bars + 1) / 2, np.arange(4 * n_bars + 1) % 4, np.full(4 * n_bars + 1, 4)
    )
    tokens = tokenize(notes)
    return tokens, token_phases(tokens, beats, 0.0)


def test_each_token_is_scored_once_with_as_much_context_as_fits():
    for length in (1, 2, 5, 8):
        for stride in range(1, length + 1):
            for n in range(0, 40):
                windows = scoring_windows(n, length, stride)
                scored = [i for w in windows for i in range(w.scored, w.stop)]
                assert scored == list(range(n))
                for w in windows:
                    assert w.stop - w.start == min(length, n)
                    assert w.start <= w.scored < w.stop
                    assert w.start == 0 or w.scored - w.start >= length - stride


def test_windows_that_do_not_fit_are_refused():
    with pytest.raises(GibletError, match="stride"):
        scoring_windows(5, 3, 4)
    with pytest.raises(GibletError, match="at least 2"):
        training_windows(np.zeros(5, int), 1, "head")
    with pytest.raises(GibletError, match="pass rng"):
        training_windows(np.zeros(5, int), 2, "random")


@pytest.mark.parametrize("strategy", ["head", "sliding", "adaptive", "random"])
def test_a_short_piece_is_one_window(strategy, rng):
    for n in (1, 7):
        assert training_windows(np.zeros(n, int), 7, strategy, rng=rng) == [slice(0, n)]
    assert training_windows(np.zeros(0, int), 7, strategy, rng=rng) == []


def test_head_and_sliding():
    piece = np.zeros(23, int)
    assert training_windows(piece, 8, "head") == [slice(0, 8)]
    assert training_windows(piece, 8, "sliding") == [
        slice(start, start + 8) for start in (0, 4, 8, 12, 15)
    ]
    for n in range(9, 60):
        covered = {
            i
            for w in training_windows(np.zeros(n, int), 8, "sliding")
            for i in range(w.start, w.stop)
        }
        assert covered == set(range(n))


def test_random_windows_begin_anywhere_equally_often(rng):
    starts = [
        training_windows(np.zeros(12, int), 8, "random", rng=rng)[0].start for _ in range(2000)
    ]
    counts = np.bincount(starts, minlength=5)
    assert len(counts) == 5
    assert counts.min() > 330  # of 400; 4 standard deviations are 72


def test_adaptive_windows_end_at_bar_lines():
    tokens, phases = bars(20)
    windows = training_windows(tokens, 50, "adaptive", phases)
    assert [w.start for w in windows[1:]] == [w.stop for w in windows[:-1]]
    assert (windows[0].start, windows[-1].stop) == (0, len(tokens))
    for w in windows:
        assert w.stop - w.start <= 50
        assert phases[w.start, 1] == 0
    for w in windows[:-1]:  # a bar has 12 tokens or one more: a bar more would not fit
        assert w.stop - w.start > 50 - 13


def test_adaptive_windows_end_at_rests_without_bars():
    tokens, _ = bars(20, rest_after=(3, 8, 9, 15))
    cuts = musical_cuts(tokens)
    seconds = token_seconds(tokens)
    assert seconds[cuts].tolist() == [8, 18, 20, 32]
    windows = training_windows(tokens, 60, "adaptive")
    assert windows[0] == slice(0, cuts[0])
    assert windows[1] == slice(cuts[0], cuts[1])
    assert windows[2] == slice(cuts[1], cuts[1] + 60)  # nothing in the second half: a plain cut


def test_a_moment_rounded_to_before_the_bar_line_is_on_it():
    tokens, phases = bars(4)
    early = (phases - np.float32(0.003)) % 1
    np.testing.assert_array_equal(musical_cuts(tokens, early), musical_cuts(tokens, phases))
    cuts = musical_cuts(tokens, phases)
    assert token_seconds(tokens)[cuts].tolist() == [2, 4, 6]
    assert VOCABULARY.is_note_on(tokens[cuts]).all()  # NOTE_OFFs belong to the bar before
    assert VOCABULARY.is_note_off(tokens[cuts - 1]).all()


@pytest.mark.parametrize("kind", ["full", "window", "multi_scale", "hierarchical"])
def test_streamed_scores_equal_those_of_the_whole(kind, rng):
    attention = AttentionSettings(kind=kind, window=64, block=16, n_summaries=8)
    torch.manual_seed(0)
    model = Transformer(
        TransformerSettings(width=32, n_heads=4, n_layers=2, attention=attention, dropout=0.5)
    )
    long = random_tokens(rng, 500)
    for n in (0, 1, 2, 63, 64, 65, 511, 512, 513, 1300):
        tokens = long[:n]
        seconds = token_seconds(tokens)
        phases = np.stack((seconds % 1, seconds / 3 % 1), axis=-1).astype(np.float32)
        streamed = stream_nats(model, tokens, seconds, phases)
        assert streamed.shape == (n,)
        assert streamed.dtype == np.float32
        assert model.training
        if n:
            model.eval()
            whole = whole_nats(model, tokens, seconds, phases)
            model.train()
            np.testing.assert_allclose(streamed, whole, rtol=0, atol=1e-4)


def test_streamed_scores_hear_the_latent():
    torch.manual_seed(0)
    model = Transformer(TransformerSettings(width=32, n_heads=2, n_layers=1, dropout=0))
    tokens = np.concatenate([[771], np.arange(60, 89)])
    seconds, phases = np.zeros(30), np.zeros((30, 2), np.float32)
    latent = torch.randn(30, 32)
    plain, heard = (stream_nats(model, tokens, seconds, phases, 7, z) for z in (None, latent))
    whole = whole_nats(model, tokens, seconds, phases, latent[None])
    np.testing.assert_allclose(heard, whole, rtol=0, atol=1e-5)
    assert not np.allclose(plain, heard)


def test_what_cannot_follow_is_infinitely_surprising():
    model = Transformer(TransformerSettings(width=32, n_heads=2, n_layers=1))
    tokens = np.array([771, 60, 300, 187, 188])  # ends 59, which does not sound
    nats = stream_nats(model, tokens, np.zeros(5), np.zeros((5, 2)))
    assert np.isinf(nats).tolist() == [False, False, False, True, False]


def random_tokens(rng, n_notes):
    onset, pitch = np.sort(rng.uniform(0, n_notes / 8, n_notes)), rng.integers(0, 128, n_notes)
    loudness = rng.integers(1, 128, n_notes)
    return tokenize(Notes(onset, rng.exponential(1.0, n_notes), pitch, loudness))


def whole_nats(model, tokens, seconds, phases, latent=None):
    targets = torch.from_numpy(tokens.astype(np.int64))[None]
    inputs = shift_right(targets)
    with torch.no_grad():
        moments = torch.from_numpy(seconds).float()[None]
        hidden = model(inputs, moments, torch.from_numpy(phases)[None], latent)
        return model.chunked_nats(hidden, targets, Grammar().possible(inputs))[0].numpy()
