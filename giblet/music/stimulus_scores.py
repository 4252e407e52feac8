"""Scores of many stimuli on the film that they make together, and their features by stimulus."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from giblet.brain.stimulus_clock import StimulusClock
from giblet.errors import GibletError
from giblet.music.notes import Beats, Notes
from giblet.music.score_features import Listening, note_features
from giblet.music.score_files import read_score
from giblet.music.score_sync import RATE_HZ, onset_density, score_lag
from giblet.music.score_trs import score_on_trs
from giblet.timing import TOLERANCE, count_samples

_MOST = 3  # scores with warnings that are listed in full


def join_scores(clock: StimulusClock, offset: float = 0.0) -> Notes:
    """Notes of all stimuli that have a score, at times of the film of all stimuli.

    Each score is on the clock of its stimulus' file, ``offset`` s later. Notes are cut where the
    excerpt begins and ends, and left out where they lie outside; so are beats.

    Raises
    ------
    GibletError
        As `giblet.music.read_score`; no stimulus has a score; no note lies within a stimulus.
    """
    files = dict.fromkeys(path for path in clock.scores if path)
    if not files:
        raise GibletError("no stimulus has a score: put them beside its file, under its name")
    scores = {file: read_score(Path(file)) for file in files}
    parts, beats, warnings = [], [], [w for s in scores.values() for w in s.warnings][:_MOST]
    for k, file in enumerate(clock.scores):
        if file:
            begin, duration = float(clock.begins[k]), float(clock.durations[k])
            part = excerpt(scores[file], float(clock.starts[k]) - offset, duration)
            parts.append((part.onset + begin, part.duration, part.pitch, part.velocity))
            if part.beats is not None:
                one = part.beats
                beats.append((one.seconds + begin, one.in_bar, one.per_bar))
            if not len(part):
                warnings.append(f"no note of {file} lies within stimulus {clock.names[k]}")
    if without := sum(not path for path in clock.scores):
        warnings.append(f"score: {without} of {len(clock.names)} stimuli have none")
    onset, length, pitch, velocity = map(np.concatenate, zip(*parts, strict=True))
    if not len(onset):
        raise GibletError("no note of any score lies within its stimulus: check score_offset")
    together = Beats(*map(np.concatenate, zip(*beats, strict=True))) if beats else None
    return Notes.from_unsorted(onset, length, pitch, velocity, together, tuple(warnings))


def excerpt(notes: Notes, start: float, duration: float) -> Notes:
    """The notes that sound in ``duration`` s from ``start`` (s) on, at times since then.

    >>> notes = Notes(np.array([0.0, 2.0]), np.ones(2), np.array([60, 64]), np.full(2, 80))
    >>> part = excerpt(notes, 0.5, 2.0)
    >>> part.onset.tolist(), part.duration.tolist()
    ([0.0, 1.5], [0.5, 0.5])
    """
    begun, ended = notes.onset - start, notes.onset + notes.duration - start
    inside = (begun < duration - TOLERANCE) & ((ended > TOLERANCE) | (begun >= -TOLERANCE))
    onset = np.clip(begun[inside], 0, None)
    length = np.clip(ended[inside], None, duration) - onset
    beats = notes.beats and _beats_between(notes.beats, start, start + duration)
    columns = (onset, length, notes.pitch[inside], notes.velocity[inside])
    return Notes.from_unsorted(*columns, beats=beats)


def _beats_between(beats: Beats, start: float, end: float) -> Beats | None:
    """Beats from ``start`` to ``end`` (s), at times since ``start``; None of fewer than two."""
    inside = (beats.seconds >= start - TOLERANCE) & (beats.seconds < end - TOLERANCE)
    if inside.sum() < 2:
        return None
    seconds = np.clip(beats.seconds[inside] - start, 0, None)
    return Beats(seconds, beats.in_bar[inside], beats.per_bar[inside])


def scores_apart(notes: Notes, clock: StimulusClock) -> dict[int, Notes]:
    """Of `join_scores` the notes of each stimulus that has any, at times since it began."""
    apart = {}
    for k, (begin, duration) in enumerate(zip(clock.begins, clock.durations, strict=True)):
        part = excerpt(notes, float(begin), float(duration))
        if len(part):
            apart[k] = part
    return apart


def misfits(notes: Notes, envelope: np.ndarray, clock: StimulusClock) -> list[str]:
    """Names of stimuli whose score fits their own sound no better than by chance.

    ``envelope`` (n_frames,) of ``giblet.music.score_sync.onset_envelope``. Stimuli of less than
    20 s are too short to say.
    """
    names = []
    for k, part in scores_apart(notes, clock).items():
        first, n = (count_samples(s, RATE_HZ) for s in (clock.begins[k], clock.durations[k]))
        own = envelope[first : first + n]
        lag = score_lag(onset_density(part, len(own)), own)
        if lag is not None and not lag.is_this_piece:
            names.append(clock.names[k])
    return names


def misfit_warnings(names: Sequence[str]) -> list[str]:
    """A line about `misfits`.

    >>> misfit_warnings([]), misfit_warnings(["waltz"])[0][:66]
    ([], 'score: those of 1 stimuli fit their sound no better than by chance')
    """
    if not names:
        return []
    more = f" and {len(names) - _MOST} more" * (len(names) > _MOST)
    return [
        f"score: those of {len(names)} stimuli fit their sound no better than by chance: "
        f"{', '.join(names[:_MOST])}{more}; are they of other pieces?"
    ]


def stimuli_on_trs(
    apart: dict[int, Notes], clock: StimulusClock, n_trs: int, listen: Callable[[Notes], Listening]
) -> tuple[xr.Dataset, pd.DataFrame]:
    """Scores of stimuli on the TRs of the film of all, and the table of their notes.

    Each piece is heard alone: nothing of one is expected, or remembered, in another. Notes' values
    are compared with the mean over the notes of all pieces.

    Parameters
    ----------
    apart : index of a stimulus → its notes, as of `scores_apart`
    n_trs : of the film
    listen : notes → the piece with the models that expect it

    Returns
    -------
    arrays : as of `score_on_trs`, 0 where there is no score
    table : one row for each note: ``stimulus onset duration pitch`` and `note_features`; onsets in
        s of the film of all
    """
    pieces = {k: listen(notes) for k, notes in apart.items()}
    features = {k: note_features(piece) for k, piece in pieces.items()}
    table = pd.concat(
        [
            pd.DataFrame(
                {
                    "stimulus": clock.names[k],
                    "onset": piece.notes.onset + clock.begins[k],
                    "duration": piece.notes.duration,
                    "pitch": piece.notes.pitch,
                }
            ).join(features[k])
            for k, piece in pieces.items()
        ],
        ignore_index=True,
    )
    means = pd.concat(features.values()).mean().fillna(0.0).to_dict()
    ends = np.append(clock.first_trs[1:], clock.n_film_trs)
    parts = {}
    for k, piece in pieces.items():
        n_own = int(min(ends[k], n_trs) - clock.first_trs[k])
        if n_own > 0:
            parts[k] = score_on_trs(piece, clock.t_r, n_own, means=means)
    return _joined(parts, clock, n_trs), table


def _joined(parts: dict[int, xr.Dataset], clock: StimulusClock, n_trs: int) -> xr.Dataset:
    """Parts in their places. Values that some pieces lack, as of beats, are 0 there."""
    if not parts:
        raise GibletError("no stimulus with a score lies within the film's TRs")
    widest = max(parts.values(), key=lambda part: part.sizes["score_value"])
    names = widest["score_value"].values
    shape = widest["score"].shape[1:]
    roll = np.zeros((n_trs, *shape), dtype=widest["score"].dtype)
    values = np.zeros((n_trs, len(names)), dtype=np.float32)
    for k, part in parts.items():
        own = slice(clock.first_trs[k], clock.first_trs[k] + part.sizes["tr"])
        roll[own] = part["score"].values
        values[own] = part["score_values"].reindex(score_value=names, fill_value=0).values
    return xr.Dataset(
        {
            "score": (("tr", "score_step", "score_row"), roll),
            "score_values": (("tr", "score_value"), values),
        },
        coords={n: c for n, c in widest.coords.items() if n != "tr"} | {"tr": np.arange(n_trs)},
        attrs=widest.attrs,
    )
