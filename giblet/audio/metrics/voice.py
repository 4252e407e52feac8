"""Pitch, harmonics-to-noise ratio and spectral centroid of sounds, frame by frame; their errors."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from giblet.audio.metrics.speech import SPEECH_RATE_HZ
from giblet.timing import count_samples

_LOWEST_HZ, _HIGHEST_HZ = 75.0, 600.0
_WINDOW = 960  # 60 ms at 16 kHz: 4.5 periods of the lowest pitch, as Praat takes for harmonicity
_STEP = 160  # 10 ms
_FINER = 4  # the peak of a high pitch lies between samples
_VOICED = 0.45  # Praat's threshold of voicing
_SILENT = 0.03  # of the loudest sample: Praat's threshold of silence
_OCTAVE_COST = 0.01  # of Praat: a period is a better candidate than two
_R = (0.01, 0.9999)  # -20 to 40 dB
_FEWEST_FRAMES = 10
_CENTROID_SECONDS = 0.04
_QUIET = 1e-4  # of the loudest frame's power: 40 dB


@dataclass(frozen=True)
class Voice:
    """A sound's frames of 10 ms: ``f0_hz`` (n_frames,), NaN where unvoiced, and ``hnr_db``."""

    f0_hz: np.ndarray
    hnr_db: np.ndarray


def voice_of(waveform: np.ndarray) -> Voice:
    """Pitch and harmonics-to-noise ratio of ``waveform`` (n_samples,) at 16 kHz, 75 to 600 Hz.

    The autocorrelation of a Hann-windowed frame over that of the window (Boersma 1993); its
    highest peak r, refined by a parabola, is at the period, and the ratio is 10 log10(r / (1 - r)),
    -20 to 40 dB. An end of the range that is no peak is no period: hum below 75 Hz has none. Voiced
    are frames with r above 0.45 and a sample above 0.03 of the loudest. Each
    frame has its own best period: no path through candidates is sought, as Praat does.
    """
    import librosa

    if len(waveform) < _WINDOW:
        return Voice(np.empty(0), np.empty(0))
    frames = librosa.util.frame(waveform.astype(np.float64), frame_length=_WINDOW, hop_length=_STEP)
    frames = (frames - frames.mean(axis=0)).T  # (n_frames, n_samples)
    loudness = np.abs(frames).max(axis=1)
    window = np.hanning(_WINDOW)
    rate = _FINER * SPEECH_RATE_HZ  # of the autocorrelation
    lags = np.arange(int(rate / _HIGHEST_HZ), int(rate / _LOWEST_HZ) + 2)
    own, of_window = (_autocorrelation(x, lags[-1] + 2) for x in (frames * window, window[None]))
    r = own / np.maximum(own[:, :1], 1e-20) / (of_window / of_window[:, :1])
    cost = _OCTAVE_COST * np.log2(_LOWEST_HZ * lags / rate)
    is_peak = (r[:, lags] >= r[:, lags - 1]) & (r[:, lags] >= r[:, lags + 1])
    best = lags[np.where(is_peak, r[:, lags] - cost, -np.inf).argmax(axis=1)]
    before, peak, after = (np.take_along_axis(r, best[:, None] + k, 1)[:, 0] for k in (-1, 0, 1))
    curve = np.minimum(before - 2 * peak + after, -1e-12)
    shift = np.clip((before - after) / (2 * curve), -0.5, 0.5)
    height = np.where(is_peak.any(axis=1), peak - (before - after) * shift / 4, 0.0).clip(*_R)
    voiced = (height > _VOICED) & (loudness > _SILENT * loudness.max())
    f0_hz = np.where(voiced, rate / (best + shift), np.nan)
    return Voice(f0_hz, 10 * np.log10(height / (1 - height)))


def _autocorrelation(frames: np.ndarray, n_lags: int) -> np.ndarray:
    """(n_frames, n_samples) → (n_frames, n_lags), at ``_FINER`` lags a sample."""
    n_samples = 2 * frames.shape[1]
    spectrum = np.fft.rfft(frames, n_samples, axis=1)
    return (spectrum.real**2 + spectrum.imag**2) @ _cosines(n_samples, n_lags)


@cache
def _cosines(n_samples: int, n_lags: int) -> np.ndarray:
    """Inverse Fourier transform of powers (1 + n_samples // 2,) at the first lags alone.

    They are an eighth of the lags, and a matrix product takes a third of a whole transform's time.
    """
    rates = np.arange(1 + n_samples // 2)
    n_all = _FINER * n_samples
    waves = np.cos(2 * np.pi / n_all * (np.outer(rates, np.arange(n_lags)) % n_all))
    return waves * (np.where(rates == 0, 1.0, 2.0)[:, None] / n_all)


def f0_error_cents(reference: Voice, estimate: Voice) -> float:
    """Median difference of pitch, cents (a semitone is 100), over frames that are voiced in both.

    NaN where these are fewer than ten.

    >>> tone, fifth = (Voice(np.full(20, f), np.zeros(20)) for f in (200.0, 300.0))
    >>> round(f0_error_cents(tone, fifth))
    702
    """
    both = np.isfinite(reference.f0_hz) & np.isfinite(estimate.f0_hz)
    if both.sum() < _FEWEST_FRAMES:
        return np.nan
    cents = 1200 * np.log2(estimate.f0_hz[both] / reference.f0_hz[both])
    return float(np.median(np.abs(cents)))


def hnr_error_db(reference: Voice, estimate: Voice) -> float:
    """Mean absolute difference of harmonics-to-noise ratios (dB), over the reference's voiced
    frames. NaN where these are fewer than ten."""
    voiced = np.isfinite(reference.f0_hz)
    if voiced.sum() < _FEWEST_FRAMES:
        return np.nan
    return float(np.abs(estimate.hnr_db - reference.hnr_db)[voiced].mean())


def centroids_hz(waveform: np.ndarray, sample_rate: float) -> np.ndarray:
    """Spectral centroid of frames of 40 ms, every 20 ms: (n_frames,) Hz, NaN where quiet.

    The mean frequency of the spectrum, weighted by magnitude (librosa). Quiet are frames 40 dB
    below the loudest.
    """
    import librosa

    n_fft = count_samples(_CENTROID_SECONDS, sample_rate)
    spectrum = np.abs(librosa.stft(waveform, n_fft=n_fft, hop_length=n_fft // 2))
    power = (spectrum**2).sum(axis=0)
    centroid = librosa.feature.spectral_centroid(S=spectrum, sr=sample_rate, n_fft=n_fft)[0]
    return np.where(power > _QUIET * power.max(), centroid, np.nan)


def centroid_error_octaves(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Mean absolute difference of two `centroids_hz` (n_frames,), octaves, where neither is quiet.

    NaN where these are fewer than ten.

    >>> centroid_error_octaves(np.full(10, 500.0), np.full(10, 1000.0))
    1.0
    """
    both = np.isfinite(reference) & np.isfinite(estimate)
    if both.sum() < _FEWEST_FRAMES:
        return np.nan
    return float(np.abs(np.log2(estimate[both] / reference[both])).mean())
