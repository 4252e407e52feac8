"""Speed of the HRF convolution of many features, compared with nilearn and NumPy per column.

    python benchmarks/hrf.py [--trs 1976] [--features 14336] [--t-r 1.5] [--rate RATE]
                             [--columns 64] [--repeats 3]

Features are random numbers at ``--rate`` Hz (default: one per TR), float32. All ways return the
regressors at the middle of every TR. ``nilearn`` is ``compute_regressor`` for a column given as one
event per sample, ``numpy`` is ``np.convolve`` of a column with the kernel of one TR (only at one
sample per TR). nilearn is timed on ``--columns`` columns and extrapolated. Wall time of one
process, the best of ``--repeats`` (nilearn: one). Memory: NumPy's peak above the features,
relative to the output's size (tracemalloc; in a separate run, which is not timed).
"""

import argparse
import time
import tracemalloc

import numpy as np
from nilearn.glm.first_level import compute_regressor

from giblet.alignment.hrf import convolve_hrf, tr_kernel
from giblet.timing import sample_edges, samples_duration, tr_moments, tr_onsets


def nilearn_columns(features: np.ndarray, rate_hz: float, times: np.ndarray) -> np.ndarray:
    """Regressors (n_trs, n_features), each column one condition with an event per sample."""
    edges = sample_edges(len(features), rate_hz)
    onsets, durations = edges[:-1], np.diff(edges)
    columns = [
        compute_regressor((onsets, durations, column), "spm", times)[0][:, 0]
        for column in features.T
    ]
    return np.stack(columns, axis=1)


def numpy_columns(features: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Regressors (n_trs, n_features) of features on the TR's own grid."""
    regressors = np.empty_like(features)
    for i, column in enumerate(features.T):
        regressors[:, i] = np.convolve(column, kernel)[: len(column)]
    return regressors


def best_seconds(work, repeats: int) -> tuple[float, np.ndarray]:
    """Shortest wall time of ``work``, and its result."""
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = work()
        found.append(time.perf_counter() - start)
    return min(found), result


def peak_bytes(work) -> int:
    """Peak memory while ``work`` runs, above that before it."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def main() -> None:
    """Print one row per way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trs", type=int, default=1976)
    parser.add_argument("--features", type=int, default=14336)
    parser.add_argument("--t-r", type=float, default=1.5)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--columns", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    t_r, n_features = options.t_r, options.features
    rate_hz = options.rate or 1 / tr_onsets(2, t_r)[1]
    n_samples = round(tr_onsets(options.trs + 1, t_r)[-1] / samples_duration(1, rate_hz))
    rng = np.random.default_rng(0)
    features = rng.standard_normal((n_samples, n_features), dtype=np.float32)
    times = tr_moments(options.trs, t_r)
    few = features[:, : options.columns]

    seconds, ours = best_seconds(lambda: convolve_hrf(features, rate_hz, times), options.repeats)
    memory = peak_bytes(lambda: convolve_hrf(features, rate_hz, times)) / ours.nbytes
    print(f"{options.trs} TRs of {t_r} s, {n_features} features at {rate_hz:.3f} Hz, float32")
    print(f"{'way':<10}{'seconds':>10}{'ms a column':>13}{'times ours':>12}{'r with ours':>13}")
    rows = [("giblet", seconds, ours)]
    took, found = best_seconds(lambda: nilearn_columns(few, rate_hz, times), 1)
    rows.append(("nilearn", took * n_features / few.shape[1], found))
    if options.rate is None:
        kernel = tr_kernel(t_r, times[0])
        rows.append(
            ("numpy", *best_seconds(lambda: numpy_columns(features, kernel), options.repeats))
        )
    for name, took, found in rows:
        r = np.corrcoef(found[:, : few.shape[1]].ravel(), ours[:, : few.shape[1]].ravel())[0, 1]
        milliseconds = 1000 * took / n_features
        print(f"{name:<10}{took:>10.3f}{milliseconds:>13.4f}{took / seconds:>12.1f}{r:>13.5f}")
    print(f"giblet's peak memory above the features: {memory:.2f} x the output")


if __name__ == "__main__":
    main()
