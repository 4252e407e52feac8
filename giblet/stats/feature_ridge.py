"""Banded ridge by weights of features, or of samples (kernels) where there are fewer of those.

The result is that of himalaya's random search (Dupré la Tour et al. 2022; the same mixtures,
penalties and folds). It takes less time: predictions are scored while they are in the processor's
cache, and weights are computed once, for the mixture that was chosen.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from giblet.stats.array_backend import array_functions

_IN_CACHE = 250_000  # predictions that are scored at once on a processor
_ON_GPU = 30_000_000  # and on a GPU
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


class _ByFeatures:
    """One fold, by products of features (n_features, n_features); arrays of the backend.

    ``seen`` (n_features, n_targets): products of training rows with targets. ``target`` (n_rows,
    n_targets): of test rows. Where there are more of these than features they are rotated, and the
    part of the target that no weights can predict is left out.
    """

    def __init__(self, bands: Sequence[Any], y: Any, train: np.ndarray, test: np.ndarray):
        arrays, backend = array_functions()
        x = arrays.concatenate(list(bands), axis=1)
        middle, level = x[train].mean(axis=0), y[train].mean(axis=0)
        own, self._held, self.target = x[train] - middle, x[test] - middle, y[test] - level
        self.n_test = len(test)
        if self.n_test > x.shape[1]:
            turn, self._held = arrays.linalg.qr(self._held)
            self.target = turn.T @ self.target
        exact = backend.asarray(own, dtype="float64")
        self._gram, self.seen = exact.T @ exact, own.T @ (y[train] - level)
        self._owners = np.repeat(np.arange(len(bands)), [band.shape[1] for band in bands])

    def _roots(self, mixture: np.ndarray) -> Any:
        return array_functions()[1].asarray(np.sqrt(mixture)[self._owners], dtype="float64")

    def turned(self, mixture: np.ndarray) -> tuple[Any, Any]:
        """Powers (rank,) and directions (n_features, rank), float64, of features times the root of
        their band's share in ``mixture`` (n_bands,)."""
        wide = self._roots(mixture)
        values, vectors = array_functions()[0].linalg.eigh(self._gram * (wide[:, None] * wide))
        return values.clip(0), wide[:, None] * vectors

    def held(self, mixture: np.ndarray, vectors: Any) -> Any:
        """Test rows in these directions: (n_rows, rank)."""
        return self._held @ vectors

    def weights(self, mixture: np.ndarray, coefficients: Any) -> Any:
        """Of features (n_features, n_targets)."""
        return coefficients


class _ByKernels:
    """The same by products of training rows: kernels (n_bands, n_train, n_train)."""

    def __init__(self, bands: Sequence[Any], y: Any, train: np.ndarray, test: np.ndarray):
        arrays, _backend = array_functions()
        level = y[train].mean(axis=0)
        self._own = [band[train] - band[train].mean(axis=0) for band in bands]
        rest = [band[test] - band[train].mean(axis=0) for band in bands]
        self._kernels = arrays.stack([x @ x.T for x in self._own])
        pairs = zip(rest, self._own, strict=True)
        self._held = arrays.stack([x @ own.T for x, own in pairs])
        self.seen, self.target, self.n_test = y[train] - level, y[test] - level, len(test)

    def _mixed(self, kernels: Any, mixture: np.ndarray) -> Any:
        arrays, backend = array_functions()
        return arrays.einsum("b,bij->ij", backend.asarray_like(mixture, kernels), kernels)

    def turned(self, mixture: np.ndarray) -> tuple[Any, Any]:
        """Powers (n_train,) and directions (n_train, n_train) of the mixed kernel."""
        kernel = self._mixed(self._kernels, mixture)
        values, vectors = array_functions()[0].linalg.eigh(kernel)
        return values.clip(0), vectors

    def held(self, mixture: np.ndarray, vectors: Any) -> Any:
        """Test rows in these directions: (n_test, n_train)."""
        return self._mixed(self._held, mixture) @ vectors

    def weights(self, mixture: np.ndarray, coefficients: Any) -> Any:
        """Of features (n_features, n_targets), from those of training rows."""
        parts = zip(mixture.tolist(), self._own, strict=True)
        return array_functions()[0].concatenate([m * (x.T @ coefficients) for m, x in parts])


_Fold = _ByFeatures | _ByKernels


