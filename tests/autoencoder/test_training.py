"""Training: the same each time, blind to the test part, and to the scanner's unit."""

import dataclasses
import itertools
import re
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from factories import T_R, flat_model, scanned, slot_model, small_shapes
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.trainer.connectors.logger_connector import _LoggerConnector
from scipy.signal import lfilter

from giblet.alignment.hrf import tr_kernel
from giblet.alignment.loaders import Windows
from giblet.alignment.shapes import Shapes
from giblet.autoencoder import training
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.autoencoder.callbacks import WATCHED, EpochLines
from giblet.autoencoder.inference import blurred_bottlenecks, bottlenecks, predict_bold
from giblet.autoencoder.objective import Objective, baselines, start_at_baseline
from giblet.autoencoder.training import BottleneckTraining, fit
from giblet.config.sections import ModelConfig, TrainingConfig
from giblet.errors import GibletError
from giblet.io.checkpoints import read_checkpoint
from giblet.log import KEEPS_LOG, log_to_stderr, messages

N_TRS = 90
KERNEL = tr_kernel(T_R, 0.75)
SMALL = flat_model(decoder_dim=16)
BRIEF = TrainingConfig(
    max_epochs=2, frames_per_step=4, window_trs=10, learning_rate=5e-3, bfloat16=False
)
SHAPES = small_shapes()


def make_film(n_trs=N_TRS, seed=0):
    """Codes (with a slot without a frame), pictures and words that know each other."""
    rng = np.random.default_rng(seed)
    state = rng.integers(0, 4, n_trs)  # what happens in each TR
    codes = (4 * state[:, None, None] + rng.integers(0, 2, (n_trs, 2, 8))).astype(np.int32)
    codes[::2, :, -1] = -1
    pictures = 60 * state[:, None, None, None, None] + rng.integers(0, 20, (n_trs, 1, 16, 16, 3))
    words = rng.standard_normal((4, 6))[state]
    return {
        "audio": torch.from_numpy(codes),
        "video": torch.from_numpy(pictures.astype(np.uint8)),
        "text": torch.from_numpy(words.astype(np.float32)),
    }


def make_data(raw_bold=None, film=None):
    return scanned(make_film() if film is None else film, raw_bold)


@pytest.fixture
def raw_bold(rng):
    return rng.standard_normal((2, N_TRS, 5)).astype(np.float32)


def shapes_of(data, shapes=SHAPES):
    return shapes if data.bold is not None else dataclasses.replace(shapes, subjects=())


def make_objective(data, model=SMALL, training=BRIEF, sound=None):
    autoencoder = Autoencoder(shapes_of(data), model)
    objective = Objective(autoencoder, training, baselines(data, autoencoder), sound)
    objective.autoencoder = autoencoder  # kept alive
    return objective


@pytest.fixture
def train(tmp_path):
    """``fit`` on the CPU in a folder of its own; ``.curves`` are its losses."""

    def run(data, shapes=SHAPES, training=BRIEF, seed=0, model=SMALL, folder=None, **more):
        shapes = shapes_of(data, shapes)
        folder = folder or tmp_path / str(len(list(tmp_path.iterdir())))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Lightning's advice on workers and intervals
            trained = fit(data, shapes, model, training, seed, str(folder), **more)
        return trained, trained.history, folder

    return run


def assert_same_training(one, other):
    (trained, curves, _), (trained_too, curves_too, _) = one, other
    pd.testing.assert_frame_equal(curves, curves_too, check_exact=True)
    weights, weights_too = (t.autoencoder.state_dict() for t in (trained, trained_too))
    assert weights.keys() == weights_too.keys()
    for name in weights:
        assert torch.equal(weights[name], weights_too[name]), name


def test_the_same_seed_gives_the_same_model(train, raw_bold):
    data, state = make_data(raw_bold), torch.random.get_rng_state()
    one = train(data, seed=3)
    assert_same_training(one, train(data, seed=3))
    assert torch.equal(torch.random.get_rng_state(), state)  # and nobody else's numbers change
    other = train(data, seed=4)[0].autoencoder
    assert not torch.equal(one[0].autoencoder.join.mix.weight, other.join.mix.weight)


SLOTS = slot_model(variational=True, slot_dim=4, slot_width=8, frame_width=8)


