"""Prior distributions over one level's latent vectors: Gaussian, mixture, normalizing flow."""

from abc import ABC, abstractmethod
from functools import partial
from math import log, pi
from typing import Literal

import torch
from pydantic import PositiveInt
from torch import nn

from giblet.config.strict import StrictSettings

SMALLEST_SCALE = 0.2  # of a coupling layer, and 5 the largest: the inverse stays well-conditioned


class PriorSettings(StrictSettings):
    """Kind and size of a prior."""

    kind: Literal["gaussian", "mixture", "flow"] = "gaussian"
    n_components: PositiveInt = 16  # of the mixture
    n_layers: PositiveInt = 4  # coupling layers of the flow
    hidden: PositiveInt = 64  # units in each coupling layer of the flow


def standard_log_density(z: torch.Tensor) -> torch.Tensor:
    """Log density (...) in nats of z (..., width) under a standard Gaussian.

    >>> standard_log_density(torch.zeros(1, 2))
    tensor([-1.8379])
    """
    return -0.5 * (z.square().sum(-1) + z.shape[-1] * log(2 * pi))


class Prior(nn.Module, ABC):
    """A distribution over vectors of ``width`` numbers."""

    def __init__(self, width: int):
        super().__init__()
        self.width = width
        self.register_buffer("origin", torch.zeros(()), persistent=False)  # device and dtype

    @abstractmethod
    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        """Log density (...) in nats of z (..., width)."""

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """``n`` vectors (n, width), drawn with ``generator``."""

    def _noise(self, n: int, generator: torch.Generator | None) -> torch.Tensor:
        return torch.randn(
            n,
            self.width,
            generator=generator,
            device=self.origin.device,
            dtype=self.origin.dtype,
        )


class GaussianPrior(Prior):
    """The standard Gaussian; nothing is learned."""

    def log_prob(self, z):
        return standard_log_density(z)

    def sample(self, n, generator=None):
        return self._noise(n, generator)


class MixturePrior(Prior):
    """A learned mixture of Gaussians with diagonal covariances."""

    def __init__(self, width: int, n_components: int):
        super().__init__(width)
        self.logits = nn.Parameter(torch.zeros(n_components))
        self.means = nn.Parameter(torch.randn(n_components, width))
        self.log_scales = nn.Parameter(torch.zeros(n_components, width))

    def log_prob(self, z):
        standardized = (z.unsqueeze(-2) - self.means) * (-self.log_scales).exp()
        by_component = standard_log_density(standardized) - self.log_scales.sum(-1)
        return (self.logits.log_softmax(0) + by_component).logsumexp(-1)

    @torch.no_grad()
    def sample(self, n, generator=None):
        shares = self.logits.softmax(0)
        component = torch.multinomial(shares, n, replacement=True, generator=generator)
        return self.means[component] + self.log_scales[component].exp() * self._noise(n, generator)


class FlowPrior(Prior):
    """A normalizing flow of affine coupling layers (RealNVP, Dinh et al. 2017; by zuko).

    Both directions are one pass: the inverse is exact but for rounding. Of a single number
    (``width`` 1) nothing can be coupled, and the flow is an affine map.
    """

    def __init__(self, width: int, n_layers: int, hidden: int):
        super().__init__(width)
        # imported late: zuko turns off torch's checks of the arguments of distributions
        from zuko.flows import RealNVP
        from zuko.transforms import MonotonicAffineTransform

        flow = RealNVP(
            width,
            transforms=n_layers,
            hidden_features=(hidden, hidden),
            univariate=partial(MonotonicAffineTransform, slope=SMALLEST_SCALE),
        )
        self.transform = flow.transform  # z to noise

    def to_noise(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Noise (..., width) of z (..., width), and the map's log determinant (...)."""
        return self.transform().call_and_ladj(z)

    def from_noise(self, noise: torch.Tensor) -> torch.Tensor:
        """The inverse of ``to_noise``."""
        return self.transform().inv(noise)

    def log_prob(self, z):
        noise, log_determinant = self.to_noise(z)
        return standard_log_density(noise) + log_determinant

    @torch.no_grad()
    def sample(self, n, generator=None):
        return self.from_noise(self._noise(n, generator))


def build_prior(width: int, settings: PriorSettings) -> Prior:
    """The prior that ``settings`` describe.

    >>> build_prior(4, PriorSettings(kind="mixture", n_components=2)).sample(3).shape
    torch.Size([3, 4])
    """
    if settings.kind == "gaussian":
        return GaussianPrior(width)
    if settings.kind == "mixture":
        return MixturePrior(width, settings.n_components)
    return FlowPrior(width, settings.n_layers, settings.hidden)
