"""Events tables: the film time of each volume."""

from pathlib import Path

import numpy as np
import pandas as pd

from giblet.errors import GibletError
from giblet.io.tables import load_table


def film_times(
    scan_times: np.ndarray, onsets: np.ndarray, durations: np.ndarray, stim_onsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Film time (s) of each volume, whether the film was on, and the film time (s) at which that
    presentation began, all (n_volumes,).

    ``scan_times`` (n_volumes,): seconds since the scan began. Event k (n_events, by onset) showed
    the film from its second ``stim_onsets[k]`` on. A volume belongs to the last event that had
    begun, or to the first if none had.

    >>> film_times(np.array([0.75, 6.75, 8.25]), np.array([6.0]), np.array([1.5]), np.array([270]))
    (array([264.75, 270.75, 272.25]), array([False,  True, False]), array([270, 270, 270]))
    """
    event = np.maximum(np.searchsorted(onsets, scan_times, side="right") - 1, 0)
    since_onset = scan_times - onsets[event]
    film_start, in_film = stim_onsets[event], (since_onset >= 0) & (since_onset < durations[event])
    return since_onset + film_start, in_film, film_start


def read_events(path: Path, bold: Path, scan_end: float, t_r: float) -> pd.DataFrame:
    """Rows that show the film, by onset: ``onset duration stim_onset`` (s) and ``stim_file``.

    Raises
    ------
    GibletError
        Columns or times are missing, there are several films, or the scan of the file ``bold``,
        which lasted ``scan_end`` s, ended before the film.
    """
    events = _film_rows(load_table(path), path)
    clock = events[["onset", "duration", "stim_onset"]].apply(pd.to_numeric, errors="coerce")
    if not len(events) or clock.isna().any(axis=None) or (clock["duration"] <= 0).any():
        raise GibletError(f"{path}: the film needs an onset and a duration above 0, in seconds")
    beyond = (clock["onset"] + clock["duration"]).max() - scan_end
    if beyond >= t_r:  # less than a TR: that TR is incomplete, nobody uses it
        raise GibletError(
            f"{bold}: the scan ends {beyond:.1f} s before the film does ({path.name}); "
            "if it was stopped on purpose, shorten the event's duration"
        )
    return events.assign(**clock).sort_values("onset")


def _film_rows(events: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Events with a ``stim_file``, or the only event; ``stim_onset`` is 0 s where it is absent."""
    missing = [name for name in ("onset", "duration") if name not in events]
    if missing:
        raise GibletError(f"{path}: no column {', '.join(missing)}")
    if "stim_file" not in events and len(events) > 1:
        raise GibletError(f"{path}: {len(events)} events; name the film in a column stim_file")
    events = events if "stim_file" in events else events.assign(stim_file="film")
    events = events[events["stim_file"].notna()]
    if events["stim_file"].nunique() > 1:
        raise GibletError(f"{path}: several films in one run; giblet reads one film at a time")
    if "stim_onset" not in events and len(events) > 1:
        raise GibletError(
            f"{path}: {len(events)} events show one film; say in a column stim_onset with which of "
            "its seconds each begins"
        )
    return events if "stim_onset" in events else events.assign(stim_onset=0.0)
