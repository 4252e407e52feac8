"""Surprisal and entropy of notes by variable-order Markov models, in the manner of IDyOM."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from giblet.errors import GibletError
from giblet.music.notes import Notes
from giblet.music.ppm import LongTerm, combined, entropy, short_term
from giblet.music.tokens import VOCABULARY

Memory = Literal["short", "long", "both"]
PARTS_OF_OCTAVE = 4  # classes of time per factor of 2
N_TIMES = 2 + PARTS_OF_OCTAVE * int(np.log2(VOCABULARY.max_steps))  # the first: at once
_WIDEST = VOCABULARY.n_pitches - 1  # interval in semitones
N_INTERVALS = 2 * _WIDEST + 1


@dataclass(frozen=True, eq=False)
class NoteSurprisal:
    """Surprisal and entropy of each note, in nats, from what was heard before it.

    NaN at notes without a value of their own, as at the second of two unisons in a model of tokens.

    Parameters
    ----------
    pitch, time : (n_notes,) float64, ``-log p`` of which pitch and of when
    pitch_entropy, time_entropy : (n_notes,) float64, of what the model expected there
    """

    pitch: np.ndarray
    time: np.ndarray
    pitch_entropy: np.ndarray
    time_entropy: np.ndarray

    @property
    def both(self) -> np.ndarray:
        """Surprisal (n_notes,) of pitch and time together."""
        return self.pitch + self.time

    @property
    def entropy(self) -> np.ndarray:
        """Entropy (n_notes,) of pitch and time together."""
        return self.pitch_entropy + self.time_entropy


def time_classes(onset: np.ndarray) -> np.ndarray:
    """Classes (n_notes,) int64 of the time since the note before: quarters of an octave.

    0 less than half a step of 1/64 s (a chord), 1 one step, 5 two, 9 four, up to 8 s. Onsets that
    differ by rounding, as those of triplets, have one class. The first note is 0.

    >>> time_classes(np.array([0.0, 0.0, 0.25, 0.5, 0.875, 30.0])).tolist()
    [0, 0, 17, 17, 19, 37]
    """
    steps = np.diff(onset, prepend=onset[:1]) / VOCABULARY.step_seconds
    parts = 1 + np.rint(PARTS_OF_OCTAVE * np.log2(np.clip(steps, 1, VOCABULARY.max_steps)))
    return np.where(steps < 0.5, 0, parts).astype(np.int64)


class NgramModel:
    """Variable-order Markov model of the pitch and the time of notes, one after another.

    Pitch is predicted from pitches and from intervals (semitones to the note before), which know
    nothing of the key; time from classes of the time between notes. Each is a PPM* model
    (`giblet.music.ppm`) with two memories: *short-term*, what the piece has had so far, and
    *long-term*, a corpus. First the two views of pitch, then the two memories are combined by an
    entropy-weighted geometric mean. So does IDyOM (Pearce 2005, The construction and evaluation of
    statistical models of melodic structure, PhD thesis, City University London), which has more
    viewpoints and reads one voice. Here the notes of a chord follow one another from the lowest up,
    and pitch and time are independent given the past.

    Parameters
    ----------
    corpus : pieces, for the long-term model; not those whose surprisal is asked for
    order : longest context in notes
    memory : ``"short"``, ``"long"`` or ``"both"``; by default what the corpus allows
    view_bias, memory_bias : of the two combinations, see `giblet.music.ppm.combined`

    Raises GibletError for a long-term model without a corpus.

    >>> notes = Notes(np.arange(9) / 2, np.full(9, 0.5), np.tile([60, 64, 67], 3), np.full(9, 80))
    >>> NgramModel().surprisal(notes).pitch.round(1).tolist()
    [4.9, 5.0, 5.1, 3.5, 0.6, 0.3, 0.3, 0.2, 0.1]
    """

    def __init__(
        self,
        corpus: Sequence[Notes] = (),
        order: int = 10,
        memory: Memory | None = None,
        view_bias: float = 1.0,
        memory_bias: float = 2.0,
    ):
        corpus = [notes for notes in corpus if len(notes)]
        self.memory = memory or ("both" if corpus else "short")
        if self.memory != "short" and not corpus:
            raise GibletError("a long-term n-gram model needs a corpus: give pieces with notes")
        self.order, self.view_bias, self.memory_bias = order, view_bias, memory_bias
        self._long: dict[str, LongTerm] = {}
        if self.memory != "short":
            views = [_views(notes) for notes in corpus]
            self._long = {
                name: LongTerm([view[name] for view in views], size, order)
                for name, size in _SIZES.items()
            }

    def surprisal(self, notes: Notes) -> NoteSurprisal:
        """Of each note given those before it."""
        pitch, time = self.distributions(notes)
        each = np.arange(len(notes))
        return NoteSurprisal(
            -np.log(pitch[each, notes.pitch]),
            -np.log(time[each, time_classes(notes.onset)]),
            entropy(pitch),
            entropy(time),
        )

    def distributions(self, notes: Notes) -> tuple[np.ndarray, np.ndarray]:
        """What is expected before each note is heard.

        Returns
        -------
        pitch : (n_notes, 128) float64, of MIDI numbers
        time : (n_notes, 38) float64, of `time_classes`
        """
        views = _views(notes)
        pitches, times = [], []
        for learn in self._memories():
            by_pitch = learn("pitch", views)
            by_interval = _as_pitches(learn("interval", views), notes.pitch)
            pitches.append(combined([by_pitch, by_interval], self.view_bias))
            times.append(learn("time", views))
        return combined(pitches, self.memory_bias), combined(times, self.memory_bias)

    def _memories(self):
        def short(name, views):
            return short_term(views[name], _SIZES[name], self.order)

        def long(name, views):
            return self._long[name].distributions(views[name])

        return {"short": [short], "long": [long], "both": [short, long]}[self.memory]


_SIZES = {"pitch": VOCABULARY.n_pitches, "interval": N_INTERVALS, "time": N_TIMES}


def _views(notes: Notes) -> dict[str, np.ndarray]:
    """The sequences that a piece is to the models; there is no interval before the second note."""
    return {
        "pitch": notes.pitch,
        "interval": np.diff(notes.pitch) + _WIDEST,
        "time": time_classes(notes.onset),
    }


def _as_pitches(intervals: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """Distributions of intervals (n_notes - 1, 255) as those of pitches (n_notes, 128).

    Those of pitches that do not exist are left out; the first note may be any.
    """
    n_pitches = VOCABULARY.n_pitches
    p = np.full((len(pitch), n_pitches), 1 / n_pitches)
    reached = np.arange(n_pitches) - pitch[:-1, None] + _WIDEST
    p[1:] = np.take_along_axis(intervals, reached, axis=1)
    return p / p.sum(1, keepdims=True)
