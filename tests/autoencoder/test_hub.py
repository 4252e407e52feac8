"""Models in folders, and one model's ears for another."""

import dataclasses
import json
import os
import shutil
import socket
import subprocess
import sys

import pytest
import torch
from factories import flat_model, slot_model, small_shapes
from huggingface_hub import ModelCard
from safetensors.torch import load_file

import giblet
from giblet.alignment.shapes import Shapes
from giblet.audio.codecs.codec import load_codec
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.autoencoder.warm_start import BUNDLED, starting_point, take_audio
from giblet.codec_training.registry import load_network
from giblet.config.sections import ModelConfig
from giblet.errors import GibletError
from giblet.io.checksums import FORMAT_VERSION, SUMS, check_sums, write_sums

SMALL = slot_model()
SHAPES = small_shapes(
    n_rows=3,
    frames_per_tr=20,
    codebook_dim=6,
    video=None,
    n_text=5,
    n_voxels=4,
    subjects=("sub-01",),
    n_blurred=7,
    hrf_kernel=(0.5, 0.5),
)
MEL = dataclasses.replace(SHAPES, use_encodec=False, codebook_size=0, codebook_dim=0)
FLAT = flat_model(audio_dim=8, bottleneck_dim=16, decoder_dim=6)
CODEC = BUNDLED.parents[1] / "audio" / "codecs" / "bundled"
COMMITS = "0" * 40, "1" * 40


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


def same_weights(one, other):
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[n], theirs[n]) for n in mine)


