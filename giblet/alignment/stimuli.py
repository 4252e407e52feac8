"""Runs of many stimuli: the volumes of each stimulus' TRs, its repeats, and parts of whole ones."""

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from functools import partial

import numpy as np
import xarray as xr

from giblet.alignment.pieces import last_by_share, named, spread_by_share
from giblet.alignment.showings import Showing, check_consecutive, run_order
from giblet.alignment.stimulus_folds import (
    check_excerpts,
    fold_stimuli,
    near_in_scan,
    shown_at,
    stimulus_groups,
)
from giblet.brain.stimulus_clock import StimulusClock
from giblet.config.sections import SplitConfig
from giblet.errors import GibletError, nearest_name
from giblet.stats.cross_validation import check_fold
from giblet.timing import trs_for

_ALL_LAST = (
    "stimuli that are held out by share are the last of the table: if they were spread over it, "
    "the gaps around them (splits.gap_seconds) would leave little to train on. If the last are of "
    "another kind, name others (splits.test_stimuli, splits.validation_stimuli)"
)
ONE_RUN = "all runs"  # of people for whom stimuli are in other runs, or in another order


def showing_volumes(
    showings: Sequence[Showing], subjects: Sequence[str], clock: StimulusClock, n_trs: int
) -> tuple[np.ndarray, np.ndarray]:
    """Volumes of each TR in every showing of its stimulus, (n_subjects, n_repeats, n_trs) int, and
    the index of the showing that each is of; -1 where there is none, the rest in their order.

    TRs of silence, and those that a stimulus does not fill, have none, but for its rest up to the
    next onset. Scrubbed volumes neither.
    """
    of_tr, rows = clock.stimulus_of_trs(n_trs, with_rest=True), []
    n_seen = np.zeros((len(subjects), len(clock.names)), dtype=int)
    for number in sorted(range(len(showings)), key=lambda n: run_order(showings[n].run)):
        showing = showings[number]
        check_consecutive(showing.trs, showing.times, clock.t_r)
        s, k = subjects.index(showing.subject), clock.at_second(showing.begin)
        own = (showing.trs >= 0) & (showing.trs < n_trs) & showing.in_film
        own[own] = of_tr[showing.trs[own]] == k
        rows.append((s, n_seen[s, k], showing.trs[own], showing.volumes[own], number))
        n_seen[s, k] += 1
    volumes = np.full((len(subjects), max(1, int(n_seen.max())), n_trs), -1)
    owners = volumes.copy()
    for s, repeat, trs, own, number in rows:
        volumes[s, repeat, trs], owners[s, repeat, trs] = own, number
    order = np.argsort(volumes < 0, axis=1, kind="stable")
    return np.take_along_axis(volumes, order, 1), np.take_along_axis(owners, order, 1)


def first_owners(owners: np.ndarray, clock: StimulusClock) -> np.ndarray:
    """The showing that each TR is first of, (n_subjects, n_trs) int, from ``owners`` alike.

    Silence after a stimulus is of the showing that the stimulus' last TR is of. Where the next
    onset came sooner then than in a later showing, ``owners`` have that later one.
    """
    n_trs = owners.shape[1]
    of_sound = clock.stimulus_of_trs(n_trs)
    of_tr = clock.stimulus_of_trs(n_trs, with_rest=True)
    sounds, rest = np.flatnonzero(of_sound >= 0), (of_tr >= 0) & (of_sound < 0)
    last = np.zeros(len(clock.names), dtype=int)
    np.maximum.at(last, of_sound[sounds], sounds)
    first = owners.copy()
    first[:, rest] = owners[:, last[of_tr[rest]]]
    return first


def stimulus_runs(runs: np.ndarray) -> np.ndarray:
    """Run of each TR (n_trs,) str, of those in which it was first shown (n_subjects, n_trs).

    The first subject's; `ONE_RUN` for all where other people's runs have other stimuli.

    >>> stimulus_runs(np.array([["a", "a", "b"], ["x", "x", "y"]])).tolist()
    ['a', 'a', 'b']
    >>> stimulus_runs(np.array([["a", "a", "b"], ["x", "y", "y"]])).tolist()
    ['all runs', 'all runs', 'all runs']
    """
    together = {tuple(labels) for labels in runs.T.tolist()}
    alike = all(len(together) == len(set(own.tolist())) for own in runs)
    return runs[0] if alike else np.full(runs.shape[1], ONE_RUN)


