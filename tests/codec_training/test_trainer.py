"""The codec lab's trainer learns, resumes, says what goes wrong; its codec codes as trained."""

import logging

import numpy as np
import pytest
import soundfile
import torch
import yaml
from pydantic import ValidationError
from safetensors.torch import load_file

from giblet.audio.codecs.codec import load_codec
from giblet.codec_training.data import RandomCrops
from giblet.codec_training.recipe import CodecSettings, DataSettings, parse_recipe
from giblet.codec_training.trainer import CodecTraining, fit_codec
from giblet.codec_training.validation import code_use, sound_scores, warn_of_collapse
from giblet.commands.codec import train
from giblet.errors import GibletError

RATE = 24000
NETWORK = {"architecture": "encodec", "num_filters": 2, "quantizer": {"dead_below": 0.1}}
DATA = {
    "kind_weights": {"speech": 1.0},
    "crop_seconds": 0.25,
    "batch_size": 2,
    "validation_seconds": 0.5,
    "validation_crops": 2,
}
SCHEDULE = {
    "steps": 4,
    "steps_without_codebooks": 2,
    "batches_for_kmeans": 2,
    "check_every": 2,
    "bfloat16": False,
}


def recipe(**changes):
    """A tiny run's settings; a dict given for a part is put on top of it."""
    parts = {"network": NETWORK, "data": DATA, "schedule": SCHEDULE}
    return CodecSettings(**{k: {**v, **changes.pop(k, {})} for k, v in parts.items()}, **changes)


@pytest.fixture(scope="module")
def speech(voice_file):
    """2 s of one clear voice, (48000,) float32."""
    return soundfile.read(voice_file, start=2 * RATE, stop=4 * RATE, dtype="float32")[0]


def fit(speech, folder, settings, **kwargs):
    return fit_codec({"speech": [speech]}, {"speech": [speech]}, settings, str(folder), **kwargs)


@pytest.fixture(scope="module")
def clip(speech):
    """1 s of it: a single crop."""
    return speech[: RATE + 1]


@pytest.fixture(scope="module")
def fitted(clip, tmp_path_factory):
    """A small codec after a short run on one clip, with fewer codewords than it has frames."""
    settings = CodecSettings(
        network={
            "architecture": "mdct",
            "width": 160,
            "codebook_size": 64,
            "quantizer": {"dropout": 0.0, "dead_below": 0.1},
        },
        data={**DATA, "crop_seconds": 1.0, "gain_db": (0.0, 0.0)},
        schedule={
            **SCHEDULE,
            "steps": 40,
            "steps_without_codebooks": 20,
            "check_every": 40,
            "warmup_steps": 10,
            "learning_rate": 2e-3,
        },
    )
    return fit(clip, tmp_path_factory.mktemp("training"), settings)


def snr_db(reference, estimate):
    error = np.square(reference - estimate).sum()
    return 10 * np.log10(np.square(reference).sum() / error)


@pytest.mark.slow
def test_a_short_fit_on_one_clip_reaches_its_waveform(fitted, clip):
    with torch.no_grad():
        estimate = fitted(torch.from_numpy(clip)[None, None])[0, 0].numpy()
    assert snr_db(clip, estimate) > 15.0


def test_the_saved_codec_codes_as_the_trained_one(fitted, clip, tmp_path):
    fitted.save(tmp_path)
    codec = load_codec(str(tmp_path), 8 * 6 * 75 / 1000)
    with torch.no_grad():
        codes = fitted.quantize(fitted.encode(torch.from_numpy(clip)[None, None]))[1]
    expected = codes[0].T.numpy()  # (8, n_frames)
    assert (codec.encode(clip) == expected).mean() > 0.99  # single precision: near ties
    assert all(len(np.unique(row)) > 20 for row in expected)


def test_the_optimizer_is_as_codecs_need_it():
    (optimizer,) = CodecTraining(recipe()).configure_optimizers()
    assert isinstance(optimizer, torch.optim.AdamW)
    assert optimizer.defaults["lr"] == 3e-4
    assert optimizer.defaults["betas"][0] <= 0.8


