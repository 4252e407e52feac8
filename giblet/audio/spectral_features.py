"""Perceptual features as differentiable functions of spectra: mel, cepstrum, pitch, onsets, shape.

Definitions are librosa's where it has them. Spectra are (batch, n_bins, n_frames), by
``Spectra.stft``. A ``floor`` is the magnitude below which there is silence; every feature of
silence is zero, and no gradient is infinite.
"""

from itertools import pairwise

import numpy as np
import torch

from giblet.errors import GibletError
from giblet.timing import count_samples


class Spectra:
    """Waveforms (batch, n_samples) with their STFTs, each computed once."""

    def __init__(self, waveform: torch.Tensor):
        if waveform.ndim != 2:
            raise ValueError(f"waveforms must be (batch, n_samples), got {tuple(waveform.shape)}")
        self.waveform = waveform.float()
        self._stfts: dict[int, torch.Tensor] = {}
        self._magnitudes: dict[int, torch.Tensor] = {}

    def stft(self, n_fft: int) -> torch.Tensor:
        """Complex STFT, Hann window, a frame every ``n_fft // 4`` samples, edges reflected.

        Raises GibletError for sounds too short to be reflected.
        """
        n_samples = self.waveform.shape[-1]
        if n_samples <= n_fft // 2:
            raise GibletError(
                f"sounds of {n_samples} samples are too short for spectra of {n_fft}: "
                "give longer crops or smaller n_ffts"
            )
        if n_fft not in self._stfts:
            window = torch.hann_window(n_fft, device=self.waveform.device)
            self._stfts[n_fft] = torch.stft(
                self.waveform, n_fft, n_fft // 4, window=window, return_complex=True
            )
        return self._stfts[n_fft]

    def magnitude(self, n_fft: int) -> torch.Tensor:
        if n_fft not in self._magnitudes:
            self._magnitudes[n_fft] = self.stft(n_fft).abs()
        return self._magnitudes[n_fft]

    def power(self, n_fft: int) -> torch.Tensor:
        return self.magnitude(n_fft).square()


def mel_bank(sample_rate: int, n_fft: int, n_mels: int) -> torch.Tensor:
    """Mel filters (n_mels, n_bins) with peaks of 1."""
    from librosa.filters import mel

    bank = mel(sr=sample_rate, n_fft=n_fft, n_mels=n_mels, norm=None)
    return torch.from_numpy(bank)


def chroma_bank(sample_rate: int, n_fft: int) -> torch.Tensor:
    """Filters (12, n_bins) of the twelve pitch classes, tuned to A = 440 Hz."""
    from librosa.filters import chroma

    return torch.from_numpy(chroma(sr=sample_rate, n_fft=n_fft))


def dct_bank(n_mfcc: int, n_mels: int) -> torch.Tensor:
    """The first ``n_mfcc`` rows of the orthonormal DCT-II, (n_mfcc, n_mels)."""
    from scipy.fft import dct

    return torch.from_numpy(dct(np.eye(n_mels), axis=0, norm="ortho")[:n_mfcc]).float()


def log_above(amount: torch.Tensor, floor: float) -> torch.Tensor:
    """Powers of ten by which ``amount`` is above ``floor``; 0 below it."""
    return torch.log10(amount.clamp(min=floor) / floor)


def chroma(power: torch.Tensor, bank: torch.Tensor, floor: float) -> torch.Tensor:
    """Share of each pitch class in each frame's energy, (batch, 12, n_frames)."""
    energy = bank @ power
    return energy / energy.sum(dim=1, keepdim=True).clamp(min=power.shape[1] * floor**2)


def pitch_lags(sample_rate: int, lowest_hz: float, highest_hz: float) -> slice:
    """Lags, in samples, of one period of pitches between these two."""
    shortest = count_samples(1 / highest_hz, sample_rate)
    return slice(shortest, count_samples(1 / lowest_hz, sample_rate) + 1)


def periodicity(power: torch.Tensor, lags: slice, floor: float) -> torch.Tensor:
    """Self-similarity of each frame after each of ``lags``, (batch, n_lags, n_frames).

    Autocorrelation relative to lag 0, divided by that of the Hann window: 1 for a period of a
    periodic sound, near 0 for noise (Boersma 1993: the peak gives the harmonics-to-noise ratio).
    """
    window = torch.hann_window(2 * (power.shape[1] - 1), device=power.device)
    taper = torch.fft.irfft(torch.fft.rfft(window).abs().square())
    repeated = torch.fft.irfft(power, dim=1)
    relative = repeated[:, lags] / repeated[:, :1].clamp(min=floor**2)
    return relative * (taper[0] / taper[lags])[:, None]


