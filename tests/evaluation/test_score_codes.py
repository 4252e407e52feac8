"""A score in numbers and back: latents of a small music model, and the autoencoder's piano roll."""

import numpy as np
import pytest
import torch
from factories import slot_model, small_shapes
from music.pieces import broken_chords

from giblet.alignment.dataset import FilmData
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.errors import GibletError
from giblet.evaluation.score_codes import N_DRAWS, LatentCode, RollCode
from giblet.music.model import MusicTransformerVAEGAN
from giblet.music.notes import Notes
from giblet.music.score_trs import piano_roll
from giblet.music.tokens import VOCABULARY

N_TRS, T_R = 60, 1.5
TINY = {
    "transformer": {"width": 32, "n_heads": 2, "n_layers": 1, "attention": {"window": 32}},
    "latents": {
        "fine": {"seconds": 1.5, "width": 3, "free_nats": 0},
        "local": {"seconds": 6, "width": 4, "free_nats": 0},
        "global": {"seconds": 24, "width": 5, "free_nats": 0},
    },
}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return MusicTransformerVAEGAN(TINY)


def film(roll=None):
    """TR 0-29 train, 32-37 validate, 40-59 test."""
    part = np.full(N_TRS, "gap", dtype="<U10")
    part[:30], part[32:38], part[40:] = "train", "validation", "test"
    tensors = {} if roll is None else {"score": torch.from_numpy(roll)}
    return FilmData(tensors, None, part, np.full(N_TRS, "run-1"))


def code_of(model, piece, t_r=T_R):
    return LatentCode(model, piece, film(), np.arange(N_TRS), t_r)


def test_latents_of_held_out_trs_know_nothing_of_training_trs(model):
    piece, other = broken_chords(0, n_bars=45), broken_chords(1, n_bars=45)
    mixed = Notes.joined([other.between(0, 59.9), piece.between(60, 90).moved(60)])
    one, two = code_of(model, piece), code_of(model, mixed)
    for name in ("fine", "local", "global"):
        np.testing.assert_array_equal(one.code[name][40:], two.code[name][40:])
        assert not np.allclose(one.code[name][:30], two.code[name][:30])


def test_a_tr_holds_the_latent_of_its_segment(model):
    piece = broken_chords(0, n_bars=45)
    code, z = code_of(model, piece), model.encode(piece.between(60, 90), begin=0.0)
    for name, segments in (("fine", np.arange(20)), ("local", np.arange(20) // 4)):
        np.testing.assert_allclose(code.code[name][40:], z[name][segments], atol=1e-6)
    assert len(np.unique(code.code["global"][40:].round(6), axis=0)) == 2  # 24 s, then 6 s


def test_segments_count_from_the_stretch_not_from_its_first_note(model):
    late = broken_chords(0, n_bars=6).moved(3.1)
    begin = model.encode(late, begin=0.0)
    assert np.isfinite(begin["fine"]).all()
    assert len(begin["fine"]) == len(model.encode(late)["fine"]) + 2
    np.testing.assert_array_equal(model.encode(late, begin=3.1)["fine"], model.encode(late)["fine"])


def test_a_tr_between_two_segments_has_both_by_their_seconds(model):
    piece = broken_chords(0, n_bars=60)
    code = code_of(model, piece, t_r=2.0)
    z = model.encode(piece.between(80, 120), begin=0.0)["fine"]
    np.testing.assert_allclose(code.code["fine"][40], 0.75 * z[0] + 0.25 * z[1], atol=1e-5)


def test_notes_are_as_long_as_the_held_out_trs_and_follow_the_latents(model):
    code = code_of(model, broken_chords(0, n_bars=45))
    own = {name: values[40:] for name, values in code.code.items()}
    drawn = code.notes(code.drawn(own), seed=0)
    assert len(drawn) == N_DRAWS
    assert all(one.end <= 30 for one in drawn)
    assert max(one.end for one in drawn) > 20
    again = code.notes(code.drawn(own), seed=0)
    assert all(np.array_equal(a.pitch, b.pitch) for a, b in zip(drawn, again, strict=True))
    unknown = code.unknown(seed=0)
    assert [one["local"].shape for one in unknown] == [(20, 4)] * N_DRAWS
    assert not np.allclose(unknown[0]["fine"], unknown[1]["fine"])


def test_a_passage_without_notes_has_latents_of_0(model):
    code = code_of(model, broken_chords(0, n_bars=45).between(0, 60))
    assert not any(values[40:].any() for values in code.code.values())


def test_the_read_out_makes_the_notes_of_the_training_rate():
    piece = broken_chords(0, n_bars=45)
    roll = piano_roll(piece, T_R, N_TRS)
    data = film(roll)
    shapes = small_shapes(others=(("score", roll.shape[1:]),))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        autoencoder = Autoencoder(shapes, slot_model()).eval()
    data.film["audio"] = torch.zeros((N_TRS, 2, 8), dtype=torch.int64)
    data.film["video"] = torch.zeros((N_TRS, 1, 16, 16, 3), dtype=torch.uint8)
    data.film["text"] = torch.zeros((N_TRS, 6))
    code = RollCode(autoencoder, data, T_R)
    np.testing.assert_array_equal(code.shown["bottleneck"], roll.reshape(N_TRS, -1))
    (notes,) = code.notes(code.unknown(seed=0), seed=0)
    begun = roll[:30, :, VOCABULARY.n_pitches :].sum() * 20 / 30
    assert len(notes) == pytest.approx(begun, abs=1)
    views = code.views({"bottleneck": code.code["bottleneck"][40:]})
    assert views["bottleneck"].shape == (20, roll[0].size)
    assert (views["bottleneck"] >= 0).all()


def test_a_model_without_the_score_is_one_line():
    with torch.random.fork_rng():
        autoencoder = Autoencoder(small_shapes(), slot_model())
    with pytest.raises(GibletError, match="trained without this score") as error:
        RollCode(autoencoder, film(), T_R)
    assert "\n" not in str(error.value)
