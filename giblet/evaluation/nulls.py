"""The null of decoded results: what was decoded for other moments, by circular shifts in time.

Nothing is decoded again. Shifts are of whole moments (TRs, clips or segments), 16 s or more either
way, since BOLD remembers about that long.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from giblet.audio.metrics.distances import log_mel_floor
from giblet.audio.metrics.scores import SEGMENT_SECONDS, score_metrics
from giblet.audio.metrics.segment import Segment
from giblet.audio.metrics.speech import segment_edges
from giblet.audio.metrics.table import SPEECH, segment_metrics
from giblet.evaluation.moments import NULLS, MomentScores
from giblet.evaluation.scores import sound_scores
from giblet.log import progress
from giblet.parallel import in_threads
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


def mean_shifted_shares(shares: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """``shares`` as of `shifted_shares`, of all truths, mean over ``shifts``: of the same shape.

    Two such arrays are in memory, whatever the number of shifts.

    >>> mean_shifted_shares(np.arange(4.0).reshape(1, 2, 2), np.array([0, 1])).tolist()
    [[[1.0, 2.0], [1.0, 2.0]]]
    """
    total = np.zeros(shares.shape)
    for k in shifts:
        total[:, k:] += shares[:, : shares.shape[1] - k]
        total[:, :k] += shares[:, shares.shape[1] - k :]
    return total / len(shifts)


def shifted_sound_scores(
    original: np.ndarray, waves: Sequence[np.ndarray], sample_rate: float, seed: int
) -> dict[str, np.ndarray]:
    """Metric → scores of segments of sound decoded for other segments, by shift.

    ``original`` and ``waves``, one a subject, are (n_samples,). Shapes (n_shifts, n_subjects,
    n_segments), but (…, n_speech_segments) of metrics of speech. A segment is as long as the
    original's that it is compared with; of a sound of one segment, the halves change places.
    """
    return own_and_shifted_scores(original, waves, sample_rate, seed)[1]


def own_and_shifted_scores(
    original: np.ndarray,
    waves: Sequence[np.ndarray],
    sample_rate: float,
    seed: int,
    n_jobs: int = 1,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """`giblet.audio.metrics.scores.score_estimates` of ``waves``, and `shifted_sound_scores`.

    Of own segments metric → (n_subjects, n_segments). Both need the same forms of each segment,
    which are computed once. ``n_jobs`` subjects at a time.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        null = _SoundNull(original, sample_rate, seed)
        each = in_threads(null.scores, waves, n_jobs)
        scored = list(progress(each, "scoring the null", "subjects", total=len(waves)))
    own = {metric: np.stack([one[metric][0] for one in scored]) for metric in scored[0]}
    shifted = {m: np.stack([one[m][1:] for one in scored], axis=1) for m in scored[0]}
    return own, shifted


def scores_and_nulls(
    original: np.ndarray,
    estimates: Mapping[str, Sequence[np.ndarray]],
    sample_rate: float,
    seed: int,
    n_jobs: int = 1,
) -> tuple[MomentScores, MomentScores]:
    """`sound_scores` of every column, and `shifted_sound_scores` of those that have a null.

    Keys are (column, metric); ``estimates``: column → sounds (n_samples,), one a subject.
    ``n_jobs`` sounds are scored at a time.
    """
    plain = {c: waves for c, waves in estimates.items() if c not in NULLS}
    own = sound_scores(original, plain, sample_rate, n_jobs)
    shifted: MomentScores = {}
    for column in [one for one in estimates if one in NULLS]:
        parts = own_and_shifted_scores(original, estimates[column], sample_rate, seed, n_jobs)
        for scores, part in zip((own, shifted), parts, strict=True):
            scores |= {(column, metric): values for metric, values in part.items()}
    order = list(estimates)
    return {key: own[key] for key in sorted(own, key=lambda key: order.index(key[0]))}, shifted


class _SoundNull:
    """Segments of the original, and the shifts of what was decoded for them."""

    def __init__(self, original: np.ndarray, sample_rate: float, seed: int):
        self.edges = segment_edges(len(original), SEGMENT_SECONDS, sample_rate)
        self.rate, self.floor = sample_rate, log_mel_floor(original, sample_rate)
        self.truth = [self._segment(original, *ends) for ends in self._ends()]
        self.speech = [i for i, segment in enumerate(self.truth) if segment.is_speech]
        self.shifts = null_shifts(len(self.truth), SEGMENT_SECONDS, seed)

    def scores(self, wave: np.ndarray) -> dict[str, np.ndarray]:
        """Metric → (1 + n_shifts, n_segments) of a subject's sound (n_samples,), its own first."""
        n, moved, shifts = len(self.truth), wave, self.shifts.tolist()
        if n == 1:
            moved, shifts = np.roll(wave, len(wave) // 2), [0]

        @cache
        def piece(start: int, length: int, is_own: bool) -> Segment:
            begin = min(start, len(wave) - length)  # the last segment may be shorter
            return self._segment(wave if is_own else moved, begin, begin + length)

        def estimate(i: int, k: int, is_own: bool) -> Segment:
            of_wave = is_own or n > 1  # they share segments
            return piece(int(self.edges[(i - k) % n]), self._length(i), of_wave)

        pairs, n_rows = {}, {}
        for metric in segment_metrics():
            places = self.speech if metric.applies_to == SPEECH else range(n)
            rows = [(0, True), *((k, False) for k in shifts[: metric.n_shifts])]
            of_metric = [(self.truth[i], estimate(i, *row)) for row in rows for i in places]
            pairs[metric.name], n_rows[metric.name] = of_metric, len(rows)
        scores = score_metrics(pairs)
        return {name: s.reshape(n_rows[name], len(s) // n_rows[name]) for name, s in scores.items()}

    def _segment(self, wave: np.ndarray, begin: int, end: int) -> Segment:
        return Segment(wave[begin:end], self.rate, self.floor)

    def _length(self, i: int) -> int:
        return int(self.edges[i + 1] - self.edges[i])

    def _ends(self):
        return zip(self.edges[:-1], self.edges[1:], strict=True)
