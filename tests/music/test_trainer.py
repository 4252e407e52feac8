"""The music trainer learns, resumes to the bit, and says what goes wrong."""

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from music.pieces import broken_chords

from giblet.errors import GibletError
from giblet.io.tables import load_yaml
from giblet.music.count_models import TokenCounts
from giblet.music.grammar import possible_tokens
from giblet.music.losses import COMPONENTS
from giblet.music.model import MusicTransformerVAEGAN, load
from giblet.music.monitoring import MonitorSettings
from giblet.music.recipe import MusicSettings, parse_recipe
from giblet.music.tokens import VOCABULARY, tokenize
from giblet.music.trainer import MusicTraining, fit_music

TRAIN = [broken_chords(seed, n_bars=4, shuffled=False) for seed in range(6)]
HELD_OUT = [broken_chords(seed, n_bars=4, shuffled=False) for seed in (10, 11)]


LATENTS = {
    "fine": {"seconds": 1.5, "width": 3, "free_nats": 0.1},
    "local": {"seconds": 6.0, "width": 4, "free_nats": 0.1},
    "global": {"seconds": 48.0, "width": 5, "free_nats": 0.1, "prior": {"kind": "mixture"}},
    "n_token_blocks": 1,
    "n_segment_blocks": 1,
}
SCALES = {"local": {"n_tokens": 16, "width": 8, "n_halvings": 2, "from_step": 1}}
MODES = {
    "transformer": {},
    "vae": {"latents": LATENTS},
    "vae_gan": {"latents": LATENTS, "gan": {"scales": SCALES}},
}
LOSSES = {"token_weights": {}, "constraints": {}, "word_dropout": 0.2, "kl": {"kind": "target"}}
BALANCED = {"vae_gan": {"balance": "gradients"}}


def recipe(steps=4, dropout=0.1, data=(), schedule=(), mode="transformer", **transformer):
    tiny = {"width": 16, "n_heads": 2, "n_layers": 1, "attention": {"window": 16}}
    return MusicSettings.model_validate(
        {
            "model": {"transformer": {**tiny, "dropout": dropout, **transformer}, **MODES[mode]},
            "losses": {} if mode == "transformer" else LOSSES | BALANCED.get(mode, {}),
            "data": {"crop_tokens": 32, "batch_size": 2, **dict(data)},
            "schedule": {
                "steps": steps,
                "warmup_steps": 2,
                "check_every": 2,
                "bfloat16": False,
                **dict(schedule),
            },
        }
    )


@pytest.fixture(scope="module")
def two_steps(tmp_path_factory):
    """Folder, model and messages of a run of two steps, which tests share; not to be changed."""
    folder = tmp_path_factory.mktemp("run")
    short = broken_chords(7, n_bars=1)
    settings = recipe(steps=2, data={"crop_tokens": len(tokenize(short)) + 10})
    messages, logger = [], logging.getLogger("giblet.music.trainer")
    handler = logging.Handler(logging.INFO)
    handler.emit = lambda record: messages.append(record.getMessage())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logger, "level", logging.INFO)
        patch.setattr(logger, "handlers", [handler])
        model = fit_music([*TRAIN, short], HELD_OUT, settings, folder)
    return SimpleNamespace(folder=folder, model=model, settings=settings, messages=messages)


