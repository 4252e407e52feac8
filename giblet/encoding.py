"""How good the data are: what people share, what a model may reach, noise, head motion."""

from collections.abc import Callable

import numpy as np

_FLAT = 1e-6  # a deviation below this share of the mean is rounding
_HEAD_RADIUS = 50.0  # mm, of Power et al. (2012)


def correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson correlation of each column: (n_samples, n_targets) twice → (n_targets,).

    A constant column, or one with NaN, has no correlation: NaN.

    >>> correlation(np.array([[1.0], [2.0], [3.0]]), np.array([[2.0], [4.0], [6.0]])).round(6)
    array([1.])
    """
    means = a.mean(axis=0), b.mean(axis=0)
    a, b = a - means[0], b - means[1]
    lengths = np.sqrt((a**2).sum(axis=0)), np.sqrt((b**2).sum(axis=0))
    flat = [_FLAT * np.sqrt(len(a)) * np.abs(mean) for mean in means]
    varies = (lengths[0] > flat[0]) & (lengths[1] > flat[1])  # not where there is NaN
    product, scale = (a * b).sum(axis=0), lengths[0] * lengths[1]
    return np.divide(product, scale, out=np.full(len(scale), np.nan), where=varies)


def isc(
    bold: np.ndarray, method: str = "leave_one_out", *, block_parcels: int = 1024
) -> np.ndarray:
    """Inter-subject correlation: how much of a subject's BOLD the others have too.

    Each subject's series is z-scored first, so that nobody's scanner units weigh more. Where a
    subject is constant or has NaN it is left out of the others' mean, and its own value is NaN.

    Parameters
    ----------
    bold : (n_subjects, n_trs, n_parcels)
        An array, or what gives one when it is sliced (memory map, HDF5 data set).
    method
        ``"leave_one_out"``: correlation of each subject with the mean of the others (Nastase et
        al. 2019). ``"pairwise"``: of each subject the mean of its correlations with every other
        subject, by Fisher's z. It is the lower of the two: the others' mean has less noise.
    block_parcels
        Parcels in memory at once.

    Returns
    -------
    isc : (n_subjects, n_parcels)

    Raises
    ------
    ValueError
        Another method, fewer than two subjects, another number of axes.

    >>> wave = np.sin(np.arange(20.0))[:, None]  # (n_trs, n_parcels)
    >>> isc(np.stack([wave, 3 * wave + 5, -wave])).round(3).tolist()
    [[nan], [nan], [-1.0]]
    >>> isc(np.stack([wave, 3 * wave + 5, wave])).round(3).tolist()
    [[1.0], [1.0], [1.0]]
    """
    methods = {"leave_one_out": _leave_one_out, "pairwise": _pairwise}
    if method not in methods:
        raise ValueError(f"isc method must be one of {', '.join(methods)}, got {method!r}")
    return _by_parcels(methods[method], bold, block_parcels)


def noise_ceiling(bold: np.ndarray, *, block_parcels: int = 1024) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the r that a model of the shared response can reach, as Nili et al. (2014) do.

    Lower: each subject with the mean of the others (`isc`). Upper: with the mean of everyone, its
    own noise included. The truth lies between; the two draw together as subjects are added.

    Returns
    -------
    lower, upper : (n_subjects, n_parcels) each; ``bold`` as in `isc`, which also tells of NaN.
    """
    lower, upper = _by_parcels(_bounds, bold, block_parcels)
    return lower, upper


def explainable_variance(repeats: np.ndarray, *, block_parcels: int = 1024) -> np.ndarray:
    """Share of the variance that comes back when the film does: (n_parcels,).

    ``repeats`` (n_repeats, n_trs, n_parcels), of one subject, or of subjects that saw the same
    film. One less the variance of what differs from the mean over repeats, corrected for
    n_repeats (Sahani & Linden 2002); it is at most 1 and can be below 0. The ceiling of a model's
    R² on one repeat; its root is that of r (Schoppe et al. 2016).
    """
    return _by_parcels(_repeated_share, repeats, block_parcels)


def tsnr(bold: np.ndarray, *, block_parcels: int = 1024) -> np.ndarray:
    """Temporal signal-to-noise ratio: mean over standard deviation, in time.

    ``bold`` (..., n_trs, n_parcels) in scanner units → (..., n_parcels); NaN where constant.

    Raises
    ------
    ValueError
        BOLD without its mean, as z-scoring and confound regression leave it.

    >>> tsnr(np.array([[99.0], [101.0]])).tolist()
    [100.0]
    """
    found = []
    for start in range(0, bold.shape[-1], block_parcels):
        part = np.asarray(bold[..., start : start + block_parcels], dtype=np.float64)
        mean, deviation = part.mean(axis=-2), part.std(axis=-2)
        varies = deviation > _FLAT * np.abs(mean)
        found.append(np.divide(mean, deviation, out=np.full_like(mean, np.nan), where=varies))
    ratio = np.concatenate(found, axis=-1)
    if np.isfinite(ratio).any() and np.nanmedian(np.abs(ratio)) < 1e-3:
        raise ValueError("tsnr wants BOLD in scanner units: this has no mean. Do not z-score it")
    return ratio


