"""Prediction by partial matching (PPM*): the next symbol from contexts of all lengths, as in IDyOM.

From the longest context to the shortest, with ``c(s)`` the times that ``s`` followed this context
before, ``t`` the number of different symbols that did, and ``n`` the sum of ``c`` over the symbols
that no longer context predicted (exclusion)::

    p_k(s) = (c(s) + t p_{k-1}(s)) / (n + t)        where n > 0, else p_{k-1}(s)
    p_{-1}(s) = 1 / (number of symbols + 1 - number of those predicted)

and at the end divided by the sum. That is escape method C (Moffat 1990, IEEE Transactions on
Communications 38) in the scheme of Cleary & Witten (1984, the same 32), with interpolated smoothing
(Bunton 1996). The longest context is the shortest one that only one symbol has followed (Cleary &
Teahan 1997), else the longest that has stood before, up to a bound. So Pearce (2005, The
construction and evaluation of statistical models of melodic structure, chapter 6) has it; the
distributions are those of IDyOM without update exclusion.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from giblet.errors import GibletError

_ROWS = 2048  # of a distribution that are worked on at a time


class _Mixture:
    """Distributions (n, n_symbols) while contexts are added, from the longest to the shortest.

    Its columns are the symbols ``used`` (n_used,), the only ones that have counts.
    """

    def __init__(self, n: int, n_symbols: int, used: np.ndarray):
        self.n_symbols, self.used = n_symbols, used
        self.p = np.zeros((n, len(used)))
        self.rest = np.ones(n)  # what is left to the shorter contexts
        self.predicted = np.zeros((n, len(used)), bool)

    def add(self, rows: np.ndarray, counts: np.ndarray) -> None:
        """One context more: ``counts`` (n_rows, n_used) of what followed it."""
        types = np.count_nonzero(counts, axis=1)
        n = np.where(self.predicted[rows], 0, counts).sum(1)
        rows, counts, types, n = (x[n > 0] for x in (rows, counts, types, n))
        share = self.rest[rows] / (n + types)
        self.p[rows] += share[:, None] * counts
        self.rest[rows] = share * types
        self.predicted[rows] |= counts > 0

    def distributions(self) -> np.ndarray:
        """The whole, when no context is left."""
        each = self.rest / (self.n_symbols + 1 - self.predicted.sum(1))
        p = np.repeat(each[:, None], self.n_symbols, axis=1)
        p[:, self.used] += self.p
        return p / p.sum(1, keepdims=True)


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
    used, symbols = np.unique(_checked(symbols, n_symbols), return_inverse=True)
    n = len(symbols)
    contexts = np.zeros(n, np.int64)  # of each symbol: a number for what stands before it
    open_rows = np.ones(n, bool)  # of which no context yet has had one symbol alone
    levels = []
    for length in range(min(order, n - 1) + 1):
        if length:
            contexts = _longer(contexts, symbols, length)
        levels.append((contexts, open_rows))
        open_rows = open_rows & (_types_before(contexts, symbols) != 1)
    mixture = _Mixture(n, n_symbols, used)
    for contexts, rows in reversed(levels):
        for part, counts in _counts_before(contexts, symbols, rows, len(used)):
            mixture.add(part, counts)
    return mixture.distributions()


def _types_before(contexts: np.ndarray, symbols: np.ndarray) -> np.ndarray:
    """Different symbols (n,) that followed each one's context earlier; 0 without a context."""
    types = np.zeros(len(symbols), np.int64)
    rows = np.flatnonzero(contexts >= 0)
    rows = rows[np.argsort(contexts[rows], kind="stable")]  # by context, then time
    is_new = np.zeros(len(rows), np.int64)
    pairs = contexts[rows] * (int(symbols.max(initial=0)) + 1) + symbols[rows]
    is_new[np.unique(pairs, return_index=True)[1]] = 1
    _, first, group = np.unique(contexts[rows], return_index=True, return_inverse=True)
    before = np.cumsum(is_new) - is_new
    types[rows] = before - before[first][group] if len(rows) else 0
    return types


