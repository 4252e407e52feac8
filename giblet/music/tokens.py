"""Notes as a sequence of tokens, and back: the one place that knows the vocabulary's borders.

Time is counted in steps of 1/64 s from the first onset. Onsets and ends are each rounded to the
nearest step, so that no error adds up: every one is at most half a step (7.8125 ms) off.

The canonical form, which `tokenize` makes: at each moment first the NOTE_OFFs, then the NOTE_ONs,
both ascending in pitch; a VELOCITY before a NOTE_ON whose loudness differs from the last one's, and
before the first; between moments the fewest TIME_SHIFTs, all but the last of 512 steps. A pitch
sounds once at a time: a second onset cuts the first note, and notes that begin in one step are
merged (the longest duration, the greatest velocity). A note lasts at least one step.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from giblet.errors import GibletError
from giblet.music.notes import LONGEST_PIECE, Notes


@dataclass(frozen=True)
class Vocabulary:
    """774 tokens, and three ids beside them; every border between kinds of tokens stands here.

    Methods take integers, numpy arrays or torch tensors, and keep the kind.

    >>> VOCABULARY.note_on_token(60), VOCABULARY.time_shift_token(64), VOCABULARY.velocity_token(3)
    (60, 319, 771)
    >>> VOCABULARY.steps(np.array([60, 319])).tolist()
    [0, 64]
    """

    size: ClassVar[int] = 774
    n_ids: ClassVar[int] = 777
    pad: ClassVar[int] = 774
    bos: ClassVar[int] = 775
    eos: ClassVar[int] = 776
    note_on: ClassVar[slice] = slice(0, 128)
    note_off: ClassVar[slice] = slice(128, 256)
    time_shift: ClassVar[slice] = slice(256, 768)
    velocity: ClassVar[slice] = slice(768, 774)
    n_pitches: ClassVar[int] = 128
    max_steps: ClassVar[int] = 512
    step_seconds: ClassVar[float] = 1 / 64
    n_velocities: ClassVar[int] = 6
    velocity_names: ClassVar[tuple[str, ...]] = ("pp", "p", "mp", "mf", "f", "ff")
    # the velocity that each bin is played with, and the lowest of each bin after the first: the
    # middles between them
    velocities: ClassVar[tuple[int, ...]] = (33, 49, 64, 80, 96, 112)
    velocity_edges: ClassVar[tuple[int, ...]] = (41, 57, 72, 88, 104)

    def note_on_token(self, pitch: Any) -> Any:
        """Token that begins ``pitch`` (0-127)."""
        return pitch + self.note_on.start

    def note_off_token(self, pitch: Any) -> Any:
        """Token that ends ``pitch`` (0-127)."""
        return pitch + self.note_off.start

    def time_shift_token(self, steps: Any) -> Any:
        """Token that moves on by ``steps`` (1-512) of 1/64 s."""
        return steps + (self.time_shift.start - 1)

    def velocity_token(self, velocity_bin: Any) -> Any:
        """Token that makes the NOTE_ONs after it as loud as ``velocity_bin`` (0 pp, ... 5 ff)."""
        return velocity_bin + self.velocity.start

    def is_note_on(self, tokens: Any) -> Any:
        """Mask of the NOTE_ONs."""
        return _within(tokens, self.note_on)

    def is_note_off(self, tokens: Any) -> Any:
        """Mask of the NOTE_OFFs."""
        return _within(tokens, self.note_off)

    def is_time_shift(self, tokens: Any) -> Any:
        """Mask of the TIME_SHIFTs."""
        return _within(tokens, self.time_shift)

    def is_velocity(self, tokens: Any) -> Any:
        """Mask of the VELOCITYs."""
        return _within(tokens, self.velocity)

    def steps(self, tokens: Any) -> Any:
        """Steps of 1/64 s by which each token moves on; 0 where it is no TIME_SHIFT."""
        return (tokens - (self.time_shift.start - 1)) * self.is_time_shift(tokens)

    def pitch(self, tokens: Any) -> Any:
        """Pitch of each NOTE_ON and NOTE_OFF; -1 where a token is neither."""
        on, off = self.is_note_on(tokens), self.is_note_off(tokens)
        return (tokens + 1) * on + (tokens - (self.note_off.start - 1)) * off - 1

    def velocity_bin(self, tokens: Any) -> Any:
        """Bin of each VELOCITY; -1 where a token is none."""
        return (tokens - (self.velocity.start - 1)) * self.is_velocity(tokens) - 1


VOCABULARY = Vocabulary()


def _within(tokens: Any, kind: slice) -> Any:
    return (tokens >= kind.start) & (tokens < kind.stop)


def tokenize(notes: Notes) -> np.ndarray:
    """Notes as tokens in the canonical form, without BOS and EOS.

    Returns
    -------
    tokens : (n_tokens,) int32, in [0, 774)

    >>> tokenize(Notes(np.array([2.0]), np.array([0.5]), np.array([60]), np.array([80]))).tolist()
    [771, 60, 287, 188]
    """
    v = VOCABULARY
    if not len(notes):
        return np.zeros(0, np.int32)
    begin, end, pitch, loudness = _steps_of_notes(notes)

    # One integer holds all that an event says, and sorts as the canonical form does.
    n_kinds, n_bins = 2, v.n_velocities
    ons = ((begin * n_kinds + 1) * v.n_pitches + pitch) * n_bins + loudness
    offs = (end * n_kinds * v.n_pitches + pitch) * n_bins
    events = np.sort(np.concatenate([ons, offs]))
    events, loudness = np.divmod(events, n_bins)
    events, pitch = np.divmod(events, v.n_pitches)
    step, is_on = np.divmod(events, n_kinds)

    waits = np.diff(step, prepend=0)
    n_shifts = -(-waits // v.max_steps)
    changes = np.zeros(len(step), np.int64)
    on_places = np.flatnonzero(is_on)
    changes[on_places] = np.diff(loudness[on_places], prepend=-1) != 0

    places = np.cumsum(n_shifts + changes + 1) - 1  # of each event among the tokens
    tokens = np.full(places[-1] + 1, v.time_shift_token(v.max_steps), np.int32)
    tokens[places] = np.where(is_on, v.note_on_token(pitch), v.note_off_token(pitch))
    changed, waited = changes > 0, n_shifts > 0
    tokens[places[changed] - 1] = v.velocity_token(loudness[changed])
    rest = (waits[waited] - 1) % v.max_steps + 1
    tokens[(places - changes)[waited] - 1] = v.time_shift_token(rest)
    return tokens


def _steps_of_notes(notes: Notes) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """First step, end step, pitch and velocity bin of notes of which none overlap in a pitch."""
    start = notes.onset[0]
    begin = _nearest_step(notes.onset - start)
    end = np.maximum(_nearest_step(notes.onset - start + notes.duration), begin + 1)
    order = np.lexsort((begin, notes.pitch))
    begin, end, pitch, velocity = (
        column[order] for column in (begin, end, notes.pitch, notes.velocity)
    )
    same_pitch = np.diff(pitch) == 0
    first = np.flatnonzero(np.concatenate([[True], ~same_pitch | (np.diff(begin) > 0)]))
    end, velocity = np.maximum.reduceat(end, first), np.maximum.reduceat(velocity, first)
    begin, pitch = begin[first], pitch[first]
    next_begin = np.where(np.diff(pitch) == 0, begin[1:], end[:-1])
    end[:-1] = np.minimum(end[:-1], next_begin)
    return begin, end, pitch, np.searchsorted(VOCABULARY.velocity_edges, velocity, side="right")


def _nearest_step(seconds: np.ndarray) -> np.ndarray:
    return np.floor(seconds / VOCABULARY.step_seconds + 0.5).astype(np.int64)


def detokenize(tokens: np.ndarray) -> Notes:
    """Notes that tokens say, in seconds from the first onset, which is 0; without beats.

    Any sequence is read, also one that a model made badly. The warnings count what was left out
    or repaired: ids outside the vocabulary; tokens after the first EOS; NOTE_OFFs of a pitch that
    does not sound; notes that begin a second time at the same moment; notes that never end (they
    last up to the end, at least one step); notes before the first VELOCITY (played mf); notes later
    than 24 hours; a rest before the first note. A NOTE_ON of a pitch that sounds cuts it. PAD and
    BOS say nothing.

    Parameters
    ----------
    tokens : (n_tokens,) int

    Raises GibletError for another shape, and for floats.

    >>> notes = detokenize(np.array([771, 60, 287, 188]))
    >>> notes.onset.tolist(), notes.duration.tolist(), notes.pitch.tolist(), notes.velocity.tolist()
    ([0.0], [0.5], [60], [80])
    """
    v, warnings = VOCABULARY, []

    def warn(count: int, remark: str) -> None:
        if count:
            warnings.append(f"{count} {remark}")

    tokens = _check_tokens(tokens)
    ends = np.flatnonzero(tokens == v.eos)
    if len(ends):
        warn(int((tokens[ends[0] + 1 :] != v.pad).sum()), "tokens after EOS left out")
        tokens = tokens[: ends[0]]
    known = (tokens >= 0) & (tokens < v.n_ids)
    warn(int((~known).sum()), "ids outside the vocabulary left out")
    tokens = tokens[known]

    step = np.cumsum(v.steps(tokens))  # a note's token does not move on: its own time
    pitch, is_velocity = v.pitch(tokens), v.is_velocity(tokens)
    last_velocity = np.maximum.accumulate(np.where(is_velocity, np.arange(len(tokens)), -1))

    # Notes begin and end by events of one pitch after another.
    events = np.flatnonzero(pitch >= 0)
    events = events[np.argsort(pitch[events], kind="stable")]
    is_on, event_step = v.is_note_on(tokens[events]), step[events]
    before_same = np.diff(pitch[events], append=-1) == 0  # the next event has the same pitch
    after_on = np.concatenate([[False], (before_same & is_on)[:-1]])[: len(events)]
    warn(int((~is_on & ~after_on).sum()), "NOTE_OFFs of pitches that do not sound left out")
    ons = np.flatnonzero(is_on)
    hanging = ~before_same[ons]
    warn(int(hanging.sum()), "notes never end: ended with the last token")
    end = np.where(hanging, step[-1:].sum(), event_step[np.minimum(ons + 1, len(events) - 1)])
    begin, on_pitch = event_step[ons], pitch[events[ons]]

    again = (np.diff(begin, append=-1) == 0) & (np.diff(on_pitch, append=-1) == 0)
    warn(int(again.sum()), "notes begin again at the same moment: merged")
    first = begin.min(initial=step[-1:].sum())
    last = first + round(LONGEST_PIECE / v.step_seconds)
    late = begin >= last
    warn(int(late.sum()), "notes later than 24 h left out")
    end = np.minimum(end, last)
    keep = ~(again | late)
    places, begin, end, on_pitch = events[ons][keep], begin[keep], end[keep], on_pitch[keep]
    heard = last_velocity[places]
    warn(int((heard < 0).sum()), "notes before the first VELOCITY: played mf")
    default = v.velocity_names.index("mf")
    loudness = np.where(heard < 0, default, v.velocity_bin(tokens[heard])).astype(np.int64)

    if len(begin) and first:
        warnings.append(f"a rest of {first * v.step_seconds:g} s before the first note left out")
    return Notes.from_unsorted(
        (begin - first) * v.step_seconds,
        np.maximum(end - begin, 1) * v.step_seconds,
        on_pitch,
        np.array(v.velocities)[loudness],
        warnings=tuple(warnings),
    )


def token_seconds(tokens: np.ndarray) -> np.ndarray:
    """Moment at which each token stands: the sum of the TIME_SHIFTs before it.

    A TIME_SHIFT itself stands where it begins.

    Parameters
    ----------
    tokens : (n_tokens,) int

    Returns
    -------
    seconds : (n_tokens,) float64, s after the first token

    >>> token_seconds(np.array([771, 60, 287, 188])).tolist()
    [0.0, 0.0, 0.0, 0.5]
    """
    steps = VOCABULARY.steps(_check_tokens(tokens))
    return (np.cumsum(steps) - steps) * VOCABULARY.step_seconds


def _check_tokens(tokens: np.ndarray) -> np.ndarray:
    tokens = np.asarray(tokens)
    if tokens.ndim != 1:
        raise GibletError(f"tokens: the shape must be (n_tokens,), got {tokens.shape}")
    if len(tokens) and not np.issubdtype(tokens.dtype, np.integer):
        raise GibletError(f"tokens: must be integers, got {tokens.dtype}")
    return tokens.astype(np.int64)


def checked_tokens(tokens: np.ndarray) -> np.ndarray:
    """Tokens (n_tokens,) int64, if all are of the vocabulary; else GibletError."""
    tokens = np.asarray(tokens)
    if tokens.ndim != 1 or not (np.issubdtype(tokens.dtype, np.integer) or not tokens.size):
        raise GibletError(f"tokens must be integers (n_tokens,), not {tokens.dtype} {tokens.shape}")
    outside = tokens[(tokens < 0) | (tokens >= VOCABULARY.size)]
    if outside.size:
        raise GibletError(f"token {outside[0]} is outside the vocabulary (0-{VOCABULARY.size - 1})")
    return tokens.astype(np.int64)
