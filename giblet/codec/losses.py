"""What a codec is trained to keep: spectral magnitude, phase, waveform."""

import librosa
import torch
from torch import nn
from torch.nn import functional


class MultiScaleSpectralLoss(nn.Module):
    """Distance of two waveforms over several STFT resolutions.

    Two terms, each near 1 for silence against sound:

    - ``log_mel``: mean absolute difference of log10 mel magnitudes (DAC, Kumar et al. 2023);
    - ``phase``: ``|X - Y|`` relative to ``|X|`` on the complex STFT. Magnitudes alone leave
      the phase free, and the waveform then correlates with nothing.
    """

    def __init__(
        self,
        sample_rate: int,
        n_ffts: tuple[int, ...] = (128, 512, 2048),
        n_mels: tuple[int, ...] = (20, 64, 128),
    ):
        super().__init__()
        self.n_ffts = n_ffts
        for n_fft, n in zip(n_ffts, n_mels, strict=True):
            mel = librosa.filters.mel(sr=sample_rate, n_fft=n_fft, n_mels=n, norm=None)
            self.register_buffer(f"mel_{n_fft}", torch.from_numpy(mel), persistent=False)
            self.register_buffer(f"window_{n_fft}", torch.hann_window(n_fft), persistent=False)

    def _spectrum(self, waveform: torch.Tensor, n_fft: int) -> torch.Tensor:
        window = getattr(self, f"window_{n_fft}")
        return torch.stft(waveform, n_fft, n_fft // 4, window=window, return_complex=True)

    def forward(self, estimate: torch.Tensor, target: torch.Tensor) -> dict[str, torch.Tensor]:
        """Both waveforms (batch, n_samples); each term a scalar."""
        log_mel, phase = [], []
        for n_fft in self.n_ffts:
            mel = getattr(self, f"mel_{n_fft}")
            spectra = [self._spectrum(w, n_fft) for w in (estimate, target)]
            logs = [torch.log10((mel @ s.abs()).clamp(min=1e-2)) for s in spectra]
            log_mel.append(functional.l1_loss(*logs))
            difference = (spectra[0] - spectra[1]).abs().mean(dim=(1, 2))
            scale = spectra[1].abs().mean(dim=(1, 2)).clamp(min=1e-2)
            phase.append((difference / scale).mean())
        return {"log_mel": torch.stack(log_mel).mean(), "phase": torch.stack(phase).mean()}
