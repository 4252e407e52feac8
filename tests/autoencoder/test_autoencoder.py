"""The autoencoder: one bottleneck for whatever a film has, on either audio path."""

import dataclasses
import json

import pytest
import torch
from factories import flat_model, small_shapes

from giblet.alignment.shapes import Shapes
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.config.sections import ModelConfig

SMALL = flat_model(video_dim=24)
FULL = small_shapes(n_rows=8, frames_per_tr=112, codebook_size=1024, video=(1, 18, 32), n_text=12)
MEL = dataclasses.replace(FULL, use_encodec=False, n_rows=20, frames_per_tr=140, codebook_size=0)


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        yield


def make_film(shapes, n_trs=6):
    size = (n_trs, shapes.n_rows, shapes.frames_per_tr)
    codes = torch.randint(0, 1024, size, dtype=torch.int32)
    film = {"audio": codes if shapes.use_encodec else torch.rand(size) * 100 - 100}
    if shapes.video:
        film["video"] = torch.randint(0, 256, (n_trs, *shapes.video, 3), dtype=torch.uint8)
    if shapes.n_text:
        film["text"] = torch.randn(n_trs, shapes.n_text)
    return film


def test_1536_features_become_a_bottleneck_of_2048():
    shapes = dataclasses.replace(FULL, subjects=())
    model = Autoencoder(shapes, ModelConfig(layout="flat", code_head="classifier")).eval()
    film = make_film(shapes, n_trs=2)
    widths = [model.encoders[m](film[m]).shape[1] for m in ("audio", "video", "text")]
    assert widths == [256, 1024, 256]
    assert (model.join.mix.in_features, model.join.mix.out_features) == (1536, 2048)
    bottleneck = model.encode(film)
    assert bottleneck.shape == (2, 2048)
    codes = model.decode_audio(bottleneck)
    assert (codes.shape, codes.dtype) == ((2, 8, 112), torch.int32)


@pytest.mark.parametrize("shapes", [FULL, MEL], ids=["encodec", "mel"])
def test_either_path_goes_through_the_same_bottleneck(shapes):
    model, film = Autoencoder(shapes, SMALL).eval(), make_film(shapes)
    bottleneck = model.encode(film)
    assert bottleneck.shape == (6, 32)
    audio = model.decode_audio(bottleneck)
    assert (audio.shape, audio.dtype) == (film["audio"].shape, film["audio"].dtype)
    assert model.decoders["video"](bottleneck).shape == film["video"].shape
    assert model.decoders["text"](bottleneck).shape == film["text"].shape
    assert model.decoders["bold"](bottleneck[None]).shape == (1, 2, 6, 5)


def test_the_mel_path_refuses_to_be_fed_codes_by_mistake():
    model = Autoencoder(FULL, SMALL)
    with pytest.raises(TypeError, match="codes must be integers"):
        model.encode({"audio": torch.rand(2, 8, 112)})


@pytest.mark.parametrize("missing", ["video", "text"])
def test_every_modality_has_a_say_and_may_be_missing(missing):
    model, film = Autoencoder(FULL, SMALL).eval(), make_film(FULL)
    whole = model.encode(film)
    without = model.encode({m: values for m, values in film.items() if m != missing})
    assert without.shape == whole.shape
    assert (without - whole).abs().max() > 1e-3


def test_a_sound_alone_makes_a_model_without_the_rest():
    shapes = Shapes(use_encodec=True, n_rows=8, frames_per_tr=112)
    model = Autoencoder(shapes, SMALL).eval()
    assert list(model.encoders) == list(model.decoders) == ["audio"]
    assert model.encode(make_film(shapes)).shape == (6, 32)
    assert model.join.mix.in_features == 48  # as wide as with pictures and words


@pytest.mark.parametrize("shapes", [FULL, MEL], ids=["encodec", "mel"])
def test_saved_and_loaded_it_is_the_same_model(shapes, tmp_path):
    model, film = Autoencoder(shapes, SMALL).eval(), make_film(shapes)
    model.facts = {"seed": 7}
    model.save_pretrained(tmp_path)
    loaded = Autoencoder.from_pretrained(tmp_path)
    assert not loaded.training
    assert loaded.config == SMALL
    assert json.loads((tmp_path / "config.json").read_text())["seed"] == 7
    bottleneck = model.encode(film)
    assert torch.equal(loaded.encode(film), bottleneck)
    for name, decoder in model.decoders.items():
        given = bottleneck[None] if name == "bold" else bottleneck
        assert torch.equal(loaded.decoders[name](given), decoder(given))
    assert loaded.state_dict().keys() == model.state_dict().keys()
