"""Losses balanced by the size of their gradients, so that a weight is a share of the gradient."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

import torch
from torch import nn

from giblet.errors import GibletError, nearest_name


def check_weight(name: str, weight: Any) -> float:
    """``weight`` of the loss called ``name``, if it is a number from 0 on, or GibletError."""
    is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
    if not is_number or not isfinite(weight) or weight < 0:
        raise GibletError(f"{name}: its weight must be a number from 0 on, got {weight!r}")
    return float(weight)


class Balancer(nn.Module):
    """Rescale each loss's gradient with respect to the model's output to its share of the norm.

    ``G = total_norm * sum_i(w_i / sum(w) * g_i / mean|g_i|)`` with ``g_i`` the gradient of loss
    i, ``|g_i|`` its norm by sound, averaged over the batch, and ``mean`` exponential over steps
    (EnCodec, Défossez et al. 2022, section 3.4). The scale of a loss no longer matters.

    A loss without gradient in a step is left out: the others get its share, and its running mean
    stays. A gradient that is not finite reaches the model, for the trainer to see,
    and leaves the running means alone. The means are kept in checkpoints. Norms are means over all
    processes that train together, which pass the same losses.

    Parameters
    ----------
    weights : loss -> share of the gradient, relative to the others
    decay : of the running means, per step
    total_norm : of the balanced gradient
    kept : a loss whose gradient stays as large as it is, instead of a total norm: the others are
        rescaled to their shares beside it. For losses that are added outside the balancer
    """

    def __init__(
        self,
        weights: Mapping[str, float],
        decay: float = 0.999,
        total_norm: float = 1.0,
        kept: str | None = None,
    ):
        super().__init__()
        self.weights = {k: check_weight(f"losses.{k}", w) for k, w in weights.items()}
        if not any(self.weights.values()):
            raise GibletError("losses: none has a weight above 0, so nothing would be learned")
        if kept is not None and not self.weights.get(kept):
            raise GibletError(f"losses: {kept!r} keeps its gradient: give it a weight above 0")
        self.decay, self.total_norm, self.kept = decay, total_norm, kept
        # decayed sums over steps; their ratio is a mean that does not lean towards its start
        self.register_buffer("norm_sums", torch.zeros(len(weights)))
        self.register_buffer("step_sums", torch.zeros(len(weights)))

    def gradient(
        self, losses: Mapping[str, torch.Tensor], output: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Balanced gradient, of the shape of ``output``, and the share that each loss has in it.

        The losses depend on the model by ``output`` (batch, ...) alone. Shares are of the summed
        norms in this step; over many steps they approach the weights. Updates the running means.

        Raises GibletError for a loss without a weight.
        """
        rows = [self._row(name) for name in losses]
        gradients = [_gradient(loss, output) for loss in losses.values()]
        norms = torch.stack([g.flatten(1).norm(dim=1).mean() for g in gradients])
        average_over_processes(norms)
        means = self._running_means(norms, rows)
        wanted = norms.new_tensor([self.weights[name] for name in losses]) * (norms != 0)
        wanted = wanted / wanted.sum().clamp(min=torch.finfo(norms.dtype).tiny)
        scales = torch.where(means > 0, self.total_norm * wanted / means, 0.0)
        if self.kept in losses:
            kept = scales[list(losses).index(self.kept)]
            scales = scales / torch.where(kept > 0, kept, 1.0)
        balanced = sum(scale * g for scale, g in zip(scales, gradients, strict=True))
        parts = scales * norms
        shares = parts / parts.sum().clamp(min=torch.finfo(norms.dtype).tiny)
        return balanced, dict(zip(losses, shares, strict=True))

    def backward(
        self,
        losses: Mapping[str, torch.Tensor],
        output: torch.Tensor,
        unbalanced: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Send the balanced gradient of ``losses`` from ``output`` into the model; their shares.

        ``unbalanced`` is a loss that does not come by way of ``output`` (commitment): its gradient
        is added as it is, in the same pass.
        """
        balanced, shares = self.gradient(losses, output)
        if unbalanced is None or not unbalanced.requires_grad:
            output.backward(balanced)
        else:
            torch.autograd.backward([output, unbalanced], [balanced, None])
        return shares

    def _row(self, name: str) -> int:
        names = list(self.weights)
        if name not in names:
            raise GibletError(f"losses: {name!r} has no weight{nearest_name(name, names)}")
        return names.index(name)

    def _running_means(self, norms: torch.Tensor, rows: list[int]) -> torch.Tensor:
        """Means (n_losses,) of the norms (n_losses,) seen so far, with these."""
        seen = torch.isfinite(norms) & (norms > 0)
        for sums, new in ((self.norm_sums, norms), (self.step_sums, torch.ones_like(norms))):
            sums[rows] = torch.where(seen, self.decay * sums[rows] + new, sums[rows])
        return self.norm_sums[rows] / self.step_sums[rows].clamp(min=1.0)


def average_over_processes(tensor: torch.Tensor) -> None:
    """Replace a tensor by its mean over the processes that train together, if there are several."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(tensor)
        tensor /= torch.distributed.get_world_size()


def _gradient(loss: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
    """Of ``loss`` with respect to ``output``; zero where it does not depend on it."""
    if not loss.requires_grad:
        return torch.zeros_like(output)
    (gradient,) = torch.autograd.grad(
        loss, output, retain_graph=True, allow_unused=True, materialize_grads=True
    )
    return gradient
