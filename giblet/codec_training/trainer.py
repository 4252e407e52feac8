"""Train a codec on sounds: any architecture, weighted or balanced losses, maybe a discriminator."""

import math
from collections.abc import Iterable
from contextlib import nullcontext
from itertools import islice
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.plugins.environments import LightningEnvironment
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from giblet.codec_training.data import RandomCrops, Sounds
from giblet.codec_training.discriminators import AdversarialLosses
from giblet.codec_training.losses import WeightedLosses
from giblet.codec_training.network import CodecNetwork, join_latents
from giblet.codec_training.recipe import CodecSettings
from giblet.codec_training.registry import build_network
from giblet.codec_training.validation import code_use, sound_scores, warn_of_collapse
from giblet.config.precision import uses_bfloat16
from giblet.errors import GibletError
from giblet.io.checkpoints import SealedCheckpoints, newest, whole_checkpoints
from giblet.loss_weighting.balancer import Balancer

_MAY_CHANGE = ("quantizer", "beam_size")  # of a network's settings, where its training goes on


class CodecTraining(lightning.LightningModule):
    """One codec in training; ``finished()`` gives the network."""

    def __init__(self, settings: CodecSettings):
        super().__init__()
        self.save_hyperparameters({"settings": settings.model_dump()})
        self.automatic_optimization = False
        self.settings = settings
        self.network = build_network(self.settings.network)
        self.losses = WeightedLosses(self.settings.losses, self.settings.network.sample_rate)
        weights, self.judge = dict(self.losses.weights), None
        if adversarial := self.settings.discriminator:
            self.judge = AdversarialLosses(adversarial)
            weights |= {"adversarial": adversarial.weight, "features": adversarial.feature_weight}
        self.weights = weights
        self.balancer = Balancer(weights) if self.settings.balance == "gradients" else None
        decay = self.settings.schedule.average_decay
        self.average = (
            AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(decay)) if decay else None
        )
        self.register_buffer("started", torch.tensor(False))
        self.for_kmeans: Iterable[torch.Tensor] = ()  # batches (batch, 1, n_samples), set by fit

    def go_on_from(self, network: CodecNetwork) -> None:
        """Take the weights and codebooks of a trained network."""
        given, expected = (n.settings.architecture for n in (network, self.network))
        if given != expected:
            raise GibletError(f"start_from is another network than the recipe's: {given}")
        try:
            self.network.load_state_dict(network.state_dict())
        except RuntimeError as error:
            wrong = str(error).splitlines()[1].strip()
            raise GibletError(f"start_from is another network than the recipe's: {wrong}") from None
        for name, value in network.settings:
            if name not in _MAY_CHANGE and getattr(self.network.settings, name) != value:
                raise GibletError(
                    f"start_from is another network than the recipe's: its {name} is {value}. "
                    "Give the recipe's network the same"
                )
        self.started.fill_(True)

    def _autocast(self):
        if not (self.training and uses_bfloat16(self.settings.schedule.bfloat16)):
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def through(self, sound: torch.Tensor, network: CodecNetwork) -> tuple:
        """Sound (batch, 1, n_samples) coded: (estimate, codes, commitment loss)."""
        with self._autocast():
            latents = network.encode(sound)
            quantized, codes, commitment = network.quantize(latents)
            estimate = network.decode(quantized, sound.shape[-1])
        return estimate.float(), codes, commitment.float()

    def on_train_batch_start(self, batch, batch_idx):
        schedule = self.settings.schedule
        torch.manual_seed(hash((schedule.seed, self.global_step)))  # resumed or not, the same
        if not self.started:
            self.network.start(batch)
            self.started.fill_(True)
        late = self.global_step >= schedule.steps_without_codebooks
        if late and not self.network.codebooks_started:
            self._start_codebooks()

    @torch.no_grad()
    def _start_codebooks(self):
        """One k-means over many batches: a single batch has fewer vectors than codewords."""
        batches = islice(self.for_kmeans, self.settings.schedule.batches_for_kmeans)
        with self._autocast():
            latents = [self.network.encode(batch.to(self.device)) for batch in batches]
        self.network.start_codebooks(join_latents(latents))

    def training_step(self, batch, batch_idx):
        optimizer, *others = self._optimizers()
        estimate, _codes, commitment = self.through(batch, self.network)
        losses, _sum = self.losses(estimate[:, 0], batch[:, 0])
        is_adversarial = self.judge and self.global_step >= self.settings.discriminator.from_step
        if is_adversarial:
            losses |= self.judge.codec_losses(estimate[:, 0], batch[:, 0])
        self._stop_if_not_finite(losses)
        optimizer.zero_grad()
        self._backward(losses, estimate, self.settings.commitment_weight * commitment)
        self.clip_gradients(optimizer, self.settings.schedule.gradient_clip, "norm")
        for group in optimizer.param_groups:
            group["lr"] = self.settings.schedule.learning_rate * self._schedule(self.global_step)
        if is_adversarial and self.global_step % self.settings.discriminator.every == 0:
            self._train_discriminator(others[0].optimizer, estimate[:, 0], batch[:, 0])
        optimizer.step()
        if self.average:
            self.average.update_parameters(self.network)
        losses["commitment"] = commitment
        self.log_dict({f"train/{k}": v for k, v in losses.items()}, prog_bar=True)

    def _optimizers(self) -> list:
        optimizers = self.optimizers()
        return optimizers if isinstance(optimizers, list) else [optimizers]

    def _backward(self, losses: dict, estimate: torch.Tensor, commitment: torch.Tensor) -> None:
        if self.balancer is None:
            total = sum(self.weights[name] * value for name, value in losses.items())
            self.manual_backward(total + commitment)
            return
        shares = self.balancer.backward(losses, estimate, commitment)
        self.log_dict({f"share/{k}": v for k, v in shares.items()})

    def _train_discriminator(self, optimizer, estimate, target) -> None:
        """``optimizer`` is torch's own: Lightning's would count the step as one of the codec's."""
        loss = self.judge.discriminator_loss(estimate, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        self.log("train/judge", loss)

    def _stop_if_not_finite(self, losses: dict) -> None:
        wrong = [name for name, value in losses.items() if not torch.isfinite(value)]
        if wrong:
            raise GibletError(
                f"step {self.global_step}: the loss {wrong[0]} is not a finite number. Lower "
                "schedule.learning_rate, and go on from an earlier checkpoint"
            )

    def validation_step(self, batch, batch_idx):
        network = self.average.module if self.average else self.network
        estimate, codes, _ = self.through(batch, network)
        losses, _sum = self.losses(estimate[:, 0], batch[:, 0])
        scores = {k: float(v) for k, v in losses.items()} | code_use(
            codes, self.settings.network.codebook_size
        )
        scores |= sound_scores(batch[:, 0], estimate[:, 0], self.settings.network.sample_rate)
        warn_of_collapse(self.global_step, scores)
        self.log_dict({f"validation/{k}": v for k, v in scores.items()})

    def configure_optimizers(self):
        schedule = self.settings.schedule
        optimizers = [
            torch.optim.AdamW(
                self.network.parameters(),
                lr=schedule.learning_rate,
                betas=schedule.betas,
                weight_decay=schedule.weight_decay,
            )
        ]
        if self.judge:
            rate = self.settings.discriminator.learning_rate
            optimizers.append(torch.optim.AdamW(self.judge.parameters(), rate, schedule.betas))
        return optimizers

    def _schedule(self, step: int) -> float:
        """Share of the learning rate: linear warm-up, then down to ``final_share``."""
        schedule = self.settings.schedule
        warm, end = min(1.0, (step + 1) / schedule.warmup_steps), schedule.final_share
        done = min(1.0, step / schedule.steps)
        if schedule.decay == "exponential":
            return warm * end**done
        return warm * (end + (1 - end) * (1 + math.cos(math.pi * done)) / 2)

    def finished(self) -> CodecNetwork:
        """The trained network: the averaged weights where there are such."""
        network = self.average.module if self.average else self.network
        network.check_started()
        return network.eval()


def _resumable(folder: str, settings: CodecSettings) -> tuple[Path | None, int]:
    """The newest whole checkpoint, and its steps; GibletError if it is of another recipe."""
    if (last := newest(whole := whole_checkpoints(folder))) is None:
        return None, 0
    before = CodecSettings.model_validate(whole[last]["hyper_parameters"]["settings"])
    for part in CodecSettings.model_fields:
        if getattr(before, part) != getattr(settings, part):
            raise GibletError(
                f"{last} is of a run with another recipe: its {part} differ. Give another "
                "folder for --logs, or delete this one"
            )
    return last, whole[last]["global_step"]


def fit_codec(
    train: Sounds,
    validation: Sounds,
    settings: CodecSettings,
    folder: str,
    start: CodecNetwork | None = None,
    progress: bool = False,
) -> CodecNetwork:
    """Train a codec on sounds (kind → waveforms (n_samples,)), continuing from ``start``.

    Checkpoints and curves (``curves/from_step_N/metrics.csv``, one for each start or resumption)
    go into ``folder``; a run that finds its last checkpoint there continues from it, with the same
    losses as an uninterrupted run.

    Raises GibletError if ``start`` is another network than ``settings`` describe, the checkpoint
    one of another recipe, or a loss not a finite number.
    """
    schedule, (last, resumed_from) = settings.schedule, _resumable(folder, settings)
    with torch.random.fork_rng():
        torch.manual_seed(schedule.seed)
        module = CodecTraining(settings)
        if start is not None:
            module.go_on_from(start)
        rate, data = settings.network.sample_rate, settings.data
        others = RandomCrops(train, rate, data, schedule.seed + 1)
        module.for_kmeans = DataLoader(others, data.batch_size)
        crops = RandomCrops(train, rate, data, schedule.seed, resumed_from * data.batch_size)
        checks = RandomCrops(validation, rate, data, schedule.seed, validation=True)
        trainer = lightning.Trainer(
            max_steps=schedule.steps,
            accelerator="auto",
            devices=1,
            plugins=[SealedCheckpoints(), LightningEnvironment()],  # one process, also in Slurm
            callbacks=[
                ModelCheckpoint(folder, save_last=True, every_n_train_steps=schedule.check_every)
            ],
            logger=[
                TensorBoardLogger(folder, "tensorboard", ""),
                CSVLogger(folder, "curves", f"from_step_{resumed_from}"),  # it empties its folder
            ],
            val_check_interval=schedule.check_every,
            log_every_n_steps=min(50, schedule.check_every),
            limit_val_batches=1,
            num_sanity_val_steps=0,
            enable_model_summary=False,
            enable_progress_bar=progress,
        )
        batches = DataLoader(crops, data.batch_size), DataLoader(checks, data.validation_crops)
        trainer.fit(module, *batches, ckpt_path=last)
    return module.finished()
