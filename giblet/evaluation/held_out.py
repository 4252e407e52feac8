"""What was decoded for the test TRs beside what they held, scored moment by moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch

from giblet.alignment.dataset import FilmData
from giblet.audio.metrics.distances import (
    STOI_RATE_HZ,
    log_mel_db,
    log_mel_distance_db,
    log_mel_floor,
    resampled_for_stoi,
    stoi,
)
from giblet.audio.metrics.identify import identification, join_clips
from giblet.audio.metrics.scores import SEGMENT_SECONDS
from giblet.audio.metrics.speech import has_signal, segment_edges
from giblet.evaluation.brain_scores import WAYS, held_out_stretches, sound_clips
from giblet.evaluation.scores import share_right
from giblet.stats.pearson import unit_series

OF_TRS = ("identification_2way", "bottleneck_r", "code_accuracy")  # the others: clips, segments

Scores = dict[str, np.ndarray]  # metric → score of each moment (TR, clip or segment)


@dataclass(frozen=True)
class HeldOut:
    """What the test TRs truly held: ``code`` (n_trs, bottleneck_dim) and codes as in ``data``,
    ``sound`` (n_samples,) at ``sample_rate`` of the test TRs alone."""

    code: np.ndarray
    data: FilmData
    sound: np.ndarray
    sample_rate: float
    clip_trs: int

    def bottleneck_scores(self, guess: np.ndarray) -> Scores:
        """Of a decoded bottleneck (n_test, bottleneck_dim), by what departs from the mean."""
        mean = self.code[self.data.where("train")].mean(axis=0)
        guess, truth = guess - mean, self.code[self.data.where("test")] - mean
        stretches = held_out_stretches(self.data)
        clips, true_clips = (join_clips(x, stretches, self.clip_trs) for x in (guess, truth))
        found = {
            "identification_2way": identification(guess, truth, WAYS[0]),
            "bottleneck_r": correlation_by_tr(guess, truth),
        }
        return found | _told_apart("identification", clips, true_clips, WAYS[1:])

    def code_scores(self, guess: torch.Tensor) -> Scores:
        """Of decoded codes (n_test, n_codebooks, n_frames)."""
        codes = self.data.film["audio"][self.data.where("test")]
        return {"code_accuracy": share_right(guess, codes)}

    def sound_scores(self, wave: np.ndarray) -> Scores:
        """Of a decoded sound (n_samples,)."""
        clips = sound_clips(wave, self.sample_rate, self.data, self.clip_trs)
        edges = segment_edges(len(self.sound), SEGMENT_SECONDS, self.sample_rate)
        pairs = [(self.sound[a:b], wave[a:b]) for a, b in pairwise(edges)]
        return _told_apart("identification_sound", clips, self._clips, WAYS) | {
            "stoi": np.array([self._stoi(*pair) for pair in pairs]),
            "log_mel_db": np.array([self._log_mel_db(*pair) for pair in pairs]),
        }

    def _stoi(self, reference: np.ndarray, estimate: np.ndarray) -> float:
        if not (has_signal(reference) and has_signal(estimate)):
            return np.nan
        pair = [resampled_for_stoi(x, self.sample_rate) for x in (reference, estimate)]
        return stoi(*pair, STOI_RATE_HZ, extended=False)

    def _log_mel_db(self, reference: np.ndarray, estimate: np.ndarray) -> float:
        pair = [log_mel_db(x, self.sample_rate, self._floor) for x in (reference, estimate)]
        return log_mel_distance_db(*pair)

    @cached_property
    def _clips(self) -> np.ndarray:
        return sound_clips(self.sound, self.sample_rate, self.data, self.clip_trs)

    @cached_property
    def _floor(self) -> float:
        return log_mel_floor(self.sound, self.sample_rate)


def _told_apart(name: str, guess: np.ndarray, truth: np.ndarray, ways: Sequence[int]) -> Scores:
    """Identification among so many moments, where there are as many."""
    return {f"{name}_{n}way": identification(guess, truth, n) for n in ways if len(truth) >= n}


def correlation_by_tr(guess: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """What each TR gives to the correlation of two series (n_trs, n_features): (n_trs,).

    Products of z-scores, mean over features that vary in both; their mean over TRs is the mean
    correlation of the features. NaN where no feature varies.
    """
    (one, other), present = unit_series(np.stack([guess, truth]))
    both = present.all(axis=0)
    if not both.any():
        return np.full(len(guess), np.nan)
    return len(guess) * (one * other)[:, both].mean(axis=1)
