"""Cross-validation of linear encoding models: delays, purged folds, held-out scores."""

from collections.abc import Callable, Sequence

import numpy as np

from giblet.errors import GibletError
from giblet.stats.pearson import correlation
from giblet.stats.ridge import banded_ridge


def delayed(
    features: np.ndarray, delays: Sequence[int], runs: np.ndarray | None = None
) -> np.ndarray:
    """Features of earlier TRs side by side, so that ridge finds the HRF itself (FIR model).

    Parameters
    ----------
    features : (n_trs, n_features)
    delays : TRs, 0 or more
        BOLD follows the film: at TR 2 s, ``range(1, 8)`` is 2 to 14 s after it.
    runs : (n_trs,), optional
        Label of the run of each TR. Before a run's first TR there is nothing: 0.

    Returns
    -------
    delayed : (n_trs, n_delays * n_features), delay by delay

    >>> delayed(np.array([[1.0], [2.0], [3.0]]), [0, 1]).tolist()
    [[1.0, 0.0], [2.0, 1.0], [3.0, 2.0]]
    """
    if min(delays) < 0:
        raise ValueError(f"delays must be 0 TRs or more, got {min(delays)}: BOLD follows the film")
    runs = np.zeros(len(features)) if runs is None else np.asarray(runs)
    shifted = np.zeros((len(delays), *features.shape), features.dtype)
    for out, delay in zip(shifted, delays, strict=True):
        n_kept = max(0, len(features) - delay)
        same_run = runs[delay:] == runs[:n_kept]
        out[delay:] = np.where(same_run[:, None], features[:n_kept], 0)
    return np.concatenate(shifted, axis=1)


def near(chosen: np.ndarray, gap: int) -> np.ndarray:
    """TRs that are chosen, and those ``gap`` or fewer from one; both (n_trs,) bool.

    >>> near(np.array([False, False, False, True]), gap=2).tolist()
    [False, True, True, True]
    """
    n_before, trs = np.concatenate([[0], np.cumsum(chosen)]), np.arange(len(chosen))
    return n_before[np.minimum(trs + gap + 1, len(trs))] > n_before[np.maximum(trs - gap, 0)]


INNER_FOLDS = 10  # of a single run, to choose penalties: with few, gaps take TRs from training
_FEWEST_TRS = 10  # a run with fewer is no fold of its own: its scores are noise, of 1 TR NaN


