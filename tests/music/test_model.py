"""The model's folder, its surprise at any length, and what is refused."""

import json

import numpy as np
import pytest
import torch
from music.pieces import broken_chords
from pydantic import ValidationError
from safetensors.torch import load_file

from giblet.errors import GibletError
from giblet.io.checksums import write_sums
from giblet.music.inputs import encoded
from giblet.music.memorisation import TrainingIntervals
from giblet.music.model import ModelSettings, MusicTransformerVAEGAN, load
from giblet.music.notes import Notes
from giblet.music.tokens import VOCABULARY, token_seconds, tokenize

TINY = {"transformer": {"width": 32, "n_heads": 2, "n_layers": 2, "attention": {"window": 32}}}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MusicTransformerVAEGAN(TINY)


@pytest.fixture
def saved(model, tmp_path):
    model.facts = {"recipe": {"steps": 3}}
    model.training_intervals = TrainingIntervals.of({"a": broken_chords(0)})
    model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_nats_are_those_of_the_whole_piece(model):
    notes = broken_chords(0, n_bars=40)  # more than one chunk
    tokens, piece = tokenize(notes), encoded(notes)
    assert len(tokens) > 512
    with torch.no_grad():
        batch = {name: values[None] for name, values in piece.items()}
        expected = model.target_nats(model(batch), batch)[0, :-1]
    nats = model.nats(tokens, notes.beats, float(notes.onset[0]))
    assert nats.dtype == np.float32
    np.testing.assert_allclose(nats, expected, atol=1e-4)


def test_a_token_surprises_by_what_came_before_it_alone(model):
    tokens = tokenize(broken_chords(0))
    changed = tokens.copy()
    changed[20:] = tokens[20:][::-1]
    np.testing.assert_array_equal(model.nats(tokens)[:20], model.nats(changed)[:20])


def test_beats_matter(model):
    notes = broken_chords(0)
    tokens = tokenize(notes)
    assert np.abs(model.nats(tokens) - model.nats(tokens, notes.beats)).max() > 1e-4


def test_padding_costs_nothing(model):
    hidden = torch.randn(2, 5, 32)
    targets = torch.full((2, 5), VOCABULARY.pad)
    targets[0, :2] = 60
    batch = {"targets": targets, "possible": torch.ones(2, 5, VOCABULARY.n_ids, dtype=torch.bool)}
    nats = model.target_nats(hidden, batch)
    assert (nats[0, :2] > 0).all()
    assert nats.sum() == nats[0, :2].sum()


def test_short_and_empty_pieces(model):
    assert model.nats(np.array([60])).shape == (1,)
    assert model.nats(np.zeros(0, np.int32)).shape == (0,)


@pytest.mark.parametrize("tokens", [[VOCABULARY.bos], [-1], [[60]], [0.5]])
def test_what_is_no_token_is_refused(model, tokens):
    with pytest.raises(GibletError, match="token"):
        model.nats(np.array(tokens))


def test_a_saved_model_is_the_same(model, saved):
    again = MusicTransformerVAEGAN.from_pretrained(saved)
    tokens = tokenize(broken_chords(3))
    np.testing.assert_array_equal(again.nats(tokens), model.nats(tokens))
    assert again.facts == model.facts
    assert again.mode == "transformer"
    run = again.training_intervals.longest_run(broken_chords(0))
    assert run.source == "a"
    assert not again.training


def test_half_precision_is_half_the_size_and_nearly_the_same(model, tmp_path):
    tokens = tokenize(broken_chords(3))
    before = model.nats(tokens)
    model.half().save_pretrained(tmp_path / "half")
    weights = load_file(tmp_path / "half" / "model.safetensors")
    assert {weight.dtype for weight in weights.values()} == {torch.float16}
    np.testing.assert_allclose(load(tmp_path / "half").nats(tokens), before, atol=0.02)


def test_the_same_model_is_the_same_bytes(model, saved, tmp_path):
    model.save_pretrained(tmp_path / "again")
    for file in saved.iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes(), file.name


def change_config(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))
    write_sums(folder, ["model.safetensors", "config.json", "training.safetensors"])
    return config


def test_a_model_of_another_vocabulary_is_one_line(saved):
    vocabulary = json.loads((saved / "config.json").read_text())["vocabulary"]
    change_config(saved, vocabulary=vocabulary | {"size": 388})
    with pytest.raises(GibletError, match="another vocabulary: its size is 388, here 774"):
        load(saved)
    config = json.loads((saved / "config.json").read_text())
    del config["vocabulary"]
    (saved / "config.json").write_text(json.dumps(config))
    write_sums(saved, ["model.safetensors", "config.json", "training.safetensors"])
    with pytest.raises(GibletError, match="is no music model"):
        load(saved)


def test_a_newer_model_is_one_line(saved):
    change_config(saved, format_version=99)
    with pytest.raises(GibletError, match="newer giblet"):
        load(saved)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "training.safetensors"])
