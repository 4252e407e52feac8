"""What SIMULATED brains take in of a film: its sound, pictures and words as amounts over time."""

from pathlib import Path

import numpy as np
import pandas as pd

from giblet.annotations import read_annotations
from giblet.audio.files import read_sound
from giblet.checks import GibletError
from giblet.demo.stimulus import picture_features, sound_features, word_features
from giblet.settings import WordsConfig
from giblet.timing import samples_duration, tr_moments
from giblet.video import extract_frames

SOUND_RATE_HZ = 16000
PICTURE_SECONDS = 0.25


def stimulus_features(
    film: Path, annotations: Path | None, reading: WordsConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sound, pictures and words, each (n_samples, n_features), from the film's first second on.

    ``reading`` says how the annotations are read.

    Raises
    ------
    GibletError
        As the readers do; one of the three never changes (there are no words, say).
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
        said = read_annotations(annotations, **reading.model_dump())
    sound, words = sound_features(waveform, SOUND_RATE_HZ), word_features(said, duration)
    for name, values in {"sound": sound, "pictures": pictures, "words": words}.items():
        if not np.ptp(values, axis=0).any():
            raise GibletError(
                f"{film}: its {name} never change, and SIMULATED brains answer to sound, pictures "
                "and words. Give annotations with words, or set bold: none"
            )
    return sound, pictures, words
