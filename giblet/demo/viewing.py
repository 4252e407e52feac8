"""What SIMULATED brains take in of a film: its sound, pictures and words as amounts over time."""

from pathlib import Path

import numpy as np
import pandas as pd

from giblet.audio.files import read_sound
from giblet.demo.stimulus import picture_features, sound_features, word_features
from giblet.text import read_annotations
from giblet.timing import samples_duration, tr_moments
from giblet.video import extract_frames

SOUND_RATE_HZ = 16000
PICTURE_SECONDS = 0.25


def stimulus_features(
    film: Path, annotations: Path | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sound, pictures and words, each (n_samples, n_features), from the film's first second on.

    Without ``annotations`` there are no words. Raises GibletError as the readers do.
    """
    waveform = read_sound(film, SOUND_RATE_HZ)
    duration = samples_duration(len(waveform), SOUND_RATE_HZ)
    frames, seen = extract_frames(film, PICTURE_SECONDS)
    shown = seen[:, 0]
    times = tr_moments(len(frames), PICTURE_SECONDS)[shown]
    pictures = picture_features(frames[shown, 0], times, duration)
    if annotations is None:
        said = pd.DataFrame({"onset": [], "duration": [], "text": []})
    else:
        said = read_annotations(annotations)
    sound = sound_features(waveform, SOUND_RATE_HZ)
    return sound, pictures, word_features(said, duration)
