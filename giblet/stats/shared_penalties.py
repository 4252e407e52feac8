"""Penalties that targets choose together: what predicts most voxels is believed first.

Where a model explains some per cent of a voxel's variance, cross-validation in that voxel alone
cannot separate a useful band of features from a useless one: a band of noise wins by chance in
many. The voxels together can. So each chooses by its own folds and by a prior over candidates
(mixtures of bands, penalties), which is estimated from all voxels: empirical Bayes, with the
nonparametric maximum-likelihood prior (Kiefer and Wolfowitz 1956; by EM, Laird 1978). One target
alone, or one with much evidence, chooses the candidate of least squared error over its folds.
"""

import numpy as np

_TARGETS = 1000  # that the prior is estimated from, evenly spaced
_ROUNDS = 100  # of EM
_LAGS = 16  # TRs, of the autocorrelation
_CAUTION = 0.5  # of the evidence: chosen on training blocks of real scans, and on simulated ones


def choose_together(losses: np.ndarray, n_effective: float) -> np.ndarray:
    """The most probable candidate of each target, (n_targets,) int.

    Parameters
    ----------
    losses : (n_candidates, n_targets)
        Mean squared errors of held-out samples.
    n_effective
        Number of independent samples, see `effective_samples`.

    >>> losses = np.array([[0.9] * 9 + [0.95], [1.0] * 9 + [0.94]])  # the last differs by chance
    >>> choose_together(losses, n_effective=200).tolist()
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    """
    evidence = -_CAUTION * n_effective / 2 * np.log(np.maximum(losses, 1e-12))
    likelihood = np.exp(evidence - evidence.max(axis=0)).astype(np.float32)
    chosen = np.linspace(0, losses.shape[1] - 1, min(losses.shape[1], _TARGETS)).round().astype(int)
    of_prior = likelihood[:, chosen]
    prior = np.full(len(losses), 1 / len(losses), dtype=np.float32)
    for _ in range(_ROUNDS):
        prior *= (of_prior / (prior @ of_prior)).mean(axis=1)
    return (prior[:, None] * likelihood).argmax(axis=0)


def effective_samples(y: np.ndarray) -> float:
    """Number of independent samples among those of ``y`` (n_samples, n_targets).

    Of series as autocorrelated as ``y``, on average over targets (Bartlett 1946).

    >>> noise = np.random.default_rng(0).standard_normal((1000, 20))
    >>> round(effective_samples(noise), -2), round(effective_samples(np.repeat(noise, 4, 0)), -2)
    (1000.0, 1400.0)
    """
    n_samples = len(y)
    y = y - y.mean(axis=0)
    y = y[:, (power := (y**2).mean(axis=0)) > 0] / np.sqrt(power[power > 0])
    if not y.size:
        return float(n_samples)
    alike = 0.0
    for lag in range(1, min(_LAGS, n_samples // 4) + 1):
        r = (y[lag:] * y[:-lag]).mean(axis=0)
        alike += 2 * max(0.0, float((r**2).mean()) - 1 / n_samples)
    return n_samples / (1 + alike)
