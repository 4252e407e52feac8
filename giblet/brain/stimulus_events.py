"""Events tables of many stimuli: which one each row presents, and when."""

from pathlib import Path

import numpy as np
import pandas as pd

from giblet.brain.events import MISSING, numbers_of, row_number
from giblet.brain.stimulus_clock import StimulusClock
from giblet.config.name_template import fill_template, template_columns
from giblet.errors import GibletError, nearest_name
from giblet.io.tables import load_table
from giblet.timing import TOLERANCE

_TOO_LONG = 0.1  # s by which a stimulus may be longer than its event: the padding of codecs
_OVERLAP = 0.1  # s by which events may overlap: logged onsets of stimuli that follow one another
_QUOTES = "'\" \t"  # around cells of some tables


def read_stimulus_events(path: Path, stimuli: StimulusClock) -> pd.DataFrame:
    """Rows that present a stimulus, by onset: ``onset duration stim_onset`` (s) and ``stimulus``.

    ``stimuli.template`` makes the stimulus' name of a row's cells, without quotes around them. A
    row with n/a in one of these columns is no stimulus; nor is one with none, NA or the like, if
    no stimulus has this name. ``stim_onset`` is the second of the film of all stimuli at which this
    one begins, ``stimulus`` its index; ``duration`` is the stimulus' own, or the event's where the
    two agree within 0.1 s. Rows with duration 0 or n/a are left out where their stimulus has others
    with a duration, as rows of responses that repeat ``stim_file``; elsewhere they last as long as
    the stimulus. A stimulus is cut by up to 0.1 s where the next one begins. Each of these has a
    line in ``.attrs["warnings"]``.

    Raises
    ------
    GibletError
        A column is missing, an onset is no number; a stimulus is not among ``stimuli`` or longer
        than its event, or begins elsewhere than at its second 0 (column ``stim_onset``); two are
        presented at once; no row presents one.
    """
    table = load_table(path, dtype=str)
    columns = template_columns(stimuli.template)
    for name in ["onset", "duration", *columns]:
        if name not in table:
            advice = nearest_name(name, [*table])
            if name in columns:
                advice += ". events.stimulus says which columns name a stimulus, as {genre}/{track}"
            raise GibletError(f"{path}: no column {name}{advice}")
    rows = table[_names_one(table[columns], stimuli)].copy()
    if not len(rows):
        raise GibletError(f"{path}: no row names a stimulus (events.stimulus: {stimuli.template})")
    times = [name for name in ("onset", "duration", "stim_onset") if name in rows]
    rows[times] = rows[times].where(~rows[times].isin(MISSING))
    rows["onset"], given = numbers_of(rows, "onset", path), numbers_of(rows, "duration", path)
    for name, values in (("onset", rows["onset"].isna()), ("duration", given < 0)):
        if values.any():
            raise GibletError(f"{path}: row {row_number(values)}: {name} must be seconds")
    if "stim_onset" in rows:
        _check_whole(rows, path)
    rows["stimulus"] = [_found(row, columns, stimuli, path) for row in rows.iterrows()]
    warnings: list[str] = []
    rows = _without_responses(rows.assign(given=given), path, warnings)
    given = rows["given"]
    longest = stimuli.durations[rows["stimulus"]]
    given = given.where(given > 0, longest)
    too_long = longest - given > _TOO_LONG
    if too_long.any():
        name = stimuli.names[rows["stimulus"][too_long].iloc[0]]
        raise GibletError(
            f"{path}: row {row_number(too_long)}: stimulus {name} lasts {longest[too_long][0]:g} s,"
            f" longer than its event ({given[too_long].iloc[0]:g} s): shorten it (duration in the "
            "table of stimuli)"
        )
    rows["duration"] = np.minimum(longest, given)
    rows["stim_onset"] = stimuli.begins[rows["stimulus"]]
    rows = rows.assign(given=given).sort_values("onset", kind="stable")
    _warn_of_long_events(rows, path, warnings)
    _cut_overlaps(rows, path, warnings)
    _check_apart(rows, stimuli, path)
    events = rows[["onset", "duration", "stim_onset", "stimulus"]].copy()
    events.attrs["warnings"] = warnings
    return events


def _names_one(cells: pd.DataFrame, stimuli: StimulusClock) -> np.ndarray:
    """Whether each row of ``cells``, of the columns of the name, names a stimulus, (n_rows,) bool.

    Cells such as none or NA count as missing, unless a stimulus has the name that they make.
    """
    texts = cells.apply(lambda column: column.str.strip(_QUOTES))
    named = cells.notna().all(axis=1).to_numpy(copy=True)
    for n in np.flatnonzero(named & cells.isin(MISSING).any(axis=1)):
        name = fill_template(stimuli.template, dict(texts.iloc[n]))
        named[n] = name in stimuli
    return named


