"""The table of score features: causal entry by entry, by note and by TR."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from music.pieces import broken_chords

from giblet.errors import GibletError
from giblet.music.midi import read_midi
from giblet.music.model import MusicTransformerVAEGAN
from giblet.music.ngrams import NgramModel
from giblet.music.notes import Notes
from giblet.music.score_features import (
    FEATURES,
    Feature,
    Listening,
    chosen_features,
    note_features,
    tr_features,
)
from giblet.timing import trs_for

TINY = {"width": 16, "n_heads": 2, "n_layers": 1}
LATENTS = {"n_token_blocks": 1, "n_segment_blocks": 1}


@pytest.fixture(scope="module")
def models():
    torch.manual_seed(0)
    return {
        "model": MusicTransformerVAEGAN({"transformer": TINY}),
        "latent_model": MusicTransformerVAEGAN({"transformer": TINY, "latents": LATENTS}),
        "ngrams": NgramModel([broken_chords(9)]),
        "contexts": (1, 4),
    }


def scale(n=8, interval=0.5):
    onset = np.arange(n) * interval
    return Notes(onset, np.full(n, interval), 60 + np.arange(n), 40 + 10 * np.arange(n))


def test_a_full_piece_has_every_feature(models):
    piece = Listening(broken_chords(0), **models)
    assert [feature.name for feature in chosen_features(piece)] == [*FEATURES]
    values = note_features(piece)
    starts = tuple(FEATURES)
    assert all(any(column.startswith(name) for column in values) for name in starts)
    assert len(values) == len(piece.notes)
    assert [*tr_features(piece, 1.5, 10)] == [*values]
    assert np.isfinite(tr_features(piece, 1.5, 10)).all(axis=None)


CAUSAL = [name for name, feature in FEATURES.items() if feature.causal]


@pytest.fixture(scope="module")
def two_futures(models):
    """Values of one piece, and of another that is the same up to a moment."""
    notes = broken_chords(4, n_bars=8)
    t = 8.0
    later = notes.onset >= t
    rng = np.random.default_rng(1)
    pitch = np.where(later, rng.integers(30, 90, len(notes)), notes.pitch)
    onset = np.where(later, notes.onset + rng.uniform(0.1, 0.9, len(notes)), notes.onset)
    velocity = np.where(later, rng.integers(1, 128, len(notes)), notes.velocity)
    ends = notes.onset + notes.duration
    duration = np.where(ends > t, notes.duration + 0.7, notes.duration)  # of those that sound, too
    changed = Notes.from_unsorted(onset, duration, pitch, velocity, beats=notes.beats)
    tables = [note_features(Listening(each, **models)) for each in (notes, changed)]
    by_tr = []
    for each in (notes, changed):
        means = dict.fromkeys(tables[0], 0.0)
        by_tr.append(tr_features(Listening(each, **models), 1.6, 8, means=means))
    return notes.onset < t, tables, by_tr


def columns_of(name, table):
    others = [other for other in FEATURES if other != name and other.startswith(name)]
    return [c for c in table if c.startswith(name) and not any(c.startswith(o) for o in others)]


@pytest.mark.parametrize("name", CAUSAL)
def test_the_future_moves_nothing(name, two_futures):
    before, (notes, changed), (trs, trs_changed) = two_futures
    for column in columns_of(name, notes):
        a, b = notes[column].to_numpy(), changed[column].to_numpy()
        np.testing.assert_allclose(a[before], b[: before.sum()], rtol=1e-4, atol=1e-6)
        a, b = trs[column].to_numpy(), trs_changed[column].to_numpy()
        np.testing.assert_allclose(a[:5], b[:5], rtol=1e-4, atol=1e-5)  # up to 8 s
        # novelty is 0 in the first 24 s: tests/music/test_novelty.py
        moved = not np.allclose(a[5:], b[5:])
        assert moved or name == "novelty", "the future changed nothing at all"


def test_what_knows_the_future_is_marked(two_futures):
    before, (notes, changed), _ = two_futures
    moved = [
        name
        for name in FEATURES
        if not np.allclose(
            notes[columns_of(name, notes)][before],
            changed[columns_of(name, notes)][: before.sum()],
            rtol=1e-4,
            atol=1e-6,
            equal_nan=True,
        )
    ]
    assert moved == [name for name, feature in FEATURES.items() if not feature.causal]
    assert moved == ["latent_fine", "latent_local", "latent_global"]


def test_values_by_note():
    notes = scale()
    chord = replace(notes, onset=np.sort(np.append(notes.onset[:-1], notes.onset[3])))
    values = note_features(Listening(chord))
    assert np.isnan(values["onset_interval"][0])
    assert values["onset_interval"][1:].tolist() == [0.5] * 7  # of a chord's notes, too
    assert values["velocity"].tolist() == notes.velocity.tolist()
    assert values["pitch_height"].tolist() == notes.pitch.tolist()
    assert values["polyphony"].tolist() == [1, 1, 1, 2, 2, 1, 1, 1]


def test_sums_by_tr_are_those_of_their_notes():
    notes = scale()
    values = tr_features(Listening(notes), 1.5, 4)
    assert values["onset_rate"].tolist() == [2.0, 2.0, 2 / 1.5, 0.0]
    centred = notes.pitch - notes.pitch.mean()
    expected = [centred[:3].sum(), centred[3:6].sum(), centred[6:].sum(), 0.0]
    np.testing.assert_allclose(values["pitch_height"], expected)
    assert values["pitch_height"].sum() == pytest.approx(0)
    assert values["polyphony"].tolist()[:2] == [1.0, 1.0]
    assert values["polyphony"][3] == 0


def test_a_note_on_an_edge_belongs_to_the_tr_that_begins():
    onset = np.arange(40) * 0.72
    notes = Notes(onset, np.full(40, 0.1), np.full(40, 60), np.full(40, 80))
    rate = tr_features(Listening(notes), 0.72, 40, ["onset_rate"])["onset_rate"]
    np.testing.assert_allclose(rate, 1 / 0.72)


def test_an_offset_moves_the_score():
    notes = broken_chords(1)
    names = ["onset_rate", "pitch_height", "polyphony", "key_clarity"]
    here = tr_features(Listening(notes), 2.0, 10, names)
    there = tr_features(Listening(notes), 2.0, 12, names, offset=4.0)
    np.testing.assert_allclose(there.to_numpy()[2:], here.to_numpy())
    np.testing.assert_allclose(there.to_numpy()[:2], 0)
    early = tr_features(Listening(notes), 2.0, 10, ["onset_rate"], offset=-2.0)
    assert early["onset_rate"][:6].tolist() == here["onset_rate"][1:7].tolist()


def test_means_of_other_pieces_are_used():
    notes = scale()
    found = tr_features(Listening(notes), 1.5, 4, ["pitch_height"], means={"pitch_height": 60.0})
    assert found["pitch_height"][0] == (notes.pitch[:3] - 60).sum()


def test_products_and_parts_belong_together(models):
    values = note_features(Listening(broken_chords(0), **models))
    for source in ("model", "ngram"):
        part = {p: values[f"{source}_surprisal_{p}"] for p in ("pitch", "time", "both")}
        np.testing.assert_allclose(part["pitch"] + part["time"], part["both"])
        product = part["pitch"] * values[f"{source}_entropy_pitch"]
        np.testing.assert_allclose(product, values[f"{source}_product_pitch"])
    assert {"model_surprisal_context_1", "model_surprisal_context_4"} < {*values}


def test_latents_are_those_of_the_segment(models):
    notes = broken_chords(0, n_bars=8)
    late = replace(notes, onset=notes.onset + 3.0, beats=None)
    piece = Listening(late, latent_model=models["latent_model"])
    z = piece.latents
    values = tr_features(piece, 1.5, 16, ["latent_fine", "latent_local", "latent_global"])
    assert len(values.columns) == sum(each.shape[1] for each in z.values()) == 112
    np.testing.assert_array_equal(values[:2], 0)  # before the piece
    np.testing.assert_allclose(values["latent_fine_3"][2:12], z["fine"][:10, 3], rtol=1e-5)
    local = np.repeat(z["local"][:, 5], 4)[:10]
    np.testing.assert_allclose(values["latent_local_5"][2:12], local, rtol=1e-5)
    np.testing.assert_allclose(values["latent_global_0"][2:12], z["global"][0, 0], rtol=1e-5)
    np.testing.assert_array_equal(values[13:], 0)  # after it, though its global segment goes on


def test_what_is_missing_is_said():
    piece = Listening(scale())
    assert "metrical_weight" not in note_features(piece)
    with pytest.raises(GibletError, match="metrical_weight needs beats"):
        note_features(piece, ["metrical_weight"])
    with pytest.raises(GibletError, match="there is no 'tempo'"):
        tr_features(piece, 1.5, 4, ["tempo"])
    with pytest.raises(GibletError, match="needs model"):
        note_features(piece, ["model_surprisal_pitch"])
    no_model = Listening(scale(), contexts=(4,))
    no_contexts = Listening(
        scale(), model=MusicTransformerVAEGAN({"transformer": TINY}), contexts=[]
    )
    for lacking in (no_model, no_contexts):
        with pytest.raises(GibletError, match="needs contexts"):
            note_features(lacking, ["model_surprisal_context"])


def test_no_notes_are_silence(models):
    empty = Notes(np.zeros(0), np.zeros(0), np.zeros(0, int), np.zeros(0, int))
    piece = Listening(empty, model=models["model"], ngrams=models["ngrams"], contexts=(1,))
    assert len(note_features(piece)) == 0
    values = tr_features(piece, 1.5, 4)
    assert values.shape[0] == 4
    assert (values == 0).all(axis=None)


def test_every_entry_says_what_it_is():
    for name, feature in FEATURES.items():
        assert isinstance(feature, Feature)
        assert name == feature.name
        assert feature.unit
        assert feature.needs in ("", "beats", "model", "ngrams", "latent_model", "contexts")


def test_centring_takes_the_number_of_onsets_out_of_a_sum(shared):
    """Real pieces: correlations of sums by TR with the number of onsets, medians over pieces."""
    files = sorted((shared / "music/data/validation").rglob("*.mid"))[::6]
    names = ["onset_rate", "pitch_height", "ngram_entropy_both", "ngram_surprisal_pitch"]
    found = {True: [], False: []}
    for notes in map(read_midi, files):
        piece = Listening(notes, ngrams=NgramModel())
        for centred in (True, False):
            means = None if centred else dict.fromkeys(names, 0.0)
            values = tr_features(piece, 1.5, trs_for(notes.end, 1.5), names, means=means)
            found[centred].append(np.corrcoef(values.to_numpy().T)[0, 1:])
    plain, centred = (np.median(found[key], axis=0) for key in (False, True))
    assert (plain > [0.9, 0.5, 0.3]).all()
    assert (np.abs(centred) < 0.2).all()
    assert (np.abs(centred) < plain / 2).all()
