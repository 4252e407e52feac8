"""Trials of a listening test: which sounds a listener hears, and in what order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from giblet.errors import GibletError
from giblet.timing import count_samples, samples_duration

CHOSEN = ("stimulus", "brain", "brain_shuffled")  # columns of two-alternative trials
RATED = ("codec", "stimulus", "brain", "nearest_clip")
REFERENCE = "hidden reference"
ANCHORS_HZ = {"anchor 3.5 kHz": 3500.0, "anchor 7 kHz": 7000.0}
_ANCHOR_ORDER = 12
CLIPS_BETWEEN = 1  # a clip and its distractor, at least


@dataclass(frozen=True)
class Trial:
    """One screen of the test.

    Attributes
    ----------
    kind : ``choice``: which of two originals is the first sound of? ``rating``: MUSHRA
    clip : number of the clip
    column : of a choice, the column that is heard; of a rating, empty
    sounds : (n_sounds,) what each sound is, in the order on the screen: of a choice ``right`` and
        ``other``, of a rating columns, `REFERENCE` and anchors
    other : of a choice, the clip of the wrong original; of a rating, ``clip``
    """

    kind: str
    clip: int
    column: str
    sounds: tuple[str, ...]
    other: int


def clip_starts(n_samples: int, sample_rate: float, seconds: float, n_clips: int) -> np.ndarray:
    """First samples (n_clips,) of clips that are spread evenly over a sound.

    Fewer where the sound has no room for all: clips do not overlap. Raises GibletError for a sound
    without room for three, since a clip's distractor may not be its neighbour.

    >>> clip_starts(1000, 10.0, 20.0, 3).tolist()
    [0, 400, 800]
    >>> len(clip_starts(1000, 10.0, 20.0, 30))
    5
    """
    length = count_samples(seconds, sample_rate)
    n_room = n_samples // length
    if n_room < 3:
        held_out = samples_duration(n_samples, sample_rate)
        raise GibletError(
            f"the held-out sound ({held_out:.1f} s) has no three clips of "
            f"{seconds:g} s: ask for shorter ones (--seconds), or hold out more of the film "
            "(splits.test)"
        )
    n_clips = min(n_clips, n_room)
    return np.linspace(0, n_samples - length, n_clips).astype(np.int64)


def choice_trials(columns: Sequence[str], n_clips: int, rng: np.random.Generator) -> list[Trial]:
    """Each clip of each column once, with another clip as distractor, in random order.

    A distractor is no neighbour of the clip, and the same for all columns, so that columns differ
    in nothing else. The right original is the first one in half of a column's trials.
    """
    others = [_distractor(clip, n_clips, rng) for clip in range(n_clips)]
    trials = []
    for column in columns:
        is_first = rng.permutation(np.arange(n_clips) % 2 == 0)
        for clip, first in enumerate(is_first):
            sounds = ("right", "other") if first else ("other", "right")
            trials.append(Trial("choice", clip, column, sounds, others[clip]))
    return [trials[k] for k in rng.permutation(len(trials))]


def _distractor(clip: int, n_clips: int, rng: np.random.Generator) -> int:
    apart = np.abs(np.arange(n_clips) - clip) > CLIPS_BETWEEN
    candidates = np.flatnonzero(apart if apart.any() else np.arange(n_clips) != clip)
    return int(rng.choice(candidates))


def rating_trials(
    columns: Sequence[str], clips: Sequence[int], rng: np.random.Generator
) -> list[Trial]:
    """A MUSHRA screen for each of ``clips``, in random order; so are the sounds on each.

    Every screen has the hidden reference and both anchors (ITU-R BS.1534-3).
    """
    names = [*columns, REFERENCE, *ANCHORS_HZ]
    screens = [
        Trial("rating", clip, "", tuple(names[k] for k in rng.permutation(len(names))), clip)
        for clip in clips
    ]
    return [screens[k] for k in rng.permutation(len(screens))]


def low_pass(waveform: np.ndarray, sample_rate: float, cutoff_hz: float) -> np.ndarray:
    """An anchor (n_samples,): the sound below ``cutoff_hz``, without delay.

    Raises ValueError where ``cutoff_hz`` is not below half of ``sample_rate``.
    """
    from scipy.signal import butter, sosfiltfilt

    filters = butter(_ANCHOR_ORDER, cutoff_hz, fs=sample_rate, output="sos")
    return sosfiltfilt(filters, waveform).astype(waveform.dtype)


def trial_waveforms(
    trial: Trial,
    sounds: Mapping[str, np.ndarray],
    starts: np.ndarray,
    length: int,
    sample_rate: float,
) -> list[np.ndarray]:
    """The sounds of a trial, each (``length``,), before levels are matched.

    Of a choice: the column's clip, then the two originals as on the screen. Of a rating: the open
    reference, then the sounds as on the screen. ``sounds``: column → (n_samples,).
    """

    def clip(column: str, number: int) -> np.ndarray:
        return sounds[column][starts[number] : starts[number] + length]

    original = clip("original", trial.clip)
    if trial.kind == "choice":
        places = {"right": trial.clip, "other": trial.other}
        originals = [clip("original", places[name]) for name in trial.sounds]
        return [clip(trial.column, trial.clip), *originals]
    made = {REFERENCE: original}
    made |= {name: low_pass(original, sample_rate, hz) for name, hz in ANCHORS_HZ.items()}
    rated = [made[name] if name in made else clip(name, trial.clip) for name in trial.sounds]
    return [original, *rated]
