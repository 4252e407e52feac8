"""Notes of a piece, in seconds, and the beats that its tempo map and time signatures give."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from giblet.errors import GibletError

# a longer piece is a fault of the file: its rests alone would fill the memory with tokens
LONGEST_PIECE = 24 * 3600.0


@dataclass(frozen=True, eq=False)
class Beats:
    """Moments at which beats begin, and where in their bar they are.

    Parameters
    ----------
    seconds : (n_beats,) float64, s, strictly ascending, at least 2; spans all notes
    in_bar : (n_beats,) int64, 0 at the first beat of a bar
    per_bar : (n_beats,) int64, beats of that bar

    Raises GibletError for other shapes or orders.
    """

    seconds: np.ndarray
    in_bar: np.ndarray
    per_bar: np.ndarray

    def __post_init__(self) -> None:
        _check_shapes("beats", self.seconds, self.in_bar, self.per_bar)
        if len(self.seconds) < 2:
            raise GibletError(f"beats: at least 2 are needed, got {len(self.seconds)}")
        if not np.isfinite(self.seconds).all() or (np.diff(self.seconds) <= 0).any():
            raise GibletError("beats: seconds must be finite and strictly ascending")
        if ((self.in_bar < 0) | (self.in_bar >= self.per_bar)).any():
            raise GibletError("beats: in_bar must lie between 0 and per_bar - 1")

    def phases(self, seconds: np.ndarray) -> np.ndarray:
        """Beat phase and bar phase of moments.

        Between two beats the phase grows evenly. Before the first beat and after the last one,
        beats of the same length go on.

        Parameters
        ----------
        seconds : (n,), s

        Returns
        -------
        phases : (n, 2) float64, each in [0, 1)

        >>> beats = Beats(np.arange(4.0), np.array([0, 1, 2, 0]), np.array([3, 3, 3, 3]))
        >>> beats.phases(np.array([0.0, 1.5, 3.25])).round(3).tolist()
        [[0.0, 0.0], [0.5, 0.5], [0.25, 0.083]]
        """
        seconds = np.asarray(seconds, np.float64)
        last = len(self.seconds) - 2
        beat = np.clip(np.searchsorted(self.seconds, seconds, side="right") - 1, 0, last)
        passed = (seconds - self.seconds[beat]) / (self.seconds[beat + 1] - self.seconds[beat])
        bar = (self.in_bar[beat] + passed) / self.per_bar[beat]
        phases = np.stack([passed, bar], axis=1) % 1.0
        phases[phases == 1.0] = 0.0  # the remainder of a tiny negative number
        return phases


@dataclass(frozen=True, eq=False)
class Notes:
    """Notes of a piece: the onset, duration, pitch and velocity of each.

    Parameters
    ----------
    onset : (n_notes,) float64, s, ascending; notes of one onset ascend in pitch
    duration : (n_notes,) float64, s, 0 or more
    pitch : (n_notes,) int64, MIDI number 0-127 (60 is middle C)
    velocity : (n_notes,) int64, 1-127
    beats : of the tempo map and the time signatures; None where nobody knows them
    warnings : remarks on whatever was left out or repaired, one line each

    Raises GibletError for other shapes, ranges or orders, and for a piece of more than 24 hours.

    >>> notes = Notes(np.array([0.0, 0.5]), np.array([0.5, 1]), np.array([60, 64]), np.full(2, 80))
    >>> len(notes), notes.end
    (2, 1.5)
    """

    onset: np.ndarray
    duration: np.ndarray
    pitch: np.ndarray
    velocity: np.ndarray
    beats: Beats | None = None
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        onset, duration = self.onset, self.duration
        _check_shapes("notes", onset, duration, self.pitch, self.velocity)
        if not (np.isfinite(onset).all() and np.isfinite(duration).all()):
            raise GibletError("notes: onset and duration must be finite")
        if (duration < 0).any():
            raise GibletError("notes: a duration is negative")
        _check_range("pitch", self.pitch, 0, 127)
        _check_range("velocity", self.velocity, 1, 127)
        step, rise = np.diff(onset), np.diff(self.pitch)
        if ((step < 0) | ((step == 0) & (rise < 0))).any():
            raise GibletError("notes: must ascend by onset, then pitch; use Notes.from_unsorted")
        if len(self) and self.end - onset[0] > LONGEST_PIECE:
            hours = (self.end - onset[0]) / 3600
            raise GibletError(f"notes: they span {hours:.3g} h; a piece has at most 24 h")

    def __len__(self) -> int:
        return len(self.onset)

    @property
    def end(self) -> float:
        """Moment at which the last sounding note ends, in s; 0 without notes."""
        return float((self.onset + self.duration).max()) if len(self) else 0.0

    def between(self, begin: float, end: float) -> Self:
        """Notes that begin in [begin, end), in s from ``begin`` on; they end at ``end`` at most.

        Without beats.

        >>> notes = Notes(np.array([0.0, 2]), np.ones(2), np.array([60, 64]), np.full(2, 80))
        >>> part = notes.between(1.5, 2.5)
        >>> part.onset.tolist(), part.duration.tolist(), part.pitch.tolist()
        ([0.5], [0.5], [64])
        """
        inside = (self.onset >= begin) & (self.onset < end)
        onset, duration = self.onset[inside], self.duration[inside]
        return type(self)(
            onset - begin,
            np.minimum(duration, end - onset),
            self.pitch[inside],
            self.velocity[inside],
        )

    def moved(self, seconds: float) -> Self:
        """The same notes, ``seconds`` later, without beats."""
        return type(self)(self.onset + seconds, self.duration, self.pitch, self.velocity)

    @classmethod
    def joined(cls, parts: Sequence["Notes"]) -> Self:
        """The notes of all parts, without beats."""
        nothing, no_number = np.zeros(0), np.zeros(0, np.int64)
        return cls.from_unsorted(
            np.concatenate([nothing, *(part.onset for part in parts)]),
            np.concatenate([nothing, *(part.duration for part in parts)]),
            np.concatenate([no_number, *(part.pitch for part in parts)]),
            np.concatenate([no_number, *(part.velocity for part in parts)]),
        )

    @classmethod
    def from_unsorted(
        cls,
        onset: np.ndarray,
        duration: np.ndarray,
        pitch: np.ndarray,
        velocity: np.ndarray,
        beats: Beats | None = None,
        warnings: tuple[str, ...] = (),
    ) -> Self:
        """Notes in any order, sorted by onset, then pitch; equals stay in their order."""
        onset, duration = np.asarray(onset, np.float64), np.asarray(duration, np.float64)
        pitch, velocity = np.asarray(pitch), np.asarray(velocity)
        _check_shapes("notes", onset, duration, pitch, velocity)
        order = np.lexsort((pitch, onset))
        columns = (onset[order], duration[order], pitch[order], velocity[order])
        return cls(*columns, beats=beats, warnings=warnings)


def _check_shapes(what: str, *columns: np.ndarray) -> None:
    shapes = {column.shape for column in columns}
    if len(shapes) > 1 or columns[0].ndim != 1:
        raise GibletError(f"{what}: columns must have one shape (n,), got {sorted(shapes)}")


def _check_range(name: str, values: np.ndarray, low: int, high: int) -> None:
    if not np.issubdtype(values.dtype, np.integer):
        raise GibletError(f"notes: {name} must be integers, got {values.dtype}")
    outside = values[(values < low) | (values > high)]
    if len(outside):
        raise GibletError(f"notes: {name} must lie in {low}-{high}, got {outside[0]}")
