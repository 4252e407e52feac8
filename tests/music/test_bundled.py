"""The bundled model of scores."""

from pathlib import Path

import numpy as np
import pytest
from music.pieces import broken_chords

from giblet.music import model as model_module
from giblet.music.count_models import TokenCounts
from giblet.music.folders import read_folder
from giblet.music.grammar import possible_tokens
from giblet.music.model import load
from giblet.music.notes import Notes
from giblet.music.scoring import surprise_scores
from giblet.music.tokens import VOCABULARY, tokenize


@pytest.fixture(scope="module")
def bundled():
    return load("bundled")


def test_it_is_small():
    folder = Path(model_module.__file__).parent / "bundled"
    assert sum(file.stat().st_size for file in folder.iterdir()) < 12e6


def test_it_expects_broken_chords_more_than_the_same_notes_in_another_order(bundled):
    notes = broken_chords(3)
    tokens, order = tokenize(notes), np.random.default_rng(0).permutation(len(notes))
    columns = (notes.onset, notes.duration, notes.pitch[order], notes.velocity)
    shuffled = tokenize(Notes.from_unsorted(*columns))
    own, other = bundled.nats(tokens).mean(), bundled.nats(shuffled).mean()
    assert own < other - 0.1
    assert own < 0.5 * np.log(VOCABULARY.size)


def test_what_it_draws_has_notes_and_ends_in_time(bundled):
    (piece,) = bundled.generate(4.0, seed=1)
    assert len(piece) > 3
    assert piece.onset[-1] <= 4.0


@pytest.mark.slow
def test_it_is_better_than_count_models_on_pieces_of_other_composers(bundled, shared):
    train, held_out = (
        read_folder(shared / "music" / "data" / part).pieces for part in ("train", "validation")
    )
    names = list(held_out)[::6]
    scores = surprise_scores(bundled, {name: held_out[name] for name in names}, {})
    nats = scores.query("model == 'giblet' and metric == 'nats_per_token'").value.item()
    counts = TokenCounts([tokenize(notes) for notes in train.values()], 5, VOCABULARY.size)
    tokens = [tokenize(held_out[name]) for name in names]
    counted = np.concatenate([counts.nats(each, possible_tokens(each)) for each in tokens])
    assert nats < 0.85 * counted.mean()
