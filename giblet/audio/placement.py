"""Placement of decoded sound on the film's clock, by the timestamps of its pieces.

A single stamp is not evidence: packets of Ogg Vorbis and of DVDs are stamped a block late where
block sizes change, and recorders stamp by a clock that jitters. A gap or an overlap is believed
only if the stamps of the pieces that follow agree with it.
"""

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, islice
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

from giblet.errors import GibletError
from giblet.film.joined import LONGEST_GAP
from giblet.timing import count_samples, samples_duration

logger = logging.getLogger(__name__)

_GAP = 0.005  # s: smaller steps of the stamps are jitter, and are not reported
_ROUNDING = 0.001  # s: Matroska's stamps are whole milliseconds
_N_AHEAD = 12  # pieces whose stamps confirm a gap
_TIMES_WOBBLE = 1.5  # of what stamps go to and fro, a gap must be larger
_N_EVEN = 8  # pieces in a row whose stamps are off by the same more each
_ASTRAY = 0.1  # of a piece's length, by which each is off
_FEW_EVEN, _FAR_ASTRAY = 3, 2.0  # fewer pieces are enough if they are off by more
_GAPS_AT_END = 0.1, 10.0  # s: the last piece, which nothing confirms, is moved only by such gaps
_OVERLAP = 0.1  # s: what runs back by more starts again (ffmpeg's rule for MPEG-TS)
_SILENCE = 10.0  # s of silence made at once
_N_LOGGED = 5  # gaps and cuts with a line of their own


class Piece(NamedTuple):
    """Consecutive samples as they were decoded.

    samples : (n_samples,) float32, mono
    rate : Hz
    begin : film time (s) by the timestamp, None without one
    """

    samples: np.ndarray
    rate: int
    begin: float | None


def place(
    pieces: Iterable[Piece], name: str, pauses: bool = False, jitter: float = _GAP
) -> Iterator[tuple[np.ndarray, int]]:
    """Samples (n_samples,) from film time 0 on, without holes, each array with its rate in Hz.

    Silence fills gaps, in arrays of at most 10 s. Samples that overlap what came before are left
    out; timestamps that run back by more than 0.1 s start again, as in joined files, and the sound
    goes on. All are logged as warnings: the first five gaps and overlaps each, the others in one
    line at the end. Timestamps that run more than a tenth faster or slower than the samples are not
    used at all; with ``pauses`` they are: a codec that leaves out silence. At most 13 pieces are
    held. ``name`` is the file's, for messages; ``jitter``: s, gaps and overlaps that are ignored.

    Raises
    ------
    GibletError
        Timestamps that run forward by more than six hours.

    >>> late = [Piece(np.ones(2, dtype=np.float32), rate=100, begin=0.03)]
    >>> [samples.tolist() for samples, rate in place(late, name="a")]
    [[0.0, 0.0, 0.0], [1.0, 1.0]]
    """
    clock, n_to_skip, corrections = _Clock(jitter), 0, _Corrections(name)
    trusted = True
    ahead: deque[Piece] = deque()
    source = iter(pieces)
    try:
        while True:
            ahead.extend(islice(source, _N_AHEAD + 1 - len(ahead)))
            if not ahead:
                break
            piece = ahead.popleft()
            if piece.rate != clock.rate:
                clock.change_rate(piece.rate)
            if not n_to_skip and len(piece.samples) and clock.is_here(piece.begin):
                yield clock.advance(piece.samples)
                continue
            if trusted and not pauses and _runs_astray(clock, piece, ahead):
                trusted = False
                corrections.distrust(clock)
            if trusted and not n_to_skip:
                step = _believed(clock, piece, ahead)
                if not step and not ahead and piece.begin is not None:
                    corrections.ignore_last(piece.begin, clock)
                if clock.started and step < -count_samples(_OVERLAP, clock.rate):
                    corrections.start_again(clock)
                    clock.start_again(step)
                    step = 0
                corrections.add(step, clock)
                yield from clock.silence(max(step, 0))
                n_to_skip = max(-step, 0)
            kept = piece.samples[n_to_skip:] if n_to_skip else piece.samples
            n_to_skip -= len(piece.samples) - len(kept)
            if len(kept):
                yield clock.advance(kept)
    finally:  # also where the rest is not wanted
        corrections.summarise()


