"""The table of metrics: one entry per score, from which scoring and the report read.

A new score of sound is a function and its entry here. A score of codes or of BOLD is computed by
its module in ``giblet.evaluation``, and has its entry here too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from giblet.audio.metrics.distances import (
    STOI_RATE_HZ,
    lag_ms,
    log_mel_distance_db,
    si_sdr_db,
    stoi,
)
from giblet.audio.metrics.pesq import pesq_scores
from giblet.audio.metrics.segment import Segment

HIGHER, LOWER = "higher", "lower"
# What a metric applies to.
SPEECH, SOUND, SOUND_CLIPS = "segments with speech", "segments of sound", "clips of decoded sound"
BOTTLENECK, CODES, BOLD, FEATURES = "bottleneck", "codes", "BOLD", "features of sound"
TRS, CLIPS, SEGMENTS, SUBJECTS = "TRs", "clips", "segments", "subjects"

Pair = tuple[Segment, Segment]  # reference, estimate


@dataclass(frozen=True)
class Metric:
    """One score: how it is computed, read and printed.

    name
        In ``scores.tsv``.
    label, unit
        In the report.
    decimals
        As printed.
    applies_to
        ``SPEECH``, ``SOUND``, ``BOTTLENECK``, ``SOUND_CLIPS``, ``CODES``, ``BOLD``, ``FEATURES``.
    direction
        ``HIGHER`` or ``LOWER`` is better; empty where neither is.
    lowest, best, chance
        Values, where there are such.
    counted
        What ``n`` counts in the table of scores.
    moment
        What one score by moment is of: ``TRS``, ``CLIPS`` or ``SEGMENTS``.
    function
        Of sound: pairs of segments (reference, estimate) → one score each, NaN for none.
    scores_silence
        Whether there is a score where one of a pair is silent.
    average
        Over segments.
    unscored
        Why a segment has no score.
    n_way
        Of identification: how many there are to choose from.
    compared
        Shown where feature types are compared, and, if of sound, tested in pairs.
    of_lesions
        Whether sounds of lesions get this score.
    against_null
        Whether it decides if decoded sound is better than the null.
    n_shifts
        Circular shifts of the null that are scored, at most: fewer of a slow metric.
    note
        How it is read, where direction and values do not say it.
    method, reference
        In the methods text: the name with its short reference; short → full reference.
    """

    name: str
    label: str
    unit: str = ""
    decimals: int = 3
    applies_to: str = ""
    direction: str = ""
    lowest: float | None = None
    best: float | None = None
    chance: float | None = None
    counted: str = ""
    moment: str = ""
    function: Callable[[Sequence[Pair]], Sequence[float]] | None = None
    scores_silence: bool = False
    average: Callable = np.mean
    unscored: str = ""
    n_way: int = 0
    compared: bool = False
    of_lesions: bool = False
    against_null: bool = False
    n_shifts: int = 20
    note: str = ""
    method: str = ""
    reference: tuple[str, str] | None = None

    @property
    def heading(self) -> str:
        """Label and unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    @property
    def reading(self) -> str:
        """The direction and the limits of a value, in words.

        >>> [METRICS[name].reading for name in ("pesq_wb", "stoi", "si_sdr_db", "sync_error_ms")]
        ['1 to 4.64, higher is better', 'up to 1, higher is better', 'higher is better', \
'0 is best; median']
        >>> METRICS["identification_2way"].reading
        'chance 0.5, best 1'
        """
        if self.note or not self.direction:
            return self.note
        better = f"{self.direction} is better"
        if self.chance is not None:
            better = f"chance {self.chance:g}, best {self.best:g}"
        elif self.best == 0:
            better = "0 is best"
        elif self.best is not None:
            start = "up to" if self.lowest is None else f"{self.lowest:g} to"
            better = f"{start} {self.best:g}, {better}"
        return better + ("; median" if self.average is np.median else "")

    @property
    def is_p(self) -> bool:
        """Whether this is the p-value of another metric, whose name it has before ``_p``."""
        return self.name.endswith("_p")


def per_pair(
    function: Callable[[Segment, Segment], float],
) -> Callable[[Sequence[Pair]], list[float]]:
    """``function`` of one pair, for many pairs."""
    return lambda pairs: [function(reference, estimate) for reference, estimate in pairs]


METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            name="pesq_wb",
            label="PESQ (wide band)",
            decimals=2,
            applies_to=SPEECH,
            direction=HIGHER,
            lowest=1,
            best=4.64,
            counted="speech segments",
            moment=SEGMENTS,
            function=lambda pairs: pesq_scores([(r.at_16k, e.at_16k) for r, e in pairs]),
            unscored="silence, or PESQ found no speech",
            compared=True,
            n_shifts=1,
            method="wide-band PESQ (ITU-T P.862.2)",
            reference=(
                "ITU-T P.862.2",
                "ITU-T (2007). Recommendation P.862.2: Wideband extension to Recommendation "
                "P.862 for the assessment of wideband telephone networks and speech codecs.",
            ),
        ),
        Metric(
            name="stoi",
            label="STOI",
            applies_to=SOUND,
            direction=HIGHER,
            best=1,
            counted=SEGMENTS,
            moment=SEGMENTS,
            function=per_pair(
                lambda r, e: stoi(r.for_stoi, e.for_stoi, STOI_RATE_HZ, extended=False)
            ),
            unscored="silence, or too short",
            compared=True,
            of_lesions=True,
            against_null=True,
            method="STOI (Taal et al., 2011)",
            reference=(
                "Taal et al., 2011",
                "Taal CH, Hendriks RC, Heusdens R, Jensen J (2011). An algorithm for "
                "intelligibility prediction of time-frequency weighted noisy speech. IEEE Trans. "
                "Audio Speech Lang. Process. 19, 2125–2136.",
            ),
        ),
        Metric(
            name="estoi",
            label="ESTOI",
            applies_to=SOUND,
            direction=HIGHER,
            best=1,
            counted=SEGMENTS,
            moment=SEGMENTS,
            function=per_pair(
                lambda r, e: stoi(r.for_stoi, e.for_stoi, STOI_RATE_HZ, extended=True)
            ),
            n_shifts=1,
            unscored="silence, or too short",
        ),
        Metric(
            name="si_sdr_db",
            label="SI-SDR",
            unit="dB",
            decimals=1,
            applies_to=SOUND,
            direction=HIGHER,
            counted=SEGMENTS,
            moment=SEGMENTS,
            function=per_pair(lambda r, e: si_sdr_db(r.waveform, e.waveform)),
            unscored="silence",
            compared=True,
            method="SI-SDR (Le Roux et al., 2019)",
            reference=(
                "Le Roux et al., 2019",
                "Le Roux J, Wisdom S, Erdogan H, Hershey JR (2019). SDR – half-baked or well "
                "done? ICASSP 2019, 626–630.",
            ),
        ),
        Metric(
            name="log_mel_db",
            label="Log-mel distance",
            unit="dB",
            decimals=1,
            applies_to=SOUND,
            direction=LOWER,
            best=0,
            counted=SEGMENTS,
            moment=SEGMENTS,
            function=per_pair(lambda r, e: log_mel_distance_db(r.log_mel, e.log_mel)),
            scores_silence=True,
            compared=True,
            of_lesions=True,
            against_null=True,
            method="log-mel distance",
        ),
        Metric(
            name="sync_error_ms",
            label="Sync error",
            unit="ms",
            decimals=1,
            applies_to=SOUND,
            direction=LOWER,
            best=0,
            counted=SEGMENTS,
            moment=SEGMENTS,
            function=per_pair(lambda r, e: abs(lag_ms(r.envelopes, e.envelopes))),
            n_shifts=4,
            average=np.median,
            unscored="silence",
        ),
        Metric(
            name="code_accuracy",
            label="Code accuracy",
            applies_to=CODES,
            direction=HIGHER,
            best=1,
            counted=TRS,
            moment=TRS,
        ),
        Metric(
            name="cross_entropy_nats",
            label="Cross-entropy",
            unit="nats",
            applies_to=CODES,
            direction=LOWER,
            counted=TRS,
            moment=TRS,
        ),
        Metric(
            name="identification_2way",
            label="Identification, 2-way",
            applies_to=BOTTLENECK,
            direction=HIGHER,
            best=1,
            chance=1 / 2,
            counted=TRS,
            moment=TRS,
            n_way=2,
        ),
        Metric(
            name="identification_10way",
            label="Clips identified, 10-way",
            applies_to=BOTTLENECK,
            direction=HIGHER,
            best=1,
            chance=1 / 10,
            counted=CLIPS,
            moment=CLIPS,
            n_way=10,
        ),
        Metric(
            name="identification_10way_p",
            label="Clips identified, 10-way: p",
            decimals=4,
            applies_to=BOTTLENECK,
            direction=LOWER,
            note="permutation test; at least 1/(1 + permutations)",
        ),
        Metric(
            name="identification_sound_2way",
            label="Identified by sound, 2-way",
            applies_to=SOUND_CLIPS,
            direction=HIGHER,
            best=1,
            chance=1 / 2,
            counted=CLIPS,
            moment=CLIPS,
            n_way=2,
        ),
        Metric(
            name="identification_sound_10way",
            label="Identified by sound, 10-way",
            applies_to=SOUND_CLIPS,
            direction=HIGHER,
            best=1,
            chance=1 / 10,
            counted=CLIPS,
            moment=CLIPS,
            n_way=10,
        ),
        Metric(
            name="bottleneck_r",
            label="Bottleneck correlation r",
            applies_to=BOTTLENECK,
            direction=HIGHER,
            best=1,
            chance=0,
            counted=SUBJECTS,
            moment=TRS,
        ),
        Metric(
            name="bold_r",
            label="BOLD correlation r",
            applies_to=BOLD,
            direction=HIGHER,
            best=1,
            chance=0,
            counted=SUBJECTS,
            moment=TRS,
        ),
        Metric(
            name="bold_r_reliable",
            label="BOLD correlation r, reliable voxels",
            applies_to=BOLD,
            direction=HIGHER,
            best=1,
            chance=0,
            counted=SUBJECTS,
            moment=TRS,
        ),
        Metric(
            name="kbit_per_s",
            label="Bitrate",
            unit="kbit/s",
            decimals=1,
            applies_to=FEATURES,
            compared=True,
            note="of the features",
        ),
        Metric(
            name="values_per_s",
            label="Values per second",
            decimals=0,
            applies_to=FEATURES,
            compared=True,
            note="of the features",
        ),
    )
}


def metric_of(name: str) -> Metric:
    """The entry of a metric; one that is not in the table has its name for a label."""
    return METRICS.get(name, Metric(name, name))


def segment_metrics() -> list[Metric]:
    """The metrics that score segments of sound, in the order of the table."""
    return [metric for metric in METRICS.values() if metric.function is not None]


def identification_metrics(applies_to: str, moment: str) -> list[Metric]:
    """The metrics that identify moments (``TRS``, ``CLIPS``) by ``BOTTLENECK`` or ``SOUND_CLIPS``.

    >>> [metric.n_way for metric in identification_metrics(SOUND_CLIPS, CLIPS)]
    [2, 10]
    """
    return [
        metric
        for metric in METRICS.values()
        if metric.n_way and (metric.applies_to, metric.moment) == (applies_to, moment)
    ]
