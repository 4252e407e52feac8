"""Train the autoencoder: one loop for all its makes, that goes on where it was stopped."""

import hashlib
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import lightning
import pandas as pd
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from giblet.dataset import FilmData, check_no_overlap
from giblet.models.autoencoder import Autoencoder, Shapes
from giblet.models.starting import AUDIO, take_audio
from giblet.objective import Objective, SoundDistance, baselines, start_at_baseline
from giblet.settings import ModelConfig, TrainingConfig
from giblet.windows import loaders, step_seed

_FEW = 20.0  # haste of single numbers, beside weights that each have little to do
WATCHED = "validation/loss"  # stops training and picks the model: all modalities, as weighted


class BottleneckTraining(lightning.LightningModule):
    """One autoencoder in training; its checkpoint carries all that is needed to build it."""

    def __init__(
        self,
        shapes: dict,
        model: dict,
        training: dict,
        baselines: dict | None = None,
        data_hash: str = "",
        seed: int = 0,
        started: bool = False,
    ):
        super().__init__()
        self.save_hyperparameters()
        self.settings, self.seed = TrainingConfig.model_validate(training), seed
        self.autoencoder = Autoencoder(Shapes(**shapes), ModelConfig.model_validate(model))
        self.baselines = baselines

    def listen(self, sound: SoundDistance | None) -> None:
        """Set what is lowered, once the baselines are known."""
        self.objective = Objective(self.autoencoder, self.settings, self.baselines, sound)

    def on_train_batch_start(self, window, index):
        torch.manual_seed(step_seed(self.seed, self.global_step))  # resumed or not, the same

    def training_step(self, window, index):
        losses, bottleneck = self.objective(window)
        weighted = self.objective.weighted(losses, self.current_epoch)
        named = {f"train/{name}": loss for name, loss in losses.items()}
        self.log_dict(named, on_step=False, on_epoch=True, batch_size=1)
        if index == 0:
            shares = gradient_shares(weighted, bottleneck)
            self.log_dict({f"share/{name}": share for name, share in shares.items()}, batch_size=1)
        return sum(weighted.values())

    def validation_step(self, window, index):
        losses, _bottleneck = self.objective(window)
        named = {f"validation/{name}": loss for name, loss in losses.items()}
        self.log_dict(named, prog_bar=True, batch_size=1)
        total = sum(self.objective.weighted(losses, self.settings.kl_epochs).values())
        self.log(WATCHED, total, batch_size=1)

    def _haste(self, name: str) -> float:
        """Share of the learning rate at which a parameter learns."""
        if name.endswith("sharpness"):
            return _FEW
        known = self.hparams["started"] and name.removeprefix("autoencoder.").startswith(AUDIO)
        return self.settings.started_share if known else 1.0

    def configure_optimizers(self):
        settings = self.settings
        groups: dict[float, list] = {}
        for name, parameter in self.named_parameters():
            groups.setdefault(self._haste(name), []).append(parameter)
        optimizer = torch.optim.AdamW(
            [{"params": p, "lr": h * settings.learning_rate} for h, p in groups.items()],
            weight_decay=settings.weight_decay,
        )
        if settings.schedule == "constant":
            return optimizer
        n_steps = self.trainer.estimated_stepping_batches
        falling = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: 0.5 + 0.5 * math.cos(math.pi * min(1.0, step / n_steps))
        )
        return [optimizer], [{"scheduler": falling, "interval": "step"}]


def gradient_shares(
    weighted: dict[str, torch.Tensor], bottleneck: torch.Tensor
) -> dict[str, float]:
    """Of each loss: the norm of its gradient in the bottleneck, as a share of their sum."""
    norms = {}
    for name, loss in weighted.items():
        (gradient,) = torch.autograd.grad(loss, bottleneck, retain_graph=True, allow_unused=True)
        norms[name] = 0.0 if gradient is None else float(gradient.float().norm())
    total = sum(norms.values()) or 1.0
    return {name: norm / total for name, norm in norms.items()}


