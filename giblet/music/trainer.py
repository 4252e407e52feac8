"""Train a music model: one loop for all modes, which resumes where it was stopped."""

import logging
import math
from collections.abc import Sequence
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.utilities import rank_zero_only
from torch.utils.data import DataLoader

from giblet.config.precision import uses_bfloat16
from giblet.errors import GibletError
from giblet.io.checkpoints import SealedCheckpoints, newest, whole_checkpoints
from giblet.music.data import RandomCrops
from giblet.music.inputs import Inputs
from giblet.music.model import MusicTransformerVAEGAN
from giblet.music.notes import Notes
from giblet.music.recipe import MusicSettings
from giblet.music.tokens import VOCABULARY, tokenize

logger = logging.getLogger(__name__)


class MusicTraining(lightning.LightningModule):
    """One music model in training; ``model`` is the network."""

    def __init__(self, settings: MusicSettings):
        super().__init__()
        self.save_hyperparameters({"settings": settings.model_dump(mode="json")})
        self.automatic_optimization = False
        self.settings = settings
        self.model = MusicTransformerVAEGAN(settings.model).train()
        self.train_pieces: Sequence[Notes] = ()
        self.validation_pieces: Sequence[Notes] = ()
        self.first_step = 0

    def train_dataloader(self):
        data, schedule = self.settings.data, self.settings.schedule
        place = self.first_step, self.trainer.global_rank, self.trainer.world_size
        crops = RandomCrops(self.train_pieces, data, schedule.seed, *place)
        return DataLoader(crops, data.batch_size, num_workers=data.workers)

    def val_dataloader(self):
        n_pieces = min(len(self.validation_pieces), self.settings.schedule.validation_pieces)
        return DataLoader(range(n_pieces), batch_size=None)

    def on_train_batch_start(self, batch, batch_idx):
        seed = self.settings.schedule.seed
        torch.manual_seed(hash((seed, self.global_step, self.global_rank)))  # resumed or not

    def training_step(self, batch: Inputs, batch_idx: int):
        optimizer, schedule = self.optimizers(), self.settings.schedule
        nats = self.model.target_nats(self.model(batch), batch["targets"])
        is_token = batch["targets"] != VOCABULARY.pad
        loss = nats.sum() / is_token.sum()
        self._stop_if_not_finite("nats", loss)
        optimizer.zero_grad()
        self.manual_backward(loss)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), schedule.gradient_clip)
        for group in optimizer.param_groups:
            group["lr"] = rate = schedule.learning_rate * self._share(self.global_step)
        optimizer.step()
        logged = {"nats": loss.detach(), "gradient_norm": norm, "learning_rate": rate}
        logged |= nats_by_kind(nats.detach(), batch["targets"])
        self.log_dict({f"train/{name}": value for name, value in logged.items()}, prog_bar=True)

    def _share(self, step: int) -> float:
        """Share of the learning rate: linear warm-up, then half a cosine to ``final_share``."""
        schedule = self.settings.schedule
        warm, end = min(1.0, (step + 1) / schedule.warmup_steps), schedule.final_share
        done = min(1.0, step / schedule.steps)
        return warm * (end + (1 - end) * (1 + math.cos(math.pi * done)) / 2)

    def _stop_if_not_finite(self, name: str, loss: torch.Tensor) -> None:
        if not torch.isfinite(loss):
            raise GibletError(
                f"step {self.global_step}: the loss {name} is not a finite number. Lower "
                "schedule.learning_rate, and go on from an earlier checkpoint"
            )

    def on_validation_epoch_start(self):
        self._sums = {}

    def validation_step(self, batch: int, batch_idx: int):
        notes = self.validation_pieces[batch]
        tokens = tokenize(notes)
        nats = self.model.nats(tokens, notes.beats, float(notes.onset[0]))
        for name, kind in {"nats": slice(0, VOCABULARY.size), **KINDS}.items():
            chosen = (tokens >= kind.start) & (tokens < kind.stop)
            total, n = self._sums.get(name, (0.0, 0))
            self._sums[name] = total + nats[chosen].sum(dtype=float), n + int(chosen.sum())

    def on_validation_epoch_end(self):
        means = {name: total / n for name, (total, n) in self._sums.items() if n}
        self.log_dict({f"validation/{name}": value for name, value in means.items()})

    def configure_optimizers(self):
        schedule = self.settings.schedule
        matrices = [p for p in self.model.parameters() if p.ndim >= 2]
        vectors = [p for p in self.model.parameters() if p.ndim < 2]
        groups = [
            {"params": matrices, "weight_decay": schedule.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, schedule.learning_rate, schedule.betas)


KINDS = {
    "nats_note_on": VOCABULARY.note_on,
    "nats_note_off": VOCABULARY.note_off,
    "nats_time_shift": VOCABULARY.time_shift,
    "nats_velocity": VOCABULARY.velocity,
}


def nats_by_kind(nats: torch.Tensor, targets: torch.Tensor) -> dict[str, torch.Tensor]:
    """Mean nats of the targets of each kind of token, of those kinds that there are."""
    masks = {name: (targets >= kind.start) & (targets < kind.stop) for name, kind in KINDS.items()}
    return {name: nats[mask].mean() for name, mask in masks.items() if mask.any()}


def _resumable(folder: str, settings: MusicSettings) -> tuple[Path | None, int]:
    """The newest whole checkpoint, and its steps; GibletError if it is of another recipe."""
    if (last := newest(whole := whole_checkpoints(folder))) is None:
        return None, 0
    before = whole[last]["hyper_parameters"]["settings"]
    own = settings.model_dump(mode="json")
    for part in sorted({*before, *own}):
        if before.get(part) != own.get(part):
            raise GibletError(
                f"{last} is of a run with another recipe: its {part} differ. Give another "
                "folder for --logs, or delete this one"
            )
    return last, whole[last]["global_step"]


def fit_music(
    train: Sequence[Notes],
    validation: Sequence[Notes],
    settings: MusicSettings,
    folder: str | Path,
    progress: bool = False,
) -> MusicTransformerVAEGAN:
    """Train a music model on pieces.

    Checkpoints and curves (``curves/from_step_N/metrics.csv``, one for each start or resumption)
    go into ``folder``; a run that finds its last checkpoint there continues from it, with the same
    losses as an uninterrupted run.

    Raises GibletError if the checkpoint is one of another recipe, or a loss not a finite number.
    """
    schedule, (last, resumed_from) = settings.schedule, _resumable(str(folder), settings)
    with torch.random.fork_rng():
        torch.manual_seed(schedule.seed)
        module = MusicTraining(settings)
        module.train_pieces, module.validation_pieces = train, validation
        module.first_step = resumed_from
        trainer = lightning.Trainer(
            max_steps=schedule.steps,
            accelerator="auto",
            devices=schedule.devices,
            strategy="ddp" if schedule.devices > 1 else "auto",
            precision="bf16-mixed" if uses_bfloat16(schedule.bfloat16) else "32-true",
            plugins=[SealedCheckpoints(), LightningEnvironment()],
            callbacks=[
                ModelCheckpoint(folder, save_last=True, every_n_train_steps=schedule.check_every)
            ],
            logger=[
                TensorBoardLogger(folder, "tensorboard", ""),
                CSVLogger(folder, "curves", f"from_step_{resumed_from}"),  # it empties its folder
            ],
            val_check_interval=schedule.check_every,
            log_every_n_steps=min(50, schedule.check_every),
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            enable_model_summary=False,
            enable_progress_bar=progress,
        )
        trainer.fit(module, ckpt_path=last)
    return module.model.cpu().eval()


def is_first_process() -> bool:
    """Whether this process saves the model; with several devices there are several."""
    return rank_zero_only.rank == 0
