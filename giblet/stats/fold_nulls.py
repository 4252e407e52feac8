"""Nulls of cross-validated ridge: BOLD is moved within folds, to train and to test alike.

The score of a map is a mean over folds that are not independent: any two meet twice, one to train
and the other to test, with nearly the same result. So BOLD of each fold is shifted circularly, with
a random sign, wherever it is used, and ridge is fitted again with the weights of penalties that the
true BOLD has. Where BOLD does not follow the film, and is stationary and symmetric within folds, a
map is then like its nulls in all places together (Winkler et al. 2014, on exchangeable errors and
sign flips). How much folds have in common need not be known.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from giblet.stats.feature_ridge import Refit
from giblet.stats.ridge_folds import parts

_ENOUGH = 5000  # different moves
_MOST_GROUPS = 5  # of folds that move together: time grows with their square
_MOST_STEPS = 16  # of a group among several: each is a prediction of all other folds
_MOST_STEPS_ALONE = 256
_TARGETS = 400  # at once: what is summed stays in the cache


@dataclass(frozen=True)
class Moves:
    """Circular shifts and signs of BOLD in each fold, the same for all subjects and places.

    Of more than five folds, neighbouring ones move together: each by its own length, with one sign.

    tests : TR indices of each fold, in rising order; groups : numbers of the folds that move
    together; shifts : of each fold those that may come, in TRs, the first 0; chosen : (1 + n_nulls,
    n_groups) number of the shift; signs : the same, 1 or -1. The first row moves nothing; no other
    does where all different moves are there.
    """

    tests: list[np.ndarray]
    groups: list[np.ndarray]
    shifts: list[np.ndarray]
    chosen: np.ndarray
    signs: np.ndarray


def draw_moves(tests: Sequence[np.ndarray], n_nulls: int, seed: int = 0) -> Moves:
    """Random ones of folds of TR indices; all that there are, each once, if ``n_nulls`` is more."""
    rng, groups, shifts = np.random.default_rng(seed), _groups(tests), _shifts(tests)
    sizes, n_groups = _sizes(tests), len(groups)
    if count_moves(tests) <= n_nulls + 1:
        n_signs = _n_signs(tests)
        every = np.argwhere(np.ones([*sizes, *[2] * n_signs]))
        every = rng.permutation(every[1:])  # the first is none
        chosen, signs = every[:, :n_groups], np.ones((len(every), n_groups), int)
        signs[:, n_groups - n_signs :] -= 2 * every[:, n_groups:]
    else:
        chosen = np.stack([rng.integers(size, size=n_nulls) for size in sizes], axis=1)
        signs = rng.choice([-1, 1], (n_nulls, n_groups))
    return Moves(
        list(tests),
        groups,
        shifts,
        np.vstack([np.zeros((1, n_groups), int), chosen]),
        np.vstack([np.ones((1, n_groups), int), signs]),
    )


def count_moves(tests: Sequence[np.ndarray]) -> int:
    """Different moves of folds of TR indices.

    >>> [count_moves([np.arange(99)] * n) for n in (1, 2, 3, 4, 5, 40)]
    [198, 512, 5324, 5000, 16384, 16384]
    """
    return prod(_sizes(tests)) * 2 ** _n_signs(tests)


def _groups(tests: Sequence[np.ndarray]) -> list[np.ndarray]:
    return np.array_split(np.arange(len(tests)), min(len(tests), _MOST_GROUPS))


def _n_signs(tests: Sequence[np.ndarray]) -> int:
    """Groups whose sign counts: turned all together, several change no r. A single fold is
    predicted from TRs that stay."""
    return max(1, len(_groups(tests)) - 1)


def _sizes(tests: Sequence[np.ndarray]) -> list[int]:
    """Shifts of each group.

    As many as make 5,000 different moves, but no more than 16 in each of several groups: of two
    folds 512 moves.

    >>> [_sizes([np.arange(300)] * n) for n in (1, 2, 5, 7)]
    [[256], [16, 16], [4, 4, 4, 4, 4], [4, 4, 4, 4, 4]]
    """
    groups, n_steps = _groups(tests), 2
    while n_steps ** len(groups) * 2 ** (len(groups) - 1) < _ENOUGH:
        n_steps += 1
    n_steps = min(n_steps, _MOST_STEPS if len(groups) > 1 else _MOST_STEPS_ALONE)
    return [min(n_steps, *(len(tests[fold]) for fold in group)) for group in groups]


def _shifts(tests: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Of each fold those that may come, in TRs, equally far apart round the ring of a fold.

    >>> _shifts([np.arange(8), np.arange(8, 16)])[0].tolist()
    [0, 1, 2, 3, 4, 5, 6, 7]
    """
    return [
        np.arange(size) * len(tests[fold]) // size
        for group, size in zip(_groups(tests), _sizes(tests), strict=True)
        for fold in group
    ]


