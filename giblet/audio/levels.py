"""Levels of a sound while it is read: silence, channels that cancel, wrong units, an offset."""

import logging
from pathlib import Path

import numpy as np

logger = logging.getLogger(__name__)

_SILENT = 1e-4  # of full scale, -80 dB: peak about the mean
_LOUD = 10.0  # times full scale: 20 dB
_CANCELLED = 0.02  # of the power of uncorrelated channels; of stereo, 20 dB below its channels
_SHARE_CANCELLED = 0.1  # of the seconds with sound
_HEARD = 1e-8  # power, -80 dB
_PRECISION = 1e-4  # of an offset's power, below which that of sound is not precise in float32
_OFFSET_COST = 1.0  # dB by which a DC raises the level
_LEAST_OFFSET = 1e-3  # of full scale, -60 dB
_BLOCK = 1.0  # s
_EVERY = 4  # one piece in so many is checked for channels that cancel
_SHORT = 1.0  # s: of less, the mean may be a slow wave


class Levels:
    """Statistics of a sound's channels and of the mono sound made from them, block by block.

    Never holds more than about a second of sound.
    """

    def __init__(self, path: str | Path):
        self._path = path
        self._held: list[tuple[np.ndarray, np.ndarray]] = []
        self._weights: tuple[float, ...] = (1.0,)
        self._n_held, self._rate = 0, 1
        self._n, self._sum, self._squares = 0, 0.0, 0.0
        self._lowest, self._highest = np.inf, -np.inf
        self._heard = self._cancelled = self._seconds = 0.0  # s
        self._loudest_channel = 0.0  # power

    def add(
        self, channels: np.ndarray, mono: np.ndarray, weights: tuple[float, ...], rate: int
    ) -> None:
        """``channels`` (n_channels, n_samples), and ``mono`` (n_samples,) made with ``weights``."""
        if weights != self._weights:
            self._measure()
            self._weights = weights
        self._rate = rate
        self._held.append((channels, mono))
        self._n_held += len(mono)
        if self._n_held >= _BLOCK * rate:
            self._measure()

    def _measure(self) -> None:
        """Take the held block into the statistics."""
        if not self._n_held:
            return
        with np.errstate(invalid="ignore"):  # NaN is refused elsewhere
            self._measure_held()
        self._held, self._n_held = [], 0

    def _measure_held(self) -> None:
        mono = np.concatenate([mono for _, mono in self._held])
        self._n += len(mono)
        self._sum += float(mono.sum())
        self._squares += float(mono @ mono)
        self._lowest = min(self._lowest, float(mono.min()))
        self._highest = max(self._highest, float(mono.max()))
        self._seconds += len(mono) / self._rate
        if len(self._weights) > 1:
            sample = [channels for channels, _ in self._held[::_EVERY]]
            self._compare_channels(np.concatenate(sample, axis=1), len(mono) / self._rate)

    def _compare_channels(self, channels: np.ndarray, seconds: float) -> None:
        """Whether ``channels``, a sample of so many seconds, cancel in the mono sound."""
        n, weights = channels.shape[1], np.array(self._weights, dtype=np.float32)
        means = channels @ np.full(n, 1 / n, dtype=np.float32)
        covariance = channels @ channels.T / n - np.outer(means, means)
        powers = covariance.diagonal()
        self._loudest_channel = max(self._loudest_channel, float(powers.max()))
        expected = float(weights**2 @ powers)  # of channels without correlation
        if expected > _HEARD + _PRECISION * float(weights**2 @ means**2):
            self._heard += seconds
            if weights @ covariance @ weights < _CANCELLED * expected:
                self._cancelled += seconds

    def warnings(self) -> list[str]:
        """One line for each fault of the sound that was added so far."""
        self._measure()
        if not self._n:
            return []
        lines = [self._cancellation(), self._excess(), self._silence() or self._offset()]
        return [f"{self._path}: {line}" for line in lines if line]

    def _cancellation(self) -> str:
        if self._cancelled <= _SHARE_CANCELLED * self._heard:
            return ""
        return (
            f"channels cancel in {self._cancelled:.1f} of {self._heard:.1f} s with sound: their "
            "mean is more than 20 dB below them (one is the other with its sign changed?). Keep "
            "one channel: ffmpeg -i FILM -c:v copy -af 'pan=mono|c0=c0' NEW"
        )

    def _silence(self) -> str:
        if (self._highest - self._lowest) / 2 >= _SILENT or self._cancelled:
            return ""
        lost = "; a channel that is left out (LFE) is not" * (self._loudest_channel > _HEARD)
        return (
            f"the sound is silent (below -80 dB) in the {self._seconds:.1f} s that were read{lost}"
        )

    def _excess(self) -> str:
        peak = max(abs(self._lowest), abs(self._highest))
        if not peak > _LOUD:
            return ""
        return (
            f"the sound goes {20 * np.log10(peak):.0f} dB over full scale (peak {peak:.5g}, where "
            "1 is full scale). Are its floats in units of 16-bit samples? Divide them by 32768"
        )

    def _offset(self) -> str:
        mean = self._sum / self._n
        variance = max(self._squares / self._n - mean**2, 1e-20)
        cost = 10 * np.log10(1 + mean**2 / variance)
        too_short = self._seconds < _SHORT
        if too_short or abs(mean) < _LEAST_OFFSET or cost < _OFFSET_COST:
            return ""
        return (
            f"the sound has a constant offset (DC) of {mean:+.3g} of full scale, which is "
            f"{cost:.1f} dB of its level. Remove it: ffmpeg -i FILM -c:v copy -af "
            f"dcshift={-mean:.3g} NEW"
        )

    def warn(self) -> None:
        """Log `warnings`."""
        for line in self.warnings():
            logger.warning("%s", line)
