"""How good a reconstructed sound is, beside the original: one table of scores.

Scores of segments come first, then their mean and how sure it is. A segment that cannot be scored
is counted, never given a number.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import compress, pairwise
from multiprocessing import get_context

import numpy as np
import pandas as pd

from giblet.audio.metrics.distances import (
    STOI_RATE_HZ,
    envelopes,
    lag_ms,
    log_mel_db,
    log_mel_distance_db,
    log_mel_floor,
    resampled_for_stoi,
    si_sdr_db,
    stoi,
)
from giblet.audio.metrics.pesq import pesq_scores
from giblet.audio.metrics.speech import SPEECH_RATE_HZ, has_signal, segment_edges, speech_share
from giblet.io.validation import check_waveform
from giblet.log import progress

MIN_SPEECH_SHARE = 0.5  # of a segment, for PESQ

_PAIRS_PER_TASK = 24  # of segments: about 5 s of work for one process


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

    ============== =========================================================== ===========
    metric         what                                                        perfect
    ============== =========================================================== ===========
    pesq_wb        wide-band PESQ (MOS-LQO) at 16 kHz, where there is speech   4.64
    stoi, estoi    (extended) short-time objective intelligibility, all sound  1
    si_sdr_db      scale-invariant signal-to-distortion ratio, means removed   above 60 dB
    log_mel_db     ``log_mel_distance_db``                                     0
    sync_error_ms  absolute ``envelope_lag_ms``                                0
    ============== =========================================================== ===========

    PESQ is asked about segments alone of which at least half is speech by ``speech_share`` of the
    reference; the others are not failures, they are not in its ``n``. All but log_mel_db
    are undefined, and fail, where reference or estimate is silent; STOI also with less than
    0.4 s of sound. PESQ hears no delay and log_mel_db no phase: read them side by side.

    Parameters
    ----------
    reference, estimate : (n_samples,) float, equally long, at ``sample_rate`` Hz
    segment_seconds : length of a segment; `giblet.audio.metrics.speech.segment_edges` has the rest
    seed, n_bootstrap : of the interval
    n_jobs : processes, see `score_estimates`

    Returns
    -------
    table with ``metric value low high n n_failed``: the mean over ``n`` segments (the median for
    sync_error_ms), its 95 % percentile bootstrap interval over segments (NaN for n < 2), and the
    number of segments that could not be scored. ``value`` is NaN when ``n`` is 0.

    Raises
    ------
    TypeError, ValueError
        Not finite floats of shape (n_samples,), or not equally long.
    RuntimeError
        The ``pesq`` package does not work at all.
    """
    scores = segment_scores(reference, estimate, sample_rate, segment_seconds, n_jobs)
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
        Processes, each on one thread. More than one start afresh (spawn), so a script that asks for
        them needs ``if __name__ == "__main__":``.

    Returns
    -------
    one table of scores an estimate, NaN for segments that could not be scored: metric →
    (n_segments,), but (n_speech_segments,) for pesq_wb.

    Raises as `score_sound` does, and ValueError where ``n_jobs`` is less than 1.
    """
    if n_jobs < 1:
        raise ValueError(f"n_jobs must be 1 or more, got {n_jobs}")
    reference = check_waveform(reference, "reference")
    estimates = [check_waveform(estimate, "estimate") for estimate in estimates]
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
    parts = list(_parts(segments, sample_rate, floor, n_jobs=n_jobs))
    scores = {
        metric: np.concatenate([part[metric] for part in parts], axis=1) for metric in parts[0]
    }
    return [{metric: s[i] for metric, s in scores.items()} for i in range(len(estimates))]


def _parts(segments: list[list[np.ndarray]], *rest, n_jobs: int) -> Iterator[dict]:
    """`_scores_of` some segments after others, over processes if that is worth it."""
    n_together = max(1, _PAIRS_PER_TASK // (len(segments[0]) - 1))
    tasks = [segments[i : i + n_together] for i in range(0, len(segments), n_together)]
    constants = [[one] * len(tasks) for one in rest]
    if min(n_jobs, len(tasks)) == 1:
        yield from map(_scores_of, progress(tasks, "scoring sound"), *constants)
        return
    with ProcessPoolExecutor(min(n_jobs, len(tasks)), get_context("spawn")) as processes:
        yield from processes.map(_scores_of, tasks, *constants)


@dataclass(frozen=True)
class _Heard:
    """A segment of sound (n_samples,) in every form that a metric takes, each made once."""

    waveform: np.ndarray
    sample_rate: float
    mel_floor: float

    @cached_property
    def audible(self) -> bool:
        return has_signal(self.waveform)

    @cached_property
    def at_16k(self) -> np.ndarray:
        import soxr

        return soxr.resample(self.waveform.astype(np.float32), self.sample_rate, SPEECH_RATE_HZ)

    @cached_property
    def for_stoi(self) -> np.ndarray:
        return resampled_for_stoi(self.waveform, self.sample_rate)

    @cached_property
    def envelopes(self) -> np.ndarray:
        return envelopes(self.at_16k)

    @cached_property
    def log_mel(self) -> np.ndarray:
        return log_mel_db(self.waveform, self.sample_rate, self.mel_floor)


def _scores_of(
    segments: list[list[np.ndarray]], sample_rate: float, mel_floor: float
) -> dict[str, np.ndarray]:
    """Every metric's scores of some segments [reference, estimate, …], on one thread.

    Shapes (n_estimates, n_segments), but (n_estimates, n_speech_segments) for pesq_wb.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        heard = [[_Heard(sound, sample_rate, mel_floor) for sound in each] for each in segments]
        rows = [[_distances(first, one) for one in others] for first, *others in heard]
        tables = {m: np.array([[one[m] for one in row] for row in rows]).T for m in rows[0][0]}
        return {"pesq_wb": _pesq_where_speech(heard), **tables}


