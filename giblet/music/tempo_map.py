"""Ticks of a MIDI file as seconds, and its beats, from its tempos and time signatures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from giblet.music.midi_file import MidiFile
from giblet.music.notes import Beats

_MICROSECONDS = 1e6
_DEFAULT_TEMPO = 500_000  # microseconds per quarter until a tempo says otherwise: 120 a minute
_MOST_BEATS = 1_000_000  # eleven a second for a day: more is a fault, and would fill the memory


@dataclass(frozen=True)
class TempoMap:
    """Clock of a MIDI file.

    Parameters
    ----------
    starts : (n_tempos,) float64, tick at which each tempo begins, the first at 0
    seconds_per_tick : (n_tempos,) float64
    base : (n_tempos,) float64, s, moment at which each tempo begins
    """

    starts: np.ndarray
    seconds_per_tick: np.ndarray
    base: np.ndarray

    @classmethod
    def of_tempos(cls, tempos: Sequence[tuple[float, int]], ticks_per_quarter: int) -> Self:
        """Clock of (tick, microseconds per quarter), in any order; at one tick the last counts.

        >>> clock = TempoMap.of_tempos([(480, 1_000_000)], 480)
        >>> clock.seconds(np.array([240, 480, 960])).tolist()
        [0.25, 0.5, 1.5]
        """
        at = {0: _DEFAULT_TEMPO} | dict(sorted(tempos, key=lambda tempo: tempo[0]))
        starts, lengths = np.array(list(at), np.float64), np.array(list(at.values()), np.float64)
        # ticks times microseconds: whole numbers, exact up to 2^53, so no error adds up
        base = np.concatenate([[0.0], np.cumsum(np.diff(starts) * lengths[:-1])])
        scale = ticks_per_quarter * _MICROSECONDS
        return cls(starts, lengths / scale, base / scale)

    def seconds(self, ticks: np.ndarray) -> np.ndarray:
        """Moments of ``ticks`` (n,), in s."""
        tempo = np.maximum(np.searchsorted(self.starts, ticks, side="right") - 1, 0)
        return self.base[tempo] + (ticks - self.starts[tempo]) * self.seconds_per_tick[tempo]


def tempo_map(file: MidiFile) -> TempoMap:
    """Clock of ``file``: of the tempos of all its tracks."""
    if file.seconds_per_tick is not None:
        return TempoMap(np.zeros(1), np.array([file.seconds_per_tick]), np.zeros(1))
    return TempoMap.of_tempos(file.tempos, file.ticks_per_quarter)


def beats_of(file: MidiFile, clock: TempoMap, end: int) -> Beats | None:
    """Beats from tick 0 to the first at or after ``end``.

    4/4 until a time signature says otherwise; each time signature begins a bar, a cut one too. A
    beat is the note that the denominator names; in compound metres (a numerator of 6, 9, 12, ...)
    it is three of them. Of several time signatures at one tick, the first track's counts. A shorter
    bar at the start is known only where a time signature says so.

    Nobody knows the beats (None, with a warning) in a file with neither tempo nor time signature,
    in one whose clock is SMPTE's, and where there would be more than a million.
    """
    if file.seconds_per_tick is not None or not (file.tempos or file.signatures):
        file.warnings.append("no beats: neither a tempo map nor a time signature gives them")
        return None
    named: dict[int, tuple[int, int]] = {}
    for tick, numerator, denominator in sorted(file.signatures, key=lambda s: s[0]):
        named.setdefault(tick, (numerator, denominator))
    at = {0: (4, 4)} | named
    starts = [tick for tick in at if tick < end or tick == 0]
    ticks, in_bar, per_bar = [], [], []
    total = 0
    for start, stop in zip(starts, [*starts[1:], None], strict=True):
        length, beats = beat_of(*at[start], file.ticks_per_quarter)
        count = int(-(-((stop or end) - start) // length))
        if stop is None:  # one at or after the end; at least two in all
            count += 1 if end > start else 2
        total += count
        if total > _MOST_BEATS:
            file.warnings.append("beats left out: the time signatures give more than a million")
            return None
        ticks.append(start + np.arange(count) * length)
        in_bar.append(np.arange(count) % beats)
        per_bar.append(np.full(count, beats))
    seconds = clock.seconds(np.concatenate(ticks))
    if (np.diff(seconds) <= 0).any():
        file.warnings.append("beats left out: they follow each other too fast to be distinguished")
        return None
    return Beats(seconds, np.concatenate(in_bar), np.concatenate(per_bar))


def beat_of(numerator: int, denominator: int, ticks_per_quarter: int) -> tuple[float, int]:
    """Length of a beat in ticks, and beats per bar.

    >>> beat_of(3, 4, 480), beat_of(6, 8, 480)
    ((480.0, 3), (720.0, 2))
    """
    note = 4 * ticks_per_quarter / denominator
    compound = numerator > 3 and numerator % 3 == 0
    return (3 * note, numerator // 3) if compound else (note, numerator)
