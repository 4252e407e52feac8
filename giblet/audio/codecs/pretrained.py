"""Codecs that run a pretrained model, whole or in overlapping windows."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedConfig, PreTrainedModel

from giblet.audio.blocks import check_stream, equal_blocks, overlapping
from giblet.audio.codecs.encodec_streaming import exact_inference, one_thread_a_stage
from giblet.errors import GibletError
from giblet.timing import codebook_kbps, count_samples, hop_rate_hz


@dataclass(frozen=True, eq=False)
class PretrainedCodec(ABC):
    """A model of transformers' at one bandwidth, run block by block; sizes are its config's."""

    model: PreTrainedModel
    name: str
    revision: str
    bandwidth_kbps: float
    block_seconds: float

    @property
    def sample_rate(self) -> int:
        return _sample_rate(self.model.config)

    @property
    def hop_length(self) -> int:
        return self.model.config.hop_length

    @property
    def frame_rate(self) -> float:
        return hop_rate_hz(self.sample_rate, self.hop_length)

    @property
    def codebook_size(self) -> int:
        return _codebook_size(self.model.config)

    @property
    def _frames_per_block(self) -> int:
        """At least as many as a causal convolution looks back."""
        return max(16, count_samples(self.block_seconds, self.frame_rate))

    def in_double_precision(self) -> Self:
        """The same codec with a copy of its model in double precision.

        Two frames' distances would have to agree to some 13 digits for another processor to take
        another code.
        """
        return replace(self, model=deepcopy(self.model).double())

    def sound(self, latents: torch.Tensor) -> torch.Tensor:
        """The decoder alone, through which gradients flow: latents (batch, n_frames, codebook_dim)
        to sound (batch, n_samples)."""
        return self.model.decoder(latents.transpose(1, 2))[:, 0]

    @classmethod
    def suited(cls, model: PreTrainedModel) -> "type[PretrainedCodec]":
        """The class that runs this model, where models of one type are run in several ways."""
        return cls

    @classmethod
    @abstractmethod
    def bandwidths(cls, model: PreTrainedModel) -> dict[int, float]:
        """What a model offers: number of codebooks → kbps."""

    @abstractmethod
    def decode_blocks(self, codes: np.ndarray) -> Iterator[np.ndarray]:
        """The sound of ``decode`` in blocks (n_samples,), for what is too long for memory."""

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Codes (n_codebooks, n_frames) to sound (n_samples,) float32; any prefix of codebooks.

        Raises
        ------
        TypeError, ValueError
            Not integers; out of range; -1 (no frame: ungroup the TRs first); too many codebooks.
        """
        blocks = self.decode_blocks(codes)
        first = next(blocks)  # the codes are checked by now
        waveform = np.empty(np.shape(codes)[1] * self.hop_length, dtype=np.float32)
        waveform[: len(first)] = first
        end = len(first)
        for block in blocks:
            waveform[end : end + len(block)] = block
            end += len(block)
        return waveform