def framewise_displacement(motion: np.ndarray) -> np.ndarray:
    """Head motion from the volume before, in mm (Power et al. 2012): (n_volumes,), NaN first.

    The sum of the six absolute differences, rotations as arcs on a sphere of 50 mm.

    Parameters
    ----------
    motion : (n_volumes, 6)
        Translations x, y, z in mm, then rotations in radians, as SPM and fMRIPrep write them.

    Raises
    ------
    ValueError
        Another shape; rotations beyond a quarter turn, which must be degrees.

    >>> framewise_displacement(np.array([[0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0.01, 0]])).tolist()
    [nan, 1.5]
    """
    motion = np.asarray(motion, dtype=np.float64)
    if motion.ndim != 2 or motion.shape[1] != 6:
        raise ValueError(f"motion must have shape (n_volumes, 6), got {motion.shape}")
    if (np.abs(motion[:, 3:]) > np.pi / 2).any():
        raise ValueError(
            "rotations (motion columns 4 to 6) must be radians: these look like degrees"
        )
    steps = np.abs(np.diff(motion, axis=0, prepend=np.nan))
    return steps[:, :3].sum(axis=1) + _HEAD_RADIUS * steps[:, 3:].sum(axis=1)


def _by_parcels(function: Callable, bold: np.ndarray, block_parcels: int) -> np.ndarray:
    """``function`` of unit series, block by block: (..., n_block) each → (..., n_parcels)."""
    if len(bold.shape) != 3 or bold.shape[0] < 2:
        raise ValueError(
            "bold must have shape (n_subjects, n_trs, n_parcels) with two subjects or more, "
            f"got {tuple(bold.shape)}"
        )
    starts = range(0, bold.shape[2], block_parcels)
    found = [function(*unit_series(bold[:, :, s : s + block_parcels])) for s in starts]
    return np.concatenate(found, axis=-1)


def unit_series(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Series (n_subjects, n_trs, n_parcels) of mean 0 and length 1, and which there are.

    Where a subject is constant or has NaN its series is 0 and ``present`` (n_subjects, n_parcels)
    False.
    """
    series = np.array(block, dtype=np.float64)
    finite = np.asarray(np.isfinite(series).all(axis=1))
    np.copyto(series, 0.0, where=~finite[:, None])
    mean = series.mean(axis=1, keepdims=True)
    series -= mean
    length = np.sqrt(np.einsum("stp,stp->sp", series, series))[:, None]
    present = length > _FLAT * np.abs(mean) * np.sqrt(series.shape[1])
    series /= np.where(present, length, np.inf)
    return series, present[:, 0]


def _with_total(series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Product of each series with the sum of all (n_subjects, n_parcels); the sum's own power."""
    total = series.sum(axis=0)
    return np.einsum("stp,tp->sp", series, total), np.einsum("tp,tp->p", total, total)


def cosine(product: np.ndarray, power: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Product over length; NaN where a series is missing, or the sum vanishes."""
    valid = present & (power > 1e-9)
    return np.where(valid, product / np.sqrt(np.where(valid, power, 1.0)), np.nan)


def _leave_one_out(series: np.ndarray, present: np.ndarray) -> np.ndarray:
    product, power = _with_total(series)
    return cosine(product - 1, power - 2 * product + 1, present)  # total less one's own series


def _bounds(series: np.ndarray, present: np.ndarray) -> np.ndarray:
    product, power = _with_total(series)
    others = cosine(product - 1, power - 2 * product + 1, present)
    everyone = cosine(product, power, present & (present.sum(axis=0) > 1))
    return np.stack([others, everyone])


def _pairwise(series: np.ndarray, present: np.ndarray) -> np.ndarray:
    r = np.stack([np.einsum("stp,tp->sp", series, one) for one in series])
    z = np.arctanh(np.clip(r, -1 + 1e-12, 1 - 1e-12))  # (n_subjects, n_subjects, n_parcels)
    pairs = present[:, None] & present & ~np.eye(len(r), dtype=bool)[..., None]
    n_pairs = pairs.sum(axis=1)
    mean = np.where(pairs, z, 0.0).sum(axis=1) / np.maximum(n_pairs, 1)
    return np.where(n_pairs > 0, np.tanh(mean), np.nan)


def _repeated_share(series: np.ndarray, present: np.ndarray) -> np.ndarray:
    _product, power = _with_total(series)
    n = present.sum(axis=0)
    share = (power - n) / np.maximum(n * (n - 1), 1)  # the mean correlation of two repeats
    return np.where(n > 1, share, np.nan)
