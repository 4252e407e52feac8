"""Ridge from film to brain: plain, and with a penalty for each modality (banded)."""

from collections.abc import Sequence

import numpy as np

from giblet.stats.feature_ridge import LinearRidge, choose, directions, solve
from giblet.stats.shared_penalties import effective_samples

_ALPHAS = np.logspace(-1, 6, 15)  # a kernel is 1 on its diagonal
_ALONE = np.ones((1, 1))  # the only mixture of a single band
_BATCH = 2000  # targets at once
_FEWEST_VARYING = 8.0  # TRs that a column varies in, effectively
_FARTHEST = 2.0  # of the largest value in training TRs


def fit_ridge(x: np.ndarray, y: np.ndarray, n_folds: int = 5):
    """Himalaya ridge with intercept, ``x`` (n_samples, n_features) to ``y`` (n_samples, n_targets).

    One penalty a target, chosen on contiguous folds (neighbouring TRs are alike). The model has
    ``predict(x) → (n_samples, n_targets)``. With fewer features than
    samples `giblet.stats.feature_ridge.solve` computes the same.
    """
    from himalaya.kernel_ridge import KernelRidgeCV

    x, y, folds = x.astype(np.float32), y.astype(np.float32), _contiguous(len(x), n_folds)
    alphas = np.logspace(0, 7, 15)
    if _narrow([x]):
        return solve([x], y, folds, alphas, _ALONE)
    return KernelRidgeCV(alphas=alphas, cv=folds, fit_intercept=True, warn=False).fit(x, y)


