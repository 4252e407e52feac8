"""Linear models from film to brain: what the network is measured against."""

import numpy as np


def correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson correlation of each column: (n_samples, n_targets) twice → (n_targets,).

    A constant column has no correlation: NaN.

    >>> correlation(np.array([[1.0], [2.0], [3.0]]), np.array([[2.0], [4.0], [6.0]])).round(6)
    array([1.])
    """
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    scale = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return np.divide((a * b).sum(axis=0), scale, out=np.full(len(scale), np.nan), where=scale > 0)


def fit_ridge(x: np.ndarray, y: np.ndarray, n_folds: int = 5):
    """Himalaya ridge with intercept, ``x`` (n_samples, n_features) to ``y`` (n_samples, n_targets).

    One penalty a target, chosen on contiguous folds (neighbouring TRs are alike). The model has
    ``predict(x) → (n_samples, n_targets)``.
    """
    from himalaya.kernel_ridge import KernelRidgeCV
    from sklearn.model_selection import KFold

    folds = KFold(min(n_folds, len(x)))
    alphas = np.logspace(0, 7, 15)
    ridge = KernelRidgeCV(alphas=alphas, cv=folds, fit_intercept=True, warn=False)
    return ridge.fit(x.astype(np.float32), y.astype(np.float32))


def ridge_encoding(
    regressors: np.ndarray, bold: np.ndarray, train: np.ndarray, test: np.ndarray
) -> np.ndarray:
    """BOLD of test TRs predicted from regressors by ridge: (n_test, n_voxels).

    Parameters
    ----------
    regressors : (n_trs, n_features)
        Already convolved with the HRF; scaled here by training TRs.
    bold : (n_trs, n_voxels) z-scored
    train, test : TR indices
    """
    mean, deviation = regressors[train].mean(axis=0), regressors[train].std(axis=0)
    scaled = (regressors - mean) / np.where(deviation > 0, deviation, 1.0)
    return fit_ridge(scaled[train], bold[train]).predict(scaled[test].astype(np.float32))
