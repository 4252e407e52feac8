"""A training step's loss: nats, constraints, KL divergence and adversarial losses, each by name."""

from typing import Literal, Self

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, model_validator as validator
from torch import nn

from giblet.config.strict import StrictSettings
from giblet.loss_weighting.balancer import Balancer, average_over_processes
from giblet.loss_weighting.uncertainty import UncertaintyWeights
from giblet.music.adversarial import AdversarialSettings, MusicAdversary
from giblet.music.constraints import Grid
from giblet.music.inputs import Inputs
from giblet.music.kl_schedules import KlScheduleSettings, build_schedule, free_bits
from giblet.music.latents import word_dropout
from giblet.music.losses import (
    KINDS,
    ConstraintWeights,
    TokenWeights,
    constraints,
    diagnostics,
    mean_nats,
    means_by_kind,
    token_nats,
    total_loss,
    weighted_nats,
)
from giblet.music.model import MusicTransformerVAEGAN
from giblet.music.posteriors import Posterior, active_units
from giblet.music.tokens import VOCABULARY

_ROWS_DIAGNOSED = 2  # of a batch: logits of all tokens are large


class LossSettings(StrictSettings):
    """What a model learns from beside nats, and how much each weighs."""

    token_weights: TokenWeights | Literal["learned"] | None = Field(
        None, description="by kind; learned: by each kind's noise; null: all tokens alike"
    )
    constraints: ConstraintWeights | None = Field(None, description="null: none")
    balance: Literal["weights", "gradients"] = Field(
        "weights",
        description="weighted sum, or shares of the gradient beside that of the nats, by the "
        "balancer of giblet.loss_weighting; KL is added to both as it is",
    )
    kl: KlScheduleSettings = Field(
        KlScheduleSettings(), description="its KL is of all levels, in nats per token"
    )
    word_dropout: float = Field(0.0, ge=0, lt=1, description="share of hidden inputs; mode vae")
    bag: NonNegativeFloat = Field(
        0.0,
        description="weight of the nats of each token by one latent of its segment alone, without "
        "order, the mean of the levels (Zhao et al. 2017): latents must carry notes; mode vae",
    )
    bag_steps: NonNegativeInt = Field(
        0, description="first steps that learn from the bag and KL alone, four times as fast"
    )

    @validator(mode="after")
    def _settings_agree(self) -> Self:
        if self.token_weights == "learned" and self.balance == "gradients":
            raise ValueError("token_weights that are learned need balance: weights")
        if self.bag_steps and not self.bag:
            raise ValueError("bag_steps need a bag above 0")
        return self


