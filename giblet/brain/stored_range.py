"""16-bit integers that were too small for the BOLD: values that wrapped round or were cut off."""

import numpy as np

LIMITS = np.iinfo(np.int16)
_OFTEN = 3  # volumes in which a column is at a limit, by chance in none


def is_int16(dtype: np.dtype, slope: float | None = None, intercept: float | None = None) -> bool:
    """Whether a file stores values as they are, unscaled, as signed 16-bit integers."""
    unscaled = slope in (None, 1) and intercept in (None, 0)
    return bool(unscaled and dtype.kind == "i" and dtype.itemsize == LIMITS.bits // 8)


class StoredRange:
    """What the blocks of one run, (n, n_columns) each, show of the limits of 16 bits."""

    def __init__(self, n_columns: int):
        self.n_at_limit = np.zeros(n_columns, dtype=int)

    def add(self, block: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
        """One block; its least and greatest values ``low`` and ``high`` (n_columns,)."""
        at_limit = (low <= LIMITS.min) | (high >= LIMITS.max)
        if at_limit.any():
            values = block[:, at_limit]
            outside = (values <= LIMITS.min) | (values >= LIMITS.max)
            self.n_at_limit[at_limit] += outside.sum(axis=0)

    def wrapped(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Columns (n_columns,) bool in which large values were stored as negative ones.

        ``low`` and ``high`` (n_columns,): the least and greatest of all blocks. No signal spans
        more than half of what the integers hold.
        """
        return np.asarray(high - low > LIMITS.max)

    def cut_off(self) -> np.ndarray:
        """Columns (n_columns,) bool that are at a limit in several volumes."""
        return self.n_at_limit >= _OFTEN
