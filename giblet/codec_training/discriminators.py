"""Discriminators of coded and original sound, and the adversarial losses.

A discriminator takes waveforms (batch, n_samples) and returns the score map of each of its
sub-networks (high for original sound) and the feature maps of their layers.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from giblet.audio.spectral_features import Spectra
from giblet.codec_training.recipe import DiscriminatorSettings
from giblet.codec_training.registry import build_part
from giblet.errors import GibletError

Outputs = tuple[list[torch.Tensor], list[list[torch.Tensor]]]  # score maps, features of each


class _SubDiscriminator(nn.Module):
    """Convolutions with weight norm and leaky ReLUs between them; the last gives the scores."""

    def __init__(self, layers: Sequence[nn.Module], slope: float):
        super().__init__()
        self.layers = nn.ModuleList(weight_norm(layer) for layer in layers)
        self.slope = slope

    def forward(self, signal: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        features = []
        for layer in self.layers[:-1]:
            signal = functional.leaky_relu(layer(signal), self.slope)
            features.append(signal)
        return self.layers[-1](signal), features


class _Discriminator(nn.Module, ABC):
    """One sub-discriminator for each view of the sound."""

    def __init__(self, judges: Sequence[_SubDiscriminator]):
        super().__init__()
        self.judges = nn.ModuleList(judges)

    @abstractmethod
    def views(self, waveform: torch.Tensor) -> list[torch.Tensor]:
        """The input of each sub-discriminator from waveforms (batch, n_samples)."""

    def forward(self, waveform: torch.Tensor) -> Outputs:
        """Of waveforms (batch, n_samples)."""
        views = zip(self.judges, self.views(waveform), strict=True)
        scores, features = zip(*(part(view) for part, view in views), strict=True)
        return list(scores), list(features)


class ScaleDiscriminator(_Discriminator):
    """The waveform, and itself averaged to 1/2, 1/4, … of its rate (MelGAN, Kumar et al. 2019).

    ``width`` is the number of channels of the first layer, 16 in the paper; the last have 64 times
    as many.
    """

    def __init__(self, n_scales: int = 3, width: int = 16):
        super().__init__(
            [_SubDiscriminator(self._layers(width), slope=0.2) for _ in range(n_scales)]
        )

    @staticmethod
    def _layers(width: int) -> list[nn.Module]:
        widths = [width * 4**i for i in range(4)] + [width * 64]
        down = [
            nn.Conv1d(a, b, 41, stride=4, padding=20, groups=max(1, a // 4))
            for a, b in pairwise(widths)
        ]
        last = [nn.Conv1d(widths[-1], n, k, padding=k // 2) for n, k in ((widths[-1], 5), (1, 3))]
        return [nn.Conv1d(1, width, 15, padding=7), *down, *last]

    def views(self, waveform):
        views = [waveform[:, None]]
        while len(views) < len(self.judges):
            views.append(functional.avg_pool1d(views[-1], 4, 2, 1, count_include_pad=False))
        return views


class PeriodDiscriminator(_Discriminator):
    """Every 2nd, 3rd, 5th, … sample: periods as columns of an image (HiFi-GAN, Kong et al. 2020).

    ``width`` is the number of channels of the first layer, 32 in the paper; the last have 32 times
    as many.
    """

    def __init__(self, periods: Sequence[int] = (2, 3, 5, 7, 11), width: int = 32):
        super().__init__([_SubDiscriminator(self._layers(width), slope=0.1) for _ in periods])
        self.periods = tuple(periods)

    @staticmethod
    def _layers(width: int) -> list[nn.Module]:
        widths = [1, width, 4 * width, 16 * width, 32 * width]
        down = [nn.Conv2d(a, b, (5, 1), (3, 1), padding=(2, 0)) for a, b in pairwise(widths)]
        level = nn.Conv2d(widths[-1], widths[-1], (5, 1), padding=(2, 0))
        return [*down, level, nn.Conv2d(widths[-1], 1, (3, 1), padding=(1, 0))]

    def views(self, waveform):
        padded = [
            functional.pad(waveform[:, None], (0, -waveform.shape[-1] % p), "reflect")
            for p in self.periods
        ]
        # (batch, 1, n_rows, period)
        return [w.unflatten(-1, (-1, p)) for w, p in zip(padded, self.periods, strict=True)]


class StftDiscriminator(_Discriminator):
    """Real and imaginary parts of STFTs of several sizes (EnCodec, Défossez et al. 2022).

    ``width`` is the number of channels of every layer, 32 in the paper, which has sizes of 2048 to
    128 in steps of an octave.
    """

    def __init__(self, n_ffts: Sequence[int] = (2048, 1024, 512), width: int = 32):
        super().__init__([_SubDiscriminator(self._layers(width), slope=0.2) for _ in n_ffts])
        self.n_ffts = tuple(n_ffts)

    @staticmethod
    def _layers(width: int) -> list[nn.Module]:
        dilated = [
            nn.Conv2d(width, width, (3, 9), (1, 2), padding=(d, 4), dilation=(d, 1))
            for d in (1, 2, 4)  # further apart in time, every second frequency
        ]
        last = [nn.Conv2d(width, n, 3, padding=1) for n in (width, 1)]
        return [nn.Conv2d(2, width, (3, 9), padding=(1, 4)), *dilated, *last]

    def views(self, waveform):
        spectra = Spectra(waveform)
        images = [torch.view_as_real(spectra.stft(n_fft)) for n_fft in self.n_ffts]
        # (batch, n_bins, n_frames, 2) → (batch, 2, n_frames, n_bins), relative to the window's norm
        norms = [torch.hann_window(n_fft).norm() for n_fft in self.n_ffts]
        return [i.permute(0, 3, 2, 1) / float(n) for i, n in zip(images, norms, strict=True)]


class HybridDiscriminator(nn.Module):
    """All sub-discriminators of several discriminators.

    ``parts`` maps names in ``DISCRIMINATORS`` to their parameters, as a config has them. Raises
    GibletError for a name or parameter that is not there.
    """

    def __init__(self, parts: Mapping[str, Mapping] | None = None):
        super().__init__()
        parts = {"scale": {}, "period": {}, "stft": {}} if parts is None else parts
        if not parts:
            raise GibletError("hybrid: name at least one discriminator")
        self.parts = nn.ModuleList(
            build_part("discriminators", name, DISCRIMINATORS, parameters)
            for name, parameters in parts.items()
        )

    def forward(self, waveform: torch.Tensor) -> Outputs:
        """Of waveforms (batch, n_samples)."""
        outputs = [part(waveform) for part in self.parts]
        return [s for scores, _ in outputs for s in scores], [f for _, fs in outputs for f in fs]


DISCRIMINATORS: dict[str, type[nn.Module]] = {
    "scale": ScaleDiscriminator,
    "period": PeriodDiscriminator,
    "stft": StftDiscriminator,
    "hybrid": HybridDiscriminator,
}


def _mean(terms: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.stack(list(terms)).mean()


class HingeLoss:
    """Scores beyond 1 and -1 are good enough (EnCodec's equations)."""

    def discriminator(self, real: Sequence[torch.Tensor], fake: Sequence[torch.Tensor]):
        """Scores of original and of coded sound → scalar, a mean over parts; 2 at chance."""
        return _mean(
            [(1 - r).relu().mean() + (1 + f).relu().mean() for r, f in zip(real, fake, strict=True)]
        )

    def generator(self, fake: Sequence[torch.Tensor]):
        """Scores of coded sound → scalar; 0 if all are scored as originals."""
        return _mean([(1 - f).relu().mean() for f in fake])


class LeastSquaresLoss:
    """Scores are to be 1 for originals and 0 for coded sound (Mao et al. 2017)."""

    def discriminator(self, real: Sequence[torch.Tensor], fake: Sequence[torch.Tensor]):
        """Scores of original and of coded sound → scalar, a mean over parts; 1/2 at chance."""
        return _mean(
            [(1 - r).square().mean() + f.square().mean() for r, f in zip(real, fake, strict=True)]
        )

    def generator(self, fake: Sequence[torch.Tensor]):
        """Scores of coded sound → scalar; 0 if all are scored as originals."""
        return _mean([(1 - f).square().mean() for f in fake])


ADVERSARIAL = {"hinge": HingeLoss, "least_squares": LeastSquaresLoss}


def feature_matching(
    real: Sequence[Sequence[torch.Tensor]], fake: Sequence[Sequence[torch.Tensor]]
) -> torch.Tensor:
    """Mean over parts and layers of ``|real - fake|`` relative to ``|real|`` (EnCodec).

    Feature maps of the original, which get no gradient, and of the coded sound; a scalar.
    """
    pairs = [
        (r.detach(), f)
        for rs, fs in zip(real, fake, strict=True)
        for r, f in zip(rs, fs, strict=True)
    ]
    return _mean([(r - f).abs().mean() / r.abs().mean().clamp(min=1e-6) for r, f in pairs])


class AdversarialLosses(torch.nn.Module):
    """A discriminator with its own loss and the losses that it gives the codec."""

    def __init__(self, settings: DiscriminatorSettings):
        super().__init__()
        self.settings, self.loss = settings, ADVERSARIAL[settings.loss]()
        self.discriminator = build_part(
            "discriminators", settings.kind, DISCRIMINATORS, settings.parameters
        )

    def codec_losses(self, estimate: torch.Tensor, target: torch.Tensor) -> dict[str, torch.Tensor]:
        """The codec's losses; the discriminator gets no gradient from them."""
        with torch.no_grad():
            _, real = self.discriminator(target)
        self.discriminator.requires_grad_(False)
        scores, fake = self.discriminator(estimate)
        self.discriminator.requires_grad_(True)
        return {
            "adversarial": self.loss.generator(scores),
            "features": feature_matching(real, fake),
        }

    def discriminator_loss(self, estimate: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The discriminator's own loss."""
        real, fake = self.discriminator(target)[0], self.discriminator(estimate.detach())[0]
        return self.loss.discriminator(real, fake)
