"""Checks of results that would be worthless: of ``reconstruct``, ``report`` and ``audit`` alike."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Self

import numpy as np
import pandas as pd
import xarray as xr

from giblet.alignment.aligned import unbroken_runs
from giblet.alignment.dataset import FilmData, check_gap, check_no_overlap
from giblet.audio.metrics.distances import log_mel_floor
from giblet.audio.metrics.identify import join_clips
from giblet.audio.metrics.scores import SEGMENT_SECONDS, score_pairs
from giblet.audio.metrics.segment import Segment
from giblet.audio.metrics.speech import segment_edges
from giblet.audio.metrics.table import (
    CLIPS,
    METRICS,
    SEGMENTS,
    SPEECH_SEGMENTS,
    TRS,
    metric_of,
)
from giblet.audio.sound_fingerprint import Fingerprint
from giblet.autoencoder.trained_on import Record, check_record, check_sounds
from giblet.errors import GibletError
from giblet.evaluation.bank import BankRecord, check_bank
from giblet.evaluation.brain_scores import film_rows, held_out_stretches
from giblet.evaluation.moments import BRAIN, MEAN, SHUFFLED
from giblet.timing import samples_duration, tr_onsets, trs_for

COMPARED = "log_mel_db"  # computed again from the sounds
_TOLERANCE_DB = 0.1  # 16-bit files, and a table of six digits
_CLIPPED, _QUIETEST = 0.9999, 0.05  # amplitudes
_MOST_CLIPPED = 1e-4  # of the samples: 17 of 2.6 million changed a score by .001 dB
_MOST_REPEATED = 0.1  # of test TRs: a melody may come twice
_SECONDS_OFF = 0.05  # of the sound's length, for each stretch of the film
_SMALL_P = 0.01  # of the brain and of its null: both by luck in one of ten thousand


@dataclass(frozen=True)
class Evidence:
    """What was made of one feature type, as far as checks read it.

    data : parts and runs of the TRs, without the arrays of film and scans
    trs : (n_trs,) their numbers in the film
    film : fingerprint
    audio : (n_trs, n_rows, frames_per_tr) codes or mel
    record : of `giblet.autoencoder.trained_on`; empty of an older model
    scores : the table of scores of this feature type
    subjects : the table of scores by subject; None without scans, and of older results
    sounds : column → (n_samples,), brain columns of the first subject
    clip_seconds : of identification; None where it is not known
    bank : of the anchored prior; None where it was not run
    """

    data: FilmData
    trs: np.ndarray
    has_stimuli: bool
    film: str
    t_r: float
    audio: np.ndarray
    record: Record
    scores: pd.DataFrame
    subjects: pd.DataFrame | None
    sounds: Mapping[str, np.ndarray]
    sample_rate: float
    clip_seconds: float | None
    bank: BankRecord | None = None

    @classmethod
    def of(
        cls,
        aligned: xr.Dataset,
        record: Record,
        scores: pd.DataFrame,
        subjects: pd.DataFrame | None,
        sounds: Mapping[str, np.ndarray],
        sample_rate: float,
        clip_seconds: float | None = None,
        bank: BankRecord | None = None,
    ) -> Self:
        """From the arrays of ``sync_align``, with or without BOLD, and what was made of them."""
        gap, part = int(aligned.attrs.get("gap_trs", 1)), aligned["part"].values.astype(str)
        data = FilmData({}, None, part, unbroken_runs(aligned), gap_trs=gap)
        return cls(
            data,
            aligned["tr"].values,
            "stimulus" in aligned.coords,
            str(aligned.attrs.get("input", "unknown")),
            float(aligned.attrs["t_r"]),
            aligned["audio"].values,
            record,
            scores,
            subjects,
            sounds,
            sample_rate,
            clip_seconds,
            bank,
        )

    @property
    def test(self) -> np.ndarray:
        """Indices of the test TRs."""
        return self.data.where("test")

    def with_part(self, part: np.ndarray, gap_trs: int) -> Self:
        """The same with other parts (n_trs,) of the TRs."""
        return replace(self, data=replace(self.data, part=part, gap_trs=gap_trs))


def check_evidence(evidence: Evidence) -> None:
    """Every check of `CHECKS`. Raises GibletError for the first that fails, in one line."""
    for check in CHECKS.values():
        check(evidence)


def check_training_trs(evidence: Evidence) -> None:
    """No test TR trained the model, or is in another part too."""
    check_no_overlap(evidence.data)
    check_record(evidence.record, evidence.film, evidence.trs[evidence.test])


def check_training_sounds(evidence: Evidence) -> None:
    """Neither sounds of pretraining nor training TRs hold the test part's sound."""
    check_sounds(evidence.record, evidence.film)
    test, train = evidence.audio[evidence.test], evidence.audio[evidence.data.where("train")]
    n_repeated = int(repeated_trs(test, train).sum())
    if n_repeated > max(2, _MOST_REPEATED * len(test)):
        raise GibletError(
            f"the sound of {n_repeated} of {len(test)} test TRs is in the training TRs, value by "
            "value; hold out another stretch of the film or other stimuli (splits)"
        )


