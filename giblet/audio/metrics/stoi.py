"""STOI and extended STOI of many estimates of one reference, whose part is computed once.

The numbers of ``pystoi`` to its rounding, several times as fast. Extended STOI depends on noise
that ``pystoi`` adds where a band never changes, as in digital silence: then ``pystoi`` is called.
"""

from dataclasses import dataclass

import numpy as np

from giblet.audio.metrics.distances import STOI_RATE_HZ, stoi
from giblet.parallel import cached_property

_FRAME, _HOP, _N_FFT = 256, 128, 512  # samples at 10 kHz
_STRETCH = 30  # frames
_RANGE_DB = 40.0  # quieter frames of the reference are left out
_LARGEST = 1 + 10 ** (15 / 20)  # of the reference: at most 15 dB of distortion
_EPSILON = float(np.finfo(float).eps)
_FLAT = 1e-7  # a stretch that varies by less is constant: the noise of pystoi decides


@dataclass(frozen=True)
class StoiReference:
    """The reference's part of STOI; ``waveform`` (n_samples,) at 10 kHz."""

    waveform: np.ndarray

    def stoi(self, estimate: np.ndarray) -> float:
        """STOI (Taal et al., 2011), at most 1, of ``estimate`` (n_samples,) at 10 kHz.

        NaN where there is too little sound for it.
        """
        if self._bands.shape[1] < _STRETCH:
            return np.nan
        total = 0.0
        for truth, one, power, variance in zip(
            self._bands, self._bands_of(estimate), self._powers, self._variances, strict=True
        ):
            gain = np.sqrt(power) / (np.sqrt(_sums(one * one)) + _EPSILON)
            heard = _stretches(one) * gain[:, None]  # (n_stretches, _STRETCH)
            np.minimum(heard, _stretches(truth * _LARGEST), out=heard)
            heard -= heard.mean(axis=1, keepdims=True)
            size = np.sqrt(np.einsum("mn,mn->m", heard, heard)) + _EPSILON
            product = np.einsum("mn,mn->m", heard, _stretches(truth))
            total += float((product / size / (np.sqrt(variance) + _EPSILON)).sum())
        return min(1.0, total / self._powers.size)

    def extended_stoi(self, estimate: np.ndarray) -> float:
        """Extended STOI (Jensen & Taal, 2016) of ``estimate`` (n_samples,) at 10 kHz.

        NaN where there is too little sound for it.
        """
        if self._bands.shape[1] < _STRETCH:
            return np.nan
        truth, heard = _normalised(self._bands), _normalised(self._bands_of(estimate))
        if truth is None or heard is None:
            return stoi(self.waveform, estimate, STOI_RATE_HZ, extended=True)
        return min(1.0, float(np.vdot(truth, heard)) / _STRETCH / truth.shape[1])

    @cached_property
    def _kept(self) -> np.ndarray:
        """(n_frames,) bool: which frames are loud enough."""
        level = 20 * np.log10(np.linalg.norm(_frames(self.waveform), axis=1) + _EPSILON)
        return level.max(initial=-np.inf) - _RANGE_DB - level < 0

    @cached_property
    def _bands(self) -> np.ndarray:
        return self._bands_of(self.waveform)

    @cached_property
    def _powers(self) -> np.ndarray:
        """Sums of squares of stretches (n_bands, n_stretches)."""
        return np.stack([_sums(one * one) for one in self._bands])

    @cached_property
    def _variances(self) -> np.ndarray:
        """The same, minus the mean of each stretch."""
        stretches = [_stretches(one) for one in self._bands]
        return np.stack([((s - s.mean(axis=1, keepdims=True)) ** 2).sum(axis=1) for s in stretches])

    def _bands_of(self, waveform: np.ndarray) -> np.ndarray:
        """Amplitudes in third octaves of kept frames, added up to a sound: (n_bands, n_frames)."""
        from pystoi.stoi import OBM  # (n_bands, 1 + _N_FFT // 2)
        from scipy.fft import rfft

        halves = _frames(waveform)[self._kept].reshape(-1, 2, _HOP)
        if len(halves) < 2:
            return np.empty((len(OBM), 0))
        joined = np.concatenate([halves[:, 0], np.zeros((1, _HOP))])
        joined[1:] += halves[:, 1]
        frames = np.concatenate([joined[:-2], joined[1:-1]], axis=1)
        spectrum = rfft(frames * _window(), _N_FFT, axis=1)
        return np.sqrt(OBM @ (spectrum.real**2 + spectrum.imag**2).T)


def _window() -> np.ndarray:
    return np.hanning(_FRAME + 2)[1:-1]


def _frames(waveform: np.ndarray) -> np.ndarray:
    """Windowed frames (n_frames, _FRAME)."""
    n_frames = max(0, -((_FRAME - len(waveform)) // _HOP))
    starts = _HOP * np.arange(n_frames)[:, None]
    return waveform[starts + np.arange(_FRAME)] * _window()


def _stretches(band: np.ndarray) -> np.ndarray:
    """Of (..., n_frames) every ``_STRETCH`` frames: (..., n_stretches, _STRETCH), a view."""
    return np.lib.stride_tricks.sliding_window_view(band, _STRETCH, axis=-1)


def _sums(band: np.ndarray) -> np.ndarray:
    return _stretches(band).sum(axis=-1)


def _normalised(bands: np.ndarray) -> np.ndarray | None:
    """Stretches (n_bands, n_stretches, _STRETCH): mean 0 and norm 1 in each band, then over bands.

    None where one never changes.
    """
    stretches = _stretches(bands)
    values = stretches - stretches.mean(axis=2, keepdims=True)
    for axis, largest in ((2, bands.max(initial=0.0)), (0, 1.0)):
        if axis == 0:
            values -= values.mean(axis=0)
        size = np.sqrt(np.einsum("jmn,jmn->jm" if axis else "jmn,jmn->mn", values, values))
        if size.min() <= _FLAT * largest:
            return None
        values /= np.expand_dims(size, axis)
    return values
