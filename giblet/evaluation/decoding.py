"""BOLD to bottleneck, and the null models and retrieval baseline of every brain result."""

from collections.abc import Sequence

import numpy as np

from giblet.config.sections import DecodingConfig
from giblet.stats.ridge import Folds, fit_ridge, folds_within
from giblet.timing import trs_for


def lags_in_trs(t_r: float, config: DecodingConfig) -> range:
    """Lags (TRs) of the BOLD from which one TR of film is decoded.

    >>> list(lags_in_trs(1.5, DecodingConfig()))
    [2, 3, 4, 5, 6]
    """
    return range(trs_for(config.first_lag_seconds, t_r), trs_for(config.last_lag_seconds, t_r) + 1)


def lagged(bold: np.ndarray, runs: np.ndarray, lags: range) -> np.ndarray:
    """BOLD at several lags after each TR: (n_trs, n_voxels) → (n_trs, n_lags * n_voxels).

    Volumes past the end of the TR's run are 0, the mean of z-scored BOLD; so is NaN (not scanned).

    >>> bold = np.arange(4.0)[:, None]
    >>> lagged(bold, np.array(["1", "1", "1", "2"]), range(1, 3)).tolist()
    [[1.0, 2.0], [2.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    """
    shifted = []
    for lag in lags:
        later = np.zeros_like(bold)
        n_kept = max(0, len(bold) - lag)
        same_run = runs[lag:] == runs[:n_kept]
        later[:n_kept] = np.where(same_run[:, None], bold[lag:], 0.0)
        shifted.append(later)
    return np.nan_to_num(np.concatenate(shifted, axis=1))


def nearest_clips(x_train: np.ndarray, x_test: np.ndarray) -> np.ndarray:
    """For each test TR the training TR with the most similar BOLD: (n_test,) indices.

    Similarity is the correlation across features; both (n_trs, n_features).
    """

    def standardised(x):
        x = x - x.mean(axis=1, keepdims=True)
        return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)

    return (standardised(x_test) @ standardised(x_train).T).argmax(axis=1)


def decode_subject(
    bold: np.ndarray,
    runs: np.ndarray,
    bottleneck: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    lags: range,
    folds: Folds | None = None,
) -> dict[str, np.ndarray]:
    """Decode the bottleneck of test TRs from one subject's BOLD and from null models.

    Parameters
    ----------
    bold : (n_trs, n_voxels) z-scored
    bottleneck : (n_trs, bottleneck_dim)
    train, test : TR indices
    folds : list of (train, test), TR indices
        Within ``train``, to choose the penalty; by default contiguous blocks.

    Returns
    -------
    column → bottleneck (n_test, bottleneck_dim) for ``brain``, ``brain_shuffled`` (one draw of the
    null: test volumes rolled by half the test part), ``brain_mean`` (the mean volume);
    ``nearest_clip``, a retrieval baseline → training TR indices (n_test,).
    """
    x = lagged(bold, runs, lags)
    ridge = fit_ridge(x[train], bottleneck[train], folds_within(folds, train))
    rolled = np.roll(x[test], len(test) // 2, axis=0)
    return {
        "brain": ridge.predict(x[test]),
        "brain_shuffled": ridge.predict(rolled),
        "brain_mean": ridge.predict(np.zeros_like(x[test])),
        "nearest_clip": train[nearest_clips(x[train], x[test])],
    }


def decode_silenced(
    bold: np.ndarray,
    runs: np.ndarray,
    bottleneck: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    lags: range,
    silenced: Sequence[np.ndarray],
    folds: Folds | None = None,
) -> list[np.ndarray]:
    """Decode the bottleneck of test TRs once for each set of silenced voxels.

    The decoder is that of `decode_subject`, fitted once, on intact training TRs. Silenced voxels
    are 0 in test TRs, the mean of z-scored BOLD. Arguments as there, and ``silenced``, (n_voxels,)
    bool each; bottlenecks (n_test, bottleneck_dim) in their order.
    """
    x = lagged(bold, runs, lags)
    ridge = fit_ridge(x[train], bottleneck[train], folds_within(folds, train))
    kept = [~np.tile(voxels, len(lags)) for voxels in silenced]
    return [ridge.predict(x[test] * each) for each in kept]
