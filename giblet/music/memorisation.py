"""Pieces that repeat training music: the longest run of intervals that both have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from giblet.errors import GibletError
from giblet.music.notes import Notes

_BETWEEN = bytes([255])  # pieces; an interval is 0-254
_OFFSET = 127


@dataclass(frozen=True)
class SharedRun:
    """A run of successive intervals of a piece that training music has too."""

    n_intervals: int
    start: int  # the first interval's number in the piece
    source: str | None  # the training piece; None without any run

    def __str__(self) -> str:
        if self.source is None:
            return "shares no interval with training"
        return f"longest run of intervals shared with training: {self.n_intervals} ({self.source})"


class TrainingIntervals:
    """The top voice of training pieces, to search for runs that a piece shares with one of them.

    The top voice is the highest pitch that begins at each onset, an interval the difference of
    two successive ones: it stays when a piece is transposed or played at another speed.

    Parameters
    ----------
    names : of the pieces
    intervals : (n_bytes,) uint8, the intervals + 127 of all pieces in turn, each ended by 255

    >>> from giblet.music.notes import Notes
    >>> def melody(*pitches):
    ...     n = len(pitches)
    ...     return Notes(np.arange(n) * 1.0, np.ones(n), np.array(pitches), np.full(n, 80))
    >>> training = TrainingIntervals.of({"scale": melody(60, 62, 64, 65, 67)})
    >>> print(training.longest_run(melody(50, 67, 69, 71, 72, 60)))
    longest run of intervals shared with training: 3 (scale)
    """

    def __init__(self, names: Sequence[str], intervals: np.ndarray):
        self.names, self.intervals = list(names), intervals
        self._all = intervals.tobytes()
        self._ends = np.flatnonzero(intervals == _BETWEEN[0]) + 1
        if len(self._ends) != len(self.names):
            raise GibletError(f"{len(self._ends)} pieces of intervals have {len(names)} names")

    @classmethod
    def of(cls, pieces: Mapping[str, Notes]) -> Self:
        """Those of pieces, by name."""
        joined = b"".join(_intervals(notes) + _BETWEEN for notes in pieces.values())
        return cls(list(pieces), np.frombuffer(joined, np.uint8))

    def longest_run(self, notes: Notes) -> SharedRun:
        """The longest run in one training piece; of equal ones the first."""
        own = _intervals(notes)
        longest = SharedRun(0, 0, None)
        for start in range(len(own)):
            n = longest.n_intervals + 1
            while start + n <= len(own) and (place := self._all.find(own[start : start + n])) >= 0:
                source = int(np.searchsorted(self._ends, place, side="right"))
                longest = SharedRun(n, start, self.names[source])
                n += 1
        return longest


def _intervals(notes: Notes) -> bytes:
    """Intervals of the top voice, one byte each."""
    if not len(notes):
        return b""
    last = np.append(np.diff(notes.onset) > 0, True)  # of an onset, the highest pitch
    return (np.diff(notes.pitch[last]) + _OFFSET).astype(np.uint8).tobytes()
