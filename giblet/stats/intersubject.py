"""Inter-subject correlation, its nulls, noise ceilings and explainable variance."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import xarray as xr

from giblet.stats.pearson import cosine, unit_series
from giblet.stats.permutation import among_nulls, random_phases


def isc(
    bold: np.ndarray, method: str = "leave_one_out", *, block_parcels: int = 1024
) -> np.ndarray:
    """Inter-subject correlation of each subject with the others.

    Each subject's series is z-scored first, so that no scanner's units weigh more. Where a
    subject is constant or has NaN it is left out of the others' mean, and its own value is NaN.

    Parameters
    ----------
    bold : (n_subjects, n_trs, n_parcels)
        An array, or an object that returns one when it is sliced (memory map, HDF5 dataset).
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
    lower, upper : (n_subjects, n_parcels) each; ``bold`` and NaN as in `isc`.
    """
    lower, upper = _by_parcels(_bounds, bold, block_parcels)
    return lower, upper


def explainable_variance(repeats: np.ndarray, *, block_parcels: int = 1024) -> np.ndarray:
    """Share of the variance that repeats when the film does: (n_parcels,).

    ``repeats`` (n_repeats, n_trs, n_parcels), of one subject, or of subjects that saw the same
    film. One minus the variance of what differs from the mean over repeats, corrected for
    n_repeats (Sahani & Linden 2002); it is at most 1 and can be below 0. The ceiling of a model's
    R² on one repeat; its root is that of r (Schoppe et al. 2016).
    """
    return _by_parcels(_repeated_share, repeats, block_parcels)


def repeat_ceiling(share: np.ndarray, n_repeats: int | np.ndarray = 1) -> np.ndarray:
    """Largest r of a perfect model with the mean of ``n_repeats`` presentations.

    ``share`` of one presentation's variance that repeats, as of `explainable_variance`: the signal
    power over signal and noise power. CC_max of Schoppe et al. (2016); 0 where ``share`` is not
    above 0. Any shape.

    >>> repeat_ceiling(np.array([0.25, -0.1])).tolist(), float(repeat_ceiling(0.25, 9).round(3))
    ([0.5, 0.0], 0.866)
    """
    signal = np.clip(share, 0, 1) * n_repeats
    return np.sqrt(signal / (1 + (n_repeats - 1) * np.clip(share, 0, 1)))


def _by_parcels(function: Callable, bold: np.ndarray, block_parcels: int) -> np.ndarray:
    """``function`` of unit series, block by block: (..., n_block) each → (..., n_parcels)."""
    if len(bold.shape) != 3 or bold.shape[0] < 2:
        raise ValueError(
            "bold must have shape (n_subjects, n_trs, n_parcels) with two subjects or more, "
            f"got {tuple(bold.shape)}"
        )
    starts = range(0, bold.shape[2], block_parcels)
    blocks = [function(*unit_series(bold[:, :, s : s + block_parcels])) for s in starts]
    return np.concatenate(blocks, axis=-1)


def _with_total(series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Product of each series with the sum of all (n_subjects, n_parcels); the sum's own power."""
    total = series.sum(axis=0)
    return np.einsum("stp,tp->sp", series, total), np.einsum("tp,tp->p", total, total)


def _leave_one_out(series: np.ndarray, present: np.ndarray) -> np.ndarray:
    product, power = _with_total(series)
    return cosine(product - 1, power - 2 * product + 1, present)  # total minus one's own series


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


def agreement(
    bold: np.ndarray,
    runs: np.ndarray,
    n_permutations: int,
    seed: int,
    *,
    keep_nulls: bool = False,
) -> xr.Dataset:
    """Maps of ISC and noise ceilings of two subjects or more.

    ``bold`` (n_subjects, n_trs, n_voxels) z-scored by run, ``runs`` (n_trs,) labels. Maps: ``isc``,
    ``ceiling_lower``, ``ceiling_upper`` (subject, voxel), and (voxel) ``explainable_variance`` and
    ``isc_p``: of the mean ISC among those of BOLD with random phases in each run. The same ``seed``
    shifts the phases of every voxel alike, so results do not depend on blocks of voxels.
    ``keep_nulls``: also ``isc_nulls`` (null, voxel), the nulls themselves.
    """
    lower, upper = noise_ceiling(bold)
    own = isc(bold)
    nulls = isc_nulls(bold, runs, n_permutations, seed)
    chance = among_nulls(np.nanmean(own, axis=0), nulls)
    both, voxel = ("subject", "voxel"), ("voxel",)
    kept = {"isc_nulls": (("null", "voxel"), nulls)} if keep_nulls else {}
    return xr.Dataset(
        {
            "isc": (both, own.astype(np.float32)),
            "isc_p": (voxel, chance.p),
            "ceiling_lower": (both, lower.astype(np.float32)),
            "ceiling_upper": (both, upper.astype(np.float32)),
            "explainable_variance": (voxel, explainable_variance(bold)),
        }
        | kept
    )


