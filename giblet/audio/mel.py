"""The older path: mel spectrograms, and Griffin-Lim back to sound."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np

from giblet.audio.blocks import equal_blocks, overlapping
from giblet.audio.griffin_lim import griffin_lim
from giblet.config.sections import MelConfig
from giblet.errors import GibletError
from giblet.io.validation import check_features
from giblet.timing import hop_rate_hz

_FRAMES_PER_BLOCK = 1024
FLOOR_DB = -100.0  # 0 dB is power 1 in one mel band; quieter than this is silence
MOMENTUM = 0.99  # of Griffin-Lim: Perraudin, Balazs & Sondergaard (2013), as in librosa


@dataclass(frozen=True)
class MelSettings:
    """Settings of the mel spectrogram.

    >>> MelSettings().frame_rate
    93.75
    """

    sample_rate: int = 24000  # Hz
    n_mels: int = 128
    n_fft: int = 1024  # samples
    hop_length: int = 256  # samples
    n_iter: int = 32  # of Griffin-Lim

    def __post_init__(self):
        for name, value in vars(self).items():
            if not value >= 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if self.hop_length > self.n_fft:
            raise ValueError(
                f"hop_length {self.hop_length} is longer than the window, n_fft {self.n_fft}: "
                "sound between windows would be lost"
            )

    @classmethod
    def from_config(cls, config: MelConfig) -> Self:
        """As a config has it; GibletError where that cannot be."""
        try:
            return cls(**config.model_dump())
        except ValueError as error:
            raise GibletError(f"config: mel: {error}") from None

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return hop_rate_hz(self.sample_rate, self.hop_length)


def mel_spectrogram(
    waveform: np.ndarray | Iterable[np.ndarray], settings: MelSettings
) -> np.ndarray:
    """Sound (n_samples,), or an iterable of such pieces, to mel power in dB (n_mels, n_frames).

    Frame ``k`` is centred on sample ``k * hop_length``; there are ``n_samples // hop_length`` of
    them, float32. dB relative to power 1, floored at -100 dB. Computed block by block: memory
    holds the result and a few seconds of sound.
    """
    hop = settings.hop_length
    n_context = -(-settings.n_fft // hop) * hop
    parts = [
        _decibels(window, settings)[:, n_before // hop : (n_before + n_samples) // hop]
        for window, n_before, n_samples in overlapping(
            equal_blocks(waveform, _FRAMES_PER_BLOCK * hop), n_context
        )
    ]
    return np.concatenate(parts, axis=1)


def _decibels(waveform: np.ndarray, settings: MelSettings) -> np.ndarray:
    """Frames of ``waveform`` (n_samples,) as librosa makes them, silence beyond its ends."""
    import librosa

    power = librosa.feature.melspectrogram(
        y=waveform,
        sr=settings.sample_rate,
        n_fft=settings.n_fft,
        hop_length=settings.hop_length,
        n_mels=settings.n_mels,
    )
    db = librosa.power_to_db(power, ref=1.0, amin=10 ** (FLOOR_DB / 10), top_db=None)
    return db.astype(np.float32)


def mel_to_sound(mel: np.ndarray, settings: MelSettings, seed: int = 0) -> np.ndarray:
    """Mel power in dB (n_mels, n_frames) to sound (n_frames * hop_length,) float32.

    Magnitudes by least squares from the mel filters, phases by fast Griffin-Lim with
    ``MOMENTUM``, started from phases drawn with ``seed``.

    Raises
    ------
    TypeError, ValueError
        Integers (codes belong to the codec), NaN, or another number of mel bands.
    """
    import librosa
    from librosa.filters import mel as filters_of_mel

    mel = check_features(mel, "mel")
    if mel.shape[0] != settings.n_mels:
        raise ValueError(f"mel must have {settings.n_mels} bands, got {mel.shape}")
    filters = filters_of_mel(sr=settings.sample_rate, n_fft=settings.n_fft, n_mels=settings.n_mels)
    power = np.linalg.pinv(filters) @ librosa.db_to_power(mel.astype(np.float64))
    magnitude = np.sqrt(np.maximum(power, 0.0))  # (1 + n_fft // 2, n_frames)
    magnitude = np.pad(magnitude, ((0, 0), (0, 1)), mode="edge")  # the frame that closes the last
    return griffin_lim(
        magnitude, settings.hop_length, settings.n_fft, settings.n_iter, MOMENTUM, seed
    )


def average_trs(mel: np.ndarray) -> np.ndarray:
    """mel_3d (n_trs, n_mels, frames_per_tr) to mel_2d (n_trs, n_mels): the mean dB of each TR.

    For models of one spectrum per TR. What changes within a TR, speech above all, is lost.

    Raises
    ------
    TypeError, ValueError
        Integers, NaN, or another rank.

    >>> average_trs(np.array([[[0.0, -20.0], [10.0, 10.0]]])).tolist()
    [[-10.0, 10.0]]
    """
    mel = check_features(mel, "mel")
    if mel.ndim != 3 or not mel.size:
        raise ValueError(f"mel must have shape (n_trs, n_mels, frames_per_tr), got {mel.shape}")
    return mel.mean(axis=2)


def repeat_in_trs(mel: np.ndarray, frames_per_tr: int) -> np.ndarray:
    """mel_2d (n_trs, n_mels) to mel_3d (n_trs, n_mels, frames_per_tr): each TR holds its average.

    >>> repeat_in_trs(np.array([[-10.0, 10.0]]), frames_per_tr=3).tolist()
    [[[-10.0, -10.0, -10.0], [10.0, 10.0, 10.0]]]
    """
    return np.repeat(np.asarray(mel)[:, :, None], frames_per_tr, axis=2)
