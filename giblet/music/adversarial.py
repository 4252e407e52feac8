"""Adversarial training of a model of tokens: what the discriminators learn, and what they teach.

Three things keep it stable. R1 keeps the scores flat around real music. The learning rate of each
discriminator falls as it wins (see `MusicAdversary.learning_rate_shares`). The scales join one
after another, by ``from_step`` of their settings. How much of the model's gradient is adversarial
is the business of `giblet.loss_weighting.balancer.Balancer`.
"""

from collections.abc import Iterable

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import nn
from torch.nn import functional

from giblet.config.strict import StrictSettings
from giblet.music.discriminators import DEFAULT_SCALES, Scale, ScaleSettings, TokenDiscriminator
from giblet.music.musical_features import N_FEATURES, musical_features
from giblet.music.tokens import VOCABULARY

LEAST_SIZE = 0.01  # of features: smaller ones are compared as they are, times 100


class AdversarialSettings(StrictSettings):
    """Discriminators, and what they weigh."""

    scales: dict[Scale, ScaleSettings] = DEFAULT_SCALES
    weight: PositiveFloat = Field(1.0, description="of each scale's adversarial loss")
    feature_weight: NonNegativeFloat = Field(1.0, description="of each scale's feature matching")
    music_weight: NonNegativeFloat = Field(1.0, description="of each musical feature's distance")
    temperature: PositiveFloat = Field(1.0, description="of the Gumbel-softmax's gradient")
    learning_rate: PositiveFloat = 5e-4
    r1_weight: NonNegativeFloat = 0.1
    balanced_auc: float = Field(
        0.75, ge=0.5, lt=1, description="above it, a discriminator learns more slowly"
    )
    auc_steps: PositiveInt = Field(20, description="of the running mean of the AUC")


def draw_straight_through(
    logits: torch.Tensor, temperature: float, generator: torch.Generator
) -> torch.Tensor:
    """One-hots of tokens drawn from logits (batch, n, n_ids), with the gradient of a softmax.

    Adding Gumbel noise and taking the maximum draws from the softmax of the logits; the gradient
    is that of the softmax of the noisy logits over ``temperature`` (Jang et al. 2017).
    """
    uniform = torch.rand(logits.shape, generator=generator, device=logits.device)
    tiny = torch.finfo(uniform.dtype).tiny
    noisy = logits.float() - (-uniform.clamp(min=tiny).log()).clamp(min=tiny).log()
    soft = (noisy / temperature).softmax(-1)
    hard = functional.one_hot(noisy.argmax(-1), logits.shape[-1]).to(soft.dtype)
    return hard + soft - soft.detach()


def one_hot(tokens: torch.Tensor) -> torch.Tensor:
    """(..., n) ids to (..., n, n_ids) float."""
    return functional.one_hot(tokens.long(), VOCABULARY.n_ids).float()


def whole_windows(distributions: torch.Tensor, n_tokens: int) -> torch.Tensor:
    """(batch, n, n_ids) cut into (batch * (n // n_tokens), n_tokens, n_ids); the rest is left."""
    n_windows = distributions.shape[1] // n_tokens
    whole = distributions[:, : n_windows * n_tokens]
    return whole.reshape(-1, n_tokens, distributions.shape[-1])


def hinge_discriminator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Of scores (batch,) of real and of generated music: scalar, 2 at chance, 0 when sure."""
    return (1 - real).relu().mean() + (1 + fake).relu().mean()


def hinge_generator(fake: torch.Tensor) -> torch.Tensor:
    """Of scores (batch,) of generated music: scalar, 0 if all are scored as real.

    A window that scores above 1 fools the discriminator, and teaches the model nothing.
    """
    return (1 - fake).relu().mean()


def feature_matching(real: Iterable[torch.Tensor], fake: Iterable[torch.Tensor]) -> torch.Tensor:
    """Distance of the mean feature of each channel, relative to its size; mean over maps.

    Maps (batch, n_channels, n) of real music, which get no gradient, and of generated: means are
    over batch and n (Salimans et al. 2016), so that no note has to be the same.
    """
    pairs = [(r.detach().mean((0, 2)), f.mean((0, 2))) for r, f in zip(real, fake, strict=True)]
    terms = [(r - f).abs().mean() / r.abs().mean().clamp(min=LEAST_SIZE) for r, f in pairs]
    return torch.stack(terms).mean()


def r1_penalty(scores: torch.Tensor, embedded: torch.Tensor) -> torch.Tensor:
    """Mean squared norm of the scores' gradient with respect to embedded real music.

    Scores (batch,) of ``embedded`` (batch, n, width) → scalar, with a gradient of its own
    (Mescheder et al. 2018). It is taken where the tokens are points of a space:
    after `TokenDiscriminator.embed`.
    """
    (slope,) = torch.autograd.grad(scores.sum(), embedded, create_graph=True)
    return slope.square().sum((1, 2)).mean()


def area_under_curve(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Probability that a real window (n,) scores above a generated one (m,); a tie is half.

    >>> area_under_curve(torch.tensor([2.0, 1.0]), torch.tensor([1.0, 0.0])).item()
    0.875
    """
    difference = real.detach()[:, None] - fake.detach()
    return ((difference > 0).float() + 0.5 * (difference == 0)).mean()


