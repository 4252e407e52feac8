"""Encoding maps: ridge from each modality, from all, and the unique variance of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from giblet.errors import GibletError
from giblet.stats.cross_validation import INNER_FOLDS, explained, fold_labels, purged_folds
from giblet.stats.fold_nulls import FoldNulls, draw_moves
from giblet.stats.pearson import correlation
from giblet.stats.permutation import among_nulls
from giblet.stats.ridge import band_columns, columns_refit, columns_ridge
from giblet.stats.ridge_folds import parts


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


@dataclass(frozen=True)
class MixtureScores:
    """Scores of held-out TRs that some of the modalities predict.

    r2 : (n_folds, n_subjects, n_voxels)
    r : the same; None where it was not asked for, and with it ``p`` (n_voxels,) and ``nulls``
    nulls : (n_nulls, n_voxels) float32, the mean over subjects; None of no nulls
    """

    r2: np.ndarray
    r: np.ndarray | None = None
    p: np.ndarray | None = None
    nulls: np.ndarray | None = None


class ScoreMaps:
    """Maps of the scores of several mixtures, which are added one after the other.

    Of ``names`` of modalities, all of them first (the order of `mixtures`): only maps are kept, and
    R² of all. ``by_fold`` keeps the maps of each fold, too.
    """

    def __init__(self, names: Sequence[Any], by_fold: bool = False):
        self._names, self._by_fold = list(names), by_fold
        self._maps: dict[str, np.ndarray] = {}
        self._folds: dict[str, np.ndarray] = {}
        self._of_all = np.empty(0)

    def add(self, mixture: tuple, scores: MixtureScores) -> None:
        """Keep the maps of one mixture."""
        if scores.r is not None and scores.p is not None:
            self._keep(map_name(mixture), scores.r.mean(axis=0), scores.r)
            self._maps[f"{map_name(mixture)}_p"] = scores.p
        if len(self._names) < 2:
            return
        if mixture == tuple(self._names):
            self._of_all = scores.r2
            self._keep("r2_all", scores.r2.mean(axis=0), scores.r2)
            return
        for name in self._names:
            if mixture == tuple(n for n in self._names if n != name):
                gain = self._of_all.mean(axis=0) - scores.r2.mean(axis=0)
                self._keep(f"unique_{name}", gain, self._of_all - scores.r2)

    def _keep(self, name: str, values: np.ndarray, of_folds: np.ndarray) -> None:
        self._maps[name] = values.astype(np.float32)
        if self._by_fold:
            self._folds[name] = _mean_over_subjects(of_folds.swapaxes(0, 1)).astype(np.float32)

    def of(self, name: str) -> np.ndarray:
        """One map, (n_subjects, n_voxels) or (n_voxels,)."""
        return self._maps[name]

    def arrays(self) -> dict[str, tuple]:
        """The arrays of `linear_maps`, without nulls."""
        labels = [map_name(m) for m in mixtures(self._names) if has_r(m, self._names)]
        order = sorted(labels, key=lambda label: label == "r_all")
        if len(self._names) > 1:
            order += ["r2_all", *(f"unique_{name}" for name in self._names)]
        found: dict[str, tuple] = {}
        for name in order:
            found[name] = (("subject", "voxel"), self._maps[name])
            if f"{name}_p" in self._maps:
                found[f"{name}_p"] = ("voxel", self._maps[f"{name}_p"])
        return found | {
            f"folds_{n}": (("fold", "voxel"), self._folds[n]) for n in order if n in self._folds
        }


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
    subjects among those of BOLD that is moved in time (`giblet.stats.fold_nulls`). With several
    also ``r2_all`` and ``unique_<modality>``: R² of all minus R² of all the others (subject,
    voxel). ``by_fold`` adds ``folds_<name>`` (fold, voxel) of each of them, the mean over subjects
    in each fold. A modality that never varies in a fold's training TRs adds nothing there, and its
    own r is NaN. ``n_shift_maps``, at most ``n_shifts``: adds ``<name>_nulls`` (null, voxel) of
    each r, the mean over subjects under as many of the moves. Unique variance has none: BOLD that
    is moved no longer follows the other modalities, either.
    """
    names = list(groups[0].bands) if groups and folds else []
    columns, maps = fold_columns(groups, folds), ScoreMaps(names, by_fold)
    nulls = {}
    options = {"n_shifts": n_shifts, "n_iter": n_iter, "seed": seed, "n_shift_maps": n_shift_maps}
    for mixture in mixtures(names):
        scores = mixture_scores(mixture, bold, groups, folds, columns, **options)
        maps.add(mixture, scores)
        if scores.nulls is not None:
            nulls[f"{map_name(mixture)}_nulls"] = (("null", "voxel"), scores.nulls)
    return xr.Dataset(maps.arrays() | nulls)


def fold_columns(groups: Sequence[ClockGroup], folds: Sequence[Fold]) -> list[list[dict]]:
    """Of each fold and group the `band_columns` of each band: name → (n_trs, rank)."""
    return [
        [{n: band_columns(b, fold.train) for n, b in g.bands.items()} for g in groups]
        for fold in folds
    ]


