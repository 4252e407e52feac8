"""How often identification of clips is significant where nothing was decoded.

    python benchmarks/identification_p.py [--draws 200]

Draws a bottleneck and a "decoded" one that is independent of it, both noise of the same
autocorrelation over TRs, and counts p <= .05: of permutations of the clips, as the score tables
have it, and of circular shifts of the TRs, as the searchlight has it.
"""

import argparse

import numpy as np
from scipy.signal import lfilter

from giblet.audio.metrics.identify import (
    identification_shares,
    identification_shares_p,
    join_clips,
)

N_TRS, CLIP_TRS, N_WAY, BURN_IN = 72, 5, 10, 200


def noise(rng: np.random.Generator, correlation: float, n_features: int) -> np.ndarray:
    """AR(1) noise (n_trs, n_features)."""
    white = rng.standard_normal((BURN_IN + N_TRS, n_features))
    return lfilter([1.0], [1.0, -correlation], white, axis=0)[BURN_IN:]


def shares(guess: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Identification shares (n_clips, n_clips) of TRs (n_trs, n_features)."""
    stretch = [np.arange(N_TRS)]
    joined = (join_clips(trs, stretch, CLIP_TRS) for trs in (guess, truth))
    return identification_shares(*joined, N_WAY)


def shift_p(guess: np.ndarray, truth: np.ndarray) -> float:
    """p of circular shifts of the TRs, forwards and backwards."""
    means = []
    for trs in (guess, guess[::-1]):
        for start in range(CLIP_TRS):
            one = shares(np.roll(trs, start, axis=0), truth)
            at = np.arange(len(one))
            means += [one[np.roll(at, k), at].mean() for k in at]
    return float(np.mean(np.array(means) >= means[0] - 1e-12))  # the first is the shift of 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=200)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    print("| AR(1) | features | p <= .05, permuted clips | p <= .05, shifted TRs |")
    print("|---|---|---|---|")
    for correlation in (0.0, 0.9, 0.97):
        for n_features in (1, 3, 20, 200):
            found = np.zeros(2)
            for _ in range(options.draws):
                guess, truth = (noise(rng, correlation, n_features) for _ in range(2))
                permuted = identification_shares_p(shares(guess, truth)[None], 1000, 0)
                found += np.array([permuted, shift_p(guess, truth)]) <= 0.05
            cells = [f"{share:.3f}" for share in found / options.draws]
            print(f"| {correlation:g} | {n_features} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