@pytest.mark.parametrize("balance", ["gradients", pytest.param("weights", marks=pytest.mark.slow)])
def test_a_stopped_run_goes_on_to_the_same_losses(speech, tmp_path, balance):
    """Identity: four steps, or two, a stop and two more, give the same weights."""
    judged = {"kind": "period", "parameters": {"periods": [2], "width": 2}}
    settings = recipe(balance=balance, discriminator=judged, schedule={"average_decay": 0.9})
    whole = fit(speech, tmp_path / "whole", settings)
    interrupted, steps = tmp_path / "interrupted", []

    class Stopped(Exception):
        pass

    def stop_at_three(self, batch, batch_idx):
        steps.append(self.global_step)
        if self.global_step == 3:
            raise Stopped
        return start(self, batch, batch_idx)

    start = CodecTraining.on_train_batch_start
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CodecTraining, "on_train_batch_start", stop_at_three)
        with pytest.raises(Stopped):
            fit(speech, interrupted, settings)
    assert steps == [0, 1, 2, 3]  # the judge's steps are not counted
    resumed = fit(speech, interrupted, settings)
    curves = sorted(folder.name for folder in (interrupted / "curves").iterdir())
    assert curves == ["from_step_0", "from_step_2"]  # nothing is lost
    for name, weight in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], weight, rtol=0, atol=0, msg=name)


@pytest.mark.parametrize(
    "changes",
    [{"schedule": {"steps": 6}}, {"network": {"num_filters": 4}}, {"losses": {"stft": 1}}],
)
def test_a_checkpoint_of_another_recipe_is_refused(speech, tmp_path, changes):
    fit(speech, tmp_path, recipe())
    with pytest.raises(GibletError, match=f"another recipe: its {min(changes)} differ"):
        fit(speech, tmp_path, recipe(**changes))


@pytest.mark.parametrize(
    "architecture",
    [
        "encodec",
        "mdct",
        pytest.param("snake", marks=pytest.mark.slow),
        pytest.param("hierarchical", marks=pytest.mark.slow),
    ],
)
def test_every_architecture_trains_with_every_loss(speech, tmp_path, architecture):
    tiny = {
        "encodec": NETWORK,
        "snake": {"encoder_hidden_size": 4, "decoder_hidden_size": 64, "n_codebooks": 4},
        "hierarchical": {"num_filters": 4, "latent_dim": 16, "compression": [32, 64, 128]},
        "mdct": {"width": 64, "codebook_dim": 32, "n_codebooks": 4},
    }[architecture]
    names = ("waveform", "stft", "log_mel", "phase", "mfcc", "harmonic", "rhythm", "timbre")
    settings = CodecSettings(
        network={"codebook_size": 16, **tiny, "architecture": architecture},
        data=DATA,
        schedule=SCHEDULE,
        losses=dict.fromkeys(names, 1.0),
        balance="gradients",
        discriminator={"kind": "stft", "parameters": {"n_ffts": [256], "width": 2}, "every": 2},
    )
    network = fit(speech, tmp_path, settings)
    assert network.codebooks_started
    header = (tmp_path / "curves/from_step_0/metrics.csv").read_text().splitlines()[0].split(",")
    logged = {"snr_db", "si_sdr_db", "spectral_convergence", "log_mel_db", "stoi", "pesq_wb"}
    assert {f"validation/{name}" for name in logged | {"use_0", "perplexity_0"}} <= set(header)
    assert {f"share/{name}" for name in (*names, "adversarial", "features")} <= set(header)


def test_a_loss_that_is_no_number_stops_the_run(speech, tmp_path):
    settings = recipe(schedule={"learning_rate": 1e20, "gradient_clip": 1e20, "warmup_steps": 1})
    with pytest.raises(GibletError, match=r"step \d: the loss .* is not a finite number"):
        fit(speech, tmp_path, settings)


