"""The LightningModule: one training or validation step, and the optimizer."""

import math

import lightning
import torch

from giblet.alignment.loaders import step_seed
from giblet.alignment.shapes import Shapes
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.autoencoder.callbacks import WATCHED
from giblet.autoencoder.objective import Objective, SoundDistance
from giblet.autoencoder.warm_start import AUDIO
from giblet.config.sections import ModelConfig, TrainingConfig

_FEW = 20.0  # factor on the learning rate of single numbers, whose gradient is one of many


class BottleneckTraining(lightning.LightningModule):
    """One autoencoder in training; its checkpoint carries all that is needed to build it."""

    def __init__(
        self,
        shapes: Shapes,
        model: ModelConfig,
        training: TrainingConfig,
        data_hash: str = "",
        seed: int = 0,
        started: bool = False,
    ):
        super().__init__()
        self.save_hyperparameters(
            {  # plain values: a checkpoint holds no classes of giblet's
                "shapes": shapes.to_dict(),
                "model": model.model_dump(),
                "training": training.model_dump(),
                "baselines": None,
                "data_hash": data_hash,
                "seed": seed,
                "started": started,
            }
        )
        self.settings, self.seed = training, seed
        self.autoencoder = Autoencoder(shapes, model)
        self.baselines: dict[str, float] = {}

    def set_objective(self, baselines: dict[str, float], sound: SoundDistance | None) -> None:
        """Build the loss, whose parts are divided by their ``baselines``."""
        self.baselines = self.hparams["baselines"] = baselines
        self.objective = Objective(self.autoencoder, self.settings, self.baselines, sound)

    def on_train_batch_start(self, window, index):
        count = self.global_step * self.trainer.world_size + self.global_rank
        torch.manual_seed(step_seed(self.seed, count))  # resumed or not, the same

    def training_step(self, window, index):
        losses, bottleneck = self.objective(window)
        weighted = self.objective.weighted(losses, self.current_epoch)
        named = {f"train/{name}": loss for name, loss in losses.items()}
        self.log_dict(named, on_step=False, on_epoch=True, batch_size=1, sync_dist=True)
        if index == 0:
            shares = gradient_shares(weighted, bottleneck)
            self.log_dict({f"share/{name}": share for name, share in shares.items()}, batch_size=1)
        return sum(weighted.values())

    def validation_step(self, window, index):
        losses, _bottleneck = self.objective(window)
        named = {f"validation/{name}": loss for name, loss in losses.items()}
        self.log_dict(named, prog_bar=True, batch_size=1, sync_dist=True)
        total = sum(self.objective.weighted(losses, self.settings.kl_epochs).values())
        self.log(WATCHED, total, batch_size=1, sync_dist=True)

    def _rate_factor(self, name: str) -> float:
        """Factor on the learning rate of a parameter."""
        if name.endswith("sharpness"):
            return _FEW
        pretrained = name.removeprefix("autoencoder.").startswith(AUDIO)
        return self.settings.started_share if self.hparams["started"] and pretrained else 1.0

    def configure_gradient_clipping(
        self, optimizer, gradient_clip_val, gradient_clip_algorithm=None
    ):
        """By norm. Lightning's own refuses a fused optimizer, for a gradient scaler that float16
        alone would have."""
        torch.nn.utils.clip_grad_norm_(self.parameters(), gradient_clip_val)

    def configure_optimizers(self):
        settings = self.settings
        groups: dict[float, list] = {}
        for name, parameter in self.named_parameters():
            groups.setdefault(self._rate_factor(name), []).append(parameter)
        optimizer = torch.optim.AdamW(
            [
                {
                    "params": parameters,
                    "lr": factor * settings.learning_rate,
                    "weight_decay": 0.0 if factor == _FEW else settings.weight_decay,
                }
                for factor, parameters in groups.items()
            ],
            fused=True,
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
