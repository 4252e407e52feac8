"""Scores of several pieces, or of many stimuli, on the clock of their film, and their features."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from giblet.errors import GibletError, each
from giblet.io.paths import once_per_file
from giblet.music.notes import Beats, Notes
from giblet.music.pieces import Pieces
from giblet.music.score_features import Listening, note_features
from giblet.music.score_files import read_score
from giblet.music.score_fits import LIKELY, ScoreFits, score_fits
from giblet.music.score_sync import (
    NOTABLE,
    RATE_HZ,
    ScoreLag,
    joint_lag,
    onset_density,
    score_lag,
)
from giblet.music.score_trs import score_on_trs
from giblet.timing import TOLERANCE, count_samples, tr_onsets, trs_for, volumes_to_trs

_MOST = 3  # scores with warnings that are listed in full
_FEW_LATE = 0.05  # of the notes may begin after the end: recordings are cut
_FEWEST_SAME, _SAME_TIME = 8, 0.01  # notes, and s, of scores that are the same
_EARLY_SECONDS, _EARLY_SHARE = 10.0, 0.1  # of a sound without notes at its end
_AFTER = 10.0  # s of sound after a piece's last note, where nothing else ends it


def join_scores(pieces: Pieces) -> Notes:
    """Notes of all pieces that have a score, at times of the film.

    Notes are cut where the piece begins and ends, and left out where they lie outside; so are
    beats.

    Raises
    ------
    GibletError
        As `giblet.music.read_score`; no piece has a score; no note lies within a piece.
    """
    files = dict.fromkeys(path for path in pieces.scores if path)
    if not files:
        raise GibletError("no stimulus has a score: put them beside its file, under its name")
    scores = dict(zip(files, each(_read_once, map(Path, files)), strict=True))
    named = [f"{Path(file).name}: {line}" for file, own in scores.items() for line in own.warnings]
    parts, beats, warnings, empty = [], [], named[:_MOST], []
    if len(named) > _MOST:
        warnings.append(f"score: {len(named) - _MOST} more warnings of scores, not listed")
    for k, file in enumerate(pieces.scores):
        if file:
            begin, duration = float(pieces.begins[k]), float(pieces.durations[k])
            part = excerpt(scores[file], float(pieces.starts[k]), duration)
            parts.append((part.onset + begin, part.duration, part.pitch, part.velocity))
            if part.beats is not None:
                one = part.beats
                beats.append((one.seconds + begin, one.in_bar, one.per_bar))
            if not len(part):
                empty.append(f"{pieces.names[k]} ({Path(file).name})")
    if empty:
        number, names = _listed(empty, pieces)
        warnings.append(f"score: no note lies within {number}: {names}")
    if without := sum(not path for path in pieces.scores):
        warnings.append(f"score: {without} of {len(pieces.names)} stimuli have none")
    warnings += _late_notes(pieces, scores)
    onset, length, pitch, velocity = map(np.concatenate, zip(*parts, strict=True))
    if not len(onset):
        raise GibletError(f"no note of any score lies within its {pieces.kind}: check score_offset")
    together = Beats(*map(np.concatenate, zip(*beats, strict=True))) if beats else None
    return Notes.from_unsorted(onset, length, pitch, velocity, together, tuple(warnings))


_read_once = once_per_file(read_score)


def _late_notes(pieces: Pieces, scores: Mapping[str, Notes]) -> list[str]:
    """A line where notes begin after the end of the only piece that their score is of.

    Of several excerpts of a score the notes of one lie outside the others.
    """
    late, counts = [], Counter(pieces.scores)
    for k, file in enumerate(pieces.scores):
        if file and counts[file] == 1:
            end = float(pieces.starts[k] + pieces.durations[k])
            n = int((scores[file].onset >= end - TOLERANCE).sum())
            if n > _FEW_LATE * len(scores[file]):
                late.append(f"{pieces.names[k]} ({n} of {len(scores[file])})")
    if not late:
        return []
    number, names = _listed(late, pieces)
    return [
        f"score: notes begin after the end of {number}, and are left out: {names}; are these the "
        "scores of what was played?"
    ]


def _listed(names: Sequence[str], pieces: Pieces) -> tuple[str, str]:
    """How many pieces or stimuli there are, and the first of their names."""
    more = f" and {len(names) - _MOST} more" * (len(names) > _MOST)
    several = "stimuli" if pieces.kind == "stimulus" else "pieces"
    what = pieces.kind if len(names) == 1 else several
    return f"{len(names)} {what}", f"{', '.join(names[:_MOST])}{more}"


def early_ends(notes: Notes, seconds: float, pieces: Pieces | None = None) -> list[str]:
    """A line where a score ends more than 10 s, and more than 10 %, before its sound.

    ``notes`` on the clock of a film of ``seconds`` s; ``pieces`` where there are several. A
    recording that plays the repeats of a score that has them once ends later, for example.

    >>> notes = Notes(np.array([0.0, 60.0]), np.ones(2), np.array([60, 64]), np.full(2, 80))
    >>> early_ends(notes, 70.0), early_ends(notes, 120.0)[0][:57]
    ([], 'score: its last note ends at 61.0 s, the sound at 120.0 s')
    """
    advice = "; has it all notes, and repeats as they are played?"
    if pieces is None:
        if not _is_early(notes.end, seconds):
            return []
        return [
            f"score: its last note ends at {notes.end:.1f} s, the sound at {seconds:.1f} s{advice}"
        ]
    early = []
    for k, own in scores_apart(notes, pieces).items():
        duration = min(float(pieces.durations[k]), seconds - float(pieces.begins[k]))
        if _is_early(own.end, duration):
            early.append(f"{pieces.names[k]} ({own.end:.0f} of {duration:.0f} s)")
    if not early:
        return []
    number, names = _listed(early, pieces)
    return [f"score: those of {number} end before the sound: {names}{advice}"]


def _is_early(end: float, seconds: float) -> bool:
    return seconds - end > max(_EARLY_SECONDS, _EARLY_SHARE * seconds)


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


def scores_apart(notes: Notes, pieces: Pieces) -> dict[int, Notes]:
    """Of `join_scores` the notes of each piece that has any, at times since it began."""
    apart, longest = {}, float(notes.duration.max(initial=0.0))
    for k, (begin, duration) in enumerate(zip(pieces.begins, pieces.durations, strict=True)):
        first, end = float(begin) - longest - 2 * TOLERANCE, float(begin + duration)
        part = excerpt(_begun_between(notes, first, end), float(begin), float(duration))
        if len(part):
            apart[k] = part
    return apart


def _begun_between(notes: Notes, first: float, end: float) -> Notes:
    """Notes and beats that begin in [first, end) s, at the times that they have."""
    a, b = np.searchsorted(notes.onset, (first, end))
    beats = notes.beats
    if beats is not None:
        c, d = np.searchsorted(beats.seconds, (first, end))
        of_beats = (column[c:d] for column in (beats.seconds, beats.in_bar, beats.per_bar))
        beats = Beats(*of_beats) if d - c > 1 else None
    onset, duration = notes.onset[a:b], notes.duration[a:b]
    return Notes(onset, duration, notes.pitch[a:b], notes.velocity[a:b], beats)


def same_music(apart: Mapping[int, Notes], pieces: Pieces) -> np.ndarray:
    """Equal numbers of pieces that share seconds of a score, or have the same notes: (n_pieces,).

    The number is the index of the first of them. The same notes are eight or more of the same
    pitches, at times since the first that differ by less than 10 ms. ``apart`` as of
    `scores_apart`.
    """
    music = pieces.same_music
    known: dict[bytes, list[tuple[np.ndarray, int]]] = {}
    for k, notes in apart.items():
        if len(notes) < _FEWEST_SAME:
            continue
        since, others = notes.onset - notes.onset[0], known.setdefault(notes.pitch.tobytes(), [])
        same = (j for other, j in others if np.abs(since - other).max() < _SAME_TIME)
        first = next(same, k)
        music[np.isin(music, music[[first, k]])] = music[[first, k]].min()
        others.append((since, k))
    return music


def piece_lags(notes: Notes, envelope: np.ndarray, pieces: Pieces) -> dict[int, ScoreLag]:
    """Lag of each piece's own sound behind its score, by the index of the piece.

    ``envelope`` (n_frames,) of ``giblet.music.score_sync.onset_envelope``. Pieces of less than
    20 s are too short to say.
    """
    apart = scores_apart(notes, pieces)
    lags = {k: score_lag(*both) for k, both in _onsets(apart, envelope, pieces).items()}
    return {k: lag for k, lag in lags.items() if lag is not None}


def common_lag(
    notes: Notes, envelope: np.ndarray, pieces: Pieces, seed: int = 0
) -> ScoreLag | None:
    """Lag of all pieces together: `giblet.music.score_sync.joint_lag`."""
    apart = scores_apart(notes, pieces)
    music = same_music(apart, pieces)[list(apart)]
    return joint_lag(list(_onsets(apart, envelope, pieces).values()), music, seed)


def piece_fits(
    notes: Notes,
    envelope: np.ndarray,
    pieces: Pieces,
    whole: ScoreLag | None,
    seed: int = 0,
) -> ScoreFits | None:
    """`giblet.music.score_fits.score_fits` of all pieces, by their index; those without are NaN.

    ``whole`` as of `common_lag`; None where the scores do not fit at it.
    """
    if whole is None or not whole.is_this_piece:
        return None
    apart = scores_apart(notes, pieces)
    onsets, none = _onsets(apart, envelope, pieces), (np.zeros(0), np.zeros(0))
    parts = [onsets.get(k, none) for k in range(len(pieces.names))]
    return score_fits(parts, whole.seconds, same_music(apart, pieces), seed)


def _onsets(
    apart: Mapping[int, Notes], envelope: np.ndarray, pieces: Pieces
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Onset density and envelope of each piece, (n_frames,) both, by its index."""
    found = {}
    for k, part in apart.items():
        first = count_samples(float(pieces.begins[k]), RATE_HZ)
        most = min(float(pieces.durations[k]), part.end + _AFTER)
        own = envelope[first : first + count_samples(most, RATE_HZ)]
        found[k] = onset_density(part, len(own)), own
    return found


