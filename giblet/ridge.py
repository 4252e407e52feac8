"""Ridge from film to brain: plain, and with a penalty for each modality (banded)."""

from collections.abc import Sequence

import numpy as np


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
    scaled = scale_by_training(regressors, train)
    return fit_ridge(scaled[train], bold[train]).predict(scaled[test].astype(np.float32))


def scale_by_training(features: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Every column with the mean 0 and the deviation 1 in training TRs; a constant one is 0."""
    return (features - features[train].mean(axis=0)) / _spread(features, train)


def _spread(features: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Deviation of every column in training TRs, 1 for a constant one."""
    mean, deviation = features[train].mean(axis=0), features[train].std(axis=0)
    return np.where(deviation > 1e-6 * np.abs(mean), deviation, 1.0)


def banded_ridge(
    bands: Sequence[np.ndarray],
    bold: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    n_iter: int = 20,
    seed: int = 0,
) -> np.ndarray:
    """BOLD of test TRs predicted by ridge with a penalty for each band and voxel.

    himalaya's multiple-kernel ridge by random search (Dupré la Tour et al. 2022). Bands are scaled
    by training TRs alone and divided by the root of their width, so that wide bands do not win by
    width. A single band is plain ridge. Runs where ``himalaya.backend.set_backend`` says.

    Parameters
    ----------
    bands : (n_trs, n_features) each
        One for each modality, already delayed or convolved with the HRF.
    bold : (n_trs, n_voxels)
    train, test : TR indices
    folds : list of (train, test), TR indices
        Within ``train``; they choose the penalties (`baselines.purged_folds` with ``among=train``).
    n_iter
        Mixtures of bands that are tried.

    Returns
    -------
    predicted : (n_test, n_voxels) float32; NaN where BOLD has NaN in training TRs
    """
    kernels = np.stack([band_kernel(band, train) for band in bands])
    return kernel_ridge(kernels, bold, train, test, folds, n_iter=n_iter, seed=seed)


def band_kernel(band: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Products of all TRs with training TRs, (n_trs, n_train) float32.

    Of ``band`` (n_trs, n_features), scaled by training TRs; 1 on average on the diagonal.
    """
    scaled = scale_by_training(band, train) / np.sqrt(band.shape[1])
    return (scaled @ scaled[train].T).astype(np.float32)


def kernel_ridge(
    kernels: np.ndarray,
    bold: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    n_iter: int = 20,
    seed: int = 0,
) -> np.ndarray:
    """`banded_ridge` from the kernels (n_bands, n_trs, n_train) of its bands, see `band_kernel`."""
    from himalaya.backend import get_backend

    inner = [tuple(np.searchsorted(train, part) for part in fold) for fold in folds]
    whole = np.isfinite(bold[train]).all(axis=0)
    model = _multiple_kernel_ridge(inner, n_iter if len(kernels) > 1 else np.ones((1, 1)), seed)
    model.fit(kernels[:, train], bold[train][:, whole].astype(np.float32))
    predicted = np.full((len(test), bold.shape[1]), np.nan, dtype=np.float32)
    predicted[:, whole] = get_backend().to_numpy(model.predict(kernels[:, test]))
    return predicted


def banded_weights(
    bands: Sequence[np.ndarray],
    bold: np.ndarray,
    *,
    n_folds: int = 5,
    n_iter: int = 20,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Weights of banded ridge: ``x @ weights + offsets`` is BOLD, with all bands side by side in x.

    Penalties as `banded_ridge` has them, chosen on contiguous folds.

    Parameters
    ----------
    bands : (n_samples, n_features) each
    bold : (n_samples, n_voxels) without NaN

    Returns
    -------
    weights : (n_features of all bands, n_voxels) float64
    offsets : (n_voxels,)
    """
    from himalaya.backend import get_backend
    from sklearn.model_selection import KFold

    everything = np.arange(len(bold))
    spreads = [_spread(band, everything) * np.sqrt(band.shape[1]) for band in bands]
    scaled = [(b - b.mean(axis=0)) / spread for b, spread in zip(bands, spreads, strict=True)]
    kernels = np.stack([(x @ x.T).astype(np.float32) for x in scaled])
    folds = list(KFold(min(n_folds, len(bold))).split(bold))
    model = _multiple_kernel_ridge(folds, n_iter if len(bands) > 1 else np.ones((1, 1)), seed)
    model.fit(kernels, bold.astype(np.float32))
    to_numpy = get_backend().to_numpy
    dual, shares = to_numpy(model.dual_coef_), np.exp(to_numpy(model.deltas_))  # a share a band
    weights = np.concatenate(
        [
            x.T @ (dual * share) / spread[:, None]
            for x, share, spread in zip(scaled, shares, spreads, strict=True)
        ]
    )
    means = np.concatenate([band.mean(axis=0) for band in bands])
    return weights, to_numpy(model.intercept_) - means @ weights


def _multiple_kernel_ridge(folds: list, n_iter: int | np.ndarray, seed: int):
    from himalaya.kernel_ridge import MultipleKernelRidgeCV

    search = {
        "n_iter": n_iter,
        "alphas": np.logspace(-1, 6, 15),  # a kernel is 1 on its diagonal
        "n_targets_batch": 2000,
        "progress_bar": False,
    }
    return MultipleKernelRidgeCV(
        kernels="precomputed",
        solver="random_search",
        solver_params=search,
        fit_intercept=True,
        cv=folds,
        random_state=seed,
    )
