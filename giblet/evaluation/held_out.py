"""Scores by moment of bottlenecks, codes and sounds that were decoded for the test TRs."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch

from giblet.alignment.dataset import FilmData
from giblet.audio.metrics.distances import log_mel_floor
from giblet.audio.metrics.identify import identification, join_clips
from giblet.audio.metrics.scores import SEGMENT_SECONDS, score_pairs
from giblet.audio.metrics.segment import Segment
from giblet.audio.metrics.speech import segment_edges
from giblet.audio.metrics.table import (
    BOTTLENECK,
    CLIPS,
    SOUND_CLIPS,
    TRS,
    identification_metrics,
    segment_metrics,
)
from giblet.evaluation.brain_scores import held_out_stretches, sound_clips
from giblet.evaluation.scores import share_right
from giblet.stats.pearson import unit_series

Scores = dict[str, np.ndarray]  # metric → score of each moment (TR, clip or segment)


@dataclass(frozen=True)
class HeldOut:
    """The truth: ``code`` (n_trs, bottleneck_dim) and codes as in ``data``, and ``sound``
    (n_samples,) at ``sample_rate`` of the test TRs only."""

    code: np.ndarray
    data: FilmData
    sound: np.ndarray
    sample_rate: float
    clip_trs: int

    def bottleneck_scores(self, guess: np.ndarray) -> Scores:
        """Scores of a decoded bottleneck (n_test, bottleneck_dim), minus the training mean."""
        mean = self.code[self.data.where("train")].mean(axis=0)
        guess, truth = guess - mean, self.code[self.data.where("test")] - mean
        stretches = held_out_stretches(self.data)
        clips, true_clips = (join_clips(x, stretches, self.clip_trs) for x in (guess, truth))
        return (
            _identified(guess, truth, BOTTLENECK, TRS)
            | {"bottleneck_r": correlation_by_tr(guess, truth)}
            | _identified(clips, true_clips, BOTTLENECK, CLIPS)
        )

    def code_scores(self, guess: torch.Tensor) -> Scores:
        """Scores of decoded codes (n_test, n_codebooks, n_frames)."""
        codes = self.data.film["audio"][self.data.where("test")]
        return {"code_accuracy": share_right(guess, codes)}

    def sound_scores(self, wave: np.ndarray) -> Scores:
        """Scores of a decoded sound (n_samples,)."""
        clips = sound_clips(wave, self.sample_rate, self.data, self.clip_trs)
        pairs = list(zip(self._segments, self._cut(wave), strict=True))
        return _identified(clips, self._clips, SOUND_CLIPS, CLIPS) | {
            metric.name: score_pairs(metric, pairs)
            for metric in segment_metrics()
            if metric.of_lesions
        }

    def _cut(self, wave: np.ndarray) -> list[Segment]:
        edges = segment_edges(len(self.sound), SEGMENT_SECONDS, self.sample_rate)
        return [Segment(wave[a:b], self.sample_rate, self._floor) for a, b in pairwise(edges)]

    @cached_property
    def _segments(self) -> list[Segment]:
        return self._cut(self.sound)

    @cached_property
    def _clips(self) -> np.ndarray:
        return sound_clips(self.sound, self.sample_rate, self.data, self.clip_trs)

    @cached_property
    def _floor(self) -> float:
        return log_mel_floor(self.sound, self.sample_rate)


def _identified(guess: np.ndarray, truth: np.ndarray, *what: str) -> Scores:
    """Every `identification_metrics` of ``what`` for which there are enough moments."""
    return {
        metric.name: identification(guess, truth, metric.n_way)
        for metric in identification_metrics(*what)
        if len(truth) >= metric.n_way
    }


def correlation_by_tr(guess: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The contribution of each TR to the correlation of two series (n_trs, n_features): (n_trs,).

    Of features that vary in both, r plus the influence of a TR on r, zx zy − r (zx² + zy²) / 2 with
    z-scores z (Devlin, Gnanadesikan & Kettenring 1975, Biometrika 62), mean over features. The mean
    over TRs is the mean correlation, and draws of TRs vary as the correlation of drawn TRs does:
    products of z-scores alone vary more, beyond 1. NaN where no feature varies.
    """
    (one, other), present = unit_series(np.stack([guess, truth]))
    both = present.all(axis=0)
    if not both.any():
        return np.full(len(guess), np.nan)
    one, other = one[:, both], other[:, both]  # of length 1: a z-score has √n_trs times as much
    r = (one * other).sum(axis=0)
    influence = len(guess) * (one * other - r * (one**2 + other**2) / 2)
    return (r + influence).mean(axis=1)
