"""The share of a sound that is speech, by its syllable rate and its gliding pitch."""

from itertools import pairwise

import numpy as np

from giblet.io.validation import check_waveform
from giblet.timing import count_samples

SPEECH_RATE_HZ = 16000
WINDOW_SECONDS = 2.0

_STEP = 160  # 10 ms at 16 kHz
_FRAME = 640  # 40 ms at 16 kHz
_SYLLABLES_HZ = (2.0, 8.0)
_LAGS = np.arange(40, 230)  # pitches of 400 to 70 Hz at 16 kHz
_VOICED = 0.6  # autocorrelation above which a frame has a pitch
_GLIDE = (0.005, 0.1)  # octaves per 10 ms: less is a held note, more is a leap
_MIN_MODULATION = 0.2
_MIN_GLIDING = 0.45


def has_signal(waveform: np.ndarray) -> bool:
    """Whether ``waveform`` (n_samples,) moves by more than one step of 16-bit sound."""
    return bool(np.ptp(waveform) > 2.0**-15)


def segment_edges(n_samples: int, seconds: float, sample_rate: float) -> np.ndarray:
    """First sample of each segment of a sound, and ``n_samples``; shape (n_segments + 1,).

    Segments last ``seconds``. What is left over at the end is a segment of its own if it is at
    least half as long, and else belongs to the last one; a short sound is one segment.

    >>> segment_edges(21, seconds=8, sample_rate=1).tolist()
    [0, 8, 16, 21]
    >>> segment_edges(19, seconds=8, sample_rate=1).tolist()
    [0, 8, 19]
    """
    width = count_samples(seconds, sample_rate)
    if width < 1:
        raise ValueError(f"segments of {seconds} s hold no sample at {sample_rate} Hz")
    return np.append(np.arange(max(1, (n_samples + width // 2) // width)) * width, n_samples)


def syllable_modulation(waveform: np.ndarray) -> float:
    """Modulation of the amplitude of ``waveform`` (n_samples,) at 16 kHz at 2 to 8 Hz.

    Variance of 20 mel bands' amplitudes (200 to 3500 Hz) at those rates, over their squared
    means: the 4 Hz modulation energy of Scheirer & Slaney (ICASSP 1997).
    """
    import librosa

    bands = librosa.feature.melspectrogram(
        y=waveform,
        sr=SPEECH_RATE_HZ,
        n_fft=512,
        hop_length=_STEP,
        n_mels=20,
        fmin=200,
        fmax=3500,
        power=1.0,
    )  # (20, n_frames)
    rates_hz = np.fft.rfftfreq(bands.shape[1], d=_STEP / SPEECH_RATE_HZ)
    syllabic = (rates_hz >= _SYLLABLES_HZ[0]) & (rates_hz <= _SYLLABLES_HZ[1])
    spectrum = np.abs(np.fft.rfft(bands, axis=1)[:, syllabic]) / bands.shape[1]
    return float(2 * (spectrum**2).sum() / (bands.mean(axis=1) ** 2).sum())


def gliding_share(waveform: np.ndarray) -> float:
    """Share of the voiced 10 ms steps of ``waveform`` (n_samples,) at 16 kHz in which pitch glides.

    The pitch of a 40 ms frame is the peak of its autocorrelation between 70 and 400 Hz, refined by
    a parabola. A step is voiced when both its frames are. 0 where no step is.
    """
    import librosa

    frames = librosa.util.frame(waveform, frame_length=_FRAME, hop_length=_STEP)
    frames = frames - frames.mean(axis=0)
    power = librosa.autocorrelate(frames, max_size=_LAGS[-1] + 2, axis=0)  # (n_lags, n_frames)
    overlap = 1 - np.arange(len(power)) / _FRAME
    correlation = power / np.maximum(power[0], 1e-12) / overlap[:, None]
    best = correlation[_LAGS].argmax(axis=0) + _LAGS[0]
    before, peak, after = (
        np.take_along_axis(correlation, best[None] + i, 0)[0] for i in (-1, 0, 1)
    )
    curve = np.minimum(before - 2 * peak + after, -1e-12)
    octaves = np.log2(best + np.clip((before - after) / (2 * curve), -0.5, 0.5))
    voiced = (peak[1:] > _VOICED) & (peak[:-1] > _VOICED)
    steps = np.abs(np.diff(octaves))[voiced]
    return float(np.mean((steps > _GLIDE[0]) & (steps < _GLIDE[1]))) if len(steps) else 0.0


def _is_speech(window: np.ndarray) -> bool:
    return (
        len(window) >= _FRAME + _STEP
        and has_signal(window)
        and syllable_modulation(window) > _MIN_MODULATION
        and gliding_share(window) > _MIN_GLIDING
    )


def speech_share(waveform: np.ndarray, sample_rate: float) -> float:
    """Share of the 2 s windows of a sound that are speech, 0 to 1.

    A window is speech where its amplitude is modulated at the rate of syllables
    (``syllable_modulation`` above 0.2) and most of its voiced steps glide (``gliding_share`` above
    0.45): the pitch of notes is constant, and noise has none. Cries, barks and singing can pass
    for speech, and speech under loud music or noise can be missed.

    waveform : (n_samples,) float, at ``sample_rate`` Hz

    >>> speech_share(np.sin(np.arange(48000) / 20), sample_rate=24000)
    0.0
    """
    import soxr

    waveform = soxr.resample(
        check_waveform(waveform).astype(np.float32), sample_rate, SPEECH_RATE_HZ
    )
    edges = segment_edges(len(waveform), WINDOW_SECONDS, SPEECH_RATE_HZ)
    return float(np.mean([_is_speech(waveform[a:b]) for a, b in pairwise(edges)]))