def purged_folds(
    runs: np.ndarray,
    gap_trs: int,
    n_folds: int = 5,
    among: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    close: Callable[[np.ndarray], np.ndarray] | None = None,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Folds that leave one run out; with a single run, contiguous blocks.

    Neighbouring TRs are alike, so training TRs of the tested run that lie within ``gap_trs`` of a
    tested TR are dropped. A run of fewer than 10 TRs is tested with the longer one after it (the
    last with the one before).

    Parameters
    ----------
    runs : (n_trs,)
        Label of the run of each TR.
    gap_trs
        The HRF's length or more: ``timing.trs_for(HRF_SECONDS, t_r)``, plus the longest delay.
    n_folds
        Number of blocks of a single run.
    among : TR indices, optional
        Only these TRs are split into folds.
    labels : (n_trs,) int, optional
        The fold in which each TR is tested, as of `fold_labels`, instead of runs or blocks.
    close : optional
        Of the tested TRs, (n_trs,) bool, those that must not train; by default the TRs of their
        runs within ``gap_trs``.

    Returns
    -------
    folds : list of (train, test), TR indices

    Raises
    ------
    ValueError
        A fold has nothing left to train on.

    >>> [(train.tolist(), test.tolist()) for train, test in purged_folds(np.zeros(6), 1, 2)]
    [([4, 5], [0, 1, 2]), ([0, 1], [3, 4, 5])]
    """
    runs = np.asarray(runs)
    trs = np.arange(len(runs)) if among is None else np.asarray(among)
    if labels is None:
        labels = _with_long_runs(np.unique(runs[trs], return_inverse=True)[1])
        if len(np.unique(labels)) == 1:
            labels = np.arange(len(trs)) * n_folds // len(trs)
    else:
        labels = labels[trs]
    folds = []
    for label in np.unique(labels):
        test = trs[labels == label]
        tested = np.isin(np.arange(len(runs)), test)
        purged = _near_in_runs(tested, runs, gap_trs) if close is None else close(tested)
        folds.append((trs[~purged[trs] & ~tested[trs]], test))
    if not all(len(train) for train, _test in folds):
        raise ValueError(
            f"{len(trs)} TRs in {len(folds)} folds leave none to train on with a gap of {gap_trs}: "
            "scan longer, or make the gap smaller"
        )
    return folds


def _near_in_runs(tested: np.ndarray, runs: np.ndarray, gap_trs: int) -> np.ndarray:
    """TRs (n_trs,) bool that are tested, or within ``gap_trs`` of one that is, in its run."""
    close = np.zeros_like(tested)
    for run in np.unique(runs[tested]):
        close |= near(tested & (runs == run), gap_trs) & (runs == run)
    return close


def check_fold(fold: int, n_folds: int) -> None:
    """GibletError where there is no such fold, counted from 1."""
    if not 1 <= fold <= n_folds or n_folds == 1:
        raise GibletError(f"fold {fold}: splits.folds is {n_folds}; set it to 2 or more")


def fold_labels(runs: np.ndarray, n_folds: int) -> np.ndarray:
    """The fold (from 0) in which each TR is tested, (n_trs,) int.

    Whole runs, where there are ``n_folds`` of 10 TRs or more; else contiguous blocks of all TRs.

    Parameters
    ----------
    runs : (n_trs,)
        Label of the run of each TR.

    Raises
    ------
    ValueError
        There are fewer TRs than folds.

    >>> fold_labels(np.repeat(["b", "a", "c"], [10, 10, 20]), 2).tolist() == [0] * 20 + [1] * 20
    True
    >>> fold_labels(np.repeat("a", 6), 3).tolist()
    [0, 0, 1, 1, 2, 2]
    """
    if len(runs) < n_folds:
        raise ValueError(f"{len(runs)} TRs are fewer than {n_folds} folds")
    order = list(dict.fromkeys(np.asarray(runs).tolist()))
    long_runs = _with_long_runs(np.array([order.index(run) for run in np.asarray(runs).tolist()]))
    kept = np.unique(long_runs)
    if len(kept) < n_folds:
        return np.arange(len(runs)) * n_folds // len(runs)
    of_run = np.concatenate(
        [np.full(len(part), n) for n, part in enumerate(np.array_split(kept, n_folds))]
    )
    return of_run[np.searchsorted(kept, long_runs)]


def run_labels(runs: np.ndarray, n_folds: int = 1) -> np.ndarray:
    """`fold_labels`; with ``n_folds`` 1 a label for each run, short ones with the next: (n_trs,).

    >>> run_labels(np.repeat(["a", "b", "c"], [20, 20, 6])).tolist() == [0] * 20 + [1] * 26
    True
    """
    if n_folds > 1:
        return fold_labels(runs, n_folds)
    return _with_long_runs(np.unique(runs, return_inverse=True)[1])


def _with_long_runs(labels: np.ndarray) -> np.ndarray:
    """``labels`` (n_trs,) int from 0 on; TRs of short runs have that of the next long run.

    >>> _with_long_runs(np.repeat([0, 1, 2], [20, 1, 20])).tolist() == [0] * 20 + [2] * 21
    True
    """
    is_long = np.bincount(labels)[labels] >= _FEWEST_TRS
    if is_long.all() or not is_long.any():
        return labels
    long_trs = np.flatnonzero(is_long)
    following = np.searchsorted(long_trs, np.arange(len(labels)))
    return labels[long_trs[np.minimum(following, len(long_trs) - 1)]]


def held_out_scores(
    bands: Sequence[np.ndarray],
    bold: np.ndarray,
    runs: np.ndarray,
    gap_trs: int,
    *,
    n_folds: int = 5,
    n_iter: int = 20,
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of banded ridge on held-out BOLD.

    Arguments as of `giblet.stats.ridge.banded_ridge` and `purged_folds`; penalties are chosen by
    leaving out runs, or tenths of a single one, within each fold's training TRs. Subjects that saw
    the same film cost little more than one, with their voxels side by side: (n_trs, n_subjects *
    n_voxels).

    Returns
    -------
    r, r2 : (n_voxels,) each
        Correlation and share of variance, means over folds.
    """
    r, r2 = [], []
    for train, test in purged_folds(runs, gap_trs, n_folds):
        folds = purged_folds(runs, gap_trs, INNER_FOLDS, among=train)
        predicted = banded_ridge(bands, bold, train, test, folds, n_iter=n_iter)
        r.append(correlation(predicted, bold[test]))
        r2.append(explained(predicted, bold[test]))
    return np.mean(r, axis=0), np.mean(r2, axis=0)


def explained(predicted: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """R² of each column, (n_samples, n_targets) twice → (n_targets,); NaN where constant."""
    left = ((measured - predicted) ** 2).sum(axis=0)
    whole = ((measured - measured.mean(axis=0)) ** 2).sum(axis=0)
    return 1 - np.divide(left, whole, out=np.full(len(whole), np.nan), where=whole > 0)
