"""Banded ridge by search: in feature space or by kernels, whichever is smaller.

The candidates are mixtures of bands and penalties, as in himalaya's random search (Dupré la Tour et
al. 2022). A target's solution is its best candidate, or the mean of all by their likelihood.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from giblet.stats.array_backend import array_functions
from giblet.stats.ridge_folds import (
    FeatureRows,
    KernelRows,
    RidgeFold,
    RidgeRows,
    Targets,
    parts,
)

_ROUNDING = 1e-7  # share of the largest power: float32 kernels do not resolve less
_CORRELATED = 1.3  # TRs that count as one independent sample
_MODEST = 5  # power of the share that a penalty leaves unexplained, in the prior
_ROWS_AT_ONCE, _TARGETS_AT_ONCE = 2000, 500  # of predictions: they stay in the cache
_NEGLIGIBLE = 1e-3  # weight of a candidate beside the best


def directions(train: np.ndarray) -> np.ndarray:
    """Basis (n_features, rank) of training rows (n_samples, n_features), without null directions.

    The largest power comes first. Products of training rows with any others are kept by
    ``x @ directions(train)``.
    """
    x = train.astype(np.float64)
    is_wide = x.shape[1] > len(x)
    powers, vectors = np.linalg.eigh(x @ x.T if is_wide else x.T @ x)
    powers, vectors = powers[::-1], vectors[:, ::-1]  # eigh has the smallest first
    kept = powers > _ROUNDING * powers.max(initial=0.0)
    if is_wide:
        return x.T @ (vectors[:, kept] / np.sqrt(powers[kept]))
    return vectors[:, kept]


@dataclass(frozen=True)
class LinearRidge:
    """Ridge with ``weights`` (n_features of all bands, n_targets), ``offsets`` (n_targets,)."""

    weights: np.ndarray
    offsets: np.ndarray
    best_alphas_: np.ndarray  # (n_targets,), the penalties

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Of ``x`` (n_samples, n_features), bands side by side: (n_samples, n_targets).

        In the precision of ``x``.
        """
        return (x @ self.weights + self.offsets).astype(np.result_type(x, np.float32), copy=False)


# losses (n_mixtures, n_alphas, n_targets), alphas, number of held-out samples → weights alike
Choice = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


def best(losses: np.ndarray, alphas: np.ndarray, n_held: int) -> np.ndarray:
    """Weight 1 for the candidate of least loss, as himalaya chooses it.

    Of equal penalties the larger one, of equal mixtures the first.
    """
    scores = 1e-10 * np.log(alphas)[:, None] - losses.astype(np.float64)
    largest, penalties = scores.max(axis=1), scores.argmax(axis=1)  # (n_mixtures, n_targets)
    targets = np.arange(losses.shape[2])
    which, so_far = np.zeros(len(targets), dtype=int), np.full(len(targets), -np.inf)
    for n, own in enumerate(largest):
        better = own > so_far + np.finfo(np.float32).eps
        which[better], so_far[better] = n, own[better]
    weights = np.zeros(losses.shape, dtype=np.float32)
    weights[which, penalties[which, targets], targets] = 1.0
    return weights


def average(
    losses: np.ndarray, alphas: np.ndarray, n_held: int, correlated: float = _CORRELATED
) -> np.ndarray:
    """Weights by likelihood and prior, which add up to 1: the mean of all candidates.

    A single candidate is often best by chance where little can be explained. The likelihood is
    Gaussian, exp(−n / 2 · ln(loss / least loss)), of n = ``n_held / correlated`` held-out samples:
    neighbouring TRs are alike. The prior is uniform over mixtures. Over the share h of variance
    that a penalty expects a band's kernel of diagonal 1 to explain, 1 / (1 + alpha), its density is
    (1 − h)⁵: a film rarely explains most of a voxel. On a logarithmic grid of penalties that is
    h (1 − h)⁶. It keeps wide bands that explain nothing small. Without the factor h, penalties at
    which wide bands predict nothing would be most of the candidates. Candidates below a thousandth
    of the best are left out.

    >>> losses = np.array([[[1.0], [1.02]], [[1.1], [2.0]]])
    >>> average(losses, np.array([1.0, 10.0]), 200).ravel().astype(float).round(2).tolist()
    [0.41, 0.59, 0.0, 0.0]
    """
    tiny = np.finfo(np.float32).tiny
    least = losses.min(axis=(0, 1))
    ratio = np.log(np.maximum(losses, tiny) / np.maximum(least, tiny))
    expected = 1 / (1 + alphas)
    prior = (expected * (1 - expected) ** (_MODEST + 1))[:, None]
    weights = prior * np.exp(-n_held / (2 * correlated) * ratio)
    weights[weights < _NEGLIGIBLE * weights.max(axis=(0, 1))] = 0.0
    return (weights / weights.sum(axis=(0, 1))).astype(np.float32)


