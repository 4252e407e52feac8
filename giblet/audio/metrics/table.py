"""The table of metrics: one entry per score, from which scoring and the report read.

A new score of sound is a function and its entry here. A score of codes or of BOLD is computed by
its module in ``giblet.evaluation``, and has its entry here too.
"""

from importlib.util import find_spec

import numpy as np

from giblet.audio.metrics.distances import (
    lag_ms,
    log_mel_distance_db,
    si_sdr_db,
)
from giblet.audio.metrics.metric import (
    BOLD,
    BOLD_CLIPS,
    BOTTLENECK,
    CLIPS,
    CODES,
    FEATURES,
    HIGHER,
    LOWER,
    SEGMENTS,
    SOUND,
    SOUND_CLIPS,
    SPEECH,
    SPEECH_SEGMENTS,
    SUBJECTS,
    TRS,
    Metric,
    per_pair,
)
from giblet.audio.metrics.pesq import pesq_scores
from giblet.audio.metrics.speech_models import SPEECH_METRICS, has_model
from giblet.audio.metrics.visqol import visqol_scores
from giblet.audio.metrics.voice import centroid_error_octaves, f0_error_cents, hnr_error_db

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
            counted=SPEECH_SEGMENTS,
            moment=SEGMENTS,
            function=lambda pairs: pesq_scores([(r.at_16k, e.at_16k) for r, e in pairs]),
            in_child=True,
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
            function=per_pair(lambda r, e: r.stoi_reference.stoi(e.for_stoi)),
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
            function=per_pair(lambda r, e: r.stoi_reference.extended_stoi(e.for_stoi)),
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
            name="visqol",
            label="ViSQOL (audio)",
            decimals=2,
            applies_to=SOUND,
            direction=HIGHER,
            lowest=1,
            best=4.75,
            counted=SEGMENTS,
            moment=SEGMENTS,
            function=lambda pairs: visqol_scores([(r.at_48k, e.at_48k) for r, e in pairs]),
            in_child=True,
            n_shifts=1,
            needs="visqol",
            unscored="silence, or too short",
            method="ViSQOL, audio mode (Chinen et al., 2020)",
            reference=(
                "Chinen et al., 2020",
                "Chinen M, Lim FSC, Skoglund J, Gureev N, O'Gorman F, Hines A (2020). ViSQOL v3: "
                "an open source production ready objective speech and audio metric. QoMEX 2020.",
            ),
        ),
        *SPEECH_METRICS,
        Metric(
            name="f0_error_cents",
            label="F0 error",
            unit="cents",
            decimals=0,
            applies_to=SOUND,
            direction=LOWER,
            best=0,
            counted=SEGMENTS,
            moment=SEGMENTS,
            function=per_pair(lambda r, e: f0_error_cents(r.voice, e.voice)),
            n_shifts=4,
            unscored="silence, or no pitch in both",
            method="errors of F0 and of the harmonics-to-noise ratio (Boersma, 1993)",
            reference=(
                "Boersma, 1993",
                "Boersma P (1993). Accurate short-term analysis of the fundamental frequency and "
                "the harmonics-to-noise ratio of a sampled sound. Proc. Inst. Phonetic Sci. "
                "Amsterdam 17, 97–110.",
            ),
        ),
        Metric(
            name="hnr_error_db",
            label="HNR error",
            unit="dB",
            decimals=1,
            applies_to=SOUND,
            direction=LOWER,
            best=0,
            counted=SEGMENTS,
            moment=SEGMENTS,
            function=per_pair(lambda r, e: hnr_error_db(r.voice, e.voice)),
            n_shifts=4,
            unscored="silence, or no pitch in the original",
        ),
        Metric(
            name="centroid_error_octaves",
            label="Spectral centroid error",
            unit="octaves",
            decimals=2,
            applies_to=SOUND,
            direction=LOWER,
            best=0,
            counted=SEGMENTS,
            moment=SEGMENTS,
            function=per_pair(lambda r, e: centroid_error_octaves(r.centroids, e.centroids)),
            n_shifts=4,
            unscored="silence",
            method="spectral centroid error",
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
            name="identification_bold_10way",
            label="Identified by predicted BOLD, 10-way",
            applies_to=BOLD_CLIPS,
            direction=HIGHER,
            best=1,
            chance=1 / 10,
            counted=CLIPS,
            moment=CLIPS,
            n_way=10,
        ),
        Metric(
            name="identification_bold_10way_p",
            label="Identified by predicted BOLD, 10-way: p",
            decimals=4,
            applies_to=BOLD_CLIPS,
            direction=LOWER,
            note="permutation test; at least 1/(1 + permutations)",
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
    """The metrics that score segments of sound, in the order of the table.

    Not those of packages that are not installed, or of models that were not given.
    """
    scoring = [metric for metric in METRICS.values() if metric.function is not None]
    installed = [metric for metric in scoring if not metric.needs or find_spec(metric.needs)]
    return [metric for metric in installed if not metric.model or has_model(metric.model)]


def identification_metrics(applies_to: str, moment: str) -> list[Metric]:
    """The metrics that identify moments (``TRS``, ``CLIPS``) by ``BOTTLENECK``, ``SOUND_CLIPS`` or
    ``BOLD_CLIPS``.

    >>> [metric.n_way for metric in identification_metrics(SOUND_CLIPS, CLIPS)]
    [2, 10]
    """
    return [
        metric
        for metric in METRICS.values()
        if metric.n_way and (metric.applies_to, metric.moment) == (applies_to, moment)
    ]
