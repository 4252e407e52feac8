"""The null of decoded results: what was decoded for other moments, by circular shifts in time.

Nothing is decoded again. Shifts are of whole moments (TRs, clips or segments), 16 s or more either
way, since BOLD remembers about that long.
"""

import math
from collections.abc import Sequence
from functools import cache

import numpy as np

from giblet.audio.metrics.distances import log_mel_floor
from giblet.audio.metrics.scores import SEGMENT_SECONDS, score_pairs
from giblet.audio.metrics.segment import Segment
from giblet.audio.metrics.speech import segment_edges
from giblet.audio.metrics.table import SPEECH, Metric, segment_metrics
from giblet.log import progress
from giblet.stats.permutation import circular_shifts

MOST_SHIFTS = 100  # of TRs and clips, whose scores are cheap; `Metric.n_shifts` of sound


def null_shifts(n_moments: int, moment_seconds: float, seed: int, n_most: int = MOST_SHIFTS):
    """`circular_shifts` of moments of ``moment_seconds``, 16 s or more from 0."""
    return circular_shifts(n_moments, math.ceil(16.0 / moment_seconds), n_most, seed)


def shifted_shares(shares: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Identification of shifted estimates: (n_shifts, n_subjects, n_moments).

    ``shares`` (n_subjects, n_moments, n_moments) of
    `giblet.audio.metrics.identify.identification_shares`. Shifted by k, the estimate of moment
    i - k stands at moment i.

    >>> shifted_shares(np.arange(9).reshape(1, 3, 3), np.array([1])).tolist()
    [[[6, 1, 5]]]
    """
    at = np.arange(shares.shape[-1])
    return np.stack([shares[:, np.roll(at, k), at] for k in shifts])


def shifted_sound_scores(
    original: np.ndarray, waves: Sequence[np.ndarray], sample_rate: float, seed: int
) -> dict[str, np.ndarray]:
    """Metric → scores of segments of sound decoded for other segments, by shift.

    ``original`` and ``waves``, one a subject, are (n_samples,). Shapes (n_shifts, n_subjects,
    n_segments), but (…, n_speech_segments) of metrics of speech. A segment is as long as the
    original's that it is compared with; of a sound of one segment, the halves change places.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        null = _SoundNull(original, sample_rate, seed)
        scored = [null.scores(wave) for wave in progress(waves, "scoring the null", "subjects")]
    return {metric: np.stack([one[metric] for one in scored], axis=1) for metric in scored[0]}


class _SoundNull:
    """Segments of the original, and the shifts of what was decoded for them."""

    def __init__(self, original: np.ndarray, sample_rate: float, seed: int):
        self.edges = segment_edges(len(original), SEGMENT_SECONDS, sample_rate)
        self.rate, self.floor = sample_rate, log_mel_floor(original, sample_rate)
        self.truth = [self._segment(original, *ends) for ends in self._ends()]
        self.speech = [i for i, segment in enumerate(self.truth) if segment.is_speech]
        self.shifts = null_shifts(len(self.truth), SEGMENT_SECONDS, seed)

    def scores(self, wave: np.ndarray) -> dict[str, np.ndarray]:
        """Metric → (n_shifts, n_segments) of one subject's sound (n_samples,)."""
        if len(self.truth) == 1:
            wave, shifts = np.roll(wave, len(wave) // 2), np.array([0])
        else:
            shifts = self.shifts

        @cache
        def piece(start: int, length: int) -> Segment:
            begin = min(start, len(wave) - length)  # the last segment may be shorter
            return self._segment(wave, begin, begin + length)

        return {m.name: self._scores(m, piece, shifts[: m.n_shifts]) for m in segment_metrics()}

    def _scores(self, metric: Metric, piece, shifts: np.ndarray) -> np.ndarray:
        places = self.speech if metric.applies_to == SPEECH else range(len(self.truth))
        pairs = [
            (self.truth[i], piece(self.edges[(i - k) % len(self.truth)], self._length(i)))
            for k in shifts
            for i in places
        ]
        return score_pairs(metric, pairs).reshape(len(shifts), len(places))

    def _segment(self, wave: np.ndarray, begin: int, end: int) -> Segment:
        return Segment(wave[begin:end], self.rate, self.floor)

    def _length(self, i: int) -> int:
        return int(self.edges[i + 1] - self.edges[i])

    def _ends(self):
        return zip(self.edges[:-1], self.edges[1:], strict=True)
