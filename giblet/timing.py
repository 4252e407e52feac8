"""The clock: the only module that multiplies by t_r, a frame rate or a sample rate.

Seconds unless a suffix says otherwise. TR ``i`` covers ``[i * t_r, (i + 1) * t_r)`` of the film.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Self

import numpy as np

TOLERANCE = 1e-6  # s: a time this near an edge, as float noise puts it, lies on the edge
_EPSILON = 1e-6  # frames: the same of a codec's frames
MOST_BEND = 0.01  # share by which sound may run faster or slower before native framing is better


def check_t_r(t_r: float, frame_rate: float | None = None) -> float:
    """``t_r`` in seconds, if it can be one.

    Raises
    ------
    ValueError
        Not positive, in milliseconds by the look of it, shorter than one frame; a frame rate of 0.
    """
    is_number = isinstance(t_r, Real) and not isinstance(t_r, bool)
    if not is_number or not np.isfinite(t_r) or t_r <= 0:
        raise ValueError(f"t_r must be a positive number of seconds, got {t_r!r}")
    if t_r > 60:
        raise ValueError(f"t_r is {t_r}: that looks like milliseconds. Give seconds.")
    if frame_rate is not None and not 0 < frame_rate < 1e9:
        raise ValueError(f"a frame rate must be a positive number of Hz, got {frame_rate}")
    if frame_rate is not None and t_r * frame_rate < 1 - _EPSILON:
        raise ValueError(f"t_r {t_r} s is shorter than one frame at {frame_rate} Hz")
    return float(t_r)


def whole_trs(duration: float, t_r: float) -> int:
    """Number of whole TRs in ``duration`` seconds.

    >>> whole_trs(30.02, t_r=1.5)
    20
    """
    return int(np.floor((duration + TOLERANCE) / t_r))


def count_samples(duration: float, rate_hz: float) -> int:
    """Samples in ``duration`` seconds, rounded to the nearest.

    >>> count_samples(1.5, 24000)
    36000
    """
    return round(duration * rate_hz)


def tr_onsets(n_trs: int, t_r: float) -> np.ndarray:
    """Film time (s) at which each TR begins, shape (n_trs,)."""
    return np.arange(n_trs) * t_r


def tr_moments(n_trs: int, t_r: float, n_per_tr: int = 1) -> np.ndarray:
    """Film times (s) of evenly spaced moments of each TR; of one, its middle.

    Moment ``k`` of TR ``i`` is ``(i + (k + 0.5) / n_per_tr) * t_r``. Shape (n_trs * n_per_tr,).

    >>> tr_moments(2, t_r=2.0, n_per_tr=2).tolist()
    [0.5, 1.5, 2.5, 3.5]
    """
    spacing = t_r / n_per_tr
    return tr_onsets(n_trs * n_per_tr, spacing) + spacing / 2


def samples_duration(n_samples: float, rate_hz: float) -> float:
    """Seconds that ``n_samples`` last.

    >>> samples_duration(36000, rate_hz=24000)
    1.5
    """
    return n_samples / rate_hz


def sample_times(duration: float, rate_hz: float) -> np.ndarray:
    """Time (s) at which each sample of a sound of ``duration`` seconds begins, (n_samples,).

    >>> sample_times(1.0, rate_hz=4).tolist()
    [0.0, 0.25, 0.5, 0.75]
    """
    return sample_edges(count_samples(duration, rate_hz), rate_hz)[:-1]


def sample_edges(n_samples: int, rate_hz: float) -> np.ndarray:
    """Time (s) at which each of ``n_samples`` samples begins, and the end of the last.

    >>> sample_edges(2, rate_hz=4.0).tolist()
    [0.0, 0.25, 0.5]
    """
    return np.arange(n_samples + 1) / rate_hz


def hop_rate_hz(sample_rate: float, hop_length: float) -> float:
    """Frames per second where a frame begins every ``hop_length`` samples.

    >>> hop_rate_hz(24000, hop_length=320)
    75.0
    """
    return sample_rate / hop_length


def codebook_kbps(frame_rate: float, codebook_size: int) -> float:
    """Kilobits per second of one codebook's codes.

    >>> codebook_kbps(75, codebook_size=1024)
    0.75
    """
    return frame_rate * float(np.log2(codebook_size)) / 1000


def nyquist_hz(sample_rate: float) -> float:
    """Highest frequency that sound at ``sample_rate`` can hold.

    >>> nyquist_hz(24000)
    12000.0
    """
    return sample_rate / 2


def frames_rate_hz(n_frames: int, t_r: float) -> float:
    """Rate of features that have ``n_frames`` samples per TR.

    >>> frames_rate_hz(3, t_r=1.5)
    2.0
    """
    return n_frames / t_r


def trs_for(duration: float, t_r: float) -> int:
    """Fewest TRs that last at least ``duration`` seconds.

    >>> trs_for(32.0, t_r=1.5)
    22
    """
    return int(np.ceil((duration - TOLERANCE) / t_r))


def code_frame_edges(n_trs: int, t_r: float, frame_rate: float) -> np.ndarray:
    """Code frame at which each TR begins, and the one after the last TR.

    Edges are rounded from ``i * t_r``, never summed from widths, so rounding does not accumulate.

    >>> np.diff(code_frame_edges(n_trs=4, t_r=1.5, frame_rate=75)).tolist()
    [112, 113, 112, 113]
    """
    seconds = np.arange(n_trs + 1) * t_r
    return np.floor(seconds * frame_rate + _EPSILON).astype(np.int64)


def whole_frames(t_r: float, frame_rate: float) -> int:
    """Whole code frames that fit into a TR: those of tr_synchronous framing before giblet 0.2.

    >>> whole_frames(1.5, 12.5)
    18
    """
    return int(np.floor(t_r * frame_rate + _EPSILON))


def nearest_frames(t_r: float, frame_rate: float) -> int:
    """The whole number of frames nearest to those of a TR; of two equally near the lower.

    >>> nearest_frames(1.5, 12.5), nearest_frames(1.5, 75)
    (19, 112)
    """
    return max(1, int(np.ceil(t_r * frame_rate - 0.5 - _EPSILON)))


@dataclass(frozen=True)
class TrClock:
    """Assignment of code frames to TRs.

    ``tr_synchronous`` runs the codec on resampled sound, so that every TR holds the same whole
    number of frames: ``n_frames``, by default the nearest to ``t_r * frame_rate``. The codec hears
    the sound faster or slower by ``bend``. ``native`` keeps the codec's own frames; TRs then
    differ by one frame.

    >>> [TrClock(1.5, 75, framing).frames_per_tr for framing in ("tr_synchronous", "native")]
    [112, 113]
    """

    t_r: float
    frame_rate: float
    framing: str = "tr_synchronous"
    n_frames: int | None = None

    @classmethod
    def choose(cls, t_r: float, frame_rate: float, framing: str = "auto") -> Self:
        """``auto``: tr_synchronous, or native where that would bend the sound by above 1 %.

        >>> TrClock.choose(1.5, 75).framing, TrClock.choose(1.5, 12.5).framing
        ('tr_synchronous', 'native')
        """
        if framing != "auto":
            return cls(t_r, frame_rate, framing)
        clock = cls(t_r, frame_rate)
        return clock if abs(clock.bend) <= MOST_BEND else cls(t_r, frame_rate, "native")

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """The clock of a file, by its attributes ``t_r``, ``frame_rate``, ``framing`` and, since
        giblet 0.2, ``frames_per_tr``; before, tr_synchronous framing took `whole_frames`.

        >>> facts = {"t_r": 1.49, "frame_rate": 75.0, "framing": "tr_synchronous"}
        >>> TrClock.from_facts(facts).frames_per_tr, TrClock(1.49, 75.0).frames_per_tr
        (111, 112)
        """
        t_r, frame_rate, framing = float(facts["t_r"]), float(facts["frame_rate"]), facts["framing"]
        check_t_r(t_r, frame_rate)
        if framing != "tr_synchronous":
            return cls(t_r, frame_rate, framing)
        n_frames = int(facts.get("frames_per_tr", whole_frames(t_r, frame_rate)))
        return cls(t_r, frame_rate, framing, n_frames)

    def __post_init__(self):
        check_t_r(self.t_r, self.frame_rate)
        if self.framing not in ("tr_synchronous", "native"):
            raise ValueError(f"framing must be tr_synchronous or native, got {self.framing!r}")
        if self.n_frames is not None and abs(self.n_frames - self._exact_frames_per_tr) >= 1:
            raise ValueError(
                f"{self.n_frames} frames cannot stand for a TR's {self._exact_frames_per_tr:g}"
            )

    @property
    def _exact_frames_per_tr(self) -> float:
        return self.t_r * self.frame_rate

    @property
    def frames_per_tr(self) -> int:
        """Slots that a TR has: whole frames, one more in native framing where they do not fit."""
        if self.framing == "tr_synchronous":
            return self.n_frames or nearest_frames(self.t_r, self.frame_rate)
        whole = whole_frames(self.t_r, self.frame_rate)
        fits = abs(self._exact_frames_per_tr - whole) < _EPSILON
        return whole if fits else whole + 1

    @property
    def bend(self) -> float:
        """Share by which the codec hears the sound too fast; negative: too slow.

        >>> round(TrClock(1.5, 12.5, n_frames=18).bend, 3), round(TrClock(1.5, 12.5).bend, 3)
        (0.042, -0.013)
        """
        return self.frame_rate / self.film_frame_rate() - 1

    def encoding_rate_hz(self, sample_rate: float) -> float:
        """Rate to which sound is resampled before a codec of ``sample_rate`` encodes it."""
        if self.framing == "native":
            return float(sample_rate)
        return sample_rate * self.frames_per_tr / self._exact_frames_per_tr

    def film_frame_rate(self) -> float:
        """Frames per second of film."""
        return self.encoding_rate_hz(self.frame_rate)

    def edges(self, n_trs: int) -> np.ndarray:
        """First frame of each TR and the one after the last, shape (n_trs + 1,) int64."""
        return code_frame_edges(n_trs, self.t_r, self.film_frame_rate())

    def widths(self, n_trs: int, first_tr: int = 0) -> np.ndarray:
        """Frames that ``n_trs`` TRs from ``first_tr`` of the film on hold, shape (n_trs,) int64."""
        if min(n_trs, first_tr) < 0:
            raise ValueError(f"TRs are counted from 0 on, got {n_trs} of them from {first_tr} on")
        return np.diff(self.edges(first_tr + n_trs)[first_tr:])

    def duration(self, n_trs: int) -> float:
        """Seconds that ``n_trs`` TRs last."""
        return n_trs * self.t_r

    def head_start(self, tr: int) -> float:
        """Seconds by which the first frame of a TR begins before it (native framing, else 0)."""
        return max(0.0, self.duration(tr) - float(self.edges(tr)[-1]) / self.film_frame_rate())

    def frame_times(self, n_trs: int) -> np.ndarray:
        """Film time (s) of the middle of every frame, shape (n_frames,)."""
        return (np.arange(self.edges(n_trs)[-1]) + 0.5) / self.film_frame_rate()


def acquisition_times(n_volumes: int, t_r: float, start_time: float = 0.0) -> np.ndarray:
    """Scan time (s) at which each volume was taken: ``StartTime + i * RepetitionTime``.

    >>> acquisition_times(3, t_r=2.0, start_time=1.0).tolist()
    [1.0, 3.0, 5.0]
    """
    return start_time + np.arange(n_volumes) * t_r


def volumes_to_trs(film_times: np.ndarray, t_r: float) -> np.ndarray:
    """TR of the film that holds each of ``film_times`` (n_volumes,); negative before the film.

    Times within ``TOLERANCE`` before a TR belong to it.

    >>> volumes_to_trs(np.array([-0.75, 0.75, 2.25]), t_r=1.5).tolist()
    [-1, 0, 1]
    """
    return np.floor((np.asarray(film_times) + TOLERANCE) / t_r).astype(np.int64)


def nearest_trs(film_times: np.ndarray, t_r: float, phase: float) -> np.ndarray:
    """TR whose moment ``phase`` (s after it begins) is nearest to each of ``film_times``.

    Where all times lie at ``phase`` in their TRs it is the TR that holds them.

    >>> nearest_trs(np.array([-0.002, 0.002, 1.998]), t_r=2.0, phase=0.0).tolist()
    [0, 0, 1]
    """
    moments = (np.asarray(film_times) - phase + TOLERANCE) / t_r
    return np.floor(moments + 0.5).astype(np.int64)


def offset_in_tr(film_times: np.ndarray, t_r: float) -> float:
    """Seconds from the beginning of a TR to the times' moment in it, from 0 up to ``t_r``.

    The median on the circle of one TR: times just before and just after an edge are near each
    other, and their median is the edge.

    >>> offset_in_tr(np.array([0.75, 2.25]), t_r=1.5), offset_in_tr(np.array([1.5, 3.0]), t_r=2.0)
    (0.75, 1.25)
    >>> round(offset_in_tr(np.array([3.998, 6.002]), t_r=2.0), 6)
    0.0
    """
    phases = np.sort(np.mod(film_times, t_r))
    gaps = np.diff(np.append(phases, phases[0] + t_r))
    widest = gaps >= gaps.max() - TOLERANCE  # the circle is cut here, at the edge if it can be
    first = 0 if widest[-1] else int(widest.argmax()) + 1
    median = float(np.median(np.append(phases[first:], phases[:first] + t_r))) % t_r
    return 0.0 if min(median, t_r - median) <= TOLERANCE else median


def signed_difference(seconds: float, t_r: float) -> float:
    """``seconds`` on the circle of one TR: from half a TR before 0 up to half a TR after it.

    >>> signed_difference(1.75, t_r=2.0), signed_difference(-1.75, t_r=2.0)
    (-0.25, 0.25)
    """
    return float(seconds - np.floor((seconds + TOLERANCE) / t_r + 0.5) * t_r)


def on_edges(times: np.ndarray, t_r: float) -> np.ndarray:
    """``times`` (s), those within ``TOLERANCE`` of the beginning of a TR moved to it.

    >>> on_edges(np.array([10 * 0.72 + 1e-9, 7.3]), t_r=0.72).tolist()
    [7.199999999999999, 7.3]
    """
    edges = np.round(np.asarray(times) / t_r) * t_r
    return np.where(np.abs(times - edges) <= TOLERANCE, edges, times)


def within(since_onset: np.ndarray, duration: np.ndarray | float) -> np.ndarray:
    """Whether times, counted from an onset, lie in what begins there and lasts ``duration`` s.

    >>> within(np.array([-1e-9, 1.0, 3.0 - 1e-9]), 3.0).tolist()
    [True, True, False]
    """
    return (since_onset >= -TOLERANCE) & (since_onset < duration - TOLERANCE)


def tr_begin(film_time: float, t_r: float) -> float:
    """Film time (s) at which the TR that holds ``film_time`` begins.

    >>> tr_begin(3.75, t_r=1.5)
    3.0
    """
    return float(volumes_to_trs(np.array([film_time]), t_r)[0] * t_r)


def tr_end(film_time: float, t_r: float) -> float:
    """Film time (s) at which the TR that holds ``film_time`` ends.

    >>> tr_end(3.75, t_r=1.5)
    4.5
    """
    return tr_begin(film_time, t_r) + t_r


def tr_middle(t_r: float) -> float:
    """Seconds from the beginning of a TR to its middle.

    >>> tr_middle(1.5)
    0.75
    """
    return t_r / 2


def share_of_tr(seconds: float, t_r: float) -> float:
    """``seconds`` as a share of a TR, whatever their sign.

    >>> share_of_tr(-0.5, t_r=2.0)
    0.25
    """
    return abs(seconds) / t_r