@pytest.mark.parametrize(
    "mode", [*(pytest.param(m, marks=pytest.mark.slow) for m in ("transformer", "vae")), "vae_gan"]
)
def test_a_stopped_run_goes_on_to_the_same_weights(tmp_path, mode):
    settings = recipe(mode=mode)
    whole = fit_music(TRAIN, HELD_OUT, settings, tmp_path / "whole")
    interrupted, steps = tmp_path / "interrupted", []

    class Stopped(Exception):
        pass

    def stop_at_three(self, batch, batch_idx):
        steps.append(self.global_step)
        if self.global_step == 3:
            raise Stopped
        return start(self, batch, batch_idx)

    start = MusicTraining.on_train_batch_start
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MusicTraining, "on_train_batch_start", stop_at_three)
        with pytest.raises(Stopped):
            fit_music(TRAIN, HELD_OUT, settings, interrupted)
    assert steps == [0, 1, 2, 3]
    resumed = fit_music(TRAIN, HELD_OUT, settings, interrupted)
    curves = sorted(folder.name for folder in (interrupted / "curves").iterdir())
    assert curves == ["from_step_0", "from_step_2"]
    for name, weight in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], weight, rtol=0, atol=0, msg=name)
    untrained = MusicTraining(recipe()).model.state_dict()
    assert any(
        not torch.equal(untrained[name], weight) for name, weight in resumed.state_dict().items()
    )


def test_a_checkpoint_of_another_recipe_is_one_line(two_steps):
    for change, part in [
        ({"schedule": {"steps": 6}}, "schedule"),
        ({"model": {"transformer": {"width": 32}}}, "model"),
        ({"data": {"transpose": 1}}, "data"),
    ]:
        other = MusicSettings.model_validate(merged(two_steps.settings.model_dump(), change))
        with pytest.raises(GibletError, match=f"another recipe: its {part} differ"):
            fit_music(TRAIN, HELD_OUT, other, two_steps.folder)


def merged(settings, change):
    """Settings with some values changed, at any depth."""
    if not isinstance(change, dict):
        return change
    return settings | {name: merged(settings[name], value) for name, value in change.items()}


def test_curves_have_every_kind_of_token(two_steps):
    curves = pd.read_csv(two_steps.folder / "curves" / "from_step_0" / "metrics.csv")
    kinds = ["nats", "nats_note_on", "nats_note_off", "nats_time_shift", "nats_velocity"]
    wanted = {f"{part}/{kind}" for part in ("train", "validation") for kind in kinds}
    wanted -= {"train/nats_velocity"}  # a crop may have none
    assert wanted <= {*curves.columns}
    assert curves[sorted(wanted)].notna().any().all()


def test_many_named_values_are_logged_and_move(tmp_path, monkeypatch, caplog):
    """With all parts at least 30 are in the curves, and none stays the same; a monitor sees all."""
    strict = MonitorSettings(least_kl=1e9, patience=1, warmup_steps=0)
    monkeypatch.setattr("giblet.music.trainer.MonitorSettings", lambda: strict)
    settings = recipe(steps=3, mode="vae_gan", schedule={"check_every": 1})
    fit_music(TRAIN, HELD_OUT, settings, tmp_path)
    assert any("kl_fine is" in message and "kl collapse" in message for message in caplog.messages)
    curves = pd.read_csv(tmp_path / "curves" / "from_step_0" / "metrics.csv")
    train = curves[[name for name in curves if name.startswith("train/")]]
    moved = [name for name in train if train[name].nunique() > 1]
    assert len(moved) >= 30
    assert {name.removeprefix("train/") for name in train} <= COMPONENTS.keys()
    for name in ("kl_fine", "kl_global", "beta", "rhythm", "r1_local", "entropy", "share_rhythm"):
        assert f"train/{name}" in moved
    assert curves["validation/nats_own_z"].nunique() > 1
    r1 = train["train/r1_local"].dropna()
    assert (r1 > 0).all()


def test_validation_is_the_models_mean_surprise(two_steps):
    curves = pd.read_csv(two_steps.folder / "curves" / "from_step_0" / "metrics.csv")
    nats = [two_steps.model.nats(tokenize(n), n.beats, float(n.onset[0])) for n in HELD_OUT]
    last = curves["validation/nats"].dropna().iloc[-1]
    assert last == pytest.approx(np.concatenate(nats).mean(), abs=1e-4)


