"""Residual vector quantization while training, and its export to EnCodec's own quantizer."""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm
from transformers import EncodecModel
from vector_quantize_pytorch import ResidualVQ, VectorQuantize

from giblet.config.strict import StrictSettings

_TRUST = 20  # uses per batch that a loaded codeword counts for, until its own uses are counted


class QuantizerSettings(StrictSettings):
    """Settings of codebook learning."""

    learn_by: Literal["ema", "gradient", "none"] = Field(
        "ema",
        description="moving averages of the vectors they stand for, or a codebook loss; none: "
        "codebooks stay as they are, with start_from as they were loaded",
    )
    decay: Annotated[float, Field(gt=0, lt=1)] = 0.99
    kmeans_iters: PositiveInt = 20
    dead_below: NonNegativeFloat = Field(
        1.0,
        description="a codeword with fewer uses per batch (moving average) is replaced; 0: none",
    )
    dropout: Annotated[float, Field(ge=0, le=1)] = Field(
        1.0, description="share of training steps that use a random number of codebooks"
    )
    dropout_multiple_of: PositiveInt = Field(1, description="the random number is a multiple of it")
    beam_size: PositiveInt = Field(
        1, description="choices that a residual search keeps while training; 1: the nearest alone"
    )
    rotation_trick: bool = Field(
        False, description="gradients turned with the vector, not straight"
    )

    def for_library(self) -> dict:
        """As keywords of vector-quantize-pytorch."""
        return {
            "decay": self.decay,
            "kmeans_init": True,
            "kmeans_iters": self.kmeans_iters,
            "threshold_ema_dead_code": 0.0 if self.learn_by == "none" else self.dead_below,
            "rotation_trick": self.rotation_trick,
            "learnable_codebook": self.learn_by == "gradient",
            "ema_update": self.learn_by == "ema",
        }


class Quantizer(nn.Module):
    """Latents (batch, n_frames, dim) to the sum of one codeword of each codebook, and back."""

    def __init__(self, n_codebooks: int, codebook_size: int, settings: QuantizerSettings):
        super().__init__()
        self.n_codebooks, self.codebook_size = n_codebooks, codebook_size
        self.settings = settings
        self.register_buffer("started", torch.tensor(False))

    def forward(
        self, latents: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor]:
        """(quantized, codes (batch, n_frames, n_codebooks) int64, loss ()); see CodecNetwork."""
        if not self.started:
            return latents, None, latents.new_zeros(())
        with torch.autocast(latents.device.type, enabled=False):
            return self._quantize(latents.float())

    def start(self, latents: torch.Tensor) -> None:
        """K-means, codebook after codebook, each on what the ones before it left."""
        with torch.no_grad():
            self._start(latents.detach().float())
        self.started.fill_(True)

    def count_bits(self, codes: torch.Tensor) -> int:
        return int((codes >= 0).sum()) * (self.codebook_size - 1).bit_length()

    def n_used(self) -> int:
        """Codebooks of one step: all, or in training a random number (quantizer dropout)."""
        if not self._drops():
            return self.n_codebooks
        step = self.settings.dropout_multiple_of
        most = -(-self.n_codebooks // step)
        return min(step * int(torch.randint(1, most + 1, ())), self.n_codebooks)

    def _drops(self) -> bool:
        possible = self.training and self.n_codebooks > 1
        return possible and torch.rand(()).item() < self.settings.dropout


class ResidualQuantizer(Quantizer):
    """Codebooks as wide as the latents (SoundStream, Zeghidour et al. 2021; EnCodec)."""

    def __init__(self, dim: int, n_codebooks: int, codebook_size: int, settings: QuantizerSettings):
        super().__init__(n_codebooks, codebook_size, settings)
        self.vq = ResidualVQ(
            dim=dim,
            num_quantizers=n_codebooks,
            codebook_size=codebook_size,
            quantize_dropout=True,
            quantize_dropout_multiple_of=settings.dropout_multiple_of,
            beam_size=settings.beam_size if settings.beam_size > 1 else None,
            **settings.for_library(),
        )

    def _quantize(self, latents):
        self.vq.quantize_dropout = self._drops()
        quantized, codes, losses = self.vq(latents)
        if self.training and not self.settings.rotation_trick:
            # the library's own straight-through adds one gradient per codebook
            quantized = latents + (quantized - latents).detach()
        return quantized, codes, losses.mean()

    def _start(self, latents):
        self.vq.quantize_dropout = False  # a codebook left out would start from one batch
        self.vq(latents)

    def dequantize(self, codes: torch.Tensor) -> torch.Tensor:
        codes = functional.pad(codes, (0, self.n_codebooks - codes.shape[-1]), value=-1)
        return self.vq.get_output_from_indices(codes)

    def set_codebooks(self, codebooks: Sequence[torch.Tensor]) -> None:
        """Take trained codebooks, each (codebook_size, dim)."""
        for layer, codebook in zip(self.vq.layers, codebooks, strict=True):
            set_codebook(layer, codebook)
        self.started.fill_(True)


@torch.no_grad()
def set_codebook(layer: VectorQuantize, codebook: torch.Tensor) -> None:
    """Put trained codewords (codebook_size, dim) into a layer, as if they had been in use."""
    inner = layer._codebook
    inner.embed.data.copy_(codebook[None])
    inner.cluster_size.fill_(_TRUST)
    inner.embed_avg.copy_(codebook[None] * _TRUST)
    inner.initted.fill_(True)


@torch.no_grad()
def copy_codebooks(quantizer: ResidualVQ, model: EncodecModel) -> None:
    """Write the trained codebooks into ``model``, which then encodes and decodes alone."""
    for source, target in zip(quantizer.layers, model.quantizer.layers, strict=True):
        codebook = source.codebook.float()  # (codebook_size, codebook_dim)
        target.codebook.embed.copy_(codebook)
        target.codebook.embed_avg.copy_(codebook)
        target.codebook.cluster_size.fill_(1.0)


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
        codewords, codes, _ = self.vq(
            small.detach()
        )  # (batch, n_frames, codebook_dim), unit length
        commitment = functional.mse_loss(small, codewords.detach())
        if self.training:
            codewords = small + (codewords - small).detach()
        return self.out_proj(codewords), codes, commitment

    def start(self, latents: torch.Tensor) -> None:
        """Project to the principal components of latents (1, n, dim), and back by least squares."""
        latents = latents[0]
        mean = latents.mean(dim=0)
        _, directions = torch.linalg.eigh((latents - mean).T @ (latents - mean))
        directions = directions[:, -self.in_proj.out_features :].T
        small = (latents - mean) @ directions.T
        scale = 1 / small.square().sum(dim=-1).mean().sqrt().clamp(min=1e-8)
        self.in_proj.weight = directions * scale
        self.in_proj.bias.copy_(-directions @ mean * scale)
        codewords, _, _ = self.vq(small[None] * scale)
        codewords = functional.pad(codewords[0], (0, 1), value=1.0)
        inverse = torch.linalg.pinv(codewords) @ latents  # (codebook_dim + 1, dim)
        self.out_proj.weight = inverse[:-1].T.contiguous()
        self.out_proj.bias.copy_(inverse[-1])


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
        for layer in self.layers[: self.n_used()]:
            part, indices, loss = layer(residual)
            residual, quantized = residual - part, quantized + part
            codes.append(indices)
            losses.append(loss)
        codes = functional.pad(
            torch.stack(codes, dim=-1), (0, self.n_codebooks - len(codes)), value=-1
        )
        loss = torch.stack(losses).mean() if self.training else latents.new_zeros(())
        return quantized, codes, loss

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
