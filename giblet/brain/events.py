"""Events tables: the film time of each volume."""

from pathlib import Path

import numpy as np
import pandas as pd

from giblet.errors import GibletError
from giblet.io.tables import load_table
from giblet.timing import TOLERANCE, within

_STILLS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".txt")
MISSING = ["n/a", "", "N/A", "NA", "NaN", "nan", "None", "none", "NULL", "null"]
_NO_GAP = 0.1  # s: rows this near each other show the film without a gap


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
    event = np.maximum(np.searchsorted(onsets - TOLERANCE, scan_times, side="right") - 1, 0)
    since_onset, film_start = scan_times - onsets[event], stim_onsets[event]
    return since_onset + film_start, within(since_onset, durations[event]), film_start


def read_events(path: Path, bold: Path, scan_end: float, t_r: float) -> pd.DataFrame:
    """Rows that show the film, by onset: ``onset duration stim_onset`` (s) and ``stim_file``.

    The film is what ``stim_file`` names, or the only event of a table without that column. A
    duration of n/a or 0 lasts to the next such row or to the end of the scan; rows without
    ``stim_onset`` that follow each other without a gap are one showing: both with a line in
    ``.attrs["warnings"]``. ``.attrs["begin_is_assumed"]``: there is no ``stim_onset``, and the
    film is taken to begin at its second 0. ``.attrs["end_is_assumed"]``: the last row has no
    duration.

    Raises
    ------
    GibletError
        Columns or times are missing, there are several films, rows overlap, or the scan of the
        file ``bold``, which lasted ``scan_end`` s, ended before the film.
    """
    warnings: list[str] = []
    rows = _film_rows(load_table(path, na_values=MISSING), path, warnings)
    rows["onset"] = numbers_of(rows, "onset", path)
    if rows["onset"].isna().any():
        raise GibletError(
            f"{path}: the film needs an onset in seconds; it is n/a in row "
            f"{row_number(rows['onset'].isna())}"
        )
    rows = rows.assign(duration=numbers_of(rows, "duration", path)).sort_values("onset")
    begin_is_assumed = "stim_onset" not in rows or bool(rows["stim_onset"].isna().all())
    end_is_assumed = not rows["duration"].iloc[-1] > 0
    rows["stim_onset"] = _stim_onsets(rows, path, warnings)
    rows["duration"] = _durations(rows, path, scan_end, warnings)
    ends = rows["onset"] + rows["duration"]
    beyond = ends.max() - scan_end
    if beyond >= t_r - TOLERANCE:  # less than a TR: that TR is incomplete, nobody uses it
        advice = "if it was stopped on purpose, shorten the event's duration"
        if rows["onset"].max() >= scan_end:
            advice = "are onsets seconds since the scan began, not times of day or ms?"
        raise GibletError(
            f"{bold}: the scan ends {beyond:.1f} s before the film does ({path.name}); {advice}"
        )
    rows.attrs |= {"warnings": warnings, "begin_is_assumed": begin_is_assumed}
    rows.attrs["end_is_assumed"] = end_is_assumed
    return rows[["onset", "duration", "stim_onset", "stim_file"]]


def _film_rows(events: pd.DataFrame, path: Path, warnings: list[str]) -> pd.DataFrame:
    """Events with a ``stim_file``, or the only event."""
    if missing := [name for name in ("onset", "duration") if name not in events]:
        raise GibletError(f"{path}: no column {', '.join(missing)}")
    if not len(events):
        raise GibletError(f"{path}: no rows: the film needs an onset and a duration")
    if "stim_file" not in events:
        if len(events) > 1:
            raise GibletError(
                f"{path}: {len(events)} events; name the film in a column stim_file (n/a in rows "
                "without it), list the runs in a table with film_onset and duration, or "
                "of many stimuli set stimuli and events.stimulus"
            )
        return events.assign(stim_file="film")
    named = events["stim_file"].map(lambda cell: cell.strip() if isinstance(cell, str) else cell)
    events = events.assign(stim_file=named.where(~named.isin(MISSING)))
    rows = events[events["stim_file"].notna()]
    if not len(rows):
        raise GibletError(
            f"{path}: column stim_file is n/a in every row; name the film in the row that shows it"
        )
    is_still = rows["stim_file"].astype(str).str.lower().str.endswith(_STILLS)
    if is_still.any() and not is_still.all():
        warnings.append(f"{path.name}: rows of still images in stim_file are not the film")
        rows = rows[~is_still]
    if len(films := rows["stim_file"].unique()) > 1:
        raise GibletError(
            f"{path}: several films in one run ({', '.join(map(str, films))}); set "
            "stimuli (a folder or table of them), write n/a as the stim_file of the others, or "
            "list the runs in a table with film_onset and duration of one"
        )
    return rows.copy()