def test_the_learning_rate_warms_up_and_falls():
    module = MusicTraining(recipe(steps=100, schedule={"warmup_steps": 10, "final_share": 0.1}))
    shares = [module._share(step) for step in range(101)]
    assert shares[0] == pytest.approx(0.1, abs=1e-3)
    assert max(shares) == pytest.approx(1, abs=0.03)
    assert shares[-1] == pytest.approx(0.1)
    assert (np.diff(shares[10:]) < 0).all()


def test_pieces_shorter_than_a_crop_are_counted(two_steps):
    n_tokens = two_steps.settings.data.crop_tokens
    line = f"1 of 7 pieces are shorter than a crop of {n_tokens} tokens: they are padded"
    assert line in two_steps.messages


def test_a_loss_that_is_no_number_stops_the_run(tmp_path):
    wild = {"learning_rate": 1e30, "gradient_clip": 1e30}
    settings = recipe(steps=9, schedule=wild)
    with pytest.raises(GibletError, match=r"is not a finite number\. Lower schedule"):
        fit_music(TRAIN, HELD_OUT, settings, tmp_path)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"model": {"transformer": {"widht": 3}}}, "r.yaml: model.transformer.widht: extra"),
        ({"data": {"crop_tokens": 1}}, "r.yaml: data.crop_tokens: input should be greater"),
        ({"schedule": {"steps": 0}}, "r.yaml: schedule.steps: input should be greater"),
        ({"model": {"gan": {}}}, "r.yaml: model: value error, gan needs latents"),
        ("text", "r.yaml: recipe: "),
        (
            {"model": {"latents": {}, "gan": {}}, "data": {"crop_tokens": 128}},
            "r.yaml: recipe: value error, data.crop_tokens (128) is shorter than a window of the "
            "discriminator global (256)",
        ),
    ],
)
def test_a_wrong_recipe_is_one_line(settings, said):
    with pytest.raises(GibletError) as error:
        parse_recipe(settings, "r.yaml")
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


# A run of its own process: ``mode``, folder, number of devices, and the step at which it is killed.
SCRIPT = """
import os, signal, sys

import torch
from music.test_trainer import HELD_OUT, TRAIN, recipe
from giblet.music.trainer import MusicTraining, fit_music

mode, folder, devices, last = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

def stop(self, batch, batch_idx):
    if self.global_step == last:
        os.kill(os.getpid(), signal.SIGKILL)
    return start(self, batch, batch_idx)

def keep(self):
    torch.save(self.state_dict(), f"{folder}/weights_{self.global_rank}.pt")

start, MusicTraining.on_train_batch_start = MusicTraining.on_train_batch_start, stop
MusicTraining.on_train_end = keep
fit_music(TRAIN, HELD_OUT, recipe(mode=mode, dropout=0.0, schedule={"devices": devices}), folder)
"""


def run_script(place, mode, folder, devices=1, last=-1):
    script = place / "run.py"
    script.write_text(SCRIPT)
    tests = Path(__file__).parents[1]
    paths = os.pathsep.join([str(tests), str(tests.parent), os.environ.get("PYTHONPATH", "")])
    folder.mkdir(exist_ok=True)
    command = [sys.executable, str(script), mode, str(folder), str(devices), str(last)]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True)


