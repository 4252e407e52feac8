"""Intervals of scores over the folds of a cross-validation."""

import numpy as np

LEVEL = 0.95


def fold_interval(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the 95 % interval of the mean over folds, (...) each.

    ``scores`` (n_folds, ...). Folds share training TRs, so their scores are not independent: the
    variance of the mean is that of the scores times 1 / n_folds + n_test / n_train (Nadeau & Bengio
    2003), with Student's t of n_folds - 1 degrees. NaN where a fold has no score, and for one fold.

    >>> low, high = fold_interval(np.array([0.1, 0.2, 0.3]))
    >>> round(float(low), 3), round(float(high), 3)
    (-0.193, 0.593)
    """
    from scipy.stats import t

    n = len(scores)
    if n < 2:
        return np.full(scores.shape[1:], np.nan), np.full(scores.shape[1:], np.nan)
    middle, deviation = scores.mean(axis=0), scores.std(axis=0, ddof=1)
    half = t.ppf((1 + LEVEL) / 2, n - 1) * deviation * np.sqrt(1 / n + 1 / (n - 1))
    return middle - half, middle + half