def onset_envelope(log_mel: torch.Tensor) -> torch.Tensor:
    """Rise of the log-mel spectrum into each frame but the first, mean over bands.

    (batch, n_mels, n_frames) → (batch, n_frames - 1). Spectral flux, as
    ``librosa.onset.onset_strength`` has it before it shifts frames.
    """
    return log_mel.diff(dim=-1).clamp(min=0).mean(dim=1)


def autocorrelation(envelope: torch.Tensor, floor: float) -> torch.Tensor:
    """Of (batch, n_frames), at every lag, relative to lag 0: the pattern, not its size."""
    n_frames = envelope.shape[-1]
    spectrum = torch.fft.rfft(envelope, 2 * n_frames).abs().square()
    products = torch.fft.irfft(spectrum)[:, :n_frames]
    return products / products[:, :1].clamp(min=floor**2)


def centroid(magnitude: torch.Tensor, floor: float) -> torch.Tensor:
    """Mean frequency of each frame as a share of the highest, (batch, n_frames)."""
    n_bins = magnitude.shape[1]
    frequency = torch.linspace(0, 1, n_bins, device=magnitude.device)[:, None]
    return (magnitude * frequency).sum(dim=1) / magnitude.sum(dim=1).clamp(min=n_bins * floor)


def roll_off(
    magnitude: torch.Tensor, floor: float, share: float = 0.85, softness: float = 0.01
) -> torch.Tensor:
    """Frequency below which ``share`` of each frame's magnitude lies, as a share of the highest.

    (batch, n_frames). Soft: bins below it are counted by a sigmoid of the cumulated share, which
    is 1/4 and 3/4 about ``softness`` away from the edge; a count of bins has no gradient.
    """
    n_bins = magnitude.shape[1]
    total = magnitude.sum(dim=1)
    at_least_floor = total.clamp(min=n_bins * floor)
    cumulated = magnitude.cumsum(dim=1) / at_least_floor[:, None]
    below = torch.sigmoid((share - cumulated) / softness).sum(dim=1) / (n_bins - 1)
    return below * total / at_least_floor


def octave_bands(
    sample_rate: int, n_fft: int, lowest_hz: float = 200.0, n_octaves: int = 6
) -> list[slice]:
    """Bins below ``lowest_hz``, then of each octave above it; the last reaches the top.

    Raises GibletError where an octave has no bin.
    """
    import librosa

    frequencies = librosa.fft_frequencies(sr=sample_rate, n_fft=n_fft)
    edges = lowest_hz * 2.0 ** np.arange(n_octaves)
    starts = [0, *(np.searchsorted(frequencies, edges) - 1), len(frequencies)]
    if edges[-1] >= frequencies[-1] or min(np.diff(starts)) < 1:
        raise GibletError(
            f"spectra of {n_fft} have no bin in one of {n_octaves} octaves from {lowest_hz} Hz on: "
            "give a larger n_fft"
        )
    return [slice(int(a), int(b)) for a, b in pairwise(starts)]


def contrast(
    magnitude: torch.Tensor, bands: list[slice], floor: float, quantile: float = 0.02
) -> torch.Tensor:
    """Powers of ten between the peaks and the valleys of each band, (batch, n_bands, n_frames).

    Means of the largest and smallest ``quantile`` of its bins (Jiang et al. 2002).
    """
    levels = magnitude.clamp(min=floor)
    contrasts = []
    for band in bands:
        inside = levels[:, band]
        n = max(1, round(quantile * inside.shape[1]))
        peak, valley = (inside.topk(n, dim=1, largest=top).values for top in (True, False))
        contrasts.append(torch.log10(peak.mean(dim=1) / valley.mean(dim=1)))
    return torch.stack(contrasts, dim=1)


def relative_distance(estimate: torch.Tensor, target: torch.Tensor, floor: float) -> torch.Tensor:
    """Mean of ``|estimate - target|`` over that of ``|target|``, itself at least ``floor``.

    Both (batch, ...); by sound, then the mean over the batch.

    >>> relative_distance(torch.zeros(1, 4), torch.ones(1, 4), floor=0.01).item()
    1.0
    """
    dims = tuple(range(1, target.ndim))
    scale = target.abs().mean(dim=dims).clamp(min=floor)
    return ((estimate - target).abs().mean(dim=dims) / scale).mean()
