"""Showings of the film: the unbroken parts in which each run of each subject showed it."""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from giblet.brain.runs import presented_coordinates, volumes_table
from giblet.errors import GibletError
from giblet.timing import (
    TOLERANCE,
    nearest_trs,
    offset_in_tr,
    share_of_tr,
    signed_difference,
    tr_middle,
    tr_onsets,
    volumes_to_trs,
)

_RUNS_ON = 1e-3  # s: a film that jumps by less from one event to the next runs on
MOST_SPREAD = 0.1  # of a TR: showings whose volumes are further from the others' give a warning


@dataclass(frozen=True)
class Showing:
    """One unbroken part of one run: the film ran on and was seen, and volumes were taken every TR.

    begin : s of film at which it began, where the scans have that; else its first volume's time
    volumes : indices along ``volume`` of the scans, first to last while it was on
    in_film : (n_volumes,) bool, False for those that were scrubbed
    times : (n_volumes,) s of film
    trs : (n_volumes,) int, TRs of the film by the moment in the TR that all showings share
    deviation : s by which its volumes are later in their TRs than that moment
    """

    subject: str
    run: str
    begin: float
    volumes: np.ndarray
    in_film: np.ndarray
    times: np.ndarray
    trs: np.ndarray
    deviation: float

    @property
    def label(self) -> str:
        """Subject and run."""
        return f"{self.subject} {self.run}"


def find_showings(scans: xr.Dataset, t_r: float) -> tuple[list[Showing], float]:
    """Every showing, by subject and run and as they were shown, and the shared moment (s).

    ``scans`` have ``subject``, ``run``, ``film_time``, ``in_film`` along ``volume`` and, of newer
    files, ``film_start`` and ``scrubbed``. A pause, a leap, a repetition or a blank within a run
    begins another showing. Scrubbed volumes belong to it: the film was on.
    Volumes of all showings are taken at about one moment of the TR, the median of theirs on the
    circle of a TR. A volume belongs to the TR whose such moment is nearest: onsets some
    milliseconds before and after an edge do not come a TR apart. Of stimuli whose onsets are at any
    moment between two volumes it is the middle of the TR: every TR of each then has its volume.
    """
    parts = _parts(scans, t_r)
    offsets = [offset_in_tr(times, t_r) for *_, times in parts]
    moment = offset_in_tr(np.array(offsets), t_r) if offsets else 0.0
    if "stimulus" in scans.coords:
        moment = _stimulus_moment(offsets, moment, t_r)
    showings = []
    for (subject, run, begin, volumes, shown, times), offset in zip(parts, offsets, strict=True):
        deviation = signed_difference(offset - moment, t_r)
        trs = nearest_trs(times - deviation, t_r, moment)
        showings.append(Showing(subject, run, begin, volumes, shown, times, trs, deviation))
    return showings, moment


def _stimulus_moment(offsets: list[float], moment: float, t_r: float) -> float:
    """The ``moment`` (s) of most showings, 0 where it is just before the TR's end; the middle where
    they begin at any moment between two volumes."""
    shares = [share_of_tr(signed_difference(offset - moment, t_r), t_r) for offset in offsets]
    if len(shares) and np.median(shares) > MOST_SPREAD:
        return tr_middle(t_r)
    before = signed_difference(moment, t_r)
    return 0.0 if before < 0 and share_of_tr(before, t_r) <= MOST_SPREAD else moment


def run_volumes(scans: xr.Dataset) -> dict[tuple[str, str], np.ndarray]:
    """Of each subject and run, by their names, its volumes' indices in order.

    Scans without ``subject`` or ``run`` are all of one.
    """
    table = pd.DataFrame(index=range(scans.sizes["volume"]))
    for name in ("subject", "run"):
        table[name] = scans[name].values.astype(str) if name in scans.coords else ""
    return table.groupby(["subject", "run"], sort=True).indices


def unbroken(
    film_time: np.ndarray,
    shown: np.ndarray,
    film_start: np.ndarray | None,
    t_r: float,
    jump: float = _RUNS_ON,
) -> list[np.ndarray]:
    """Indices of the volumes of one run, cut where its film was broken off; all (n_volumes,).

    ``shown``: the film was on. ``film_start`` is another in each row of events; rows that follow
    each other in time and film, within ``jump`` s, are one showing.

    >>> times, shown = np.array([0.0, 2.0, 4.0, 6.0]), np.array([True, True, False, True])
    >>> [part.tolist() for part in unbroken(times, shown, np.array([0, 2, 2, 6]), t_r=2.0)]
    [[0, 1, 2], [3]]
    """
    step = np.diff(film_time)
    breaks = step < -TOLERANCE
    if film_start is not None:
        runs_on = (np.abs(step - t_r) <= jump) & shown[:-1]
        breaks |= (np.diff(film_start) != 0) & ~runs_on
    return np.split(np.arange(len(film_time)), np.flatnonzero(breaks) + 1)


