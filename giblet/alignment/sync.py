"""Film and scan on one clock: crop by timestamps, never stretch."""

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
import xarray as xr

from giblet.alignment.showings import (
    check_consecutive,
    clock_of,
    find_showings,
    spread_warnings,
    unbroken,
)
from giblet.alignment.stimuli import first_owners, showing_volumes, stimulus_runs
from giblet.alignment.stimulus_warnings import carry_over_warnings, stimulus_warnings
from giblet.brain.stimulus_clock import StimulusClock
from giblet.errors import GibletError
from giblet.timing import TOLERANCE, tr_onsets, volumes_to_trs

_JITTER = 0.1  # s: rows of events that are this far from following each other, as logged
_BRIEF = 10  # TRs: people in different runs for less than this are at the end of a run


def match_volumes(film_time: np.ndarray, t_r: float, n_trs: int) -> np.ndarray:
    """The volume taken in each TR of the film, shape (n_trs,) int; -1 where there is none.

    Parameters
    ----------
    film_time : (n_volumes,) s
        Acquisition times of one run on the film's clock.

    Raises
    ------
    GibletError
        Two volumes fall into one TR, or a TR between others has none: the timestamps and
        ``t_r`` disagree.

    >>> match_volumes(np.array([-0.75, 0.75, 2.25]), t_r=1.5, n_trs=4).tolist()
    [1, 2, -1, -1]
    """
    trs = volumes_to_trs(film_time, t_r)
    inside = (trs >= 0) & (trs < n_trs)
    check_consecutive(trs[inside], film_time[inside], t_r)
    volumes = np.full(n_trs, -1)
    volumes[trs[inside]] = np.flatnonzero(inside)
    return volumes


def move_scans(scans, lag_seconds: float):
    """Scans (``giblet.brain.screening.Scans``) whose volumes were taken ``lag_seconds`` s earlier.

    Corrects scans that are late by as much. The runs still cover the same TRs of the film, so
    other volumes than before may be in it.

    Raises
    ------
    GibletError
        No volume of some run is left in the film.
    """
    return replace(scans, runs=move_runs(scans.runs, lag_seconds))


def move_runs(runs: list, lag_seconds: float) -> list:
    """``runs`` (``giblet.brain.runs.BoldRun``) moved as by `move_scans`, which says what it raises.

    Scrubbed volumes stay out of the film.
    """
    moved = []
    for run in runs:
        times, inside, starts = move_run(
            run.film_time, run.in_film, run.film_start, run.t_r, lag_seconds
        )
        presented = run.presented
        if presented is not None and lag_seconds:
            presented = replace(presented, scan_time=presented.scan_time - lag_seconds)
            times, inside, starts = presented.film_times()
        if not (inside if run.kept is None else inside & run.kept).any():
            raise GibletError(
                f"scan.lag_seconds {lag_seconds:g} moves all of {run.path.name} out of the film"
            )
        moved.append(
            replace(run, film_time=times, in_film=inside, film_start=starts, presented=presented)
        )
    return moved


