"""Scores of single moments: means over subjects, their intervals, and paired differences.

Subjects saw the same film, and decode nearly the same sound at the same moment. So scores are
averaged over subjects first, and intervals and tests draw moments (TRs, clips, segments).
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from giblet.audio.metrics.scores import COMPARED, summarise
from giblet.audio.metrics.table import SEGMENTS, SPEECH, TRS, metric_of
from giblet.stats.permutation import n_sign_flips, sign_flip_p

logger = logging.getLogger(__name__)

N_BOOTSTRAP = 1000
BRAIN, SHUFFLED, MEAN, NEAREST = "brain", "brain_shuffled", "brain_mean", "nearest_clip"
BASELINES = (SHUFFLED, MEAN, NEAREST)
GROUP, GROUP_SHUFFLED = "brain_group", "brain_group_shuffled"
NULLS = {BRAIN: SHUFFLED, GROUP: GROUP_SHUFFLED}  # column → its null, circular shifts of it
COMPARED_WITH = {**dict.fromkeys(BASELINES, BRAIN), GROUP_SHUFFLED: GROUP}  # baseline → column
DIFFERENCES = ["path", "baseline", "metric", "brain", "baseline_value", "difference", "low", "high"]
DIFFERENCES += ["p", "n", "n_flips", "n_shifts", "shifts_low", "shifts_high"]

BY_SUBJECT = ["path", "column", "metric", "subject", "value"]

MomentScores = dict[tuple[str, str], np.ndarray]  # column, metric → (n_subjects, n_moments)


@dataclass
class Scored:
    """Scores by moment, and those of the circular shifts of ``NULLS``.

    moments : (column, metric) → (n_subjects, n_moments), NaN where there is no score
    shifts : (null, metric) → (n_shifts, n_subjects, n_moments)
    permuted : (column, metric) → mean scores under permutations of the clips, (n_permutations,)
    """

    moments: MomentScores = field(default_factory=dict)
    shifts: MomentScores = field(default_factory=dict)
    permuted: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)

    def add(self, column: str, metric: str, scores: np.ndarray) -> None:
        """Scores (n_subjects, n_moments) of a column."""
        self.moments[column, metric] = scores

    def add_null(self, metric: str, shifts: np.ndarray, null: str = SHUFFLED) -> None:
        """Scores of shifts (n_shifts, n_subjects, n_moments): their mean is the null's score."""
        self.shifts[null, metric] = shifts
        self.moments[null, metric] = mean_over(shifts, metric_of(metric).average)


def mean_over(scores: np.ndarray, average: Callable = np.mean) -> np.ndarray:
    """``average`` over the first axis, without NaN; NaN where there is nothing else.

    >>> mean_over(np.array([[1.0, np.nan], [3.0, np.nan]])).tolist()
    [2.0, nan]
    """
    if len(scores) == 1 or np.isfinite(scores).all():
        return scores[0] if len(scores) == 1 else average(scores, axis=0)
    flat = scores.reshape(len(scores), -1).T
    means = [average(one[np.isfinite(one)]) if np.isfinite(one).any() else np.nan for one in flat]
    return np.reshape(means, scores.shape[1:])


def score_row(column: str, metric: str, scores: np.ndarray, seed: int) -> dict:
    """One row of the table: average of ``scores`` (n,), 95 % bootstrap interval, n, n_failed."""
    summary = summarise(metric, np.atleast_1d(np.asarray(scores, float)), seed, N_BOOTSTRAP)
    return {"column": column, "metric": metric, **summary}


def moment_rows(moments: MomentScores, seed: int) -> list[dict]:
    """Rows of the score table: means over subjects, then over moments, which ``n`` counts.

    A moment fails where no subject has a score. Where only some have none there is a warning, one
    a metric.
    """
    rows, gaps = [], {}
    for (column, name), scores in moments.items():
        by_moment = mean_over(scores, metric_of(name).average)
        rows.append(score_row(column, name, by_moment, seed))
        counted = scores[:, np.isfinite(by_moment)]
        if missing := int(np.isnan(counted).sum()):
            gaps.setdefault(name, []).append(f"{missing} of {counted.size} of {column}")
    for name, texts in gaps.items():
        logger.warning(
            "%s: scores of single subjects are missing (%s): %s; means are over the subjects that "
            "have one",
            metric_of(name).label,
            metric_of(name).unscored or "no value",
            ", ".join(texts),
        )
    return rows


