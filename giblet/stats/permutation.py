"""Permutation tests: nulls with the autocorrelation of BOLD, p-values, and their correction."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from giblet.stats.pearson import unit_series

MOST_EXACT = 14  # differences of which all sign patterns are tried: 16,384
N_FLIPS = 9999  # random sign patterns of more differences


def phase_randomised(bold: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """BOLD with random phases and the same power at every frequency.

    One set of random phases for all voxels of a subject, so that voxels keep their correlations
    (Prichard & Theiler 1994); another set for each subject.

    ``bold`` (..., n_trs, n_voxels) → the same shape and dtype. Several runs: randomise each alone.

    >>> wave = np.sin(np.arange(8.0))[:, None]
    >>> other = phase_randomised(wave, np.random.default_rng(0))
    >>> np.allclose(np.abs(np.fft.rfft(other, axis=0)), np.abs(np.fft.rfft(wave, axis=0)))
    True
    """
    n_trs = bold.shape[-2]
    spectrum = np.fft.rfft(bold, axis=-2)
    turned = spectrum * np.exp(1j * random_phases(bold.shape[:-2], n_trs, rng))[..., None]
    return np.fft.irfft(turned, n=n_trs, axis=-2).astype(bold.dtype)


def random_phases(shape: tuple[int, ...], n_trs: int, rng: np.random.Generator) -> np.ndarray:
    """Phases for the real FFT of ``n_trs`` TRs, (*shape, n_trs // 2 + 1); the mean's is 0."""
    phases = rng.uniform(0, 2 * np.pi, (*shape, n_trs // 2 + 1))
    phases[..., 0] = 0
    if n_trs % 2 == 0:  # the highest frequency is real: its sign alone is free
        phases[..., -1] = np.pi * rng.integers(2, size=shape)
    return phases


def block_permuted(bold: np.ndarray, rng: np.random.Generator, block_trs: int) -> np.ndarray:
    """BOLD in blocks of ``block_trs`` TRs in random order, the same for all voxels of a subject.

    Choose blocks longer than BOLD remembers (the HRF: ``timing.trs_for(32.0, t_r)``). The first
    block begins anywhere, the series being taken as a ring. ``bold`` (..., n_trs, n_voxels).

    >>> bold = np.arange(6.0)[:, None]
    >>> block_permuted(bold, np.random.default_rng(0), block_trs=3).ravel().tolist()
    [1.0, 2.0, 3.0, 4.0, 5.0, 0.0]
    """
    n_trs = bold.shape[-2]
    permuted = np.empty_like(bold)
    for subject in np.ndindex(bold.shape[:-2]):
        ring = np.roll(np.arange(n_trs), rng.integers(n_trs))
        blocks = np.split(ring, range(block_trs, n_trs, block_trs))
        order = np.concatenate([blocks[i] for i in rng.permutation(len(blocks))])
        permuted[subject] = bold[subject][order]
    return permuted


@dataclass(frozen=True)
class Chance:
    """A score and its null distribution.

    ``observed``, ``p`` (n_voxels,): the score and the share of nulls that reach it, one-sided.
    ``null_mean_abs`` (n_voxels,): mean absolute null score. NaN where there is no score.
    """

    observed: np.ndarray
    p: np.ndarray
    null_mean_abs: np.ndarray


def against_chance(
    statistic: Callable[[np.ndarray], np.ndarray],
    bold: np.ndarray,
    randomise: Callable[[np.ndarray, np.random.Generator], np.ndarray] = phase_randomised,
    *,
    n_permutations: int = 1000,
    seed: int = 0,
) -> Chance:
    """Score of real BOLD among those of randomised BOLD, with ``p = (1 + count) / (1 + n)``.

    The count is of nulls as high as the score or higher (Phipson & Smyth 2010: p is never 0).
    Nulls are counted one by one and not kept, so a whole brain fits.

    Parameters
    ----------
    statistic
        BOLD → (n_voxels,), such as ``lambda b: correlation(predicted, b)`` on held-out TRs, or
        ``lambda b: isc(b).mean(axis=0)``.
    bold : (..., n_trs, n_voxels)
    randomise
        `phase_randomised`, or `block_permuted` with its block.
    """
    rng = np.random.default_rng(seed)
    nulls = (statistic(randomise(bold, rng)) for _ in range(n_permutations))
    return among_nulls(statistic(bold), nulls)


def among_nulls(observed: np.ndarray, nulls: Iterable[np.ndarray]) -> Chance:
    """A score (n_voxels,) among nulls (n_voxels,) given one by one; p as in `against_chance`."""
    observed = np.asarray(observed, dtype=np.float64)
    count, total, n = np.zeros(observed.shape), np.zeros(observed.shape), 0
    for null in nulls:
        count += ~(null < observed - 1e-12)  # a tie counts, whatever its last bit; so does NaN
        total += np.abs(null)
        n += 1
    p = np.where(np.isnan(observed), np.nan, (1 + count) / (1 + n))
    return Chance(observed, p, total / max(n, 1))


def shifted_correlation(predicted: np.ndarray, bold: np.ndarray) -> np.ndarray:
    """Correlation of BOLD with the prediction under every circular shift in TRs, by FFT.

    ``predicted``, ``bold`` (n_subjects, n_trs, n_voxels) → (n_subjects, n_trs, n_voxels): row ``k``
    is that of ``np.roll(predicted, k, axis=1)``, row 0 the score itself; NaN where one of the two
    is constant or has NaN.

    >>> wave = np.sin(np.pi * np.arange(8.0) / 4)[None, :, None]
    >>> shifted_correlation(wave, wave)[0, [0, 2, 4], 0].round(6).tolist()
    [1.0, 0.0, -1.0]
    """
    (one, valid), (other, also_valid) = unit_series(predicted), unit_series(bold)
    product = np.fft.rfft(one, axis=1).conj() * np.fft.rfft(other, axis=1)
    r = np.fft.irfft(product, n=one.shape[1], axis=1)
    return np.where((valid & also_valid)[:, None], r, np.nan)


def circular_shifts(n_moments: int, n_away: int, n_most: int, seed: int) -> np.ndarray:
    """Circular shifts of a series of moments, in random order: (n_shifts,), at most ``n_most``.

    All lie ``n_away`` moments or more from 0, in both directions round the ring; in a series too
    short for that, as far away as it allows. None for fewer than two moments.

    >>> sorted(circular_shifts(8, n_away=3, n_most=9, seed=0).tolist())
    [3, 4, 5]
    >>> circular_shifts(2, n_away=3, n_most=9, seed=0).tolist()
    [1]
    """
    distance = np.minimum(np.arange(n_moments), n_moments - np.arange(n_moments))
    allowed = np.flatnonzero(distance >= max(1, min(n_away, n_moments // 2)))
    return np.random.default_rng(seed).permutation(allowed)[:n_most]


def n_sign_flips(n: int) -> int:
    """Sign patterns that `sign_flip_p` tries for ``n`` differences: all, or ``N_FLIPS``."""
    return 2**n if n <= MOST_EXACT else N_FLIPS


def sign_flip_p(differences: np.ndarray, seed: int = 0) -> float:
    """Two-sided p of the mean of ``differences`` (n,) by a sign-flip test; NaN for fewer than two.

    The share of sign patterns whose mean is as far from 0, of all patterns for ``MOST_EXACT``
    differences or fewer. Of more, ``N_FLIPS`` random ones, and p is (1 + count) / (1 + N_FLIPS).
    Differences are taken to be independent.

    >>> sign_flip_p(np.array([1.0, 2.0, 3.0]))
    0.25
    """
    from scipy.stats import permutation_test

    if len(differences) < 2:
        return np.nan

    def distance_of_mean(values: np.ndarray, axis: int) -> np.ndarray:
        return np.abs(np.mean(values, axis=axis))

    test = permutation_test(
        (differences,),
        distance_of_mean,
        permutation_type="samples",
        alternative="greater",
        n_resamples=n_sign_flips(len(differences)),
        vectorized=True,
        batch=1000,
        rng=seed,
    )
    return float(test.pvalue)


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's adjusted p-values of a family of tests, (n,); NaN is ignored and kept.

    The chance of any false discovery among those below 0.05 is at most 5 % (Holm 1979).

    >>> holm(np.array([0.01, 0.04, np.nan, 0.03])).round(3).tolist()
    [0.03, 0.06, nan, 0.06]
    """
    valid = ~np.isnan(p)
    order = np.argsort(p[valid], kind="stable")
    factors = np.arange(len(order), 0, -1)
    adjusted = np.full(np.shape(p), np.nan)
    rising = np.maximum.accumulate(p[valid][order] * factors)
    adjusted[np.flatnonzero(valid)[order]] = np.minimum(rising, 1.0)
    return adjusted


def false_discovery_rate(p: np.ndarray) -> np.ndarray:
    """Benjamini and Hochberg's adjusted p-values, the shape of ``p``; NaN is ignored and kept.

    Voxels below 0.05 hold at most 5 % false discoveries on average.

    >>> false_discovery_rate(np.array([0.01, 0.04, np.nan, 0.03])).round(3).tolist()
    [0.03, 0.04, nan, 0.04]
    """
    from scipy.stats import false_discovery_control

    valid = ~np.isnan(p)
    adjusted = np.full(np.shape(p), np.nan)
    if valid.any():
        adjusted[valid] = false_discovery_control(p[valid], method="bh")
    return adjusted