class Objective(nn.Module):
    """The loss of a batch, with what it needs from step to step.

    That is KL's weight, the discriminators, the balancer, the weights of kinds of tokens that are
    learned, and the map from latents to bags of tokens. ``width`` is the model's; a bag needs it.
    """

    def __init__(
        self, settings: LossSettings, gan: AdversarialSettings | None, width: int | None = None
    ):
        super().__init__()
        self.settings = settings
        self.bag_logits = None
        if settings.bag:
            assert width is not None, "the width of the latents' signal"
            self.bag_logits = nn.Linear(width, VOCABULARY.n_ids)
        self.kl_schedule = build_schedule(settings.kl)
        self.adversary = None if gan is None else MusicAdversary(gan)
        self.kind_weights = None
        if settings.token_weights == "learned":
            self.kind_weights = UncertaintyWeights(dict.fromkeys((*KINDS, "end"), "categorical"))
        self.nats_name = "nats" if settings.token_weights is None else "nats_weighted"
        self.weights = {self.nats_name: 1.0}
        if settings.constraints is not None:
            self.weights |= settings.constraints.model_dump()
        if self.adversary is not None:
            self.weights |= self.adversary.weights()
        is_balanced = settings.balance == "gradients"
        self.balancer = Balancer(self.weights, kept=self.nats_name) if is_balanced else None

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
        loss : scalar, nats per token and what is added; its gradient is balanced, if settings say
        values : by name, scalars to log
        drawn : one-hots of real and drawn tokens, for `discriminator_step`; None without a GAN
        """
        targets, z, hears, drawn = batch["targets"], None, None, None
        values: dict[str, torch.Tensor] = {}
        if model.latents is not None:
            posteriors = model.posteriors(batch, generator)
            z = {name: posterior.z for name, posterior in posteriors.items()}
            if step < self.settings.bag_steps:
                loss, values = self._of_latents(model, batch, posteriors, z)
                return loss, {name: value.detach() for name, value in values.items()}, None
            hidden_inputs = word_dropout(batch["inputs"], self.settings.word_dropout, generator)
            if dropout := model.latents.settings.dropout:
                draws = torch.rand(len(targets), generator=generator, device=targets.device)
                hears = draws >= dropout
                hidden_inputs = torch.where(hears[:, None], hidden_inputs, batch["inputs"])
            batch = batch | {"inputs": hidden_inputs}
        hidden = model(batch, z=z, hears=hears)
        if self.weights.keys() == {self.nats_name} and self.balancer is None:
            nats = model.target_nats(hidden, batch)  # without all logits at once
        else:
            logits = model.transformer.logits(hidden, batch["possible"])
            nats = token_nats(logits, targets)
        losses = {self.nats_name: self.token_loss(nats, targets)}
        if self.settings.constraints is not None:
            grid = Grid(*batch["sixteenths"].unbind(-1))
            probabilities = logits.float().softmax(-1)
            losses |= constraints(probabilities, targets, batch["seconds"], grid)
        if self.adversary is not None:
            drawn = self.adversary.draw(logits, targets, generator)
            losses |= self.adversary.generator_losses(*drawn, step)
        values |= losses | {"nats": mean_nats(nats, targets)}
        loss = total_loss(losses, self.weights)
        if self.balancer is not None:
            learned = {name: value for name, value in losses.items() if name in self.weights}
            gradient, shares = self.balancer.gradient(learned, logits)
            along = (gradient * logits).sum()  # its gradient is the balanced one
            loss = loss.detach() + along - along.detach()
            values |= {f"share_{name}": share for name, share in shares.items()}
        if z is not None:
            latent_loss, latent_values = self._of_latents(model, batch, posteriors, z)
            values |= latent_values
            loss = loss + latent_loss
        if self.kind_weights is not None:
            weights = self.kind_weights.weights()
            values |= {f"weight_{name}": torch.tensor(w) for name, w in weights.items()}
        if diagnosed:
            some = slice(_ROWS_DIAGNOSED)
            logits = model.transformer.logits(hidden[some].detach(), batch["possible"][some])
            values |= diagnostics(logits, targets[some])
        return loss, {name: value.detach() for name, value in values.items()}, drawn

    def token_loss(self, nats: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """What is learned from nats (batch, n_tokens): a scalar in nats per token."""
        if self.kind_weights is not None:
            return self.kind_weights(means_by_kind(nats, targets))
        if isinstance(self.settings.token_weights, TokenWeights):
            return weighted_nats(nats, targets, self.settings.token_weights)
        return mean_nats(nats, targets)

    def _of_latents(
        self,
        model: MusicTransformerVAEGAN,
        batch: Inputs,
        posteriors: dict[str, Posterior],
        z: dict[str, torch.Tensor],
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """KL and the bag, weighed, and their values."""
        targets, beta = batch["targets"], self.kl_schedule.beta
        kl, values = self._kl(model, posteriors, (targets != VOCABULARY.pad).sum())
        values["beta"] = torch.tensor(beta)
        self.kl_schedule.update(_mean_over_processes(values["kl_per_token"]))
        if self.bag_logits is None:
            return beta * kl, values
        bags = {
            f"bag_{name}": mean_nats(token_nats(self.bag_logits(mapped), targets), targets)
            for name, mapped in model.latents_at_targets(batch, z).items()
        }
        mean = torch.stack(list(bags.values())).mean()
        return beta * kl + self.settings.bag * mean, values | bags

    def _kl(
        self, model: MusicTransformerVAEGAN, posteriors: dict[str, Posterior], n_tokens
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """KL beyond the free nats of all levels, in nats per token, and values of each level.

        ``kl_<level>`` is in nats per latent vector.
        """
        charged, whole = torch.zeros(()), torch.zeros(())
        values: dict[str, torch.Tensor] = {}
        assert model.latents is not None, "KL is of latents"
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
        assert self.adversary is not None, "no discriminators"
        loss, values = self.adversary.discriminator_losses(*drawn, step)
        if loss is not None:
            optimizer.zero_grad()
            loss.backward()
            gradients = [p.grad for p in self.adversary.parameters() if p.grad is not None]
            for tensor in (*gradients, self.adversary.aucs):
                average_over_processes(tensor)
            self.adversary.set_learning_rates(optimizer)
            optimizer.step()
        return values


def _mean_over_processes(value: torch.Tensor) -> float:
    """The mean of a scalar over the processes that train together."""
    average_over_processes(value := value.clone())
    return float(value)
