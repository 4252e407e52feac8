"""X-Codec 2 and NeuCodec: models of transformers' with finite scalar quantization (FSQ).

They store one code of 65,536 a frame. It is a number of eight digits of four levels each (4⁸), and
the latents are a sum of one vector for each digit. So giblet handles it as eight codebooks of four
codewords: `join_digits` gives the code that other programs store.

Wav2Vec2-BERT, half of the encoder, and the decoder's attention read the whole sound at once, and
both normalise over it. Sound of one block (20 s) is coded and decoded exactly as by transformers.
Longer sound goes through in blocks with 5 s on either side: always the same blocks.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np
import soxr
import torch
from torch.nn import functional
from transformers import PreTrainedModel, SeamlessM4TFeatureExtractor

from giblet.audio.codecs.encodec_streaming import exact_inference
from giblet.audio.codecs.pretrained import WindowedCodec
from giblet.errors import GibletError
from giblet.timing import count_samples

_FEATURE_RATE_HZ = 16000  # of the sound that the encoders hear


@dataclass(frozen=True, eq=False)
class FiniteScalarCodec(WindowedCodec):
    """An ``Xcodec2Model`` or ``NeuCodecModel``; a codebook is one digit of the code.

    Digits have no order of importance. Where codes of fewer are decoded, the others count as the
    mean of their levels.
    """

    model: PreTrainedModel
    block_seconds: float = 20.0
    context_seconds: float = 5.0

    def __post_init__(self):
        if len(set(self._levels)) > 1:
            raise GibletError(
                f"codec {self.name}: digits of different sizes, {list(self._levels)}; giblet reads "
                "those of one size, such as 4, 4, 4, 4, 4, 4, 4, 4"
            )
        super().__post_init__()

    @property
    def _levels(self) -> tuple[int, ...]:
        return tuple(self.model.config.quantization_levels)

    @property
    def codebook_dim(self) -> int:
        return self.model.config.quantization_dim

    @property
    def reach(self) -> tuple[int, int]:
        """Frames of context on either side, as chosen: the model itself reads the whole sound."""
        context = count_samples(self.context_seconds, self.frame_rate)
        return context, context

    def sound(self, latents: torch.Tensor) -> torch.Tensor:
        return self.model.acoustic_decoder(latents)[:, 0]

    def _encoded(self, sound: torch.Tensor, wanted: slice) -> torch.Tensor:
        heard = self._heard(sound)
        features = self._features(heard).to(heard.dtype)
        codes = self.model.encode(heard[None, None], features, return_dict=False)[0][0, 0]
        return split_digits(codes, self._levels)[: self.n_codebooks, wanted]

    def _heard(self, sound: torch.Tensor) -> torch.Tensor:
        """What the encoders get: 16 kHz, and a frame of zeros after it as in the official input."""
        if self.sample_rate != _FEATURE_RATE_HZ:
            resampled = soxr.resample(sound.numpy(), self.sample_rate, _FEATURE_RATE_HZ)
            sound = torch.from_numpy(resampled)
        return functional.pad(sound, (0, prod(self.model.config.downsampling_ratios)))

    def _features(self, heard: torch.Tensor) -> torch.Tensor:
        """Mel features (1, n_frames, 160) for the semantic encoder, half a frame padded."""
        half = prod(self.model.config.downsampling_ratios) // 2
        return mel_features(functional.pad(heard, (half, half)))

    def _decoded(self, codes: torch.Tensor) -> torch.Tensor:
        return self.sound(self._dequantised(codes)[None])[0]

    def _dequantised(self, codes: torch.Tensor) -> torch.Tensor:
        values = self._level_values().mean().repeat(codes.shape[1], len(self._levels))
        values[:, : len(codes)] = self._level_values()[codes.long().T]
        return self.model.quantizer.project_out(values)

    def _level_values(self) -> torch.Tensor:
        """The numbers that the levels of a digit stand for, in the model's precision."""
        half = self.codebook_size // 2
        return (torch.arange(self.codebook_size) - half).to(self.model.dtype) / half

    @exact_inference
    def codebooks(self) -> np.ndarray:
        """The codewords as the decoder sees them; the first book holds what does not change."""
        project, levels = self.model.quantizer.project_out, self._level_values()
        varying = (levels - levels.mean())[:, None] * project.weight.T[:, None]
        varying[0] += project.bias + levels.mean() * project.weight.sum(dim=1)
        return varying[: self.n_codebooks].float().numpy()


@dataclass(frozen=True, eq=False)
class NeuCodec(FiniteScalarCodec):
    """A ``NeuCodecModel``: it reads 16 kHz and outputs 24 kHz, the sample rate given here."""

    def _features(self, heard: torch.Tensor) -> torch.Tensor:
        return mel_features(heard)


def split_digits(codes: torch.Tensor, levels: tuple[int, ...]) -> torch.Tensor:
    """Codes (n_frames,) as digits (n_digits, n_frames), the least significant first.

    >>> split_digits(torch.tensor([0, 1, 4, 65535]), (4,) * 8)[:3].tolist()
    [[0, 1, 0, 3], [0, 0, 1, 3], [0, 0, 0, 3]]
    """
    sizes = torch.tensor(levels)[:, None]
    return codes.long() // _places(levels) % sizes


def join_digits(digits: np.ndarray, levels: tuple[int, ...] = (4,) * 8) -> np.ndarray:
    """The codes (n_frames,) that X-Codec 2 and NeuCodec store, of digits (n_digits, n_frames).

    >>> join_digits(np.array([[1, 3], [0, 3], [0, 3], [0, 3], [0, 3], [0, 3], [0, 3], [2, 3]]))
    array([32769, 65535])
    """
    return (np.asarray(digits) * _places(levels).numpy()).sum(axis=0)


def _places(levels: tuple[int, ...]) -> torch.Tensor:
    """What one step of each digit is worth, (n_digits, 1)."""
    return torch.tensor([1, *levels[:-1]]).cumprod(0)[:, None]


def mel_features(heard: torch.Tensor) -> torch.Tensor:
    """Kaldi's log mel energies of sound at 16 kHz, normalised over it: (1, n_frames, 160).

    Those of ``Xcodec2FeatureExtractor``, which needs torchaudio for them, by the extractor of the
    same features in transformers alone.
    """
    extracted = _extractor()(heard.numpy(), sampling_rate=_FEATURE_RATE_HZ, return_tensors="pt")
    return extracted["input_features"]


@lru_cache(maxsize=1)
def _extractor() -> SeamlessM4TFeatureExtractor:
    return SeamlessM4TFeatureExtractor(padding_value=1.0)
