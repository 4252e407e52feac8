"""Encoding maps: ridge from each modality, from all, and the unique variance of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import xarray as xr

from giblet.errors import GibletError
from giblet.stats.cross_validation import INNER_FOLDS, explained, fold_labels, purged_folds
from giblet.stats.permutation import (
    shift_chance,
    shift_nulls,
    shifted_correlation,
)
from giblet.stats.ridge import band_columns, columns_ridge


@dataclass(frozen=True)
class ClockGroup:
    """Subjects whose volumes were taken at the same film times, and the film's features then.

    subjects : indices; bands : modality or level → (n_trs, n_features), convolved with the HRF
    """

    subjects: list[int]
    bands: dict[Any, np.ndarray]


@dataclass(frozen=True)
class Fold:
    """TR indices: ``test`` is held out, ``inner`` (train, test) in ``train`` choose penalties."""

    train: np.ndarray
    test: np.ndarray
    inner: list[tuple[np.ndarray, np.ndarray]]


def group_by_clock(
    bands: Mapping[Any, np.ndarray], volumes: np.ndarray, film_time: np.ndarray
) -> list[ClockGroup]:
    """Group subjects with the same clock: their ridge costs little more than one subject's.

    ``bands``: modality or level → (n_volumes, n_features); ``volumes`` (n_subjects, n_trs)
    indices into them; ``film_time`` (n_volumes,) s.
    """
    clocks = [film_time[own].tobytes() for own in volumes]
    groups = []
    for clock in dict.fromkeys(clocks):
        alike = [s for s, other in enumerate(clocks) if other == clock]
        of_film = {k: band[volumes[alike[0]]] for k, band in bands.items()}
        groups.append(ClockGroup(alike, of_film))
    return groups


_FEWEST_TRS = 10  # of a run, for a mean of its own, as BOLD is z-scored


def centred_by_run(
    groups: Sequence[ClockGroup], runs: np.ndarray, is_train: np.ndarray | None = None
) -> list[ClockGroup]:
    """Bands minus their mean in each run: BOLD that was z-scored by run has none there.

    What differs between runs alone would be fitted, and predicted, as an offset.

    Parameters
    ----------
    runs : (n_trs,)
        Label of the run of each TR.
    is_train : (n_trs,) bool, optional
        Means are of these TRs alone; in a run with fewer than 10 of them, of those of all runs. By
        default of all TRs of a run.
    """
    sources = {}
    for run in np.unique(runs):
        source = runs == run
        if is_train is not None:
            source = source & is_train
            source = source if source.sum() >= _FEWEST_TRS else is_train
        sources[run] = source
    centred = []
    for group in groups:
        bands = {name: band.copy() for name, band in group.bands.items()}
        for name, band in bands.items():
            for run, source in sources.items():
                band[runs == run] -= group.bands[name][source].mean(axis=0)
        centred.append(ClockGroup(group.subjects, bands))
    return centred


def constant_bands(groups: Sequence[ClockGroup]) -> list[Any]:
    """Names of the bands that are the same in all TRs of every group: nothing can be read there.

    >>> flat, rising = np.ones((3, 2)), np.arange(6.0).reshape(3, 2)
    >>> constant_bands([ClockGroup([0], {"pictures": flat, "words": rising})])
    ['pictures']
    """
    names = groups[0].bands if groups else ()
    return [n for n in names if all((g.bands[n] == g.bands[n][:1]).all() for g in groups)]


def held_out_folds(
    runs: np.ndarray,
    gap_trs: int,
    n_folds: int = 1,
    *,
    labels: Callable[[np.ndarray, int], np.ndarray] | None = None,
    close: Callable[[np.ndarray], np.ndarray] | None = None,
) -> list[Fold]:
    """Whole runs, or blocks of a single one, with a gap; GibletError where TRs are too few.

    Penalties are chosen within training TRs by leaving out each run, or each tenth of a single one.

    BOLD z-scored by run carries nothing from held-out runs into training TRs; from blocks of a run
    it carries the run's mean and deviation. ``n_folds`` of 2 or more: that many folds, of
    `fold_labels`. ``labels``: of some TRs (indices) and a number of folds the fold of each TR
    (n_trs,) int, instead. ``close`` as of `purged_folds`.
    """

    def split(among: np.ndarray, n: int, n_blocks: int = 5) -> list[tuple[np.ndarray, np.ndarray]]:
        of_runs = None if n == 1 or labels is not None else fold_labels(runs, n)
        of_tr = of_runs if labels is None else labels(among, n)
        return purged_folds(runs, gap_trs, n_blocks, among, of_tr, close)

    try:
        every = split(np.arange(len(runs)), n_folds)
        return [Fold(train, test, split(train, 1, INNER_FOLDS)) for train, test in every]
    except ValueError as error:
        raise GibletError(f"too few TRs to hold some out: {error}") from None


def linear_maps(
    bold: np.ndarray,
    groups: Sequence[ClockGroup],
    folds: Sequence[Fold],
    *,
    n_shifts: int = 5000,
    n_iter: int = 20,
    seed: int = 0,
    by_fold: bool = False,
    n_shift_maps: int = 0,
) -> xr.Dataset:
    """Ridge from each modality, and banded ridge from several, on TRs that were held out.

    ``bold`` (n_subjects, n_trs, n_voxels) z-scored by run. Correlations ``r_<modality>`` and, with
    several, ``r_all`` (subject, voxel), means over folds; ``r_..._p`` (voxel) of their mean over
    subjects among predictions that are shifted circularly in time. With several also ``r2_all`` and
    ``unique_<modality>``: R² of all minus R² of all the others (subject, voxel). ``by_fold`` adds
    ``folds_<name>`` (fold, voxel) of each of them, the mean over subjects in each fold. A modality
    that never varies in a fold's training TRs adds nothing there, and its own r is NaN.
    ``n_shift_maps``, at most ``n_shifts``: adds ``<name>_nulls`` (null, voxel) of each r, the mean
    over subjects under as many of the shifts. Unique variance has none: a shift is no null of it,
    as the penalty of the other modalities depends on the one that is added.
    """
    names = list(groups[0].bands) if groups else []
    all_r: dict[tuple, list] = {}
    all_r2: dict[tuple, list] = {}
    for fold in folds if names else ():
        columns = [{n: band_columns(b, fold.train) for n, b in g.bands.items()} for g in groups]
        varying = {n for n in names if any(own[n].shape[1] for own in columns)}
        known: dict[tuple, np.ndarray] = {}
        for mixture in _mixtures(names):
            used = tuple(n for n in mixture if n in varying)
            if used not in known:
                chosen = [[own[n] for n in used or mixture] for own in columns]
                known[used] = predict_fold(chosen, bold, groups, fold, n_iter=n_iter)
            predicted = known[used]
            pairs = zip(predicted, bold[:, fold.test], strict=True)
            all_r2.setdefault(mixture, []).append(np.stack([explained(*pair) for pair in pairs]))
            if len(mixture) in (1, len(names)):
                r = shifted_correlation(predicted, bold[:, fold.test])
                own, shifted = r[:, 0], _mean_over_subjects(r)
                all_r.setdefault(mixture, []).append((own, shifted))
    arrays = {}
    for mixture, scored in all_r.items():
        label = _label(mixture)
        by_subject, of_shifts = zip(*scored, strict=True)
        arrays[label] = _map(np.mean(by_subject, axis=0))
        arrays[f"{label}_p"] = ("voxel", shift_chance(of_shifts, n_shifts, seed).p)
    shares = _unique(names, {k: np.mean(v, axis=0) for k, v in all_r2.items()})
    arrays |= {name: _map(share) for name, share in shares.items()}
    if by_fold:
        scores = {_label(m): np.stack([one for one, _ in scored]) for m, scored in all_r.items()}
        scores |= _unique(names, {k: np.stack(v) for k, v in all_r2.items()})
        means = {n: _mean_over_subjects(v.swapaxes(0, 1)) for n, v in scores.items()}
        arrays |= {f"folds_{n}": (("fold", "voxel"), v.astype("f4")) for n, v in means.items()}
    if n_shift_maps:
        of_shift = {_label(m): [of_fold for _, of_fold in scored] for m, scored in all_r.items()}
        for name, of_folds in of_shift.items():
            nulls = islice(shift_nulls(of_folds, n_shifts, seed), n_shift_maps)
            maps = np.stack([null.astype(np.float32) for null in nulls])
            arrays[f"{name}_nulls"] = (("null", "voxel"), maps)
    return xr.Dataset(arrays)


def _label(mixture: tuple[str, ...]) -> str:
    return f"r_{mixture[0] if len(mixture) == 1 else 'all'}"


def _mixtures(names: list[str]) -> list[tuple[str, ...]]:
    """Each modality alone, all, and all but each one.

    >>> _mixtures(["a", "b", "c"])
    [('a',), ('b',), ('c',), ('a', 'b', 'c'), ('b', 'c'), ('a', 'c'), ('a', 'b')]
    """
    but_one = [tuple(n for n in names if n != left_out) for left_out in names]
    mixtures = [*((n,) for n in names), tuple(names), *but_one]
    return [m for m in dict.fromkeys(mixtures) if m]


def predict_fold(
    columns: Sequence[list[np.ndarray]],
    bold: np.ndarray,
    groups: Sequence[ClockGroup],
    fold: Fold,
    **search,
) -> np.ndarray:
    """BOLD of the held-out TRs, (n_subjects, n_test, n_voxels); a group is fitted once.

    ``columns`` of each group's bands, (n_trs, rank) each; ``bold`` (n_subjects, n_trs, n_voxels);
    ``search`` as of `giblet.stats.ridge.columns_ridge`.
    """
    n_subjects, n_trs, n_voxels = bold.shape
    predicted = np.empty((n_subjects, len(fold.test), n_voxels), dtype=np.float32)
    for own, group in zip(columns, groups, strict=True):
        together = bold[group.subjects].swapaxes(0, 1).reshape(n_trs, -1)
        fitted = columns_ridge(own, together, fold.train, fold.test, fold.inner, **search)
        predicted[group.subjects] = fitted.reshape(len(fold.test), -1, n_voxels).swapaxes(0, 1)
    return predicted


def _mean_over_subjects(r: np.ndarray) -> np.ndarray:
    """Along the first axis; NaN where no subject has a value."""
    finite = np.isfinite(r)
    total, n = np.where(finite, r, 0.0).sum(axis=0), finite.sum(axis=0)
    return np.divide(total, n, out=np.full_like(total, np.nan), where=n > 0)


def _unique(names: list[str], r2: Mapping[tuple[str, ...], np.ndarray]) -> dict[str, np.ndarray]:
    """R² of all modalities and what each adds to it, from R² (..., n_voxels) by mixture."""
    if len(names) < 2:
        return {}
    everything = r2[tuple(names)]
    rest = {name: r2[tuple(n for n in names if n != name)] for name in names}
    return {"r2_all": everything} | {
        f"unique_{name}": everything - without for name, without in rest.items()
    }


def _map(values: np.ndarray) -> tuple:
    return ("subject", "voxel"), values.astype(np.float32)