def numbers_of(rows: pd.DataFrame, name: str, path: Path) -> pd.Series:
    """A column as numbers, NaN where it is n/a. GibletError for what is no number."""
    numbers = pd.to_numeric(rows[name], errors="coerce")
    wrong = (numbers.isna() & rows[name].notna()) | np.isinf(numbers)
    if wrong.any():
        raise GibletError(
            f"{path}: {name} is no number of seconds in row {row_number(wrong)} "
            f"({str(rows[name][wrong].iloc[0])!r})"
        )
    return numbers


def row_number(selected: pd.Series) -> int:
    """Number of the first selected row of the file, 1 the first after the header."""
    return int(selected.index[selected][0]) + 1


def _stim_onsets(rows: pd.DataFrame, path: Path, warnings: list[str]) -> pd.Series:
    """Second of the film at which each of ``rows``, by onset, begins; 0 for a single row."""
    given = numbers_of(rows, "stim_onset", path) if "stim_onset" in rows else rows["onset"] * np.nan
    if given.notna().all():
        return given
    if len(rows) == 1:
        return given.fillna(0.0)
    _check_same_onset(rows, path)
    if given.notna().any():
        raise GibletError(
            f"{path}: stim_onset is n/a in row {row_number(given.isna())}; give the second of the "
            "film at which that row begins"
        )
    film, ran_on = rows["stim_file"].iloc[0], rows["onset"] - rows["onset"].iloc[0]
    gaps = rows["onset"].to_numpy()[1:] - (rows["onset"] + rows["duration"]).to_numpy()[:-1]
    if not (np.abs(gaps) <= _NO_GAP).all():  # also NaN
        listed = ", ".join(f"{seconds:g}" for seconds in ran_on)
        raise GibletError(
            f"{path}: {len(rows)} events show one film ({film}); say in a column stim_onset with "
            f"which of its seconds each begins: {listed} if it ran on, 0 where it began again; or "
            "write n/a as the stim_file of rows that do not show it"
        )
    warnings.append(
        f"{path.name}: {len(rows)} rows of {film} without stim_onset follow each other and are "
        "taken as one presentation from second 0 on"
    )
    return ran_on


def _check_same_onset(rows: pd.DataFrame, path: Path) -> None:
    """GibletError where two of ``rows``, by onset, begin at the same time."""
    same = np.flatnonzero(np.diff(rows["onset"]) <= TOLERANCE)
    if not len(same):
        return
    first, second = sorted(int(label) + 1 for label in rows.index[same[0] : same[0] + 2])
    raise GibletError(
        f"{path}: rows {first} and {second} both begin at {rows['onset'].iloc[same[0]]:g} s; "
        "delete one of them, or write n/a as its stim_file"
    )


def _durations(rows: pd.DataFrame, path: Path, scan_end: float, warnings: list[str]) -> np.ndarray:
    """Seconds that each of ``rows``, by onset, lasts, in which no two show different seconds."""
    onsets, durations = rows["onset"].to_numpy(), rows["duration"].to_numpy(copy=True)
    if (durations < 0).any():
        raise GibletError(f"{path}: duration is below 0 in row {row_number(rows['duration'] < 0)}")
    unknown = ~(durations > 0)
    if unknown.any():
        durations[unknown] = (np.append(onsets[1:], scan_end) - onsets)[unknown]
        which = row_number(pd.Series(unknown, rows.index))
        if (durations <= 0).any():
            _check_same_onset(rows, path)
            raise GibletError(
                f"{path}: duration is n/a or 0 in row {which}, and the scan ends before it begins"
            )
        warnings.append(
            f"{path.name}: duration is n/a or 0 in row {which}; the film is taken to run on to the "
            "next row, or the end of the scan"
        )
    begins, ends = rows["stim_onset"].to_numpy() - onsets, onsets + durations
    for k in range(1, len(rows)):
        if onsets[k] >= ends[k - 1] - TOLERANCE:
            continue
        if abs(begins[k] - begins[k - 1]) > _NO_GAP:
            _check_same_onset(rows.iloc[k - 1 : k + 1], path)
            raise GibletError(
                f"{path}: two rows show different seconds of the film at {onsets[k]:g} s; shorten "
                "the duration of the first"
            )
        ends[k] = max(ends[k], ends[k - 1])  # a part of the film in a row of its own
    return ends - onsets
