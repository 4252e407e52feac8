"""Scores of a model beside count models and human pieces."""

import numpy as np
import pytest
import torch
from music.pieces import broken_chords

from giblet.music.count_models import TokenCounts
from giblet.music.grammar import possible_tokens
from giblet.music.memorisation import TrainingIntervals
from giblet.music.model import MusicTransformerVAEGAN
from giblet.music.scoring import (
    excerpt,
    latent_scores,
    memorisation_scores,
    overlap_scores,
    surprise_scores,
)
from giblet.music.tokens import VOCABULARY, tokenize


def values(table):
    return {(row.model, row.metric): row.value for row in table.itertuples()}


def test_surprise_is_the_sum_over_tokens_notes_and_seconds():
    torch.manual_seed(0)
    tiny = {"width": 16, "n_heads": 2, "n_layers": 1}
    model = MusicTransformerVAEGAN({"transformer": tiny})
    pieces = {str(i): broken_chords(i, n_bars=i + 1) for i in range(3)}
    training = {str(i): broken_chords(10 + i) for i in range(3)}
    found = values(surprise_scores(model, pieces, training))
    tokens = [tokenize(notes) for notes in pieces.values()]
    n_tokens, n_notes = sum(map(len, tokens)), sum(map(len, pieces.values()))
    total = sum(model.nats(t, n.beats).sum() for t, n in zip(tokens, pieces.values(), strict=True))
    assert found["giblet", "nats_per_token"] == pytest.approx(total / n_tokens, rel=1e-5)
    assert found["giblet", "nats_per_note"] == pytest.approx(total / n_notes, rel=1e-5)
    assert found["giblet", "nats_per_second"] == pytest.approx(total / 12.0, rel=1e-5)
    counts = TokenCounts([tokenize(n) for n in training.values()], 2, VOCABULARY.size)
    expected = np.concatenate([counts.nats(t, possible_tokens(t)) for t in tokens]).mean()
    assert found["counts, order 2", "nats_per_token"] == pytest.approx(expected)
    without = sum(model.nats(t).sum() for t in tokens) / n_tokens
    assert found["giblet, without beats", "nats_per_token"] == pytest.approx(without, rel=1e-5)
    assert not any("counts" in name for name, _ in values(surprise_scores(model, pieces, {})))


def test_human_pieces_overlap_more_than_others():
    human = [broken_chords(i, n_bars=4 + i % 3, beat=0.4 + 0.02 * (i % 5)) for i in range(16)]
    fast = [broken_chords(i, n_bars=4, beat=0.1) for i in range(8)]
    found = values(overlap_scores(fast, human))
    metric = "overlap of notes_per_second"
    assert found["human", metric] > 0.5 > 0.1 > found["giblet", metric]


def test_human_pieces_are_as_long_as_generated_ones_and_no_piece_is_compared_with_itself(
    monkeypatch,
):
    compared = []
    monkeypatch.setattr(
        "giblet.music.scoring.overlaps", lambda *pieces: compared.append(pieces) or {}
    )
    generated = [broken_chords(i, n_bars=2) for i in range(2)]
    human = [broken_chords(i, n_bars=4) for i in range(6)]
    overlap_scores(generated, human)
    (made, others), (own, same_others) = compared
    assert made is generated
    ends = [notes.end for pieces in (others, own, same_others) for notes in pieces]
    assert ends == pytest.approx([4.0] * 9)
    for pieces, whole in ((others, human[::2]), (own, human[1::2]), (same_others, human[::2])):
        for cut, notes in zip(pieces, whole, strict=True):
            np.testing.assert_array_equal(cut.pitch, notes.pitch[: len(cut)])


def test_an_excerpt_is_cut():
    notes = broken_chords(0)
    cut = excerpt(notes, 3.0)
    assert cut.end == pytest.approx(3.0)
    assert (cut.onset < 3.0).all()
    assert len(cut) == (notes.onset < 3.0).sum()


def test_latents_are_worth_what_their_own_z_saves():
    torch.manual_seed(0)
    tiny = {"width": 16, "n_heads": 2, "n_layers": 1}
    small = {"n_token_blocks": 1, "n_segment_blocks": 1}
    model = MusicTransformerVAEGAN({"transformer": tiny, "latents": small})
    pieces = {str(i): broken_chords(i, n_bars=2 + i) for i in range(3)}
    found = values(latent_scores(model, pieces))
    found = {metric: value for (_model, metric), value in found.items()}
    tokens = {name: tokenize(notes) for name, notes in pieces.items()}
    z = {name: model.encode(notes) for name, notes in pieces.items()}
    n_tokens = sum(map(len, tokens.values()))

    def total(of):
        sums = [model.nats(t, pieces[k].beats, z=of(k)).sum() for k, t in tokens.items()]
        return sum(sums) / n_tokens

    own = total(z.get)
    assert found["nats_per_token"] == pytest.approx(own, rel=1e-5)
    before = {"0": "2", "1": "0", "2": "1"}

    def with_other_global(name):
        return {**z[name], "global": z[before[name]]["global"]}

    bought = total(with_other_global) - own
    assert found["nats_bought, other, global"] == pytest.approx(bought, abs=1e-5)
    assert {f"kl_per_token, {level}" for level in z["0"]} < {*found}
    assert 0 <= found["active_units, fine"] <= 16
    elbo, weighted = (found[f"bound_per_token, {name}"] for name in ("elbo", "importance-weighted"))
    assert weighted < elbo
    kl = sum(found[f"kl_per_token, {level}"] for level in z["0"])
    assert elbo == pytest.approx(own + kl, rel=0.05)  # of drawn z, beside the posteriors' means


def test_memorisation_is_counted_beside_that_of_human_pieces(caplog):
    model = MusicTransformerVAEGAN({"transformer": {"width": 16, "n_heads": 2, "n_layers": 1}})
    learned = {str(i): broken_chords(i) for i in range(3)}
    others = {"a": broken_chords(11), "b": broken_chords(12)}
    assert memorisation_scores(model, learned, others).empty  # nobody knows
    model.training_intervals = TrainingIntervals.of(learned)
    found = values(memorisation_scores(model, {"copy": learned["1"]}, others))
    assert found["giblet", "shared_run, longest"] == len(np.unique(learned["1"].onset)) - 1
    runs = [model.training_intervals.longest_run(notes).n_intervals for notes in others.values()]
    assert found["human", "shared_run, mean"] == np.mean(runs)
    assert found["human", "shared_run, longest"] == max(runs) < found["giblet", "shared_run, mean"]
    assert overlap_scores([], list(others.values())).empty
    assert "no overlaps: 0 generated and 2 human pieces" in caplog.text
