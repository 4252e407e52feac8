"""One run of BOLD, of any layout of a data set: its recording, clock and confounds."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from giblet.brain.events import film_times
from giblet.brain.qc import framewise_displacement
from giblet.brain.recording import Columns, Recording
from giblet.brain.stimulus_clock import StimulusClock
from giblet.errors import GibletError
from giblet.timing import check_t_r

MOTION = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
SHORTEST_T_R = 0.1  # s
_RUN = re.compile(r"(?<![a-zA-Z0-9])run-[a-zA-Z0-9]+")
_APART = {
    "t_r": "load them apart",
    "stim_file": "load them apart; of one film in several files, write one name in all of them, "
    "and in a column stim_onset the second of the whole film at which each begins",
}
SAME_T_R = 1e-4  # s: rounding of converters
_OTHER_T_R = 1e-3  # s between a header and what its tables say
_NO_T_R = (0.0, 1.0)  # s: of headers in which nobody wrote it
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class Presented:
    """Events of a run with many stimuli, as `read_stimulus_events` gives them, on their clock.

    scan_time : (n_volumes,) s, time of each steady volume on the clock of the events' onsets
    """

    stimuli: StimulusClock
    events: pd.DataFrame
    scan_time: np.ndarray

    def film_times(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `giblet.brain.events.film_times`, in the film of all stimuli, rest included."""
        columns = ("onset", "duration", "stim_onset")
        onsets, durations, begins = (self.events[name].to_numpy() for name in columns)
        return film_times(self.scan_time, onsets, durations + self.stimuli.rest, begins)

    @property
    def silence(self) -> np.ndarray:
        """Seconds from the end of each event to the next onset, or last volume, (n_events,)."""
        onsets, durations = (self.events[name].to_numpy() for name in ("onset", "duration"))
        until = np.append(onsets[1:], self.scan_time.max())
        return np.maximum(until - onsets - durations, 0)


@dataclass(frozen=True)
class BoldRun:
    """One run: its recording and what its tables say; the series themselves are read later."""

    recording: Recording
    subject: str
    name: str
    stim_file: str
    t_r: float
    steady: np.ndarray  # (n_scanned,) bool
    nuisance: np.ndarray  # (n_volumes, n_confounds): steady volumes only
    film_time: np.ndarray  # (n_volumes,) s
    in_film: np.ndarray  # (n_volumes,) bool: the film was on, also where volumes are scrubbed
    film_start: np.ndarray  # (n_volumes,) s
    displacement: np.ndarray  # (n_volumes,) mm from the volume before, NaN where unknown
    warnings: list[str] = field(default_factory=list)
    kept: np.ndarray | None = None  # (n_volumes,) bool: not scrubbed; None: all
    begin_is_assumed: bool = False  # no stim_onset: from the film's second 0 on
    end_is_assumed: bool = False  # no duration: to the end of the scan
    presented: "Presented | None" = None  # of runs with many stimuli

    def __post_init__(self) -> None:
        """Add the recording's own warnings."""
        new = [warning for warning in self.recording.warnings if warning not in self.warnings]
        object.__setattr__(self, "warnings", [*new, *self.warnings])

    @property
    def path(self) -> Path:
        """Of the file of BOLD."""
        return self.recording.path

    @property
    def n_volumes(self) -> int:
        """Of the steady volumes."""
        return len(self.film_time)

    def volumes(self) -> pd.DataFrame:
        """A table of one row per steady volume; scrubbed ones are not ``in_film``.

        Where the film was on in some of them, a column ``scrubbed`` says in which.
        """
        names = ("film_time", "in_film", "film_start")
        table = pd.DataFrame({name: getattr(self, name) for name in names})
        if self.kept is not None:
            scrubbed = self.in_film & ~self.kept
            table["in_film"] &= self.kept
            if scrubbed.any():
                table["scrubbed"] = scrubbed
        if self.presented is not None:
            table["scan_time"] = self.presented.scan_time
        return table.assign(subject=self.subject, run=self.name)

    def blocks(self, columns: Columns) -> Iterator[np.ndarray]:
        """Steady volumes as they are in the file, (n, n_columns) each, some at a time."""
        start = 0
        for block in self.recording.blocks(columns):
            steady = self.steady[start : start + len(block)]
            start += len(block)
            if steady.any():
                yield block if steady.all() else block[steady]

    def read(self, columns: Columns) -> np.ndarray:
        """All steady volumes, (n_volumes, n_columns) of ``columns.dtype``."""
        start = 0
        series: np.ndarray = np.empty((self.n_volumes, len(columns)), dtype=columns.dtype)
        for block in self.blocks(columns):
            series[start : start + len(block)] = block
            start += len(block)
        return series


