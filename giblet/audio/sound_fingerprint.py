"""Audio fingerprints: whether one sound holds a piece of another, re-encoded, shifted or louder.

Landmarks (Wang 2003): pairs of peaks of a spectrogram, as two frequencies and the time between
them. A common piece has many landmarks in common, and all of them at one offset in time.

Wang A (2003). An industrial-strength audio search algorithm. ISMIR 2003.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from giblet.timing import count_samples, hop_rate_hz

RATE_HZ = 8000
HOP, N_FFT = 128, 1024  # samples
_NEAR = (15, 15)  # frames, bins: a peak is the largest value so far around it
_FAN_OUT, _FARTHEST = 8, 64  # partners of a peak, and the last frame among which they are
_QUIETEST_DB = 60.0  # below the loudest peak
_OFFSET_FRAMES = 3  # within which offsets count as one: codecs shift peaks a little
FEWEST, SHARE = 40, 0.03  # landmarks at one offset, and of those of a piece


@dataclass(frozen=True)
class Fingerprint:
    """Landmarks of a sound: ``codes`` (n_landmarks,) int64, and ``frames`` (n_landmarks,) of their
    first peaks, 62.5 a second."""

    codes: np.ndarray
    frames: np.ndarray

    @classmethod
    def of(cls, waveform: np.ndarray, sample_rate: float) -> Self:
        """Of a sound (n_samples,); one of silence has no landmarks."""
        frames, bins = _peaks(_spectrogram(waveform, sample_rate))
        codes, first = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        for k in range(1, _FAN_OUT + 1):
            apart = frames[k:] - frames[: len(frames) - k]
            kept = (apart > 0) & (apart <= _FARTHEST)
            codes.append(((bins[: len(bins) - k] * 1024 + bins[k:]) * 128 + apart)[kept])
            first.append(frames[: len(frames) - k][kept])
        return cls(np.concatenate(codes), np.concatenate(first))

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def by_code(self) -> tuple[np.ndarray, np.ndarray]:
        """Sorted codes, and the frame of each: sorted once, however many sounds are looked up."""
        order = np.argsort(self.codes, kind="stable")
        return self.codes[order], self.frames[order]


def _spectrogram(waveform: np.ndarray, sample_rate: float) -> np.ndarray:
    """Levels (n_bins, n_frames) in dB at ``RATE_HZ``."""
    import librosa
    import soxr

    sound = soxr.resample(np.asarray(waveform, dtype=np.float32), sample_rate, RATE_HZ)
    if len(sound) < N_FFT:
        return np.full((N_FFT // 2 + 1, 1), -200.0)
    power = np.abs(librosa.stft(sound, n_fft=N_FFT, hop_length=HOP)) ** 2
    return 10 * np.log10(power + 1e-20)


def _peaks(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frames and bins of peaks of (n_bins, n_frames), by frame."""
    from scipy.ndimage import maximum_filter

    highest = maximum_filter(levels, size=_NEAR[::-1])
    is_peak = (levels == highest) & (levels > levels.max() - _QUIETEST_DB) & (levels > -150.0)
    bins, frames = np.nonzero(is_peak)
    order = np.lexsort((bins, frames))
    return frames[order].astype(np.int64), bins[order].astype(np.int64)


def common_seconds(sound: Fingerprint, film: Fingerprint, piece_seconds: float = 5.0) -> float:
    """How many seconds of ``sound`` are in ``film``, in pieces of ``piece_seconds``.

    A piece is in the film if ``FEWEST`` landmarks or more, and ``SHARE`` of its own, are there at
    one offset.

    >>> rng = np.random.default_rng(0)
    >>> film = rng.standard_normal(8000 * 20)
    >>> film = Fingerprint.of(np.cumsum(film) * 0.01, 8000), Fingerprint.of(film, 8000)
    >>> common_seconds(film[1], film[1]) >= 15, common_seconds(film[0], film[1])
    (True, 0.0)
    """
    rate = hop_rate_hz(RATE_HZ, HOP)
    per_piece, n_frames = count_samples(piece_seconds, rate), int(sound.frames.max(initial=-1)) + 1
    codes, frames = film.by_code
    n_found = 0
    for start in range(0, n_frames, per_piece):
        inside = (sound.frames >= start) & (sound.frames < start + per_piece)
        if _is_in(sound.codes[inside], sound.frames[inside], codes, frames):
            n_found += min(per_piece, n_frames - start)
    return round(n_found / rate, 1)


def _is_in(own: np.ndarray, own_frames: np.ndarray, codes: np.ndarray, frames: np.ndarray) -> bool:
    """Whether landmarks are among sorted ``codes`` at one offset."""
    begin, end = np.searchsorted(codes, own, "left"), np.searchsorted(codes, own, "right")
    counts = end - begin
    if counts.sum() < FEWEST:
        return False
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    at = np.arange(counts.sum()) + np.repeat(begin - first, counts)
    offsets = frames[at] - np.repeat(own_frames, counts)
    at_offset = np.bincount(offsets - offsets.min())
    together = np.convolve(at_offset, np.ones(_OFFSET_FRAMES))
    return bool(together.max() >= max(FEWEST, SHARE * len(own)))


def in_film(
    sounds: Iterable[tuple[str, Fingerprint]], film: Fingerprint
) -> list[tuple[str, float]]:
    """Names of the sounds that hold 5 s of the film or more, and how many seconds."""
    found = ((name, common_seconds(one, film)) for name, one in sounds)
    return [(name, seconds) for name, seconds in found if seconds > 0]