def solve(
    bands: Sequence[np.ndarray],
    y: np.ndarray,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    alphas: np.ndarray,
    mixtures: np.ndarray,
    precision: str = "float32",
    choice: Choice = best,
) -> LinearRidge:
    """Ridge with intercept by the mixtures and penalties of least squared error over ``folds``.

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
    choice : `best` or `average`

    Raises
    ------
    ValueError
        There are no folds.
    """
    weights, chosen = _mapped(None, bands, y, folds, alphas, mixtures, precision, choice)
    middle = np.concatenate([band.mean(axis=0, dtype=np.float64) for band in bands])
    level = y.mean(axis=0, dtype=np.float64)
    penalties = np.asarray(alphas)[chosen.sum(axis=0).argmax(axis=0)]
    return LinearRidge(weights, level - middle @ weights, penalties.astype(precision))


def predictions(
    bands: Sequence[np.ndarray],
    y: np.ndarray,
    new: Sequence[np.ndarray],
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    alphas: np.ndarray,
    mixtures: np.ndarray,
    choice: Choice = best,
) -> np.ndarray:
    """What `solve` predicts of ``new`` bands (n_new, n_features): (n_new, n_targets).

    Without weights of all features, which take more memory.
    """
    rows = [b - own.mean(axis=0) for b, own in zip(new, bands, strict=True)]
    together = np.concatenate(rows, axis=1)
    found, _chosen = _mapped(together, bands, y, folds, alphas, mixtures, "float32", choice)
    found += y.mean(axis=0, dtype=np.float64)
    return found


@dataclass(frozen=True)
class Refit:
    """Ridge with the candidates' weights of some targets, for other values of these targets.

    maps : of each mixture new rows along its directions (n_new, n), training rows along them
        (n_train, n), and the factor of each penalty (n, n_alphas)
    weights : (n_mixtures, n_alphas, n_targets)
    """

    maps: list[tuple[np.ndarray, np.ndarray, np.ndarray]]
    weights: np.ndarray

    def predict(
        self, targets: Targets, versions: Iterable[tuple[np.ndarray, np.ndarray]]
    ) -> np.ndarray:
        """What some training rows add to the prediction, (n_versions, n_new, n_targets) float32.

        ``versions``: indices of training rows, and values (n_rows, n_targets) of the ``targets``
        there. Up to a constant those of all rows add up to the prediction.
        """
        used = [n for n, own in enumerate(self.weights) if own[:, targets].any()]
        factors = {n: self.maps[n][2] @ self.weights[n][:, targets] for n in used}
        predicted = []
        for rows, values in versions:
            seen = ((self.maps[n][1][rows].T @ values) * factors[n] for n in used)
            predicted.append(sum(self.maps[n][0] @ own for n, own in zip(used, seen, strict=True)))
        return np.array(predicted, dtype=np.float32)


def refit(
    bands: Sequence[np.ndarray],
    y: np.ndarray,
    new: Sequence[np.ndarray],
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    alphas: np.ndarray,
    mixtures: np.ndarray,
    choice: Choice = best,
) -> Refit:
    """The ridge of `predictions`; arguments alike."""
    backend = array_functions()[1]
    kept, weights = _weighted(bands, y, folds, alphas, mixtures, "float32", choice)
    whole = kept.fold(np.arange(len(y)), np.arange(0))
    middles = [own.mean(axis=0) for own in bands]
    pairs = list(zip(new, middles, strict=True))
    rows = np.concatenate([b - middle for b, middle in pairs], axis=1)
    maps = []
    for mixture in mixtures:
        values, vectors, _held = whole.turned(kept.mixed(mixture))
        along, back = kept.along(rows, mixture, vectors), kept.back(vectors)
        powers = backend.to_numpy(values)
        shrunk = (1 / (powers[:, None] + np.asarray(alphas))).astype(np.float32)
        maps.append((*(backend.to_numpy(a).astype(np.float32) for a in (along, back)), shrunk))
    return Refit(maps, weights)