def volumes_table(runs: list[BoldRun]) -> pd.DataFrame:
    """`BoldRun.volumes` of all runs, one after the other."""
    table = pd.concat([run.volumes() for run in runs], ignore_index=True)
    if "scrubbed" in table:  # not in every run
        table["scrubbed"] = table["scrubbed"].eq(True)
    return table


def presented_coordinates(runs: list[BoldRun]) -> dict[str, tuple]:
    """Coordinates along ``stimulus`` and ``event`` of runs with many stimuli; else none.

    Each event has ``event_subject``, ``event_run``, ``event_onset`` and ``event_duration`` (s, on
    the clock of ``scan_time``) and ``event_stimulus``, an index.
    """
    shown = [(run, run.presented) for run in runs if run.presented is not None]
    if not shown:
        return {}
    events = pd.concat([p.events.assign(subject=r.subject, run=r.name) for r, p in shown])
    names = ("subject", "run", "onset", "duration", "stimulus")
    of_events = {f"event_{name}": ("event", events[name].tolist()) for name in names}
    return shown[0][1].stimuli.coordinates() | of_events


@dataclass(frozen=True)
class Layout:
    """Layout of a data set: its module defines one, `giblet.brain.bold.LAYOUTS` lists it.

    fits : whether what lies at a path has this layout
    read_runs : runs by (path, task, confounds, strategy); confounds None: the layout's own; of
        many stimuli the keyword stimuli; exclude: subjects that are left out; BIDS has keywords
        space and raw, too
    files : files and folders that the data set consists of
    origin : who made the data set, for ``source`` of a saved ``bold``
    preprocessing : the programs that made it, with versions; empty where that is unknown
    """

    fits: Callable[[Path], bool]
    read_runs: Callable[..., list[BoldRun]]
    files: Callable[[Path], list[Path]]
    origin: Callable[[Path], str]
    preprocessing: Callable[[Path], str] = lambda path: ""


def check_alike(runs: list[BoldRun], source: Path) -> list[BoldRun]:
    """``runs``, if they share one TR and one film, and their labels are printable.

    Raises GibletError otherwise.
    """
    for run in runs:
        for label in (run.subject, run.name, run.stim_file):
            if not label.removeprefix("sub-").strip() or _UNPRINTABLE.search(label):
                raise GibletError(
                    f"{source}: {run.path.name}: {label!r} cannot be the name of a subject, a run "
                    "or a film: it is empty, or has control characters. Rename it"
                )
    for name in ("t_r", "stim_file"):
        files = {getattr(run, name): run.path.name for run in runs}
        if len(files) > 1 and not (name == "t_r" and max(files) - min(files) <= SAME_T_R):
            listed = "; ".join(f"{value} in {file}" for value, file in files.items())
            raise GibletError(f"{source}: runs differ in {name} ({listed}); {_APART[name]}")
    return _with_label_warning(_with_start_warning(runs))


def _with_label_warning(runs: list[BoldRun]) -> list[BoldRun]:
    """``runs``; the first has a warning more of subjects whose labels differ by zeros alone."""
    labels: dict[str, set[str]] = {}
    for run in runs:
        labels.setdefault(re.sub(r"(?<!\d)0+(?=\d)", "", run.subject), set()).add(run.subject)
    lines = [
        f"{', '.join(sorted(names))} are taken as different subjects: if they are one, write its "
        "label alike"
        for names in labels.values()
        if len(names) > 1
    ]
    return [replace(runs[0], warnings=[*runs[0].warnings, *lines]), *runs[1:]] if lines else runs


