"""What codecs that run a pretrained model have in common."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedModel

from giblet.timing import count_samples, hop_rate_hz


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
        return self.model.config.sampling_rate

    @property
    def hop_length(self) -> int:
        return self.model.config.hop_length

    @property
    def frame_rate(self) -> float:
        return hop_rate_hz(self.sample_rate, self.hop_length)

    @property
    def codebook_size(self) -> int:
        return self.model.config.codebook_size

    @property
    def _frames_per_block(self) -> int:
        """At least as many as a causal convolution looks back."""
        return max(16, count_samples(self.block_seconds, self.frame_rate))

    def sound(self, latents: torch.Tensor) -> torch.Tensor:
        """The decoder alone, through which gradients flow: latents (batch, n_frames, codebook_dim)
        to sound (batch, n_samples)."""
        return self.model.decoder(latents.transpose(1, 2))[:, 0]

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
