"""Codebooks looked up in few dimensions by direction alone (DAC, Kumar et al. 2023)."""

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm
from vector_quantize_pytorch import VectorQuantize

from giblet.codec.quantizer import Quantizer, QuantizerSettings


class FactorizedLayer(nn.Module):
    """One codebook between two projections."""

    def __init__(
        self, dim: int, codebook_dim: int, codebook_size: int, settings: QuantizerSettings
    ):
        super().__init__()
        self.in_proj = weight_norm(nn.Linear(dim, codebook_dim))
        self.out_proj = weight_norm(nn.Linear(codebook_dim, dim))
        self.vq = VectorQuantize(
            dim=codebook_dim,
            codebook_size=codebook_size,
            use_cosine_sim=True,
            commitment_weight=0.0,  # DAC's is taken before vectors are normalised
            **settings.for_library(),
        )

    def forward(self, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        small = self.in_proj(latents)
        words, codes, _ = self.vq(small.detach())  # (batch, n_frames, codebook_dim), unit length
        commitment = functional.mse_loss(small, words.detach())
        if self.training:
            words = small + (words - small).detach()
        return self.out_proj(words), codes, commitment

    def start(self, latents: torch.Tensor) -> None:
        """Look-up along the principal components of latents (1, n, dim); the best way back."""
        latents = latents[0]
        mean = latents.mean(dim=0)
        _, directions = torch.linalg.eigh((latents - mean).T @ (latents - mean))
        directions = directions[:, -self.in_proj.out_features :].T
        small = (latents - mean) @ directions.T
        scale = 1 / small.square().sum(dim=-1).mean().sqrt().clamp(min=1e-8)
        self.in_proj.weight = directions * scale
        self.in_proj.bias.copy_(-directions @ mean * scale)
        words, _, _ = self.vq(small[None] * scale)
        words = functional.pad(words[0], (0, 1), value=1.0)
        way_back = torch.linalg.pinv(words) @ latents  # (codebook_dim + 1, dim)
        self.out_proj.weight = way_back[:-1].T.contiguous()
        self.out_proj.bias.copy_(way_back[-1])


class FactorizedQuantizer(Quantizer):
    """Residual quantization in which every codebook has its own small look-up space."""

    def __init__(
        self,
        dim: int,
        n_codebooks: int,
        codebook_size: int,
        codebook_dim: int,
        settings: QuantizerSettings,
    ):
        super().__init__(n_codebooks, codebook_size, settings)
        layer = (dim, codebook_dim, codebook_size, settings)
        self.layers = nn.ModuleList(FactorizedLayer(*layer) for _ in range(n_codebooks))

    def _quantize(self, latents):
        residual, quantized, codes, losses = latents, torch.zeros_like(latents), [], []
        for layer in self.layers[: self._n_used()]:
            part, indices, loss = layer(residual)
            residual, quantized = residual - part, quantized + part
            codes.append(indices)
            losses.append(loss)
        codes = functional.pad(
            torch.stack(codes, dim=-1), (0, self.n_codebooks - len(codes)), value=-1
        )
        loss = torch.stack(losses).mean() if self.training else latents.new_zeros(())
        return quantized, codes, loss

    def _n_used(self) -> int:
        if not self._drops():
            return self.n_codebooks
        step = self.settings.dropout_multiple_of
        most = -(-self.n_codebooks // step)
        return min(step * int(torch.randint(1, most + 1, ())), self.n_codebooks)

    def _start(self, latents):
        residual = latents.flatten(0, 1)[None]
        for layer in self.layers:
            layer.start(residual)
            residual = residual - layer(residual)[0]

    def dequantize(self, codes: torch.Tensor) -> torch.Tensor:
        layers = zip(self.layers, codes.unbind(dim=-1), strict=False)
        parts = [
            _masked(i, layer.out_proj(layer.vq.codebook[i.clamp(min=0)])) for layer, i in layers
        ]
        return sum(parts)


def _masked(codes: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
    return part.masked_fill(codes[..., None] < 0, 0.0)
