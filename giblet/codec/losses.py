"""What a codec is trained to keep: waveform, magnitude, phase, cepstrum, pitch, rhythm, timbre.

Each loss is 0 for equal sounds and near 1 for silence instead of sound, so that weights mean
something, and none can be satisfied by the right loudness alone.
"""

from collections.abc import Mapping
from math import isfinite

import torch
from torch import nn

from giblet.checks import GibletError
from giblet.codec.features import (
    Spectra,
    autocorrelation,
    centroid,
    chroma,
    chroma_bank,
    contrast,
    dct_bank,
    log_above,
    mel_bank,
    octave_bands,
    onset_envelope,
    periodicity,
    pitch_lags,
    roll_off,
)
from giblet.codec.parts import build_part

N_FFTS = (128, 512, 2048)


def relative_distance(
    estimate: torch.Tensor, target: torch.Tensor, floor: float
) -> torch.Tensor:
    """Mean of ``|estimate - target|`` over that of ``|target|``, itself at least ``floor``.

    Both (batch, ...); by sound, then the mean over the batch.

    >>> relative_distance(torch.zeros(1, 4), torch.ones(1, 4), floor=0.01).item()
    1.0
    """
    dims = tuple(range(1, target.ndim))
    scale = target.abs().mean(dim=dims).clamp(min=floor)
    return ((estimate - target).abs().mean(dim=dims) / scale).mean()


def _spectra(estimate: torch.Tensor, target: torch.Tensor) -> tuple[Spectra, Spectra]:
    if estimate.shape != target.shape:
        raise ValueError(f"estimate {tuple(estimate.shape)} and target {tuple(target.shape)} differ")
    return Spectra(estimate), Spectra(target)


