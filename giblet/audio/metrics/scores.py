"""Scores of a reconstructed sound against the original, by the table of metrics.

Segments are scored one by one, then averaged, with a bootstrap interval. A segment that cannot be
scored is counted, never given a number.
"""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from itertools import compress, pairwise

import numpy as np
import pandas as pd

from giblet.audio.metrics.child import CHILDREN_AT_ONCE
from giblet.audio.metrics.distances import log_mel_floor
from giblet.audio.metrics.metric import Pair
from giblet.audio.metrics.segment import Segment
from giblet.audio.metrics.speech import segment_edges
from giblet.audio.metrics.table import METRICS, SPEECH, Metric, metric_of, segment_metrics
from giblet.io.validation import check_sample_rate, check_waveform
from giblet.log import progress
from giblet.parallel import in_threads

logger = logging.getLogger(__name__)

_LOUD = 10.0  # times full scale: 20 dB
SEGMENT_SECONDS = 8.0  # PESQ wants 8 to 10 s
# columns in which feature types are compared segment by segment, and the table of their scores
COMPARED, SEGMENT_SCORES = ("codec", "stimulus", "brain"), "segments.tsv"

_PAIRS_PER_TASK = 24  # of segments: about 5 s of work


def score_sound(
    reference: np.ndarray,
    estimate: np.ndarray,
    sample_rate: float,
    *,
    segment_seconds: float = 8.0,
    seed: int = 0,
    n_bootstrap: int = 1000,
    n_jobs: int = 1,
) -> pd.DataFrame:
    """Scores of ``estimate`` against ``reference``, by segments of ``segment_seconds``.

    Metrics are the entries of `giblet.audio.metrics.table.METRICS` that have a function. PESQ is
    computed only for segments of which at least half is speech by ``speech_share`` of the
    reference; the others are not failures, and not in its ``n``. All but log_mel_db fail where
    reference or estimate is silent; STOI also with less than 0.4 s of sound. PESQ hears no delay
    and log_mel_db no phase: read them side by side.

    Parameters
    ----------
    reference, estimate : (n_samples,) float, equally long, at ``sample_rate`` Hz
    segment_seconds : length of a segment; `giblet.audio.metrics.speech.segment_edges` has the rest
    seed, n_bootstrap : of the interval
    n_jobs : see `score_estimates`

    Returns
    -------
    table with ``metric value low high n n_failed``: the mean over ``n`` segments (the median for
    sync_error_ms), its 95 % percentile bootstrap interval over segments (NaN for n < 2), and the
    number of segments that could not be scored. ``value`` is NaN when ``n`` is 0.

    Raises
    ------
    TypeError, ValueError
        Not finite floats of shape (n_samples,), or not equally long; a ``sample_rate`` that is not
        whole, or below 1,000.
    RuntimeError
        The ``pesq`` package does not work at all.
    """
    scores = segment_scores(reference, estimate, sample_rate, segment_seconds, n_jobs)
    for name, sound in (("reference", reference), ("estimate", estimate)):
        if (peak := np.abs(np.asarray(sound)).max()) > _LOUD:
            logger.warning(
                "%s has a peak of %.5g, where 1 is full scale: log_mel_db is of that level. "
                "Divide floats in units of 16-bit samples by 32768",
                name,
                peak,
            )
    rows = [{"metric": m, **summarise(m, s, seed, n_bootstrap)} for m, s in scores.items()]
    return pd.DataFrame(rows)


def segment_scores(
    reference: np.ndarray,
    estimate: np.ndarray,
    sample_rate: float,
    segment_seconds: float,
    n_jobs: int = 1,
) -> dict[str, np.ndarray]:
    """`score_estimates` of one estimate."""
    return score_estimates(reference, [estimate], sample_rate, segment_seconds, n_jobs)[0]


def speech_segments(
    reference: np.ndarray, sample_rate: float, segment_seconds: float = SEGMENT_SECONDS
) -> np.ndarray:
    """Which segments of a sound (n_samples,) metrics of speech score: (n_speech_segments,) int."""
    edges = segment_edges(len(reference), segment_seconds, sample_rate)
    no_floor = 0.0  # which speech does not ask for
    every = [Segment(reference[a:b], sample_rate, no_floor) for a, b in pairwise(edges)]
    return np.flatnonzero([segment.is_speech for segment in every])