class _Clock:
    """Film time up to which samples have been placed; exact while the rate stays the same."""

    def __init__(self, jitter: float) -> None:
        self._jitter, self.jitter = jitter, 0
        self.rate, self._before, self._n_samples = 0, 0.0, 0
        self._n_back = 0  # samples by which timestamps ran back where they started again

    @property
    def started(self) -> bool:
        return self._n_samples > 0 or self._before > 0

    def is_here(self, begin: float | None) -> bool:
        """Whether a timestamp (s of film) is where the samples have come to."""
        if begin is None or not self._n_samples:
            return False
        return abs(self.samples_until(begin)) <= self.jitter

    @property
    def time(self) -> float:
        """Seconds."""
        return self._before + (samples_duration(self._n_samples, self.rate) if self.rate else 0)

    def change_rate(self, rate: int) -> None:
        back = samples_duration(self._n_back, self.rate) if self.rate else 0.0
        self._before, self._n_samples, self.rate = self.time, 0, rate
        self._n_back = count_samples(back, rate)
        self.jitter = count_samples(self._jitter, rate)  # samples by which timestamps may be off

    def start_again(self, step: int) -> None:
        """Timestamps that ran back by ``-step`` samples go on from here."""
        self._n_back -= step

    def samples_until(self, begin: float) -> int:
        """Samples from here to ``begin`` s of film, negative if it lies behind."""
        return count_samples(begin - self._before, self.rate) - self._n_samples + self._n_back

    def advance(self, samples: np.ndarray) -> tuple[np.ndarray, int]:
        self._n_samples += len(samples)
        return samples, self.rate

    def silence(self, n_samples: int) -> Iterator[tuple[np.ndarray, int]]:
        largest = count_samples(_SILENCE, self.rate)
        while n_samples > 0:
            n = min(n_samples, largest)
            n_samples -= n
            yield self.advance(np.zeros(n, dtype=np.float32))


