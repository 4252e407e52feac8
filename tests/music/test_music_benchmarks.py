"""The music benchmarks' own parts: the same notes in each vocabulary, scoring, tables."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from music.pieces import broken_chords

from giblet.music.inputs import encoded
from giblet.music.model import MusicTransformerVAEGAN
from giblet.music.notes import Notes
from giblet.music.tokens import tokenize


@pytest.fixture(scope="module", autouse=True)
def benchmarks():
    folder = str(Path(__file__).parents[2] / "benchmarks")
    sys.path.insert(0, folder)
    yield
    sys.path.remove(folder)


def odd_notes():
    """Unisons, overlaps of one pitch, and moments between steps."""
    rng = np.random.default_rng(1)
    onset = rng.uniform(0, 10, 200)
    onset[:50] = onset[50:100]
    pitch = rng.integers(60, 66, 200)
    return Notes.from_unsorted(
        onset, rng.uniform(0.01, 2, 200), pitch, rng.integers(1, 127, 200), broken_chords(0).beats
    )


def test_exact_notes_have_the_same_tokens_and_the_moments_of_the_piece():
    from music_peers import exact_notes

    notes = odd_notes()
    exact = exact_notes(notes)
    assert np.array_equal(tokenize(exact), tokenize(notes))
    gaps = np.abs(exact.onset[:, None] - notes.onset).min(axis=1)
    assert gaps.max() < 1e-7
    assert set(exact.velocity) <= set(notes.velocity)


def test_midilike_has_all_notes_and_the_loudness_bins_of_giblet():
    pytest.importorskip("miditok")
    from music_peers import MidiLike, exact_notes

    notes, tokenizer = exact_notes(odd_notes()), MidiLike()
    tokens = tokenizer(notes)
    assert tokenizer.n_notes(tokens) == len(notes)
    names = {number: name for name, number in tokenizer.tokenizer.vocab.items()}
    loudness = [int(names[t].split("_")[1]) for t in tokens if names[t].startswith("Velocity")]
    found = np.bincount(np.searchsorted(tokenizer.tokenizer.velocities, loudness))
    bins = np.searchsorted((41, 57, 72, 88, 104), notes.velocity, side="right")
    assert found.tolist() == np.bincount(bins, minlength=6).tolist()


def test_windows_score_every_token_once():
    from music_peers import windowed_nats

    probabilities = torch.full((50, 7), 1 / 7)
    nats = windowed_nats(lambda part: probabilities[part].log(), torch.arange(50) % 7, length=8)
    assert nats == pytest.approx(50 * np.log(7), rel=1e-5)


def test_windows_longer_than_a_piece_score_as_streaming_does():
    from music_peers import our_windowed_nats

    model = MusicTransformerVAEGAN({"transformer": {"width": 32, "n_layers": 1}})
    notes = broken_chords(0)
    streamed = model.nats(tokenize(notes), notes.beats, float(notes.onset[0])).sum()
    assert our_windowed_nats(model, notes, 1024, True) == pytest.approx(streamed, rel=1e-4)


def test_gpt2_in_one_window_scores_as_it_does_at_once():
    pytest.importorskip("transformers")
    from music_peers import gpt2, gpt2_nats

    torch.manual_seed(0)
    model, tokens = gpt2(20, 64).eval(), np.arange(40) % 20
    inputs = torch.from_numpy(np.concatenate([[3], tokens]))[None]
    with torch.inference_mode():
        found = model(inputs[:, :-1]).logits[0].log_softmax(-1)
    wanted = -found[torch.arange(40), inputs[0, 1:]].sum().item()
    tokenizer = SimpleNamespace(bos=3, possible=lambda t: np.ones((len(t), 20), bool))
    assert gpt2_nats(model, tokens, tokenizer, 64) == pytest.approx(wanted, rel=1e-5)


def test_a_tables_rows_are_found_again_and_other_columns_refused(tmp_path):
    from music_minutes import append_rows, finished

    table = tmp_path / "scores.tsv"
    assert finished(table, ["model"]) == set()
    append_rows(table, [{"model": "a", "seed": 0, "nats": 1.5}])
    append_rows(table, [{"model": "b", "seed": 1, "nats": 2.5}])
    assert finished(table, ["model", "seed"]) == {("a", "0"), ("b", "1")}
    with pytest.raises(SystemExit, match="give another --out"):
        append_rows(table, [{"model": "c"}])


def test_training_stops_when_the_minutes_are_used_and_the_rate_has_fallen():
    from music_minutes import train_for

    from giblet.music.recipe import ScheduleSettings

    weight = torch.nn.Parameter(torch.ones(300, 300))
    optimizer = torch.optim.AdamW([weight], 1.0)
    schedule = ScheduleSettings(warmup_steps=1, final_share=0.05, learning_rate=0.1)
    done = train_for(
        0.002, optimizer, schedule, iter(lambda: None, 1), lambda *_: (weight @ weight).sum()
    )
    assert 0.12 <= done["train_s"] < 0.3
    assert done["steps"] > 3
    assert 0.005 <= optimizer.param_groups[0]["lr"] < 0.02


def test_overlap_is_high_for_alike_and_low_for_other_music():
    from music_adversarial import overlap_with_human

    human = [broken_chords(seed) for seed in range(12)]
    alike = overlap_with_human([broken_chords(seed) for seed in range(20, 32)], human)
    slow = overlap_with_human([broken_chords(seed, beat=4.0) for seed in range(12)], human)
    assert alike["overlap_pitch_classes"] > 0.5
    assert slow["overlap_onset_density"] < 0.2


def test_kinds_of_tokens_have_weights_that_learn():
    from music_adversarial import objective_of

    from giblet.music.objective import LossSettings

    objective = objective_of("uncertainty", LossSettings(), 0.1)
    model = MusicTransformerVAEGAN({"transformer": {"width": 32, "n_layers": 1}})
    batch = {key: values[None] for key, values in encoded(broken_chords(0)).items()}
    loss, values, _ = objective(model, batch, 0, torch.Generator())
    loss.backward()
    gradient = objective.kind_weights.log_variances.grad
    is_there = gradient != 0  # not every kind is in the batch
    assert is_there.any()
    assert (gradient[is_there] < 0).all()  # nats are above 1/2 at first
    assert values["nats"] > 1