def score_estimates(
    reference: np.ndarray,
    estimates: Sequence[np.ndarray],
    sample_rate: float,
    segment_seconds: float,
    n_jobs: int = 1,
) -> list[dict[str, np.ndarray]]:
    """Every metric's scores of the segments of each of ``estimates`` against one reference.

    What is of the reference alone is computed once. Scores are the same for any ``n_jobs``.

    Parameters
    ----------
    reference, each of estimates : (n_samples,) float, equally long, at ``sample_rate`` Hz
    segment_seconds : length of a segment
    n_jobs
        Groups of segments that are scored at a time, each by one thread; PESQ has processes of its
        own. More than a few gain little.

    Returns
    -------
    one table of scores an estimate, NaN for segments that could not be scored: metric →
    (n_segments,), but (n_speech_segments,) for pesq_wb.

    Raises as `score_sound` does, and ValueError where ``n_jobs`` is less than 1.
    """
    if n_jobs < 1:
        raise ValueError(f"n_jobs must be 1 or more, got {n_jobs}")
    sample_rate = check_sample_rate(sample_rate)
    reference = _as_sound(reference, "reference")
    estimates = [_as_sound(estimate, "estimate") for estimate in estimates]
    for estimate in estimates:
        if len(reference) != len(estimate):
            raise ValueError(
                f"reference has {len(reference)} samples and estimate {len(estimate)}: cut both "
                "to the same stretch of time first"
            )
    if not estimates:
        return []
    edges = segment_edges(len(reference), segment_seconds, sample_rate)
    segments = [[sound[a:b] for sound in (reference, *estimates)] for a, b in pairwise(edges)]
    floor = log_mel_floor(reference, sample_rate)
    parts = _parts(segments, sample_rate, floor, n_jobs)
    scores = {
        metric: np.concatenate([part[metric] for part in parts], axis=1) for metric in parts[0]
    }
    return [{metric: s[i] for metric, s in scores.items()} for i in range(len(estimates))]


def _as_sound(waveform: np.ndarray, name: str) -> np.ndarray:
    """`check_waveform` in float32 or float64, which resamplers take."""
    waveform = check_waveform(waveform, name)
    is_usual = waveform.dtype in (np.float32, np.float64)
    return waveform if is_usual else waveform.astype(np.float64)


def _parts(
    segments: list[list[np.ndarray]], sample_rate: float, mel_floor: float, n_jobs: int
) -> list[dict]:
    """`_scores_of` some segments after others, each on one thread."""
    from threadpoolctl import threadpool_limits

    n_together = max(1, _PAIRS_PER_TASK // (len(segments[0]) - 1))
    tasks = [segments[i : i + n_together] for i in range(0, len(segments), n_together)]
    of_task = partial(_scores_of, sample_rate=sample_rate, mel_floor=mel_floor)
    with threadpool_limits(1, user_api="blas"):
        scored = in_threads(of_task, tasks, n_jobs)
        return list(progress(scored, "scoring sound", total=len(tasks)))


def _scores_of(
    segments: list[list[np.ndarray]], sample_rate: float, mel_floor: float
) -> dict[str, np.ndarray]:
    """Every metric's scores of some segments [reference, estimate, …].

    Shapes (n_estimates, n_segments), but (n_estimates, n_speech_segments) for metrics of speech.
    """
    every = [[Segment(sound, sample_rate, mel_floor) for sound in each] for each in segments]
    speech = [each for each in every if each[0].is_speech]
    pairs = {}
    for metric in segment_metrics():
        rows = speech if metric.applies_to == SPEECH else every
        pairs[metric.name] = [(truth, own) for truth, *others in rows for own in others]
    n = len(every[0]) - 1
    return {name: s.reshape(len(s) // n, n).T for name, s in score_metrics(pairs).items()}


def score_metrics(pairs: Mapping[str, Sequence[Pair]]) -> dict[str, np.ndarray]:
    """`score_pairs` of each metric's pairs, by its name.

    Metrics with a process of their own are computed beside the others: nobody waits for them.
    """
    asked = {name: METRICS[name] for name in pairs}
    beside = [name for name, metric in asked.items() if metric.in_child]
    with ThreadPoolExecutor(CHILDREN_AT_ONCE) as threads:
        waiting = {
            name: threads.submit(copy_context().run, score_pairs, asked[name], pairs[name])
            for name in beside
        }
        scores = {n: score_pairs(m, pairs[n]) for n, m in asked.items() if n not in waiting}
        scores |= {name: one.result() for name, one in waiting.items()}
    return {name: scores[name] for name in pairs}


def score_pairs(metric: Metric, pairs: Sequence[Pair]) -> np.ndarray:
    """Scores (n_pairs,) of segments, reference and estimate; NaN where there is none.

    Raises ValueError for a metric that does not score segments.
    """
    if metric.function is None:
        raise ValueError(f"{metric.name} has no function that scores segments of sound")
    asked = [metric.scores_silence or (r.audible and e.audible) for r, e in pairs]
    scores = np.full(len(pairs), np.nan)
    scores[asked] = metric.function(list(compress(pairs, asked)))
    return scores


def summarise(metric: str, scores: np.ndarray, seed: int, n_bootstrap: int) -> dict[str, float]:
    """One row of the table from ``scores`` (n_segments,), NaN = could not be scored."""
    average = metric_of(metric).average
    scored = scores[np.isfinite(scores)]
    n = len(scored)
    low = high = np.nan
    if n > 1:
        drawn = np.random.default_rng(seed).integers(n, size=(n_bootstrap, n))
        low, high = np.quantile(average(scored[drawn], axis=1), [0.025, 0.975])
    value = average(scored) if n else np.nan
    return {"value": value, "low": low, "high": high, "n": n, "n_failed": len(scores) - n}