def test_a_changed_file_is_one_line(saved, name):
    content = bytearray((saved / name).read_bytes())
    content[len(content) // 2] ^= 1
    (saved / name).write_bytes(content)
    with pytest.raises(GibletError):
        load(saved)


def test_weights_of_other_settings_are_one_line(saved):
    model = json.loads((saved / "config.json").read_text())["model"]
    model["transformer"]["width"] = 64
    change_config(saved, model=model)
    with pytest.raises(GibletError, match="no music model can be read from it"):
        load(saved)
    model["transformer"]["widht"] = model["transformer"].pop("width")
    change_config(saved, model=model)
    with pytest.raises(GibletError, match="no music model can be read from it"):
        load(saved)


def test_a_missing_model_is_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(GibletError, match=r"no config\.json"):
        load(tmp_path / "empty")


def test_settings_are_strict():
    with pytest.raises(ValidationError):
        ModelSettings.model_validate({"transformer": {"width": 32, "depth": 3}})


LATENTS = {
    "fine": {"seconds": 1.5, "width": 3, "free_nats": 0.1},
    "local": {"seconds": 6.0, "width": 4, "free_nats": 0.1},
    "global": {"seconds": 48.0, "width": 5, "free_nats": 0.1},
}


@pytest.fixture
def vae():
    torch.manual_seed(0)
    return MusicTransformerVAEGAN(TINY | {"latents": LATENTS})


def test_modes_share_the_names_of_their_weights(model, vae):
    names = {*model.state_dict()}
    assert names < {*vae.state_dict()}
    assert vae.mode == "vae"
    assert ModelSettings.model_validate({"latents": {}, "gan": {}}).mode == "vae_gan"
    vae.load_state_dict(model.state_dict(), strict=False)


def test_latents_follow_one_another_in_time(vae):
    notes = broken_chords(0, n_bars=8)  # 16 s
    z = vae.encode(notes)
    assert {name: values.shape for name, values in z.items()} == {
        "fine": (11, 3),
        "local": (3, 4),
        "global": (1, 5),
    }
    later = Notes(notes.onset + 3.0, notes.duration, notes.pitch, notes.velocity)
    for name, values in vae.encode(later).items():  # from the first onset on
        np.testing.assert_allclose(values, z[name], atol=1e-5)


def test_the_model_hears_every_level(vae):
    notes = broken_chords(0)
    tokens, z = tokenize(notes), vae.encode(notes)
    own = vae.nats(tokens, z=z)
    for name in z:
        changed = vae.nats(tokens, z={**z, name: z[name] + 1})
        assert np.abs(changed - own).max() > 1e-4, name
    late = {**z, "fine": z["fine"].copy()}
    late["fine"][5:] += 1.0  # from 7.5 s on
    differs = np.flatnonzero(vae.nats(tokens, z=late) != own)
    assert token_seconds(tokens)[differs[0]] >= 7.5


def test_without_latents_of_its_own_the_surprise_knows_nothing_of_the_piece(vae):
    """Changing later tokens moves nothing before them, as in mode transformer."""
    tokens = tokenize(broken_chords(0))
    changed = tokens.copy()
    changed[20:] = VOCABULARY.note_on_token(60)
    changed[-1] = VOCABULARY.time_shift_token(512)
    np.testing.assert_allclose(vae.nats(tokens)[:20], vae.nats(changed)[:20], atol=1e-5)


def test_trained_without_latents_in_part_it_is_a_transformer_without_them(vae):
    settings = vae.settings.model_dump() | {"latents": vae.settings.latents.model_dump()}
    settings["latents"]["dropout"] = 0.3
    both = MusicTransformerVAEGAN(settings)
    both.load_state_dict(vae.state_dict())
    alone = MusicTransformerVAEGAN({"transformer": settings["transformer"]})
    alone.transformer.load_state_dict(vae.transformer.state_dict())
    tokens = tokenize(broken_chords(1))
    np.testing.assert_array_equal(both.nats(tokens), alone.nats(tokens))
    assert not np.array_equal(vae.nats(tokens), alone.nats(tokens))


def test_a_saved_vae_is_the_same(vae, tmp_path):
    vae.save_pretrained(tmp_path)
    again, notes = load(tmp_path), broken_chords(0)
    for name, values in vae.encode(notes).items():
        np.testing.assert_array_equal(again.encode(notes)[name], values)


def test_pieces_are_drawn_with_latents(vae):
    z = vae.encode(broken_chords(0))
    one, two = (vae.generate(20.0, 8, seed=3, z=values) for values in (z, None))
    assert [notes.pitch.tolist() for notes in one] != [notes.pitch.tolist() for notes in two]


def test_a_transformer_has_no_latents(model):
    with pytest.raises(GibletError, match="has no latents"):
        model.encode(broken_chords(0))
