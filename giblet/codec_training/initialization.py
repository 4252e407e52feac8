"""Initial weights: convolutions that invert one another, all at one level."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

Basis = Literal["random", "principal"]
Pair = tuple[nn.Conv1d, nn.Conv1d | nn.ConvTranspose1d]

_NOISE = 0.1  # of taps and branches that the identity does not need


def add_weight_norm(part: nn.Module) -> None:
    """Split every convolution's weight into magnitude and direction (Salimans & Kingma 2016)."""
    for module in list(part.modules()):
        if isinstance(module, nn.Conv1d | nn.ConvTranspose1d):
            parametrizations.weight_norm(module)


def plain_weights(part: nn.Module) -> dict[str, torch.Tensor]:
    """The state of ``part`` as it would be without weight norm."""
    state = {k: v for k, v in part.state_dict().items() if ".parametrizations." not in k}
    for name, module in part.named_modules():
        if parametrize.is_parametrized(module, "weight"):
            state[f"{name}.weight"] = module.weight.detach()
    return state


@torch.no_grad()
def start_pairs(
    pairs: Sequence[Pair],
    run: Callable[[], torch.Tensor],
    out_std: torch.Tensor,
    level: float,
    basis: Basis = "principal",
) -> None:
    """Make each pair's second convolution invert the first as well as it can.

    A strided convolution begins as an orthogonal transform of each frame's own ``stride``
    samples, and its counterpart as the transpose. Every output is then scaled to the
    standard deviation ``level``, the very last one, ``pairs[0][1]``, to ``out_std``. All have
    weight norm.

    Parameters
    ----------
    pairs
        Of encoder and decoder, in the encoder's order.
    run
        Runs the network on a batch of sound: each layer starts on what reaches it.
    basis
        Directions kept where a convolution has fewer outputs than it sees: ``random`` ones, or
        the ``principal`` components of what it sees.
    """
    hooks = []
    for down, up in pairs:
        hooks.append(down.register_forward_pre_hook(partial(_pair_up, up, basis)))
        hooks.append(down.register_forward_hook(partial(_scale, level)))
        target = out_std if up is pairs[0][1] else level
        hooks.append(up.register_forward_hook(partial(_scale, target)))
    run()
    for hook in hooks:
        hook.remove()


def shrink(branch_end: nn.Module) -> None:
    """Let a residual branch that ends in this convolution begin small."""
    with torch.no_grad():
        branch_end.parametrizations.weight.original0.mul_(_NOISE)


def zero_biases(network: nn.Module) -> None:
    """Of all convolutions."""
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.ConvTranspose1d):
            nn.init.zeros_(module.bias)


def _pair_up(up: nn.Module, basis: Basis, down: nn.Conv1d, inputs: tuple) -> None:
    stride, begin = down.stride[0], _own_taps(down)
    kernel = _noise_like(down.weight)  # (out, in, taps)
    block = torch.empty(down.out_channels, down.in_channels * stride, device=kernel.device)
    if basis == "random":
        nn.init.orthogonal_(block)
    else:
        own = inputs[0][..., begin - down.padding[0] :].unfold(-1, stride, stride)
        block = _principal(own.transpose(1, 2).flatten(2).flatten(0, 1), block)
    block = block.view(down.out_channels, down.in_channels, stride)
    kernel[..., begin : begin + stride] += block
    down.weight = kernel
    up.weight = _inverse(up, block)


def _own_taps(convolution: nn.Module) -> int:
    """The first of the ``stride`` taps that meet a frame's own samples.

    Convolutions are centred, with padding of their own (DAC), or causal, padded by their parent
    (EnCodec): then the newest taps of a strided convolution, the oldest of a transposed one.
    """
    if convolution.padding[0] or isinstance(convolution, nn.ConvTranspose1d):
        return convolution.padding[0]
    return convolution.kernel_size[0] - convolution.stride[0]


def _principal(seen: torch.Tensor, block: torch.Tensor) -> torch.Tensor:
    """Principal directions of ``seen`` (n, n_in), mixed evenly over the rows of ``block``."""
    _, directions = torch.linalg.eigh(seen.T @ seen)  # ascending
    kept = directions[:, -len(block) :]  # (n_in, n_kept)
    mix = nn.init.orthogonal_(torch.empty(len(block), kept.shape[1], device=kept.device))
    return mix @ kept.T


def _noise_like(weight: torch.Tensor) -> torch.Tensor:
    fan_in = weight.shape[1] * weight.shape[2]
    return torch.randn_like(weight) * (_NOISE / fan_in**0.5)


def _inverse(up: nn.Module, block: torch.Tensor) -> torch.Tensor:
    """Weights of the layer that inverts ``block`` (out, in, stride)."""
    kernel, begin = _noise_like(up.weight), _own_taps(up)
    if not isinstance(up, nn.ConvTranspose1d):  # (out, in, taps), as many as channels
        block = block.transpose(0, 1)
    n_rows, n_columns = (
        min(sizes) for sizes in zip(kernel.shape[:2], block.shape[:2], strict=True)
    )
    taps = slice(begin, begin + block.shape[-1])
    kernel[:n_rows, :n_columns, taps] += block[:n_rows, :n_columns]
    return kernel


def _scale(std: float | torch.Tensor, module: nn.Module, _inputs, output: torch.Tensor):
    """A forward hook: give ``output`` this standard deviation, by the weight's magnitude."""
    factor = std / output.std().clamp(min=1e-8)
    module.parametrizations.weight.original0.mul_(factor)
    return output * factor
