"""The block of which giblet's codec and its bottleneck are made; it needs no transformers."""

import torch
from torch import nn
from torch.nn import functional

_QUIET = 1e-2  # mean square of a frame's features below which a block does ever less


class ConvNeXtBlock(nn.Module):
    """Each feature over neighbouring frames, then all features of a frame (Liu et al. 2022).

    ``branch``: how far from the identity it begins.
    """

    def __init__(self, width: int, kernel_size: int = 7, expansion: int = 3, branch: float = 1.0):
        super().__init__()
        self.over_frames = nn.Parameter(torch.randn(kernel_size, width) / kernel_size**0.5)
        self.scale = nn.Parameter(torch.ones(width))
        self.up, self.down = (
            nn.Linear(width, expansion * width),
            nn.Linear(expansion * width, width),
        )
        nn.init.zeros_(self.up.bias)
        nn.init.zeros_(self.down.bias)
        with torch.no_grad():
            self.down.weight.mul_(branch)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, n_frames, width) to the same shape."""
        n_taps, n_frames = len(self.over_frames), x.shape[1]
        padded = functional.pad(x, (0, 0, n_taps // 2, n_taps // 2))
        y = sum(padded[:, i : i + n_frames] * tap for i, tap in enumerate(self.over_frames))
        y = y * torch.rsqrt(y.square().mean(-1, keepdim=True) + _QUIET) * self.scale
        return x + self.down(functional.gelu(self.up(y)))