_MANY = 40  # subjects: from here on sums cost less than pairs


def isc_nulls(bold: np.ndarray, runs: np.ndarray, n_permutations: int, seed: int) -> np.ndarray:
    """Mean leave-one-out ISC under ``phase_randomised`` runs, (n_permutations, n_voxels) float32.

    A correlation is a sum over frequencies of products of two spectra (Parseval), and random phases
    turn each product by the difference of two angles. So the nulls of a pair of subjects are one
    matrix product, (n_permutations, 2 n_frequencies) by (2 n_frequencies, n_voxels); means of
    others are sums over pairs, or of many subjects sums over all. The draws are those of
    ``phase_randomised``, run by run.

    ``bold`` (n_subjects, n_trs, n_voxels), two subjects or more; ``runs`` (n_trs,) labels. NaN in
    voxels without a subject that has an ISC.
    """
    series, present = unit_series(bold)
    n_subjects, _n_trs, n_voxels = series.shape
    lengths = [np.flatnonzero(runs == run) for run in np.unique(runs)]
    spectra = _spectra(series, lengths)
    turns = _turns(n_subjects, lengths, n_permutations, seed)
    products = np.zeros((n_subjects, n_permutations, n_voxels), dtype=np.float32)
    products += present[:, None]  # of each series with itself, then with the others
    (_add_pairs if n_subjects < _MANY else _add_others)(products, spectra, turns)
    power = products.sum(axis=0)
    r = cosine(products - 1, power - 2 * products + 1, present[:, None])
    counted = np.isfinite(r).sum(axis=0)
    total = np.where(np.isnan(r), 0.0, r).sum(axis=0)
    return np.divide(total, counted, out=np.full_like(total, np.nan), where=counted > 0)


def _add_pairs(products: np.ndarray, spectra: np.ndarray, turns: np.ndarray) -> None:
    """Add to ``products`` those with the other subjects: one matrix product per pair."""
    for one, other in combinations(range(len(spectra)), 2):
        pair = spectra[one] * spectra[other].conj()
        turn = turns[one] * turns[other].conj()
        product = np.hstack([turn.real, turn.imag]) @ np.vstack([pair.real, -pair.imag])
        products[one] += product
        products[other] += product


def _add_others(products: np.ndarray, spectra: np.ndarray, turns: np.ndarray) -> None:
    """As `_add_pairs`, by the sum of all subjects, null by null: linear in their number."""
    for null, turn in enumerate(turns.swapaxes(0, 1)):  # (n_subjects, n_frequencies)
        total = np.zeros_like(spectra[0])
        for angles, own in zip(turn, spectra, strict=True):
            total += angles[:, None] * own
        for place, (angles, own) in enumerate(zip(turn, spectra, strict=True)):
            others = total - angles[:, None] * own
            products[place, null] += (angles.conj() @ (own.conj() * others)).real


def _spectra(series: np.ndarray, runs: list[np.ndarray]) -> np.ndarray:
    """Spectra of all runs side by side, (n_subjects, n_frequencies, n_voxels) complex64, scaled so
    that the products of two add up to the product of the series."""
    parts = []
    for trs in runs:
        weights = np.full(len(trs) // 2 + 1, 2.0)
        weights[0] = 1.0
        if len(trs) % 2 == 0:
            weights[-1] = 1.0
        scale = np.sqrt(weights / len(trs))[:, None]
        parts.append((np.fft.rfft(series[:, trs], axis=1) * scale).astype(np.complex64))
    return np.concatenate(parts, axis=1)


def _turns(n_subjects: int, runs: list[np.ndarray], n_permutations: int, seed: int) -> np.ndarray:
    """exp(i phase), (n_subjects, n_permutations, n_frequencies) complex64."""
    rng = np.random.default_rng(seed)
    drawn = [
        np.concatenate([random_phases((n_subjects,), len(trs), rng) for trs in runs], axis=1)
        for _ in range(n_permutations)
    ]
    n_frequencies = sum(len(trs) // 2 + 1 for trs in runs)
    phases = np.reshape(drawn, (n_permutations, n_subjects, n_frequencies))
    return np.exp(1j * phases).astype(np.complex64).swapaxes(0, 1)
