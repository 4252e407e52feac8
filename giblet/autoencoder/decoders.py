"""The bottleneck back to film, and on to the brain."""

import torch
from torch import nn
from torch.nn import functional

from giblet.autoencoder.code_heads import ClassifierHead, CodeHead


class FrameDecoder(nn.Module):
    """Bottleneck (batch, bottleneck_dim) → frames (batch, dim, n_frames).

    A short sequence is laid out, stretched to ``n_frames`` and refined by convolutions.
    """

    def __init__(self, bottleneck_dim: int, n_frames: int, dim: int = 128, n_slots: int = 14):
        super().__init__()
        self.dim, self.n_slots, self.n_frames = dim, n_slots, n_frames
        self.lay_out = nn.Linear(bottleneck_dim, dim * n_slots)
        self.place = nn.Parameter(torch.zeros(dim, n_frames))
        self.refine = nn.ModuleList(nn.Conv1d(dim, dim, 5, padding="same") for _ in range(3))

    def forward(self, bottleneck: torch.Tensor) -> torch.Tensor:
        slots = self.lay_out(bottleneck).view(-1, self.dim, self.n_slots)
        frames = functional.interpolate(slots, self.n_frames, mode="linear") + self.place
        for conv in self.refine:
            frames = frames + conv(functional.gelu(frames))
        return frames


class AudioDecoder(nn.Module):
    """Bottleneck (batch, bottleneck_dim) → predicted codes (batch, n_codebooks, frames_per_tr).

    ``frames`` lays the bottleneck out as features of frames (batch, dim, n_frames), ``head``
    predicts codes from them; without them it is the original design: `FrameDecoder`,
    `ClassifierHead`.
    """

    def __init__(
        self,
        bottleneck_dim: int = 2048,
        n_codebooks: int = 8,
        frames_per_tr: int = 112,
        codebook_size: int = 1024,
        dim: int = 128,
        frames: nn.Module | None = None,
        head: CodeHead | None = None,
    ):
        super().__init__()
        self.frames = frames or FrameDecoder(bottleneck_dim, frames_per_tr, dim)
        self.head = head or ClassifierHead(dim, n_codebooks, codebook_size)

    def features(self, bottleneck: torch.Tensor) -> torch.Tensor:
        """(batch, n_frames, dim)."""
        return self.frames(bottleneck).transpose(1, 2)

    def logits(self, bottleneck: torch.Tensor, codes: torch.Tensor | None = None) -> torch.Tensor:
        """(batch, n_codebooks, frames_per_tr, codebook_size), as the head has them."""
        return self.head.logits(self.features(bottleneck), codes)

    def forward(self, bottleneck: torch.Tensor) -> torch.Tensor:
        return self.head.codes(self.features(bottleneck)).float()


class MelDecoder(nn.Module):
    """Bottleneck (batch, bottleneck_dim) → mel (batch, n_mels, frames_per_tr) dB."""

    def __init__(self, dim: int, n_mels: int, frames: nn.Module):
        super().__init__()
        self.frames = frames
        self.head = nn.Conv1d(dim, n_mels, 1)

    @torch.no_grad()
    def start_at(self, mean: torch.Tensor) -> None:
        """Begin by predicting this mean (n_mels,) dB for any input."""
        self.head.bias.copy_(mean / 50 + 1)
        self.head.weight.mul_(0.1)

    def forward(self, bottleneck: torch.Tensor) -> torch.Tensor:
        return (self.head(functional.gelu(self.frames(bottleneck))) - 1) * 50


class BoldDecoder(nn.Module):
    """Bottlenecks of TRs in a row → BOLD of every subject, through the HRF.

    The bottleneck is un-blurred; each subject's voxels are read from it linearly after a causal
    convolution with the HRF. Responses pass through ``rank`` shared components.

    Parameters
    ----------
    kernel : (n_lags,)
        Weight of the bottleneck ``k`` TRs ago; see ``giblet.alignment.hrf.tr_kernel``.
    learn_kernel
        Learn it from there on (a finite impulse response, one for all components).
    n_decoded
        Features behind the others, of the decoded sound. Training ignores them; `fit_readout` sets
        their weights, ``decoded`` (rank, n_decoded), which are 0 before.
    """

    def __init__(
        self,
        n_features: int,
        n_voxels: int,
        subjects: list[str],
        kernel,
        rank: int = 64,
        learn_kernel: bool = False,
        n_decoded: int = 0,
    ):
        super().__init__()
        self.subjects = list(subjects)
        kernel = torch.as_tensor(kernel, dtype=torch.float32)
        self.kernel = nn.Parameter(kernel, requires_grad=learn_kernel)
        self.components = nn.Linear(n_features, rank, bias=False)
        self.register_buffer("decoded", torch.zeros(rank, n_decoded))
        self.register_load_state_dict_pre_hook(_without_decoded)
        self.readouts = nn.ModuleList(nn.Linear(rank, n_voxels) for _ in self.subjects)

    def forward(self, slow: torch.Tensor) -> torch.Tensor:
        """(windows, n_trs, n_features), or with n_decoded more → (windows, subjects, n_trs,
        n_voxels)."""
        n_features = self.components.in_features
        components = self.components(slow[..., :n_features])  # (windows, n_trs, rank)
        if slow.shape[-1] > n_features:
            components = components + functional.linear(slow[..., n_features:], self.decoded)
        blurred = convolve_causally(components, self.kernel)
        return torch.stack([readout(blurred) for readout in self.readouts], dim=1)


def _without_decoded(module: nn.Module, state: dict, prefix: str, *_rest) -> None:
    """Models of before, whose readout has no weights of the decoded sound: they are 0."""
    state.setdefault(f"{prefix}decoded", torch.zeros_like(module.decoded))


def convolve_causally(series: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Each series (windows, n_trs, n_features) with ``kernel`` (n_lags,): past and present only."""
    padded = functional.pad(series.transpose(1, 2), (len(kernel) - 1, 0))
    weights = kernel.flip(0).expand(series.shape[-1], 1, -1)  # one and the same for each feature
    return functional.conv1d(padded, weights, groups=series.shape[-1]).transpose(1, 2)
