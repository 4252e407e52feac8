"""How good a reconstructed sound is, beside the original: one table of scores.

Scores of segments come first, then their mean and how sure it is. A segment that cannot be scored
is counted, never given a number.
"""

from itertools import pairwise

import numpy as np
import pandas as pd

from giblet.audio.distances import (
    envelope_lag_ms,
    log_mel_distance_db,
    log_mel_floor,
    si_sdr_db,
    stoi,
)
from giblet.audio.pesq_guard import pesq_scores
from giblet.audio.speech import SPEECH_RATE_HZ, has_signal, segment_edges, speech_share
from giblet.checks import check_waveform

MIN_SPEECH_SHARE = 0.5  # of a segment, for PESQ


def score_sound(
    reference: np.ndarray,
    estimate: np.ndarray,
    sample_rate: float,
    *,
    segment_seconds: float = 8.0,
    seed: int = 0,
    n_bootstrap: int = 1000,
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
    segment_seconds : length of a segment; ``giblet.audio.speech.segment_edges`` has the rest
    seed, n_bootstrap : of the interval

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
    reference = check_waveform(reference, "reference")
    estimate = check_waveform(estimate, "estimate")
    if len(reference) != len(estimate):
        raise ValueError(
            f"reference has {len(reference)} samples and estimate {len(estimate)}: cut both to "
            "the same stretch of time first"
        )
    scores = segment_scores(reference, estimate, sample_rate, segment_seconds)
    rows = [{"metric": m, **summarise(m, s, seed, n_bootstrap)} for m, s in scores.items()]
    return pd.DataFrame(rows)


def segment_scores(
    reference: np.ndarray, estimate: np.ndarray, sample_rate: float, segment_seconds: float
) -> dict[str, np.ndarray]:
    """Every metric's scores of the segments, NaN for those that could not be scored.

    Shapes (n_segments,), but (n_speech_segments,) for pesq_wb.
    """
    import soxr

    edges = segment_edges(len(reference), segment_seconds, sample_rate)
    pairs = [(reference[a:b], estimate[a:b]) for a, b in pairwise(edges)]
    pairs_16k = [
        tuple(soxr.resample(s.astype(np.float32), sample_rate, SPEECH_RATE_HZ) for s in pair)
        for pair in pairs
    ]
    audible = [has_signal(r) and has_signal(e) for r, e in pairs]

    def each(metric, pairs, *rest) -> np.ndarray:
        values = [metric(*p, *rest) if ok else np.nan for p, ok in zip(pairs, audible, strict=True)]
        return np.array(values, dtype=float)

    floor = log_mel_floor(reference, sample_rate)
    return {
        "pesq_wb": _pesq_where_speech(pairs_16k, audible),
        "stoi": each(stoi, pairs, sample_rate, False),
        "estoi": each(stoi, pairs, sample_rate, True),
        "si_sdr_db": each(si_sdr_db, pairs),
        "log_mel_db": np.array([log_mel_distance_db(*p, sample_rate, floor) for p in pairs]),
        "sync_error_ms": np.abs(each(envelope_lag_ms, pairs_16k)),
    }


def _pesq_where_speech(pairs_16k: list[tuple], audible: list[bool]) -> np.ndarray:
    """PESQ of the segments with speech, NaN where it fails; shape (n_speech_segments,)."""
    speech = [speech_share(r, SPEECH_RATE_HZ) >= MIN_SPEECH_SHARE for r, _ in pairs_16k]
    asked = [is_speech and ok for is_speech, ok in zip(speech, audible, strict=True)]
    scores = np.full(len(pairs_16k), np.nan)
    scores[asked] = pesq_scores([p for p, ask in zip(pairs_16k, asked, strict=True) if ask])
    return scores[speech]


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
