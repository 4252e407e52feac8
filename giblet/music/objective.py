"""A training step's loss: nats, constraints, KL divergence and adversarial losses, each by name."""

import torch
from pydantic import Field
from torch import nn

from giblet.config.strict import StrictSettings
from giblet.music.adversarial import AdversarialSettings, MusicAdversary
from giblet.music.constraints import Grid
from giblet.music.inputs import Inputs
from giblet.music.kl_schedules import KlScheduleSettings, build_schedule, free_bits
from giblet.music.latents import word_dropout
from giblet.music.losses import (
    ConstraintWeights,
    TokenWeights,
    constraints,
    diagnostics,
    mean_nats,
    weighted_nats,
)
from giblet.music.model import MusicTransformerVAEGAN
from giblet.music.posteriors import Posterior, active_units
from giblet.music.tokens import VOCABULARY

_ROWS_DIAGNOSED = 2  # of a batch: logits of all tokens are large


class LossSettings(StrictSettings):
    """What a model learns from beside nats, and how much each weighs."""

    token_weights: TokenWeights | None = Field(None, description="by kind; null: all tokens alike")
    constraints: ConstraintWeights | None = Field(None, description="null: none")
    kl: KlScheduleSettings = Field(
        KlScheduleSettings(), description="its KL is of all levels, in nats per token"
    )
    word_dropout: float = Field(0.0, ge=0, lt=1, description="share of hidden inputs; mode vae")


class Objective(nn.Module):
    """The loss of a batch, with what it needs from step to step: KL's weight, discriminators."""

    def __init__(self, settings: LossSettings, gan: AdversarialSettings | None):
        super().__init__()
        self.settings = settings
        self.kl_schedule = build_schedule(settings.kl)
        self.adversary = None if gan is None else MusicAdversary(gan)

    def forward(
        self,
        model: MusicTransformerVAEGAN,
        batch: Inputs,
        step: int,
        generator: torch.Generator,
        diagnosed: bool = False,
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor], tuple[torch.Tensor, torch.Tensor] | None]:
        """A model's loss on a batch.

        Parameters
        ----------
        generator : draws latents, hidden inputs and tokens
        diagnosed : whether the values of `giblet.music.losses.diagnostics` are wanted

        Returns
        -------
        loss : scalar, nats per token and what is added
        values : by name, scalars to log
        drawn : one-hots of real and drawn tokens, for `discriminator_step`; None without a GAN
        """
        targets, z, values, drawn = batch["targets"], None, {}, None
        if model.latents is not None:
            posteriors = model.posteriors(batch, generator)
            z = {name: posterior.z for name, posterior in posteriors.items()}
            hidden_inputs = word_dropout(batch["inputs"], self.settings.word_dropout, generator)
            batch = batch | {"inputs": hidden_inputs}
        hidden = model(batch, z=z)
        nats = model.target_nats(hidden, targets)
        values["nats"] = mean_nats(nats, targets)
        loss = self.token_loss(nats, targets)
        if self.settings.token_weights is not None:
            values["nats_weighted"] = loss
        if z is not None:
            beta = self.kl_schedule.beta
            kl, levels = self._kl(model, posteriors, (targets != VOCABULARY.pad).sum())
            values |= levels | {"beta": torch.tensor(beta)}
            self.kl_schedule.update(_mean_over_processes(levels["kl_per_token"]))
            loss = loss + beta * kl
        if self.settings.constraints is not None or self.adversary is not None:
            logits = model.transformer.logits(hidden)
        if (weights := self.settings.constraints) is not None:
            grid = Grid(*batch["sixteenths"].unbind(-1))
            found = constraints(logits.float().softmax(-1), targets, batch["seconds"], grid)
            values |= found
            loss = loss + sum(getattr(weights, name) * value for name, value in found.items())
        if self.adversary is not None:
            drawn = self.adversary.draw(logits, targets, generator)
            found, weights = self.adversary.generator_losses(*drawn, step), self.adversary.weights()
            values |= found
            loss = loss + sum(weights[name] * value for name, value in found.items())
        if diagnosed:
            rows = hidden[:_ROWS_DIAGNOSED].detach()
            values |= diagnostics(model.transformer.logits(rows), targets[:_ROWS_DIAGNOSED])
        return loss, {name: value.detach() for name, value in values.items()}, drawn

    def token_loss(self, nats: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """What is learned from nats (batch, n_tokens): a scalar in nats per token."""
        if (weights := self.settings.token_weights) is not None:
            return weighted_nats(nats, targets, weights)
        return mean_nats(nats, targets)

    def _kl(
        self, model: MusicTransformerVAEGAN, posteriors: dict[str, Posterior], n_tokens
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """KL beyond the free nats of all levels, in nats per token, and values of each level.

        ``kl_<level>`` is in nats per latent vector.
        """
        charged, whole, values = 0.0, 0.0, {}
        for name, kl in model.latents.kl(posteriors).items():
            posterior = posteriors[name]
            n_segments = posterior.occupied.sum()
            values[f"kl_{name}"] = mean = kl.sum() / n_segments
            free = model.latents.settings.levels[name].free_nats
            charged = charged + free_bits(mean, free) * n_segments / n_tokens
            whole = whole + mean.detach() * n_segments / n_tokens
            if n_segments > 1:
                active = active_units(posterior.mean.detach()[posterior.occupied])
                values[f"active_units_{name}"] = active.float().mean()
        return charged, values | {"kl_per_token": whole}

    def discriminator_step(
        self, optimizer: torch.optim.Optimizer, drawn: tuple[torch.Tensor, torch.Tensor], step: int
    ) -> dict[str, torch.Tensor]:
        """Train the discriminators on what `forward` drew; values to log."""
        loss, values = self.adversary.discriminator_losses(*drawn, step)
        if loss is not None:
            optimizer.zero_grad()
            loss.backward()
            gradients = [p.grad for p in self.adversary.parameters() if p.grad is not None]
            for tensor in (*gradients, self.adversary.aucs):
                _average_over_processes(tensor)
            self.adversary.set_learning_rates(optimizer)
            optimizer.step()
        return values


def _mean_over_processes(value: torch.Tensor) -> float:
    """The mean of a scalar over the processes that train together."""
    _average_over_processes(value := value.clone())
    return float(value)


def _average_over_processes(tensor: torch.Tensor) -> None:
    """Replace a tensor by its mean over the processes that train together."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(tensor)
        tensor /= torch.distributed.get_world_size()