def mixture_scores(
    mixture: tuple,
    bold: np.ndarray,
    groups: Sequence[ClockGroup],
    folds: Sequence[Fold],
    columns: Sequence[Sequence[Mapping]],
    *,
    n_shifts: int = 5000,
    n_iter: int = 20,
    seed: int = 0,
    n_shift_maps: int = 0,
) -> MixtureScores:
    """Scores of ridge from a mixture of bands; r of one band and of all, R² of any.

    ``columns`` of `fold_columns`; the other arguments as of `linear_maps`.
    """
    is_scored = has_r(mixture, list(groups[0].bands))
    tests, n_voxels = [fold.test for fold in folds], bold.shape[2]
    moves = draw_moves(tests, n_shifts, seed) if is_scored else None
    if moves is not None and n_voxels > 1 and n_voxels * len(moves.chosen) > _MOST_VALUES:
        search = {"n_shifts": n_shifts, "n_iter": n_iter, "seed": seed}
        search |= {"n_shift_maps": n_shift_maps}
        halves = np.array_split(bold, 2, axis=2)
        return _joined(
            [mixture_scores(mixture, half, groups, folds, columns, **search) for half in halves]
        )
    r2, own = [], []
    means = np.zeros((0 if moves is None else len(moves.chosen), n_voxels), dtype=np.float32)
    for number, (fold, of_groups) in enumerate(zip(folds, columns, strict=True)):
        used = [n for n in mixture if any(one[n].shape[1] for one in of_groups)]
        chosen = [[one[n] for n in used or mixture] for one in of_groups]
        nulls = None if moves is None else FoldNulls(moves, number, fold.train)
        total = np.zeros_like(means)
        predicted = _moved_fold(chosen, bold, groups, fold, nulls, total, n_iter)
        total /= len(folds)
        means += total
        measured = bold[:, fold.test]
        r2.append([explained(*pair) for pair in zip(predicted, measured, strict=True)])
        own.append([correlation(*pair) for pair in zip(predicted, measured, strict=True)])
    if not is_scored:
        return MixtureScores(np.array(r2))
    p = among_nulls(means[0], means[1:]).p
    few = means[1 : 1 + n_shift_maps].copy() if n_shift_maps else None
    return MixtureScores(np.array(r2), np.array(own), p, few)


_MOST_VALUES = 2**27  # of all nulls of p: .5 GB, and as much for one fold


def _joined(some: Sequence[MixtureScores]) -> MixtureScores:
    """Scores of blocks of voxels, side by side."""

    def together(values: Sequence[Any]) -> Any:
        return None if values[0] is None else np.concatenate(values, axis=-1)

    every = [(one.r2, one.r, one.p, one.nulls) for one in some]
    return MixtureScores(*map(together, zip(*every, strict=True)))


def map_name(mixture: tuple) -> str:
    """Of the correlation: ``r_<modality>`` or ``r_all``."""
    return f"r_{mixture[0] if len(mixture) == 1 else 'all'}"


def has_r(mixture: tuple, names: Sequence[Any]) -> bool:
    """Whether r is computed from a mixture of some of the ``names``: of one alone, and of all."""
    return len(mixture) in (1, len(names))


def mixtures(names: Sequence[Any]) -> list[tuple]:
    """All modalities, each alone, and all but each one.

    >>> mixtures(["a", "b", "c"])
    [('a', 'b', 'c'), ('a',), ('b',), ('c',), ('b', 'c'), ('a', 'c'), ('a', 'b')]
    """
    but_one = [tuple(n for n in names if n != left_out) for left_out in names]
    every = [tuple(names), *((n,) for n in names), *but_one]
    return [m for m in dict.fromkeys(every) if m]


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


def _moved_fold(
    columns: Sequence[list[np.ndarray]],
    bold: np.ndarray,
    groups: Sequence[ClockGroup],
    fold: Fold,
    nulls: FoldNulls | None,
    total: np.ndarray,
    n_iter: int,
) -> np.ndarray:
    """BOLD of the held-out TRs, (n_subjects, n_test, n_voxels); ``total`` becomes r under all moves
    of ``nulls``.

    ``total`` (1 + n_nulls, n_voxels) float32, zeros at first: the mean over the subjects that have
    an r for the true BOLD, NaN where nobody has. Without nulls it is empty.
    """
    n_subjects, n_trs, n_voxels = bold.shape
    predicted = np.full((n_subjects, len(fold.test), n_voxels), np.nan, dtype=np.float32)
    rows, count = np.arange(len(fold.train)), np.zeros(n_voxels, dtype=np.float32)
    for own, group in zip(columns, groups, strict=True):
        together = bold[group.subjects].swapaxes(0, 1).reshape(n_trs, -1)
        finite = np.isfinite(together).all(axis=0)
        together = np.where(finite, together, 0)
        ridge = columns_refit(own, together, fold.train, fold.test, fold.inner, n_iter=n_iter)
        held_out = np.empty((len(fold.test), len(finite)), dtype=np.float32)
        for block in parts(len(finite)):
            seen = together[fold.train, block]
            held_out[:, block] = ridge.predict(block, [(rows, seen)])[0] + seen.mean(axis=0)
        held_out[:, ~finite] = np.nan
        predicted[group.subjects] = held_out.reshape(len(fold.test), -1, n_voxels).swapaxes(0, 1)
        has_r = np.isfinite(correlation(held_out, together[fold.test]))
        for block, r in nulls.blocks(ridge, together) if nulls else ():
            subjects, voxels = np.divmod(np.arange(len(finite))[block], n_voxels)
            for subject in np.unique(subjects):  # its voxels are there once
                of_one = has_r[block] & (subjects == subject)
                total[:, voxels[of_one]] += np.nan_to_num(r[:, of_one])
                count[voxels[of_one]] += 1
    total /= np.where(count > 0, count, np.nan)
    return predicted


def _mean_over_subjects(r: np.ndarray) -> np.ndarray:
    """Along the first axis; NaN where no subject has a value."""
    finite = np.isfinite(r)
    total, n = np.where(finite, r, 0.0).sum(axis=0), finite.sum(axis=0)
    return np.divide(total, n, out=np.full_like(total, np.nan), where=n > 0)
