"""Inputs of a simulated brain: sound, video frames and words of a film as features over time.

All features share one clock: sample k stands for seconds ``[k, k + 1) / rate_hz`` of the film.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from giblet.audio.files import read_sound
from giblet.config.sections import WordsConfig
from giblet.errors import GibletError
from giblet.film.annotations import read_annotations
from giblet.film.video import extract_frames
from giblet.timing import acquisition_times, count_samples, samples_duration, tr_moments

RATE_HZ = 10.0


def sound_features(
    waveform: np.ndarray, sample_rate: int, *, n_mels: int = 16, rate_hz: float = RATE_HZ
) -> np.ndarray:
    """Loudness in each mel band, (n_samples, n_mels) in dB re the loudest, floor at -60.

    ``waveform`` (n_audio_samples,) at ``sample_rate`` Hz, from the film's first second on.

    >>> sound_features(np.zeros(16000, dtype=np.float32), 16000).shape
    (10, 16)
    """
    import librosa

    window = count_samples(2 / rate_hz, sample_rate)  # two samples wide: what is finer is averaged
    hop = window // 8
    power = librosa.feature.melspectrogram(
        y=waveform, sr=sample_rate, n_fft=window, hop_length=hop, n_mels=n_mels
    )
    level = librosa.power_to_db(power, ref=max(power.max(), 1e-10), top_db=60.0).T
    times = librosa.frames_to_time(np.arange(len(level)), sr=sample_rate, hop_length=hop)
    duration = samples_duration(len(waveform), sample_rate)
    return resample(level, times, centres(count_samples(duration, rate_hz), rate_hz))


def picture_features(
    frames: np.ndarray,
    times: np.ndarray,
    duration: float,
    *,
    n_blocks: tuple[int, int] = (4, 6),
    rate_hz: float = RATE_HZ,
) -> np.ndarray:
    """Luminance, motion energy, red-green and blue-yellow of each block of the picture.

    ``frames`` (n_frames, height, width, 3) uint8, taken at ``times`` (n_frames,) s; ``duration`` of
    the film in seconds; ``n_blocks`` down and across. Returns (n_samples, 4 * n_blocks).

    >>> frames = np.zeros((4, 90, 160, 3), dtype=np.uint8)
    >>> picture_features(frames, np.arange(4) / 2, duration=2.0).shape
    (20, 96)
    """
    colours = np.stack([_block_means(frame, n_blocks) for frame in frames])  # (n_frames, blocks, 3)
    luminance = colours.mean(axis=2)
    motion = np.abs(np.diff(luminance, axis=0, prepend=luminance[:1]))
    red_green = colours[..., 0] - colours[..., 1]
    blue_yellow = colours[..., 2] - colours[..., :2].mean(axis=2)
    features = np.concatenate([luminance, motion, red_green, blue_yellow], axis=1)
    return resample(features, times, centres(count_samples(duration, rate_hz), rate_hz))


def word_features(
    annotations: pd.DataFrame,
    duration: float,
    *,
    n_hashed: int = 16,
    rate_hz: float = RATE_HZ,
) -> np.ndarray:
    """Words per second, and which words: each adds +-1 to one of ``n_hashed`` columns.

    ``annotations`` with columns ``onset``, ``duration`` (s) and ``text``; an annotation's words are
    spread evenly over its duration. Returns (n_samples, 1 + n_hashed).

    >>> table = pd.DataFrame({"onset": [0.0], "duration": [1.0], "text": ["one two three four"]})
    >>> word_features(table, duration=2.0)[:, 0].sum() / RATE_HZ
    np.float64(4.0)
    """
    from sklearn.feature_extraction.text import HashingVectorizer

    hashing = HashingVectorizer(n_features=n_hashed, norm=None, token_pattern=r"\b\w+\b")
    features = np.zeros((count_samples(duration, rate_hz), 1 + n_hashed))
    for row in annotations.dropna(subset="text").itertuples():
        words = hashing.build_analyzer()(row.text)
        if not words:
            continue
        times = row.onset + row.duration * (np.arange(len(words)) + 0.5) / len(words)
        values = np.column_stack([np.ones(len(words)), hashing.transform(words).toarray()])
        inside = (times >= 0) & (times < duration)
        samples = np.minimum((times[inside] * rate_hz).astype(int), len(features) - 1)
        np.add.at(features, samples, values[inside] * rate_hz)
    return features


def resample(values: np.ndarray, times: np.ndarray, at: np.ndarray) -> np.ndarray:
    """``values`` (n_times, n_features) at ``times`` (s), interpolated linearly to ``at`` (s)."""
    if len(times) != len(values) or not (np.diff(times) > 0).all():
        raise ValueError(f"times must be {len(values)} rising seconds, got {len(times)}: {times}")
    return np.column_stack([np.interp(at, times, column) for column in values.T])


def centres(n_samples: int, rate_hz: float) -> np.ndarray:
    """Middle (s) of every feature sample, (n_samples,).

    >>> centres(2, rate_hz=10).round(3).tolist()
    [0.05, 0.15]
    """
    return acquisition_times(n_samples, 1 / rate_hz, 0.5 / rate_hz)


def _block_means(frame: np.ndarray, n_blocks: tuple[int, int]) -> np.ndarray:
    """Mean colour of each block of ``frame`` (height, width, 3), (n_blocks, 3) from 0 to 1."""
    down, across = n_blocks
    height, width = frame.shape[0] // down, frame.shape[1] // across
    whole = frame[: down * height, : across * width].astype(np.float32) / 255
    return whole.reshape(down, height, across, width, 3).mean(axis=(1, 3)).reshape(-1, 3)


SOUND_RATE_HZ = 16000
PICTURE_SECONDS = 0.25


def stimulus_features(
    film: Path,
    annotations: Path | None,
    reading: WordsConfig,
    track: int | str | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of sound, video and words, each (n_samples, n_features), from second 0 of the film.

    ``reading`` says how the annotations are read, ``track`` which of several sound tracks.

    Raises
    ------
    GibletError
        As the readers do; one of the three never changes (for example, no words).
    """
    waveform = read_sound(film, SOUND_RATE_HZ, track)
    duration = samples_duration(len(waveform), SOUND_RATE_HZ)
    frames, seen = extract_frames(film, PICTURE_SECONDS)
    shown = seen[:, 0]
    times = tr_moments(len(frames), PICTURE_SECONDS)[shown]
    pictures = picture_features(frames[shown, 0], times, duration)
    if annotations is None:
        spoken = pd.DataFrame({"onset": [], "duration": [], "text": []})
    else:
        spoken = read_annotations(annotations, **reading.model_dump())
    sound, words = sound_features(waveform, SOUND_RATE_HZ), word_features(spoken, duration)
    for name, values in {"sound": sound, "video": pictures, "words": words}.items():
        if not np.ptp(values, axis=0).any():
            raise GibletError(
                f"{film}: no variation in its {name}, and SIMULATED brains respond to sound, video "
                "and words. Give annotations with words, or set bold: none"
            )
    return sound, pictures, words