def _parts(scans: xr.Dataset, t_r: float) -> list[tuple]:
    """Subject, run, begin, and of its volumes indices, ``in_film`` and times, of each showing."""
    film_time, in_film = scans["film_time"].values, scans["in_film"].values
    starts = scans["film_start"].values if "film_start" in scans.coords else None
    shown = in_film | scans["scrubbed"].values if "scrubbed" in scans.coords else in_film
    parts = []
    for (one, label), here in run_volumes(scans).items():
        begins = None if starts is None else starts[here]
        for part in unbroken(film_time[here], shown[here], begins, t_r):
            part = here[part]
            on = np.flatnonzero(shown[part])
            if not len(on):
                continue
            volumes = part[on[0] : on[-1] + 1]
            begin = float((film_time if starts is None else starts)[volumes[0]])
            parts.append((one, label, begin, volumes, in_film[volumes], film_time[volumes]))
    return parts


def check_consecutive(trs: np.ndarray, times: np.ndarray, t_r: float) -> None:
    """GibletError where volumes, taken at ``times`` (s) in ``trs``, skip a TR or share one."""
    odd = np.diff(trs) != 1
    if odd.any():
        raise GibletError(
            f"volumes do not follow each other by t_r = {t_r} s: see film time "
            f"{times[:-1][odd][0]:.2f} s. Check RepetitionTime and dropped volumes"
        )


def volume_trs(scans: xr.Dataset, t_r: float) -> np.ndarray:
    """TR of each volume (n_volumes,), as `giblet.alignment.sync.match_scans` takes it.

    Of volumes outside the film, the TR that holds them.
    """
    trs = volumes_to_trs(scans["film_time"].values, t_r)
    for showing in find_showings(scans, t_r)[0]:
        trs[showing.volumes] = showing.trs
    return trs


def spread_warnings(showings: list[Showing], moment: float, t_r: float) -> list[str]:
    """A line where volumes of some showings are far from the shared ``moment`` (s) of the TR."""
    far = [showing for showing in showings if share_of_tr(showing.deviation, t_r) > MOST_SPREAD]
    if not far:
        return []
    most = max(far, key=lambda showing: abs(showing.deviation))
    n_far, n_runs = (len({showing.label for showing in part}) for part in (far, showings))
    return [
        f"volumes of {n_far} of {n_runs} runs are taken at another moment of the TR than "
        f"{moment:.2f} s after its beginning, the median of all: up to "
        f"{abs(most.deviation):.2f} s {'later' if most.deviation > 0 else 'earlier'} "
        f"({most.label}). Each keeps its own times; "
        "check the onsets, and StartTime where only some sidecars have it"
    ]


def clock_of(runs: list, t_r: float) -> xr.Dataset:
    """The volumes' coordinates of runs (`giblet.brain.runs.BoldRun`), as loaded scans have them."""
    volumes = volumes_table(runs)
    coords = {str(name): ("volume", volumes[name].to_numpy()) for name in volumes}
    coords |= presented_coordinates(runs)
    return xr.Dataset(coords=coords, attrs={"t_r": t_r})


def shown_seconds(scans: xr.Dataset, t_r: float) -> pd.DataFrame:
    """The seconds of film that each run of each subject showed: a row per showing.

    Columns ``subject``, ``run``, ``begin`` and ``end`` (s of film, at the edges of its TRs) and
    ``n_volumes``. ``scans`` as for `find_showings`; `clock_of` makes them of headers.
    """
    rows = []
    for showing in find_showings(scans, t_r)[0]:
        inside = showing.trs >= 0
        if not inside.any():
            continue
        trs = showing.trs[inside]
        edges = tr_onsets(int(trs.max()) + 2, t_r)
        seconds = float(edges[trs.min()]), float(edges[-1])
        rows.append((showing.subject, showing.run, *seconds, int(showing.in_film[inside].sum())))
    return pd.DataFrame(rows, columns=["subject", "run", "begin", "end", "n_volumes"])


def shown_by_run(shown: pd.DataFrame) -> pd.DataFrame:
    """`shown_seconds`, subjects with the same seconds in a run of one name in one row, by film.

    Columns ``run begin end n_volumes n_subjects subjects``: names, or ``all 4`` of several.

    >>> rows = [("sub-01", "run-1", 0.0, 270.0, 180), ("sub-02", "run-1", 0.0, 270.0, 180)]
    >>> shown = pd.DataFrame(rows, columns=["subject", "run", "begin", "end", "n_volumes"])
    >>> print(shown_by_run(shown).to_string(index=False, header=False))
    run-1 0.0 270.0 180 2 all 2
    """
    n_all = shown["subject"].nunique()
    rows = []
    for (begin, end, run), same in shown.groupby(["begin", "end", "run"], sort=True):
        names = list(dict.fromkeys(same["subject"]))
        listed = f"all {n_all}" if len(names) == n_all > 1 else ", ".join(names)
        rows.append((run, begin, end, int(same["n_volumes"].median()), len(names), listed))
    columns = ["run", "begin", "end", "n_volumes", "n_subjects", "subjects"]
    return pd.DataFrame(rows, columns=columns)


def run_order(run: str) -> list[tuple[str, int]]:
    """A key that sorts runs as they were numbered.

    >>> sorted(["run-10", "run-2"], key=run_order)
    ['run-2', 'run-10']
    """
    return [(text, int(number or 0)) for text, number in re.findall(r"(\D*)(\d*)", run)]