def paired_stretches(
    one: np.ndarray, other: np.ndarray, n_together: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Paired scores (n_subjects, n_moments), NaN where either is, and their mean differences.

    Differences are of stretches of about ``n_together`` moments, over subjects: (n_stretches,).
    """
    valid = np.isfinite(one) & np.isfinite(other)
    one, other = (np.where(valid, scores, np.nan) for scores in (one, other))
    n_stretches = max(1, one.shape[1] // n_together)
    stretches = np.array_split(one - other, n_stretches, axis=1)
    return one, other, np.array([nan_mean(s) for s in stretches])


def nan_mean(scores: np.ndarray) -> float:
    """Mean of all scores that there are; NaN where there is none."""
    return float(np.nanmean(scores)) if np.isfinite(scores).any() else np.nan


def difference_rows(scored: Scored, clip_trs: int, seed: int) -> Iterator[dict]:
    """Paired differences, a row per baseline of ``COMPARED_WITH`` and metric (``DIFFERENCES``).

    ``brain`` is the score of ``brain``, of all subjects together that of ``brain_group``.
    Pairs are scores of a subject at a moment. ``difference`` is the mean over moments of subject
    means, ``low`` and ``high`` its 95 % bootstrap interval, ``p`` of ``n_flips`` sign flips, both
    over ``n`` moments; of TRs over stretches of ``clip_trs``. ``shifts_low`` and ``shifts_high``:
    2.5 and 97.5 % of the scores of the ``n_shifts`` shifts of the null. No metric with a median.
    """
    for baseline, compared in COMPARED_WITH.items():
        for (column, metric), brain in scored.moments.items():
            other = scored.moments.get((baseline, metric))
            if column != compared or other is None or metric_of(metric).average is not np.mean:
                continue
            n_together = clip_trs if metric_of(metric).moment == TRS else 1
            row = _difference(brain, other, n_together, seed)
            if (shifts := scored.shifts.get((baseline, metric))) is not None:
                row |= _spread(shifts)
            yield {"baseline": baseline, "metric": metric} | row


def _difference(brain: np.ndarray, other: np.ndarray, n_together: int, seed: int) -> dict:
    brain, other, differences = paired_stretches(brain, other, n_together)
    drawn = summarise("difference", differences, seed, N_BOOTSTRAP)
    differences = differences[np.isfinite(differences)]
    n = len(differences)
    return {
        "brain": nan_mean(mean_over(brain)),
        "baseline_value": nan_mean(mean_over(other)),
        "difference": drawn["value"],
        "low": drawn["low"],
        "high": drawn["high"],
        "p": sign_flip_p(differences, seed),
        "n": n,
        "n_flips": n_sign_flips(n),
    }


def _spread(shifts: np.ndarray) -> dict:
    """Number and 2.5 and 97.5 % of the scores of shifts (n_shifts, n_subjects, n_moments)."""
    means = np.array([nan_mean(mean_over(shift)) for shift in shifts])
    scores = means[np.isfinite(means)]
    low, high = np.quantile(scores, [0.025, 0.975]) if len(scores) else (np.nan, np.nan)
    return {"n_shifts": len(shifts), "shifts_low": low, "shifts_high": high}


def difference_table(path: str, rows: list[dict]) -> pd.DataFrame:
    """Rows of `difference_rows` as a table with the columns ``DIFFERENCES``."""
    return pd.DataFrame(rows).assign(path=path).reindex(columns=DIFFERENCES)


def subject_rows(moments: MomentScores, subjects: Sequence[str]) -> Iterator[dict]:
    """A row per column, metric and subject: ``column metric subject value``, over moments.

    Only of what has a score for each of ``subjects``, so not of columns of the film alone.
    """
    for (column, metric), scores in moments.items():
        if column not in (BRAIN, *BASELINES) or len(scores) != len(subjects):
            continue
        values = mean_over(scores.T, metric_of(metric).average)
        for subject, value in zip(subjects, values.tolist(), strict=True):
            yield {"column": column, "metric": metric, "subject": subject, "value": value}


def segment_rows(moments: MomentScores, speech: np.ndarray) -> Iterator[dict]:
    """A row per column of ``COMPARED``, metric and segment: the score of the first subject's sound.

    Rows of ``column metric segment value``. ``speech`` (n_speech_segments,): the numbers of the
    segments that metrics of speech score.
    """
    for (column, metric), scores in moments.items():
        if column in COMPARED and metric_of(metric).moment == SEGMENTS:
            values = scores[0]
            numbers = speech if metric_of(metric).applies_to == SPEECH else np.arange(len(values))
            for segment, value in zip(numbers.tolist(), values.tolist(), strict=True):
                yield {"column": column, "metric": metric, "segment": segment, "value": value}


def subject_table(path: str, rows: list[dict]) -> pd.DataFrame:
    """Rows of `subject_rows` as a table with the columns ``BY_SUBJECT``."""
    return pd.DataFrame(rows).assign(path=path).reindex(columns=BY_SUBJECT)
