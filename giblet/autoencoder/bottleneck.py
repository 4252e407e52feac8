"""The bottleneck: features of all modalities joined, laid out in time or as one vector."""

import torch
from torch import nn

from giblet.audio.codecs.convnext import ConvNeXtBlock


class FlatJoin(nn.Module):
    """Features side by side, mixed into one vector (n_trs, out_dim): the original design.

    ``widths``: modality → features; what is missing is 0, so that 256 + 1024 + 256 = 1536 go in.
    """

    def __init__(self, widths: dict[str, int], out_dim: int):
        super().__init__()
        self.widths, self.out_dim = widths, out_dim
        self.mix = nn.Linear(sum(widths.values()), out_dim)
        self.norm = nn.LayerNorm(out_dim)

    def forward(self, parts: dict[str, torch.Tensor]) -> torch.Tensor:
        """``parts``: modality → (n_trs, width)."""
        some = next(iter(parts.values()))
        wide = [
            parts[name] if name in parts else some.new_zeros(len(some), width)
            for name, width in self.widths.items()
        ]
        return self.norm(self.mix(torch.cat(wide, dim=-1)))

    @property
    def slow_widths(self) -> dict[str, int]:
        """Features in `slow`."""
        return {"all": self.out_dim}

    def slow(self, bottleneck: torch.Tensor) -> torch.Tensor:
        """The part of a bottleneck that BOLD is read from: all of it."""
        return bottleneck


class SlotJoin(nn.Module):
    """Slots in time; in each, a band of features for sound, one for pictures and one for words.

    A band is normalised by itself, so no modality dominates another. What is missing is 0.

    Parameters
    ----------
    widths
        Modality → features that its encoder brings.
    bands
        Modality → features of a slot; sound brings its slots as they are.
    """

    def __init__(self, widths: dict[str, int], n_slots: int, bands: dict[str, int]):
        super().__init__()
        self.n_slots, self.bands, self.slot_dim = n_slots, bands, sum(bands.values())
        self.out_dim = n_slots * self.slot_dim
        self.enters = nn.ModuleDict(
            {
                name: nn.Linear(width, n_slots * bands[name], bias=False)
                for name, width in widths.items()
                if name != "audio"
            }
        )
        self.norm = nn.ParameterDict(
            {"weight": torch.ones(self.slot_dim), "bias": torch.zeros(self.slot_dim)}
        )

    def forward(self, parts: dict[str, torch.Tensor]) -> torch.Tensor:
        """``parts``: modality → (n_trs, width)."""
        some, slots = next(iter(parts.values())), []
        for name, dim in self.bands.items():
            band = some.new_zeros(len(some), self.n_slots * dim)
            if name in parts:
                band = parts[name] if name == "audio" else self.enters[name](parts[name])
                band = nn.functional.layer_norm(band, band.shape[1:])
            slots.append(band.unflatten(-1, (self.n_slots, dim)))
        return (torch.cat(slots, dim=-1) * self.norm["weight"] + self.norm["bias"]).flatten(1)

    @property
    def slow_widths(self) -> dict[str, int]:
        """Modality → its features in `slow`, in their order."""
        return {
            name: dim * (1 if name == "audio" else self.n_slots) for name, dim in self.bands.items()
        }

    def slow(self, bottleneck: torch.Tensor) -> torch.Tensor:
        """The part of (..., out_dim) that BOLD is read from: the mean of sound's band over the
        slots of a TR, which the HRF blurs together anyway, and the other bands as they are."""
        slots = bottleneck.unflatten(-1, (self.n_slots, self.slot_dim))
        bands = zip(self.bands, slots.split(list(self.bands.values()), dim=-1), strict=True)
        parts = [band.mean(-2) if name == "audio" else band.flatten(-2) for name, band in bands]
        return torch.cat(parts, dim=-1)


class Spread(nn.Module):
    """A Gaussian around each feature of the bottleneck, for the variational variant.

    Its variance is predicted from the features (Kingma & Welling 2014).
    """

    def __init__(self, dim: int):
        super().__init__()
        self.dim = dim
        self.log_variance = nn.Linear(dim, dim)
        nn.init.zeros_(self.log_variance.weight)
        nn.init.constant_(self.log_variance.bias, -5.0)

    def forward(self, bottleneck: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """A draw around ``bottleneck`` (n_trs, bottleneck_dim), and its divergence from a standard
        normal in nats, (n_trs, bottleneck_dim)."""
        log_variance = self.log_variance(bottleneck.unflatten(-1, (-1, self.dim))).flatten(1)
        log_variance = log_variance.float().clamp(-12, 4)
        drawn = bottleneck + torch.randn_like(bottleneck) * (log_variance / 2).exp()
        nats = (bottleneck.float().square() + log_variance.exp() - 1 - log_variance) / 2
        return drawn, nats


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
    def start_with_first(self, n_features: int) -> None:
        """Ignore all but a slot's first ``n_features`` until training changes that."""
        self.enter.weight[:, n_features:] = 0

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
