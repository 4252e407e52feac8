"""Models in folders, and one model's ears for another."""

import dataclasses

import pytest
import torch

from giblet.audio.codec import load_codec
from giblet.checks import GibletError
from giblet.models.autoencoder import Autoencoder, Shapes
from giblet.models.saving import load_autoencoder, save_autoencoder, starting_point, take_audio
from giblet.settings import ModelConfig

SMALL = ModelConfig(
    start_from="none",
    slot_frames=4,
    slot_dim=8,
    slot_width=16,
    frame_width=12,
    video_dim=8,
    text_dim=8,
    readout_rank=4,
)
SHAPES = Shapes(
    use_encodec=True,
    n_rows=3,
    frames_per_tr=20,
    codebook_size=16,
    codebook_dim=6,
    n_text=5,
    n_voxels=4,
    subjects=("sub-01",),
    n_blurred=7,
    hrf_kernel=(0.5, 0.5),
)
MEL = dataclasses.replace(SHAPES, use_encodec=False, codebook_size=0, codebook_dim=0)


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        yield


def make(shapes=SHAPES, config=SMALL):
    """A model none of whose weights is where a fresh one's would be."""
    model = Autoencoder(shapes, config).eval()
    if model.codebooks:
        words = torch.linspace(-2, 2, 3 * 16 * 6).sin().view(3, 16, 6)
        model.codebooks.take(words[: shapes.n_rows, :, : shapes.codebook_dim])
    for values in model.parameters():
        values.add_(0.1 * torch.randn_like(values))
    return model


def sound(shapes=SHAPES, n_frames=20):
    size = (5, shapes.n_rows, n_frames)
    return torch.randint(0, 16, size) if shapes.use_encodec else torch.rand(size) * 100 - 100


@pytest.mark.parametrize("head", ["geometric", "classifier", "regression"])
@pytest.mark.parametrize("shapes", [SHAPES, MEL], ids=["encodec", "mel"])
def test_saved_and_loaded_it_is_the_same_model(shapes, head, tmp_path):
    model = make(shapes, SMALL.model_copy(update={"code_head": head, "variational": True}))
    save_autoencoder(model, tmp_path)
    loaded = load_autoencoder(tmp_path)
    assert (loaded.shapes, loaded.config) == (model.shapes, model.config)
    film = {"audio": sound(shapes), "text": torch.randn(5, 5)}
    bottleneck = model.encode(film)
    assert torch.equal(loaded.encode(film), bottleneck)
    assert torch.equal(loaded.decode_audio(bottleneck), model.decode_audio(bottleneck))
    ours, theirs = model.state_dict(), loaded.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("shapes", [SHAPES, MEL], ids=["encodec", "mel"])
def test_another_films_model_takes_the_same_ears_and_voice(shapes):
    """Another TR, other brains, no words: on the same frames the same features."""
    other = dataclasses.replace(shapes, frames_per_tr=27, n_text=None, subjects=())
    trained, model, heard = make(shapes), make(other), sound(shapes)
    slots = torch.randn(5, 5 * 8)
    assert not torch.equal(model.encoders["audio"](heard), trained.encoders["audio"](heard))
    take_audio(model, trained)
    assert torch.equal(model.encoders["audio"](heard), trained.encoders["audio"](heard))
    assert torch.equal(model.decoders["audio"](slots), trained.decoders["audio"](slots))
    for name, values in trained.join.norm.items():
        assert torch.equal(model.join.norm[name], values)


def test_a_model_of_blurred_inputs_takes_the_voice_alone():
    trained = make()
    model = make(config=SMALL.model_copy(update={"hrf_placement": "inputs"}))
    take_audio(model, trained)
    slots = torch.randn(5, 5 * 8)
    assert torch.equal(model.decoders["audio"](slots), trained.decoders["audio"](slots))


@pytest.mark.parametrize(
    "change",
    [
        {"layout": "flat"},
        {"code_head": "classifier"},
        {"slot_frames": 5},
        {"slot_dim": 4},
        {"slot_width": 8},
        {"frame_width": 8},
    ],
    ids=str,
)
def test_a_model_of_another_make_is_refused(change):
    (name,) = change
    with pytest.raises(GibletError, match=f"start_from was trained with {name}"):
        take_audio(make(config=SMALL.model_copy(update=change)), make())


def test_another_codecs_ears_are_refused():
    trained, shifted = make(), make()
    shifted.codebooks.words.add_(0.1)
    fewer = make(dataclasses.replace(SHAPES, n_rows=2))
    wider = make(dataclasses.replace(SHAPES, codebook_dim=5))
    for model in (shifted, fewer, wider, make(MEL)):
        before = {name: values.clone() for name, values in model.state_dict().items()}
        with pytest.raises(GibletError, match=r"model\.start_from was trained on another"):
            take_audio(model, trained)
        assert all(torch.equal(values, before[n]) for n, values in model.state_dict().items())
    with pytest.raises(GibletError, match=r"model\.start_from was trained on another"):
        take_audio(make(MEL), make(dataclasses.replace(MEL, n_rows=4)))


def test_learning_starts_from_the_folder_that_was_named(tmp_path):
    save_autoencoder(trained := make(), tmp_path)
    named = SMALL.model_copy(update={"start_from": str(tmp_path)})
    found, name = starting_point(SHAPES, named)
    assert name == str(tmp_path)
    assert torch.equal(found.join.norm["weight"], trained.join.norm["weight"])
    assert starting_point(SHAPES, SMALL) == (None, "none")


def test_the_bundled_model_is_for_the_bundled_codecs_codes():
    """EnCodec's official codes have the same sizes, and other meanings."""
    shapes, words = Shapes(True, 8, 112), torch.from_numpy(load_codec().codebooks())
    found, name = starting_point(shapes, ModelConfig(), words)
    assert name == "bundled"
    model = Autoencoder(shapes, ModelConfig())
    model.codebooks.take(words)
    take_audio(model, found)
    slots = (m.encoders["audio"].pool.leave.weight for m in (model, found))
    assert torch.equal(*slots)
    assert starting_point(shapes, ModelConfig(), words.flip(1)) == (None, "none")
    longer = dataclasses.replace(shapes, frames_per_tr=150)  # a TR of 2 s
    assert starting_point(longer, ModelConfig(), words)[1] == "bundled"
    assert starting_point(shapes, ModelConfig(slot_dim=64), words) == (None, "none")


def test_a_broken_folder_is_named(tmp_path):
    with pytest.raises(GibletError, match=r"config\.json: no such file"):
        load_autoencoder(tmp_path)
    save_autoencoder(make(), tmp_path)
    weights = tmp_path / "model.safetensors"
    whole = weights.read_bytes()
    for spoilt in (whole[: len(whole) // 2], whole[:4], b""):
        weights.write_bytes(spoilt)
        with pytest.raises(GibletError, match=f"{tmp_path}: no autoencoder can be read from it"):
            load_autoencoder(tmp_path)
    weights.unlink()
    with pytest.raises(GibletError, match="no autoencoder can be read from it"):
        load_autoencoder(tmp_path)


@pytest.mark.parametrize(
    "content",
    ["{}", '{"shapes": {"n_ears": 2}, "model": {}}', '{"shapes": {}, "model": {"slot_fames": 7}}'],
)
def test_a_config_of_something_else_is_named(content, tmp_path):
    save_autoencoder(make(), tmp_path)
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(GibletError, match="no autoencoder can be read from it"):
        load_autoencoder(tmp_path)