@dataclass(frozen=True)
class Trained:
    """A trained autoencoder and how it got there."""

    autoencoder: Autoencoder
    baselines: dict[str, float]
    best_epoch: int
    best_loss: float


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
    """Train until the validation loss stops falling, and return the best model.

    Checkpoints and logs (TensorBoard and ``curves/from_epoch_N/metrics.csv``) go into ``folder``; a
    run of the same settings and data that was stopped goes on from its last epoch. Test TRs are
    not looked at.

    Parameters
    ----------
    codebooks : (n_codebooks, codebook_size, codebook_dim)
        The codec's codewords, on the path of codes.
    sound
        How far latents sound apart; see `giblet.objective.Objective`.
    start
        Its audio encoder and decoder are where learning begins.
    """
    check_no_overlap(data, gap_trs=1)
    folder = Path(folder)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = BottleneckTraining(
            shapes.to_dict(),
            model.model_dump(),
            training.model_dump(),
            data_hash=_hash(data),
            seed=seed,
            started=start is not None,
        )
        if codebooks is not None:
            module.autoencoder.codebooks.take(codebooks)
        start_at_baseline(module.autoencoder, data)
        if start is not None:
            take_audio(module.autoencoder, start)
        module.baselines = baselines(data, module.autoencoder)
        module.hparams["baselines"] = module.baselines
        module.listen(sound)
        best = ModelCheckpoint(folder, filename="best", monitor=WATCHED)
        last = _resumable(folder, module)
        trainer = _trainer(training, folder, best, last, progress)
        trainer.fit(module, *loaders(data, training, seed), ckpt_path=last)
    checkpoint = torch.load(best.best_model_path, weights_only=True, map_location="cpu")
    module.load_state_dict(checkpoint["state_dict"])
    return Trained(
        module.autoencoder.cpu().eval(),
        module.baselines,
        best_epoch=int(checkpoint["epoch"]),
        best_loss=float(best.best_model_score),
    )


def _trainer(training, folder, best, last, progress) -> lightning.Trainer:
    begun = torch.load(last, weights_only=True)["epoch"] + 1 if last else 0
    every_epoch = ModelCheckpoint(folder, filename="last", enable_version_counter=False)
    return lightning.Trainer(
        max_epochs=training.max_epochs,
        accelerator="auto",
        devices=1,
        gradient_clip_val=training.gradient_clip,
        precision="bf16-mixed" if training.bfloat16 else "32-true",
        callbacks=[_Patience(WATCHED, patience=training.patience), best, every_epoch],
        logger=[
            TensorBoardLogger(folder, "tensorboard", ""),
            CSVLogger(folder, "curves", f"from_epoch_{begun}"),  # it empties its folder
        ],
        enable_progress_bar=progress,
        enable_model_summary=False,
        log_every_n_steps=1,
        num_sanity_val_steps=0,
    )


class _Patience(EarlyStopping):
    """Also ends a run that goes on from where it had run out."""

    def on_train_start(self, trainer, module):
        trainer.should_stop = self.wait_count >= self.patience


def _resumable(folder: Path, module: BottleneckTraining) -> Path | None:
    """The checkpoint of a run that was stopped, if it was this one; what another left is removed,
    its curves too."""
    last = folder / "last.ckpt"
    if last.is_file():
        theirs = torch.load(last, weights_only=True)["hyper_parameters"]
        if theirs == dict(module.hparams):
            return last
    for stale in folder.glob("*.ckpt"):
        stale.unlink()
    for stale in ("curves", "tensorboard"):
        shutil.rmtree(folder / stale, ignore_errors=True)
    return None


def _hash(data: FilmData) -> str:
    """Of all that a model learns from."""
    digest = hashlib.sha256()
    tensors = [*data.film.values(), *([] if data.bold is None else [data.bold])]
    for tensor in tensors:
        digest.update(tensor.contiguous().numpy().tobytes())
    digest.update("".join([*data.part, *data.run]).encode())
    return digest.hexdigest()[:16]


def history(curves: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One row an epoch of a run's curves, one table for each time it was begun or went on."""
    rows = pd.concat(curves, ignore_index=True)
    return rows.drop(columns="step").groupby("epoch", as_index=False).last()
