"""Ridge from film to brain: plain, and with a penalty for each modality (banded)."""

from collections.abc import Sequence

import numpy as np

from giblet.stats.feature_ridge import (
    Choice,
    LinearRidge,
    Refit,
    average,
    directions,
    predictions,
    refit,
    solve,
)

_ALPHAS = np.logspace(-1, 6, 15)  # a kernel is 1 on its diagonal
Folds = Sequence[tuple[np.ndarray, np.ndarray]]  # train, test
_ALONE = np.ones((1, 1))  # the only mixture of a single band
_LARGEST_RATIO = 1e3  # of one band's share to that of each other one
_FEWEST_VARYING = 8.0  # TRs that a column varies in, effectively
_FARTHEST = 2.0  # of the largest value in training TRs, of a column that varies in few
_ABSURD = 10.0  # the same, of any column


def fit_ridge(x: np.ndarray, y: np.ndarray, folds: Folds | None = None) -> LinearRidge:
    """Ridge with intercept, ``x`` (n_samples, n_features) to ``y`` (n_samples, n_targets).

    One penalty a target, the best on ``folds``: (train, test) indices of samples, by default five
    contiguous blocks (neighbouring TRs are alike). The model has ``predict(x) → (n_samples,
    n_targets)``.
    """
    x, y, folds = x.astype(np.float32), y.astype(np.float32), folds or _contiguous(len(x), 5)
    return solve([x], y, folds, np.logspace(0, 7, 15), _ALONE)


