"""The codec lab: a start from which training works, and an export that codes as it was trained."""

import numpy as np
import pytest
import soundfile
import torch
import yaml
from pydantic import ValidationError
from safetensors.torch import load_file
from transformers import EncodecModel

from giblet.audio.codec import load_codec
from giblet.checks import GibletError
from giblet.codec.data import RandomCrops
from giblet.codec.networks import build_encodec, start_near_identity
from giblet.codec.quantizer import build_quantizer
from giblet.codec.settings import CodecSettings, parse_recipe
from giblet.codec.trainer import CodecTraining, fit_codec
from giblet.codec.verbs import train_codec

RATE = 24000
TINY = {"num_filters": 8, "kind_weights": {"speech": 1.0}, "bfloat16": False}


def read_speech(shared, begin, end):
    file = shared / "audio/validation/speech/librispeech_3436_172162_0000.flac"
    return soundfile.read(file, start=int(begin * RATE), stop=int(end * RATE), dtype="float32")[0]


@pytest.fixture(scope="module")
def speech(shared):
    """2 s of one clear voice, (48000,) float32."""
    return read_speech(shared, 2.0, 4.0)


@pytest.fixture(scope="module")
def fitted(speech, tmp_path_factory):
    """A small codec after 60 steps on one clip, its training module, and starts of codebooks."""
    settings = CodecSettings(
        **TINY,
        crop_seconds=0.5,
        steps=60,
        steps_without_codebooks=45,
        batches_for_kmeans=8,
        batch_size=4,
        warmup_steps=10,
        learning_rate=4e-3,
        gain_db=(0.0, 0.0),
    )
    modules, starts = [], []
    start_codebooks = CodecTraining._start_codebooks

    def counted(self):
        modules.append(self)
        start_codebooks(self)
        starts.append([bool(layer._codebook.initted) for layer in self.quantizer.layers])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CodecTraining, "_start_codebooks", counted)
        folder = tmp_path_factory.mktemp("training")
        model = fit_codec({"speech": [speech]}, {"speech": [speech]}, settings, str(folder))
    return model, modules[0], starts


def snr_db(reference, estimate):
    error = np.square(reference - estimate).sum()
    return 10 * np.log10(np.square(reference).sum() / error)


