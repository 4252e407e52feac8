"""Feature types: the ways to write sound as features. What differs is an entry here.

`FEATURE_TYPES` has what files, rules and the report must know of each; its ``coder`` turns sound
into a stream of frames and back. A new feature type is a coder and an entry.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from giblet.audio.codecs.codec import Codec, load_codec
from giblet.audio.formats import detect_format
from giblet.audio.mel import (
    FLOOR_DB,
    MelSettings,
    mel_spectrogram,
    mel_to_sound,
    repeat_in_trs,
)
from giblet.errors import GibletError
from giblet.io.validation import check_codes

logger = logging.getLogger(__name__)


class Coder(ABC):
    """Sound to a stream of frames (n_rows, n_frames) and back.

    ``sample_rate`` (Hz) of the sound, ``frame_rate`` (Hz) of the frames; ``n_rows`` values a frame,
    of ``bits`` each.
    """

    sample_rate: int
    frame_rate: float
    n_rows: int
    bits: float

    @abstractmethod
    def encode(self, blocks: Iterable[np.ndarray]) -> np.ndarray:
        """Blocks of sound (n_samples,) → stream (n_rows, n_frames)."""

    @abstractmethod
    def decode(self, stream: np.ndarray) -> np.ndarray:
        """Stream (n_rows, n_frames) → sound (n_samples,) float32."""

    @abstractmethod
    def latents(self, stream: np.ndarray) -> np.ndarray:
        """Stream (n_rows, n_frames) → floats (n_frames, n_features) that an HRF may blur."""

    @abstractmethod
    def regressors(self, stream: np.ndarray) -> np.ndarray:
        """Stream → what a linear model reads of it, (n_frames, n_features), 0 in silence."""

    @abstractmethod
    def check(self, features: np.ndarray, stored: Mapping, frames_per_tr: int) -> np.ndarray:
        """``features`` (n_trs, n_rows, frames_per_tr), if they can be decoded; see
        ``AudioProcessor.check_features``."""

    @abstractmethod
    def facts(self) -> dict:
        """Attributes of a file of features that identify their coder."""


class CodecCoder(Coder):
    """Codes of a neural codec: int32 labels."""

    def __init__(self, codec: Codec, exact_codes: bool = False):
        self.codec, self.exact_codes = codec, exact_codes
        self.sample_rate, self.frame_rate = codec.sample_rate, codec.frame_rate
        self.n_rows, self.bits = codec.n_codebooks, np.log2(codec.codebook_size)

    def encode(self, blocks):
        codec = _in_double_precision(self.codec) if self.exact_codes else self.codec
        return codec.encode(blocks)

    def decode(self, stream):
        return self.codec.decode(stream)

    def latents(self, stream):
        return self.codec.latents(stream)

    def regressors(self, stream):
        return with_magnitudes(self.latents(stream))

    def check(self, features, stored, frames_per_tr):
        size = self.codec.codebook_size
        detect_format(features, {**stored, "encoding_mode": "encodec", "codebook_size": size})
        n_rows: int | None = self.n_rows
        if "codec_revision" in stored and np.shape(features)[1] <= self.n_rows:
            n_rows = None  # a prefix of the same codec's codebooks
        return check_codes(features, n_rows, size)

    def facts(self):
        codec = self.codec
        return {
            "codec": codec.name,
            "codec_revision": codec.revision,
            "bandwidth_kbps": codec.bandwidth_kbps,
            "codebook_size": codec.codebook_size,
        }


class MelCoder(Coder):
    """Mel spectrogram in dB, float32; decoded by Griffin-Lim."""

    bits = 32

    def __init__(self, mel: MelSettings):
        self.mel = mel
        self.sample_rate, self.frame_rate, self.n_rows = mel.sample_rate, mel.frame_rate, mel.n_mels

    def encode(self, blocks):
        to_whole = np.zeros(self.mel.hop_length - 1, dtype=np.float32)
        return mel_spectrogram(chain(blocks, [to_whole]), self.mel)

    def decode(self, stream):
        return mel_to_sound(stream, self.mel)

    def latents(self, stream):
        return stream.T

    def regressors(self, stream):
        """Level above the floor: 0 is silence, as before a run."""
        return self.latents(stream) - FLOOR_DB

    def check(self, features, stored, frames_per_tr):
        kind = detect_format(features, {**stored, "encoding_mode": "mel"})
        if features.shape[1] != self.mel.n_mels:
            raise ValueError(
                f"mel features must have {self.mel.n_mels} bands in their second axis, got "
                f"{features.shape}"
            )
        if features.min() >= 0:
            logger.warning(
                "mel features have no value below 0 dB: if they are powers, 10 * log10 makes dB"
            )
        return features if kind == "mel_3d" else repeat_in_trs(features, frames_per_tr)

    def facts(self):
        return {
            "n_mels": self.mel.n_mels,
            "n_fft": self.mel.n_fft,
            "codec": "none",
            "codec_revision": "none",
            "bandwidth_kbps": 0.0,
            "codebook_size": 0,
        }


@dataclass(frozen=True)
class FeatureType:
    """One way to write sound as features.

    name
        In files, rules and tables: ``encoding_mode``, column ``path``.
    label
        In the report.
    row
        What a row of the features is.
    unit, missing
        Of a value, and what stands where there is no frame.
    is_codes
        Whether values are labels of a codec's codebooks, which no arithmetic may touch.
    settings
        Config keys that the features depend on; ``t_r`` does in all cases.
    vocoder
        What turns the features back into sound, as the report names it.
    coder
        (codec or its name, bandwidth in kbit/s, codebooks or None, whether codes are computed in
        double precision, mel settings) → `Coder`.
    """

    name: str
    label: str
    row: str
    unit: str
    missing: float
    is_codes: bool
    settings: tuple[str, ...]
    vocoder: str
    coder: Callable[[str | Path | Codec, float, int | None, bool, MelSettings], Coder]


def with_magnitudes(latents: np.ndarray) -> np.ndarray:
    """Latents (n_frames, codebook_dim) and their magnitudes, (n_frames, 2 * codebook_dim).

    Latents follow the waveform, so they average out over a TR; how large they are does not.
    """
    return np.concatenate([latents, np.abs(latents)], axis=1)


def _in_double_precision(codec: Codec) -> Codec:
    """The same codec, for its encoder alone; GibletError for one that runs no such model."""
    from giblet.audio.codecs.pretrained import PretrainedCodec

    if not isinstance(codec, PretrainedCodec):
        raise GibletError(
            f"codec {codec.name}: exact_codes is for models of transformers alone: set it to false"
        )
    return codec.in_double_precision()


def _codec_coder(
    codec: str | Path | Codec,
    bandwidth_kbps: float,
    codebooks: int | None,
    exact_codes: bool,
    _mel: MelSettings,
) -> Coder:
    if isinstance(codec, str | Path):
        codec = load_codec(str(codec), bandwidth_kbps, codebooks)
    return CodecCoder(codec, exact_codes)


def _mel_coder(
    _codec: str | Path | Codec, _kbps: float, _codebooks: int | None, _exact: bool, mel: MelSettings
) -> Coder:
    return MelCoder(mel)


FEATURE_TYPES = {
    feature_type.name: feature_type
    for feature_type in (
        FeatureType(
            name="encodec",
            label="codes",
            row="codebook",
            unit="label",
            missing=-1,
            is_codes=True,
            settings=("codec", "bandwidth_kbps", "codebooks", "exact_codes", "framing"),
            vocoder="codec",
            coder=_codec_coder,
        ),
        FeatureType(
            name="mel",
            label="mel",
            row="band",
            unit="dB",
            missing=np.nan,
            is_codes=False,
            settings=("mel",),
            vocoder="Griffin-Lim",
            coder=_mel_coder,
        ),
    )
}
