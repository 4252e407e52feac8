"""Banded encoding of many vertices: giblet and himalaya called by hand, seconds and peak memory.

    python benchmarks/ridge.py [--vertices 20484] [--trs 2000] [--widths 20 40 100 200 400]

SIMULATED noise. Both get the same bands, folds, mixtures and penalties, and predict the same
held-out TRs. By hand: kernels of the scaled bands for himalaya's `MultipleKernelRidgeCV`. Each run
is a process of its own: processor seconds of the call, and the peak of its resident memory above
what it had before the call. The sides take turns; the quicker of ``--runs`` counts.
"""

import argparse
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from himalaya.kernel_ridge import MultipleKernelRidgeCV

from giblet.stats.cross_validation import purged_folds
from giblet.stats.ridge import band_mixtures, banded_ridge

ALPHAS = np.logspace(-1, 6, 15)
GAP = 20  # TRs


def by_hand(bands, bold, train, test, folds, n_iter: int) -> np.ndarray:
    """Predictions of test TRs (n_test, n_vertices) with himalaya's own functions."""
    scaled = [(b - b[train].mean(axis=0)) / b[train].std(axis=0) for b in bands]
    scaled = [(b / np.sqrt(b.shape[1])).astype(np.float32) for b in scaled]
    model = MultipleKernelRidgeCV(
        kernels="precomputed",
        solver="random_search",
        solver_params={
            "n_iter": band_mixtures(len(bands), n_iter),
            "alphas": ALPHAS,
            "n_targets_batch": 2000,
            "progress_bar": False,
        },
        fit_intercept=True,
        cv=[tuple(np.searchsorted(train, part) for part in fold) for fold in folds],
    )
    model.fit(np.stack([b[train] @ b[train].T for b in scaled]), bold[train].astype(np.float32))
    return model.predict(np.stack([b[test] @ b[train].T for b in scaled]))


def data(options: argparse.Namespace) -> tuple:
    rng = np.random.default_rng(0)
    bands = [rng.standard_normal((options.trs, width)) for width in options.widths]
    weights = 0.1 * rng.standard_normal((options.widths[0], options.vertices))
    bold = np.empty((options.trs, options.vertices), dtype=np.float32)
    for tr, row in enumerate(bold):  # no copy of all: the peak before the call is that of the data
        row[:] = bands[0][tr] @ weights
        row += rng.standard_normal(options.vertices, dtype=np.float32)
    runs = np.zeros(options.trs)
    train, test = purged_folds(runs, GAP, 5)[0]
    return bands, bold, train, test, purged_folds(runs, GAP, options.folds, among=train)


def giblet(*data, n_iter: int) -> np.ndarray:
    return banded_ridge(*data, n_iter=n_iter)


SIDES = {"giblet": giblet, "by hand": by_hand}


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(side: str, options: argparse.Namespace) -> tuple[float, float, np.ndarray]:
    """Processor seconds, MB, and predictions (n_test, n_vertices)."""
    own, before = data(options), peak_mb()
    begin = time.process_time()
    predicted = SIDES[side](*own, n_iter=options.mixtures)
    return time.process_time() - begin, peak_mb() - before, predicted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vertices", type=int, default=20484)
    parser.add_argument("--trs", type=int, default=2000)
    parser.add_argument("--widths", type=int, nargs="+", default=[20, 40, 100, 200, 400])
    parser.add_argument("--mixtures", type=int, default=20, help="about as many")
    parser.add_argument("--folds", type=int, default=5, help="that choose penalties")
    parser.add_argument("--runs", type=int, default=2)
    options = parser.parse_args()
    best: dict[str, tuple[float, float, np.ndarray]] = {}
    for _ in range(options.runs):
        for side in SIDES:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                run = pool.submit(measured, side, options).result()
            if side not in best or run[0] < best[side][0]:
                best[side] = run
    for side, (seconds, mb, _) in best.items():
        print(f"{side:8} {seconds:8.1f} processor s {mb:8.0f} MB")
    ours, theirs = best.values()
    print(f"time {ours[0] / theirs[0]:.2f}, memory {ours[1] / theirs[1]:.2f}")
    pairs = zip(ours[2].T, theirs[2].T, strict=True)
    r = [np.corrcoef(*pair)[0, 1] for pair in pairs]
    print(f"predictions correlate by {np.median(r):.3f} (median), {min(r):.3f} at least")


if __name__ == "__main__":
    main()
