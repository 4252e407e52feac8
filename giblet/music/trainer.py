"""Train a music model: one loop for all modes, which resumes where it was stopped."""

import logging
import math
from collections.abc import Sequence
from pathlib import Path

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.utilities import rank_zero_only
from pydantic import ValidationError
from torch.utils.data import DataLoader

from giblet.config.precision import uses_bfloat16
from giblet.errors import GibletError
from giblet.io.checkpoints import SealedCheckpoints, newest, whole_checkpoints
from giblet.music.data import RandomCrops
from giblet.music.inputs import Inputs
from giblet.music.losses import KINDS
from giblet.music.model import MusicTransformerVAEGAN, load
from giblet.music.monitoring import Monitor, MonitorSettings
from giblet.music.notes import Notes
from giblet.music.objective import Objective
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
        self.objective = Objective(
            settings.losses, settings.model.gan, settings.model.transformer.width
        )
        self.monitor = Monitor(MonitorSettings())
        # The discriminators' gradients are averaged by `Objective.discriminator_step`.
        names = [name for name, _ in self.named_parameters() if ".adversary." in name]
        self._ddp_params_and_buffers_to_ignore = names
        self.train_pieces: Sequence[Notes] = ()
        self.validation_pieces: Sequence[Notes] = ()
        self.first_step = 0

    def train_dataloader(self):
        data, schedule = self.settings.data, self.settings.schedule
        place = self.first_step, self.trainer.global_rank, self.trainer.world_size
        crops = RandomCrops(self.train_pieces, data, schedule.seed, *place)
        if crops.n_shorter:
            logger.info(
                "%d of %d pieces are shorter than a crop of %d tokens: they are padded",
                *(crops.n_shorter, len(self.train_pieces), data.crop_tokens),
            )
        return DataLoader(crops, data.batch_size, num_workers=data.workers)

    def val_dataloader(self):
        n_pieces = min(len(self.validation_pieces), self.settings.schedule.validation_pieces)
        return DataLoader(range(n_pieces), batch_size=None)

    def on_train_batch_start(self, batch, batch_idx):
        seed = self.settings.schedule.seed
        torch.manual_seed(hash((seed, self.global_step, self.global_rank)))  # resumed or not

    def training_step(self, batch: Inputs, batch_idx: int):
        optimizer, *others = self._optimizers()
        step, schedule = self.global_step, self.settings.schedule
        diagnosed = (step + 1) % self.trainer.log_every_n_steps == 0
        loss, values, drawn = self.objective(
            self.model, batch, step, self._generator(step), diagnosed
        )
        self._stop_if_not_finite(values | {"loss": loss})
        optimizer.zero_grad()
        self.manual_backward(loss)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), schedule.gradient_clip)
        for group in optimizer.param_groups:
            group["lr"] = rate = schedule.learning_rate * self._share(step)
        if drawn is not None:
            values |= self.objective.discriminator_step(others[0].optimizer, drawn, step)
        optimizer.step()
        values |= {"loss": loss.detach(), "gradient_norm": norm, "learning_rate": rate}
        if diagnosed:
            self.monitor.check(step, {name: float(value) for name, value in values.items()})
        self.log_dict({f"train/{name}": value for name, value in values.items()})

    def _optimizers(self) -> list:
        optimizers = self.optimizers()
        return optimizers if isinstance(optimizers, list) else [optimizers]

    def _generator(self, step: int) -> torch.Generator:
        """Random numbers of a step: of a resumed run the same."""
        seeds = np.random.SeedSequence([self.settings.schedule.seed, step, self.global_rank])
        return torch.Generator(self.device).manual_seed(int(seeds.generate_state(1)[0]))

    def _share(self, step: int) -> float:
        """Share of the learning rate: linear warm-up, then half a cosine to ``final_share``."""
        schedule = self.settings.schedule
        warm, end = min(1.0, (step + 1) / schedule.warmup_steps), schedule.final_share
        done = min(1.0, step / schedule.steps)
        return warm * (end + (1 - end) * (1 + math.cos(math.pi * done)) / 2)

    def _stop_if_not_finite(self, values: dict) -> None:
        wrong = [name for name, value in values.items() if not torch.isfinite(value)]
        if wrong:
            raise GibletError(
                f"step {self.global_step}: the loss {wrong[0]} is not a finite number. Lower "
                "schedule.learning_rate, and go on from an earlier checkpoint"
            )

    def on_validation_epoch_start(self):
        self._sums = {}

    def validation_step(self, batch: int, batch_idx: int):
        notes = self.validation_pieces[batch]
        tokens, known = tokenize(notes), (notes.beats, float(notes.onset[0]))
        nats = self.model.nats(tokens, *known)
        for name, kind in {"nats": slice(0, VOCABULARY.size), **KIND_NATS}.items():
            chosen = (tokens >= kind.start) & (tokens < kind.stop)
            self._add(name, nats[chosen].sum(dtype=float), int(chosen.sum()))
        if self.model.latents is not None:
            own = self.model.nats(tokens, *known, self.model.encode(notes))
            self._add("nats_own_z", own.sum(dtype=float), len(tokens))

    def _add(self, name: str, total: float, n: int) -> None:
        before = self._sums.get(name, (0.0, 0))
        self._sums[name] = before[0] + total, before[1] + n

    def on_validation_epoch_end(self):
        means = {name: total / n for name, (total, n) in self._sums.items() if n}
        self.log_dict({f"validation/{name}": value for name, value in means.items()})

    def configure_optimizers(self):
        schedule = self.settings.schedule
        matrices = [p for p in self.model.parameters() if p.ndim >= 2]
        vectors = [p for p in self.model.parameters() if p.ndim < 2]
        if (weights := self.objective.kind_weights) is not None:
            vectors += weights.parameters()
        if (bag := self.objective.bag_logits) is not None:
            matrices, vectors = [*matrices, bag.weight], [*vectors, bag.bias]
        groups = [
            {"params": matrices, "weight_decay": schedule.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        adamw = torch.optim.AdamW(groups, schedule.learning_rate, schedule.betas, fused=True)
        optimizers = [adamw]
        if (adversary := self.objective.adversary) is not None:
            optimizers.append(torch.optim.AdamW(adversary.parameter_groups(), betas=(0.0, 0.9)))
        return optimizers


KIND_NATS = {f"nats_{name}": kind for name, kind in KINDS.items()}


def _start_from(model: MusicTransformerVAEGAN, given: str) -> None:
    """Take the weights of a trained model, of another mode too; GibletError for another network."""
    weights = load(given).state_dict()
    own = model.state_dict()
    both = {name: value for name, value in weights.items() if name in own}
    wrong = [name for name in both if both[name].shape != own[name].shape]
    wrong += [name for name in own if name.startswith("transformer.") and name not in both]
    if wrong:
        raise GibletError(
            f"start_from is another network than the recipe's: {given} (its {min(wrong)} differs)"
        )
    model.load_state_dict(own | both)


def _resumable(folder: str, settings: MusicSettings) -> tuple[Path | None, int]:
    """The newest whole checkpoint, and its steps; GibletError if it is of another recipe."""
    if (last := newest(whole := whole_checkpoints(folder))) is None:
        return None, 0
    before = _with_defaults(whole[last]["hyper_parameters"]["settings"])
    own = settings.model_dump(mode="json")
    for part in sorted({*before, *own}):
        if before.get(part) != own.get(part):
            raise GibletError(
                f"{last} is of a run with another recipe: its {part} differ. Give another "
                "folder for --logs, or delete this one"
            )
    return last, whole[last]["global_step"]


def _with_defaults(recipe: dict) -> dict:
    """A recipe with the keys that it lacks, as far as it is one of this version of giblet."""
    try:
        return MusicSettings.model_validate(recipe).model_dump(mode="json")
    except ValidationError:
        return recipe


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

    Raises GibletError if the checkpoint is one of another recipe, ``start_from`` another network,
    or a loss not a finite number.
    """
    schedule, (last, resumed_from) = settings.schedule, _resumable(str(folder), settings)
    with torch.random.fork_rng():
        torch.manual_seed(schedule.seed)
        module = MusicTraining(settings)
        if settings.start_from is not None and last is None:
            _start_from(module.model, settings.start_from)
        module.train_pieces, module.validation_pieces = train, validation
        module.first_step = resumed_from
        trainer = lightning.Trainer(
            max_steps=schedule.steps,
            accelerator="auto",
            devices=schedule.devices,
            strategy="ddp_find_unused_parameters_true" if schedule.devices > 1 else "auto",
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