def split_stimuli(
    scans: xr.Dataset,
    volumes: np.ndarray,
    stimulus: np.ndarray,
    clock: StimulusClock,
    splits: SplitConfig,
    average: bool,
    fold: int | None = None,
    music: np.ndarray | None = None,
    lines: list[str] | None = None,
) -> np.ndarray:
    """The part of each TR (n_trs,) str: train, validation, test or gap. Stimuli are never cut.

    ``volumes`` (n_subjects, n_repeats, n_trs) as of `showing_volumes`; ``stimulus`` (n_trs,) index.
    Test stimuli are those that ``splits`` names, those of the runs that it names, or their share of
    TRs, spread evenly over the table; so are validation stimuli, of the rest. Where gaps then leave
    less than half of the training TRs that they leave beside the last of the table, it is these,
    and ``lines`` get a warning. Excerpts that share seconds are in one part. The gap are training
    TRs that were scanned in one run within ``gap_seconds`` of a held-out stimulus, in anyone, and
    validation TRs that were within them of a test stimulus. With ``fold``, from 1 to
    ``splits.folds``, test stimuli are that part of all, in the order in which the first subject was
    shown them, and recordings of one score (equal ``music``, as of `stimulus_groups`) are in one
    part.

    Raises
    ------
    GibletError
        A name fits no stimulus or run; a test stimulus, or seconds of it, also train, or
        validate; nothing is left to train on, or to validate.
    """
    arguments = (scans, volumes, stimulus, clock, splits, average, fold, music)
    parts = _parts(*arguments, spread_by_share)
    if splits.gap_seconds:
        last = _parts(*arguments, last_by_share)
        if 2 * _n_usable(parts) < _n_usable(last):
            parts = last
            if lines is not None:
                lines.append(_ALL_LAST)
    counts = {part: int((parts == part).sum()) for part in ("test", "validation", "train", "gap")}
    if min(counts["test"], counts["validation"]) < 1 or counts["train"] < 2:
        raise GibletError(
            f"too few TRs of stimuli: {counts['test']} to test, {counts['validation']} to validate "
            f"and a gap of {counts['gap']} (splits.gap_seconds, within a run) leave "
            f"{counts['train']} to train on. Name other stimuli or runs in splits, or a smaller gap"
        )
    return parts


def _n_usable(parts: np.ndarray) -> int:
    """Training TRs of ``parts`` (n_trs,); 0 where nothing is left to validate."""
    return int((parts == "train").sum()) * bool((parts == "validation").any())


def _parts(
    scans: xr.Dataset,
    volumes: np.ndarray,
    stimulus: np.ndarray,
    clock: StimulusClock,
    splits: SplitConfig,
    average: bool,
    fold: int | None,
    music: np.ndarray | None,
    choose: Callable[[np.ndarray, np.ndarray, float], np.ndarray],
) -> np.ndarray:
    """The part of each TR (n_trs,) str as of `split_stimuli`.

    ``choose`` makes a share of groups of stimuli: (group of TRs (n_trs,), groups, share) → groups.
    """
    present = np.unique(stimulus)

    def by_share(among: np.ndarray, share: float) -> np.ndarray:
        own = stimulus[np.isin(stimulus, among)]
        groups = stimulus_groups(own, own, clock)  # in the order of the table
        number = np.full(len(clock.names), -1)
        for n, group in enumerate(groups):
            number[group] = n
        labels = number[stimulus]
        chosen = choose(labels[labels >= 0], np.arange(len(groups)), share)
        return among[np.isin(number[among], chosen)]

    if fold is None:
        test = _held_out(scans, clock, splits.test_stimuli, splits.test_runs, "test")
        kept = splits.validation_stimuli, splits.validation_runs
        held = _held_out(scans, clock, *kept, "validation")
    else:
        check_fold(fold, splits.folds)
        groups = stimulus_groups(shown_at(scans, volumes), stimulus, clock, music)
        test = fold_stimuli(groups, splits.folds)[fold - 1]
        held = None
    test = by_share(present, splits.test) if test is None else test
    rest = present[~np.isin(present, test)]
    held = by_share(rest, splits.validation) if held is None and len(rest) else held
    held = rest if held is None else held
    both = [clock.names[k] for k in np.intersect1d(test, held)]
    if both:
        raise GibletError(f"splits: stimulus {both[0]} is to test and to validate: choose one")
    check_excerpts(clock, test, rest, "test")
    check_excerpts(clock, held, np.setdiff1d(rest, held), "validation")
    of_part = {"test": np.isin(stimulus, test), "validation": np.isin(stimulus, held)}
    train = ~of_part["test"] & ~of_part["validation"]
    gap_trs = trs_for(splits.gap_seconds, clock.t_r)
    close = partial(near_in_scan, scans, volumes, gap_trs=gap_trs, average=average)
    gap = (train & close(~train)) | (of_part["validation"] & close(of_part["test"]))
    chosen = [of_part["test"], gap, of_part["validation"]]
    return np.select(chosen, ["test", "gap", "validation"], "train")


def _held_out(scans, clock: StimulusClock, names, runs, part: str) -> np.ndarray | None:
    """Indices of the stimuli that are named, or presented in the named runs; None of neither."""
    if names:
        return named(names, clock.names, f"splits.{part}_stimuli", "stimulus")
    if not runs:
        return None
    existing = np.unique(scans["event_run"].values.astype(str)).tolist()
    chosen = []
    for pattern in runs:
        fit = [run for run in existing if run == pattern or fnmatchcase(run, pattern)]
        if not fit:
            advice = nearest_name(pattern, existing)
            raise GibletError(f"splits.{part}_runs: no run {pattern} in the scan{advice}")
        chosen += fit
    inside = np.isin(scans["event_run"].values.astype(str), chosen)
    of_event = scans["event_stimulus"].values
    both = np.intersect1d(of_event[inside], of_event[~inside])
    if len(both):
        where = scans["event_run"].values[~inside & (of_event == both[0])][0]
        raise GibletError(
            f"splits.{part}_runs: stimulus {clock.names[both[0]]} of these runs is in {where}, "
            f"too, and would train: name stimuli instead (splits.{part}_stimuli)"
        )
    return np.unique(of_event[inside])