def weights_of(folder, rank=0):
    return torch.load(folder / f"weights_{rank}.pt", weights_only=True)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_a_killed_run_goes_on_to_the_same_weights(tmp_path, mode):
    """All of them: of the discriminators too, and what schedules and the balancer keep."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run_script(tmp_path, mode, whole)
    assert run_script(tmp_path, mode, killed, last=3).returncode == -signal.SIGKILL
    assert not (killed / "weights_0.pt").exists()
    assert run_script(tmp_path, mode, killed).returncode == 0
    assert (killed / "curves" / "from_step_2").is_dir()
    expected, found = weights_of(whole), weights_of(killed)
    assert expected.keys() == found.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, rtol=0, atol=0, msg=name)


@pytest.mark.slow
def test_two_processes_train_one_model(tmp_path):
    """As one process does on batches of twice the size; its discriminators are the same, too."""
    run = run_script(tmp_path, "transformer", tmp_path / "two", devices=2)
    assert run.returncode == 0, run.stderr.decode()
    data = {"batch_size": 4}
    settings = recipe(dropout=0.0, data=data)
    alone = fit_music(TRAIN, HELD_OUT, settings, tmp_path / "alone").state_dict()
    two = weights_of(tmp_path / "two")
    for name, weight in alone.items():
        torch.testing.assert_close(two[f"model.{name}"], weight, rtol=1e-4, atol=1e-5, msg=name)
    assert run_script(tmp_path, "vae_gan", tmp_path / "gan", devices=2).returncode == 0
    ranks = [weights_of(tmp_path / "gan", rank) for rank in (0, 1)]
    fresh = MusicTraining(recipe(mode="vae_gan")).state_dict()
    for name, weight in ranks[0].items():
        torch.testing.assert_close(ranks[1][name], weight, rtol=0, atol=0, msg=name)
    name = "objective.adversary.discriminators.local.score.parametrizations.weight.original"
    assert not torch.equal(ranks[0][name], fresh[name])


@pytest.mark.slow
def test_it_learns_more_than_how_often_tokens_come(tmp_path):
    train = [broken_chords(seed) for seed in range(20)]
    held_out = [broken_chords(seed) for seed in range(100, 104)]
    settings = recipe(
        steps=400,
        dropout=0.0,
        width=48,
        attention={"window": 64},
        n_layers=2,
        data={"crop_tokens": 128, "batch_size": 4},
        schedule={"learning_rate": 3e-3, "warmup_steps": 10, "check_every": 400},
    )
    model = fit_music(train, held_out, settings, tmp_path)
    counts = TokenCounts([tokenize(notes) for notes in train], 1, VOCABULARY.size)
    tokens = [tokenize(notes) for notes in held_out]
    unigram = np.concatenate([counts.nats(each, possible_tokens(each)) for each in tokens]).mean()
    nats = [model.nats(each, n.beats) for each, n in zip(tokens, held_out, strict=True)]
    assert np.concatenate(nats).mean() < unigram - 0.5


def test_a_vae_goes_on_from_a_transformer(two_steps, tmp_path):
    first = two_steps.model
    first.save_pretrained(tmp_path / "model")
    settings = recipe(steps=1, mode="vae", schedule={"learning_rate": 1e-9, "check_every": 1})
    started = settings.model_copy(update={"start_from": str(tmp_path / "model")})
    vae = fit_music(TRAIN, HELD_OUT, started, tmp_path / "second")
    for name, value in first.transformer.state_dict().items():
        torch.testing.assert_close(vae.transformer.state_dict()[name], value, atol=1e-6, rtol=0)


def test_start_from_is_the_same_network(tmp_path):
    MusicTransformerVAEGAN(recipe(n_layers=2).model).save_pretrained(tmp_path / "model")
    settings = recipe(n_layers=1, width=32).model_copy(
        update={"start_from": str(tmp_path / "model")}
    )
    with pytest.raises(GibletError, match=r"start_from is another network .* differs"):
        fit_music(TRAIN, HELD_OUT, settings, tmp_path / "second")
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize("name", ["bundled", "bundled_finish", "vae"])
def test_shipped_recipes_are_recipes(name):
    path = Path(__file__).parents[2] / "config" / "music" / f"{name}.yaml"
    settings = parse_recipe(load_yaml(path), str(path))
    assert settings.model.mode == ("vae" if name == "vae" else "transformer")
    own = MusicTransformerVAEGAN(settings.model).transformer.state_dict()
    bundled = load("bundled").transformer.state_dict()
    assert {n: w.shape for n, w in own.items()} == {n: w.shape for n, w in bundled.items()}
