"""Which moment of the film was it? How often an estimate picks its own among others."""

import itertools
from collections.abc import Sequence

import numpy as np


def identification(estimate: np.ndarray, truth: np.ndarray, n_way: int = 2) -> np.ndarray:
    """How often each estimate resembles its own truth more than ``n_way`` - 1 others: (n,).

    The mean over all ways to draw the others; chance is 1 / ``n_way``. Resemblance is correlation
    across features, both (n, n_features). NaN where an estimate is the same in all features, and
    so resembles nothing. A tie is won half the time.

    Raises ValueError for fewer than ``n_way`` truths.

    >>> identification(np.eye(4), np.eye(4)).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    return _from_similarity(_similarity(estimate, truth), n_way)


def identification_p(
    estimates: Sequence[np.ndarray], truth: np.ndarray, n_way: int, n_permutations: int, seed: int
) -> float:
    """p-value of the mean identification: how often as good with truths in another order.

    ``estimates``: of each subject (n, n_features); all keep to the same order of the truths
    (n, n_features), so that what subjects share is not counted as evidence.
    """
    similar = [_similarity(estimate, truth) for estimate in estimates]
    rng, n = np.random.default_rng(seed), len(truth)
    found = np.nanmean([_from_similarity(s, n_way) for s in similar])
    null = np.empty(n_permutations)
    for k in range(n_permutations):
        order = rng.permutation(n)
        null[k] = np.nanmean([_from_similarity(s[:, order], n_way) for s in similar])
    return float((1 + (null >= found - 1e-12).sum()) / (1 + n_permutations))


def _similarity(estimate: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Correlations (n_estimates, n_truths); NaN for an estimate that never changes."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.corrcoef(estimate, truth)[: len(estimate), len(estimate) :]


def _from_similarity(similarity: np.ndarray, n_way: int) -> np.ndarray:
    n = len(similarity)
    if n < n_way:
        raise ValueError(f"{n} moments are too few for {n_way} to choose from")
    own = np.diag(similarity)[:, None]
    worse = (own > similarity).sum(axis=1)
    no_better = (own >= similarity).sum(axis=1) - 1  # but for itself
    shares = [_share_of_draws(count, n - 1, n_way - 1) for count in (worse, no_better)]
    return np.where(np.isnan(own[:, 0]), np.nan, np.mean(shares, axis=0))


def _share_of_draws(n_beaten: np.ndarray, n_others: int, n_drawn: int) -> np.ndarray:
    """Of all draws of ``n_drawn`` from ``n_others``, those with beaten ones alone."""
    k = np.arange(n_drawn)
    left = np.clip(n_beaten[:, None] - k, 0, None)
    return (left / (n_others - k)).prod(axis=1)


def join_clips(values: np.ndarray, stretches: Sequence[np.ndarray], n_trs: int) -> np.ndarray:
    """TRs (n_trs, n_features) to clips of ``n_trs`` in a row: (n_clips, n_trs * n_features).

    ``stretches``: indices into ``values`` of TRs in unbroken rows; what fills no clip is left out.

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
    """What a sound is like in each of ``n_trs`` equal parts: (n_trs, n_features) dB.

    Levels of 32 mel bands in four moments of each part.
    """
    from giblet.audio.mel import MelSettings, mel_spectrogram

    settings = MelSettings(sample_rate=int(sample_rate), n_mels=32)
    levels = mel_spectrogram(waveform, settings)  # (n_mels, n_frames)
    edges = np.linspace(0, levels.shape[1], 4 * n_trs + 1).astype(int)
    moments = [levels[:, a:b].mean(axis=1) for a, b in itertools.pairwise(edges)]
    return np.reshape(moments, (n_trs, -1))
