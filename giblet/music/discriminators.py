"""Discriminators of real and generated tokens on three scales: local, phrase and global.

They take distributions (batch, n, n_ids): one-hots of real tokens, and of generated ones with a
gradient (`giblet.music.adversarial.draw_straight_through`). Every weight has a spectral norm of at
most 1 in every step.
"""

from itertools import pairwise
from math import sqrt
from typing import Literal

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import nn
from torch.nn import functional

from giblet.config.strict import StrictSettings
from giblet.music.musical_features import N_FEATURES, musical_features
from giblet.music.spectral_norm import spectral_norm
from giblet.music.tokens import VOCABULARY

Scale = Literal["local", "phrase", "global"]

GAIN = sqrt(2)  # of each layer: leaky ReLUs halve the power
SLOPE = 0.2
SCORE_GAIN = 10.0  # of the last layer: its inputs vary by a tenth, hinges ask for scores of 1
LEAST_VARIANCE = 1e-4  # the root's gradient stays finite where nothing varies


class ScaleSettings(StrictSettings):
    """One discriminator."""

    n_tokens: PositiveInt
    width: PositiveInt = 64
    n_halvings: PositiveInt = 3
    from_step: NonNegativeInt = 0


DEFAULT_SCALES: dict[Scale, ScaleSettings] = {
    "local": ScaleSettings(n_tokens=32, n_halvings=3),
    "phrase": ScaleSettings(n_tokens=128, n_halvings=4, from_step=2000),
    "global": ScaleSettings(n_tokens=256, n_halvings=5, from_step=4000),
}


class TokenDiscriminator(nn.Module):
    """Convolutions over embedded tokens and their musical features, to one score a window.

    The convolutions have 3 taps and a stride of 2. The score is linear in the mean and standard
    deviation over time of the embedded tokens and of each layer. It is high for real music.
    """

    def __init__(self, settings: ScaleSettings):
        super().__init__()
        self.settings = settings
        width, n_features = settings.width, sum(N_FEATURES.values())
        self.embedding = spectral_norm(nn.Linear(VOCABULARY.n_ids, width, bias=False))
        widths = [width + n_features] + [width] * settings.n_halvings
        self.layers = nn.ModuleList(
            spectral_norm(nn.Conv1d(a, b, 3, stride=2, padding=1)) for a, b in pairwise(widths)
        )
        self.score = spectral_norm(nn.Linear(2 * sum(widths), 1))

    def embed(
        self, distributions: torch.Tensor, features: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(batch, n, n_ids) → (batch, n, width + n_features): tokens, and musical features.

        ``features`` (batch, n, n_features) are `joined_features` where they are already known.
        """
        features = joined_features(distributions) if features is None else features
        return torch.cat([sqrt(self.settings.width) * self.embedding(distributions), features], -1)

    def judge(self, embedded: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Embedded tokens to scores (batch,) and the feature maps of the layers."""
        signal, maps = embedded.transpose(1, 2), []
        for layer in self.layers:
            signal = GAIN * functional.leaky_relu(layer(signal), SLOPE)
            maps.append(signal)
        pooled = [_moments(part) for part in (embedded.transpose(1, 2), *maps)]
        return SCORE_GAIN * self.score(torch.cat(pooled, dim=-1))[:, 0], maps

    def forward(self, distributions: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Windows (batch, n_tokens, n_ids) to scores (batch,) and feature maps."""
        return self.judge(self.embed(distributions))


def _moments(signal: torch.Tensor) -> torch.Tensor:
    """Mean and standard deviation (batch, 2 * n_channels) over time of (batch, n_channels, n)."""
    deviation = (signal.var(-1, correction=0) + LEAST_VARIANCE).sqrt()
    return torch.cat([signal.mean(-1), deviation], dim=-1)


def joined_features(distributions: torch.Tensor) -> torch.Tensor:
    """All musical features (batch, n, n_features) of distributions (batch, n, n_ids)."""
    return torch.cat(list(musical_features(distributions).values()), dim=-1)
