"""Losses of codec training: waveform, magnitude, phase, cepstrum, pitch, rhythm, timbre.

Each loss is 0 for equal sounds and near 1 for silence instead of sound, so that weights mean
something, and none can be satisfied by the right loudness alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from giblet.audio import spectral_features as features
from giblet.audio.codecs.mdct import compand, mdct
from giblet.audio.spectral_features import Spectra
from giblet.codec_training.network import to_whole
from giblet.codec_training.registry import build_part
from giblet.errors import GibletError
from giblet.loss_weighting.balancer import check_weight

N_FFTS = (128, 512, 2048)


def _spectra(estimate: torch.Tensor, target: torch.Tensor) -> tuple[Spectra, Spectra]:
    if estimate.shape != target.shape:
        raise ValueError(
            f"estimate {tuple(estimate.shape)} and target {tuple(target.shape)} differ"
        )
    return Spectra(estimate), Spectra(target)


class SoundLoss(nn.Module, ABC):
    """Relative distance of features, mean over them; ``floor`` is where silence begins.

    ``compare`` takes spectra so that several losses share them.
    """

    def __init__(self, sample_rate: int, floor: float = 1e-2):
        super().__init__()
        self.sample_rate, self.floor = sample_rate, floor

    def _keep(self, name: str, constant: torch.Tensor) -> None:
        self.register_buffer(name, constant, persistent=False)

    @abstractmethod
    def describe(self, spectra: Spectra) -> tuple[torch.Tensor, ...]:
        """The features of a sound that this loss compares."""

    def compare(self, estimate: Spectra, target: Spectra) -> torch.Tensor:
        pairs = zip(self.describe(estimate), self.describe(target), strict=True)
        return torch.stack([self.distance(e, t) for e, t in pairs]).mean()

    def distance(self, estimate: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return features.relative_distance(estimate, target, self.floor)

    def forward(self, estimate: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Both waveforms (batch, n_samples); a scalar, in single precision under autocast too."""
        with torch.autocast(estimate.device.type, enabled=False):
            return self.compare(*_spectra(estimate, target))


class WaveformLoss(SoundLoss):
    """L1 of the samples."""

    def __init__(self, sample_rate: int, floor: float = 1e-3):
        super().__init__(sample_rate, floor)

    def describe(self, spectra):
        return (spectra.waveform,)


class ComplexStftLoss(SoundLoss):
    """``|X - Y|`` relative to ``|X|`` on complex STFTs: magnitudes alone leave the phase free."""

    def __init__(self, sample_rate: int, n_ffts: Sequence[int] = N_FFTS, floor: float = 1e-2):
        super().__init__(sample_rate, floor)
        self.n_ffts = n_ffts

    def describe(self, spectra):
        return tuple(spectra.stft(n_fft) for n_fft in self.n_ffts)


class CompandedLoss(SoundLoss):
    """Squared error of companded MDCT coefficients relative to their power.

    The ``mdct`` decoder's levels are squares of what its layers give. So near silence its output
    hardly moves, and ``phase`` pulls little at a tone that it leaves out; this loss pulls fully.
    """

    def __init__(
        self, sample_rate: int, hop_length: int = 320, power: float = 0.5, floor: float = 1e-2
    ):
        super().__init__(sample_rate, floor)
        self.hop_length, self.power = hop_length, power

    def describe(self, spectra):
        whole = to_whole(spectra.waveform, self.hop_length)
        return (compand(mdct(whole, self.hop_length), self.power),)

    def distance(self, estimate, target):
        power = target.square().mean(dim=(1, 2)).clamp(min=self.floor**2)
        return ((estimate - target).square().mean(dim=(1, 2)) / power).mean()


class StftLoss(SoundLoss):
    """Spectral convergence and log10 magnitude, mean of both (Yamamoto et al. 2020).

    Resolutions are those of the other losses, whose STFTs it shares.
    """

    def __init__(self, sample_rate: int, n_ffts: Sequence[int] = N_FFTS, floor: float = 1e-2):
        super().__init__(sample_rate, floor)
        self.n_ffts = n_ffts

    def describe(self, spectra):
        return tuple(spectra.magnitude(n_fft) for n_fft in self.n_ffts)

    def distance(self, estimate, target):
        silence = self.floor * target[0].numel() ** 0.5  # the norm where all is at the floor
        norm = torch.linalg.vector_norm(target, dim=(1, 2)).clamp(min=silence)
        convergence = torch.linalg.vector_norm(estimate - target, dim=(1, 2)) / norm
        logs = [features.log_above(x, self.floor) for x in (estimate, target)]
        return (convergence.mean() + (logs[0] - logs[1]).abs().mean()) / 2


