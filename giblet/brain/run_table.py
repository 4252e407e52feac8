"""Runs named in a table: BOLD of parcels, vertices or voxels that is no BIDS data set."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from giblet.brain.confounds import fill_leading
from giblet.brain.events import film_times, row_number
from giblet.brain.recording import open_recording
from giblet.brain.runs import (
    MOTION,
    BoldRun,
    Layout,
    Presented,
    check_alike,
    compare_t_r,
    displacement,
    late_start,
    scan_t_r,
)
from giblet.brain.series import SeriesOptions, read_confound_series
from giblet.brain.stimulus_clock import StimulusClock
from giblet.brain.stimulus_events import long_tail, presented_events
from giblet.brain.subjects import excluded_labels, named_labels
from giblet.errors import GibletError, attempt, each, nearest_name, raise_together
from giblet.io.paths import check_file
from giblet.io.tables import load_table
from giblet.timing import acquisition_times

NEEDED = ("subject", "file", "t_r", "film_onset")
OPTIONAL = {
    "run": "run-1",
    "mask": None,
    "dataset": None,
    "header": None,
    "index_column": None,
    "confounds": None,
    "start_time": 0.0,
    "n_dropped": 0,
    "stim_onset": 0.0,
    "duration": np.inf,
    "stim_file": "film",
    "events": None,
}
_ONE_EVENT = ("film_onset", "stim_onset", "duration", "stim_file")
_EVENTS = "with stimuli every run needs its table of events, in a column events"
_NO_EVENTS = "events: they name stimuli, but the config has none (stimuli)"
_TEXT = dict.fromkeys(("subject", "run", "file", "mask", "dataset", "confounds", "events"), str)
_TEXT |= {"header": str, "index_column": str}
_YES_OR_NO = {"yes": True, "true": True, "no": False, "false": False}
_TURNED = "; does the scan's table lie the other way round? Save it with a row per volume"
_MOST_DROPPED = 100_000
_LONGEST_RUN = 3 * 3600  # s: nobody lies in a scanner for longer without a break


def read_run_table(
    path: str | Path,
    confounds: Sequence[str] = (),
    stimuli: StimulusClock | None = None,
    exclude: Sequence[str] = (),
) -> list[BoldRun]:
    """The runs of a table (.tsv or .csv), one row each; files lie relative to the table.

    ``stimuli``: where runs present many, their clock; rows then name ``events``. ``exclude``:
    labels of subjects whose rows are not read, with or without ``sub-``.

    ============ ==========================================================================
    column       content
    ============ ==========================================================================
    subject      label
    run          label; ``run-1`` where there is no such column
    file         a table of parcels (.tsv, .csv, .txt, .npy, .h5: a row per volume), a
                 surface or greyordinates (.func.gii, .dtseries.nii, .ptseries.nii), or an
                 image of voxels (.nii.gz, .nii) with its ``mask``
    dataset      path of the table in an HDF5 file that has several
    header       ``yes`` or ``no``: whether the first row of a text file has names; by its content
    index_column ``yes``: the first column numbers the rows, and is left out; ``no``: it is data
    confounds    table of nuisance, a row per volume; ``confounds`` names columns, else all
    t_r          s
    start_time   s after a volume begins at which it counts as taken; 0
    n_dropped    volumes that were cut off before the file's first; the confounds may still
                 have them, and they count on the clock; 0
    film_onset   s from the first volume acquired to the film
    stim_onset   second of the film that is shown then; 0
    duration     s for which it is shown; to the end of the scan
    stim_file    the film's name
    events       of many stimuli: a BIDS events table, instead of the four columns above
    ============ ==========================================================================

    Raises
    ------
    GibletError
        A column is missing or unknown, a time is no number, a file is missing or unreadable,
        confounds of another length, two runs with one name, a scan that ends before the film.
    """
    path = Path(path)
    written = load_table(path, dtype=_TEXT)
    table = _checked(written, path)
    labels = "sub-" + table["subject"].str.removeprefix("sub-")
    errors: list[GibletError] = []
    left_out = attempt(errors, excluded_labels, exclude, labels, path) or named_labels(exclude)
    table = table[~labels.isin(left_out)]
    assumed = stimuli is None and "stim_onset" not in written
    if (stimuli is None) != table["events"].isna().all():
        raise GibletError(f"{path}: {_EVENTS if stimuli else _NO_EVENTS}")
    read_row = partial(_read_row, folder=path.parent, confounds=confounds, stimuli=stimuli)
    runs = attempt(errors, each, read_row, table.itertuples(index=False))
    raise_together(errors)
    runs = [replace(run, begin_is_assumed=assumed) for run in runs or ()]
    if not runs:
        raise GibletError(f"{path}: no runs in it")
    names = pd.Series([f"{run.subject} {run.name}" for run in runs])
    if names.duplicated().any():
        raise GibletError(f"{path}: two rows for one run: {names[names.duplicated()].iloc[0]}")
    return check_alike(runs, path)


def run_files(path: str | Path) -> list[Path]:
    """A table of runs and every file that it names; GibletError as `read_run_table`."""
    table = _checked(load_table(path, dtype=_TEXT), Path(path))
    columns = ("file", "mask", "confounds", "events")
    named = pd.concat([table[column] for column in columns]).dropna()
    return [Path(path), *(Path(path).parent / str(name) for name in sorted(set(named)))]


def _checked(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """``table`` with every column and its default; GibletError unless times are numbers."""
    needed = [name for name in NEEDED if name != "film_onset" or "events" not in table]
    if missing := [name for name in needed if name not in table]:
        raise GibletError(f"{path}: no column {', '.join(missing)}, which a table of runs needs")
    valid = [*NEEDED, *OPTIONAL]
    for name in table:
        if name not in valid:
            raise GibletError(f"{path}: unknown column {name}{nearest_name(name, valid)}")
    table = table.dropna(how="all")  # spreadsheets end with empty rows
    if "events" in table:
        if both := [name for name in _ONE_EVENT if name in table]:
            raise GibletError(f"{path}: {', '.join(both)}: delete it; events has onsets and names")
        if table["events"].isna().any():
            raise GibletError(f"{path}: row {row_number(table['events'].isna())}: no events")
        table = table.assign(film_onset=0.0)
    table = table.assign(**{k: v for k, v in OPTIONAL.items() if k not in table})
    for name in ("t_r", "film_onset", "start_time", "n_dropped", "stim_onset", "duration"):
        given = table[name].fillna(OPTIONAL.get(name, np.nan))
        numbers = pd.to_numeric(given, errors="coerce")
        if numbers.isna().any():
            row = int(np.flatnonzero(numbers.isna())[0])
            raise GibletError(f"{path}: row {row + 1}: {name} is no number ({given.iloc[row]!r})")
        if np.isinf(numbers).any() and name != "duration":
            raise GibletError(f"{path}: {name} must be a finite number")
        table[name] = numbers
    for name in ("header", "index_column"):
        table[name] = [_yes_or_no(value, name, path) for value in table[name]]
    for name in ("subject", "run", "stim_file"):
        table[name] = table[name].fillna(OPTIONAL.get(name, "")).astype(str)
    dropped = table["n_dropped"]
    if ((dropped < 0) | (dropped > _MOST_DROPPED) | (dropped % 1 != 0)).any():
        raise GibletError(f"{path}: n_dropped must be a whole number from 0 to {_MOST_DROPPED}")
    return table


def _yes_or_no(value: object, name: str, path: Path) -> bool | None:
    if pd.isna(value):
        return None
    if (text := str(value).strip().lower()) not in _YES_OR_NO:
        raise GibletError(f"{path}: {name} must be yes or no, not {value}")
    return _YES_OR_NO[text]


def _read_row(
    row, folder: Path, confounds: Sequence[str], stimuli: StimulusClock | None
) -> BoldRun:
    path = check_file(folder / str(row.file))
    try:
        t_r = scan_t_r(row.t_r)
    except ValueError as error:
        raise GibletError(f"{path}: {error}") from None
    mask = None if pd.isna(row.mask) else folder / str(row.mask)
    dataset = None if pd.isna(row.dataset) else str(row.dataset)
    options = SeriesOptions(dataset, row.header, row.index_column)
    recording = open_recording(path, mask, options)
    n_scanned, n_dropped = recording.n_volumes, int(row.n_dropped)
    n_columns = len(getattr(recording, "names", []))
    times = acquisition_times(n_dropped + n_scanned, t_r, float(row.start_time))[n_dropped:]
    end = acquisition_times(n_dropped + n_scanned + 1, t_r)[-1]
    if np.isfinite(row.duration) and row.film_onset + row.duration - end >= t_r:
        beyond = row.film_onset + row.duration - end
        turned_end = acquisition_times(n_columns + 1, t_r)[-1]
        turned = bool(turned_end >= row.film_onset + row.duration)
        raise GibletError(
            f"{path}: the scan ends {beyond:.1f} s before the film does" + _TURNED * turned
        )
    presented, tail = None, []
    if stimuli is None:
        event = (np.array([value]) for value in (row.film_onset, row.duration, row.stim_onset))
        film_time, in_film, film_start = film_times(times, *event)
    else:
        events = presented_events(check_file(folder / row.events), path, end, t_r, stimuli)
        tail = events.attrs["warnings"] + long_tail(events, path.name, end)
        presented = Presented(stimuli, events, times)
        film_time, in_film, film_start = presented.film_times()
    if not in_film.any():
        where = "events" if stimuli else "film_onset"
        raise GibletError(f"{path}: no volume was taken while the film was on: see {where}")
    too_long = []
    if 0 < n_columns < n_scanned and times[-1] - times[0] > _LONGEST_RUN:
        hours = (times[-1] - times[0]) / 3600
        too_long = [f"{path.name}: its {n_scanned:,} rows last {hours:.1f} h as volumes{_TURNED}"]
    late = late_start(float(row.start_time), t_r, f"{path.name}: start_time of its row")
    of_header = compare_t_r(recording.header_t_r, t_r, path.name, "the table of runs")
    nuisance, displaced = np.empty((n_scanned, 0)), np.full(n_scanned, np.nan)
    if not pd.isna(row.confounds):
        table = folder / str(row.confounds)
        nuisance, displaced = _nuisance(table, confounds, n_scanned, n_dropped, n_columns)
    return BoldRun(
        recording=recording,
        subject=f"sub-{str(row.subject).removeprefix('sub-')}",
        name=str(row.run),
        stim_file="stimuli" if stimuli else str(row.stim_file),
        t_r=t_r,
        steady=np.ones(n_scanned, dtype=bool),
        nuisance=nuisance,
        film_time=film_time,
        in_film=in_film,
        film_start=film_start,
        displacement=displaced,
        warnings=[*recording.warnings, *of_header, *too_long, *late, *tail],
        end_is_assumed=bool(np.isinf(row.duration)),
        presented=presented,
    )


def _nuisance(
    path: Path, names: Sequence[str], n_scanned: int, n_dropped: int, n_columns: int
) -> tuple[np.ndarray, np.ndarray]:
    """Columns of a confounds table (n_scanned, n_names) and the framewise displacement
    (n_scanned,), both from the first volume in the file of BOLD on, which has ``n_columns``."""
    wanted = [*names, *MOTION] if names else []
    values, columns = read_confound_series(path, (n_scanned, n_scanned + n_dropped), wanted)
    first = n_dropped if len(values) == n_scanned + n_dropped else 0
    if len(values) - first != n_scanned:
        turned = n_columns == len(values)
        message = f"{path}: {len(values)} rows, but the scan has {n_scanned} volumes"
        raise GibletError(message + _TURNED * turned)
    if missing := [name for name in names if name not in columns]:
        raise GibletError(f"{path}: no confound column {', '.join(missing)}")
    if twice := [name for name in names if columns.count(name) > 1]:
        raise GibletError(f"{path}: two confound columns {twice[0]}; give them other names")
    displaced = displacement(pd.DataFrame(values, columns=columns), path)
    if names:
        values, columns = values[:, [columns.index(name) for name in names]], list(names)
    values = fill_leading(values, path, columns)
    return values[first:], displaced[first:]


def _read_data_set(
    path: Path,
    _task: str | None,
    confounds: Sequence[str] | None,
    _strategy: Sequence[str],
    stimuli: StimulusClock | None = None,
    exclude: Sequence[str] = (),
) -> list[BoldRun]:
    """Tables name no task; `giblet.brain.bold.read_data_set` refuses a strategy."""
    return read_run_table(path, confounds or (), stimuli, exclude)


RUN_TABLE = Layout(Path.is_file, _read_data_set, run_files, lambda path: path.name)
