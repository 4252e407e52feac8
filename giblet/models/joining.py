"""Where the modalities meet: their features become one bottleneck."""

import torch
from torch import nn


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


class SlotJoin(nn.Module):
    """Sound as its slots are, whatever else there is added to all of them.

    What pictures and words add begins at nothing, so that a sound that was learned before is
    still understood. All slots are normalised together; a TR of any length joins alike.
    """

    def __init__(self, widths: dict[str, int], n_slots: int, slot_dim: int):
        super().__init__()
        self.n_slots, self.slot_dim, self.out_dim = n_slots, slot_dim, n_slots * slot_dim
        self.adds = nn.ModuleDict(
            {name: nn.Linear(w, self.out_dim) for name, w in widths.items() if name != "audio"}
        )
        if "audio" in widths:
            for add in self.adds.values():
                nn.init.zeros_(add.weight)
                nn.init.zeros_(add.bias)
        self.norm = nn.ParameterDict(
            {"weight": torch.ones(slot_dim), "bias": torch.zeros(slot_dim)}
        )

    def forward(self, parts: dict[str, torch.Tensor]) -> torch.Tensor:
        """``parts``: modality → (n_trs, width)."""
        added = [part if name == "audio" else self.adds[name](part) for name, part in parts.items()]
        slots = nn.functional.layer_norm(sum(added), (self.out_dim,))
        slots = slots.unflatten(-1, (self.n_slots, self.slot_dim))
        return (slots * self.norm["weight"] + self.norm["bias"]).flatten(1)


class Spread(nn.Module):
    """How sure the bottleneck is of itself: the variational autoencoder's share of it.

    A Gaussian around each feature, its spread told from the features (Kingma & Welling 2014).
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
