"""The slow part of the bottleneck: what survives the HRF at this TR and noise.

All choices are made on training TRs: time constant, components, penalties, uncertainty.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from giblet.audio.metrics.identify import identification, join_clips
from giblet.stats.feature_ridge import directions
from giblet.stats.ridge import Folds, fit_ridge

SMOOTHING_TRS = (0.0, 1.0, 2.0, 4.0)  # standard deviations that are tried
MOST_COMPONENTS = 48


@dataclass(frozen=True)
class SlowSpace:
    """Components of bottlenecks, low-passed in time.

    mean : (n_features,)
    basis : (n_features, n_components); components have deviation 1 in training TRs
    smoothing : standard deviation of the low-pass, TRs
    """

    mean: np.ndarray
    basis: np.ndarray
    smoothing: float

    @classmethod
    def fit(cls, slow: np.ndarray, smoothing: float, stretches: Sequence[np.ndarray]) -> Self:
        """Of training TRs ``slow`` (n_trs, n_features), each feature scaled."""
        smooth = low_pass(slow, smoothing, stretches)
        mean, scale = smooth.mean(axis=0), smooth.std(axis=0)
        scale = np.where(scale > 1e-6 * np.abs(smooth).max(initial=1e-12), scale, np.inf)
        scaled = (smooth - mean) / scale
        turn = directions(scaled)[:, :MOST_COMPONENTS]
        return cls(mean, turn / scale[:, None] / (scaled @ turn).std(axis=0), smoothing)

    def components(self, slow: np.ndarray, stretches: Sequence[np.ndarray]) -> np.ndarray:
        """Of ``slow`` (n_trs, n_features): (n_trs, n_components), low-passed within stretches."""
        return (low_pass(slow, self.smoothing, stretches) - self.mean) @ self.basis


def low_pass(values: np.ndarray, smoothing: float, stretches: Sequence[np.ndarray]) -> np.ndarray:
    """A Gaussian of ``smoothing`` TRs over (n_trs, n_features), within each stretch (indices).

    >>> low_pass(np.array([[0.0], [4.0], [9.0]]), 0.5, [[0, 1], [2]]).round(1).tolist()
    [[0.4], [3.6], [9.0]]
    """
    from scipy.ndimage import gaussian_filter1d

    smooth = np.array(values, dtype=np.float64)
    for stretch in stretches if smoothing > 0 else ():
        smooth[stretch] = gaussian_filter1d(smooth[stretch], smoothing, axis=0, mode="nearest")
    return smooth


@dataclass(frozen=True)
class SlowDecoder:
    """A decoder of components from lagged BOLD, with its uncertainty by component.

    Measured on training TRs that its ridge did not see: ``gain`` and ``noise`` (n_components,) of
    decoded = gain * true + noise; ``shrink`` and ``spread`` of true = shrink * decoded + spread.
    Noise and spread are variances. ``held_out`` (n_train, n_components): decoded in these folds.
    """

    ridge: object
    held_out: np.ndarray
    gain: np.ndarray
    noise: np.ndarray
    shrink: np.ndarray
    spread: np.ndarray

    @classmethod
    def fit(
        cls,
        x: np.ndarray,
        components: np.ndarray,
        folds: Folds,
        penalty_folds: Folds | None = None,
    ) -> Self:
        """Of training TRs: ``x`` (n_train, n_columns), ``components`` (n_train, n_components).

        ``penalty_folds`` choose penalties, those parts of them that lie in the fold; by default
        contiguous blocks.
        """
        held_out = np.zeros_like(components)
        for train, test in folds:
            inner = _parts_in(penalty_folds, train)
            held_out[test] = fit_ridge(x[train], components[train], inner).predict(x[test])
        seen = np.unique(np.concatenate([test for _train, test in folds]))
        gain, noise = _line(components[seen], held_out[seen])
        shrink, spread = _line(held_out[seen], components[seen])
        ridge = fit_ridge(x, components, penalty_folds)
        return cls(ridge, held_out, gain, noise, shrink, spread)

    @property
    def information(self) -> np.ndarray:
        """By component, (n_components,): nats of a TR, -log(1 - r²) / 2."""
        return np.maximum(-np.log(np.maximum(self.spread, 1e-6)) / 2, 0) * (self.shrink > 0)

    def decode(self, x: np.ndarray) -> np.ndarray:
        """Components (n_trs, n_components) of lagged BOLD (n_trs, n_columns)."""
        return np.asarray(self.ridge.predict(x), dtype=np.float64)

    def expected(self, decoded: np.ndarray) -> np.ndarray:
        """The most likely true components, shrunk by the uncertainty."""
        return self.shrink * decoded


def _parts_in(folds: Folds | None, train: np.ndarray) -> Folds | None:
    """``folds`` with those of their TRs that are among ``train``, as positions there.

    >>> folds = [(np.array([2, 3]), np.array([0, 1])), (np.array([0, 1]), np.array([2, 3]))]
    >>> _parts_in([*folds, (np.array([0, 2]), np.array([1, 3]))], np.array([2, 3]))
    [(array([0]), array([1]))]
    """
    own = [tuple(np.flatnonzero(np.isin(train, part)) for part in fold) for fold in folds or ()]
    return [(seen, held) for seen, held in own if len(seen) and len(held)] or None


def _line(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slope, not below 0, and residual variance of each column of y on that of x."""
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    power = (x**2).sum(axis=0)
    slope = np.divide((x * y).sum(axis=0), power, out=np.zeros(x.shape[1]), where=power > 0)
    slope = np.maximum(slope, 0)
    return slope, np.maximum(((y - slope * x) ** 2).mean(axis=0), 1e-6)


def choose_smoothing(
    slow: np.ndarray,
    brains: Sequence[np.ndarray],
    stretches: Sequence[np.ndarray],
    folds: Folds,
    clip_trs: int,
    penalty_folds: Folds | None = None,
) -> tuple[float, dict[float, float]]:
    """The low-pass that identifies held-out training clips best, and each one's score.

    Two-way identification of clips of ``clip_trs`` by decoded components, mean over brains. The
    truth is not low-passed: a slower space has to say as much of it in fewer degrees of freedom.

    Parameters
    ----------
    slow : (n_train, n_features)
    brains : of each subject, lagged BOLD (n_train, n_columns)
    stretches, folds, penalty_folds : of training TRs, as indices into these arrays
    """
    scores, options = {}, (folds, clip_trs, penalty_folds)
    for smoothing in SMOOTHING_TRS:
        space = SlowSpace.fit(slow, smoothing, stretches)
        components = space.components(slow, stretches)
        truth = (slow - space.mean) @ space.basis
        scores[smoothing] = float(
            np.mean([_clips(x, components, truth, stretches, *options) for x in brains])
        )
    return max(scores, key=scores.__getitem__), scores


def _clips(x, components, truth, stretches, folds, clip_trs, penalty_folds) -> float:
    decoder = SlowDecoder.fit(x, components, folds, penalty_folds)
    weight = 1 / np.sqrt(decoder.spread)
    pair = (decoder.expected(decoder.held_out) * weight, truth * weight)
    guess, true = (join_clips(one, stretches, clip_trs) for one in pair)
    if len(true) < 2:
        return 0.5
    return float(np.nan_to_num(identification(guess, true, 2), nan=0.5).mean())