def _mapped(
    new: np.ndarray | None,
    bands: Sequence[np.ndarray],
    y: np.ndarray,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    alphas: np.ndarray,
    mixtures: np.ndarray,
    precision: str,
    choice: Choice,
) -> tuple[np.ndarray, np.ndarray]:
    """``new`` (n_new, n_features) @ weights: (n_new, n_targets), and the candidates' weights.

    None: the weights themselves.
    """
    _arrays, backend = array_functions()
    rows, weights = _weighted(bands, y, folds, alphas, mixtures, precision, choice)
    alphas = np.asarray(alphas)
    everything = np.arange(len(y))
    whole = rows.fold(everything, everything[:0])
    if new is None:
        found = np.zeros((sum(b.shape[1] for b in bands), y.shape[1]))
    else:
        found = np.zeros((len(new), y.shape[1]), dtype=precision)
    for mixture, own in zip(mixtures, weights, strict=True):
        used = np.flatnonzero(own.any(axis=0))
        if not len(used):
            continue
        values, vectors, _held = whole.turned(rows.mixed(mixture))
        along = rows.along(new, mixture, vectors)
        shrunk = 1 / (values[:, None] + backend.asarray(alphas, dtype=along.dtype))
        for part in parts(len(used)):
            targets = used[part]
            shares = backend.asarray(own[:, targets], dtype=along.dtype)
            seen = backend.asarray(whole.projected(vectors, targets), dtype=along.dtype)
            found[:, targets] += backend.to_numpy(along @ (seen * (shrunk @ shares)))
    return found, weights


def _weighted(
    bands: Sequence[np.ndarray],
    y: np.ndarray,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    alphas: np.ndarray,
    mixtures: np.ndarray,
    precision: str,
    choice: Choice,
) -> tuple[RidgeRows, np.ndarray]:
    """Training rows, and the weight of each candidate: (n_mixtures, n_alphas, n_targets)."""
    if not len(folds):
        raise ValueError("ridge has no folds to choose penalties by: give one or more")
    is_narrow = sum(band.shape[1] for band in bands) < len(y)
    kind: Callable[..., RidgeRows] = FeatureRows if is_narrow else KernelRows
    rows = kind(bands, y, precision)
    alphas = np.asarray(alphas)
    weights = np.zeros((len(mixtures), len(alphas), y.shape[1]), dtype=precision)
    for fold in folds:  # one at a time: with many targets it is most of the memory
        _add_losses(weights, rows, rows.fold(*fold), mixtures, alphas)
    weights /= len(folds)
    n_held = sum(len(test) for _train, test in folds)
    for part in parts(y.shape[1]):  # they take the place of the losses
        weights[..., part] = choice(weights[..., part], alphas, n_held)
    return rows, weights


def _add_losses(
    total: np.ndarray, rows: RidgeRows, split: RidgeFold, mixtures: np.ndarray, alphas: np.ndarray
) -> None:
    """Add the fold's mean squared errors to ``total`` (n_mixtures, n_alphas, n_targets).

    Test rows of several penalties are one matrix product. With many targets it maps training rows
    to test rows, and the targets are turned for no mixture.
    """
    arrays, backend = array_functions()
    n_targets = total.shape[2]
    for mixture, sums in zip(mixtures, total, strict=True):
        values, vectors, held = split.turned(rows.mixed(mixture))
        values, vectors = (backend.asarray(part, dtype=held.dtype) for part in (values, vectors))
        n_rows, few_rows = len(held), n_targets > len(alphas) * len(held)
        together = max(1, _ROWS_AT_ONCE // max(1, n_rows))
        groups = [slice(k, k + together) for k in range(0, len(alphas), together)]
        maps = [_along(held, values, alphas[g]) @ vectors.T for g in groups] if few_rows else []
        for part in parts(n_targets, _TARGETS_AT_ONCE):
            seen = split.seen(part) if few_rows else split.projected(vectors, part)
            target, constant = split.target(part), split.lost(part)
            for k, group in enumerate(groups):
                mapped = maps[k] if few_rows else _along(held, values, alphas[group])
                left = (mapped @ seen).reshape(len(alphas[group]), n_rows, seen.shape[1])
                left -= target
                squares = arrays.einsum("art,art->at", left, left) + constant
                sums[group, part] += backend.to_numpy(squares) / split.n_test


def _along(held: Any, values: Any, alphas: np.ndarray) -> Any:
    """Test rows of each penalty in turn, (n_alphas * n_rows, n)."""
    return array_functions()[0].concatenate([held / (values + alpha) for alpha in alphas.tolist()])