@dataclass(frozen=True, eq=False)
class WindowedCodec(PretrainedCodec):
    """A model at one bandwidth: a prefix of its codebooks.

    Each block is computed with ``reach`` frames on either side, which are then cut off: the result
    equals that of the model on the whole sound, padded with zeros to whole frames, up to float
    rounding.
    """

    block_seconds: float = 4.0

    @classmethod
    def bandwidths(cls, model: PreTrainedModel) -> dict[int, float]:
        config = model.config
        frame_rate = hop_rate_hz(_sample_rate(config), config.hop_length)
        one = codebook_kbps(frame_rate, _codebook_size(config))
        return {n: n * one for n in range(1, _most_codebooks(config) + 1)}

    def __post_init__(self):
        one = codebook_kbps(self.frame_rate, self.codebook_size)
        n, most = self.bandwidth_kbps / one, _most_codebooks(self.model.config)
        if not 1 <= n <= most or abs(n - round(n)) > 0.01:
            raise GibletError(
                f"codec {self.name}: no {self.bandwidth_kbps:g} kbps; it offers multiples of "
                f"{one:g} up to {most * one:g}"
            )

    @property
    def n_codebooks(self) -> int:
        return round(self.bandwidth_kbps / codebook_kbps(self.frame_rate, self.codebook_size))

    @property
    @abstractmethod
    def reach(self) -> tuple[int, int]:
        """Frames to either side that the encoder, and the decoder, can hear; or a few more."""

    @abstractmethod
    def _encoded(self, sound: torch.Tensor, wanted: slice) -> torch.Tensor:
        """Sound (n_frames * hop_length,) to codes (n_codebooks, n_wanted) of these frames."""

    @abstractmethod
    def _decoded(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes (n_codebooks or fewer, n_frames) to sound, a few last samples perhaps missing."""

    @abstractmethod
    def _dequantised(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes (n_codebooks or fewer, n_frames) to latents (n_frames, codebook_dim)."""

    @exact_inference
    def encode(self, waveform: np.ndarray | Iterable[np.ndarray]) -> np.ndarray:
        """Sound (n_samples,), or an iterable of such blocks, to codes (n_codebooks, n_frames).

        Returns int32 in [0, codebook_size); the last frame is padded with zeros. Errors as
        ``Encodec.encode``.
        """
        hop, codes = self.hop_length, bytearray()  # in place: small tensors would splinter memory
        blocks = equal_blocks(waveform, self._frames_per_block * hop)
        padded = (np.pad(block, (0, -len(block) % hop)) for block in blocks)
        with one_thread_a_stage():
            for window, before, n in overlapping(padded, self.reach[0] * hop):
                sound = torch.from_numpy(window).to(self.model.dtype)
                block = self._encoded(sound, slice(before // hop, (before + n) // hop))
                codes += block.T.int().numpy().tobytes()
        return np.frombuffer(codes, dtype=np.int32).reshape(-1, self.n_codebooks).T.copy()

    def decode_blocks(self, codes: np.ndarray) -> Iterator[np.ndarray]:
        """The sound of ``decode`` in blocks (n_samples,), for what is too long for memory."""
        codes = check_stream(codes, self.codebook_size, _most_codebooks(self.model.config))
        n_blocks = -(-codes.shape[1] // self._frames_per_block)
        blocks = np.split(codes, self._frames_per_block * np.arange(1, n_blocks), axis=1)
        with one_thread_a_stage():
            for window, n_before, n_frames in overlapping(blocks, self.reach[1]):
                yield self._sound(window, n_before * self.hop_length, n_frames * self.hop_length)

    @exact_inference
    def _sound(self, window: np.ndarray, n_before: int, n_samples: int) -> np.ndarray:
        sound = self._decoded(torch.from_numpy(window))[n_before:][:n_samples]
        return functional.pad(sound, (0, n_samples - len(sound))).float().numpy()

    @exact_inference
    def latents(self, codes: np.ndarray) -> np.ndarray:
        """Dequantised latents (n_frames, codebook_dim) float32 of codes (n_codebooks, n_frames)."""
        codes = check_stream(codes, self.codebook_size, _most_codebooks(self.model.config))
        return self._dequantised(torch.from_numpy(codes)).float().numpy()


def _sample_rate(config: PreTrainedConfig) -> int:
    """Hz of the decoded sound, under any of the names that configs have for it."""
    names = ("sampling_rate", "sample_rate", "output_sampling_rate")
    return next(getattr(config, name) for name in names if hasattr(config, name))


def _most_codebooks(config: PreTrainedConfig) -> int:
    """All codebooks of a model, likewise; of a finite scalar quantizer its digits."""
    if hasattr(config, "quantization_levels"):
        return len(config.quantization_levels)
    return config.n_codebooks if hasattr(config, "n_codebooks") else config.num_quantizers


def _codebook_size(config: PreTrainedConfig) -> int:
    """Codewords of a codebook; of a finite scalar quantizer the levels of a digit."""
    if hasattr(config, "quantization_levels"):
        return max(config.quantization_levels)
    return config.codebook_size
