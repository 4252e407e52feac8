"""Banded ridge in feature space: linear in the samples, where kernels are quadratic.

The result is that of himalaya's random search (Dupré la Tour et al. 2022; the same mixtures,
penalties and folds), whose solvers use matrices of (n_test, n_train) in feature space as well.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from giblet.stats.array_backend import array_functions

_TARGETS = 2000  # predicted at once
_ROUNDING = 1e-7  # share of the largest power: float32 kernels do not resolve less


def directions(train: np.ndarray) -> np.ndarray:
    """Basis (n_features, rank) of training rows (n_samples, n_features), without null directions.

    Products of training rows with any others are kept by ``x @ directions(train)``.
    """
    _left, sizes, right = np.linalg.svd(train, full_matrices=False)
    return right[sizes**2 > _ROUNDING * sizes.max(initial=0.0) ** 2].T


@dataclass(frozen=True)
class LinearRidge:
    """Ridge with ``weights`` (n_features of all bands, n_targets), ``offsets`` (n_targets,)."""

    weights: np.ndarray
    offsets: np.ndarray
    best_alphas_: np.ndarray  # (n_targets,), the penalties

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Of ``x`` (n_samples, n_features), bands side by side: (n_samples, n_targets)."""
        return x @ self.weights + self.offsets


@dataclass(frozen=True)
class _Split:
    """Precomputed parts of a fold's loss: products of training rows, and the test rows.

    gram (n_features, n_features), cross (n_features, n_targets); held (n_rows, n_features) and
    target (n_rows, n_targets): where there are more test rows than features they are rotated, and
    the part of the target that no weights can predict is left out. Arrays of the backend.
    """

    gram: Any
    cross: Any
    held: Any
    target: Any
    n_test: int


def solve(
    bands: Sequence[np.ndarray],
    y: np.ndarray,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    alphas: np.ndarray,
    mixtures: np.ndarray,
    precision: str = "float32",
) -> LinearRidge:
    """Ridge with intercept by the mixture and the penalty of least squared error over ``folds``.

    On the backend of `giblet.stats.array_backend.ridge_backend`; with ``precision`` float64 all
    of them give the same, to the rounding of float64.

    Parameters
    ----------
    bands : (n_samples, n_features) each
    y : (n_samples, n_targets) without NaN
    folds : list of (train, test), indices of samples
    alphas : penalties; each target has its own
    mixtures : (n_mixtures, n_bands), of the bands' kernels
    precision : of the losses, by which penalties are chosen
    """
    _arrays, backend = array_functions()
    x, y = np.concatenate(bands, axis=1).astype(precision), y.astype(precision)
    rows, targets = backend.asarray(x), backend.asarray(y)
    splits = [_split(rows, targets, *fold) for fold in folds]
    scales = np.sqrt(np.repeat(mixtures, [band.shape[1] for band in bands], axis=1))
    which, penalties = _choose(splits, scales, np.asarray(alphas), y.shape[1], precision)
    everything = np.arange(len(x))
    whole = _split(rows, targets, everything, everything[:0])
    weights = np.zeros((x.shape[1], y.shape[1]))  # small ones beside large offsets
    for n in np.unique(which):
        chosen = np.flatnonzero(which == n)
        values, vectors = _turned(whole.gram, scales[n])
        cross = backend.asarray(whole.cross[:, chosen], dtype="float64")
        added = backend.asarray(penalties[chosen], dtype="float64")
        shrunk = (vectors.T @ cross) / (values[:, None] + added)
        weights[:, chosen] = backend.to_numpy(vectors @ shrunk)
    middle, level = (values.mean(axis=0, dtype=np.float64) for values in (x, y))
    return LinearRidge(weights, level - middle @ weights, penalties)


def _split(x: Any, y: Any, train: np.ndarray, test: np.ndarray) -> _Split:
    arrays, backend = array_functions()
    middle, level = x[train].mean(axis=0), y[train].mean(axis=0)
    seen, held, target = x[train] - middle, x[test] - middle, y[test] - level
    if len(test) > x.shape[1]:
        turn, held = arrays.linalg.qr(held)
        target = turn.T @ target
    exact = backend.asarray(seen, dtype="float64")
    return _Split(exact.T @ exact, seen.T @ (y[train] - level), held, target, len(test))


def _turned(gram: Any, scale: np.ndarray) -> tuple[Any, Any]:
    """Powers (n_features,) and directions (n_features, n_features) of scaled features."""
    arrays, backend = array_functions()
    wide = backend.asarray(scale, dtype="float64")
    values, vectors = arrays.linalg.eigh(gram * (wide[:, None] * wide))
    return values.clip(0), wide[:, None] * vectors


def _choose(
    splits: Sequence[_Split],
    scales: np.ndarray,
    alphas: np.ndarray,
    n_targets: int,
    precision: str,
) -> tuple[np.ndarray, np.ndarray]:
    """The index of the best mixture and the best penalty of each target, (n_targets,) each."""
    best, which = np.full(n_targets, -np.inf), np.zeros(n_targets, dtype=int)
    penalties = np.ones(n_targets, dtype=precision)
    for n, scale in enumerate(scales):
        scores = np.mean([_scores(split, scale, alphas, precision) for split in splits], axis=0)
        scores += 1e-10 * np.log(alphas)[:, None]  # prefers the larger of equal penalties
        better = scores.max(axis=0) > best + np.finfo(np.float32).eps
        best[better], which[better] = scores.max(axis=0)[better], n
        penalties[better] = alphas[scores.argmax(axis=0)[better]]
    return which, penalties


def _scores(split: _Split, scale: np.ndarray, alphas: np.ndarray, precision: str) -> np.ndarray:
    """Negative squared error of each penalty, up to a constant: (n_alphas, n_targets)."""
    arrays, backend = array_functions()
    turned = _turned(split.gram, scale)
    values, vectors = (backend.asarray(part, dtype=precision) for part in turned)
    held = split.held @ vectors
    losses = np.empty((len(alphas), split.cross.shape[1]))
    for part in _parts(losses.shape[1]):
        seen = vectors.T @ split.cross[:, part]
        for loss, alpha in zip(losses, alphas.astype(precision).tolist(), strict=True):
            left = split.target[:, part] - (held / (values + alpha)) @ seen
            loss[part] = backend.to_numpy(arrays.einsum("rt,rt->t", left, left))
    return -losses / split.n_test


def _parts(n_targets: int) -> Iterator[slice]:
    for start in range(0, n_targets, _TARGETS):
        yield slice(start, start + _TARGETS)
