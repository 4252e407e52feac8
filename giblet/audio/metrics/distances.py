"""Distances of two sounds, or of their codes: single numbers, of one stretch of time."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import numpy as np

from giblet.audio.metrics.speech import SPEECH_RATE_HZ
from giblet.io.validation import check_codes
from giblet.timing import count_samples

STOI_RATE_HZ = 10000

_PYSTOI = Lock()  # held by the thread that runs it: it uses NumPy's and Python's global state
_STOI_SECONDS = 0.4  # STOI compares stretches of 30 frames: 0.397 s
_MEL_WINDOW_SECONDS = 0.04
_MEL_STEP_SECONDS = 0.01
_FRAMES_PER_BLOCK = 3000  # 30 s


def stoi(reference: np.ndarray, estimate: np.ndarray, sample_rate: float, extended: bool) -> float:
    """(Extended) STOI by ``pystoi``, at most 1; NaN where there is too little sound for it."""
    import pystoi

    if len(reference) < count_samples(_STOI_SECONDS, sample_rate):
        return np.nan
    with _PYSTOI, warnings.catch_warnings(), _numpy_random_kept():
        warnings.filterwarnings("error", message="Not enough STFT frames")
        try:
            return float(pystoi.stoi(reference, estimate, sample_rate, extended=extended))
        except RuntimeWarning:
            return np.nan


def resampled_for_stoi(waveform: np.ndarray, sample_rate: float) -> np.ndarray:
    """``waveform`` (n_samples,) at ``STOI_RATE_HZ``, by the resampler that ``pystoi`` uses.

    ``stoi`` at that rate gives the same numbers as from ``waveform`` itself, without this step.
    """
    from pystoi.utils import resample_oct

    if sample_rate == STOI_RATE_HZ:
        return waveform
    return resample_oct(waveform, STOI_RATE_HZ, sample_rate)


@contextmanager
def _numpy_random_kept() -> Iterator[None]:
    """Seeds NumPy's global generator, from which ``pystoi`` draws, and restores it afterwards."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


