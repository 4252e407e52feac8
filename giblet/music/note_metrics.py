"""Notes against the notes that they should be: onsets with pitch, pitch classes, density, key."""

from collections.abc import Sequence

import numpy as np

from giblet.audio.metrics.table import CLIPS, HIGHER, Metric
from giblet.music.attributes import KEYS
from giblet.music.notes import Notes
from giblet.stats.pearson import correlation

ONSET_TOLERANCE = 0.05  # s
_DECIMALS = 4  # of distances, as mir_eval rounds them: 0.05 s is within 50 ms

NOTES, LATENTS, SOUND = "notes", "latents", "sound"  # what a metric applies to


def _metric(name: str, label: str, applies_to: str, chance: float | None = None, n_way: int = 0):
    return Metric(
        name,
        label,
        applies_to=applies_to,
        direction=HIGHER,
        best=1,
        chance=chance,
        counted=CLIPS,
        moment=CLIPS,
        n_way=n_way,
    )


SCORE_METRICS = {
    metric.name: metric
    for metric in (
        _metric("note_f1", "Note F1 (50 ms)", NOTES),
        _metric("pitch_class_r", "Pitch classes r", NOTES, 0),
        _metric("onset_density_r", "Onset density r", NOTES, 0),
        _metric("key_agreement", "Same key", NOTES),
        _metric("sound_identification_2way", "Identified by sound, 2-way", SOUND, 1 / 2, 2),
        _metric("sound_identification_10way", "Identified by sound, 10-way", SOUND, 1 / 10, 10),
        _metric("latent_r", "Correlation r", LATENTS, 0),
        _metric("latent_identification_2way", "Identified, 2-way", LATENTS, 1 / 2, 2),
        _metric("latent_identification_10way", "Identified, 10-way", LATENTS, 1 / 10, 10),
    )
}


def matched_notes(reference: Notes, estimate: Notes, tolerance: float = ONSET_TOLERANCE) -> int:
    """The most pairs of notes of one pitch whose onsets are within ``tolerance`` s; each in one.

    In order of onsets, each note with the first free one is a largest matching.
    """
    n_matched = 0
    for pitch in np.intersect1d(reference.pitch, estimate.pitch):
        ours = estimate.onset[estimate.pitch == pitch]
        theirs = reference.onset[reference.pitch == pitch]
        i = j = 0
        while i < len(ours) and j < len(theirs):
            distance = round(ours[i] - theirs[j], _DECIMALS)
            n_matched += bool(abs(distance) <= tolerance)
            i, j = i + (distance <= tolerance), j + (distance >= -tolerance)
    return n_matched


def note_f1(reference: Notes, estimate: Notes, tolerance: float = ONSET_TOLERANCE) -> float:
    """F1 of notes, right where pitch and onset are: ``mir_eval.transcription`` without offsets.

    NaN where neither has notes; 0 where one has none.

    >>> notes = Notes(np.array([0.0, 1.0]), np.ones(2), np.array([60, 64]), np.full(2, 80))
    >>> late = Notes(np.array([0.04, 1.06]), np.ones(2), np.array([60, 64]), np.full(2, 80))
    >>> note_f1(notes, late)
    0.5
    """
    n_notes = len(reference) + len(estimate)
    return 2 * matched_notes(reference, estimate, tolerance) / n_notes if n_notes else np.nan


def pitch_classes(notes: Notes) -> np.ndarray:
    """Seconds (12,) that notes of each pitch class last together."""
    return np.bincount(notes.pitch % 12, weights=notes.duration, minlength=12)


def pitch_class_r(reference: Notes, estimate: Notes) -> float:
    """Correlation of `pitch_classes`. NaN where the reference has none; 0 where only the estimate
    has none, or all alike.
    """
    theirs, ours = pitch_classes(reference), pitch_classes(estimate)
    if np.ptp(theirs) == 0:
        return np.nan
    return float(correlation(ours[:, None], theirs[:, None])[0]) if np.ptp(ours) > 0 else 0.0


def key_of(notes: Notes) -> int | None:
    """The key that fits `pitch_classes` best: C, C#, … major (0-11), then minor; None for none.

    The profiles of Krumhansl & Kessler (1982), as `giblet.music.tonality.key_fits` has them.
    """
    heard = pitch_classes(notes)
    return int((KEYS @ heard).argmax()) if np.ptp(heard) > 0 else None


def key_agreement(reference: Notes, estimate: Notes) -> float:
    """1 where both have the same key (`key_of`), else 0; NaN where the reference has none."""
    key = key_of(reference)
    return np.nan if key is None else float(key_of(estimate) == key)


def clip_scores(reference: Sequence[Notes], estimate: Sequence[Notes]) -> dict[str, np.ndarray]:
    """Metric → scores (n_clips,) of clips by their own notes: F1, pitch classes, key."""
    functions = {"note_f1": note_f1, "pitch_class_r": pitch_class_r, "key_agreement": key_agreement}
    pairs = list(zip(reference, estimate, strict=True))
    return {
        name: np.array([function(*pair) for pair in pairs]) for name, function in functions.items()
    }