@pytest.fixture
def hub(monkeypatch, tmp_path, as_the_hub_lays_it):
    """No network, and a Hugging Face cache with two commits of one model, which are returned."""

    def refuse(*_args, **_kwargs):
        raise OSError("no network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    models = {commit: make() for commit in COMMITS}
    for commit, model in models.items():
        snapshot = tmp_path / "models--somebody--ears" / "snapshots" / commit
        model.save_pretrained(snapshot)
        as_the_hub_lays_it(snapshot)
    (tmp_path / "models--somebody--ears" / "refs").mkdir()
    (tmp_path / "models--somebody--ears" / "refs" / "main").write_text(COMMITS[0])
    return models


HEADS = ("geometric", "classifier", "regression")


@pytest.mark.parametrize(
    "config",
    [*(SMALL.model_copy(update={"code_head": h, "variational": True}) for h in HEADS), FLAT],
    ids=[*HEADS, "flat"],
)
@pytest.mark.parametrize("shapes", [SHAPES, MEL], ids=["encodec", "mel"])
def test_saved_and_loaded_it_is_the_same_model(shapes, config, tmp_path):
    model = make(shapes, config)
    model.facts = {"seed": 7, "baselines": {"audio": 0.5}}
    model.save_pretrained(tmp_path)
    loaded = Autoencoder.from_pretrained(tmp_path)
    assert not loaded.training
    assert (loaded.shapes, loaded.config, loaded.facts) == (model.shapes, config, model.facts)
    assert same_weights(loaded, model)
    film = {"audio": sound(shapes), "text": torch.randn(5, 5)}
    bottleneck = model.encode(film)
    assert torch.equal(loaded.encode(film), bottleneck)
    assert torch.equal(loaded.decode_audio(bottleneck), model.decode_audio(bottleneck))


@pytest.mark.slow
def test_the_same_model_is_the_same_bytes_in_every_process(tmp_path):
    """Of the bundled model the codec's words are in three places: which one is written?"""
    code = "import sys, giblet; giblet.load(sys.argv[1]).save_pretrained(sys.argv[2])"
    folders = [tmp_path / str(n) for n in range(3)]
    giblet.load(BUNDLED / "encodec").save_pretrained(folders[0])
    giblet.load(folders[0]).save_pretrained(folders[1])
    subprocess.run([sys.executable, "-c", code, folders[1], folders[2]], check=True)
    first, *others = ({f.name: f.read_bytes() for f in folder.iterdir()} for folder in folders)
    assert set(first) == {"README.md", "config.json", "model.safetensors", "sha256sums.txt"}
    assert len({file.stat().st_mode for file in folders[0].iterdir()}) == 1  # others may read it
    assert others == [first, first]
    written = load_file(folders[0] / "model.safetensors")
    assert sum("words" in name for name in written) == 1


def test_half_precision_is_half_the_size_and_loads_as_single(tmp_path):
    model = make()
    model.save_pretrained(tmp_path / "single")
    model.half().save_pretrained(tmp_path / "half")
    written = load_file(tmp_path / "half" / "model.safetensors").values()
    assert {values.dtype for values in written} == {torch.float16}
    loaded = Autoencoder.from_pretrained(tmp_path / "half")
    assert {values.dtype for values in loaded.parameters()} == {torch.float32}
    assert same_weights(loaded, model.float())


def test_the_card_says_how_to_load_it(tmp_path):
    make().save_pretrained(tmp_path)
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.library_name == "giblet"
    assert "giblet.load(" in card.text
    assert "More Information Needed" not in card.content


def test_notebooks_get_a_model_that_only_listens(tmp_path):
    (model := make()).train().save_pretrained(tmp_path)
    loaded = giblet.load(str(tmp_path))
    assert not loaded.training
    assert not any(values.requires_grad for values in loaded.parameters())
    assert same_weights(loaded, model)


def test_a_model_of_the_hub_is_the_commit_that_was_asked_for(hub):
    first, second = (hub[commit] for commit in COMMITS)
    assert not same_weights(first, second)
    assert same_weights(giblet.load("somebody/ears"), first)
    assert same_weights(giblet.load(f"somebody/ears@{COMMITS[1]}"), second)
    assert same_weights(Autoencoder.from_pretrained("somebody/ears", revision=COMMITS[1]), second)
    pinned = f"somebody/ears@{COMMITS[0]}"
    assert same_weights(Autoencoder.from_pretrained(pinned, revision=COMMITS[1]), second)
    for unknown in (f"somebody/ears@{'2' * 40}", "nobody/ears"):
        with pytest.raises(GibletError, match=f"model '{unknown}': no such folder") as raised:
            giblet.load(unknown)
        assert "\n" not in str(raised.value)


def test_weights_are_never_unpickled(hub, tmp_path, as_the_hub_lays_it):
    """The other form in which models lie about; what it unpickles to may run anything."""
    folder = tmp_path / "models--somebody--ears" / "snapshots" / COMMITS[0]
    (folder / "model.safetensors").unlink()
    torch.save(hub[COMMITS[0]].state_dict(), folder / "pytorch_model.bin")
    as_the_hub_lays_it(folder)
    for place in (folder, "somebody/ears"):
        with pytest.raises(GibletError, match=r"model\.safetensors: no such file"):
            Autoencoder.from_pretrained(place)
    shutil.copy(folder / "pytorch_model.bin", folder / "model.safetensors")
    write_sums(folder, ["model.safetensors", "config.json"])
    with pytest.raises(GibletError, match="no autoencoder can be read from it"):
        Autoencoder.from_pretrained(folder)


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


FLAT_SIZES = ("audio_dim", "bottleneck_dim", "embedding_dim", "decoder_dim")


@pytest.mark.parametrize("name", FLAT_SIZES)
def test_a_flat_model_of_another_size_is_refused(name):
    change = {name: getattr(FLAT, name) + 2}
    with pytest.raises(GibletError, match=f"start_from was trained with {name}"):
        take_audio(make(config=FLAT.model_copy(update=change)), make(config=FLAT))


def test_a_flat_model_takes_those_of_its_own_make_and_tr():
    trained, model = make(config=FLAT), make(config=FLAT)
    take_audio(model, trained)
    assert torch.equal(model.encoders["audio"](heard := sound()), trained.encoders["audio"](heard))
    longer = make(dataclasses.replace(SHAPES, frames_per_tr=27), FLAT)
    with pytest.raises(GibletError, match="start_from was trained with frames_per_tr 20, not 27"):
        take_audio(longer, trained)


@pytest.mark.parametrize("config", [SMALL, FLAT], ids=["slots", "flat"])
def test_no_other_size_stands_in_the_way(config):
    """Every number of the config is either told apart above, or changes nothing."""
    told = {"slot_frames", "slot_dim", "slot_video", "slot_text", "slot_width", "frame_width"}
    told = told if config.layout == "slots" else set(FLAT_SIZES)
    sizes = {n for n, value in config.model_dump().items() if type(value) is int}
    for name in sizes - told:
        other = config.model_copy(update={name: getattr(config, name) + 2})
        take_audio(make(config=other), make(config=config))


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
    (trained := make()).save_pretrained(tmp_path)
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
    with pytest.raises(GibletError, match=f"{tmp_path}: the folder has no config.json"):
        Autoencoder.from_pretrained(tmp_path)
    make().save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    whole = weights.read_bytes()
    for spoilt in (whole[: len(whole) // 2], whole[:4], b""):
        weights.write_bytes(spoilt)
        write_sums(tmp_path, ["model.safetensors", "config.json"])
        with pytest.raises(GibletError, match=f"{tmp_path}: no autoencoder can be read from it"):
            Autoencoder.from_pretrained(tmp_path)
    weights.unlink()
    with pytest.raises(GibletError, match=r"model\.safetensors: no such file"):
        Autoencoder.from_pretrained(tmp_path)


@pytest.mark.parametrize("sums", [True, False])
def test_a_pipe_is_no_weights(sums, tmp_path):
    make().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    os.mkfifo(tmp_path / "model.safetensors")
    if not sums:
        (tmp_path / SUMS).unlink()
        (tmp_path / "config.json").write_text(json.dumps(GOOD))
    with pytest.raises(GibletError, match=r"model\.safetensors: is a pipe or a device"):
        Autoencoder.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("shapes", "config", "reason"),
    [
        (SHAPES, SMALL.model_copy(update={"slot_dim": 16}), "size mismatch for"),
        (SHAPES, SMALL.model_copy(update={"variational": True}), "Unexpected key"),
        (dataclasses.replace(SHAPES, n_text=None), SMALL, "Missing key"),
    ],
    ids=["wider", "more", "less"],
)
def test_weights_that_the_config_does_not_tell_of_are_refused(shapes, config, reason, tmp_path):
    make(shapes, config).save_pretrained(tmp_path / "other")
    make().save_pretrained(tmp_path)
    shutil.copy(tmp_path / "other" / "model.safetensors", tmp_path)
    write_sums(tmp_path, ["model.safetensors", "config.json"])
    clear = f"{tmp_path}: no autoencoder can be read from it .*{reason}"
    with pytest.raises(GibletError, match=clear) as raised:
        Autoencoder.from_pretrained(tmp_path)
    assert "\n" not in str(raised.value)


GOOD = {"shapes": SHAPES.to_dict(), "model": SMALL.model_dump()}


@pytest.mark.parametrize(
    "content",
    [
        *({}, [], 3, {"shapes": 3, "model": {}}, GOOD | {"shapes": {"n_ears": 2}}),
        *(GOOD | {"shapes": {}}, GOOD | {"model": {"slot_fames": 7}}, GOOD | {"model": None}),
    ],
    ids=str,
)
def test_a_config_of_something_else_is_named(content, tmp_path):
    make().save_pretrained(tmp_path)
    (tmp_path / SUMS).unlink()
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(GibletError, match=r"no autoencoder can be read from it|keys and values"):
        Autoencoder.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(GibletError, match=r"config\.json: not valid JSON"):
        Autoencoder.from_pretrained(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", SUMS])
def test_a_file_that_was_changed_is_named(name, tmp_path, rng):
    make().save_pretrained(tmp_path)
    content = (tmp_path / name).read_bytes()
    n = len(content) - 1  # without the last line's end, sums are the same
    places = [0, n - 1, *rng.integers(0, n, 20)]
    for damaged in [*(content[:n] for n in places), *changed(content, places, rng)]:
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(GibletError, match=str(tmp_path)):
            Autoencoder.from_pretrained(tmp_path)
    (tmp_path / name).write_bytes(content)
    Autoencoder.from_pretrained(tmp_path)


def changed(content, places, rng):
    """The content with one bit of it changed."""
    for place in places:
        other = bytearray(content)
        other[place] ^= 1 << int(rng.integers(8))
        yield bytes(other)


def test_a_model_without_sums_is_damaged(tmp_path):
    make().save_pretrained(tmp_path)
    (tmp_path / SUMS).unlink()
    with pytest.raises(GibletError, match=f"{SUMS}: no such file"):
        Autoencoder.from_pretrained(tmp_path)


def test_a_model_of_a_newer_giblet_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("giblet.autoencoder.hub.FORMAT_VERSION", FORMAT_VERSION + 1)
    make().save_pretrained(tmp_path)
    monkeypatch.undo()
    with pytest.raises(GibletError, match=r"config\.json: made by a newer giblet .*: upgrade"):
        Autoencoder.from_pretrained(tmp_path)


@pytest.mark.parametrize("folder", [BUNDLED / "encodec", BUNDLED / "mel", CODEC], ids=str)
def test_what_is_bundled_is_as_its_sums_say(folder):
    files = {file.name for file in folder.iterdir()} - {SUMS}
    check_sums(folder, files, needed=True)


def test_a_codec_that_was_changed_is_named(tmp_path):
    shutil.copytree(CODEC, tmp_path / "codec")
    content = bytearray((tmp_path / "codec" / "model.safetensors").read_bytes())
    content[5_000_000] ^= 1
    (tmp_path / "codec" / "model.safetensors").write_bytes(content)
    for load in (load_codec, load_network):
        with pytest.raises(GibletError, match=r"model\.safetensors: cut or changed"):
            load(str(tmp_path / "codec"))