def _distances(reference: _Heard, estimate: _Heard) -> dict[str, float]:
    """All metrics but PESQ, NaN where one of the two is silent."""
    log_mel = log_mel_distance_db(reference.log_mel, estimate.log_mel)
    if not (reference.audible and estimate.audible):
        nothing = dict.fromkeys(("stoi", "estoi", "si_sdr_db"), np.nan)
        return {**nothing, "log_mel_db": log_mel, "sync_error_ms": np.nan}
    return {
        "stoi": stoi(reference.for_stoi, estimate.for_stoi, STOI_RATE_HZ, extended=False),
        "estoi": stoi(reference.for_stoi, estimate.for_stoi, STOI_RATE_HZ, extended=True),
        "si_sdr_db": si_sdr_db(reference.waveform, estimate.waveform),
        "log_mel_db": log_mel,
        "sync_error_ms": abs(lag_ms(reference.envelopes, estimate.envelopes)),
    }


def _pesq_where_speech(heard: list[list[_Heard]]) -> np.ndarray:
    """PESQ of the segments with speech, NaN where it fails: (n_estimates, n_speech_segments)."""
    speech = [
        each for each in heard if speech_share(each[0].at_16k, SPEECH_RATE_HZ) >= MIN_SPEECH_SHARE
    ]
    pairs = [(reference, estimate) for reference, *others in speech for estimate in others]
    asked = [reference.audible and estimate.audible for reference, estimate in pairs]
    scores = np.full(len(pairs), np.nan)
    scores[asked] = pesq_scores([(r.at_16k, e.at_16k) for r, e in compress(pairs, asked)])
    return scores.reshape(len(speech), len(heard[0]) - 1).T


def summarise(metric: str, scores: np.ndarray, seed: int, n_bootstrap: int) -> dict[str, float]:
    """One row of the table from ``scores`` (n_segments,), NaN = could not be scored."""
    average = np.median if metric == "sync_error_ms" else np.mean
    scored = scores[np.isfinite(scores)]
    n = len(scored)
    low = high = np.nan
    if n > 1:
        drawn = np.random.default_rng(seed).integers(n, size=(n_bootstrap, n))
        low, high = np.quantile(average(scored[drawn], axis=1), [0.025, 0.975])
    value = average(scored) if n else np.nan
    return {"value": value, "low": low, "high": high, "n": n, "n_failed": len(scores) - n}


SEGMENT_SECONDS = 8.0  # PESQ wants 8 to 10 s
