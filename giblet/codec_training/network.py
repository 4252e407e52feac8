"""The interface of all codec networks: the trainer uses nothing else of them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Self

import torch
from pydantic import AfterValidator, PositiveInt
from torch import nn
from torch.nn import functional

from giblet.config.strict import StrictSettings
from giblet.errors import GibletError
from giblet.timing import samples_duration

Latents = torch.Tensor | list[torch.Tensor]  # (batch, n_frames, dim), or one such a level
Codes = torch.Tensor | list[torch.Tensor]  # (batch, n_frames, n_codebooks), or one such a level

SETTINGS = "network.json"  # in a saved network's folder
PCM_BITS = 16  # of a sample: what compression ratios compare with


def _power_of_two(size: int) -> int:
    if size < 2 or size & (size - 1):
        raise ValueError(f"{size} is no power of two: its codes would not fill whole bits")
    return size


CodebookSize = Annotated[PositiveInt, AfterValidator(_power_of_two)]


class CodecNetwork(nn.Module, ABC):
    """Encoder, quantizer and decoder of one architecture, with the settings they were built from.

    The order of a training run: ``start`` on a first batch; steps without quantization, in which
    ``quantize`` returns its input, codes ``None`` and a loss of 0; ``start_codebooks`` on
    the latents of many batches; steps with it. ``codebooks_started`` is part of the state.
    """

    settings: StrictSettings  # with sample_rate (Hz), architecture, quantizer
    quantizer: nn.Module  # where there is one stream of latents; else methods are overridden

    @abstractmethod
    def encode(self, waveform: torch.Tensor) -> Latents:
        """Sound (batch, 1, n_samples), any length, to latents (batch, n_frames, dim)."""

    @abstractmethod
    def decode(self, latents: Latents, n_samples: int) -> torch.Tensor:
        """Latents, quantized or not, to sound (batch, 1, n_samples)."""

    @abstractmethod
    def start(self, waveform: torch.Tensor) -> None:
        """Give the layers weights that suit ``waveform`` (batch, 1, n_samples), once."""

    @abstractmethod
    def save(self, folder: str | Path, half: bool = False) -> None:
        """Write weights (safetensors) and settings (JSON); ``half``: in half precision.

        Raises GibletError if the codebooks were never started.
        """

    @classmethod
    @abstractmethod
    def load(cls, folder: str | Path, settings: StrictSettings) -> Self:
        """A network as ``save`` wrote it, in single precision; it can be trained on."""

    @property
    def codebooks_started(self) -> bool:
        return bool(self.quantizer.started)

    def quantize(
        self, latents: Latents, n_codebooks: int | None = None
    ) -> tuple[Latents, Codes | None, torch.Tensor]:
        """Latents to (quantized latents, codes, commitment loss ()); gradients go straight through.

        ``n_codebooks``: the number used, all by default. In training it may be random (quantizer
        dropout): codes of those left out are -1. In evaluation the loss is 0.
        """
        quantized, codes, loss = self.quantizer(latents)
        if n_codebooks is not None and codes is not None:
            codes = codes[..., :n_codebooks]
            quantized = self.dequantize(codes)
        return quantized, codes, loss

    def dequantize(self, codes: Codes) -> Latents:
        """Codes of all codebooks, or of the first few, to quantized latents."""
        return self.quantizer.dequantize(codes)

    def start_codebooks(self, latents: Latents) -> None:
        """Begin quantization: k-means on as many latents as possible (see join_latents)."""
        self.quantizer.start(latents)

    def count_bits(self, codes: Codes) -> int:
        """Size of integer codes in bits: each code takes whole bits, -1 takes none."""
        return self.quantizer.count_bits(codes)

    def bits_per_second(self, codes: Codes, n_samples: int) -> float:
        """Of the codes of a batch of sounds of ``n_samples``."""
        n = _batch_size(codes) * n_samples
        return self.count_bits(codes) / samples_duration(n, self.settings.sample_rate)

    def compression_ratio(self, codes: Codes, n_samples: int) -> float:
        """Bits of the sound as 16-bit PCM over bits of its codes."""
        return PCM_BITS * _batch_size(codes) * n_samples / self.count_bits(codes)

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """Sound (batch, 1, n_samples) through encoder, quantizer and decoder, the same shape."""
        quantized, _codes, _loss = self.quantize(self.encode(waveform))
        return self.decode(quantized, waveform.shape[-1])

    def check_started(self) -> None:
        """GibletError if there are no codebooks yet."""
        if not self.codebooks_started:
            raise GibletError("the codebooks were never started: train for more steps")


def join_latents(batches: Sequence[Latents]) -> Latents:
    """Latents of several batches as of one large batch."""
    if isinstance(batches[0], torch.Tensor):
        return torch.cat(list(batches))
    return [torch.cat(level) for level in zip(*batches, strict=True)]


def to_length(waveform: torch.Tensor, n_samples: int) -> torch.Tensor:
    """(..., any length) cut, or filled with zeros, to (..., n_samples)."""
    return functional.pad(waveform, (0, n_samples - waveform.shape[-1]))


def to_whole(waveform: torch.Tensor, hop_length: int) -> torch.Tensor:
    """Sound (..., n_samples) filled with zeros to whole frames of ``hop_length`` samples."""
    return functional.pad(waveform, (0, -waveform.shape[-1] % hop_length))


def _batch_size(codes: Codes) -> int:
    return len(codes) if isinstance(codes, torch.Tensor) else len(codes[0])