class MusicAdversary(nn.Module):
    """Discriminators on several scales, and the losses that they give a model of tokens.

    The order of a step: `generator_losses` (the model's), then `discriminator_losses`, each of
    logits (batch, n, n_ids) and the tokens (batch, n) that they predict, with the step's number.
    """

    def __init__(self, settings: AdversarialSettings):
        super().__init__()
        self.settings = settings
        self.discriminators = nn.ModuleDict(
            {scale: TokenDiscriminator(s) for scale, s in settings.scales.items()}
        )
        self.register_buffer("aucs", torch.full((len(settings.scales),), 0.5))

    def active(self, step: int, n_tokens: int) -> list[Scale]:
        """Scales that take part in ``step``, with sequences of ``n_tokens``."""
        return [
            scale
            for scale, s in self.settings.scales.items()
            if step >= s.from_step and n_tokens >= s.n_tokens
        ]

    def draw(
        self, logits: torch.Tensor, targets: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One-hots (batch, n, n_ids) of the targets, and of drawn tokens; PAD stays PAD."""
        real = one_hot(targets)
        fake = draw_straight_through(logits, self.settings.temperature, generator)
        return real, torch.where((targets == VOCABULARY.pad)[..., None], real, fake)

    def generator_losses(
        self, real: torch.Tensor, fake: torch.Tensor, step: int
    ) -> dict[str, torch.Tensor]:
        """Losses of the model by name; the discriminators get no gradient from them.

        ``adversarial_<scale>`` and ``features_<scale>`` of each active scale, and
        ``music_<feature>``: distances of the mean musical features.
        """
        losses = music_distances(real, fake)
        self.discriminators.requires_grad_(False)
        for scale in self.active(step, real.shape[1]):
            discriminator = self.discriminators[scale]
            n_tokens = discriminator.settings.n_tokens
            with torch.no_grad():
                _, real_maps = discriminator(whole_windows(real, n_tokens))
            scores, fake_maps = discriminator(whole_windows(fake, n_tokens))
            losses[f"adversarial_{scale}"] = hinge_generator(scores)
            losses[f"features_{scale}"] = feature_matching(real_maps, fake_maps)
        self.discriminators.requires_grad_(True)
        return losses

    def weights(self) -> dict[str, float]:
        """Of every loss in `generator_losses`, for a sum or a balancer."""
        s = self.settings
        weights = {f"music_{name}": s.music_weight for name in N_FEATURES}
        weights |= {f"adversarial_{scale}": s.weight for scale in s.scales}
        return weights | {f"features_{scale}": s.feature_weight for scale in s.scales}

    def discriminator_losses(
        self, real: torch.Tensor, fake: torch.Tensor, step: int
    ) -> tuple[torch.Tensor | None, dict[str, torch.Tensor]]:
        """The discriminators' own loss, or None where none is active, and values to log.

        Of each active scale: ``discriminator_<scale>``, ``r1_<scale>``, ``auc_<scale>``,
        ``real_score_<scale>``, ``fake_score_<scale>``. Updates the running AUCs.
        """
        total: torch.Tensor | None = None
        values: dict[str, torch.Tensor] = {}
        for scale in self.active(step, real.shape[1]):
            discriminator = self.discriminators[scale]
            n_tokens = discriminator.settings.n_tokens
            embedded = discriminator.embed(whole_windows(real, n_tokens))
            real_scores, _ = discriminator.judge(embedded)
            fake_scores, _ = discriminator(whole_windows(fake.detach(), n_tokens))
            loss = hinge_discriminator(real_scores, fake_scores)
            penalty = r1_penalty(real_scores, embedded)
            auc = area_under_curve(real_scores, fake_scores)
            row = list(self.settings.scales).index(scale)
            self.aucs[row] += (auc - self.aucs[row]) / self.settings.auc_steps
            total = (0.0 if total is None else total) + loss + self.settings.r1_weight * penalty
            values |= {
                f"discriminator_{scale}": loss.detach(),
                f"r1_{scale}": penalty.detach(),
                f"auc_{scale}": auc,
                f"real_score_{scale}": real_scores.detach().mean(),
                f"fake_score_{scale}": fake_scores.detach().mean(),
            }
        return total, values

    def parameter_groups(self) -> list[dict]:
        """For the discriminators' optimiser: a group a scale, in the order of the settings."""
        rate = self.settings.learning_rate
        return [{"params": list(d.parameters()), "lr": rate} for d in self.discriminators.values()]

    def learning_rate_shares(self) -> list[float]:
        """Share of the learning rate by scale: 1 up to ``balanced_auc``, then down to 0 at AUC 1.

        A discriminator that wins waits for the model, and one that loses learns on.
        """
        room = (1 - self.aucs) / (1 - self.settings.balanced_auc)
        return room.clamp(0, 1).tolist()

    def set_learning_rates(self, optimizer: torch.optim.Optimizer) -> None:
        """Give each group of `parameter_groups` its share."""
        for group, share in zip(optimizer.param_groups, self.learning_rate_shares(), strict=True):
            group["lr"] = self.settings.learning_rate * share


def music_distances(real: torch.Tensor, fake: torch.Tensor) -> dict[str, torch.Tensor]:
    """``music_<feature>``: distances of the mean musical features of (batch, n, n_ids), scalars.

    Relative to the size of the real ones, which get no gradient (see `feature_matching`).
    """
    with torch.no_grad():
        expected = musical_features(real)
    found = musical_features(fake)
    return {
        f"music_{name}": feature_matching(
            [expected[name].transpose(1, 2)], [found[name].transpose(1, 2)]
        )
        for name in expected
    }