def test_collapse_is_seen_early(speech, caplog):
    sound = torch.from_numpy(speech)[None]
    scores = sound_scores(sound, 10 * sound, RATE)
    scores |= code_use(torch.zeros(1, 150, 1, dtype=torch.long), codebook_size=1024)
    assert scores["use_0"] == pytest.approx(1 / 150)
    with caplog.at_level(logging.WARNING):
        warn_of_collapse(7, scores)
    assert "step 7: codebook 0: 0.7 % in use" in caplog.text
    assert "10 times as loud" in caplog.text
    healthy = sound_scores(sound, sound, RATE)
    healthy |= code_use(torch.arange(150)[None, :, None], codebook_size=1024)
    assert healthy["use_0"] == 1
    assert healthy["perplexity_0"] == pytest.approx(1.0)
    caplog.clear()
    warn_of_collapse(8, healthy)
    assert not caplog.text


def test_scores_of_the_same_sound_are_perfect(speech):
    sound = torch.from_numpy(speech)[None]
    scores = sound_scores(sound, sound, RATE)
    assert scores["snr_db"] > 60
    assert scores["stoi"] == pytest.approx(1.0, abs=1e-3)
    assert scores["pesq_wb"] > 4.6
    assert scores["log_mel_db"] == scores["spectral_convergence"] == 0
    assert np.isnan(sound_scores(0 * sound, sound, RATE)["stoi"])  # silence has no scores


def test_a_slurm_job_of_several_tasks_trains_one_codec(speech, tmp_path, monkeypatch):
    for name, value in {"SLURM_JOB_NAME": "codec", "SLURM_NTASKS": "8"}.items():
        monkeypatch.setenv(name, value)
    fit(speech, tmp_path, recipe())


def test_crops_need_not_be_whole_frames(speech, tmp_path):
    """0.21 s is 15.75 frames: the decoder gives a little more than it was given."""
    network = fit(speech, tmp_path, recipe(data={"crop_seconds": 0.21}))
    assert network.settings.num_filters == 2


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ({"netwrok": {}}, "netwrok"),
        ({"network": {"architecture": "encodec", "num_filtres": 2}}, "num_filtres"),
        ({"network": {"architecture": "wavenet"}}, "wavenet"),
        ({"schedule": {"stepps": 3}}, "stepps"),
        ({"schedule": {"steps": 3, "steps_without_codebooks": 3}}, "must be less than"),
        ({"discriminator": {"loss": "wasserstein"}}, "discriminator.loss"),
        ({"data": {"crop_seconds": -1}}, "crop_seconds"),
    ],
)
def test_a_wrong_recipe_names_what_is_wrong(wrong, key):
    with pytest.raises(GibletError, match=key):
        parse_recipe(wrong, "recipe.yaml")


def test_settings_cannot_change_during_a_run():
    with pytest.raises(ValidationError):
        recipe().schedule.steps = 3


@pytest.fixture
def crops(speech):
    def make(first=0, **changes):
        settings = DataSettings(**{**DATA, **changes})
        return iter(RandomCrops({"speech": [speech]}, RATE, settings, seed=3, first=first))

    return make


def test_crops_are_the_same_for_the_same_seed_and_place(crops):
    one, other, later = crops(), crops(), crops(first=2)
    first = [next(one) for _ in range(4)]
    for expected in first:
        torch.testing.assert_close(next(other), expected, rtol=0, atol=0)
    torch.testing.assert_close(next(later), first[2], rtol=0, atol=0)
    assert not torch.equal(first[0], first[1])


def test_crops_are_normalised_not_clipped(crops, speech):
    loud = crops(gain_db=(40.0, 40.0))
    peaks, signs = [], set()
    for _ in range(20):
        crop = next(loud)[0].numpy()
        peaks.append(np.abs(crop).max())
        signs.add(bool(crop[np.abs(crop).argmax()] > 0))
        assert (np.abs(crop) > 0.999).sum() <= 2  # a clipped crop would stay at its peak
    assert max(peaks) <= 1.0
    assert signs == {True, False}  # both polarities


def test_kinds_are_drawn_by_their_weight():
    sounds = {"speech": [np.full(9000, 0.5)], "music": [np.full(9000, 0.1)]}
    settings = DataSettings(
        kind_weights={"speech": 3.0, "music": 1.0}, crop_seconds=0.1, gain_db=(0.0, 0.0)
    )
    crops = iter(RandomCrops(sounds, RATE, settings, seed=0))
    loud = [abs(next(crops)[0, 0].item()) > 0.3 for _ in range(400)]
    assert np.mean(loud) == pytest.approx(0.75, abs=0.08)