def solve(
    bands: Sequence[np.ndarray],
    y: np.ndarray,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    alphas: np.ndarray,
    mixtures: np.ndarray,
    precision: str = "float32",
) -> LinearRidge:
    """Ridge with intercept by the mixture and the penalty of least squared error over ``folds``.

    By products of features where there are fewer of them than samples, else by kernels; both are
    the same. On the backend of `giblet.stats.array_backend.ridge_backend`; with ``precision``
    float64 all of them give the same, to the rounding of float64.

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
    kind = _ByFeatures if is_narrow(bands) else _ByKernels
    bands, y = [band.astype(precision) for band in bands], y.astype(precision)
    columns, targets = [backend.asarray(band) for band in bands], backend.asarray(y)
    splits = [kind(columns, targets, *fold) for fold in folds]
    which, penalties = _choose(splits, mixtures, np.asarray(alphas), y.shape[1], precision)
    weights = _weights(kind, bands, y, mixtures, which, penalties)
    x = np.concatenate(bands, axis=1)
    middle, level = (values.mean(axis=0, dtype=np.float64) for values in (x, y))
    return LinearRidge(weights, level - middle @ weights, penalties)


def is_narrow(bands: Sequence[np.ndarray]) -> bool:
    """Whether weights of features cost less than those of samples."""
    return sum(b.shape[1] for b in bands) < len(bands[0])


def _weights(
    kind: type[_Fold],
    bands: Sequence[np.ndarray],
    y: np.ndarray,
    mixtures: np.ndarray,
    which: np.ndarray,
    penalties: np.ndarray,
) -> np.ndarray:
    """Weights (n_features, n_targets) float64 by each target's mixture and penalty."""
    _arrays, backend = array_functions()
    everything = np.arange(len(y))
    columns = [backend.asarray(band, dtype="float64") for band in bands]
    # small weights beside large offsets: products in the precision of y, sums in float64
    whole = kind(columns, backend.asarray(y, dtype="float64"), everything, everything[:0])
    weights = np.zeros((sum(band.shape[1] for band in bands), y.shape[1]))
    for n in np.unique(which):
        chosen = np.flatnonzero(which == n)
        values, vectors = whole.turned(mixtures[n])
        added = backend.asarray(penalties[chosen], dtype="float64")
        shrunk = (vectors.T @ whole.seen[:, chosen]) / (values[:, None] + added)
        weights[:, chosen] = backend.to_numpy(whole.weights(mixtures[n], vectors @ shrunk))
    return weights


def _choose(
    splits: Sequence[_Fold],
    mixtures: np.ndarray,
    alphas: np.ndarray,
    n_targets: int,
    precision: str,
) -> tuple[np.ndarray, np.ndarray]:
    """The index of the best mixture and the best penalty of each target, (n_targets,) each."""
    best, which = np.full(n_targets, -np.inf), np.zeros(n_targets, dtype=int)
    penalties = np.ones(n_targets, dtype=precision)
    for n, mixture in enumerate(mixtures):
        scores = np.mean([_scores(split, mixture, alphas, precision) for split in splits], axis=0)
        scores += 1e-10 * np.log(alphas)[:, None]  # prefers the larger of equal penalties
        better = scores.max(axis=0) > best + np.finfo(np.float32).eps
        best[better], which[better] = scores.max(axis=0)[better], n
        penalties[better] = alphas[scores.argmax(axis=0)[better]]
    return which, penalties


def _scores(split: _Fold, mixture: np.ndarray, alphas: np.ndarray, precision: str) -> np.ndarray:
    """Negative squared error of each penalty, up to a constant: (n_alphas, n_targets)."""
    _arrays, backend = array_functions()
    turned = split.turned(mixture)
    values, vectors = (backend.asarray(part, dtype=precision) for part in turned)
    added = backend.asarray(alphas, dtype=precision)[:, None]
    # (n_alphas, n_rows, rank)
    shrunk = split.held(mixture, vectors) / (values + added)[:, None]
    n_alphas, n_rows, rank = shrunk.shape
    shrunk, losses = shrunk.reshape(-1, rank), np.empty((n_alphas, split.seen.shape[1]))
    for part in _parts(losses.shape[1], n_alphas * n_rows):
        predicted = shrunk @ (vectors.T @ split.seen[:, part])
        left = predicted.reshape(n_alphas, n_rows, -1)
        left -= split.target[:, part]
        left *= left
        losses[:, part] = backend.to_numpy(left.sum(axis=1))
    return -losses / split.n_test


def _parts(n_targets: int, n_predicted: int) -> Iterator[slice]:
    """Targets that are scored at once, where each has ``n_predicted`` numbers."""
    _arrays, backend = array_functions()
    at_once = _ON_GPU if backend.name == "torch_cuda" else _IN_CACHE
    width = max(128, at_once // max(1, n_predicted))
    for start in range(0, n_targets, width):
        yield slice(start, start + width)