class SoundLoss(nn.Module):
    """Relative distance of features, mean over them; ``floor`` is where silence begins.

    Subclasses give ``features``, or their own ``compare``. ``compare`` takes spectra so that
    several losses share them.
    """

    def __init__(self, sample_rate: int, floor: float = 1e-2):
        super().__init__()
        self.sample_rate, self.floor = sample_rate, floor

    def _keep(self, name: str, constant: torch.Tensor) -> None:
        self.register_buffer(name, constant, persistent=False)

    def features(self, spectra: Spectra) -> tuple[torch.Tensor, ...]:
        raise NotImplementedError

    def compare(self, estimate: Spectra, target: Spectra) -> torch.Tensor:
        pairs = zip(self.features(estimate), self.features(target), strict=True)
        return torch.stack([relative_distance(e, t, self.floor) for e, t in pairs]).mean()

    def forward(self, estimate: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Both waveforms (batch, n_samples); a scalar, in single precision under autocast too."""
        with torch.autocast(estimate.device.type, enabled=False):
            return self.compare(*_spectra(estimate, target))


class WaveformLoss(SoundLoss):
    """L1 of the samples."""

    def __init__(self, sample_rate: int, floor: float = 1e-3):
        super().__init__(sample_rate, floor)

    def features(self, spectra):
        return (spectra.waveform,)


class ComplexStftLoss(SoundLoss):
    """``|X - Y|`` relative to ``|X|`` on complex STFTs: magnitudes alone leave the phase free."""

    def __init__(self, sample_rate: int, n_ffts: tuple[int, ...] = N_FFTS, floor: float = 1e-2):
        super().__init__(sample_rate, floor)
        self.n_ffts = n_ffts

    def features(self, spectra):
        return tuple(spectra.stft(n_fft) for n_fft in self.n_ffts)


class StftLoss(SoundLoss):
    """Spectral convergence and log10 magnitude, mean of both (Yamamoto et al. 2020).

    Resolutions are those of the other losses, whose STFTs it shares.
    """

    def __init__(self, sample_rate: int, n_ffts: tuple[int, ...] = N_FFTS, floor: float = 1e-2):
        super().__init__(sample_rate, floor)
        self.n_ffts = n_ffts

    def compare(self, estimate, target):
        terms = []
        for n_fft in self.n_ffts:
            e, t = estimate.magnitude(n_fft), target.magnitude(n_fft)
            silence = self.floor * t[0].numel() ** 0.5  # the norm of a spectrum that is all floor
            scale = torch.linalg.vector_norm(t, dim=(1, 2)).clamp(min=silence)
            terms.append((torch.linalg.vector_norm(e - t, dim=(1, 2)) / scale).mean())
            terms.append((log_above(e, self.floor) - log_above(t, self.floor)).abs().mean())
        return torch.stack(terms).mean()


class LogMelLoss(SoundLoss):
    """Mean absolute difference of log10 mel magnitudes over resolutions (DAC, Kumar et al. 2023)."""

    def __init__(
        self,
        sample_rate: int,
        n_ffts: tuple[int, ...] = N_FFTS,
        n_mels: tuple[int, ...] = (20, 64, 128),
        floor: float = 1e-2,
    ):
        super().__init__(sample_rate, floor)
        if len(n_ffts) != len(n_mels):
            raise GibletError(f"log_mel: {len(n_ffts)} n_ffts need as many n_mels, not {len(n_mels)}")
        self.n_ffts = n_ffts
        for n_fft, n in zip(n_ffts, n_mels, strict=True):
            self._keep(f"mel_{n_fft}", mel_bank(sample_rate, n_fft, n))

    def features(self, spectra):
        mels = [(getattr(self, f"mel_{n}") @ spectra.magnitude(n)) for n in self.n_ffts]
        return tuple(log_above(mel, self.floor) for mel in mels)

    def compare(self, estimate, target):
        pairs = zip(self.features(estimate), self.features(target), strict=True)
        return torch.stack([(e - t).abs().mean() for e, t in pairs]).mean()


class MfccLoss(SoundLoss):
    """Mel-frequency cepstrum, level included."""

    def __init__(
        self,
        sample_rate: int,
        n_fft: int = 2048,
        n_mels: int = 128,
        n_mfcc: int = 20,
        floor: float = 1e-2,
    ):
        super().__init__(sample_rate, floor)
        self.n_fft = n_fft
        self._keep("mel", mel_bank(sample_rate, n_fft, n_mels))
        self._keep("dct", dct_bank(n_mfcc, n_mels))

    def features(self, spectra):
        return (self.dct @ log_above(self.mel @ spectra.power(self.n_fft), self.floor**2),)


class HarmonicLoss(SoundLoss):
    """Pitch classes (chroma), and how periodic each frame is at each pitch's period."""

    def __init__(
        self,
        sample_rate: int,
        n_fft: int = 2048,
        lowest_hz: float = 80.0,
        highest_hz: float = 600.0,
        floor: float = 1e-2,
    ):
        super().__init__(sample_rate, floor)
        self.n_fft, self.lags = n_fft, pitch_lags(sample_rate, lowest_hz, highest_hz)
        self._keep("pitch_classes", chroma_bank(sample_rate, n_fft))

    def features(self, spectra):
        power = spectra.power(self.n_fft)
        classes = chroma(power, self.pitch_classes, self.floor)
        return classes, periodicity(power, self.lags, self.floor)


class RhythmLoss(SoundLoss):
    """Onset envelope, and its autocorrelation."""

    def __init__(
        self, sample_rate: int, n_fft: int = 2048, n_mels: int = 128, floor: float = 1e-2
    ):
        super().__init__(sample_rate, floor)
        self.n_fft = n_fft
        self._keep("mel", mel_bank(sample_rate, n_fft, n_mels))

    def features(self, spectra):
        log_mel = log_above(self.mel @ spectra.power(self.n_fft), self.floor**2)
        onsets = onset_envelope(log_mel)
        return onsets, autocorrelation(onsets, self.floor)


class TimbreLoss(SoundLoss):
    """Shape of the spectrum: centroid, (soft) roll-off, contrast of octaves."""

    def __init__(self, sample_rate: int, n_fft: int = 2048, floor: float = 1e-2):
        super().__init__(sample_rate, floor)
        self.n_fft, self.bands = n_fft, octave_bands(sample_rate, n_fft)

    def features(self, spectra):
        magnitude, floor = spectra.magnitude(self.n_fft), self.floor
        shape = centroid(magnitude, floor), roll_off(magnitude, floor)
        return *shape, contrast(magnitude, self.bands, floor)


LOSSES: dict[str, type[SoundLoss]] = {
    "waveform": WaveformLoss,
    "stft": StftLoss,
    "log_mel": LogMelLoss,
    "phase": ComplexStftLoss,
    "mfcc": MfccLoss,
    "harmonic": HarmonicLoss,
    "rhythm": RhythmLoss,
    "timbre": TimbreLoss,
}
