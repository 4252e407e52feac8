"""Identification: the share of cases in which an estimate is closest to its own truth."""

import itertools
from collections.abc import Sequence

import numpy as np

from giblet.timing import tr_onsets, trs_for


def identification(estimate: np.ndarray, truth: np.ndarray, n_way: int = 2) -> np.ndarray:
    """Share of cases in which each estimate is closer to its truth than ``n_way`` - 1 others: (n,).

    The mean over all ways to draw the others; chance is 1 / ``n_way``. Closeness is correlation
    across features, both (n, n_features). NaN where an estimate is the same in all features. A tie
    counts half. A truth that is the same in all features, or has NaN, cannot be chosen: its own
    estimate has NaN, and all have where fewer than ``n_way`` truths are left.

    Raises ValueError for fewer than ``n_way`` truths, for arrays of other shapes, and for
    ``n_way`` below 2.

    >>> identification(np.eye(4), np.eye(4)).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    return identification_shares(estimate, truth, n_way).diagonal()


def identification_shares(estimate: np.ndarray, truth: np.ndarray, n_way: int) -> np.ndarray:
    """`identification` as it would be if each truth were the estimate's own.

    Both (n, n_features) → (n_estimates, n_truths): the diagonal has the true pairs, the k-th
    diagonal beside it those of estimates that are shifted by k moments.
    """
    return _shares(_similarity(estimate, truth), n_way)


def identification_p(
    estimates: Sequence[np.ndarray], truth: np.ndarray, n_way: int, n_permutations: int, seed: int
) -> float:
    """p-value of the mean identification by permutations of the truths.

    ``estimates``: of each subject (n, n_features); all subjects get the same permutation of the
    truths (n, n_features), so that what subjects share is not counted as evidence.
    """
    shares = np.stack([identification_shares(estimate, truth, n_way) for estimate in estimates])
    return identification_shares_p(shares, n_permutations, seed)


def identification_shares_p(shares: np.ndarray, n_permutations: int, seed: int) -> float:
    """`identification_p` from `identification_shares` (n_subjects, n_estimates, n_truths).

    NaN where nothing is decoded, as of silence.
    """
    own = shares.diagonal(axis1=1, axis2=2)
    if not np.isfinite(own).any():
        return float("nan")
    null = permuted_shares(shares, n_permutations, seed)
    as_high = ~(null < np.nanmean(own) - 1e-12)
    return float((1 + as_high.sum()) / (1 + n_permutations))


def permuted_shares(shares: np.ndarray, n_permutations: int, seed: int) -> np.ndarray:
    """The mean identification under each permutation of the truths, (n_permutations,).

    ``shares`` of `identification_shares`, (n_subjects, n_estimates, n_truths); all subjects get the
    same permutation.
    """
    rng, n = np.random.default_rng(seed), shares.shape[-1]
    null = np.empty(n_permutations)
    for k in range(n_permutations):
        null[k] = np.nanmean(shares[:, np.arange(n), rng.permutation(n)])
    return null


def _similarity(estimate: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Correlations (n, n) of estimates and truths; NaN where one of the two never changes."""
    estimate, truth = np.asarray(estimate), np.asarray(truth)
    if estimate.ndim != 2 or estimate.shape != truth.shape:
        raise ValueError(
            f"estimates and truths must both be (n, n_features), not {estimate.shape} and "
            f"{truth.shape}"
        )
    if estimate.shape[1] < 2:
        return np.full((len(estimate), len(truth)), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.corrcoef(estimate, truth)[: len(estimate), len(estimate) :]
    r[_constant(estimate)] = np.nan
    r[:, _constant(truth)] = np.nan
    return r


def _constant(moments: np.ndarray) -> np.ndarray:
    """Which moments are the same in all features but for rounding, (n,) bool."""
    moments = moments.astype(float)
    return np.ptp(moments, axis=1) <= 1e-9 * np.abs(moments).max(axis=1)


def _shares(similarity: np.ndarray, n_way: int) -> np.ndarray:
    """Identification shares if each truth were the estimate's own: (n_estimates, n_truths)."""
    from scipy.stats import rankdata

    if n_way < 2:
        raise ValueError(f"n_way must be 2 or more, got {n_way}")
    if len(similarity) < n_way:
        raise ValueError(f"{len(similarity)} moments are too few for {n_way} to choose from")
    every = np.full(similarity.shape, np.nan)
    there = np.flatnonzero(~np.isnan(similarity).all(axis=0))  # truths that vary
    if (n := len(there)) < n_way:
        return every
    missing = np.isnan(similarity[:, there])
    filled = np.where(missing, np.inf, similarity[:, there])  # beaten by none
    counts = (rankdata(filled, method, axis=1) - 1 for method in ("min", "max"))
    shares = [_share_of_draws(worse, n - 1, n_way - 1) for worse in counts]
    every[:, there] = np.where(missing, np.nan, np.mean(shares, axis=0))
    return every


def _share_of_draws(n_beaten: np.ndarray, n_others: int, n_drawn: int) -> np.ndarray:
    """Share of draws of ``n_drawn`` from ``n_others`` that contain only beaten ones."""
    possible = np.arange(n_others + 1)
    shares = np.ones(n_others + 1)
    for k in range(n_drawn):
        shares *= np.maximum(possible - k, 0) / (n_others - k)
    return shares[n_beaten.astype(int)]


def clip_length(clip_seconds: float, t_r: float) -> float:
    """How long clips of ``clip_seconds`` are in whole TRs, s.

    >>> clip_length(8.0, t_r=1.5)
    9.0
    """
    return float(tr_onsets(trs_for(clip_seconds, t_r) + 1, t_r)[-1])


def join_clips(values: np.ndarray, stretches: Sequence[np.ndarray], n_trs: int) -> np.ndarray:
    """TRs (n_trs, n_features) to clips of ``n_trs`` in a row: (n_clips, n_trs * n_features).

    ``stretches``: indices into ``values`` of consecutive TRs; incomplete clips are left out.

    >>> join_clips(np.arange(5)[:, None], [np.arange(3), np.arange(3, 5)], 2).tolist()
    [[0, 1], [3, 4]]
    """
    rows = [
        stretch[start : start + n_trs]
        for stretch in stretches
        for start in range(0, len(stretch) - n_trs + 1, n_trs)
    ]
    places = np.array(rows, dtype=int).reshape(-1, n_trs)
    return values[places].reshape(len(places), n_trs * values.shape[1])


def sound_features(waveform: np.ndarray, sample_rate: int, n_trs: int) -> np.ndarray:
    """Mel levels of a sound in each of ``n_trs`` equal parts: (n_trs, n_features) dB.

    Levels of 32 mel bands in four moments of each part.
    """
    from giblet.audio.mel import MelSettings, mel_spectrogram

    settings = MelSettings(sample_rate=int(sample_rate), n_mels=32)
    levels = mel_spectrogram(waveform, settings)  # (n_mels, n_frames)
    edges = np.linspace(0, levels.shape[1], 4 * n_trs + 1).astype(int)
    moments = [levels[:, a:b].mean(axis=1) for a, b in itertools.pairwise(edges)]
    return np.reshape(moments, (n_trs, -1))