def repeated_trs(test: np.ndarray, train: np.ndarray) -> np.ndarray:
    """The test TRs whose features equal those of a training TR: (n_test,) bool.

    Both (n_trs, ...). Not those that the test part has twice, as silence or a held note.

    >>> repeated_trs(np.array([[1, 2], [0, 0], [0, 0]]), np.array([[0, 0], [1, 2]])).tolist()
    [True, False, False]
    """
    rows = [[tr.tobytes() for tr in np.ascontiguousarray(part)] for part in (test, train)]
    counts, learned = pd.Series(rows[0]).value_counts(), set(rows[1])
    return np.array([counts[tr] == 1 and tr in learned for tr in rows[0]], dtype=bool)


def check_null(evidence: Evidence) -> None:
    """``brain_shuffled`` is not the brain itself, and identifies no moments."""
    if len(evidence.test) < 2:
        return  # there is no other moment
    if same_sound(evidence, BRAIN, SHUFFLED) and not same_sound(evidence, BRAIN, MEAN):
        raise GibletError(
            "the sound of brain_shuffled is that of brain: the null was not shuffled; run "
            "reconstruct again"
        )
    pairs = _pairs(evidence.scores)
    identified = {name: pair for name, pair in pairs.items() if METRICS[name].n_way}
    is_same = bool(identified) and np.allclose(*zip(*identified.values(), strict=True))
    if is_same and any(pair[0] != METRICS[name].chance for name, pair in identified.items()):
        raise GibletError(
            "every identification by brain_shuffled is the brain's own: the null was not shuffled; "
            "run reconstruct again"
        )
    for name, (brain, null) in pairs.items():
        if METRICS[name].is_p and max(brain, null) <= _SMALL_P:
            raise GibletError(
                f"{name} of brain_shuffled is {null:.3f} (brain {brain:.3f}): the null was not "
                "shuffled; run reconstruct again"
            )


