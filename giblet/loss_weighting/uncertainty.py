"""Losses weighted by the noise of their tasks, which is learned with the model."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import nn

from giblet.errors import GibletError, nearest_name

Likelihood = Literal["gaussian", "categorical"]


class UncertaintyWeights(nn.Module):
    """A weight for each loss from a noise level that is learned (Kendall, Gal and Cipolla 2018).

    The sum is ``sum_i(c_i * exp(-s_i) * loss_i + s_i / 2)`` with ``s_i`` the logarithm of task i's
    noise variance (their equations 7 and 10): ``c_i`` is 1/2 where the loss is a mean squared error
    (``gaussian``), and 1 where it is nats of labels (``categorical``). At its minimum the variance
    is the loss itself (gaussian), or twice the loss (categorical): a noisy task weighs little.

    The parameters need an optimiser beside the model's, or a group of their own in it without
    weight decay. A loss that can be negative, or reach 0, has no minimum here: adversarial losses
    belong to the gradient balancer.

    Parameters
    ----------
    likelihoods : loss -> what the loss is a log-likelihood of

    >>> weights = UncertaintyWeights({"pitch": "gaussian"})
    >>> with torch.no_grad():
    ...     _ = weights.log_variances.fill_(4.0).log_()
    >>> round(weights({"pitch": torch.tensor(4.0)}).item(), 4)  # 4 / (2 * 4) + log(4) / 2
    1.1931
    """

    def __init__(self, likelihoods: Mapping[str, Likelihood]):
        super().__init__()
        self.names = tuple(likelihoods)
        factors = [{"gaussian": 0.5, "categorical": 1.0}[kind] for kind in likelihoods.values()]
        self.register_buffer("factors", torch.tensor(factors), persistent=False)
        self.log_variances = nn.Parameter(torch.zeros(len(factors)))

    def forward(self, losses: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The weighted sum, a scalar. Raises GibletError for a loss without a likelihood."""
        for name in losses:
            if name not in self.names:
                raise GibletError(
                    f"losses: {name!r} has no likelihood{nearest_name(name, self.names)}"
                )
        rows = [self.names.index(name) for name in losses]
        values = torch.stack(list(losses.values()))
        s = self.log_variances[rows]
        return (self.factors[rows] * torch.exp(-s) * values + s / 2).sum()

    def weights(self) -> dict[str, float]:
        """What each loss is multiplied by."""
        weights = self.factors * torch.exp(-self.log_variances.detach())
        return dict(zip(self.names, weights.tolist(), strict=True))
