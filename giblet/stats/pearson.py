"""Pearson correlation of series, column by column, and series of mean 0 and length 1."""

import numpy as np

FLAT = 1e-6  # a deviation below this share of the mean is rounding


def correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson correlation of each column: (n_samples, n_targets) twice → (n_targets,).

    A constant column, or one with NaN, has no correlation: NaN.

    >>> correlation(np.array([[1.0], [2.0], [3.0]]), np.array([[2.0], [4.0], [6.0]])).round(6)
    array([1.])
    """
    means = a.mean(axis=0), b.mean(axis=0)
    a, b = a - means[0], b - means[1]
    lengths = np.sqrt((a**2).sum(axis=0)), np.sqrt((b**2).sum(axis=0))
    flat = [FLAT * np.sqrt(len(a)) * np.abs(mean) for mean in means]
    varies = (lengths[0] > flat[0]) & (lengths[1] > flat[1])  # not where there is NaN
    product, scale = (a * b).sum(axis=0), lengths[0] * lengths[1]
    return np.divide(product, scale, out=np.full(len(scale), np.nan), where=varies)


def unit_series(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Series (n_subjects, n_trs, n_parcels) of mean 0 and length 1, and which are valid.

    Where a subject is constant or has NaN its series is 0 and ``present`` (n_subjects, n_parcels)
    False.
    """
    series = np.array(block, dtype=np.float64)
    finite = np.asarray(np.isfinite(series).all(axis=1))
    np.copyto(series, 0.0, where=~finite[:, None])
    mean = series.mean(axis=1, keepdims=True)
    series -= mean
    length = np.sqrt(np.einsum("stp,stp->sp", series, series))[:, None]
    present = length > FLAT * np.abs(mean) * np.sqrt(series.shape[1])
    series /= np.where(present, length, np.inf)
    return series, present[:, 0]


def cosine(product: np.ndarray, power: np.ndarray, present: np.ndarray) -> np.ndarray:
    """``product`` over the root of ``power``; NaN where a series is missing or has no power."""
    valid = present & (power > 1e-9)
    return np.where(valid, product / np.sqrt(np.where(valid, power, 1.0)), np.nan)
