"""Runs of many stimuli: the volumes of each stimulus' TRs, its repeats, and parts of whole ones."""

import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from functools import partial

import numpy as np
import xarray as xr

from giblet.alignment.pieces import last_by_share, named, spread_by_share
from giblet.alignment.showings import Showing, check_consecutive, run_volumes
from giblet.brain.stimulus_clock import StimulusClock
from giblet.config.sections import SplitConfig
from giblet.errors import GibletError, nearest_name
from giblet.stats.cross_validation import check_fold, near, run_labels
from giblet.timing import trs_for

_SHOWN = 3  # names in a line
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


def run_order(run: str) -> list[tuple[str, int]]:
    """A key that sorts runs as they were numbered.

    >>> sorted(["run-10", "run-2"], key=run_order)
    ['run-2', 'run-10']
    """
    return [(text, int(number or 0)) for text, number in re.findall(r"(\D*)(\d*)", run)]


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
    lines: list[str] | None = None,
) -> np.ndarray:
    """The part of each TR (n_trs,) str: train, validation, test or gap. Stimuli are never cut.

    ``volumes`` (n_subjects, n_repeats, n_trs) as of `showing_volumes`; ``stimulus`` (n_trs,) index.
    Test stimuli are those that ``splits`` names, those of the runs that it names, or their share of
    TRs, spread evenly over the table; so are validation stimuli, of the rest. Where gaps then leave
    less than half of the training TRs that they leave beside the last of the table, it is these,
    and ``lines`` get a warning. Excerpts that share seconds are in one part. The gap are training
    TRs that were
    scanned in one run within ``gap_seconds`` of a held-out stimulus, in anyone, and validation TRs
    that were within them of a test stimulus. With ``fold``,
    from 1 to ``splits.folds``, test stimuli are that part of all, in the order in which the first
    subject was shown them.

    Raises
    ------
    GibletError
        A name fits no stimulus or run; a test stimulus, or seconds of it, also train, or
        validate; nothing is left to train on, or to validate.
    """
    arguments = (scans, volumes, stimulus, clock, splits, average, fold)
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
    choose: Callable[[np.ndarray, np.ndarray, float], np.ndarray],
) -> np.ndarray:
    """The part of each TR (n_trs,) str as of `split_stimuli`.

    ``choose`` makes a share of groups of stimuli: (group of TRs (n_trs,), groups, share) → groups.
    """
    present = np.unique(stimulus)

    def by_share(among: np.ndarray, share: float) -> np.ndarray:
        groups = _groups(among, clock)
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
        order = _as_shown(shown_at(scans, volumes), stimulus, present)
        test = _fold_stimuli(order, clock, splits.folds)[fold - 1]
        held = None
    test = by_share(present, splits.test) if test is None else test
    rest = present[~np.isin(present, test)]
    held = by_share(rest, splits.validation) if held is None and len(rest) else held
    held = rest if held is None else held
    both = [clock.names[k] for k in np.intersect1d(test, held)]
    if both:
        raise GibletError(f"splits: stimulus {both[0]} is to test and to validate: choose one")
    _check_excerpts(clock, test, rest, "test")
    _check_excerpts(clock, held, np.setdiff1d(rest, held), "validation")
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


def _check_excerpts(clock: StimulusClock, held: np.ndarray, others: np.ndarray, part: str) -> None:
    """GibletError where one of ``held``, a ``part``, and one of ``others`` share file seconds."""
    of_file: dict[str, list[int]] = {}
    for k in others:
        of_file.setdefault(clock.files[k], []).append(k)
    for k in held:
        for j in of_file.get(clock.files[k], []):
            if _share_seconds(clock, k, j):
                raise GibletError(
                    f"{part} stimulus {clock.names[k]} also trains, in {clock.names[j]}: both are "
                    f"of {clock.files[k]}, and overlap. Name both (splits.{part}_stimuli), or "
                    "neither"
                )


def same_music_warnings(
    stimulus: np.ndarray, part: np.ndarray, names: Sequence[str], music: np.ndarray | None
) -> list[str]:
    """A line where test stimuli are of music that also trains, in another recording.

    ``stimulus`` (n_trs,) index, ``part`` (n_trs,) str, ``music`` (n_stimuli,) int, equal for those
    of one score; None where that is not known.

    >>> of_trs, parts = np.array([0, 1, 2]), np.array(["train", "train", "test"])
    >>> same_music_warnings(of_trs, parts, ["a", "b", "c"], np.array([0, 1, 0]))[0][:60]
    '1 test stimuli have the score of stimuli that train: c (of a'
    """
    if music is None:
        return []
    trained = {int(music[k]): names[k] for k in np.unique(stimulus[part == "train"])[::-1]}
    both = [
        f"{names[k]} (of {trained[int(music[k])]})"
        for k in np.unique(stimulus[part == "test"])
        if int(music[k]) in trained
    ]
    if not both:
        return []
    more = f" and {len(both) - _SHOWN} more" * (len(both) > _SHOWN)
    return [
        f"{len(both)} test stimuli have the score of stimuli that train: "
        f"{', '.join(both[:_SHOWN])}{more}; name both in splits.test_stimuli, or neither"
    ]


