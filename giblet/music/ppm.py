"""Prediction by partial matching: distributions of the next symbol, given contexts of every order.

``p_k(s) = (c_k(s) + t_k p_{k-1}(s)) / (n_k + t_k)``: among the ``n_k`` times that the last ``k``
symbols stood before, ``c_k(s)`` were followed by ``s``, and ``t_k`` different symbols followed.
``p_{-1}`` is uniform; a context that never stood before changes nothing. This is PPM with escape
method C (Cleary & Witten 1984, IEEE Transactions on Communications 32; Moffat 1990, the same 38)
and interpolated smoothing, which uses all orders at every symbol (Bunton 1996; Pearce 2005, chapter
6). Without exclusion the probabilities sum to 1 as they are. Unlike IDyOM, orders are bounded,
counts grow in all orders, and the uniform distribution does not depend on the symbols seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from giblet.errors import GibletError

_ROWS = 2048  # of a distribution that are worked on at a time


def short_term(symbols: np.ndarray, n_symbols: int, order: int) -> np.ndarray:
    """Distribution of each symbol of a sequence, learned from those before it alone.

    Parameters
    ----------
    symbols : (n,) integer, from 0 to ``n_symbols - 1``
    order : longest context, 0 or more

    Returns
    -------
    distributions : (n, n_symbols) float64, each row sums to 1

    Raises GibletError for symbols outside the alphabet.

    >>> short_term(np.array([0, 0, 1]), n_symbols=2, order=0).round(3).tolist()
    [[0.5, 0.5], [0.75, 0.25], [0.833, 0.167]]
    """
    symbols = _checked(symbols, n_symbols)
    n = len(symbols)
    p = np.full((n, n_symbols), 1 / n_symbols)
    contexts = np.zeros(n, np.int64)  # of each symbol: a number for what stands before it
    for length in range(min(order, n - 1) + 1):
        if length:
            contexts = _longer(contexts, symbols, length)
        _learn_as_heard(p, contexts, symbols)
    return p


def _learn_as_heard(p: np.ndarray, contexts: np.ndarray, symbols: np.ndarray) -> None:
    """One order more in ``p``: symbols that followed the same context earlier."""
    rows = np.flatnonzero(contexts >= 0)
    rows = rows[np.argsort(contexts[rows], kind="stable")]  # by context, then time
    _, first, size = np.unique(contexts[rows], return_index=True, return_counts=True)
    again = np.repeat(size > 1, size)
    if not again.any():
        return
    for begin, end in _whole_groups(first[size > 1], size[size > 1]):
        part = rows[begin]
        heard = np.zeros((len(part), p.shape[1]))
        heard[np.arange(len(part)), symbols[part]] = 1
        before = np.cumsum(heard, axis=0) - heard
        before -= before[end]  # what stood in the groups before
        n, types = before.sum(1), np.count_nonzero(before, axis=1)
        known = n > 0
        mixed = before[known] + types[known, None] * p[part[known]]
        p[part[known]] = mixed / (n + types)[known, None]


def _whole_groups(first: np.ndarray, size: np.ndarray):
    """Places of some groups at a time, and for each place that of its group's first in them."""
    splits = np.flatnonzero(np.diff(np.cumsum(size) // _ROWS)) + 1
    for starts, sizes in zip(np.split(first, splits), np.split(size, splits), strict=True):
        begins = np.cumsum(sizes) - sizes  # among the places of this part
        own = np.repeat(begins, sizes)
        yield np.repeat(starts, sizes) + np.arange(len(own)) - own, own


def _longer(contexts: np.ndarray, symbols: np.ndarray, length: int) -> np.ndarray:
    """Numbers of the contexts one symbol longer: -1 where there is none, or it is the only one."""
    longer = np.full(len(symbols), -1, np.int64)
    rows = np.flatnonzero(contexts >= 0)
    rows = rows[rows >= length]
    keys = contexts[rows] * (int(symbols.max()) + 1) + symbols[rows - length]
    _, numbers, counts = np.unique(keys, return_inverse=True, return_counts=True)
    longer[rows] = np.where(counts[numbers] > 1, numbers, -1)  # what stands once teaches nothing
    return longer


@dataclass(frozen=True, eq=False)
class _Order:
    """Counts after contexts of one length, as sorted keys; contexts are numbered in their order."""

    keys: np.ndarray  # (n_contexts,) int64, number of the shorter context * n_symbols + its symbol
    begin: np.ndarray  # (n_contexts + 1,) int64, where the symbols after each context begin
    symbols: np.ndarray  # (n_pairs,) int64
    counts: np.ndarray  # (n_pairs,) float64
    totals: np.ndarray  # (n_contexts,) float64


class LongTerm:
    """Counts of a corpus, which do not change while a piece is heard.

    Parameters
    ----------
    sequences : of (n,) integer, from 0 to ``n_symbols - 1``; no context crosses into another one
    order : longest context, 0 or more

    Raises GibletError for symbols outside the alphabet.

    >>> model = LongTerm([np.array([0, 1, 0])], n_symbols=2, order=1)
    >>> model.distributions(np.array([0, 1])).round(3).tolist()
    [[0.6, 0.4], [0.3, 0.7]]
    """

    def __init__(self, sequences: Sequence[np.ndarray], n_symbols: int, order: int):
        self.n_symbols, self.order = n_symbols, order
        sequences = [_checked(sequence, n_symbols) for sequence in sequences]
        symbols = np.concatenate([np.zeros(0, np.int64), *sequences])
        place = np.concatenate([np.zeros(0, np.int64), *(np.arange(len(s)) for s in sequences)])
        self._orders: list[_Order] = []
        rows, contexts = np.arange(len(symbols)), np.zeros(len(symbols), np.int64)
        keys = np.zeros(1, np.int64)
        for length in range(order + 1 if len(symbols) else 0):
            if length:
                inside = place[rows] >= length
                rows, contexts = rows[inside], contexts[inside]
                keys, contexts = np.unique(
                    contexts * n_symbols + symbols[rows - length], return_inverse=True
                )
            if not len(rows):
                break
            self._orders.append(_counted(keys, contexts, symbols[rows], n_symbols))

    def distributions(self, symbols: np.ndarray) -> np.ndarray:
        """Distribution (n, n_symbols) float64 of each symbol (n,), given those before it."""
        symbols = _checked(symbols, self.n_symbols)
        p = np.full((len(symbols), self.n_symbols), 1 / self.n_symbols)
        contexts = np.zeros(len(symbols), np.int64)
        for length, order in enumerate(self._orders):
            rows = np.flatnonzero(contexts >= 0)
            if length:
                rows = rows[rows >= length]
                wanted = contexts[rows] * self.n_symbols + symbols[rows - length]
                found = np.minimum(np.searchsorted(order.keys, wanted), len(order.keys) - 1)
                contexts = np.full(len(symbols), -1, np.int64)
                contexts[rows] = np.where(order.keys[found] == wanted, found, -1)
                rows = rows[contexts[rows] >= 0]
            _mix(p, rows, contexts[rows], order)
        return p


def _counted(keys: np.ndarray, contexts: np.ndarray, symbols: np.ndarray, n_symbols: int) -> _Order:
    pairs, counts = np.unique(contexts * n_symbols + symbols, return_counts=True)
    owners = pairs // n_symbols
    begin = np.searchsorted(owners, np.arange(len(keys) + 1))
    totals = np.bincount(contexts, minlength=len(keys))
    return _Order(keys, begin, pairs % n_symbols, counts.astype(float), totals.astype(float))


def _mix(p: np.ndarray, rows: np.ndarray, contexts: np.ndarray, order: _Order) -> None:
    """One order more in ``p[rows]``, of which the contexts are known."""
    types = np.diff(order.begin)[contexts]
    weight = 1 / (order.totals[contexts] + types)
    p[rows] *= (types * weight)[:, None]
    offsets = np.arange(types.sum()) - np.repeat(np.cumsum(types) - types, types)
    pairs = np.repeat(order.begin[contexts], types) + offsets
    p[np.repeat(rows, types), order.symbols[pairs]] += order.counts[pairs] * np.repeat(
        weight, types
    )


def entropy(distributions: np.ndarray) -> np.ndarray:
    """Entropy (...) in nats of distributions (..., n_symbols).

    >>> entropy(np.array([[0.5, 0.5], [1.0, 0.0]])).round(3).tolist()
    [0.693, 0.0]
    """
    return (distributions * -np.log(np.where(distributions > 0, distributions, 1))).sum(-1)


def combined(distributions: Sequence[np.ndarray], bias: float) -> np.ndarray:
    """Entropy-weighted geometric mean of distributions, each (n, n_symbols) and above 0.

    ``p ∝ (∏ p_m ^ w_m) ^ (1 / Σ w_m)`` with ``w_m = (H_m / log n_symbols) ^ -bias``: a model that
    is sure weighs more (Pearce, Conklin & Wiggins 2005, Methods for combining statistical models of
    music, LNCS 3310). With one distribution it is that one.

    >>> combined([np.array([[0.5, 0.5]]), np.array([[0.9, 0.1]])], bias=0).round(2).tolist()
    [[0.75, 0.25]]
    """
    if len(distributions) == 1:
        return distributions[0]
    n_symbols = distributions[0].shape[-1]
    relative = [np.maximum(entropy(p) / np.log(n_symbols), 1e-9) for p in distributions]
    weights = np.stack(relative) ** -bias  # (n_models, n)
    weights /= weights.sum(0)
    mean = sum(w[:, None] * np.log(p) for w, p in zip(weights, distributions, strict=True))
    p = np.exp(mean - mean.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def _checked(symbols: np.ndarray, n_symbols: int) -> np.ndarray:
    symbols = np.asarray(symbols)
    if symbols.ndim != 1 or not (np.issubdtype(symbols.dtype, np.integer) or not symbols.size):
        raise GibletError(f"symbols must be integers (n,), not {symbols.dtype} {symbols.shape}")
    outside = symbols[(symbols < 0) | (symbols >= n_symbols)]
    if len(outside):
        raise GibletError(f"symbol {outside[0]} is outside the alphabet (0-{n_symbols - 1})")
    return symbols.astype(np.int64)