def si_sdr_db(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Scale-invariant signal-to-distortion ratio (dB), means removed.

    Le Roux et al. (ICASSP 2019), with the epsilon of ``torchmetrics``, so that silence and copies
    have finite values too.
    """
    epsilon = np.finfo(np.float64).eps
    pair = [sound.astype(np.float64) for sound in (reference, estimate)]
    reference, estimate = (sound - sound.mean() for sound in pair)
    gain = (estimate @ reference + epsilon) / (reference @ reference + epsilon)
    noise = gain * reference - estimate
    kept = gain**2 * (reference @ reference)
    return float(10 * np.log10((kept + epsilon) / (noise @ noise + epsilon)))


def _mel_power(waveform: np.ndarray, sample_rate: float, **options) -> np.ndarray:
    """Power in 80 Slaney mel bands from 0 Hz to half the sample rate, shape (80, n_frames)."""
    import librosa

    return librosa.feature.melspectrogram(
        y=waveform,
        sr=sample_rate,
        n_fft=count_samples(_MEL_WINDOW_SECONDS, sample_rate),
        hop_length=count_samples(_MEL_STEP_SECONDS, sample_rate),
        n_mels=80,
        power=2.0,
        **options,
    )


def log_mel_floor(reference: np.ndarray, sample_rate: float) -> float:
    """Power 80 dB below the loudest mel band and moment of ``reference`` (n_samples,).

    Computed block by block: the spectrogram of a film takes gigabytes.
    """
    window = count_samples(_MEL_WINDOW_SECONDS, sample_rate)
    step = count_samples(_MEL_STEP_SECONDS, sample_rate)
    n_frames, loudest = 1 + (len(reference) - window % 2) // step, 0.0
    for first in range(0, n_frames, _FRAMES_PER_BLOCK):
        begin = first * step - window // 2  # frames are centred
        end = begin + (_FRAMES_PER_BLOCK - 1) * step + window
        outside = (max(0, -begin), min(max(0, end - len(reference)), window // 2))
        block = np.pad(reference[max(0, begin) : end], outside)
        loudest = max(loudest, _mel_power(block, sample_rate, center=False).max())
    return float(loudest) * 1e-8


def log_mel_db(waveform: np.ndarray, sample_rate: float, floor: float) -> np.ndarray:
    """Log-mel spectrogram of ``waveform`` (n_samples,) in dB, shape (80, n_frames).

    80 bands up to half the sample rate, Hann windows of 40 ms every 10 ms; power below ``floor``
    counts as ``floor``. NaN where ``floor`` is 0.
    """
    if floor <= 0:
        return np.full((80, 1), np.nan)
    return 10 * np.log10(np.maximum(_mel_power(waveform, sample_rate), floor))


def log_mel_distance_db(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Mean absolute difference of two log-mel spectrograms (80, n_frames), all bands and frames
    alike, by `log_mel_db` with one floor: inaudible differences do not count.

    ``score_sound`` takes the floor from the whole reference. NaN where that is silent.
    """
    return float(np.mean(np.abs(reference - estimate)))


def lag_ms(reference: np.ndarray, estimate: np.ndarray) -> float:
    """By how many ms the `envelopes` (20, n_ms) of an estimate come later than the reference's.

    The lag, up to half the sound either way, at which their cross-correlation, summed over bands,
    is highest: phase plays no part. Between unrelated sounds it is random: hundreds of ms. NaN
    where an envelope never changes.
    """
    from scipy.fft import irfft, next_fast_len, rfft

    if not (reference.any() and estimate.any()):
        return np.nan
    n_ms = reference.shape[1]
    size = next_fast_len(2 * n_ms - 1, real=True)
    cross = (rfft(reference, size).conj() * rfft(estimate, size)).sum(axis=0)
    lags_ms = np.arange(-(n_ms // 2), n_ms // 2 + 1)
    return float(lags_ms[irfft(cross, size)[lags_ms].argmax()])


def envelopes(waveform: np.ndarray) -> np.ndarray:
    """Envelopes of 20 mel bands (100 to 7000 Hz), per ms, of ``waveform`` (n_samples,) at 16 kHz.

    Square roots of amplitudes, 20 ms Hann windows, means removed; shape (20, n_ms).
    """
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


def code_agreement(codes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Share of equal codes by codebook, (n_codebooks,), of two (..., n_codebooks, n_frames).

    -1 (no frame) is left out. NaN where there is no frame at all.

    Raises
    ------
    TypeError
        Not integers.
    ValueError
        Different shapes, or -1 at different places: the two are framed differently.

    >>> code_agreement(np.array([[1, 2, -1], [3, 4, -1]]), np.array([[1, 2, -1], [3, 5, -1]]))
    array([1. , 0.5])
    """
    codes, others = (check_codes(c, codebook_size=np.iinfo(np.int64).max) for c in (codes, others))
    if codes.shape != others.shape or ((codes < 0) != (others < 0)).any():
        raise ValueError(
            f"codes of shape {codes.shape} and {others.shape} do not have their frames at the same "
            "places: frame both alike first"
        )
    other_axes = tuple(axis for axis in range(codes.ndim) if axis != codes.ndim - 2)
    n_frames = (codes >= 0).sum(axis=other_axes)
    n_equal = ((codes == others) & (codes >= 0)).sum(axis=other_axes)
    return np.where(n_frames, n_equal / np.maximum(n_frames, 1), np.nan)


def bits_per_second(codes: np.ndarray, codebook_size: int, duration: float) -> float:
    """Bits that ``codes`` (..., n_codebooks, n_frames) take per second of their ``duration`` (s).

    ``log2(codebook_size)`` bits a code, all alike; -1 (no frame) costs nothing.

    >>> bits_per_second(np.zeros((8, 75), dtype=np.int32), codebook_size=1024, duration=1.0)
    6000.0
    """
    n_codes = int((check_codes(codes, codebook_size=codebook_size) >= 0).sum())
    return float(n_codes * np.log2(codebook_size) / duration)
