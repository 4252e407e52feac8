"""What music is made of, few numbers a frame: harmony, rhythm, timbre, for a decoder to know."""

import torch
from torch import nn
from torch.nn import functional

from giblet.codec import features
from giblet.codec.interface import to_whole

N_CHROMA = 12


class MusicFeatures(nn.Module):
    """Sound (batch, 1, n_samples) to features (batch, ceil(n_samples / hop_length), n_features).

    Per frame, from ``n_steps`` = hop_length / (n_fft / 4) spectra: the share of each of 12 pitch
    classes; the rise of the log-mel spectrum into each step; centroid, roll-off and the contrast
    of each octave band. Each feature is standardised by ``start``.

    Raises ValueError if ``hop_length`` is no multiple of ``n_fft / 4``.
    """

    def __init__(
        self, sample_rate: int, n_fft: int, hop_length: int, n_mels: int = 40, floor: float = 1e-3
    ):
        super().__init__()
        if hop_length % (n_fft // 4):
            raise ValueError(f"hop_length {hop_length} must be a multiple of {n_fft // 4}")
        self.n_fft, self.hop_length, self.floor = n_fft, hop_length, floor
        self.n_steps = hop_length // (n_fft // 4)
        self.bands = features.octave_bands(sample_rate, n_fft)
        self.register_buffer("mel", features.mel_bank(sample_rate, n_fft, n_mels), persistent=False)
        self.register_buffer("chroma", features.chroma_bank(sample_rate, n_fft), persistent=False)
        self.n_features = N_CHROMA + self.n_steps + 2 + len(self.bands)
        self.register_buffer("mean", torch.zeros(self.n_features))
        self.register_buffer("std", torch.ones(self.n_features))

    def start(self, waveform: torch.Tensor) -> None:
        """Standardise by the features of ``waveform`` (batch, 1, n_samples)."""
        found = self._measure(waveform).flatten(0, 1)
        self.mean.copy_(found.mean(dim=0))
        self.std.copy_(found.std(dim=0).clamp(min=1e-3))

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        return (self._measure(waveform) - self.mean) / self.std

    @torch.no_grad()
    def _measure(self, waveform: torch.Tensor) -> torch.Tensor:
        n_frames = -(-waveform.shape[-1] // self.hop_length)
        whole = to_whole(waveform[:, 0].float(), self.hop_length)
        whole = functional.pad(whole, (0, max(0, self.n_fft - whole.shape[-1])))  # one spectrum
        magnitude = features.Spectra(whole).magnitude(self.n_fft)
        parts = [self._by_frame(part, n_frames) for part in self._parts(magnitude)]
        harmony, rhythm, *timbre = parts
        means = [part.mean(dim=-1) for part in (harmony, *timbre)]  # (batch, n, n_frames)
        return torch.cat([*means, rhythm[:, 0].transpose(1, 2)], dim=1).transpose(1, 2)

    def _parts(self, magnitude: torch.Tensor) -> list[torch.Tensor]:
        """Harmony, rhythm, and the three of timbre, each (batch, n, n_spectra - 1)."""
        now, floor = magnitude[..., 1:], self.floor
        log_mel = features.log_above(self.mel @ magnitude, floor)
        return [
            features.chroma(now.square(), self.chroma, floor),
            features.onset_envelope(log_mel)[:, None],
            features.centroid(now, floor)[:, None],
            features.roll_off(now, floor)[:, None],
            features.contrast(now, self.bands, floor),
        ]

    def _by_frame(self, part: torch.Tensor, n_frames: int) -> torch.Tensor:
        """(batch, n, n_spectra) to (batch, n, n_frames, n_steps)."""
        return part[..., : n_frames * self.n_steps].unflatten(-1, (n_frames, self.n_steps))