class LogMelLoss(SoundLoss):
    """Mean absolute difference of log10 mel magnitudes (DAC, Kumar et al. 2023)."""

    def __init__(
        self,
        sample_rate: int,
        n_ffts: Sequence[int] = N_FFTS,
        n_mels: Sequence[int] = (20, 64, 128),
        floor: float = 1e-2,
    ):
        super().__init__(sample_rate, floor)
        if len(n_ffts) != len(n_mels):
            raise GibletError(
                f"log_mel: {len(n_ffts)} n_ffts need as many n_mels, not {len(n_mels)}"
            )
        self.n_ffts = n_ffts
        for n_fft, n in zip(n_ffts, n_mels, strict=True):
            self._keep(f"mel_{n_fft}", features.mel_bank(sample_rate, n_fft, n))

    def describe(self, spectra):
        mels = [getattr(self, f"mel_{n}") @ spectra.magnitude(n) for n in self.n_ffts]
        return tuple(features.log_above(mel, self.floor) for mel in mels)

    def distance(self, estimate, target):
        return (estimate - target).abs().mean()


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
        self._keep("mel", features.mel_bank(sample_rate, n_fft, n_mels))
        self._keep("dct", features.dct_bank(n_mfcc, n_mels))

    def describe(self, spectra):
        return (self.dct @ features.log_above(self.mel @ spectra.power(self.n_fft), self.floor**2),)


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
        self.n_fft, self.lags = n_fft, features.pitch_lags(sample_rate, lowest_hz, highest_hz)
        self._keep("pitch_classes", features.chroma_bank(sample_rate, n_fft))

    def describe(self, spectra):
        power = spectra.power(self.n_fft)
        classes = features.chroma(power, self.pitch_classes, self.floor)
        return classes, features.periodicity(power, self.lags, self.floor)


class RhythmLoss(SoundLoss):
    """Onset envelope, and its autocorrelation."""

    def __init__(self, sample_rate: int, n_fft: int = 2048, n_mels: int = 128, floor: float = 1e-2):
        super().__init__(sample_rate, floor)
        self.n_fft = n_fft
        self._keep("mel", features.mel_bank(sample_rate, n_fft, n_mels))

    def describe(self, spectra):
        log_mel = features.log_above(self.mel @ spectra.power(self.n_fft), self.floor**2)
        onsets = features.onset_envelope(log_mel)
        return onsets, features.autocorrelation(onsets, self.floor)


class TimbreLoss(SoundLoss):
    """Shape of the spectrum: centroid, (soft) roll-off, contrast of octaves."""

    def __init__(self, sample_rate: int, n_fft: int = 2048, floor: float = 1e-2):
        super().__init__(sample_rate, floor)
        self.n_fft, self.bands = n_fft, features.octave_bands(sample_rate, n_fft)

    def describe(self, spectra):
        magnitude, floor = spectra.magnitude(self.n_fft), self.floor
        shape = features.centroid(magnitude, floor), features.roll_off(magnitude, floor)
        return *shape, features.contrast(magnitude, self.bands, floor)


LOSSES: dict[str, type[SoundLoss]] = {
    "waveform": WaveformLoss,
    "stft": StftLoss,
    "log_mel": LogMelLoss,
    "phase": ComplexStftLoss,
    "companded": CompandedLoss,
    "mfcc": MfccLoss,
    "harmonic": HarmonicLoss,
    "rhythm": RhythmLoss,
    "timbre": TimbreLoss,
}


class WeightedLosses(nn.Module):
    """Losses by their names in ``LOSSES``, computed on shared spectra, and their weighted sum.

    Parameters
    ----------
    weights : name -> weight, or name -> {"weight": weight, and parameters of that loss}
        A loss of weight 0 is left out.

    Raises GibletError for a name or parameter that is not there, and for a wrong weight.
    """

    def __init__(self, weights: Mapping[str, float | Mapping], sample_rate: int):
        super().__init__()
        self.weights: dict[str, float] = {}
        self.losses = nn.ModuleDict()
        for name, given in weights.items():
            parameters = dict(given) if isinstance(given, Mapping) else {"weight": given}
            weight = check_weight(f"losses.{name}", parameters.pop("weight", None))
            loss = build_part("losses", name, LOSSES, parameters, sample_rate=sample_rate)
            if weight:
                self.weights[name], self.losses[name] = weight, loss
        if not self.weights:
            raise GibletError("losses: none has a weight above 0, so nothing would be learned")

    def forward(
        self, estimate: torch.Tensor, target: torch.Tensor
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Both waveforms (batch, n_samples); each loss by name, and their weighted sum."""
        with torch.autocast(estimate.device.type, enabled=False):
            spectra = _spectra(estimate, target)
            values = {name: loss.compare(*spectra) for name, loss in self.losses.items()}
        return values, sum(self.weights[name] * value for name, value in values.items())
