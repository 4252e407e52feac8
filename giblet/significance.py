"""Is it more than chance? Nulls that keep BOLD as smooth as it is, p-values, false discoveries."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


def phase_randomised(bold: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """BOLD with the power it has at every frequency, at other moments.

    One set of random phases for all voxels of a subject, so that voxels go together as before
    (Prichard & Theiler 1994); another set for each subject.

    ``bold`` (..., n_trs, n_voxels) → the same shape and dtype. Several runs: randomise each alone.

    >>> wave = np.sin(np.arange(8.0))[:, None]
    >>> other = phase_randomised(wave, np.random.default_rng(0))
    >>> np.allclose(np.abs(np.fft.rfft(other, axis=0)), np.abs(np.fft.rfft(wave, axis=0)))
    True
    """
    n_trs = bold.shape[-2]
    spectrum = np.fft.rfft(bold, axis=-2)
    phases = rng.uniform(0, 2 * np.pi, (*spectrum.shape[:-1], 1))
    phases[..., 0, :] = 0  # the mean stays
    if n_trs % 2 == 0:  # the highest frequency is real: its sign alone is free
        phases[..., -1, :] = np.pi * rng.integers(2, size=phases[..., -1, :].shape)
    return np.fft.irfft(spectrum * np.exp(1j * phases), n=n_trs, axis=-2).astype(bold.dtype)


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
    """A score beside what chance gives.

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
    observed = np.asarray(statistic(bold), dtype=np.float64)
    count, total = np.zeros(observed.shape), np.zeros(observed.shape)
    for _ in range(n_permutations):
        null = statistic(randomise(bold, rng))
        count += ~(null < observed - 1e-12)  # a tie counts, whatever its last bit; so does NaN
        total += np.abs(null)
    p = np.where(np.isnan(observed), np.nan, (1 + count) / (1 + n_permutations))
    return Chance(observed, p, total / n_permutations)


def false_discovery_rate(p: np.ndarray) -> np.ndarray:
    """Benjamini and Hochberg's adjusted p-values, the shape of ``p``; NaN stays and counts not.

    Voxels below 0.05 hold at most 5 % false discoveries on average.

    >>> false_discovery_rate(np.array([0.01, 0.04, np.nan, 0.03])).round(3).tolist()
    [0.03, 0.04, nan, 0.04]
    """
    from scipy.stats import false_discovery_control

    there = ~np.isnan(p)
    adjusted = np.full(np.shape(p), np.nan)
    if there.any():
        adjusted[there] = false_discovery_control(p[there], method="bh")
    return adjusted