class StoppedError(Exception):
    """As if the process had been killed here."""


def stop_at(monkeypatch, owner, method, call):
    """Stop at the ``call``-th call of a method, counted from 0."""
    original, calls = getattr(owner, method), itertools.count()

    def stopping(*args, **kwargs):
        if next(calls) == call:
            raise StoppedError
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, method, stopping)


@pytest.fixture(scope="module")
def undisturbed():
    """Runs that were not stopped, by make."""
    return {}


@pytest.mark.parametrize("make", ["original", pytest.param("default", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("owner", "method", "call", "begun"),
    [
        (BottleneckTraining, "training_step", 3, 0),  # in the first epoch: nothing is kept
        pytest.param(*(BottleneckTraining, "training_step", 2 * 8 + 4, 2), marks=pytest.mark.slow),
        (BottleneckTraining, "validation_step", 1, 1),  # trained, but not yet validated
        (ModelCheckpoint, "_save_none_monitor_checkpoint", 2, 3),  # after the best was written
        pytest.param(  # its curves were not
            *(_LoggerConnector, "update_train_epoch_metrics", 1, 2), marks=pytest.mark.slow
        ),
    ],
)
def test_a_stopped_run_ends_as_if_it_had_not_been(
    make, owner, method, call, begun, train, raw_bold, tmp_path, monkeypatch, undisturbed
):
    data = make_data(raw_bold)
    longer = BRIEF.model_copy(update={"max_epochs": 3, "balance": "uncertainty"})
    options = {"training": longer, "model": SMALL}
    if make == "default":
        words = torch.linspace(0, 40, 2 * 16 * 128).sin().view(2, 16, 128)
        distance = torch.nn.functional.mse_loss
        options |= {"model": SLOTS, "codebooks": words, "sound": distance}
    if make not in undisturbed:
        undisturbed[make] = train(data, **options)
    with monkeypatch.context() as patch:
        stop_at(patch, owner, method, call)
        with pytest.raises(StoppedError):
            train(data, folder=tmp_path / "stopped", **options)
    gone_on = train(data, folder=tmp_path / "stopped", **options)
    assert_same_training(gone_on, undisturbed[make])
    assert gone_on[0].best_epoch == undisturbed[make][0].best_epoch
    assert gone_on[0].best_loss == undisturbed[make][0].best_loss
    assert (tmp_path / "stopped" / "curves" / f"from_epoch_{begun}").is_dir()


@pytest.mark.parametrize(
    ("damaged", "begun"),
    [
        (["last"], 2),
        pytest.param(["best"], 0, marks=pytest.mark.slow),
        pytest.param(["last", "best"], 0, marks=pytest.mark.slow),
    ],
)
def test_a_damaged_checkpoint_is_named_and_not_read(
    damaged, begun, train, raw_bold, tmp_path, monkeypatch, caplog
):
    data, longer = make_data(raw_bold), BRIEF.model_copy(update={"max_epochs": 3})
    folder = tmp_path / "stopped"
    with monkeypatch.context() as patch:
        stop_at(patch, BottleneckTraining, "training_step", 2 * 9 + 1)
        with pytest.raises(StoppedError):
            train(data, folder=folder, training=longer)
    for name in damaged:
        (file,) = folder.glob(f"{name}*.ckpt")
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 4
        file.write_bytes(content)
    gone_on = train(data, folder=folder, training=longer)
    assert [r.getMessage().split(": ")[0] for r in caplog.records].count(str(file)) == 1
    assert_same_training(gone_on, train(data, training=longer))
    assert (folder / "curves" / f"from_epoch_{begun}").is_dir()


def set_validation_losses(monkeypatch, losses):
    """The loss that is watched, by epoch: where a real one is lowest depends on the processor."""
    log = BottleneckTraining.log

    def log_instead(self, name, value, **options):
        value = torch.full_like(value, losses[self.current_epoch]) if name == WATCHED else value
        log(self, name, value, **options)

    monkeypatch.setattr(BottleneckTraining, "log", log_instead)


@pytest.mark.parametrize("ended", [False, True])
def test_patience_lasts_over_a_stop(ended, train, monkeypatch):
    """A stop while it is being lost, or after the last epoch, before the model was written."""
    set_validation_losses(monkeypatch, [3.0, 1.0, 2.0, 1.5, 0.5, 0.5])
    hasty = BRIEF.model_copy(update={"max_epochs": 6, "patience": 2})
    data = make_data()
    whole, curves, folder = undisturbed = train(data, training=hasty)
    assert (whole.best_epoch, len(curves)) == (1, 4)
    with monkeypatch.context() as patch:
        if ended:
            stop_at(patch, BottleneckTraining, "training_step", 0)  # not a step more
        else:
            folder = folder / "stopped"
            stop_at(patch, BottleneckTraining, "training_step", 9 * (len(curves) - 1) + 1)
            with pytest.raises(StoppedError):
                train(data, training=hasty, folder=folder)
            stop_at(patch, BottleneckTraining, "training_step", 9)  # one epoch is left
        assert_same_training(undisturbed, train(data, training=hasty, folder=folder))


@pytest.mark.parametrize("change", ["seed", "settings", "data"])
def test_another_runs_checkpoint_is_not_gone_on_from(change, train, raw_bold):
    data = make_data(raw_bold)
    options = {"data": data, "training": BRIEF, "seed": 0}
    changes = {
        "seed": {"seed": 1},
        "settings": {"training": BRIEF.model_copy(update={"learning_rate": 1e-3})},
        "data": {"data": make_data(-raw_bold)},
    }
    *_, folder = train(**options | changes[change])
    (folder / "curves" / "from_epoch_0").rename(folder / "curves" / "from_epoch_1")
    assert_same_training(train(**options, folder=folder), train(**options))


def test_held_out_trs_are_never_trained_on(train, raw_bold):
    """Garbage in the test part and the gaps: losses and weights do not notice."""
    clean = make_data(raw_bold)
    hidden = np.isin(clean.part, ["test", "gap"])
    film, garbage = make_film(), make_film(seed=99)
    for modality in film:
        film[modality][hidden] = garbage[modality][hidden]
    film["text"][hidden] = torch.nan
    spoilt = raw_bold.copy()
    spoilt[:, hidden] = 1e6
    assert_same_training(train(clean), train(make_data(spoilt, film)))


def test_the_scanners_unit_changes_no_loss_and_no_weight(train, raw_bold):
    """2 ** 20 is a million without rounding; BOLD is z-scored, so nothing drowns."""
    assert_same_training(train(make_data(raw_bold)), train(make_data(raw_bold * 2.0**20)))


def test_losses_start_near_one_in_every_modality(train, raw_bold):
    data = make_data(raw_bold)
    with torch.no_grad():
        losses, _bottleneck = make_objective(data)(Windows(data, "train", 40)[0])
    assert set(losses) == {"audio", "video", "text", "bold"}
    for modality, loss in losses.items():
        assert 0.3 < loss < 10, modality


@pytest.mark.parametrize("precision", [False, True], ids=["single", "mixed"])
def test_a_steps_gradients_are_clipped(train, raw_bold, monkeypatch, precision):
    """By Lightning's trainer, with the fused optimizer, in both precisions."""
    norms, step = [], torch.optim.AdamW.step

    def watched(self, closure=None):
        def clipped():
            loss = closure()
            grads = [p.grad for g in self.param_groups for p in g["params"] if p.grad is not None]
            norms.append(float(torch.stack([grad.norm() for grad in grads]).norm()))
            return loss

        return step(self, clipped)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    update = {"gradient_clip": 0.01, "bfloat16": precision, "max_epochs": 1}
    train(make_data(raw_bold), training=BRIEF.model_copy(update=update))
    assert max(norms) == pytest.approx(0.01, rel=1e-2)


def test_baselines_are_the_losses_of_having_learned_nothing(raw_bold):
    data = make_data(raw_bold)
    is_train = data.part == "train"
    found = baselines(data, Autoencoder(SHAPES, SMALL))
    words = data.film["text"].numpy()[is_train]
    pictures = data.film["video"].numpy()[is_train] / 255
    assert found["text"] == pytest.approx(words.var(axis=0).mean(), rel=1e-4)
    assert found["video"] == pytest.approx(pictures.var(axis=0).mean(), rel=1e-4)
    assert found["bold"] == pytest.approx(1.0, rel=1e-4)  # the variance of z-scores
    nats = []
    for q in range(2):
        codes = data.film["audio"].numpy()[is_train, q]
        counts = np.bincount(codes[codes >= 0], minlength=16)
        nats.append(-(counts * np.log((counts + 1) / (counts.sum() + 16))).sum() / counts.sum())
    assert found["audio"] == pytest.approx(np.mean(nats))


def test_baselines_of_mel_leave_out_what_has_no_frame():
    film, shapes = make_film(), dataclasses.replace(SHAPES, use_encodec=False, codebook_size=0)
    film["audio"] = torch.where(film["audio"] >= 0, film["audio"] * 3.0 - 60, torch.nan)
    data = make_data(film=film)
    autoencoder = Autoencoder(shapes, SMALL)
    start_at_baseline(autoencoder, data)
    decibels = film["audio"].numpy()[data.part == "train"]
    assert np.isnan(decibels).any()
    assert baselines(data, autoencoder)["audio"] == pytest.approx(
        np.nanmean((decibels - np.nanmean(decibels, axis=0)) ** 2)
    )
    begun = (autoencoder.decoders["audio"].head.bias.detach().numpy() - 1) * 50  # dB
    np.testing.assert_allclose(begun, np.nanmean(decibels, axis=(0, 2)), rtol=1e-5)


@pytest.mark.parametrize("use_encodec", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_training_learns(train, raw_bold, use_encodec):
    film, shapes = make_film(), SHAPES
    if not use_encodec:
        film["audio"] = film["audio"].float() * 3 - 60
        shapes = dataclasses.replace(SHAPES, use_encodec=False, codebook_size=0)
    longer = {"max_epochs": 12, "frames_per_step": 8, "bfloat16": True}  # as by default
    trained, curves, _ = train(make_data(raw_bold, film), shapes, BRIEF.model_copy(update=longer))
    assert curves["validation/audio"].min() < 0.75  # of the baseline
    assert curves["train/audio"].iloc[-1] < 0.8 * curves["train/audio"].iloc[0]
    assert not trained.autoencoder.training


def test_the_best_epoch_is_kept(train):
    trained, curves, _ = train(make_data(), training=BRIEF.model_copy(update={"max_epochs": 5}))
    assert trained.best_loss == pytest.approx(curves["validation/loss"].min(), rel=1e-5)
    assert trained.best_epoch == curves["validation/loss"].idxmin()


def poison(monkeypatch, epoch):
    """From that epoch on, counted from 0, no gradient is a number."""
    step = BottleneckTraining.training_step

    def poisoned(self, window, index):
        return step(self, window, index) * (np.nan if self.current_epoch >= epoch else 1.0)

    monkeypatch.setattr(BottleneckTraining, "training_step", poisoned)


def test_a_loss_that_never_is_a_number_is_no_model(train, monkeypatch, tmp_path):
    poison(monkeypatch, epoch=0)
    with pytest.raises(GibletError, match=r"never a finite number; a smaller training.learning_r"):
        train(make_data(), folder=tmp_path / "logs")
    assert not list((tmp_path / "logs").glob("*.ckpt"))  # the next run begins anew


def test_a_loss_that_is_no_number_any_more_keeps_what_was_learned(train, monkeypatch, caplog):
    poison(monkeypatch, epoch=1)
    trained, *_ = train(make_data(), training=BRIEF.model_copy(update={"max_epochs": 4}))
    assert trained.best_epoch == 0
    assert all(torch.isfinite(p).all() for p in trained.autoencoder.parameters())
    assert "where the loss is no finite number: an earlier epoch is kept" in caplog.text


@pytest.mark.slow
def test_a_log_has_lines_of_epochs_but_does_not_drown_in_them(train, capsys, monkeypatch):
    """Each epoch takes 3 s of this clock: the first, one when 10 s are over, the last."""
    clock = partial(next, itertools.count(100.0, 3.0))
    monkeypatch.setattr(training, "EpochLines", lambda: EpochLines(clock))
    longer = BRIEF.model_copy(update={"max_epochs": 8})
    monkeypatch.setenv(KEEPS_LOG, "1")
    with log_to_stderr():
        _, curves, _ = train(make_data(), training=longer)
    said = messages(capsys.readouterr().err, "INFO")
    weights = make_objective(make_data()).weights
    for line, n, left in zip(said, (1, 5, 8), (21, 9, None), strict=True):
        found = curves.iloc[n - 1]
        learned = sum(weights[name] * found[f"train/{name}"] for name in ("audio", "video", "text"))
        loss, watched = re.findall(r"(\S+) in (?:training|validation)", line)
        assert float(loss) == pytest.approx(learned, rel=1e-3)
        assert float(watched) == pytest.approx(found["validation/loss"], rel=1e-3)
        assert line.startswith(f"epoch {n} of 8: loss ")
        assert line.endswith(f"; at most about {left} s left" if left else "; the last")
    monkeypatch.delenv(KEEPS_LOG)
    with log_to_stderr():
        train(make_data())
    assert "epoch 1" not in capsys.readouterr().err


def test_training_stops_early_when_nothing_gets_better(train, rng, capsys, monkeypatch):
    monkeypatch.setenv(KEEPS_LOG, "1")
    film = make_film()
    film["audio"] = torch.from_numpy(rng.integers(0, 16, (N_TRS, 2, 8)))  # nothing to generalise
    hasty = BRIEF.model_copy(update={"max_epochs": 40, "patience": 2, "learning_rate": 0.02})
    with log_to_stderr():
        trained, curves, _ = train(make_data(film=film), training=hasty)
    assert len(curves) == trained.best_epoch + 1 + 2 < 40
    last = messages(capsys.readouterr().err, "INFO")[-1]
    assert re.fullmatch(rf"epoch {len(curves)} of 40: loss .*; the last", last)


def test_a_checkpoint_carries_its_config_and_no_code(train, raw_bold):
    trained, _, folder = train(make_data(raw_bold))
    checkpoint = read_checkpoint(folder / "best.ckpt")
    settings = checkpoint["hyper_parameters"]
    shapes, model = Shapes.from_dict(settings["shapes"]), ModelConfig(**settings["model"])
    assert (shapes, model) == (SHAPES, SMALL)
    assert TrainingConfig(**settings["training"]) == BRIEF
    assert settings["baselines"] == trained.baselines
    rebuilt = BottleneckTraining(shapes, model, BRIEF)
    rebuilt.set_objective(settings["baselines"], None)
    rebuilt.load_state_dict(checkpoint["state_dict"])
    film = make_data().film
    with torch.inference_mode():
        one, other = (m.eval().encode(film) for m in (rebuilt.autoencoder, trained.autoencoder))
    assert torch.equal(one, other)
    assert list((folder / "tensorboard").rglob("events.*"))


def test_a_constant_modality_is_named():
    film = make_film()
    film["text"][:] = 1.0
    film["video"][:] = 7
    with pytest.raises(GibletError, match="video, text: constant over the training TRs"):
        baselines(make_data(film=film), Autoencoder(SHAPES, SMALL))


def test_bold_counts_only_where_the_window_holds_what_the_hrf_reaches_back_to(raw_bold):
    data = make_data(raw_bold)
    model = Autoencoder(SHAPES, SMALL)
    n_lags = len(KERNEL)  # 23 TRs
    bottleneck = torch.randn(28, 32)

    def loss(begins_run, spoilt):
        bold = data.bold[:, :28].clone()
        bold[:, spoilt] = 1e3
        window = {"bold": bold, "begins_run": begins_run}
        return Objective(model, BRIEF, {})._of_bold(model, bottleneck, window).item()

    nothing = slice(0, 0)
    assert loss(False, slice(0, n_lags - 1)) == loss(False, nothing)
    assert loss(False, slice(n_lags - 1, n_lags)) > 1e3
    assert loss(True, slice(0, 1)) > 1e3  # a run begins in silence: all of it is known


def test_windows_know_where_a_run_begins(raw_bold):
    data = make_data(raw_bold)
    found = Windows(data, "train", 10)
    begins = [int(trs[0]) for i, trs in enumerate(found.windows) if found[i]["begins_run"]]
    assert begins == [0, 30]
    assert not any(w["begins_run"] for w in Windows(data, "validation", 10))


def test_bottlenecks_do_not_depend_on_the_batch():
    shapes = dataclasses.replace(SHAPES, subjects=())
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Autoencoder(shapes, SMALL).eval()
    data = make_data()
    one, other = bottlenecks(model, data, batch=7), bottlenecks(model, data, batch=N_TRS)
    assert (one.shape, one.dtype) == ((N_TRS, 32), np.float32)
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_hrf_starts_anew_in_each_run(rng):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Autoencoder(SHAPES, SMALL).eval()
    bottleneck = rng.standard_normal((N_TRS, 32)).astype(np.float32)
    run = np.repeat(["run-1", "run-2"], [30, N_TRS - 30])
    predicted = predict_bold(model, bottleneck, run)
    assert predicted.shape == (2, N_TRS, 5)
    decoder = model.decoders["bold"]
    components = bottleneck @ decoder.components.weight.detach().numpy().T
    blurred = [lfilter(KERNEL, 1, part, axis=0) for part in (components[:30], components[30:])]
    whole = [lfilter(KERNEL, 1, part, axis=0) for part in (bottleneck[:30], bottleneck[30:])]
    found = blurred_bottlenecks(model, bottleneck, run)
    np.testing.assert_allclose(found, np.concatenate(whole), atol=1e-4)
    for subject, readout in enumerate(decoder.readouts):
        weight, bias = readout.weight.detach().numpy(), readout.bias.detach().numpy()
        expected = np.concatenate(blurred) @ weight.T + bias
        np.testing.assert_allclose(predicted[subject], expected, atol=1e-4)


def test_history_is_what_lightning_logged(train, raw_bold):
    trained, _, folder = train(make_data(raw_bold))
    (file,) = folder.glob("curves/*/metrics.csv")
    logged = pd.read_csv(file).drop(columns="step").groupby("epoch", as_index=False).last()
    columns = list(trained.history)
    assert set(columns) == set(logged)
    assert any(c.startswith("share/") for c in columns)
    pd.testing.assert_frame_equal(trained.history, logged[columns], rtol=1e-6)


SIDE_BY_SIDE = Path(__file__).with_name("side_by_side.py")


@pytest.mark.slow
def test_two_processes_that_see_the_same_window_learn_what_one_learns(tmp_path):
    """Gradients are averaged: with the same window in both nothing differs but rounding."""
    weights = {}
    for strategy, devices in (("auto", 1), ("ddp", 2)):
        folder = tmp_path / strategy
        command = [sys.executable, SIDE_BY_SIDE, folder, strategy, str(devices), "1"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        weights[strategy] = torch.load(folder / "weights.pt", weights_only=True)
        assert ("world_size" in done.stderr or "distributed" in done.stderr) == (devices == 2)
    for name, values in weights["auto"].items():
        torch.testing.assert_close(weights["ddp"][name], values, atol=1e-5, rtol=1e-4, msg=name)


IN_SBATCH = {  # the variables of a script that ``sbatch --ntasks=8`` runs: one process
    "SLURM_JOB_ID": "7",
    "SLURM_JOB_NAME": "film",
    "SLURM_LOCALID": "0",
    "SLURM_NNODES": "1",
    "SLURM_NODEID": "0",
    "SLURM_NTASKS": "8",
    "SLURM_PROCID": "0",
}


@pytest.mark.parametrize("per_node", [{}, {"SLURM_NTASKS_PER_NODE": "8"}])
def test_a_job_of_several_tasks_trains_in_one_process(per_node, train, monkeypatch):
    """https://github.com/Lightning-AI/pytorch-lightning/issues/19318"""
    for name, value in (IN_SBATCH | per_node).items():
        monkeypatch.setenv(name, value)
    _, curves, _ = train(make_data(), training=BRIEF.model_copy(update={"max_epochs": 1}))
    assert len(curves) == 1


def test_processes_that_slurm_started_are_as_many_as_asked_for(train, monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "8")
    with pytest.raises(GibletError, match="start 1 tasks by srun --ntasks-per-node=1, not 8"):
        train(make_data())


@pytest.mark.slow
def test_nodes_wait_for_nobody_whom_slurm_did_not_start(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    command = [sys.executable, SIDE_BY_SIDE, tmp_path, "ddp", "2", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    said = "training.nodes 2, training.devices 2: start 4 tasks by srun --ntasks-per-node=2, not 2"
    assert said in done.stderr.splitlines()[-1]
