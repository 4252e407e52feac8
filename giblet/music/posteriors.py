"""Posterior distributions of one level's latents, and what they cost and contain."""

from dataclasses import dataclass, replace
from math import log

import torch

from giblet.music.priors import GaussianPrior, Prior, standard_log_density


@dataclass(frozen=True, eq=False)
class Posterior:
    """Diagonal Gaussians over the latents of one level's segments, and one sample of each."""

    mean: torch.Tensor  # (batch, n_segments, width)
    log_variance: torch.Tensor  # (batch, n_segments, width)
    z: torch.Tensor  # (batch, n_segments, width): a sample, or the mean
    occupied: torch.Tensor  # (batch, n_segments) bool: the segment contains a token

    def sampled(self, generator: torch.Generator | None) -> "Posterior":
        """The same with new samples; ``generator`` None: with z the mean."""
        if generator is None:
            return replace(self, z=self.mean)
        noise = torch.randn(
            self.mean.shape, generator=generator, device=self.mean.device, dtype=self.mean.dtype
        )
        return replace(self, z=self.mean + (self.log_variance / 2).exp() * noise)

    def log_prob(self) -> torch.Tensor:
        """Log density (batch, n_segments) of z, in nats."""
        standardized = (self.z - self.mean) * (-self.log_variance / 2).exp()
        return standard_log_density(standardized) - self.log_variance.sum(-1) / 2


def kl_divergence(posterior: Posterior, prior: Prior) -> torch.Tensor:
    """KL of ``posterior`` from ``prior`` (batch, n_segments) in nats; 0 in empty segments.

    Exact for the Gaussian prior. For the others it is an estimate without bias from the
    posterior's one sample, so z must be a sample and not the mean.
    """
    if isinstance(prior, GaussianPrior):
        variance = posterior.log_variance.exp()
        terms = posterior.mean.square() + variance - 1 - posterior.log_variance
        kl = terms.sum(-1) / 2
    else:
        kl = posterior.log_prob() - prior.log_prob(posterior.z)
    return kl * posterior.occupied


def active_units(means: torch.Tensor, threshold: float = 0.01) -> torch.Tensor:
    """Latent dimensions (width,) bool that are used: the means' variance is above ``threshold``.

    ``means`` (n, width) are posterior means of n segments of different pieces (Burda et al. 2016,
    who use the threshold of .01).

    >>> active_units(torch.tensor([[0.0, 1.0], [0.05, -1.0]]))
    tensor([False,  True])
    """
    return means.var(0) > threshold


def iw_elbo(log_weights: torch.Tensor) -> torch.Tensor:
    """The importance-weighted bound (batch,) on the log likelihood (Burda et al. 2016), in nats.

    ``log_weights`` (k, batch) are ``log p(x | z) + log p(z) - log q(z | x)`` of k samples. The
    bound is the ELBO for k = 1, and in expectation it rises with k up to the log likelihood.

    >>> iw_elbo(torch.tensor([[-3.0], [-3.0]]))
    tensor([-3.])
    """
    return log_weights.logsumexp(0) - log(len(log_weights))
