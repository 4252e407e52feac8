"""Features of music, a few frames a second: harmony, rhythm and timbre."""

from functools import lru_cache

import torch
from torch import nn
from torch.nn import functional

from giblet.audio import spectral_features as features

N_CHROMA = 12
_N_MELS = 40


class MusicFeatures(nn.Module):
    """Sound (batch, 1, n_samples) to features (batch, ceil(n_samples / hop_length), n_features).

    Per frame, from ``n_steps`` = hop_length / (n_fft / 4) spectra: the share of each of 12 pitch
    classes; the rise of the log-mel spectrum into each step; centroid, roll-off and the contrast
    of each octave band. Each feature is standardised by ``start``.

    Raises ValueError if ``hop_length`` is no multiple of ``n_fft / 4``.
    """

    def __init__(self, sample_rate: int, n_fft: int, hop_length: int, floor: float = 1e-3):
        super().__init__()
        if hop_length % (n_fft // 4):
            raise ValueError(f"hop_length {hop_length} must be a multiple of {n_fft // 4}")
        self.sample_rate, self.n_fft, self.hop_length = sample_rate, n_fft, hop_length
        self.floor, self.n_steps = floor, hop_length // (n_fft // 4)
        self.bands = features.octave_bands(sample_rate, n_fft)
        self.n_features = N_CHROMA + self.n_steps + 2 + len(self.bands)
        self.register_buffer("mean", torch.zeros(self.n_features))
        self.register_buffer("std", torch.ones(self.n_features))

    @property
    def reach(self) -> int:
        """Samples to either side of a frame that its features depend on."""
        return self.n_fft // 2 + self.n_fft // 4

    def start(self, waveform: torch.Tensor) -> None:
        """Standardise by the features of ``waveform`` (batch, 1, n_samples)."""
        frames = self._measure(waveform).flatten(0, 1)
        self.mean.copy_(frames.mean(dim=0))
        self.std.copy_(frames.std(dim=0).clamp(min=1e-3))

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        return (self._measure(waveform).to(self.mean.dtype) - self.mean) / self.std

    @torch.no_grad()
    def _measure(self, waveform: torch.Tensor) -> torch.Tensor:
        n_frames = -(-waveform.shape[-1] // self.hop_length)
        whole = waveform[:, 0].float()
        whole = functional.pad(whole, (0, -whole.shape[-1] % self.hop_length))
        whole = functional.pad(whole, (0, max(0, self.n_fft - whole.shape[-1])))  # one spectrum
        magnitude = features.Spectra(whole).magnitude(self.n_fft)
        parts = [self._by_frame(part, n_frames) for part in self._parts(magnitude)]
        harmony, rhythm, *timbre = parts
        means = [part.mean(dim=-1) for part in (harmony, *timbre)]  # (batch, n, n_frames)
        return torch.cat([*means, rhythm[:, 0].transpose(1, 2)], dim=1).transpose(1, 2)

    def _parts(self, magnitude: torch.Tensor) -> list[torch.Tensor]:
        """Harmony, rhythm, and the three of timbre, each (batch, n, n_spectra - 1)."""
        now, floor = magnitude[..., 1:], self.floor
        mel, chroma = (bank.to(now.device) for bank in _banks(self.sample_rate, self.n_fft))
        log_mel = features.log_above(mel @ magnitude, floor)
        return [
            features.chroma(now.square(), chroma, floor),
            features.onset_envelope(log_mel)[:, None],
            features.centroid(now, floor)[:, None],
            features.roll_off(now, floor)[:, None],
            features.contrast(now, self.bands, floor),
        ]

    def _by_frame(self, part: torch.Tensor, n_frames: int) -> torch.Tensor:
        """(batch, n, n_spectra) to (batch, n, n_frames, n_steps)."""
        return part[..., : n_frames * self.n_steps].unflatten(-1, (n_frames, self.n_steps))


@lru_cache(maxsize=4)
@torch.inference_mode(False)
def _banks(sample_rate: int, n_fft: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Filters of mel bands and of pitch classes; not buffers, which loaded models would lack."""
    mel = features.mel_bank(sample_rate, n_fft, _N_MELS)
    return mel, features.chroma_bank(sample_rate, n_fft)