def correlation_after(model, sound):
    """Of ``sound`` with what encoder and decoder make of it, nothing quantized."""
    with torch.no_grad():
        estimate = model.decoder(model.encoder(sound))
    return torch.corrcoef(torch.stack([sound.flatten(), estimate.flatten()]))[0, 1].item()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_start_near_identity_keeps_the_waveform_before_any_training(speech, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build_encodec(**CodecSettings(**TINY).encodec_fields())
        sound = torch.from_numpy(speech)[None, None]
        assert abs(correlation_after(model, sound)) < 0.05  # transformers' own start: nothing
        start_near_identity(model, sound)
    assert correlation_after(model, sound) > 0.2
    with torch.no_grad():
        level = model.decoder(model.encoder(sound)).std() / sound.std()
    assert level == pytest.approx(1.0, rel=0.01)


def test_a_short_fit_on_one_clip_reaches_its_waveform(fitted, speech):
    model, _, _ = fitted
    with torch.no_grad():
        codes = model.encode(torch.from_numpy(speech)[None, None], bandwidth=6.0).audio_codes
        estimate = model.decode(codes, [None]).audio_values[0, 0].numpy()
    assert snr_db(speech, estimate) > 2.0


def test_the_codebooks_start_once_and_all_of_them(fitted):
    _, _, starts = fitted
    assert starts == [[True] * 8]


def test_a_resumed_run_does_not_start_them_again(fitted):
    _, module, _ = fitted
    resumed = CodecTraining(module.settings.model_dump())
    assert not resumed.codebooks_started
    resumed.load_state_dict(module.state_dict())
    assert resumed.codebooks_started
    assert resumed.started


def test_every_codebook_is_used(fitted, speech):
    model, _, _ = fitted
    with torch.no_grad():
        codes = model.encode(torch.from_numpy(speech)[None, None], bandwidth=6.0).audio_codes[0, 0]
    assert min(row.unique().numel() for row in codes) > 50


def test_the_exported_folder_codes_as_the_trainer_did(fitted, speech, tmp_path):
    model, module, _ = fitted
    model.save_pretrained(tmp_path)
    sound = torch.from_numpy(speech)[None, None]
    loaded = EncodecModel.from_pretrained(tmp_path).eval()
    module.eval()
    with torch.no_grad():
        _, expected, _ = module.quantizer(module.encode(sound))  # (1, n_frames, n_codebooks)
        codes = loaded.encode(sound, bandwidth=6.0).audio_codes[0, 0]
    assert (codes == expected[0].T).double().mean() > 0.995
    np.testing.assert_array_equal(load_codec(str(tmp_path), 6.0).encode(speech), codes)


def test_lower_bandwidths_decode_too(fitted, speech):
    model, _, _ = fitted
    with torch.no_grad():
        codes = model.encode(torch.from_numpy(speech)[None, None], bandwidth=6.0).audio_codes
        sounds = [model.decode(codes[:, :, :n], [None]).audio_values[0, 0] for n in (2, 4, 8)]
    scores = [snr_db(speech, sound.numpy()) for sound in sounds]
    assert scores == sorted(scores)
    assert scores[0] > 0


def test_an_export_without_codebooks_is_refused():
    module = CodecTraining(CodecSettings(**TINY).model_dump())
    with pytest.raises(RuntimeError, match="codebooks were never started"):
        module.export()


def test_the_quantizer_has_the_models_geometry():
    model = build_encodec(num_filters=2, num_lstm_layers=1, target_bandwidths=[1.5, 3.0])
    quantizer = build_quantizer(model)
    assert [tuple(layer.codebook.shape) for layer in quantizer.layers] == [(1024, 128)] * 4


@pytest.mark.parametrize("wrong", ["num_filter", "batchsize", "learning_rates"])
def test_a_misspelt_key_is_an_error(wrong):
    with pytest.raises(ValidationError, match=wrong):
        CodecSettings(**{wrong: 1})
    with pytest.raises(GibletError, match=f"recipe.yaml: {wrong}: extra inputs are not permitted"):
        parse_recipe({wrong: 1}, "recipe.yaml")


def test_a_recipe_that_ends_before_its_codebooks_start_is_an_error():
    message = r"steps_without_codebooks: value error, 1000 must be less than steps \(800\)"
    with pytest.raises(GibletError, match=message):
        parse_recipe({"steps": 800}, "recipe.yaml")


def test_settings_cannot_change_during_a_run():
    with pytest.raises(ValidationError, match="frozen"):
        CodecSettings().steps = 3


@pytest.fixture
def crops(rng):
    settings = CodecSettings(crop_seconds=0.1, kind_weights={"speech": 0.9, "music": 0.1})
    sounds = {
        "speech": [np.full(5000, 0.1, dtype=np.float32), np.full(20000, 0.2, dtype=np.float32)],
        "music": [np.full(3000, 0.9, dtype=np.float32)],
    }
    return lambda seed: RandomCrops(sounds, RATE, settings, seed)


def drawn(crops, n):
    return torch.stack([crop for crop, _ in zip(crops, range(n), strict=False)])


def test_crops_are_the_same_for_the_same_seed(crops):
    first, again, other = (drawn(crops(seed), 20) for seed in (1, 1, 2))
    assert first.shape == (20, 1, 2400)
    assert first.dtype == torch.float32
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_crops_keep_below_full_scale_in_both_polarities(crops):
    peaks = drawn(crops(0), 200)[:, 0, 0]
    assert peaks.abs().max() <= 1.0
    assert (peaks < 0).any()
    assert (peaks > 0).any()


def test_kinds_are_drawn_by_their_weight():
    """Levels tell the kinds apart: gains are kept at 0 dB."""
    settings = CodecSettings(
        crop_seconds=0.1, kind_weights={"speech": 0.8, "music": 0.2}, gain_db=(0.0, 0.0)
    )
    sounds = {"speech": [np.full(3000, 0.1)], "music": [np.full(90000, 0.9)], "noise": [None]}
    levels = drawn(RandomCrops(sounds, RATE, settings, seed=0), 1000)[:, 0, 0].abs()
    assert (levels < 0.5).double().mean() == pytest.approx(0.8, abs=0.05)


def test_nothing_to_train_on_is_an_error():
    settings = CodecSettings(kind_weights={"speech": 1.0})
    with pytest.raises(GibletError, match=r"no sound of kind speech is longer than 1.0 s"):
        RandomCrops({"speech": [np.zeros(RATE, dtype=np.float32)]}, RATE, settings, seed=0)


@pytest.mark.parametrize("crop_seconds", [0.25, 0.5])
def test_crops_need_not_be_whole_frames(speech, tmp_path, crop_seconds):
    """0.25 s is 18.75 frames: the decoder gives a little more than it was given."""
    settings = CodecSettings(
        **{**TINY, "num_filters": 2},
        crop_seconds=crop_seconds,
        steps=2,
        steps_without_codebooks=1,
        batches_for_kmeans=1,
        batch_size=2,
    )
    model = fit_codec({"speech": [speech]}, {"speech": [speech]}, settings, str(tmp_path))
    assert model.config.num_filters == 2


@pytest.fixture
def sound_folders(speech, tmp_path):
    """Folders ``train`` and ``validation`` with one kind of sound, and a recipe for them."""
    for split in ("train", "validation"):
        (tmp_path / split / "speech").mkdir(parents=True)
        soundfile.write(tmp_path / split / "speech" / "one.flac", speech, RATE)
    recipe = {
        "num_filters": 2,
        "kind_weights": {"speech": 1.0},
        "batch_size": 2,
        "steps": 2,
        "steps_without_codebooks": 1,
        "batches_for_kmeans": 1,
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return tmp_path


def run_verb(folder, recipe="recipe.yaml", sounds="train", logs="logs"):
    train_codec(
        sounds=folder / sounds,
        validation=folder / "validation",
        recipe=folder / recipe,
        logs=folder / logs,
        codec=folder / "codec",
    )


def test_train_codec(sound_folders, speech):
    run_verb(sound_folders)
    codec = load_codec(str(sound_folders / "codec"), 6.0)
    assert codec.encode(speech).shape == (8, 150)
    weights = load_file(sound_folders / "codec" / "model.safetensors")
    assert {w.dtype for w in weights.values() if w.is_floating_point()} == {torch.float16}


def test_fine_tuning_goes_on_from_a_codec(sound_folders, speech):
    """With a learning rate of nearly nothing the network stays what it was."""
    run_verb(sound_folders)
    recipe = yaml.safe_load((sound_folders / "recipe.yaml").read_text())
    recipe |= {"start_from": str(sound_folders / "codec"), "learning_rate": 1e-9}
    (sound_folders / "tune.yaml").write_text(yaml.safe_dump(recipe))
    before = load_file(sound_folders / "codec" / "model.safetensors")
    run_verb(sound_folders, recipe="tune.yaml", logs="tuning")
    after = load_file(sound_folders / "codec" / "model.safetensors")
    names = [n for n in before if n.startswith(("encoder", "decoder"))]
    assert names
    assert all(torch.allclose(before[n], after[n], atol=1e-6) for n in names)


def test_fine_tuning_another_network_is_refused(sound_folders):
    (sound_folders / "other.yaml").write_text("{start_from: bundled, num_filters: 2}")
    with pytest.raises(GibletError, match=r"another network than the recipe's.*shape"):
        run_verb(sound_folders, recipe="other.yaml")


def test_train_codec_refuses_what_it_cannot_use(sound_folders):
    (sound_folders / "wrong.yaml").write_text("num_filtres: 2")
    with pytest.raises(GibletError, match=r"wrong.yaml: num_filtres"):
        run_verb(sound_folders, recipe="wrong.yaml")
    with pytest.raises(GibletError, match=r"absent.yaml: no such file"):
        run_verb(sound_folders, recipe="absent.yaml")
    with pytest.raises(GibletError, match=r"nothing: no sounds in its folders speech"):
        run_verb(sound_folders, sounds="nothing")
    assert not (sound_folders / "codec").exists()