def piece_warnings(
    lags: Mapping[int, ScoreLag], pieces: Pieces, whole: ScoreLag | None
) -> list[str]:
    """Lines about pieces whose score does not fit their sound, or that are late or early.

    ``lags`` as of `piece_lags`. Not where a piece has the lag of all together, ``whole``.
    """
    what = "stimuli" if pieces.kind == "stimulus" else "pieces"
    wrong = [pieces.names[k] for k, lag in lags.items() if not lag.is_this_piece]
    lines = []
    if wrong:
        number, names = _listed(wrong, pieces)
        lines.append(
            f"score: those of {number} fit their sound no better than by chance: {names}; are they "
            "of other pieces?"
        )
    known = 0.0 if whole is None else whole.seconds
    late = [
        f"{pieces.names[k]} {1000 * lag.seconds:.0f} ms"
        for k, lag in lags.items()
        if lag.is_this_piece and abs(lag.seconds - known) > NOTABLE
    ]
    if late:
        more = f" and {len(late) - _MOST} more" * (len(late) > _MOST)
        lines.append(
            f"score: {what} whose sound is behind the score by another time than the rest: "
            f"{', '.join(late[:_MOST])}{more}"
            + "; add it to score_offset in their rows of the table"
        )
    return lines


def fit_warnings(fits: ScoreFits | None, pieces: Pieces, known: Collection[int]) -> list[str]:
    """A line that names pieces whose scores are of other sounds, but for those in ``known``."""
    if fits is None or not (wrong := [k for k in fits.named if k not in known]):
        return []
    named = [
        f"{pieces.names[k]} (that of {pieces.names[fits.better[k]]} fits)"
        if k in fits.better
        else pieces.names[k]
        for k in wrong
    ]
    number, names = _listed(named, pieces)
    return [
        f"score: those of {number} fit their sound worse than the rest do, and other scores fit as "
        f"well (each is wrong with a probability above {LIKELY:.2g}): {names}; check their scores, "
        "and score_offset in their rows of the table"
    ]