def _contiguous(n_samples: int, n_folds: int) -> list[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import KFold

    return list(KFold(min(n_folds, n_samples)).split(np.empty(n_samples)))


def _narrow(bands: Sequence[np.ndarray]) -> bool:
    """Whether weights of features cost less than those of samples, on the processor."""
    from himalaya.backend import get_backend

    return get_backend().name == "numpy" and sum(b.shape[1] for b in bands) < len(bands[0])


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
    scaled = _without_rare(scale_by_training(regressors, train), train)
    columns = (scaled @ directions(scaled[train])).astype(np.float32)
    return fit_ridge(columns[train], bold[train]).predict(columns[test])


def scale_by_training(features: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Scale columns to mean 0 and deviation 1 in training TRs; a constant one becomes 0."""
    return (features - features[train].mean(axis=0)) / _spread(features, train)


def _spread(features: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Deviation of every column in training TRs, 1 for a constant one."""
    mean, deviation = features[train].mean(axis=0), features[train].std(axis=0)
    return np.where(deviation > 1e-6 * np.abs(mean), deviation, 1.0)


def _without_rare(scaled: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Scaled columns (n_trs, n_features); those become 0 that vary in few training TRs, and go far
    beyond their range there in other TRs.

    A word that occurs once in a training block, or in the gap before it, has a small deviation
    there: scaled by it, the word is tens to thousands of deviations where it occurs in test TRs.
    Few is counted by the variance's effective number of TRs, (Σ x²)² / Σ x⁴.
    """
    squares = scaled[train] ** 2
    power, fourth = squares.sum(axis=0), (squares**2).sum(axis=0)
    n_varying = np.divide(power**2, fourth, out=np.zeros_like(power), where=fourth > 0)
    is_rare = n_varying < min(_FEWEST_VARYING, len(train) / 8)
    goes_beyond = np.abs(scaled).max(axis=0) > _FARTHEST * np.sqrt(squares.max(axis=0))
    return scaled * ~(is_rare & goes_beyond)


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

    himalaya's multiple-kernel ridge by random search (Dupré la Tour et al. 2022), of which voxels
    choose mixture and penalty together (`giblet.stats.shared_penalties`). Bands are scaled
    by training TRs alone and divided by the root of their width, so that wide bands do not win by
    width; columns that vary in fewer than 8 training TRs, and go beyond their range there in
    others, are left out. A single band is plain ridge. Runs on the backend of
    ``himalaya.backend.set_backend``; on the default one, with more training TRs than columns, by
    `giblet.stats.feature_ridge.solve`.

    Parameters
    ----------
    bands : (n_trs, n_features) each
        One for each modality, already delayed or convolved with the HRF.
    bold : (n_trs, n_voxels)
    train, test : TR indices
    folds : list of (train, test), TR indices
        Within ``train``, to choose the penalties
        (`giblet.stats.cross_validation.purged_folds` with ``among=train``).
    n_iter
        Mixtures of bands that are tried.

    Returns
    -------
    predicted : (n_test, n_voxels) float32; NaN where BOLD has NaN in training TRs
    """
    columns = [band_columns(band, train) for band in bands]
    return columns_ridge(columns, bold, train, test, folds, n_iter=n_iter, seed=seed)


def band_columns(band: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Columns whose products with training TRs are the band's kernel, (n_trs, rank) float32.

    Of ``band`` (n_trs, n_features), scaled by training TRs; the kernel's diagonal is 1 on average.
    """
    scaled = _without_rare(scale_by_training(band, train), train) / np.sqrt(band.shape[1])
    return (scaled @ directions(scaled[train])).astype(np.float32)


def columns_ridge(
    columns: Sequence[np.ndarray],
    bold: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    n_iter: int = 20,
    seed: int = 0,
) -> np.ndarray:
    """`banded_ridge` from the columns (n_trs, rank) of its bands, see `band_columns`."""
    inner = [tuple(np.searchsorted(train, part) for part in fold) for fold in folds]
    whole = np.isfinite(bold[train]).all(axis=0)
    ridge = _search([c[train] for c in columns], bold[train][:, whole], inner, n_iter, seed)
    predicted = np.full((len(test), bold.shape[1]), np.nan, dtype=np.float32)
    predicted[:, whole] = ridge.predict(np.concatenate([c[test] for c in columns], axis=1))
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
    everything = np.arange(len(bold))
    spreads = [_spread(band, everything) * np.sqrt(band.shape[1]) for band in bands]
    scaled = [(b - b.mean(axis=0)) / spread for b, spread in zip(bands, spreads, strict=True)]
    turns = [directions(x) for x in scaled]
    columns = [(x @ turn).astype(np.float32) for x, turn in zip(scaled, turns, strict=True)]
    ridge = _search(columns, bold, _contiguous(len(bold), n_folds), n_iter, seed)
    parts = np.split(ridge.weights, np.cumsum([turn.shape[1] for turn in turns])[:-1])
    weights = np.concatenate(
        [
            turn @ part / spread[:, None]
            for turn, part, spread in zip(turns, parts, spreads, strict=True)
        ]
    )
    means = np.concatenate([band.mean(axis=0) for band in bands])
    return weights, ridge.offsets - means @ weights


def _search(
    columns: Sequence[np.ndarray], y: np.ndarray, folds: list, n_iter: int, seed: int
) -> LinearRidge:
    """Ridge by the best of ``n_iter`` mixtures of bands (n_samples, rank)."""
    mixtures = _mixtures(len(columns), n_iter, seed) if len(columns) > 1 else _ALONE
    n_effective = effective_samples(y)
    if _narrow(columns):
        return solve(columns, y, folds, _ALPHAS, mixtures, n_effective)
    return _by_kernels(columns, y.astype(np.float32), folds, mixtures, n_effective)


def _mixtures(n_bands: int, n_iter: int, seed: int) -> np.ndarray:
    """(n_iter, n_bands), as himalaya's random search draws them; the first is uniform."""
    from himalaya.backend import get_backend
    from himalaya.kernel_ridge import generate_dirichlet_samples

    drawn = generate_dirichlet_samples(n_iter, n_bands, [0.1, 1.0], random_state=seed)
    drawn = np.array(get_backend().to_numpy(drawn))
    drawn[0] = 1 / n_bands
    return drawn


def _by_kernels(
    columns: Sequence[np.ndarray],
    y: np.ndarray,
    folds: list,
    mixtures: np.ndarray,
    n_effective: float,
) -> LinearRidge:
    """The same by kernels (n_samples, n_samples), on himalaya's backend."""
    from himalaya.backend import get_backend
    from himalaya.kernel_ridge import solve_kernel_ridge_eigenvalues

    backend = get_backend()
    kernels = backend.asarray(np.stack([x @ x.T for x in columns]))
    which, penalties = choose(_kernel_losses(kernels, y, folds, mixtures), _ALPHAS, n_effective)
    n_rows = sum(x.shape[1] for x in columns)
    weights, offsets = np.zeros((n_rows, y.shape[1])), np.zeros(y.shape[1])
    for n in np.unique(which):
        chosen, shares = which == n, backend.asarray(mixtures[n], dtype=kernels.dtype)
        dual, offsets[chosen] = (
            backend.to_numpy(part)
            for part in solve_kernel_ridge_eigenvalues(
                (shares[:, None, None] * kernels).sum(0),
                backend.asarray(y[:, chosen]),
                alpha=backend.asarray(penalties[chosen]),
                fit_intercept=True,
                n_targets_batch=_BATCH,
            )
        )
        of_bands = [share * (x.T @ dual) for x, share in zip(columns, mixtures[n], strict=True)]
        weights[:, chosen] = np.concatenate(of_bands)
    return LinearRidge(weights, offsets, penalties)


def _kernel_losses(kernels, y: np.ndarray, folds: list, mixtures: np.ndarray) -> np.ndarray:
    """Mean squared error over folds, (n_mixtures, n_alphas, n_targets) float32."""
    from himalaya.backend import get_backend
    from himalaya.kernel_ridge import solve_multiple_kernel_ridge_random_search

    backend, losses = get_backend(), []

    def record(measured, predicted):  # called for each mixture, fold and batch of targets
        loss = ((measured - predicted) ** 2).sum(1) / len(measured)
        losses.append(np.nan_to_num(backend.to_numpy(loss), nan=1e5))
        return loss * 0  # all alike: himalaya refits none but the first

    solve_multiple_kernel_ridge_random_search(
        kernels,
        backend.asarray(y),
        n_iter=backend.asarray(mixtures),
        alphas=backend.asarray(_ALPHAS, dtype=kernels.dtype),
        score_func=record,
        cv=folds,
        fit_intercept=True,
        return_weights="dual",
        n_targets_batch=_BATCH,
        progress_bar=False,
    )
    n_batches = -(-y.shape[1] // _BATCH)
    rows = [np.concatenate(losses[i : i + n_batches], 1) for i in range(0, len(losses), n_batches)]
    by_fold = np.stack(rows).reshape(len(mixtures), len(folds), len(_ALPHAS), -1)
    return by_fold.mean(axis=1, dtype=np.float32)