def _counts_before(
    contexts: np.ndarray, symbols: np.ndarray, wanted: np.ndarray, n_used: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows, by parts, and how often each symbol followed their context earlier."""
    rows = np.flatnonzero(contexts >= 0)
    rows = rows[np.argsort(contexts[rows], kind="stable")]
    if not len(rows):
        return
    _, first, size = np.unique(contexts[rows], return_index=True, return_counts=True)
    used = (size > 1) & (np.add.reduceat(wanted[rows].astype(int), first) > 0)
    for places, own_first in _whole_groups(first[used], size[used]):
        part = rows[places]
        heard = np.zeros((len(part), n_used))
        heard[np.arange(len(part)), symbols[part]] = 1
        before = np.cumsum(heard, axis=0) - heard
        before -= before[own_first]  # what stood in the groups before
        yield part[wanted[part]], before[wanted[part]]


def _whole_groups(first: np.ndarray, size: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
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


class LongTerm:
    """Counts of a corpus, which do not change while a piece is heard.

    Parameters
    ----------
    sequences : of (n,) integer, from 0 to ``n_symbols - 1``; no context crosses into another one
    order : longest context, 0 or more

    Raises GibletError for symbols outside the alphabet.

    >>> model = LongTerm([np.array([0, 1, 0])], n_symbols=2, order=1)
    >>> model.distributions(np.array([0, 1])).round(3).tolist()
    [[0.571, 0.429], [0.364, 0.636]]
    """

    def __init__(self, sequences: Sequence[np.ndarray], n_symbols: int, order: int):
        self.n_symbols, self.order = n_symbols, order
        sequences = [_checked(sequence, n_symbols) for sequence in sequences]
        symbols = np.concatenate([np.zeros(0, np.int64), *sequences])
        place = np.concatenate([np.zeros(0, np.int64), *(np.arange(len(s)) for s in sequences)])
        self._orders: list[_Order] = []
        rows, contexts = np.arange(len(symbols)), np.zeros(len(symbols), np.int64)
        keys = np.zeros(1, np.int64)
        for length in range(order + 1):
            if length:
                inside = place[rows] >= length
                rows, contexts = rows[inside], contexts[inside]
                keys, contexts = np.unique(
                    contexts * n_symbols + symbols[rows - length], return_inverse=True
                )
            if not len(rows):
                break
            counted = _counted(keys, contexts, symbols[rows], n_symbols)
            self._orders.append(counted)
            several = np.diff(counted.begin)[contexts] > 1  # else no longer context is asked
            rows, contexts = rows[several], contexts[several]

    def distributions(self, symbols: np.ndarray) -> np.ndarray:
        """Distribution (n, n_symbols) float64 of each symbol (n,), given those before it."""
        symbols = _checked(symbols, self.n_symbols)
        contexts, levels = np.zeros(len(symbols), np.int64), []
        for length, order in enumerate(self._orders):
            if length:
                rows = np.flatnonzero(contexts >= 0)
                rows = rows[rows >= length]
                wanted = contexts[rows] * self.n_symbols + symbols[rows - length]
                places = np.minimum(np.searchsorted(order.keys, wanted), len(order.keys) - 1)
                contexts = np.full(len(symbols), -1, np.int64)
                contexts[rows] = np.where(order.keys[places] == wanted, places, -1)
            levels.append((contexts, order))
        mixture = _Mixture(len(symbols), self.n_symbols, np.arange(self.n_symbols))
        for contexts, order in reversed(levels):
            rows = np.flatnonzero(contexts >= 0)
            for begin in range(0, len(rows), _ROWS):
                part = rows[begin : begin + _ROWS]
                mixture.add(part, _dense(order, contexts[part], self.n_symbols))
        return mixture.distributions()


def _counted(keys: np.ndarray, contexts: np.ndarray, symbols: np.ndarray, n_symbols: int) -> _Order:
    pairs, counts = np.unique(contexts * n_symbols + symbols, return_counts=True)
    begin = np.searchsorted(pairs // n_symbols, np.arange(len(keys) + 1))
    return _Order(keys, begin, pairs % n_symbols, counts.astype(float))


def _dense(order: _Order, contexts: np.ndarray, n_symbols: int) -> np.ndarray:
    """Counts (n, n_symbols) of what followed contexts (n,)."""
    types = np.diff(order.begin)[contexts]
    offsets = np.arange(types.sum()) - np.repeat(np.cumsum(types) - types, types)
    pairs = np.repeat(order.begin[contexts], types) + offsets
    counts = np.zeros((len(contexts), n_symbols))
    counts[np.repeat(np.arange(len(contexts)), types), order.symbols[pairs]] = order.counts[pairs]
    return counts


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
