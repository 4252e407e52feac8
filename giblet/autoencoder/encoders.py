"""Film to vectors: one encoder for each modality, each TR by itself."""

import torch
from torch import nn
from torch.nn import functional

from giblet.autoencoder.code_heads import Codebooks


class MultiScaleConv(nn.Module):
    """Frames (batch, n_frames, channels) to one vector: kernels 3, 5, 7, then the mean."""

    def __init__(self, channels: int, out_dim: int, width: int = 128, kernels=(3, 5, 7)):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv1d(channels, width, k, padding="same") for k in kernels)
        self.project = nn.Linear(width * len(kernels), out_dim)

    def forward(self, frames: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """``present`` (batch, n_frames) bool: missing frames do not count."""
        frames = frames.transpose(1, 2)
        features = torch.cat([functional.gelu(conv(frames)) for conv in self.convs], dim=1)
        weights = present[:, None].to(features.dtype)  # (batch, 1, n_frames)
        pooled = (features * weights).sum(-1) / weights.sum(-1).clamp(min=1)
        return self.project(pooled)  # (batch, 384) → (batch, out_dim)


class AudioEncoder(nn.Module):
    """Codes (batch, n_codebooks, frames_per_tr) int → (batch, out_dim).

    Codes are labels: each codebook has an embedding of its own, and -1 (no frame) is ignored.
    """

    def __init__(
        self,
        n_codebooks: int = 8,
        codebook_size: int = 1024,
        embedding_dim: int = 64,
        out_dim: int = 256,
    ):
        super().__init__()
        self.embeddings = nn.ModuleList(
            nn.Embedding(codebook_size, embedding_dim) for _ in range(n_codebooks)
        )
        self.pool = MultiScaleConv(n_codebooks * embedding_dim, out_dim)

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        _check_labels(codes)
        present = (codes >= 0).all(dim=1)  # (batch, n_frames)
        valid = codes.clamp(min=0).long()
        embedded = [embed(valid[:, q]) for q, embed in enumerate(self.embeddings)]
        frames = torch.cat(embedded, dim=-1) * present[..., None]  # (batch, n_frames, 512)
        return self.pool(frames, present)


class LatentEncoder(nn.Module):
    """Codes (batch, n_codebooks, frames_per_tr) int → (batch, out_dim), by the codec's latents."""

    def __init__(self, codebooks: Codebooks, pool: nn.Module):
        super().__init__()
        self.codebooks, self.pool = codebooks, pool

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        _check_labels(codes)
        return self.pool(self.codebooks.latents(codes), (codes >= 0).all(dim=1))


class MelEncoder(nn.Module):
    """Mel (batch, n_mels, frames_per_tr) dB → (batch, out_dim).

    ``pool`` takes frames (batch, n_frames, n_mels) and a mask of those present; by default
    `MultiScaleConv`.
    """

    def __init__(self, n_mels: int = 128, out_dim: int = 256, pool: nn.Module | None = None):
        super().__init__()
        self.pool = pool or MultiScaleConv(n_mels, out_dim)

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        present = torch.isfinite(mel).all(dim=1)
        scaled = torch.nan_to_num(mel / 50 + 1)  # -100…0 dB → -1…1, 0 where there is no frame
        return self.pool(scaled.transpose(1, 2), present)


def _check_labels(codes: torch.Tensor) -> None:
    if codes.is_floating_point():
        raise TypeError(
            f"codes must be integers, got {codes.dtype}: an embedding looks labels up. "
            "Mel features belong to MelEncoder (use_encodec: false)"
        )
