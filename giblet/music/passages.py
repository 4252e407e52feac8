"""Passages of a score on the clock of held-out TRs, clips of them, and notes of a piano roll."""

from collections.abc import Sequence

import numpy as np

from giblet.music.notes import Notes
from giblet.music.tokens import VOCABULARY
from giblet.timing import tr_onsets

VELOCITY = 80  # of notes that a piano roll has


def passages(
    notes: Notes, trs: np.ndarray, stretches: Sequence[np.ndarray], t_r: float
) -> list[Notes]:
    """The notes of each stretch of TRs, in s from its beginning.

    Parameters
    ----------
    notes : on the film's clock
    trs : (n_trs,) number of each TR in the film
    stretches : indices into ``trs`` of TRs that follow one another
    """
    edges = tr_onsets(int(trs.max(initial=0)) + 2, t_r)
    return [notes.between(edges[trs[one[0]]], edges[trs[one[-1]] + 1]) for one in stretches]


def laid_out(parts: Sequence[Notes], stretches: Sequence[np.ndarray], t_r: float) -> Notes:
    """The notes of stretches of TRs, one after the other: TR k begins at k TRs.

    ``parts``: of each stretch (as `passages` has them), in s from its beginning.
    """
    edges = tr_onsets(1 + max((int(one[-1]) for one in stretches), default=0), t_r)
    return Notes.joined([p.moved(edges[s[0]]) for p, s in zip(parts, stretches, strict=True)])


def clips(notes: Notes, stretches: Sequence[np.ndarray], clip_trs: int, t_r: float) -> list[Notes]:
    """The notes of each clip of ``clip_trs`` TRs in a row; notes count where they begin.

    ``notes``: as `laid_out` has them. Incomplete clips are left out, as
    `giblet.audio.metrics.identify.join_clips` does.
    """
    edges = tr_onsets(2 + max((int(one[-1]) for one in stretches), default=0), t_r)
    starts = [int(one[k]) for one in stretches for k in range(0, len(one) - clip_trs + 1, clip_trs)]
    return [notes.between(edges[start], edges[start + clip_trs]) for start in starts]


def roll_notes(roll: np.ndarray, n_notes: int, share_sounding: float, step_seconds: float) -> Notes:
    """Notes of a piano roll of probabilities.

    Parameters
    ----------
    roll : (n_steps, 2 * n_pitches), pitches that sound, then those that begin, as
        `giblet.music.piano_roll` has them
    n_notes : notes begin in the cells of the highest probability, no lower than those before and
        after it
    share_sounding : of the cells; a note goes on up to one that is none of the likeliest ones

    Each begins in the middle of its step, or ends with the next of its pitch.
    """
    n_steps, n_pitches = len(roll), VOCABULARY.n_pitches
    sounding, onset = roll[:, :n_pitches], roll[:, n_pitches:]
    padded = np.pad(onset, ((1, 1), (0, 0)), constant_values=-np.inf)
    peaks = np.where((onset >= padded[:-2]) & (onset >= padded[2:]), onset, -np.inf)
    n_notes = min(n_notes, int(np.isfinite(peaks).sum()))
    if not n_notes:
        return Notes.joined([])
    cells = np.argsort(-peaks, axis=None, kind="stable")[:n_notes]
    steps, pitches = np.unravel_index(np.sort(cells), onset.shape)
    is_on = np.zeros((n_steps + 1, n_pitches), bool)
    if n_on := round(share_sounding * sounding.size):
        is_on[:-1] = sounding >= np.partition(sounding, -n_on, axis=None)[-n_on]
    begins = np.zeros_like(is_on)
    begins[steps, pitches] = True
    stops = ~is_on | begins
    stops[-1] = True
    lengths = [int(stops[k + 1 :, p].argmax()) + 1 for k, p in zip(steps, pitches, strict=True)]
    middles = (steps + 0.5) * step_seconds
    durations = (np.array(lengths) - 0.5) * step_seconds
    return Notes.from_unsorted(middles, durations, pitches, np.full(n_notes, VELOCITY))
