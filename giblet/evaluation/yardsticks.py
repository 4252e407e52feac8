"""Sounds whose scores say what a good value is: the original elsewhere, and the original in noise.

A new one is a function of the original and its entry in `YARDSTICKS`.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import numpy as np

from giblet.audio.metrics.scores import SEGMENT_SECONDS
from giblet.audio.metrics.speech import segment_edges
from giblet.stats.permutation import phase_randomised

Yardstick = Callable[[np.ndarray, float, int], np.ndarray]


def elsewhere(original: np.ndarray, sample_rate: float, seed: int) -> np.ndarray:
    """The sound (n_samples,) of another moment at each moment: half the test part later.

    >>> elsewhere(np.arange(6.0), sample_rate=1, seed=0).tolist()
    [3.0, 4.0, 5.0, 0.0, 1.0, 2.0]
    """
    return np.roll(original, len(original) // 2)


def in_noise(original: np.ndarray, sample_rate: float, seed: int, *, snr_db: float) -> np.ndarray:
    """The sound (n_samples,) with noise, ``snr_db`` below it in each segment of 8 s.

    The noise has the spectrum of the segment, with random phases: as loud in every band, but
    steady. (Noise of speech's spectrum is usual in tests of intelligibility; white noise would
    leave the low bands clear.)
    """
    rng, noisy = np.random.default_rng(seed), original.copy()
    for a, b in pairwise(segment_edges(len(original), SEGMENT_SECONDS, sample_rate)):
        noise = phase_randomised(original[a:b, None].astype(np.float64), rng)[:, 0]
        noisy[a:b] += (10 ** (-snr_db / 20) * noise).astype(original.dtype)
    return noisy


YARDSTICKS: dict[str, Yardstick] = {
    "original_noise_10db": partial(in_noise, snr_db=10.0),
    "original_noise_0db": partial(in_noise, snr_db=0.0),
    "original_elsewhere": elsewhere,
}


def yardsticks(original: np.ndarray, sample_rate: float, seed: int) -> dict[str, list[np.ndarray]]:
    """Column → its one sound."""
    return {name: [make(original, sample_rate, seed)] for name, make in YARDSTICKS.items()}
