"""Scores of a piece by itself, as in MusPy, and overlaps of their distributions, as in mgeval."""

from collections.abc import Sequence

import numpy as np

from giblet.errors import GibletError
from giblet.music.notes import Notes

_MAJOR, _MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)  # pitch classes above the root
_CLASSES = 12
_POLYPHONIC_ABOVE = 2  # MusPy's threshold, which its code compares with ">"


def piece_scores(notes: Notes) -> dict[str, float]:
    """Scores of one piece; NaN where there are no notes, or no beats.

    ``pitch_range``, ``n_pitches_used``, ``n_pitch_classes_used``, ``polyphony``,
    ``polyphony_rate``, ``scale_consistency``, ``pitch_entropy``, ``pitch_class_entropy`` (bits) and
    ``empty_beat_rate`` are those of MusPy (Dong et al. 2020), time in seconds instead of steps.
    As in its code, the polyphony rate counts the time at which three or more pitches sound, and a
    note counts in the beat that begins as it ends.
    ``notes_per_second``, ``mean_onset_interval`` (s, between successive different onsets) and
    ``mean_duration`` (s) are those of mgeval (Yang & Lerch 2020).
    """
    if not len(notes):
        return dict.fromkeys(SCORES, float("nan"))
    pitch, classes = notes.pitch, notes.pitch % _CLASSES
    polyphony, rate = _polyphony(notes)
    values = {
        "pitch_range": int(pitch.max() - pitch.min()),
        "n_pitches_used": len(np.unique(pitch)),
        "n_pitch_classes_used": len(np.unique(classes)),
        "polyphony": polyphony,
        "polyphony_rate": rate,
        "scale_consistency": _scale_consistency(classes),
        "pitch_entropy": _entropy(pitch),
        "pitch_class_entropy": _entropy(classes),
        "empty_beat_rate": _empty_beat_rate(notes),
        "notes_per_second": len(notes) / max(notes.end - notes.onset[0], np.finfo(float).tiny),
        "mean_onset_interval": _mean(np.diff(np.unique(notes.onset))),
        "mean_duration": float(notes.duration.mean()),
    }
    return {name: float(value) for name, value in values.items()}


SCORES = (
    "pitch_range",
    "n_pitches_used",
    "n_pitch_classes_used",
    "polyphony",
    "polyphony_rate",
    "scale_consistency",
    "pitch_entropy",
    "pitch_class_entropy",
    "empty_beat_rate",
    "notes_per_second",
    "mean_onset_interval",
    "mean_duration",
)


def overlapping_area(first: np.ndarray, second: np.ndarray) -> float:
    """Area below both kernel densities of two samples (n,) and (m,), in [0, 1].

    Gaussian kernels of Scott's width (Yang & Lerch 2020, Neural Computing and Applications 32).
    A sample of equal values has no density: then it is 1 where both are the same value, else 0.
    NaN where a sample has fewer than two finite values.
    """
    from scipy.stats import gaussian_kde

    samples = [np.asarray(s, float)[np.isfinite(s)] for s in (first, second)]
    if min(map(len, samples)) < 2:
        return float("nan")
    if min(np.ptp(sample) for sample in samples) == 0:
        return float(np.array_equal(np.unique(samples[0]), np.unique(samples[1])))
    densities = [gaussian_kde(sample) for sample in samples]
    widths = [np.sqrt(density.covariance.item()) for density in densities]
    low = min(s.min() - 6 * w for s, w in zip(samples, widths, strict=True))
    high = max(s.max() + 6 * w for s, w in zip(samples, widths, strict=True))
    grid = np.linspace(low, high, _grid_size(high - low, min(widths)))
    return float(np.trapezoid(np.minimum(*(density(grid) for density in densities)), grid))


def overlaps(pieces: Sequence[Notes], human: Sequence[Notes]) -> dict[str, float]:
    """Score → how alike pieces are to human ones: overlap of two distributions of distances.

    The distances are those between each two human pieces, and those between each piece and each
    human one (Yang & Lerch 2020). Human pieces of another set give the highest value that can be
    hoped for. NaN for a score that too few pieces have.

    Raises GibletError if there are fewer than three human pieces, or none to compare.
    """
    if len(human) < 3 or not pieces:
        raise GibletError(
            f"overlaps: {len(pieces)} pieces against {len(human)}; at least 1 and 3 are needed"
        )
    tables = [
        {name: np.array([score[name] for score in map(piece_scores, each)]) for name in SCORES}
        for each in (pieces, human)
    ]
    areas = {}
    for name in SCORES:
        made, own = (table[name][np.isfinite(table[name])] for table in tables)
        within = np.abs(own[:, None] - own)[np.triu_indices(len(own), 1)]
        areas[name] = overlapping_area(np.abs(made[:, None] - own).ravel(), within)
    return areas


def _polyphony(notes: Notes) -> tuple[float, float]:
    """Pitches that sound at once, mean over the time at which one does; share of time of three.

    A pitch that sounds twice at once counts once. The time begins at the first onset.
    """
    begin, end = notes.onset, notes.onset + notes.duration
    moments, places = np.unique(np.concatenate([begin, end]), return_inverse=True)
    changes = np.zeros((len(moments), int(notes.pitch.max()) + 1), np.int32)
    np.add.at(changes, (places[: len(notes)], notes.pitch), 1)
    np.add.at(changes, (places[len(notes) :], notes.pitch), -1)
    sounding = (np.cumsum(changes, axis=0) > 0).sum(axis=1)[:-1]
    seconds = np.diff(moments)
    heard = seconds[sounding > 0].sum()
    if heard == 0:
        return float("nan"), float("nan")
    many = seconds[sounding > _POLYPHONIC_ABOVE].sum()
    return float((sounding * seconds).sum() / heard), float(many / seconds.sum())


def _scale_consistency(classes: np.ndarray) -> float:
    """Share of notes in the major or minor scale that has most of them."""
    counts = np.bincount(classes, minlength=_CLASSES)
    inside = [
        counts[(np.array(scale) + root) % _CLASSES].sum()
        for scale in (_MAJOR, _MINOR)
        for root in range(_CLASSES)
    ]
    return max(inside) / counts.sum()


def _entropy(values: np.ndarray) -> float:
    share = np.bincount(values)[np.unique(values)] / len(values)
    return float(-(share * np.log2(share)).sum())


def _empty_beat_rate(notes: Notes) -> float:
    """Share of the beats, up to the one of the last note's end, in which nothing sounds."""
    if notes.beats is None:
        return float("nan")
    edges = notes.beats.seconds - 1e-9  # a note on the beat belongs to it
    first, last = (
        np.searchsorted(edges, moments, side="right") - 1
        for moments in (notes.onset, notes.onset + notes.duration)
    )
    changes = np.zeros(last.max() + 2, int)
    np.add.at(changes, np.maximum(first, 0), 1)
    np.add.at(changes, last + 1, -1)
    return float((np.cumsum(changes)[:-1] == 0).mean())


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _grid_size(length: float, width: float) -> int:
    """Points that resolve the narrower kernel, within bounds."""
    return int(np.clip(16 * length / width, 1000, 20_000))
