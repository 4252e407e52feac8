"""A small model that refines retrieved bottlenecks, in the continuous slots: flow matching.

Rectified flow (Liu et al. 2023): between a bottleneck x and noise e lie (1 - t) x + t e. The model
learns x from that and from the decoded slow part. From a retrieved clip it starts at t = strength
(SDEdit, Meng et al. 2022), and steps back to t = 0: strength 0 is the clip itself, 1 starts from
noise alone.

Liu X, Gong C, Liu Q (2023). Flow straight and fast. ICLR.
Meng C, He Y, Song Y, et al. (2022). SDEdit: guided image synthesis and editing with stochastic
differential equations. ICLR.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import nn

_WIDTH, _KERNEL, _N_BLOCKS = 96, 5, 3
_N_STEPS, _BATCH, _CROP_TRS, _RATE = 400, 16, 4, 2e-3
_N_SAMPLING_STEPS = 12


class Refiner(nn.Module):
    """Predicts clean slots from noisy ones.

    Parameters
    ----------
    n_slots, slot_dim
        Of a TR's bottleneck; a flat one has one slot.
    n_conditions
        Components of the decoded slow part.
    """

    def __init__(self, n_slots: int, slot_dim: int, n_conditions: int):
        super().__init__()
        self.n_slots, self.slot_dim = n_slots, slot_dim
        self.register_buffer("mean", torch.zeros(slot_dim))
        self.register_buffer("deviation", torch.ones(slot_dim))
        self.enter = nn.Conv1d(slot_dim + n_conditions + 1 + n_slots + 1, _WIDTH, 1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(_WIDTH, _WIDTH, _KERNEL, padding=_KERNEL // 2),
                nn.GELU(),
                nn.Dropout(0.1),
                nn.Conv1d(_WIDTH, _WIDTH, 1),
            )
            for _ in range(_N_BLOCKS)
        )
        self.leave = nn.Conv1d(_WIDTH, slot_dim, 1)

    def forward(
        self, noisy: torch.Tensor, condition: torch.Tensor, certain: torch.Tensor, t: torch.Tensor
    ) -> torch.Tensor:
        """Clean slots (batch, n_trs * n_slots, slot_dim), scaled.

        ``noisy``: the same shape; ``condition`` (batch, n_trs, n_conditions); ``certain`` (batch,):
        1 for the true slow part, 0 for a decoded one; ``t`` (batch,).
        """
        n_batch, n_slots, _dim = noisy.shape
        slow = condition.repeat_interleave(self.n_slots, dim=1)
        place = torch.eye(self.n_slots).repeat(condition.shape[1], 1).expand(n_batch, -1, -1)
        ones = noisy.new_ones(n_batch, n_slots, 1)
        inputs = [noisy, slow, ones * certain[:, None, None], place, ones * t[:, None, None]]
        x = self.enter(torch.cat(inputs, dim=-1).transpose(1, 2))
        for block in self.blocks:
            x = x + block(x)
        return self.leave(x).transpose(1, 2)

    def scaled(self, slots: torch.Tensor) -> torch.Tensor:
        """Slots (..., slot_dim) with mean 0 and deviation 1 in training TRs."""
        return (slots - self.mean) / self.deviation


def train_refiner(
    slots: np.ndarray,
    true: np.ndarray,
    decoded: Sequence[np.ndarray],
    stretches: Sequence[np.ndarray],
    seed: int,
    n_steps: int = _N_STEPS,
) -> Refiner:
    """A refiner trained on training TRs.

    Parameters
    ----------
    slots : (n_train, n_slots, slot_dim) bottlenecks
    true : (n_train, n_components) the slow part
    decoded : of each brain, the slow part (n_train, n_components) as decoded in held-out folds,
        so with the errors that it has in test TRs
    stretches : indices of consecutive TRs; each needs one TR or more
    """
    _n_train, n_slots, slot_dim = slots.shape
    crop = min(_CROP_TRS, max(map(len, stretches)))
    starts = np.concatenate([s[: max(0, len(s) - crop + 1)] for s in stretches])
    conditions = torch.from_numpy(np.stack([true, *decoded]).astype(np.float32))
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Refiner(n_slots, slot_dim, true.shape[1])
        flat = torch.from_numpy(slots.astype(np.float32))
        model.mean.copy_(flat.mean((0, 1)))
        model.deviation.copy_(flat.std((0, 1)).clamp_min(1e-3))
        flat = model.scaled(flat)
        optimiser = torch.optim.AdamW(model.parameters(), lr=_RATE, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=n_steps)
        for _step in range(n_steps):
            rows = rng.choice(starts, _BATCH)[:, None] + np.arange(crop)
            which = rng.integers(len(conditions), size=_BATCH) * (rng.random(_BATCH) < 0.75)
            condition = conditions[which[:, None], rows]
            clean = flat[rows].flatten(1, 2)
            t, noise = torch.rand(_BATCH), torch.randn_like(clean)
            mixed = (1 - t)[:, None, None] * clean + t[:, None, None] * noise
            certain = torch.from_numpy((which == 0).astype(np.float32))
            loss = (model(mixed, condition, certain, t) - clean).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return model.eval()


@torch.inference_mode()
def refine(
    model: Refiner,
    retrieved: np.ndarray,
    condition: np.ndarray,
    strength: float,
    seed: int,
    certain: bool = False,
) -> np.ndarray:
    """Refined bottlenecks (n_trs, bottleneck_dim).

    ``retrieved`` (n_trs, bottleneck_dim), ``condition`` (n_trs, n_components). Strength 0 returns
    ``retrieved``; at 1 nothing of it is left. ``certain``: the condition is the true slow part.
    """
    if strength == 0:
        return np.array(retrieved, dtype=np.float32)
    slots = torch.from_numpy(np.asarray(retrieved, dtype=np.float32))
    slots = slots.unflatten(1, (model.n_slots, model.slot_dim)).flatten(0, 1)[None]
    slow = torch.from_numpy(np.asarray(condition, dtype=np.float32))[None]
    noise = torch.randn(slots.shape, generator=torch.Generator().manual_seed(seed))
    x, flag = (
        (1 - strength) * model.scaled(slots) + strength * noise,
        torch.tensor([float(certain)]),
    )
    times = torch.linspace(strength, 0, _N_SAMPLING_STEPS + 1)
    for now, later in pairwise(times):
        clean = model(x, slow, flag, now[None])
        x = clean + (later / now) * (x - clean)
    return (x * model.deviation + model.mean)[0].reshape(len(retrieved), -1).numpy()
