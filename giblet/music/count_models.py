"""Models of symbols by counting: what a network must beat."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from giblet.errors import GibletError

_ROWS = 2048  # whose possible symbols are in memory at a time


@dataclass(frozen=True, eq=False)
class _Counts:
    """Counts of one order: each (context, symbol) and each context, as sorted numbers."""

    pairs: np.ndarray  # (n_pairs,) int64, context * n_symbols + symbol
    counts: np.ndarray  # (n_pairs,) int64
    contexts: np.ndarray  # (n_contexts,) int64
    totals: np.ndarray  # (n_contexts,) int64, sum of the counts after each
    types: np.ndarray  # (n_contexts,) int64, different symbols after each
    discount: float


class CountModel:
    """Interpolated Kneser-Ney over rows of symbols: the last of each row given those before it.

    ``p(w | h) = max(c(hw) - D, 0) / c(h) + D types(h) / c(h) p(w | h')`` with ``h'`` the context
    without its first symbol, ``c`` the count in the longest context and below it the number of
    different symbols before, ``D = n1 / (n1 + 2 n2)`` of the numbers of counts 1 and 2, and at the
    end the uniform distribution (Chen & Goodman 1999, Computer Speech & Language 13, section 3).

    Parameters
    ----------
    rows : (n_rows, order) integer
        Symbols from 0 to ``n_symbols - 1``: the least important of the context first, the symbol
        to predict last. ``order`` 1 has no context.

    Raises
    ------
    GibletError
        There are no rows, or the order is too high for 63 bits.
    """

    def __init__(self, rows: np.ndarray, n_symbols: int):
        rows = np.asarray(rows, dtype=np.int64)
        if rows.ndim != 2 or not rows.size:
            raise GibletError("a count model: nothing to count; give at least one row of symbols")
        self.order, self.n_symbols = rows.shape[1], n_symbols
        if self.order * np.log2(n_symbols) >= 63:
            raise GibletError(f"a count model of order {self.order}: too high, 6 at most for music")
        self._levels: list[_Counts] = []
        pairs, counts = np.unique(self._numbers(rows), return_counts=True)
        for length in range(self.order - 1, -1, -1):  # of the context
            self._levels.append(_count(pairs, counts, n_symbols))
            pairs, counts = np.unique(pairs % n_symbols ** max(length, 1), return_counts=True)

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        """Probability (n_rows,) float64 of the last symbol of each row (n_rows, order)."""
        return self._probabilities(self._numbers(np.asarray(rows, dtype=np.int64)))

    def probability_of_any(self, rows: np.ndarray, possible: np.ndarray) -> np.ndarray:
        """Probability (n_rows,) float64 that the last symbol is one of those that are possible.

        ``possible`` (n_rows, n_symbols) bool; the last symbols of ``rows`` say nothing.
        """
        before = self._numbers(np.asarray(rows, dtype=np.int64)) // self.n_symbols
        p = possible.mean(axis=1)
        for length, level in enumerate(reversed(self._levels)):
            contexts = before % self.n_symbols**length
            totals = _looked_up(level.contexts, level.totals, contexts)
            types = _looked_up(level.contexts, level.types, contexts)
            begin = np.searchsorted(level.pairs, contexts * self.n_symbols)
            seen = np.where(totals > 0, types, 0)
            row = np.repeat(np.arange(len(rows)), seen)
            first = np.repeat(begin - np.cumsum(seen) + seen, seen)
            pairs = np.arange(len(row)) + first  # all that followed each row's context
            counts = level.counts[pairs] * possible[row, level.pairs[pairs] % self.n_symbols]
            kept = np.bincount(row, np.maximum(counts - level.discount, 0), len(rows))
            p = np.where(totals > 0, (kept + level.discount * types * p) / np.maximum(totals, 1), p)
        return p

    def distribution(self, context: Sequence[int]) -> np.ndarray:
        """Probabilities (n_symbols,) float64 of every symbol after ``order - 1`` others."""
        symbols = np.arange(self.n_symbols)
        rows = [np.full(self.n_symbols, symbol) for symbol in context]
        return self.probabilities(np.stack([*rows, symbols], axis=1))

    def _numbers(self, rows: np.ndarray) -> np.ndarray:
        """Each row as one number, its last symbol the lowest digit."""
        numbers = np.zeros(len(rows), np.int64)
        for column in rows.T:
            numbers = numbers * self.n_symbols + column
        return numbers

    def _probabilities(self, numbers: np.ndarray) -> np.ndarray:
        p = np.full(len(numbers), 1 / self.n_symbols)
        for length, level in enumerate(reversed(self._levels)):
            pairs = numbers % self.n_symbols ** (length + 1)
            counts = _looked_up(level.pairs, level.counts, pairs)
            contexts = pairs // self.n_symbols
            totals = _looked_up(level.contexts, level.totals, contexts)
            types = _looked_up(level.contexts, level.types, contexts)
            kept = np.maximum(counts - level.discount, 0) + level.discount * types * p
            p = np.where(totals > 0, kept / np.maximum(totals, 1), p)
        return p


class TokenCounts:
    """Count model of token sequences: each token given the ``order - 1`` before it.

    At a piece's beginning a symbol of its own, beside the ``n_symbols``, stands for what is
    missing. The distribution is over the ``n_symbols`` alone.

    Parameters
    ----------
    pieces : of (n_tokens,) integer
        Tokens from 0 to ``n_symbols - 1``.

    Raises GibletError if there are no tokens.

    >>> model = TokenCounts([np.array([0, 1, 0, 1, 0])], 2, n_symbols=2)
    >>> bool(model.nats(np.array([0, 1]))[1] < np.log(2))
    True
    """

    def __init__(self, pieces: Sequence[np.ndarray], order: int, n_symbols: int):
        self.order, self.n_symbols = order, n_symbols
        rows = [self._rows(tokens) for tokens in pieces]
        # The beginning's symbol only stands in contexts: the model must not give it probability.
        self._model = CountModel(np.concatenate(rows or [np.empty((0, order))]), n_symbols + 1)

    def nats(self, tokens: np.ndarray, possible: np.ndarray | None = None) -> np.ndarray:
        """Surprise (n_tokens,) float64 of each token given those before it, in nats.

        Among the symbols that are ``possible`` (n_tokens, n_symbols) bool at its place, by default
        all.
        """
        nats = np.zeros(len(tokens))
        rows = self._rows(tokens)
        for start in range(0, len(rows), _ROWS):
            part = slice(start, start + _ROWS)
            may_be = np.ones((len(rows[part]), self.n_symbols + 1), bool)
            if possible is not None:
                may_be[:, : self.n_symbols] = possible[part]
            may_be[:, self.n_symbols] = False  # the beginning
            of_any = self._model.probability_of_any(rows[part], may_be)
            nats[part] = np.log(of_any) - np.log(self._model.probabilities(rows[part]))
        return nats

    def _rows(self, tokens: np.ndarray) -> np.ndarray:
        before = np.full(self.order - 1, self.n_symbols)
        padded = np.concatenate([before, np.asarray(tokens, dtype=np.int64)])
        return padded[np.arange(len(tokens))[:, None] + np.arange(self.order)]


def _count(pairs: np.ndarray, counts: np.ndarray, n_symbols: int) -> _Counts:
    contexts, first = np.unique(pairs // n_symbols, return_index=True)
    totals = np.add.reduceat(counts, first)
    types = np.diff(first, append=len(pairs))
    once, twice = np.count_nonzero(counts == 1), np.count_nonzero(counts == 2)
    discount = once / (once + 2 * twice) if once else 0.5  # 0 would leave no chance to the unseen
    return _Counts(pairs, counts, contexts, totals, types, discount)


def _looked_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The value of each wanted key, 0 where it is not among the sorted ``keys``."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], 0)