def _fold_stimuli(order: np.ndarray, clock: StimulusClock, n_folds: int) -> list[np.ndarray]:
    """``order`` (n_stimuli,) in ``n_folds`` parts; excerpts that share seconds are in one part.

    GibletError where there are fewer stimuli, or groups of such excerpts, than folds.
    """
    groups = _groups(order, clock)
    if len(groups) < n_folds:
        raise GibletError(f"{n_folds} folds of {len(groups)} stimuli that share no seconds")
    parts = np.array_split(np.arange(len(groups)), n_folds)
    return [np.sort([k for n in part for k in groups[n]]) for part in parts]


def _groups(order: np.ndarray, clock: StimulusClock) -> list[list[int]]:
    """Stimuli in their ``order``; excerpts that share seconds are together, where the last is."""
    rank = {k: n for n, k in enumerate(order.tolist())}
    groups: list[list[int]] = []
    file, end = "", 0.0
    for k in sorted(rank, key=lambda k: (clock.files[k], clock.starts[k])):
        if clock.files[k] != file or clock.starts[k] >= end:
            groups.append([])
            file, end = clock.files[k], 0.0
        groups[-1].append(k)
        end = max(end, float(clock.starts[k] + clock.durations[k]))
    return sorted(groups, key=lambda group: max(rank[k] for k in group))


def shown_at(scans: xr.Dataset, volumes: np.ndarray) -> np.ndarray:
    """Rank (n_trs,) int of each TR's first volume among all, as the first subject was scanned.

    Runs are in the order of their numbers, whatever that of their files. ``volumes`` as of
    `showing_volumes`.
    """
    of_runs = run_volumes(scans)
    order = sorted(of_runs, key=lambda one: (one[0], run_order(one[1])))
    ranks = np.empty(scans.sizes["volume"], dtype=int)
    ranks[np.concatenate([of_runs[one] for one in order])] = np.arange(len(ranks))
    return ranks[volumes[0, 0]]


def _as_shown(shown: np.ndarray, stimulus: np.ndarray, present: np.ndarray) -> np.ndarray:
    """The stimuli ``present``, by the first ``shown`` (n_trs,) rank of each."""
    first = np.full(int(present.max()) + 1, len(shown) + int(shown.max()))
    np.minimum.at(first, stimulus, shown)
    return present[np.argsort(first[present], kind="stable")]


_N_FOLDS = 5  # of stimuli that are all in one run


def stimulus_folds(
    shown: np.ndarray,
    stimulus: np.ndarray,
    runs: np.ndarray,
    clock: StimulusClock,
    among: np.ndarray,
    n_folds: int = 1,
) -> np.ndarray:
    """The fold in which each of the TRs ``among`` (indices) is tested: (n_trs,) int.

    Stimuli are never cut, and excerpts that share seconds are in one fold. Folds are whole runs
    where that is so in them: each run, or ``n_folds`` parts of several. Else they are
    ``n_folds`` parts of the stimuli in the order in which the first subject was shown them; with
    ``n_folds`` 1 five, or as many as there are.

    ``shown`` (n_trs,) as of `shown_at`, ``stimulus`` (n_trs,) indices, ``runs`` (n_trs,) str.

    Raises GibletError where stimuli are fewer than folds, or than two.
    """
    own, labels = stimulus[among], np.zeros(len(stimulus), dtype=int)
    order = _as_shown(shown[among], own, np.unique(own))
    groups = _groups(order, clock)
    n_runs = len(np.unique(runs[among]))
    if 1 < n_runs >= n_folds:
        labels[among] = run_labels(runs[among], n_folds)
        of_group = [np.unique(labels[among][np.isin(own, group)]) for group in groups]
        n_labels = len(np.unique(labels[among]))
        if n_labels >= max(2, n_folds) and all(len(found) == 1 for found in of_group):
            return labels
    n_parts = min(_N_FOLDS, max(2, len(groups))) if n_folds == 1 else n_folds
    for fold, part in enumerate(_fold_stimuli(order, clock, n_parts)):
        labels[among[np.isin(own, part)]] = fold
    return labels


def _share_seconds(clock: StimulusClock, one: int, other: int) -> bool:
    """Whether two stimuli have seconds of one file in common."""
    first, second = sorted((one, other), key=lambda k: clock.starts[k])
    ends = clock.starts[first] + clock.durations[first]
    return clock.files[one] == clock.files[other] and clock.starts[second] < ends


def near_in_scan(
    scans: xr.Dataset, volumes: np.ndarray, held: np.ndarray, *, gap_trs: int, average: bool
) -> np.ndarray:
    """TRs (n_trs,) bool that were scanned ``gap_trs`` or fewer from those that are ``held``.

    In one run, in any subject; so are those that are held. ``volumes`` as of `showing_volumes`, of
    these TRs; with ``average`` every showing of a training TR counts, else the first.
    """
    is_held = np.zeros(scans.sizes["volume"] + 1, dtype=bool)  # the last is of none: index -1
    is_held[volumes[..., held]] = True
    close = np.zeros_like(is_held)
    for here in run_volumes(scans).values():
        close[here] = near(is_held[here], gap_trs)
    used = volumes if average else volumes[:, :1]
    return close[used].any(axis=(0, 1))