class FoldNulls:
    """Correlations in one fold, under all of `Moves`.

    Parameters
    ----------
    number
        Of the fold, from 0.
    train : TR indices, in rising order
        Those of no fold stay where they are.
    """

    def __init__(self, moves: Moves, number: int, train: np.ndarray):
        self._test, self._shifts = moves.tests[number], moves.shifts[number]
        self._versions: list[tuple[np.ndarray, np.ndarray]] = []  # training rows, TRs of BOLD there
        known, columns, signs = np.isin(train, np.concatenate(moves.tests)), [], []
        of_test = next(n for n, group in enumerate(moves.groups) if number in group)
        for n, group in enumerate(moves.groups):
            others = [int(fold) for fold in group if fold != number]
            rows = [np.flatnonzero(np.isin(train, moves.tests[fold])) for fold in others]
            if not sum(map(len, rows)):
                continue
            columns.append(len(self._versions) + moves.chosen[:, n])
            signs.append(moves.signs[:, n])
            for step in range(len(moves.shifts[group[0]])):
                trs = [
                    _moved(train[own], moves.tests[fold], moves.shifts[fold][step])
                    for own, fold in zip(rows, others, strict=True)
                ]
                self._versions.append((np.concatenate(rows), np.concatenate(trs)))
        if not known.all():
            fixed = np.flatnonzero(~known)
            columns.append(np.full(len(moves.chosen), len(self._versions)))
            signs.append(np.ones(len(moves.chosen), int))
            self._versions.append((fixed, train[fixed]))
        n_versions = len(self._versions)
        self._products = _sums(
            [moves.chosen[:, of_test] * n_versions + column for column in columns],
            [moves.signs[:, of_test] * sign for sign in signs],
            n_versions * len(self._shifts),
        )
        pairs = [(a, b) for b in range(len(columns)) for a in range(b + 1)]
        self._powers = _sums(
            [columns[a] * n_versions + columns[b] for a, b in pairs],
            [signs[a] * signs[b] * (1 if a == b else 2) for a, b in pairs],
            n_versions**2,
        )

    def blocks(self, ridge: Refit, bold: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Of blocks of targets: which, and r under all moves, (1 + n_nulls, n_block) float32.

        ``ridge``: of this fold's training TRs; ``bold`` (n_trs, n_targets) without NaN. Where the
        prediction or BOLD does not vary r is of rounding, or NaN.
        """
        n_test = len(self._test)
        moved = self._test[(np.arange(n_test) - self._shifts[:, None]) % n_test]
        for block in parts(bold.shape[1], _TARGETS):
            own = np.ascontiguousarray(bold[:, block])
            predicted = ridge.predict(block, ((rows, own[trs]) for rows, trs in self._versions))
            predicted -= predicted.mean(axis=1, keepdims=True)
            measured = own[self._test] - own[self._test].mean(axis=0)
            power = (measured**2).sum(axis=0)
            by_target = predicted.transpose(2, 0, 1)
            here = (own[moved] - own[self._test].mean(axis=0)).transpose(2, 0, 1)
            products = here @ by_target.swapaxes(1, 2)
            powers = by_target @ by_target.swapaxes(1, 2)
            n_block = len(power)
            of_moves = self._products @ products.reshape(n_block, -1).T
            scale = (self._powers @ powers.reshape(n_block, -1).T) * power
            r = np.full((len(of_moves), n_block), np.nan, dtype=np.float32)
            np.divide(of_moves, np.sqrt(scale.clip(0)), out=r, where=scale > 0)
            yield block, r.clip(-1, 1, out=r)


def _moved(trs: np.ndarray, test: np.ndarray, shift: int) -> np.ndarray:
    """TRs whose BOLD comes to ``trs``, which are among those of a fold, ``test``."""
    return test[(np.searchsorted(test, trs) - shift) % len(test)]


def _sums(columns: list[np.ndarray], values: list[np.ndarray], n_columns: int) -> Any:
    """Sparse rows of which each adds up one of each of ``columns`` (n_rows,) times ``values``."""
    from scipy.sparse import csr_array

    n_rows, n = len(columns[0]), len(columns)
    where = np.stack(columns, axis=1).ravel()
    factors = np.stack(values, axis=1).ravel().astype(np.float32)
    return csr_array((factors, where, np.arange(n_rows + 1) * n), shape=(n_rows, n_columns))