def _with_start_warning(runs: list[BoldRun]) -> list[BoldRun]:
    """``runs``; the first has a warning more where run-1, run-2 … of one subject all begin at one
    film second."""
    parts: dict[float, set[str]] = {}  # by that second
    for subject in dict.fromkeys(run.subject for run in runs):
        own = [run for run in runs if run.subject == subject and run.presented is None]
        begins = {float(run.film_start[run.in_film.argmax()]) for run in own if run.in_film.any()}
        names = {named.group() for run in own if (named := _RUN.search(run.name))}
        if len(begins) == 1 and len(names) > 1:
            parts.setdefault(begins.pop(), set()).update(names)
    lines = [
        f"{', '.join(sorted(names))} are all taken to begin at second {begin:g} of the film; if "
        "they show different parts, say in a column stim_onset with which second each begins"
        for begin, names in parts.items()
    ]
    return [replace(runs[0], warnings=[*runs[0].warnings, *lines]), *runs[1:]] if lines else runs


def scan_t_r(t_r: object) -> float:
    """A scan's repetition time (s) as a float.

    Raises ValueError or TypeError for less than 0.1 s, as for the config's, and for no number.

    >>> scan_t_r("1.5")
    1.5
    """
    if (checked := check_t_r(seconds(t_r))) < SHORTEST_T_R:
        raise ValueError(f"t_r is {checked}: no scanner is so fast. Give seconds.")
    return checked


def even_t_r(times: Sequence[float], n_scanned: int) -> float:
    """The repetition time (s) of volumes that were taken at ``times`` (n_scanned,), all alike.

    Raises ValueError for another number of times, and where they are not evenly spaced.

    >>> even_t_r([0.0, 1.5, 3.0], 3)
    1.5
    """
    if len(times) != n_scanned or n_scanned < 2:
        raise ValueError(f"{len(times)} times, but the scan has {n_scanned} volumes")
    steps = np.diff(times)
    if np.ptp(steps) > _OTHER_T_R:
        raise ValueError(
            f"volumes are {steps.min():g} to {steps.max():g} s apart (sparse sampling?): giblet "
            "reads scans with one TR"
        )
    return float(steps.mean())


def compare_t_r(of_header: float | None, t_r: float, file: str, source: str) -> list[str]:
    """A warning where the TR (s) in a file's header is not the one that ``source`` gives.

    Headers of 0 and 1 s say nothing: programs write these where they do not know the TR.

    >>> compare_t_r(1.5, 2.0, "a.nii.gz", "the sidecar")[0]
    'a.nii.gz: TR 1.5 s in its header, 2 s in the sidecar, which is used: check it'
    """
    if of_header in (None, *_NO_T_R) or abs(of_header - t_r) <= _OTHER_T_R:
        return []
    return [
        f"{file}: TR {of_header:g} s in its header, {t_r:g} s in {source}, which is used: check it"
    ]


def late_start(start_time: float, t_r: float, where: str) -> list[str]:
    """A warning where a volume counts as taken a TR (s) or more after it began, as ms would say.

    >>> late_start(0.75, 1.5, "a.json"), len(late_start(750, 1.5, "a.json"))
    ([], 1)
    """
    if start_time < t_r:
        return []
    return [
        f"{where} is {start_time:g} s, a TR or more ({t_r:g} s), by which every volume is later on "
        "the film's clock. fMRIPrep writes less than a TR; is it in seconds?"
    ]


def seconds(value: Any) -> float:
    """``value`` as a float; ValueError or TypeError for others, and for booleans."""
    if isinstance(value, bool | np.bool_):
        raise ValueError(f"{value} is no number of seconds")
    return float(value)


def displacement(confounds: pd.DataFrame, path: Path) -> np.ndarray:
    """Framewise displacement (n_scanned,) mm from fMRIPrep's six columns; NaN without all six.

    Raises
    ------
    GibletError
        Rotations in degrees.
    """
    if not set(MOTION) <= set(confounds):
        return np.full(len(confounds), np.nan)
    try:
        return framewise_displacement(confounds[list(MOTION)].apply(pd.to_numeric, errors="coerce"))
    except ValueError as error:
        raise GibletError(f"{path}: {error}") from None