def _believed(clock: _Clock, piece: Piece, ahead: Sequence[Piece]) -> int:
    """Samples of silence before ``piece``; negative: samples of overlap; 0: it follows on."""
    if piece.begin is None:
        return 0
    own = clock.samples_until(piece.begin)
    if clock.started and abs(own) <= clock.jitter:
        return 0
    later = _later_offsets(clock, piece, ahead)
    if not clock.started:
        return _first_step(own, later, clock.rate)
    if not later:
        shortest, longest = (count_samples(each, clock.rate) for each in _GAPS_AT_END)
        return own if own < -shortest or shortest < own <= longest else 0
    sign = 1 if own > 0 else -1
    # of a dozen stamps, the ninth largest in this direction: nine at least say so
    agreed = sorted((sign * offset for offset in later), reverse=True)[(3 * len(later) - 1) // 4]
    wobble = _TIMES_WOBBLE * _wobble([own, *later])
    if min(sign * own, sign * later[0], agreed) <= max(clock.jitter, wobble):
        return 0
    if wobble > clock.jitter:
        return round(median([own, *later]))
    is_alike = abs(own - later[0]) <= count_samples(_ROUNDING, clock.rate)
    return own if is_alike else sign * min(sign * own, sign * later[0])


def _wobble(offsets: Sequence[int]) -> float:
    """Samples by which offsets go to and fro from one to the next: 0 where they only rise or fall.

    >>> _wobble([0, 30, 60]), _wobble([0, 30, 0, 30, 0])
    (0.0, 30.0)
    """
    steps = np.diff(offsets)
    return float(np.abs(steps).sum() - abs(steps.sum())) / len(steps)


def _runs_astray(clock: _Clock, piece: Piece, ahead: Sequence[Piece]) -> bool:
    """Whether timestamps run evenly, but at another pace than the samples.

    So FFmpeg stamps AVI with codecs whose packets it takes for samples, and FLV of other rates.
    """
    if piece.begin is None:
        return False
    own = clock.samples_until(piece.begin)
    if clock.started and abs(own) <= clock.jitter:
        return False
    steps = np.diff([own, *_later_offsets(clock, piece, ahead)])
    if len(steps) < _FEW_EVEN or np.ptp(steps) > 3 * count_samples(_ROUNDING, clock.rate):
        return False
    pieces_off = abs(steps.mean()) / max(len(piece.samples), 1)
    return bool(pieces_off > (_ASTRAY if len(steps) >= _N_EVEN else _FAR_ASTRAY))


def _first_step(own: int, later: list[int], rate: int) -> int:
    """Samples of silence before the first piece, by its stamp.

    Where stamps jitter, and where the first is later than those that follow, by their median. If
    it is much earlier, there is a gap behind the first piece.
    """
    middle = round(median([own, *later]))
    if abs(own - middle) <= count_samples(_ROUNDING, rate):
        return own
    if middle - own > 2 * count_samples(_GAP, rate):
        return own
    return middle if middle < -count_samples(_GAPS_AT_END[0], rate) else max(middle, 0)


def _later_offsets(clock: _Clock, piece: Piece, ahead: Sequence[Piece]) -> list[int]:
    """Samples by which the stamps of later pieces differ from their place if nothing is moved."""
    pieces = [piece, *ahead]
    lengths = (samples_duration(len(each.samples), each.rate) for each in pieces)
    ends = accumulate(lengths)  # s after the beginning of ``piece``
    return [
        clock.samples_until(later.begin - end)
        for later, end in zip(pieces[1:], ends, strict=False)
        if later.begin is not None
    ]


class _Corrections:
    """Reports gaps and cuts; refuses impossible ones."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.gaps: list[float] = []  # s, those without a line of their own
        self.cuts: list[float] = []
        self.n_logged = 0

    def add(self, step: int, clock: _Clock) -> None:
        """``step``: samples of silence to come, negative: samples to be left out."""
        seconds, time = samples_duration(step, clock.rate), clock.time
        if seconds > LONGEST_GAP:
            raise GibletError(
                f"{self.name}: the sound's timestamps jump from {time:.2f} s to "
                f"{time + seconds:.2f} s of film. Write it with timestamps that count its samples: "
                f"ffmpeg -i {Path(self.name).name} -c:v copy -c:a flac -af asetpts=N/SR/TB new.mkv"
            )
        if step == 0 or (step > 0 and not clock.started) or abs(seconds) <= _GAP:
            return
        if self.n_logged == _N_LOGGED:
            (self.gaps if step > 0 else self.cuts).append(abs(seconds))
            return
        self.n_logged += 1
        if step > 0:
            self._warn(f"{seconds:.3f} s without sound at {time:.2f} s")
        else:
            self._warn(f"{-seconds:.3f} s of sound left out at {time:.2f} s: its stamps overlap")

    def distrust(self, clock: _Clock) -> None:
        self._warn(
            f"its timestamps run at another pace than its samples from {clock.time:.2f} s on; they "
            "are not used"
        )

    def ignore_last(self, begin: float, clock: _Clock) -> None:
        if begin - clock.time > _GAPS_AT_END[1]:
            self._warn(
                f"its last timestamp ({begin:.2f} s) is not used: the sound ends at "
                f"{clock.time:.2f} s"
            )

    def start_again(self, clock: _Clock) -> None:
        self._warn(f"its timestamps start again at {clock.time:.2f} s: parts that were joined?")

    def summarise(self) -> None:
        if self.gaps:
            self._warn(f"{len(self.gaps)} more gaps without sound, {sum(self.gaps):.3f} s in all")
        if self.cuts:
            self._warn(
                f"{len(self.cuts)} more overlaps, {sum(self.cuts):.3f} s of sound left out in all. "
                "Do its timestamps run slower than its samples?"
            )

    def _warn(self, message: str) -> None:
        logger.warning("%s: %s", self.name, message)