def test_nothing_to_train_on_is_an_error():
    with pytest.raises(GibletError, match=r"no sound of kind speech is longer than 0\.25 s"):
        RandomCrops({"speech": [np.zeros(100)]}, RATE, DataSettings(**DATA), seed=0)


@pytest.fixture
def sound_folders(speech, tmp_path):
    """Folders ``train`` and ``validation`` with one kind of sound, and a recipe for them."""
    for split in ("train", "validation"):
        (tmp_path / split / "speech").mkdir(parents=True)
        soundfile.write(tmp_path / split / "speech" / "one.flac", speech, RATE)
    write_recipe(tmp_path / "recipe.yaml")
    return tmp_path


def write_recipe(file, **changes):
    file.write_text(yaml.safe_dump(recipe(**changes).model_dump(mode="json")))


def run_verb(folder, recipe="recipe.yaml", sounds="train", logs="logs"):
    train(
        sounds=folder / sounds,
        validation=folder / "validation",
        recipe=folder / recipe,
        logs=folder / logs,
        codec=folder / "codec",
    )


@pytest.mark.slow
def test_train_then_go_on_from_it(sound_folders, speech):
    """With a learning rate of nearly nothing the network stays what it was."""
    run_verb(sound_folders)
    codec = load_codec(str(sound_folders / "codec"), 6.0)
    assert codec.encode(speech).shape == (8, 150)
    before = load_file(sound_folders / "codec" / "model.safetensors")
    assert {w.dtype for w in before.values() if w.is_floating_point()} == {torch.float16}

    start = str(sound_folders / "codec")
    write_recipe(sound_folders / "tune.yaml", start_from=start, schedule={"learning_rate": 1e-9})
    run_verb(sound_folders, recipe="tune.yaml", logs="tuning")
    after = load_file(sound_folders / "codec" / "model.safetensors")
    names = [n for n in before if n.startswith(("encoder", "decoder"))]
    assert names
    assert all(torch.allclose(before[n], after[n], atol=1e-6) for n in names)


def test_fine_tuning_another_network_is_refused(sound_folders):
    write_recipe(sound_folders / "other.yaml", start_from="bundled")
    with pytest.raises(GibletError, match="another network than the recipe's: mdct"):
        run_verb(sound_folders, recipe="other.yaml")
    narrow = {"start_from": "bundled", "network": {"architecture": "mdct", "width": 128}}
    (sound_folders / "narrow.yaml").write_text(yaml.safe_dump(narrow | {"data": DATA}))
    with pytest.raises(GibletError, match=r"another network than the recipe's.*shape"):
        run_verb(sound_folders, recipe="narrow.yaml")


def test_going_on_with_another_function_of_the_weights_is_refused():
    """Settings that no weight shows: the codec that is saved would not be the one trained."""
    network = {"architecture": "mdct", "width": 16, "codebook_dim": 8, "codebook_size": 8}
    started = CodecTraining(CodecSettings(network={**network, "companding": 0.7})).network
    with pytest.raises(GibletError, match=r"its companding is 0\.7\. Give the recipe's network"):
        CodecTraining(CodecSettings(network=network)).go_on_from(started)
    as_it_learns = {"quantizer": {"learn_by": "none"}, "beam_size": 3, "companding": 0.7}
    CodecTraining(CodecSettings(network={**network, **as_it_learns})).go_on_from(started)


def test_train_refuses_what_it_cannot_use(sound_folders):
    (sound_folders / "wrong.yaml").write_text("num_filtres: 2")
    with pytest.raises(GibletError, match=r"wrong.yaml: num_filtres"):
        run_verb(sound_folders, recipe="wrong.yaml")
    with pytest.raises(GibletError, match=r"absent.yaml: no such file"):
        run_verb(sound_folders, recipe="absent.yaml")
    with pytest.raises(GibletError, match=r"nothing: no sounds in its folders speech"):
        run_verb(sound_folders, sounds="nothing")
    assert not (sound_folders / "codec").exists()