def _pairs(scores: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Metric → values of the brain and its null, of identification and of its p-values."""
    values = {(row.column, row.metric): row.value for row in scores.itertuples()}
    return {
        metric.name: (values[BRAIN, metric.name], values[SHUFFLED, metric.name])
        for metric in METRICS.values()
        if (metric.n_way or metric.is_p)
        and {(BRAIN, metric.name), (SHUFFLED, metric.name)} <= values.keys()
    }


def same_sound(evidence: Evidence, one: str, other: str) -> bool:
    """Whether two columns sound the same: of a brain that knows nothing all do."""
    a, b = evidence.sounds.get(one), evidence.sounds.get(other)
    if a is None or b is None or len(a) != len(b):
        return False
    return bool(np.allclose(a, b, atol=1e-4))


def check_parts_apart(evidence: Evidence) -> None:
    """A gap lies between training and test TRs."""
    check_gap(evidence.data.gap_trs, evidence.has_stimuli)
    check_no_overlap(evidence.data)


def check_prior_bank(evidence: Evidence) -> None:
    """The bank of the anchored prior holds neither test TRs nor a copy of their sound."""
    if evidence.bank is None:
        return
    film = Fingerprint.of(evidence.sounds["original"], evidence.sample_rate)
    check_bank(evidence.bank, film, evidence.trs[evidence.test])


def check_moments(evidence: Evidence) -> None:
    """Scores are of all moments of the test part, and those of the sounds."""
    _check_length(evidence)
    for row, n in zip(evidence.scores.to_dict("records"), moments_of(evidence), strict=True):
        if n is not None and row["n"] + row["n_failed"] != n:
            raise GibletError(
                f"{row['metric']} of {row['column']} is of {row['n'] + row['n_failed']:g} of the "
                f"{n} {metric_of(row['metric']).counted} of the test part: all are to be scored; "
                "run reconstruct again"
            )
    expected = _expected(evidence)
    for column, scores in segment_values(evidence, list(expected)).items():
        value = float(np.nanmean(scores))
        if abs(value - expected[column]) > _TOLERANCE_DB:
            raise GibletError(
                f"{COMPARED} of {column} is {expected[column]:.2f} in the table, and {value:.2f} "
                "over all segments of its sound; run reconstruct again"
            )


def _check_length(evidence: Evidence) -> None:
    """The original is the sound of the whole test part."""
    seconds = samples_duration(len(evidence.sounds["original"]), evidence.sample_rate)
    expected = tr_onsets(len(evidence.test) + 1, evidence.t_r)[-1]
    n_stretches = len(film_rows(evidence.trs[evidence.test]))
    if abs(seconds - expected) > _SECONDS_OFF * n_stretches:
        raise GibletError(
            f"the original sound has {seconds:.2f} s, the test part {expected:.2f} s: all of it is "
            "to be scored; run reconstruct again"
        )


def moments_of(evidence: Evidence) -> list[int | None]:
    """How many moments each row of the scores is to count; None where it counts others.

    Segments with speech are as many in every column; so are clips of unknown length.
    """
    n_test = len(evidence.test)
    n: dict[str, int] = {TRS: n_test, SEGMENTS: len(_edges(evidence)) - 1}
    if evidence.clip_seconds is not None:
        clip_trs, stretches = (
            trs_for(evidence.clip_seconds, evidence.t_r),
            held_out_stretches(evidence.data),
        )
        n[CLIPS] = len(join_clips(np.zeros((n_test, 1)), stretches, clip_trs))
    counted = evidence.scores["metric"].map(lambda name: metric_of(name).counted)
    most = (evidence.scores["n"] + evidence.scores["n_failed"]).groupby(counted).max()
    n = {one: int(most[one]) for one in (SPEECH_SEGMENTS, CLIPS) if one in most} | n
    return [n.get(one) for one in counted]


def _edges(evidence: Evidence) -> np.ndarray:
    n_samples = len(evidence.sounds["original"])
    return segment_edges(n_samples, SEGMENT_SECONDS, evidence.sample_rate)


def segment_values(evidence: Evidence, columns: Iterable[str]) -> dict[str, np.ndarray]:
    """Column → ``COMPARED`` of every segment of its sound: (n_segments,)."""
    original, rate = evidence.sounds["original"], evidence.sample_rate
    floor, ends = log_mel_floor(original, rate), list(pairwise(_edges(evidence)))
    truth = [Segment(original[a:b], rate, floor) for a, b in ends]
    values = {}
    for column in columns:
        estimates = [Segment(evidence.sounds[column][a:b], rate, floor) for a, b in ends]
        pairs = list(zip(truth, estimates, strict=True))
        values[column] = score_pairs(METRICS[COMPARED], pairs)
    return values


def _expected(evidence: Evidence) -> dict[str, float]:
    """Column → ``COMPARED`` as the tables have it: of brain columns the first subject's.

    Not of sounds that a 16-bit file changes: with many clipped samples, or of a quiet film.
    """
    subjects, scores = evidence.subjects, evidence.scores
    of_film = scores[(scores["metric"] == COMPARED) & scores["column"].isin(["codec", "stimulus"])]
    expected = dict(zip(of_film["column"], of_film["value"], strict=True))
    if subjects is not None:
        rows = subjects[(subjects["metric"] == COMPARED) & (subjects["column"] != SHUFFLED)]
        rows = rows.drop_duplicates("column")
        expected |= dict(zip(rows["column"], rows["value"], strict=True))
    n_samples = len(evidence.sounds["original"])
    sizes = {c: np.abs(s) for c, s in evidence.sounds.items() if len(s) == n_samples}
    if sizes["original"].max() < _QUIETEST:
        return {}
    kept = {column for column, a in sizes.items() if (a >= _CLIPPED).mean() <= _MOST_CLIPPED}
    return {c: float(v) for c, v in expected.items() if c in kept and np.isfinite(v)}


CHECKS: dict[str, Callable[[Evidence], None]] = {
    "training TRs": check_training_trs,
    "training sounds": check_training_sounds,
    "null": check_null,
    "gap": check_parts_apart,
    "bank": check_prior_bank,
    "all moments": check_moments,
}
