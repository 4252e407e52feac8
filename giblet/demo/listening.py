"""Inputs of a simulated listener's brain: sound, surprisal, tonality and form of music over time.

All on the clock of `giblet.demo.stimulus`: sample k stands for seconds ``[k, k + 1) / rate_hz``.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from giblet.audio.files import read_sound
from giblet.demo import known_songs_path
from giblet.demo.stimulus import RATE_HZ, centres, sound_features
from giblet.errors import GibletError
from giblet.music.midi import read_midi
from giblet.music.ngrams import NgramModel
from giblet.music.notes import Notes
from giblet.music.novelty import novelty
from giblet.music.pieces import is_table_of_scores, read_pieces
from giblet.music.score_files import read_score
from giblet.music.stimulus_scores import join_scores
from giblet.music.tonality import key_clarity, tonnetz
from giblet.timing import count_samples, samples_duration, volumes_to_trs

_SOUND_RATE_HZ = 8000  # notes have little above 4 kHz


def surprisal_features(notes: Notes, n_samples: int, *, rate_hz: float = RATE_HZ) -> np.ndarray:
    """Surprisal of the pitches that begin in each sample, (n_samples, 1) in nats.

    Of notes' values minus their mean, so that it does not count notes. What is expected comes from
    ten songs (`giblet.demo.known_songs_path`) alone, by n-grams (`giblet.music.NgramModel`,
    long-term). The pipeline's n-grams learn from the piece alone, and its transformer from neither.
    """
    model = NgramModel([read_midi(known_songs_path())], memory="long")
    surprisal = model.surprisal(notes).pitch
    samples = volumes_to_trs(notes.onset, samples_duration(1, rate_hz))
    inside = (samples >= 0) & (samples < n_samples)
    centred = (surprisal - surprisal.mean())[inside]
    return np.bincount(samples[inside], centred, minlength=n_samples)[:, None]


def tonality_features(notes: Notes, n_samples: int, *, rate_hz: float = RATE_HZ) -> np.ndarray:
    """Position in the tonnetz and key clarity of what was heard before, (n_samples, 7)."""
    moments = centres(n_samples, rate_hz)
    return np.column_stack([tonnetz(notes, moments), key_clarity(notes, moments)])


def form_features(notes: Notes, n_samples: int, *, rate_hz: float = RATE_HZ) -> np.ndarray:
    """Novelty of the last 24 s after the 24 s before, (n_samples, 1): `giblet.music.novelty`."""
    return novelty(notes, centres(n_samples, rate_hz))[:, None]


def listening_features(
    film: Path, score: Path, track: int | str | None = None, offset: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Features of sound, surprisal, tonality and form, each (n_samples, n_features), from second 0.

    ``track``: of several sound tracks; ``offset``: second of the film at which the score begins.
    ``score`` may be a table of several; listeners remember the piece before.

    Raises
    ------
    GibletError
        As the readers do; one of the four never changes (for example, a score of one note).
    """
    waveform = read_sound(film, _SOUND_RATE_HZ, track)
    if is_table_of_scores(score):
        notes = replace(join_scores(read_pieces(score, offset)), beats=None)
    else:
        notes = read_score(score)
        notes = replace(notes, onset=notes.onset + offset, beats=None)
    n_samples = count_samples(samples_duration(len(waveform), _SOUND_RATE_HZ), RATE_HZ)
    features = {
        "sound": sound_features(waveform, _SOUND_RATE_HZ),
        "surprisal": surprisal_features(notes, n_samples),
        "tonality": tonality_features(notes, n_samples),
        "form": form_features(notes, n_samples),
    }
    for name, values in features.items():
        if not np.ptp(values, axis=0).any():
            raise GibletError(
                f"{score}: its {name} never changes, and SIMULATED listeners respond to sound, "
                "surprisal, tonality and form. Give a longer score, or set bold: none"
            )
    sound, surprisal, tonality, form = features.values()
    return sound, surprisal, tonality, form
