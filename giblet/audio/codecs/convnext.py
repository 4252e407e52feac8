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
        y = functional.rms_norm(self._over_frames(x), x.shape[-1:], self.scale, _QUIET)
        return x + self.down(functional.gelu(self.up(y)))

    def _over_frames(self, x: torch.Tensor) -> torch.Tensor:
        """Each feature by itself, in single precision.

        As pictures of one line, whose channels lie side by side in memory: no copy, and the
        fastest way that torch has.
        """
        n_taps, n_frames = len(self.over_frames), x.shape[1]
        exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        with torch.autocast(x.device.type, enabled=False), exact:
            lines = x.to(self.over_frames.dtype).transpose(1, 2)[:, :, None]
            taps = self.over_frames.t()[:, None, None]  # (width, 1, 1, n_taps)
            lines, taps = (t.contiguous(memory_format=torch.channels_last) for t in (lines, taps))
            y = functional.conv2d(lines, taps, padding=(0, n_taps // 2), groups=x.shape[2])
        return y[:, :, 0, :n_frames].transpose(1, 2)