def folds_within(folds: Folds | None, train: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """``folds`` of TR indices as positions among the TRs ``train``, sorted; of None empty.

    >>> folds, trs = [([4, 6], [9])], np.array([4, 6, 9])
    >>> [(own.tolist(), held.tolist()) for own, held in folds_within(folds, trs)]
    [([0, 1], [2])]
    """
    both = folds or ()
    return [(np.searchsorted(train, own), np.searchsorted(train, held)) for own, held in both]


def _contiguous(n_samples: int, n_folds: int) -> list[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import KFold

    return list(KFold(min(n_folds, n_samples)).split(np.empty(n_samples)))


def ridge_encoding(
    regressors: np.ndarray,
    bold: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    folds: Folds | None = None,
) -> np.ndarray:
    """BOLD of test TRs predicted from regressors by ridge: (n_test, n_voxels).

    Parameters
    ----------
    regressors : (n_trs, n_features)
        Already convolved with the HRF; scaled here by training TRs.
    bold : (n_trs, n_voxels) z-scored
    train, test : TR indices
    folds : list of (train, test), TR indices
        Within ``train``, to choose the penalty; by default contiguous blocks.
    """
    scaled = scale_columns(regressors, train)
    columns = (scaled @ directions(scaled[train])).astype(np.float32)
    ridge = fit_ridge(columns[train], bold[train], folds_within(folds, train))
    return ridge.predict(columns[test])


def scale_by_training(features: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Scale columns to mean 0 and deviation 1 in training TRs; a constant one becomes 0."""
    mean, deviation = _moments(features, train)
    return (features - mean) / deviation


def scale_columns(features: np.ndarray, train: np.ndarray) -> np.ndarray:
    """`scale_by_training`; columns become 0 that go ten times beyond their training range in other
    TRs, or twice and vary in fewer than 8 training TRs."""
    return _without_rare(scale_by_training(features, train), train)


def _moments(features: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of every column in training TRs; the deviation is 1 for a constant one.

    What varies by less than a millionth of the column's largest value is rounding.
    """
    own, kind = features[train], np.result_type(features, np.float32)
    mean, deviation = own.mean(axis=0, dtype=np.float64), own.std(axis=0, dtype=np.float64)
    varies = deviation > 1e-6 * np.abs(features).max(axis=0)
    return mean.astype(kind), np.where(varies, deviation, 1.0).astype(kind)


def _without_rare(scaled: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Scaled columns (n_trs, n_features); those become 0 that go far beyond their training range in
    other TRs.

    The response to a constant rises at a run's beginning, and hardly varies in the rest of the run:
    scaled by that, the rise is hundreds of deviations. So any column is left out that goes ten
    times beyond, and one that varies in few training TRs if it goes twice beyond. A word that
    occurs once in a training block, or in the gap before it, has a small deviation there: scaled by
    it, the word is tens to thousands of deviations where it occurs in test TRs. Few is counted by
    the variance's effective number of TRs, (Σ x²)² / Σ x⁴.
    """
    squares = scaled[train] ** 2
    power, fourth = squares.sum(axis=0), (squares**2).sum(axis=0)
    n_varying = np.divide(power**2, fourth, out=np.zeros_like(power), where=fourth > 0)
    is_rare = n_varying < min(_FEWEST_VARYING, len(train) / 8)
    farthest, known = np.abs(scaled).max(axis=0), np.sqrt(squares.max(axis=0))
    return scaled * ~(farthest > np.where(is_rare, _FARTHEST, _ABSURD) * known)


def band_mixtures(n_bands: int, n_iter: int = 20) -> np.ndarray:
    """Shares of the bands that banded ridge tries: (n_mixtures, n_bands), rows add up to 1.

    The uniform mixture, and those in which one band has more than the share of each other one, or
    less, in equal steps of the logarithm. The steps end half a step before a ratio of 1,000: for 20
    mixtures of 2, 3, 5 and 8 bands at 708, 316, 178 and 32. Every band has its turn, so no result
    depends on their order. ``n_iter`` is about how many there are: for 20 and 2, 3, 5 and 8
    bands 21, 19, 21 and 17. A single band has one; several have 2 ``n_bands`` + 1 at least (two
    bands: 3).

    >>> [len(band_mixtures(n_bands)) for n_bands in (1, 2, 3, 5, 8)]
    [1, 21, 19, 21, 17]
    >>> band_mixtures(2, 5).round(2).tolist()
    [[0.5, 0.5], [0.85, 0.15], [0.15, 0.85], [0.99, 0.01], [0.01, 0.99]]
    """
    if n_bands == 1:
        return _ALONE
    signs = [1] if n_bands == 2 else [1, -1]  # of two bands, less of one is more of the other
    n_ratios = max(1, round((n_iter - 1) / (n_bands * len(signs))))
    steps = (np.arange(n_ratios) + 0.5) / n_ratios
    ratios = [_LARGEST_RATIO ** (sign * step) for step in steps for sign in signs]
    shares = [np.ones((1, n_bands))]
    shares += [1 + (ratio - 1) * np.eye(n_bands) for ratio in ratios]
    mixtures = np.concatenate(shares)
    return mixtures / mixtures.sum(axis=1, keepdims=True)


def banded_ridge(
    bands: Sequence[np.ndarray],
    bold: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    n_iter: int = 20,
    choice: Choice = average,
) -> np.ndarray:
    """BOLD of test TRs predicted by ridge with a penalty for each band and voxel.

    Mixtures of bands (`band_mixtures`) and penalties are averaged by their likelihood in ``folds``
    (after Dupré la Tour et al. 2022, whose mixtures are random). The order of bands does not matter
    beyond rounding. Bands are scaled by training TRs alone and
    divided by the root of their width, so that wide bands do not win by width; columns that vary in
    fewer than 8 training TRs, and go beyond their range there in others, are left out. A single
    band is plain ridge. Runs on the backend of `giblet.stats.array_backend.ridge_backend`.

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
        Mixtures of bands that are tried, about: of 20 and 2, 3, 5 and 8 bands 21, 19, 21 and 17.
    choice
        `giblet.stats.feature_ridge.average`, or ``best``: the best candidate alone.

    Returns
    -------
    predicted : (n_test, n_voxels) float32; NaN where BOLD has NaN in training TRs
    """
    columns = [band_columns(band, train) for band in bands]
    return columns_ridge(columns, bold, train, test, folds, n_iter=n_iter, choice=choice)


def band_columns(band: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Columns whose products with training TRs are the band's kernel, (n_trs, rank) float32.

    Of ``band`` (n_trs, n_features), scaled by training TRs; the kernel's diagonal is 1 on average.
    """
    scaled = scale_columns(band, train) / np.sqrt(band.shape[1])
    return (scaled @ directions(scaled[train])).astype(np.float32)


def columns_ridge(
    columns: Sequence[np.ndarray],
    bold: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    n_iter: int = 20,
    mixtures: np.ndarray | None = None,
    choice: Choice = average,
) -> np.ndarray:
    """`banded_ridge` from the columns (n_trs, rank) of its bands, see `band_columns`.

    ``mixtures`` (n_mixtures, n_bands), shares above 0 that add up to 1: those that are tried
    instead of `band_mixtures`.
    """
    inner = folds_within(folds, train)
    own = bold[train]
    whole = np.isfinite(own).all(axis=0)
    if not whole.all():
        own = own[:, whole]
    if mixtures is None:
        mixtures = band_mixtures(len(columns), n_iter)
    predicted = np.full((len(test), bold.shape[1]), np.nan, dtype=np.float32)
    seen, new = [c[train] for c in columns], [c[test] for c in columns]
    predicted[:, whole] = predictions(seen, own, new, inner, _ALPHAS, mixtures, choice)
    return predicted


def columns_refit(
    columns: Sequence[np.ndarray],
    bold: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    n_iter: int = 20,
) -> Refit:
    """The ridge of `columns_ridge`, for other BOLD; arguments alike, ``bold`` without NaN."""
    seen, new = [c[train] for c in columns], [c[test] for c in columns]
    mixtures = band_mixtures(len(columns), n_iter)
    return refit(seen, bold[train], new, folds_within(folds, train), _ALPHAS, mixtures, average)


def banded_weights(
    bands: Sequence[np.ndarray],
    bold: np.ndarray,
    *,
    folds: Folds | None = None,
    n_iter: int = 20,
    choice: Choice = average,
) -> tuple[np.ndarray, np.ndarray]:
    """Weights of banded ridge: ``x @ weights + offsets`` is BOLD, with all bands side by side in x.

    As of `banded_ridge`, on ``folds`` of samples as of `fit_ridge`.

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
    spreads = [_moments(band, everything)[1] * np.sqrt(band.shape[1]) for band in bands]
    scaled = [(b - b.mean(axis=0)) / spread for b, spread in zip(bands, spreads, strict=True)]
    turns = [directions(x) for x in scaled]
    columns = [(x @ turn).astype(np.float32) for x, turn in zip(scaled, turns, strict=True)]
    mixtures = band_mixtures(len(columns), n_iter)
    folds = folds or _contiguous(len(bold), 5)
    ridge = solve(columns, bold, folds, _ALPHAS, mixtures, choice=choice)
    parts = np.split(ridge.weights, np.cumsum([turn.shape[1] for turn in turns])[:-1])
    weights = np.concatenate(
        [
            turn @ part / spread[:, None]
            for turn, part, spread in zip(turns, parts, spreads, strict=True)
        ]
    )
    means = np.concatenate([band.mean(axis=0) for band in bands])
    return weights, ridge.offsets - means @ weights
