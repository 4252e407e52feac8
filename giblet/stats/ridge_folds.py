"""Folds of banded ridge: products of training rows, of features or of samples (kernels).

A fold offers for each mixture of bands the powers and directions of its training rows. Ridge of any
penalty is then a product of matrices.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from giblet.stats.array_backend import array_functions

Targets = slice | np.ndarray  # columns of the targets


class RidgeFold(Protocol):
    """Training and test rows of a cross-validation. Arrays of the backend."""

    @property
    def n_test(self) -> int:
        """Number of test rows."""

    def turned(self, mixed: Any) -> tuple[Any, Any, Any]:
        """Powers (n,), directions (n_products, n), and test rows along them (n_test, n).

        ``mixed``: what `RidgeRows.mixed` returns.
        """

    def projected(self, vectors: Any, part: Targets) -> Any:
        """Products of directions (n_products, n) with the targets in ``part``: (n, n_targets)."""

    def seen(self, part: Targets) -> Any:
        """What `projected` turns: (n_products, n_targets)."""

    def target(self, part: slice) -> Any:
        """Of test rows, minus the training mean: (n_test, n_targets)."""

    def lost(self, part: slice) -> Any:
        """Squares of the targets that `target` has left out, (n_targets,)."""


class RidgeRows(Protocol):
    """Rows of all bands and their targets."""

    def fold(self, train: np.ndarray, test: np.ndarray) -> RidgeFold:
        """Rows ``train`` and ``test`` (indices)."""

    def mixed(self, mixture: np.ndarray) -> Any:
        """What folds need of a mixture (n_bands,)."""

    def along(self, new: Any, mixture: np.ndarray, vectors: Any) -> Any:
        """Rows ``new`` (n_new, n_features), minus the mean, along directions: (n_new, n).

        None: of the identity, (n_features, n).
        """

    def back(self, vectors: Any) -> Any:
        """All rows along directions of all rows, (n_rows, n): targets are projected by them."""


@dataclass(frozen=True)
class _FeatureFold:
    """gram (n_features, n_features), cross (n_features, n_targets); held (n_rows, n_features) and
    own (n_rows, n_targets): where there are more test rows than features they are rotated, and the
    part of the target that no weights can predict is left out."""

    gram: Any
    cross: Any
    held: Any
    own: Any
    left_out: Any
    n_test: int

    def turned(self, mixed: Any) -> tuple[Any, Any, Any]:
        arrays, _backend = array_functions()
        values, vectors = arrays.linalg.eigh(self.gram * (mixed[:, None] * mixed))
        vectors = mixed[:, None] * vectors
        return values.clip(0), vectors, self.held @ _like(vectors, self.held)

    def projected(self, vectors: Any, part: Targets) -> Any:
        return vectors.T @ _like(self.seen(part), vectors)

    def seen(self, part: Targets) -> Any:
        return self.cross[:, part]

    def target(self, part: slice) -> Any:
        return self.own[:, part]

    def lost(self, part: slice) -> Any:
        return self.left_out[part]


class FeatureRows:
    """Products of features: of use where they are fewer than samples."""

    def __init__(self, bands: Sequence[np.ndarray], y: np.ndarray, precision: str):
        backend = array_functions()[1]
        self._x = backend.asarray(np.concatenate(bands, axis=1).astype(precision))
        self._y = backend.asarray(np.require(y, precision, "W"))
        self._widths = [band.shape[1] for band in bands]

    def fold(self, train: np.ndarray, test: np.ndarray) -> _FeatureFold:
        arrays, backend = array_functions()
        x, y = self._x, self._y
        middle = x[train].mean(axis=0)
        seen, held = x[train] - middle, x[test] - middle
        exact = backend.asarray(seen, dtype="float64")
        turn = None
        if len(test) > x.shape[1]:
            turn, held = arrays.linalg.qr(held)
        n_targets = y.shape[1]
        cross = backend.zeros_like(y, shape=(x.shape[1], n_targets))
        own = backend.zeros_like(y, shape=(len(held), n_targets))
        left_out = backend.zeros_like(y, shape=(n_targets,))
        for part in parts(n_targets):  # no copy of all targets
            rows = y[:, part][train]
            level = rows.mean(axis=0)
            cross[:, part] = seen.T @ (rows - level)
            wanted = y[:, part][test] - level
            own[:, part] = wanted if turn is None else turn.T @ wanted
            if turn is not None:
                left = (wanted**2).sum(axis=0) - (own[:, part] ** 2).sum(axis=0)
                left_out[part] = left.clip(0)
        return _FeatureFold(exact.T @ exact, cross, held, own, left_out, len(test))

    def mixed(self, mixture: np.ndarray) -> Any:
        backend = array_functions()[1]
        return backend.asarray(np.sqrt(np.repeat(mixture, self._widths)), dtype="float64")

    def along(self, new: Any, mixture: np.ndarray, vectors: Any) -> Any:
        return vectors if new is None else _like(new, vectors) @ vectors

    def back(self, vectors: Any) -> Any:
        return _like(self._x - self._x.mean(axis=0), vectors) @ vectors


class _KernelFold:
    def __init__(self, y: Any, train: np.ndarray, test: np.ndarray):
        self._y, self._train, self._test, self.n_test = y, train, test, len(test)
        self._level = array_functions()[1].zeros_like(y, shape=(y.shape[1],))
        for part in parts(y.shape[1]):  # no copy of all targets
            self._level[part] = y[:, part][train].mean(axis=0)

    def turned(self, mixed: Any) -> tuple[Any, Any, Any]:
        arrays, _backend = array_functions()
        rows = mixed[self._train]
        own = rows[:, self._train]
        columns = own.mean(axis=0)
        centred = own - columns - columns[:, None] + columns.mean()
        values, vectors = arrays.linalg.eigh(centred)
        held = mixed[self._test][:, self._train]
        held = held - held.mean(axis=1)[:, None] - columns + columns.mean()
        return values.clip(0), vectors, held @ vectors

    def projected(self, vectors: Any, part: Targets) -> Any:
        return vectors.T @ self.seen(part)

    def seen(self, part: Targets) -> Any:
        return self._y[:, part][self._train] - self._level[part]

    def target(self, part: slice) -> Any:
        return self._y[:, part][self._test] - self._level[part]

    def lost(self, part: slice) -> Any:
        return 0 * self._level[part]


class KernelRows:
    """Products of samples (kernels): of use where they are fewer than features."""

    def __init__(self, bands: Sequence[np.ndarray], y: np.ndarray, precision: str):
        backend = array_functions()[1]
        self._bands = [backend.asarray(band.astype(precision)) for band in bands]
        self._kernels = [band @ band.T for band in self._bands]
        self._y = backend.asarray(np.require(y, precision, "W"))

    def fold(self, train: np.ndarray, test: np.ndarray) -> _KernelFold:
        return _KernelFold(self._y, train, test)

    def mixed(self, mixture: np.ndarray) -> Any:
        shares = zip(mixture.tolist(), self._kernels, strict=True)
        return sum(share * kernel for share, kernel in shares)

    def along(self, new: Any, mixture: np.ndarray, vectors: Any) -> Any:
        pairs = zip(mixture.tolist(), self._bands, strict=True)
        weights = [share * ((band - band.mean(axis=0)).T @ vectors) for share, band in pairs]
        if new is None:
            return array_functions()[0].concatenate(weights)
        cuts = np.cumsum([0, *(len(own) for own in weights)])
        return sum(
            _like(new[:, start:stop], own) @ own
            for start, stop, own in zip(cuts[:-1], cuts[1:], weights, strict=True)
        )

    def back(self, vectors: Any) -> Any:
        return vectors


def _like(values: Any, other: Any) -> Any:
    """``values`` in the precision of ``other``."""
    return array_functions()[1].asarray(values, dtype=other.dtype)


def parts(n_targets: int, n_at_once: int = 2000) -> Iterator[slice]:
    """Blocks of targets."""
    for start in range(0, n_targets, n_at_once):
        yield slice(start, start + n_at_once)
