"""Film and scan on one clock: crop by timestamps, never stretch."""

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from giblet.errors import GibletError
from giblet.timing import offset_in_tr, volumes_to_trs


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
    odd = np.diff(trs[inside]) != 1
    if odd.any():
        at = film_time[inside][:-1][odd][0]
        raise GibletError(
            f"volumes do not follow each other by t_r = {t_r} s: see film time {at:.2f} s. "
            "Check RepetitionTime and dropped volumes"
        )
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
    runs = []
    for run in scans.runs:
        times, inside = move_run(run.film_time, run.in_film, run.t_r, lag_seconds)
        if not inside.any():
            raise GibletError(
                f"scan.lag_seconds {lag_seconds:g} moves all of {run.path.name} out of the film"
            )
        runs.append(replace(run, film_time=times, in_film=inside))
    return replace(scans, runs=runs)


def move_run(
    film_time: np.ndarray, in_film: np.ndarray, t_r: float, lag_seconds: float
) -> tuple[np.ndarray, np.ndarray]:
    """``film_time`` (n_volumes,) minus the lag, and a mask of the volumes that are then in the
    film.

    >>> times, inside = np.array([-0.5, 1.5, 3.5, 5.5]), np.array([False, True, True, False])
    >>> move_run(times, inside, t_r=2.0, lag_seconds=2.0)[1].tolist()
    [False, False, True, True]
    """
    if not lag_seconds:
        return film_time, in_film
    shown, moved = volumes_to_trs(film_time[in_film], t_r), film_time - lag_seconds
    trs = volumes_to_trs(moved, t_r)
    return moved, (trs >= shown.min()) & (trs <= shown.max())


@dataclass(frozen=True)
class Match:
    """The volume of each subject's scan that belongs to each TR of the film.

    trs : (n_kept,) TRs of the film that every subject was scanned in
    runs : (n_kept,) str, the run in which it was
    volumes : (n_subjects, n_kept) indices along ``volume`` of the scans
    offset : s into its TR at which a volume is taken
    """

    subjects: list[str]
    trs: np.ndarray
    runs: np.ndarray
    volumes: np.ndarray
    offset: float


def match_scans(scans: xr.Dataset, t_r: float, n_trs: int) -> Match:
    """Match all runs of all subjects (see ``giblet.brain.bold.load_bids``) with the film's TRs.

    Raises
    ------
    GibletError
        Another TR than the scan's; subjects who saw the same TR in different runs; a TR seen
        twice; nothing in common.
    """
    if abs(scans.attrs["t_r"] - t_r) > 1e-4:
        raise GibletError(
            f"t_r is {t_r} s in the config, but the scan's RepetitionTime is "
            f"{scans.attrs['t_r']:g} s: set t_r: {scans.attrs['t_r']:g}"
        )
    subject, run = scans["subject"].values.astype(str), scans["run"].values.astype(str)
    film_time = scans["film_time"].values
    subjects = sorted(set(subject))
    volumes = np.full((len(subjects), n_trs), -1)
    runs = np.full((len(subjects), n_trs), "", dtype=object)
    for s, name in enumerate(subjects):
        for label in sorted(set(run[subject == name])):
            here = np.flatnonzero((subject == name) & (run == label) & scans["in_film"].values)
            matched = match_volumes(film_time[here], t_r, n_trs)
            seen = matched >= 0
            if (volumes[s, seen] >= 0).any():
                raise GibletError(f"sub-{name} saw the same seconds of the film in two runs")
            volumes[s, seen], runs[s, seen] = here[matched[seen]], label
    kept = np.flatnonzero((volumes >= 0).all(axis=0))
    if not len(kept):
        raise GibletError("no TR of the film was scanned in every subject: check the events tables")
    if (runs[:, kept] != runs[0, kept]).any():
        raise GibletError("subjects saw the same TR in different runs; rename the runs alike")
    offset = offset_in_tr(film_time[volumes[:, kept]].ravel(), t_r)
    return Match(subjects, kept, runs[0, kept].astype(str), volumes[:, kept], offset)
