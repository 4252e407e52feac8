"""Scores of single segments: paired differences of feature types, and moments to listen to."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from giblet.audio.mel import mel_spectrogram, mel_to_sound
from giblet.audio.metrics.scores import COMPARED, SEGMENT_SECONDS, score_estimates, summarise
from giblet.audio.metrics.speech import segment_edges
from giblet.audio.metrics.table import SPEECH, Metric, segment_metrics
from giblet.audio.quantized_mel import dequantize_mel, matched_settings, pack_levels, quantize_mel
from giblet.report.systems import MATCHED, REFERENCE
from giblet.stats.permutation import n_sign_flips, sign_flip_p
from giblet.timing import samples_duration

Sounds = Mapping[str, Mapping[str, np.ndarray]]
Scores = dict[tuple[str, str], dict[str, np.ndarray]]  # (path, column) → metric → (n_segments,)


def paired_metrics() -> list[Metric]:
    """The metrics of sound in which feature types are compared segment by segment."""
    return [metric for metric in segment_metrics() if metric.compared]


def matched_mel(
    original: np.ndarray, sample_rate: int, kbps: float
) -> tuple[np.ndarray, float, float]:
    """A sound (n_samples,) after mel and Griffin-Lim at ``kbps``; the kbit/s and values/s it took.

    Raises ValueError for a bitrate that ``matched_settings`` does not have.
    """
    settings, quantizer = matched_settings(kbps, sample_rate)
    levels = quantize_mel(mel_spectrogram(original, settings), quantizer)
    n_bits = 8 * len(pack_levels(levels, quantizer.n_bits))
    waveform = mel_to_sound(dequantize_mel(levels, quantizer), settings)
    waveform = np.pad(waveform, (0, len(original) - len(waveform)))  # less than a hop
    seconds = samples_duration(len(original), sample_rate)
    return waveform, n_bits / seconds / 1000, levels.size / seconds


def score_segments(
    sounds: Sounds,
    sample_rate: float,
    saved: Mapping[str, Scores] | None = None,
    n_jobs: int = 1,
) -> Scores:
    """Scores of the segments of ``COMPARED`` columns against the original of their feature type.

    ``saved``: those of `saved_scores`, by feature type. A column without them is scored.
    """
    scores: Scores = {}
    for feature_type, columns in sounds.items():
        known = (saved or {}).get(feature_type, {})
        names = [column for column in COMPARED if column in columns]
        missing = [name for name in names if (feature_type, name) not in known]
        waves = [columns[name] for name in missing]
        scored = score_estimates(columns["original"], waves, sample_rate, SEGMENT_SECONDS, n_jobs)
        made = {(feature_type, name): one for name, one in zip(missing, scored, strict=True)}
        scores |= {key: (made | known)[key] for key in [(feature_type, name) for name in names]}
    return scores


def saved_scores(table: pd.DataFrame, feature_type: str, speech: np.ndarray) -> Scores:
    """Scores from the rows of `giblet.evaluation.moments.segment_rows`.

    Nothing of a column that lacks a metric (one that was installed since), or whose segments with
    speech are not those of ``speech`` (n_speech_segments,).
    """
    scores: Scores = {}
    for column, rows in table.groupby("column"):
        by_metric = dict(list(rows.groupby("metric")))
        own: dict[str, np.ndarray] = {}
        for metric in segment_metrics():
            one = by_metric.get(metric.name, rows.iloc[:0])
            is_speech = metric.applies_to == SPEECH
            wanted = speech if is_speech else np.arange(max(1, len(one)))
            if np.array_equal(one["segment"], wanted):
                own[metric.name] = one["value"].to_numpy(float)
        if len(own) == len(segment_metrics()):
            scores[feature_type, str(column)] = own
    return scores


def matched_rows(scores: Scores, kbps: float, values: float, seed: int) -> pd.DataFrame:
    """Rows of the score table, ``path column metric value low high n n_failed``, of `MATCHED`."""
    by_metric = scores[MATCHED, "codec"].items()
    rows = [{"metric": metric, **summarise(metric, s, seed, 1000)} for metric, s in by_metric]
    rates = {"kbit_per_s": kbps, "values_per_s": values}
    rows += [{"metric": m, "value": v, "n": 1, "n_failed": 0} for m, v in rates.items()]
    return pd.DataFrame(rows).assign(path=MATCHED, column="codec")


def paired_differences(scores: Scores, seed: int = 0) -> pd.DataFrame:
    """Codes − others, paired by segment: ``path column metric n difference low high p n_flips``.

    ``path`` is the feature type that codes are compared with. Means over segments scored in both,
    their 95 % bootstrap interval, and the two-sided p of a sign-flip test of the mean, which takes
    segments to be independent. NaN where fewer than two segments are scored in both.
    """
    others = [key for key in scores if key[0] != REFERENCE]
    rows = [
        {"path": other, "column": column, "metric": metric.name}
        | _difference(
            scores[REFERENCE, column][metric.name], scores[other, column][metric.name], seed
        )
        for other, column in others
        if (REFERENCE, column) in scores
        for metric in paired_metrics()
    ]
    names = ["path", "column", "metric", "n", "difference", "low", "high", "p", "n_flips"]
    return pd.DataFrame(rows, columns=names)


def _difference(one: np.ndarray, other: np.ndarray, seed: int) -> dict:
    difference = one - other
    scored = difference[np.isfinite(difference)]
    row = summarise("difference", scored, seed, 1000)
    ends = {"difference": row["value"], "low": row["low"], "high": row["high"]}
    p = {"p": sign_flip_p(scored, seed), "n_flips": n_sign_flips(row["n"])}
    return {"n": row["n"], **ends, **p}


def moments(scores: Scores, n_samples: int, sample_rate: float) -> dict[str, tuple[int, int]]:
    """The median, best and worst segment by STOI of stimulus: name → first sample and end.

    STOI is that of the first feature type; segments without STOI are left out.
    """
    stoi = next((s["stoi"] for (_, column), s in scores.items() if column == "stimulus"), None)
    if stoi is None:
        return {}
    edges = segment_edges(n_samples, SEGMENT_SECONDS, sample_rate)
    ranked = [k for k in np.argsort(stoi, kind="stable") if np.isfinite(stoi[k])]
    if not ranked:
        return {}
    chosen = {"median": ranked[len(ranked) // 2], "best": ranked[-1], "worst": ranked[0]}
    return {name: (int(edges[k]), int(edges[k + 1])) for name, k in chosen.items()}
