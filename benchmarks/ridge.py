"""Banded encoding of many vertices: giblet and himalaya called by hand, seconds and peak memory.

    python benchmarks/ridge.py [--vertices 20484] [--trs 2000] [--widths 20 40 100 200 400]

SIMULATED noise. Both get the same bands, folds, mixtures and penalties, and predict the same
held-out TRs. By hand: kernels of the scaled bands for himalaya's `MultipleKernelRidgeCV`. Each side
runs twice, in turns; the quicker run counts. Memory is what NumPy holds at most (tracemalloc), in a
run of its own.
"""

import argparse
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
from himalaya.kernel_ridge import MultipleKernelRidgeCV, generate_dirichlet_samples

from giblet.stats.cross_validation import purged_folds
from giblet.stats.ridge import banded_ridge

ALPHAS = np.logspace(-1, 6, 15)
GAP = 20  # TRs


def by_hand(bands, bold, train, test, folds, n_iter: int) -> np.ndarray:
    """Predictions of test TRs (n_test, n_vertices) with himalaya's own functions."""
    scaled = [(b - b[train].mean(axis=0)) / b[train].std(axis=0) for b in bands]
    scaled = [(b / np.sqrt(b.shape[1])).astype(np.float32) for b in scaled]
    mixtures = np.array(generate_dirichlet_samples(n_iter, len(bands), [0.1, 1.0], random_state=0))
    mixtures[0] = 1 / len(bands)
    model = MultipleKernelRidgeCV(
        kernels="precomputed",
        solver="random_search",
        solver_params={
            "n_iter": mixtures,
            "alphas": ALPHAS,
            "n_targets_batch": 2000,
            "progress_bar": False,
        },
        fit_intercept=True,
        cv=[tuple(np.searchsorted(train, part) for part in fold) for fold in folds],
    )
    model.fit(np.stack([b[train] @ b[train].T for b in scaled]), bold[train].astype(np.float32))
    return model.predict(np.stack([b[test] @ b[train].T for b in scaled]))


def seconds(function: Callable) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def peak_mb(function: Callable) -> tuple[float, np.ndarray]:
    """MB at most, and what the function returns."""
    tracemalloc.start()
    result = function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vertices", type=int, default=20484)
    parser.add_argument("--trs", type=int, default=2000)
    parser.add_argument("--widths", type=int, nargs="+", default=[20, 40, 100, 200, 400])
    parser.add_argument("--mixtures", type=int, default=20)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    bands = [rng.standard_normal((options.trs, width)) for width in options.widths]
    weights = 0.1 * rng.standard_normal((options.widths[0], options.vertices))
    bold = bands[0] @ weights + rng.standard_normal((options.trs, options.vertices))
    bold = bold.astype(np.float32)
    runs = np.zeros(options.trs)
    train, test = purged_folds(runs, GAP, 5)[0]
    folds = purged_folds(runs, GAP, 5, among=train)
    data = (bands, bold, train, test, folds)

    sides = {
        "giblet": lambda: banded_ridge(*data, n_iter=options.mixtures),
        "by hand": lambda: by_hand(*data, options.mixtures),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(2):
        for name, function in sides.items():
            times[name].append(seconds(function))
    best = {name: min(own) for name, own in times.items()}
    measured = {name: peak_mb(function) for name, function in sides.items()}
    for name, (peak, _) in measured.items():
        print(f"{name:8} {best[name]:8.1f} s {peak:8.0f} MB")
    ours, theirs = measured.values()
    print(f"time {best['giblet'] / best['by hand']:.2f}, memory {ours[0] / theirs[0]:.2f}")
    apart = np.abs(ours[1] - theirs[1])
    print(f"predictions differ by {np.median(apart):.1e} (median), {apart.max():.1e} at most")


if __name__ == "__main__":
    main()
