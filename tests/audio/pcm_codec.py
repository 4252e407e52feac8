"""A codec that loses next to nothing, and how far apart in time two sounds are."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

LEVELS = np.arange(256) / 127.5 - 1  # of the 256 codes, compressed, in [-1, 1]
SAMPLES = (np.sign(LEVELS) * (256 ** np.abs(LEVELS) - 1) / 255).astype(np.float32)
MIDDLES = (SAMPLES[1:] + SAMPLES[:-1]) / 2
CODES = np.searchsorted(MIDDLES, np.arange(-32768, 32768) / 32767).astype(np.int32)


@dataclass(frozen=True)
class PcmCodec:
    """8-bit mu-law (ITU-T G.711 without its steps): codebook ``j`` is sample ``j`` of each frame.

    All that a third codec needs to be one; fast enough for hours of sound.

    >>> PcmCodec().encode(np.zeros(33, dtype=np.float32)).shape  # the last frame is padded
    (32, 2)
    """

    name: str = "pcm"
    revision: str = "1"
    sample_rate: int = 2400  # Hz
    frame_rate: float = 75.0
    hop_length: int = 32  # samples
    n_codebooks: int = 32
    codebook_size: int = 256
    codebook_dim: int = 32
    bandwidth_kbps: float = 19.2

    def encode(self, waveform: np.ndarray | Iterable[np.ndarray]) -> np.ndarray:
        """Sound (n_samples,), or blocks of it, to codes (n_codebooks, n_frames) int32."""
        if not isinstance(waveform, np.ndarray):
            waveform = np.concatenate(list(waveform))
        waveform = np.pad(waveform, (0, -len(waveform) % self.hop_length))
        codes = CODES[np.rint(np.clip(waveform, -1, 1) * 32767).astype(np.int32) + 32768]
        return codes.reshape(-1, self.hop_length).T

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Codes (n_codebooks, n_frames) to sound (n_samples,) float32."""
        return self.latents(codes).ravel()

    def latents(self, codes: np.ndarray) -> np.ndarray:
        """The samples of each frame, (n_frames, codebook_dim) float32."""
        return SAMPLES[codes.T]

    def codebooks(self) -> np.ndarray:
        """Codewords (n_codebooks, codebook_size, codebook_dim): one sample, 0 in the others."""
        return np.eye(self.n_codebooks, dtype=np.float32)[:, None] * SAMPLES[:, None]


def speech_and_clicks(speech: np.ndarray, rate: int, duration: float) -> np.ndarray:
    """``speech`` over and over, every other 10 s of it clicks instead, (n_samples,) float32.

    Clicks are raised cosines of 4 ms, ever further apart: no shift of them fits but none.
    """
    sound = np.resize(speech, round(duration * rate)).astype(np.float32)
    shape = 0.9 * np.hanning(round(0.004 * rate) + 2)
    train = np.zeros(10 * rate, dtype=np.float32)
    for start in np.cumsum(0.1 * rate * 1.03 ** np.arange(45)).astype(int):
        train[start : start + len(shape)] = shape
    for start in range(10 * rate, len(sound), 20 * rate):
        sound[start : start + 10 * rate] = train[: len(sound) - start]
    return sound


def lags_ms(reference: np.ndarray, estimate: np.ndarray, rate: int) -> dict[str, float]:
    """Lags of ``estimate`` (ms) in windows of 10 s at the beginning, middle and end, both kinds.

    Both sounds (n_samples,) at ``rate`` Hz; the reference by ``speech_and_clicks``.
    """
    window = 10 * rate
    n = -(-len(estimate) // window)
    lags = {}
    for place, first in {"begin": 0, "middle": n // 2, "end": n - 2}.items():
        for i in (first, first + 1):
            part = slice(i * window, (i + 1) * window)
            kind = "clicks" if i % 2 else "speech"
            lags[f"{kind} {place}"] = lag_ms(reference[: len(estimate)][part], estimate[part], rate)
    return lags


def lag_ms(reference: np.ndarray, estimate: np.ndarray, rate: float) -> float:
    """By how many ms ``estimate`` comes later: where the cross-correlation peaks.

    Both (n_samples,) at ``rate`` Hz. Between samples, the peak of a parabola through three.

    >>> sound = np.sin(np.arange(1000) ** 1.5 / 50)
    >>> round(lag_ms(sound[10:], sound[:-10], rate=1000), 2)
    10.0
    """
    from scipy.signal import correlate

    near = correlate(estimate, reference, method="fft")
    peak = int(near[1:-1].argmax()) + 1
    before, top, after = near[peak - 1 : peak + 2]
    between = (before - after) / (before - 2 * top + after) / 2
    return float(1000 * (peak + between - (len(reference) - 1)) / rate)
