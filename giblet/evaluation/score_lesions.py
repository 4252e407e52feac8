"""The score after virtual lesions: its notes, and the levels that notes come from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from giblet.audio.metrics.identify import identification
from giblet.evaluation.held_out import Scores
from giblet.evaluation.held_out_score import HeldOutScore
from giblet.evaluation.score_codes import Levels, ScoreCode
from giblet.music.note_metrics import LATENTS, SCORE_METRICS, clip_scores

Decoded = Mapping[str, np.ndarray]  # level → (n_test, width)


@dataclass(frozen=True)
class ScoreLesions:
    """Scores of a score that is decoded from BOLD, by clip of ``held``.

    code : its levels are decoded; GibletError where ``held`` cannot be scored (``held.check``)
    """

    held: HeldOutScore
    code: ScoreCode

    def __post_init__(self):
        self.held.check()

    def notes(self, decoded: Sequence[Decoded], seed: int) -> Scores:
        """Metric → (n_subjects, n_clips); none where notes would have to be drawn."""
        if not self.code.is_read_out:
            return {}
        held, original = self.held, self.held.passage("test")
        truth, density = held.clips(original), held.density(original)
        each = [
            clip_scores(truth, held.clips(notes))
            | {"onset_density_r": held.clip_r(held.density(notes), density)}
            for notes in self.code.notes(decoded, seed)
        ]
        return _stacked(each)

    def level(self, name: str, decoded: Sequence[Decoded]) -> Scores:
        """Metric → (n_subjects, n_clips) of one level: correlation, and identification of clips."""
        data, shown = self.held.data, self.code.shown[name]
        mean = shown[data.where("train")].mean(axis=0)
        truth = shown[data.where("test")] - mean
        return _stacked([self._level(truth, self._view(name, one) - mean) for one in decoded])

    def n_together(self, name: str) -> int:
        """Clips that share a value of a level, at least one and at most all."""
        n_clips = len(self.held.clips(self.held.piece.between(0, 0)))
        return int(min(n_clips, max(1, np.ceil(self.code.seconds[name] / self.held.clip_seconds))))

    def _view(self, name: str, decoded: Levels) -> np.ndarray:
        return self.code.views(decoded)[name]

    def _level(self, truth: np.ndarray, guess: np.ndarray) -> Scores:
        clips, true_clips = self.held.rows(guess), self.held.rows(truth)
        return {"latent_r": self.held.clip_r(guess, truth)} | {
            metric.name: identification(clips, true_clips, metric.n_way)
            for metric in SCORE_METRICS.values()
            if metric.applies_to == LATENTS and metric.n_way
        }


def _stacked(each: Sequence[Scores]) -> Scores:
    return {metric: np.stack([scores[metric] for scores in each]) for metric in each[0]}