def move_run(
    film_time: np.ndarray,
    in_film: np.ndarray,
    film_start: np.ndarray,
    t_r: float,
    lag_seconds: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``film_time`` minus the lag, the volumes that are then in the film, and ``film_start`` of
    each; all (n_volumes,).

    Each part in which the film ran on (`giblet.alignment.showings.unbroken`), in one row of events
    or in several, still shows the same TRs and begins at the same second.

    >>> times, inside = np.array([-0.5, 1.5, 3.5, 5.5]), np.array([False, True, True, False])
    >>> move_run(times, inside, np.zeros(4), t_r=2.0, lag_seconds=2.0)[1].tolist()
    [False, False, True, True]
    """
    if not lag_seconds:
        return film_time, in_film, film_start
    moved, inside, starts = film_time - lag_seconds, np.zeros_like(in_film), film_start.copy()
    before, after = volumes_to_trs(film_time, t_r), volumes_to_trs(moved, t_r)
    for here in unbroken(film_time, in_film, film_start, t_r, jump=_JITTER):
        shown = before[here][in_film[here]]
        if not len(shown):
            continue
        inside[here] = (after[here] >= shown.min()) & (after[here] <= shown.max())
        first = film_start[here[0]]
        later = film_start[here] != first  # rows within the showing move with their volumes
        starts[here] = np.where(later, np.maximum(film_start[here] - lag_seconds, first), first)
    return moved, inside, starts


@dataclass(frozen=True)
class Match:
    """The volume of each subject's scan that belongs to each TR of the film.

    trs : (n_kept,) TRs of the film that every subject was scanned in
    runs : (n_kept,) str, the run in which it was: the first subject's label. Where another
        subject's run ends within it, its parts are numbered
    volumes : (n_subjects, n_kept) indices along ``volume`` of the scans
    offset : s into its TR at which a volume is taken, the median of all; below 0 before it
    showings : (n_kept,) int, another number where any subject's showing is another one
    warnings : what was left out, and clocks that differ
    stimulus : (n_kept,) int, of many stimuli the index of the one that each TR is of, or whose
        rest it is
    repeats : (n_subjects, n_repeats, n_kept) indices, of many stimuli those in each of its
        showings; -1 where there are no more
    is_mean : whether BOLD and regressors are the means over repeats
    volume_runs : (n_volumes,) str, of many stimuli the run of each volume of the scans
    scanned : (n_subjects, n_trs) bool, of one film the TRs in which each subject was scanned
    """

    subjects: list[str]
    trs: np.ndarray
    runs: np.ndarray
    volumes: np.ndarray
    offset: float
    showings: np.ndarray
    warnings: list[str] = field(default_factory=list)
    stimulus: np.ndarray | None = None
    repeats: np.ndarray | None = None
    is_mean: bool = False
    volume_runs: np.ndarray | None = None
    scanned: np.ndarray | None = None

    def take(self, values: np.ndarray) -> np.ndarray:
        """``values`` (n_volumes, ...) of each TR: (n_subjects, n_kept, ...), or their means."""
        if self.repeats is None or not self.is_mean:
            return values[self.volumes]
        total = np.zeros((*self.volumes.shape, *values.shape[1:]), dtype=values.dtype)
        for repeat in np.moveaxis(self.repeats, 1, 0):
            total[repeat >= 0] += values[repeat[repeat >= 0]]
        n = (self.repeats >= 0).sum(axis=1).reshape(*self.volumes.shape, *[1] * (values.ndim - 1))
        return total / n.astype(values.dtype)


def check_scan_t_r(of_scan: float, t_r: float) -> None:
    """GibletError unless the scan's TR (s) is the config's ``t_r``.

    >>> check_scan_t_r(1.5, 1.5)
    """
    if abs(of_scan - t_r) > 1e-4:
        raise GibletError(
            f"t_r is {t_r} s in the config, but the scan's RepetitionTime is {of_scan:g} s: "
            f"set t_r: {of_scan:g}"
        )


def match_scans(scans: xr.Dataset, t_r: float, n_trs: int) -> Match:
    """Match all runs of all subjects (see ``giblet.brain.bold.load_bids``) with the film's TRs.

    Showings and the TRs of their volumes are those of `giblet.alignment.showings.find_showings`.
    Scrubbed volumes are in no TR. Where one showing ends in the TR in which another begins, the
    volume is kept that is nearer to the moment of the TR that all showings share (the earlier
    showing's of two as near). Stimuli may be shown again, in one run or several: with the scans'
    attribute ``average_repeats`` their mean is used. Of seconds of a film that one run shows twice,
    the first showing is kept, with a warning. TRs around the end of a run at which some people are
    briefly in one run and others in the next are left out, with a warning.

    Raises
    ------
    GibletError
        Another TR than the scan's; volumes that do not follow each other; seconds of film in two
        runs of a subject; nothing in common.
    """
    check_scan_t_r(scans.attrs["t_r"], t_r)
    showings, moment = find_showings(scans, t_r)
    subjects = sorted({str(name) for name in scans["subject"].values})
    if (clock := StimulusClock.of_scans(scans)) is not None:
        return _match_stimuli(scans, showings, subjects, clock, n_trs)
    warnings = spread_warnings(showings, moment, t_r)
    volumes = np.full((len(subjects), n_trs), -1)
    owners = np.full((len(subjects), n_trs), -1)  # which showing each is of
    for number, showing in enumerate(showings):
        check_consecutive(showing.trs, showing.times, t_r)
        s = subjects.index(showing.subject)
        used = (showing.trs >= 0) & (showing.trs < n_trs)
        trs, ours = showing.trs[used], np.where(showing.in_film, showing.volumes, -1)[used]
        for other in np.unique(owners[s, trs][owners[s, trs] >= 0]):
            shared = owners[s, trs] == other
            if shared.sum() > 1:
                warnings.append(_seen_twice(showings[other], showing, trs[shared], t_r))
                is_nearer = False
            else:
                nearer = abs(showing.deviation) < abs(showings[other].deviation) - TOLERANCE
                is_scrubbed = (volumes[s, trs[shared]] < 0).all()
                is_nearer = (ours[shared] >= 0).all() and (nearer or is_scrubbed)
            if not is_nearer:
                trs, ours = trs[~shared], ours[~shared]
        volumes[s, trs], owners[s, trs] = ours, number
    kept = np.flatnonzero((volumes >= 0).all(axis=0))
    if not len(kept):
        raise GibletError("no TR of the film was scanned in every subject: check the events tables")
    runs = np.array([showing.run for showing in showings])[owners[:, kept]]
    if (brief := _in_different_runs(runs)).any():
        warnings.append(
            f"{brief.sum()} TRs left out where runs meet: some people were already in the next run"
        )
        kept, runs = kept[~brief], runs[:, ~brief]
    owners = owners[:, kept]
    changed = (np.diff(owners, axis=1) != 0).any(axis=0)
    onsets = tr_onsets(n_trs + 1, t_r)
    times = scans["film_time"].values[volumes[:, kept]] - onsets[kept]
    return Match(
        subjects,
        kept,
        _run_labels(runs, onsets[kept], onsets[kept + 1]),
        volumes[:, kept],
        float(np.median(times)),
        np.concatenate([[0], np.cumsum(changed)]),
        warnings,
        scanned=volumes >= 0,
    )


def _match_stimuli(
    scans: xr.Dataset, showings: list, subjects: list[str], clock: StimulusClock, n_trs: int
) -> Match:
    """`match_scans` of runs that present many stimuli."""
    repeats, owners = showing_volumes(showings, subjects, clock, n_trs)
    is_mean = bool(scans.attrs.get("average_repeats", False))
    first = first_owners(owners[:, 0], clock)
    of_another = (first != owners[:, 0]).any(axis=0) & ~is_mean
    kept = np.flatnonzero(((repeats[:, 0] >= 0) & (first >= 0)).all(axis=0) & ~of_another)
    if not len(kept):
        raise GibletError(
            "no TR of a stimulus was scanned in every subject: check the events tables"
        )
    volumes = repeats[:, 0, kept]
    stimulus = clock.stimulus_of_trs(n_trs, with_rest=True)[kept]
    runs = np.array([showing.run for showing in showings])[first[:, kept]]
    times = scans["film_time"].values[volumes] - tr_onsets(n_trs, clock.t_r)[kept]
    return Match(
        subjects,
        kept,
        stimulus_runs(runs),
        volumes,
        float(np.median(times)),
        stimulus,
        stimulus_warnings(repeats, is_mean, showings, clock) + carry_over_warnings(scans),
        stimulus,
        repeats[:, :, kept],
        is_mean,
        scans["run"].values.astype(str),
    )


def _seen_twice(first, second, trs: np.ndarray, t_r: float) -> str:
    """A warning of ``trs`` that one run shows twice. GibletError for two runs."""
    edges = tr_onsets(int(trs.max()) + 2, t_r)
    which = f"{edges[trs.min()]:.1f} to {edges[-1]:.1f} s ({edges[len(trs)]:.1f} s)"
    if first.run == second.run:
        return (
            f"{second.label} shows the film's {which} twice; the second time is left out. To use "
            "it instead, shorten the duration of the first event"
        )
    raise GibletError(
        f"{first.subject} saw the same seconds of the film in two runs: {which}, in {first.run} "
        f"and in {second.run}. Give each run's stim_onset, the second of the film at which it "
        "begins, as a column of its events or of the table of runs; where it was shown twice, "
        "shorten the duration of the first, or begin the second later (onset and stim_onset)"
    )


def _in_different_runs(runs: np.ndarray) -> np.ndarray:
    """TRs (n_trs,) bool at which people are only briefly in these runs, of (n_subjects, n_trs).

    Combinations of runs that last less than `_BRIEF` TRs, the shortest first. One stays if it is
    all that is left of some run.

    >>> runs = np.array([["a"] * 12 + ["b"] * 11, ["x"] * 11 + ["y"] * 12])
    >>> np.flatnonzero(_in_different_runs(runs)).tolist()
    [11]
    """
    together, number, counts = np.unique(runs, axis=1, return_inverse=True, return_counts=True)
    left = np.ones(len(counts), dtype=bool)
    for n in np.argsort(counts, kind="stable")[: (counts < _BRIEF).sum()]:
        others = left & (np.arange(len(counts)) != n)
        left[n] = not (together[:, others] == together[:, [n]]).any(axis=1).all()
    return ~left[number.ravel()]


def _run_labels(runs: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """A label for each TR (n_trs,): equal where no subject's run differs, of (n_subjects, n_trs).

    The first subject's. Where another's run ends within that, each part has the seconds of film
    that it lies in; ``begins`` and ``ends`` (n_trs,) s are those of each TR.

    >>> begins, ends = np.arange(3) * 1.5, np.arange(1, 4) * 1.5
    >>> _run_labels(np.array([["a", "a", "b"], ["x", "x", "y"]]), begins, ends).tolist()
    ['a', 'a', 'b']
    >>> _run_labels(np.array([["a", "a", "b"], ["x", "y", "y"]]), begins, ends).tolist()
    ['a (0-1.5 s)', 'a (1.5-3 s)', 'b']
    """
    together = list(map(tuple, runs.T.tolist()))
    last = {labels: n for n, labels in enumerate(together)}
    of_first = Counter(labels[0] for labels in last)
    names: dict[tuple, str] = {}
    for n, labels in enumerate(together):
        seconds = f" ({begins[n]:.5g}-{ends[last[labels]]:.5g} s)"
        names.setdefault(labels, labels[0] + seconds * (of_first[labels[0]] > 1))
    return np.array([names[labels] for labels in together])


def unscanned_warnings(match: Match, n_trs: int) -> list[str]:
    """A warning where some of the film's ``n_trs`` TRs are left out; see `missed_warnings`."""
    n_lost = n_trs - len(match.trs) if match.stimulus is None else 0  # stimuli have own warnings
    trs = "1 TR of the film was" if n_lost == 1 else f"{n_lost} TRs of the film were"
    return [f"{trs} not scanned in everyone"] * (n_lost > 0) + missed_warnings(match)


def missed_warnings(match: Match) -> list[str]:
    """A warning of subjects that lack many TRs of the film in which half of all were scanned."""
    if match.scanned is None:
        return []
    usual = 2 * match.scanned.sum(axis=0) >= len(match.subjects)
    n_missed = (usual & ~match.scanned).sum(axis=1)
    worst = [i for i in np.argsort(-n_missed, kind="stable")[:_MOST_NAMED] if n_missed[i] >= _MANY]
    if not worst:
        return []
    named = ", ".join(f"{match.subjects[i]} ({n_missed[i]})" for i in worst)
    return [
        f"TRs of the film that others were scanned in are missing in {named}: they are left out "
        "for everyone. Look for a run that is missing or misnamed, or leave the subject out "
        "(scan.exclude_subjects)"
    ]


_MANY, _MOST_NAMED = 10, 3


def match_runs(runs: list, t_r: float, n_trs: int) -> Match:
    """`match_scans` of runs whose BOLD is not read yet.

    ``runs`` as ``giblet.brain.bids.read_runs`` gives them. Raises GibletError as it does.
    """
    return match_scans(clock_of(runs, runs[0].t_r), t_r, n_trs)
