"""How far one sound is from another: single numbers, of one stretch of sound."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from giblet.audio.speech import SPEECH_RATE_HZ
from giblet.timing import count_samples

_STOI_SECONDS = 0.4  # STOI compares stretches of 30 frames: 0.397 s
_MEL_WINDOW_SECONDS = 0.04
_MEL_STEP_SECONDS = 0.01


def stoi(reference: np.ndarray, estimate: np.ndarray, sample_rate: float, extended: bool) -> float:
    """(Extended) STOI by ``pystoi``, at most 1; NaN where there is too little sound for it."""
    import pystoi

    if len(reference) < count_samples(_STOI_SECONDS, sample_rate):
        return np.nan
    with warnings.catch_warnings(), _numpy_random_kept():
        warnings.filterwarnings("error", message="Not enough STFT frames")
        try:
            return float(pystoi.stoi(reference, estimate, sample_rate, extended=extended))
        except RuntimeWarning:
            return np.nan


@contextmanager
def _numpy_random_kept() -> Iterator[None]:
    """``pystoi`` draws from NumPy's global generator: the same numbers each time, and undone."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


def si_sdr_db(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Scale-invariant signal-to-distortion ratio (dB) by ``torchmetrics``, means removed."""
    import torch
    from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio

    pair = [torch.from_numpy(s.astype(np.float64)) for s in (estimate, reference)]
    return float(scale_invariant_signal_distortion_ratio(*pair, zero_mean=True))


def _mel_power(waveform: np.ndarray, sample_rate: float) -> np.ndarray:
    """Power in 80 Slaney mel bands from 0 Hz to half the sample rate, shape (80, n_frames)."""
    import librosa

    return librosa.feature.melspectrogram(
        y=waveform,
        sr=sample_rate,
        n_fft=count_samples(_MEL_WINDOW_SECONDS, sample_rate),
        hop_length=count_samples(_MEL_STEP_SECONDS, sample_rate),
        n_mels=80,
        power=2.0,
    )


def log_mel_floor(reference: np.ndarray, sample_rate: float) -> float:
    """Power 80 dB below the loudest mel band and moment of ``reference`` (n_samples,)."""
    return float(_mel_power(reference, sample_rate).max()) * 1e-8


def log_mel_distance_db(
    reference: np.ndarray, estimate: np.ndarray, sample_rate: float, floor: float
) -> float:
    """Mean absolute difference (dB) of log-mel spectrograms, all bands and frames alike.

    80 bands up to half the sample rate, Hann windows of 40 ms every 10 ms; power below ``floor``
    counts as ``floor``, so inaudible differences do not count. ``score_sound`` takes the
    floor from the whole reference. NaN where ``floor`` is 0: the whole reference is silent.
    """
    if floor <= 0:
        return np.nan
    levels = [
        10 * np.log10(np.maximum(_mel_power(s, sample_rate), floor)) for s in (reference, estimate)
    ]
    return float(np.mean(np.abs(levels[0] - levels[1])))


def envelope_lag_ms(reference: np.ndarray, estimate: np.ndarray) -> float:
    """By how many ms ``estimate`` comes later than ``reference``; both (n_samples,) at 16 kHz.

    The lag, up to half the sound either way, at which the envelopes' cross-correlation, summed over
    bands, is highest. Envelopes: square roots of the amplitudes of 20 mel bands (100 to 7000 Hz),
    20 ms Hann windows every 1 ms, means removed. Phase plays no part. Between two sounds that have
    nothing to do with each other the lag is a matter of chance: hundreds of ms. NaN where
    an envelope never changes.
    """
    from scipy.signal import correlate

    first, second = _envelopes(reference), _envelopes(estimate)  # (20, n_ms)
    if not (first.any() and second.any()):
        return np.nan
    n_ms = first.shape[1]
    correlation = sum(correlate(e, r, method="fft") for r, e in zip(first, second, strict=True))
    lags_ms = np.arange(1 - n_ms, n_ms)
    near = np.abs(lags_ms) <= n_ms // 2
    return float(lags_ms[near][correlation[near].argmax()])


def _envelopes(waveform: np.ndarray) -> np.ndarray:
    import librosa

    amplitude = librosa.feature.melspectrogram(
        y=waveform,
        sr=SPEECH_RATE_HZ,
        n_fft=512,
        win_length=320,
        hop_length=16,
        n_mels=20,
        fmin=100,
        fmax=7000,
        power=1.0,
    )
    envelope = np.sqrt(amplitude)
    return envelope - envelope.mean(axis=1, keepdims=True)