def _without_responses(rows: pd.DataFrame, path: Path, warnings: list[str]) -> pd.DataFrame:
    """``rows`` less those without a duration whose stimulus has rows with one (``given``, s)."""
    unknown = ~(rows["given"] > 0)
    again = unknown & rows["stimulus"].isin(rows["stimulus"][~unknown])
    if again.any():
        warnings.append(
            f"{path.name}: {again.sum()} rows with duration 0 or n/a are left out, the first row "
            f"{row_number(again)}: their stimuli have other rows with a duration"
        )
    if (whole := unknown & ~again).any():
        warnings.append(
            f"{path.name}: duration is 0 or n/a in {whole.sum()} rows, the first is row "
            f"{row_number(whole)}; each is taken to present its whole stimulus"
        )
    return rows[~again].copy()


def _warn_of_long_events(rows: pd.DataFrame, path: Path, warnings: list[str]) -> None:
    """A line where an event (``given`` s) reaches into the next, but its stimulus does not."""
    until_next = np.append(np.diff(rows["onset"]), np.inf)
    over = (rows["given"] > until_next + _OVERLAP) & (rows["duration"] <= until_next + _OVERLAP)
    if over.any():
        warnings.append(
            f"{path.name}: {over.sum()} events last into the next one, the first is row "
            f"{row_number(over)}, though their stimuli are shorter: are onset and duration right?"
        )


def _cut_overlaps(rows: pd.DataFrame, path: Path, warnings: list[str]) -> None:
    """End each of ``rows``, by onset, where the next begins up to 0.1 s too early."""
    onsets, durations = rows["onset"].to_numpy(), rows["duration"].to_numpy(copy=True)
    over = onsets[:-1] + durations[:-1] - onsets[1:]
    early = np.flatnonzero((over > TOLERANCE) & (over <= _OVERLAP + TOLERANCE))
    early = early[durations[early] > over[early]]
    if not len(early):
        return
    durations[early] -= over[early]
    rows["duration"] = durations
    warnings.append(
        f"{path.name}: {len(early)} stimuli end up to {1000 * over[early].max():.3g} ms after the "
        "next one's onset, and are cut there"
    )


def _check_whole(rows: pd.DataFrame, path: Path) -> None:
    """GibletError where one of ``rows`` presents its stimulus from a later second on."""
    later = numbers_of(rows, "stim_onset", path).fillna(0) != 0
    if later.any():
        raise GibletError(
            f"{path}: row {row_number(later)}: stim_onset is {rows['stim_onset'][later].iloc[0]}: "
            "make a part of a stimulus one of its own (start and duration in the table of stimuli)"
        )


def _found(row: tuple, columns: list[str], stimuli: StimulusClock, path: Path) -> int:
    label, cells = row
    name = fill_template(
        stimuli.template, {column: cells[column].strip(_QUOTES) for column in columns}
    )
    try:
        return stimuli.find(name)
    except GibletError as error:
        raise GibletError(
            f"{path}: row {label + 1}: {error}; add it to stimuli, or write n/a"
        ) from None


def presented_events(
    path: Path, bold: Path, scan_end: float, t_r: float, stimuli: StimulusClock
) -> pd.DataFrame:
    """`read_stimulus_events` of a scan of the file ``bold``, which lasted ``scan_end`` s.

    Raises GibletError where it ended a TR or more before the last stimulus, too.
    """
    events = read_stimulus_events(path, stimuli)
    beyond = float((events["onset"] + events["duration"]).max()) - scan_end
    if beyond >= t_r - TOLERANCE:
        raise GibletError(
            f"{bold}: the scan ends {beyond:.1f} s before the last stimulus does ({path.name}); "
            "are onsets seconds since the scan began? Write n/a for stimuli that were not scanned"
        )
    return events


_LONG_TAIL = 60.0  # s of a scan after its last stimulus


def long_tail(events: pd.DataFrame, file: str, scan_end: float) -> list[str]:
    """A warning where a scan goes on for more than a minute after its last stimulus.

    >>> events = pd.DataFrame({"onset": [2.0], "duration": [300.0]})
    >>> long_tail(events, "a.nii.gz", 303.0), long_tail(events, "a.nii.gz", 606.0)
    ([], ['a.nii.gz: the scan continues for 304 s after its last stimulus: is it the right run?'])
    """
    tail = scan_end - float((events["onset"] + events["duration"]).max())
    if tail <= _LONG_TAIL:
        return []
    return [
        f"{file}: the scan continues for {tail:.0f} s after its last stimulus: is it the right run?"
    ]


def _check_apart(rows: pd.DataFrame, stimuli: StimulusClock, path: Path) -> None:
    """GibletError where a row begins before the one before it has ended."""
    ends = (rows["onset"] + rows["duration"]).to_numpy()[:-1]
    early = np.flatnonzero(rows["onset"].to_numpy()[1:] < ends - TOLERANCE)
    if not len(early):
        return
    first, second = rows.iloc[early[0]], rows.iloc[early[0] + 1]
    names = [stimuli.names[int(row["stimulus"])] for row in (first, second)]
    raise GibletError(
        f"{path}: two stimuli at once at {second['onset']:g} s: {names[0]} (row {first.name + 1}) "
        f"and {names[1]} (row {second.name + 1}); correct onset or duration, or mix them to one "
        "sound"
    )
