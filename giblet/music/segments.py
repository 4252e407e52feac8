"""Tokens in segments of time: their numbers, pooling, and an encoder of linear cost."""

import torch
from torch import nn

KERNEL = 5  # positions that a block's convolution spans at dilation 1


def pool_segments(
    x: torch.Tensor, index: torch.Tensor, mask: torch.Tensor, n_segments: int
) -> torch.Tensor:
    """Mean, maximum and number of the vectors in each segment (batch, n_segments, 2 width + 1).

    ``x`` (batch, n, width) lie in segments ``index`` (batch, n), where ``mask`` (batch, n). The
    number is ``log(1 + n)``. Empty segments are 0.

    >>> x, index = torch.tensor([[[1.0], [3.0], [5.0]]]), torch.tensor([[0, 0, 2]])
    >>> pool_segments(x, index, torch.ones(1, 3, dtype=torch.bool), 3)[0, :, :2]
    tensor([[2., 3.],
            [0., 0.],
            [5., 5.]])
    """
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    batch, _, width = x.shape
    index = torch.where(mask, index, n_segments)  # one more segment, for padding
    count = x.new_zeros(batch, n_segments + 1).scatter_add(1, index, torch.ones_like(x[..., 0]))
    wide = index[..., None].expand_as(x)
    empty = x.new_zeros(batch, n_segments + 1, width)
    mean = empty.scatter_add(1, wide, x) / count.clamp(min=1)[..., None]
    largest = empty.scatter_reduce(1, wide, x, "amax", include_self=False)
    return torch.cat([mean, largest, count.log1p()[..., None]], -1)[:, :-1]


def gather_segments(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """The vector (batch, n, width) of each position's segment.

    ``x`` (batch, n_segments, width) at ``index`` (batch, n).
    """
    return x.gather(1, index[..., None].expand(-1, -1, x.shape[-1]))


class Block(nn.Module):
    """A residual block: depthwise convolution in both directions, then a small network.

    Positions where ``mask`` (batch, n, 1) is 0 give nothing to others.
    """

    def __init__(self, width: int, dilation: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        padding = dilation * (KERNEL // 2)
        self.convolution = nn.Conv1d(
            width, width, KERNEL, padding=padding, dilation=dilation, groups=width
        )
        self.network = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        mixed = self.convolution((self.norm(x) * mask).mT).mT
        return x + self.network(mixed) * mask


class SegmentEncoder(nn.Module):
    """States of the segments of three levels, bottom-up: tokens, fine, local, global.

    Convolutions over tokens and over each level's segments see both directions. The cost grows
    linearly with the number of tokens and with the piece's length.
    """

    def __init__(
        self,
        width: int,
        fine_seconds: float,
        ratios: tuple[int, int | None],
        n_token_blocks: int,
        n_segment_blocks: int,
    ):
        super().__init__()
        self.fine_seconds, self.ratios = fine_seconds, ratios
        self.norm, self.phase = nn.LayerNorm(width), nn.Linear(1, width)
        self.token_blocks = nn.ModuleList(Block(width, 2**i) for i in range(n_token_blocks))
        names = ("fine", "local", "global")
        self.pooled = nn.ModuleDict({name: nn.Linear(2 * width + 1, width) for name in names})
        self.segment_blocks = nn.ModuleDict(
            {
                name: nn.ModuleList(Block(width, 2**i) for i in range(n_segment_blocks))
                for name in names
            }
        )

    def indices(self, seconds: torch.Tensor) -> dict[str, torch.Tensor]:
        """Level -> number of the segment that contains each of ``seconds`` (any shape)."""
        return self._from_fine((seconds / self.fine_seconds).floor().long())

    def parents(self, name: str, n: int, device: torch.device) -> dict[str, torch.Tensor]:
        """Level -> number (n,) of the segment that contains each of ``n`` segments of ``name``.

        For the level itself and the coarser ones.
        """
        segments = torch.arange(n, device=device)
        if name == "fine":
            return self._from_fine(segments)
        return {"local": segments, "global": self._coarser(segments)}

    def n_segments(self, seconds: float) -> dict[str, int]:
        """Level -> number of segments up to the one that contains ``seconds``."""
        last = self.indices(torch.tensor(seconds, dtype=torch.float64))
        return {name: int(index) + 1 for name, index in last.items()}

    def forward(
        self, embeddings: torch.Tensor, seconds: torch.Tensor, mask: torch.Tensor
    ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """States (batch, n_segments, width) of each level, and which segments contain a token."""
        indices = self.indices(seconds.where(mask, 0))
        phase = seconds.remainder(self.fine_seconds) / self.fine_seconds
        x = self.norm(embeddings) + self.phase(phase[..., None].to(embeddings.dtype))
        for block in self.token_blocks:
            x = block(x, mask[..., None])
        states, occupied, index = {}, {}, indices["fine"]
        for name, coarser in (("fine", "local"), ("local", "global"), ("global", None)):
            n = int(indices[name].max()) + 1
            pooled = pool_segments(x, index, mask, n)
            mask = pooled[..., -1] > 0
            x = self.pooled[name](pooled)
            for block in self.segment_blocks[name]:
                x = block(x, mask[..., None])
            states[name], occupied[name] = x, mask
            if coarser:
                index = self.parents(name, n, x.device)[coarser].expand(len(x), n)
        return states, occupied

    def _from_fine(self, fine: torch.Tensor) -> dict[str, torch.Tensor]:
        local = fine // self.ratios[0]
        return {"fine": fine, "local": local, "global": self._coarser(local)}

    def _coarser(self, local: torch.Tensor) -> torch.Tensor:
        ratio = self.ratios[1]
        return torch.zeros_like(local) if ratio is None else local // ratio
