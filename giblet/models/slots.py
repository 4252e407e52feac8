"""The bottleneck laid out in time: a few features for each slot of a few frames."""

import torch
from torch import nn

from giblet.audio.convnext import ConvNeXtBlock

_BRANCH = 0.1  # blocks begin near the identity


class SlotEncoder(nn.Module):
    """Frames of one TR (batch, n_frames, n_features) → (batch, n_slots * slot_dim).

    ``slot_frames`` frames become one slot; blocks look around before and after that.
    """

    def __init__(
        self, n_features: int, slot_frames: int, slot_dim: int, frame_width: int, slot_width: int
    ):
        super().__init__()
        self.slot_frames = slot_frames
        self.enter = nn.Linear(n_features, frame_width)
        self.over_frames = _blocks(2, frame_width, 7, 3)
        self.pool = nn.Linear(slot_frames * frame_width, slot_width)
        self.over_slots = _blocks(2, slot_width, 5, 2)
        self.leave = nn.Linear(slot_width, slot_dim)

    def forward(self, frames: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """``present`` (batch, n_frames) bool; where it is False, as if the TR were shorter."""
        x = self.enter(frames) * present[..., None]
        for block in self.over_frames:
            x = block(x) * present[..., None]
        x = _fill(x, self.slot_frames)
        x = self.pool(x.unflatten(1, (-1, self.slot_frames)).flatten(2))  # (batch, n_slots, width)
        return self.leave(self.over_slots(x)).flatten(1)


class SlotDecoder(nn.Module):
    """(batch, n_slots * slot_dim) → features of frames (batch, frame_width, n_frames)."""

    def __init__(
        self, n_frames: int, slot_frames: int, slot_dim: int, frame_width: int, slot_width: int
    ):
        super().__init__()
        self.n_frames, self.slot_dim, self.slot_frames = n_frames, slot_dim, slot_frames
        self.enter = nn.Linear(slot_dim, slot_width)
        self.over_slots = _blocks(2, slot_width, 5, 2)
        self.spread = nn.Linear(slot_width, slot_frames * frame_width)
        self.over_frames = _blocks(3, frame_width, 7, 3)

    @torch.no_grad()
    def hear_only(self, n_sound: int) -> None:
        """Begin with a slot's first ``n_sound`` features, deaf to the others."""
        self.enter.weight[:, n_sound:] = 0

    def forward(self, bottleneck: torch.Tensor) -> torch.Tensor:
        x = self.over_slots(self.enter(bottleneck.unflatten(-1, (-1, self.slot_dim))))
        x = self.spread(x).unflatten(-1, (self.slot_frames, -1)).flatten(1, 2)
        return self.over_frames(x[:, : self.n_frames]).transpose(1, 2)


def count_slots(n_frames: int, slot_frames: int) -> int:
    """Slots that hold ``n_frames``; the last may be part empty.

    >>> count_slots(112, 7), count_slots(113, 7)
    (16, 17)
    """
    return -(-n_frames // slot_frames)


def _blocks(n: int, width: int, kernel_size: int, expansion: int) -> nn.Sequential:
    blocks = (ConvNeXtBlock(width, kernel_size, expansion, _BRANCH) for _ in range(n))
    return nn.Sequential(*blocks)


def _fill(x: torch.Tensor, slot_frames: int) -> torch.Tensor:
    """With empty frames at the end, so that slots are whole."""
    missing = count_slots(x.shape[1], slot_frames) * slot_frames - x.shape[1]
    return nn.functional.pad(x, (0, 0, 0, missing))
