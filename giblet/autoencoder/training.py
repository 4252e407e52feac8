"""Train the autoencoder: one loop for all variants, which resumes where it was stopped."""

import hashlib
import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import lightning
import pandas as pd
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.utilities import rank_zero_only

from giblet.alignment.dataset import FilmData, check_no_overlap
from giblet.alignment.loaders import loaders
from giblet.alignment.shapes import Shapes
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.autoencoder.bold_readout import fit_readout
from giblet.autoencoder.callbacks import WATCHED, Curves, EpochLines
from giblet.autoencoder.code_heads import Codebooks
from giblet.autoencoder.lightning_module import BottleneckTraining
from giblet.autoencoder.objective import SoundDistance, baselines, start_at_baseline
from giblet.autoencoder.warm_start import take_audio
from giblet.config.precision import uses_bfloat16
from giblet.config.sections import ModelConfig, TrainingConfig
from giblet.errors import GibletError
from giblet.io.checkpoints import SealedCheckpoints, newest, read_checkpoint, whole_checkpoints

logger = logging.getLogger(__name__)
_DDP = "ddp_find_unused_parameters_true"  # a head may leave the codec's codewords alone


@dataclass(frozen=True)
class Trained:
    """A trained autoencoder and how it got there."""

    autoencoder: Autoencoder
    baselines: dict[str, float]
    best_epoch: int
    best_loss: float
    history: pd.DataFrame  # one row an epoch


def begin(
    data: FilmData,
    shapes: Shapes,
    model: ModelConfig,
    training: TrainingConfig,
    seed: int,
    *,
    codebooks: torch.Tensor | None = None,
    sound: SoundDistance | None = None,
    start: Autoencoder | None = None,
) -> BottleneckTraining:
    """An autoencoder before its first step; arguments are those of `fit`."""
    torch.manual_seed(seed)
    module = BottleneckTraining(
        shapes, model, training, _hash(data), seed, started=start is not None
    )
    if codebooks is not None:
        cast(Codebooks, module.autoencoder.codebooks).take(codebooks)
    start_at_baseline(module.autoencoder, data)
    if start is not None:
        take_audio(module.autoencoder, start)
    module.set_objective(baselines(data, module.autoencoder), sound)
    return module


def fit(
    data: FilmData,
    shapes: Shapes,
    model: ModelConfig,
    training: TrainingConfig,
    seed: int,
    folder: str | Path,
    *,
    codebooks: torch.Tensor | None = None,
    sound: SoundDistance | None = None,
    start: Autoencoder | None = None,
    progress: bool = False,
) -> Trained:
    """Train until the validation loss stops falling, and return the best model, its readouts of
    BOLD as ridge finds them (`giblet.autoencoder.bold_readout`).

    Checkpoints and logs (TensorBoard and ``curves/from_epoch_N/metrics.csv``) go into ``folder``; a
    run of the same settings and data that was stopped resumes from its last epoch. Test TRs are
    not used.

    Parameters
    ----------
    codebooks : (n_codebooks, codebook_size, codebook_dim)
        The codec's codewords, on the path of codes.
    sound
        How far latents sound apart; see `giblet.autoencoder.objective.Objective`.
    start
        Its audio encoder and decoder are where learning begins.
    """
    check_no_overlap(data, gap_trs=1, window_trs=training.window_trs)
    folder, curves = Path(folder), Curves()
    with torch.random.fork_rng():
        module = begin(
            data, shapes, model, training, seed, codebooks=codebooks, sound=sound, start=start
        )
        best = ModelCheckpoint(folder, filename="best", monitor=WATCHED)
        last = _resumable(folder, module)
        trainer = _trainer(training, folder, [curves, best, EpochLines()], last, progress)
        trainer.fit(module, *loaders(data, training, seed), ckpt_path=last)
    _check_finite(best, trainer, folder)
    checkpoint = read_checkpoint(best.best_model_path)
    trainer.strategy.barrier()  # all processes have read it
    module.load_state_dict(checkpoint["state_dict"])
    autoencoder = module.autoencoder.cpu().eval()
    if "bold" in autoencoder.decoders:
        fit_readout(autoencoder, data)
    return Trained(
        autoencoder,
        module.baselines,
        best_epoch=int(checkpoint["epoch"]),
        best_loss=float(best.best_model_score),
        history=curves.table(),
    )


def is_first_process() -> bool:
    """Whether this process saves the model; with ``strategy: ddp`` there are several."""
    return rank_zero_only.rank == 0