def pieces_on_trs(
    apart: dict[int, Notes],
    pieces: Pieces,
    t_r: float,
    n_trs: int,
    listen: Callable[[Notes], Listening],
) -> tuple[xr.Dataset, pd.DataFrame]:
    """Scores of several pieces on the TRs of their film, and the table of their notes.

    Each piece is heard alone: nothing of one is expected, or remembered, in another. Notes' values
    are compared with the mean over the notes of all pieces. In a TR in which one piece follows
    another, values of both are added up.

    Parameters
    ----------
    apart : index of a piece → its notes, as of `scores_apart`
    t_r : s
    n_trs : of the film
    listen : notes → the piece with the models that expect it

    Returns
    -------
    arrays : as of `score_on_trs`, 0 where there is no score
    table : one row for each note: ``piece`` or ``stimulus``, ``onset duration pitch`` and
        `note_features`; onsets in s of the film
    """
    heard = {k: listen(notes) for k, notes in apart.items()}
    features = {k: note_features(piece) for k, piece in heard.items()}
    table = pd.concat(
        [
            pd.DataFrame(
                {
                    pieces.kind: pieces.names[k],
                    "onset": piece.notes.onset + pieces.begins[k],
                    "duration": piece.notes.duration,
                    "pitch": piece.notes.pitch,
                }
            ).join(features[k])
            for k, piece in heard.items()
        ],
        ignore_index=True,
    )
    means = pd.concat(features.values()).mean().fillna(0.0).to_dict()
    parts = []
    for k, piece in heard.items():
        begin, end = float(pieces.begins[k]), float(pieces.ends[k])
        first = int(volumes_to_trs(np.array([begin]), t_r)[0])
        last = n_trs if np.isinf(end) else min(n_trs, trs_for(end, t_r))
        if first < last:
            offset = begin - float(tr_onsets(first + 1, t_r)[-1])
            options = {"means": means, "until": end - begin}
            parts.append((first, score_on_trs(piece, t_r, last - first, offset, **options)))
    return _joined(parts, n_trs), table


def _joined(parts: Sequence[tuple[int, xr.Dataset]], n_trs: int) -> xr.Dataset:
    """Parts with their first TR. Values that some pieces lack, as of beats, are 0 there."""
    if not parts:
        raise GibletError("no piece with a score lies within the film's TRs")
    widest = max((part for _first, part in parts), key=lambda part: part.sizes["score_value"])
    names = widest["score_value"].values
    shape = widest["score"].shape[1:]
    roll = np.zeros((n_trs, *shape), dtype=widest["score"].dtype)
    values = np.zeros((n_trs, len(names)), dtype=np.float32)
    for first, part in parts:
        own = slice(first, first + part.sizes["tr"])
        roll[own] = np.maximum(roll[own], part["score"].values)
        values[own] += part["score_values"].reindex(score_value=names, fill_value=0).values
    return xr.Dataset(
        {
            "score": (("tr", "score_step", "score_row"), roll),
            "score_values": (("tr", "score_value"), values),
        },
        coords={n: c for n, c in widest.coords.items() if n != "tr"} | {"tr": np.arange(n_trs)},
        attrs=widest.attrs,
    )