def _trainer(training, folder, callbacks, last, progress) -> lightning.Trainer:
    begun = read_checkpoint(last)["epoch"] + 1 if last else 0
    every_epoch = ModelCheckpoint(folder, filename="last", enable_version_counter=False)
    return lightning.Trainer(
        max_epochs=training.max_epochs,
        accelerator="auto",
        strategy=_DDP if training.strategy == "ddp" or training.nodes > 1 else "auto",
        devices=training.devices,
        num_nodes=training.nodes,
        plugins=[SealedCheckpoints(), *_starter(training)],
        gradient_clip_val=training.gradient_clip,
        precision="bf16-mixed" if uses_bfloat16(training.bfloat16) else "32-true",
        callbacks=[_Patience(WATCHED, patience=training.patience), *callbacks, every_epoch],
        logger=[
            TensorBoardLogger(folder, "tensorboard", ""),
            CSVLogger(folder, "curves", f"from_epoch_{begun}"),  # it empties its folder
        ],
        enable_progress_bar=progress,
        enable_model_summary=False,
        log_every_n_steps=1,
        num_sanity_val_steps=0,
    )


def _starter(training: TrainingConfig) -> list[LightningEnvironment]:
    """Where srun did not start several of these processes, Lightning starts the others.

    ``SLURM_NTASKS`` is what a job may start, ``SLURM_STEP_NUM_TASKS`` what srun did start: inside
    ``sbatch --ntasks=8`` there is one process.
    """
    tasks, wanted = (
        int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)),
        training.nodes * training.devices,
    )
    if max(training.nodes, tasks) > 1 and tasks != wanted:
        raise GibletError(
            f"training.nodes {training.nodes}, training.devices {training.devices}: "
            f"start {wanted} tasks by srun --ntasks-per-node={training.devices}, not {tasks}"
        )
    in_slurm = "SLURM_JOB_ID" in os.environ or "SLURM_NTASKS" in os.environ
    return [LightningEnvironment()] if tasks == 1 and in_slurm else []


class _Patience(EarlyStopping):
    """Also ends a resumed run whose patience had run out."""

    def on_train_start(self, trainer, module):
        trainer.should_stop = self.wait_count >= self.patience


def _check_finite(best: ModelCheckpoint, trainer: lightning.Trainer, folder: Path) -> None:
    """GibletError if no epoch had a loss that is a number; a warning if the last had none."""
    remedy = "a smaller training.learning_rate, or training.bfloat16: false, may help"
    lowest = best.best_model_score
    if lowest is None or not torch.isfinite(lowest):
        for checkpoint in folder.glob("*.ckpt"):  # nothing to go on from
            checkpoint.unlink(missing_ok=True)
        raise GibletError(f"training: the validation loss was never a finite number; {remedy}")
    if not torch.isfinite(trainer.callback_metrics.get(WATCHED, lowest)):
        message = "training ended where the loss is no finite number: an earlier epoch is kept; %s"
        logger.warning(message, remedy)


def _resumable(folder: Path, module: BottleneckTraining) -> Path | None:
    """The newest whole checkpoint of a run that was stopped, if it was this one and its best is
    there; what another left is removed, its curves too."""
    whole, settings = whole_checkpoints(folder), dict(module.hparams)
    mine = {path: c for path, c in whole.items() if c["hyper_parameters"] == settings}
    if last := newest({path: c for path, c in mine.items() if folder / _best(c) in whole}):
        return last
    if is_first_process():
        for stale in folder.glob("*.ckpt"):
            stale.unlink(missing_ok=True)
        for name in ("curves", "tensorboard"):
            shutil.rmtree(folder / name, ignore_errors=True)
    return None


def _best(checkpoint: dict) -> str:
    """Name of the best checkpoint, as recorded in this one."""
    states = checkpoint["callbacks"].values()
    return next(Path(s["best_model_path"]).name for s in states if s.get("monitor") == WATCHED)


def _hash(data: FilmData) -> str:
    """Hash of the training data."""
    digest = hashlib.sha256()
    tensors = [*data.film.values(), *([] if data.bold is None else [data.bold])]
    for tensor in tensors:
        digest.update(tensor.contiguous().view(-1).numpy())
    digest.update("".join([*data.part, *data.run]).encode())
    return digest.hexdigest()[:16]


def summary(trained: Trained) -> pd.DataFrame:
    """Losses of the best epoch, one row each: of training, of validation, and its share of the
    gradient in the bottleneck, mean over epochs. A loss of 1 means that nothing was learned.
    """
    epochs = trained.history
    best = epochs.set_index("epoch").loc[trained.best_epoch]
    names = [c.removeprefix("train/") for c in epochs if c.startswith("train/")]
    rows = [
        {
            "loss": name,
            "train": best[f"train/{name}"],
            "validation": best[f"validation/{name}"],
            "gradient_share": epochs[f"share/{name}"].mean(),
            "baseline": trained.baselines.get(name, float("nan")),
        }
        for name in names
    ]
    return pd.DataFrame(rows)
