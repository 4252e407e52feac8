"""Finding the runs of a BIDS data set and reading their tables; the voxels are bold.py's."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from giblet.brain.events import film_times, read_events
from giblet.brain.images import open_image
from giblet.brain.qc import framewise_displacement
from giblet.errors import GibletError
from giblet.io.paths import check_file
from giblet.io.tables import load_json, load_table
from giblet.timing import acquisition_times, check_t_r

MOTION = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
SPACE = "MNI152NLin2009cAsym"
SHORTEST_T_R = 0.1  # s
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_BOLD_ENDING = "_desc-preproc_bold.nii.gz"


@dataclass(frozen=True)
class BoldRun:
    """One run: where it is and what its tables say; the image itself is read later."""

    path: Path
    subject: str
    name: str
    stim_file: str
    t_r: float
    steady: np.ndarray  # (n_scanned,) bool
    nuisance: np.ndarray  # (n_volumes, n_confounds): steady volumes only
    film_time: np.ndarray  # (n_volumes,) s
    in_film: np.ndarray  # (n_volumes,) bool
    film_start: np.ndarray  # (n_volumes,) s
    displacement: np.ndarray  # (n_volumes,) mm from the volume before, NaN where unknown
    mask: Path | None = None  # where the brain is, for an image of voxels
    columns: list[str] = field(default_factory=list)  # names, of anything else
    series: np.ndarray | None = None  # (n_scanned, n_columns), of a file that is read whole
    warnings: list[str] = field(default_factory=list)

    @property
    def n_volumes(self) -> int:
        """Steady ones."""
        return len(self.film_time)

    def volumes(self) -> pd.DataFrame:
        """One row per steady volume."""
        names = ("film_time", "in_film", "film_start")
        table = pd.DataFrame({name: getattr(self, name) for name in names})
        return table.assign(subject=self.subject, run=self.name)


def check_alike(runs: list[BoldRun], source: Path) -> list[BoldRun]:
    """``runs``, if they have one TR and one film, and labels to print; otherwise GibletError."""
    for run in runs:
        for label in (run.subject, run.name, run.stim_file):
            if not label.removeprefix("sub-").strip() or _UNPRINTABLE.search(label):
                raise GibletError(
                    f"{source}: {run.path.name}: {label!r} cannot be the name of a subject, a run "
                    "or a film: it is empty, or has control characters. Rename it"
                )
    for name in ("t_r", "stim_file"):
        files = {getattr(run, name): run.path.name for run in runs}
        if len(files) > 1:
            listed = "; ".join(f"{value} in {file}" for value, file in files.items())
            raise GibletError(f"{source}: runs differ in {name} ({listed}); load them apart")
    return runs


def scan_t_r(t_r: object) -> float:
    """`giblet.timing.check_t_r` of a scan's, from 0.1 s on as the config's; ValueError, TypeError.

    >>> scan_t_r("1.5")
    1.5
    """
    if (seconds := check_t_r(_number(t_r))) < SHORTEST_T_R:
        raise ValueError(f"t_r is {seconds}: no scanner is so fast. Give seconds.")
    return seconds


def _number(value: object) -> float:
    """``float`` takes true for 1."""
    if isinstance(value, bool | np.bool_):
        raise ValueError(f"{value} is no number of seconds")
    return float(value)


def read_runs(
    folder: Path, task: str | None, confounds: Sequence[str], strategy: Sequence[str] = ()
) -> list[BoldRun]:
    """The tables of every run of one task, in the order of the file names.

    Raises
    ------
    GibletError
        A file is missing or unreadable, two runs have one name, the scan ends before the film, or
        the runs have different films or TRs.
    """
    paths = _find_bold(derivatives(folder), task)
    return check_alike([_read_run(path, confounds, strategy) for path in paths], folder)


def derivatives(folder: Path) -> Path:
    """The folder that holds ``sub-*``: ``folder/derivatives/fmriprep`` where there is one."""
    if not folder.is_dir():
        raise GibletError(f"{folder}: no such folder; give a BIDS data set")
    inside = folder / "derivatives" / "fmriprep"
    return inside if inside.is_dir() else folder


def _find_bold(root: Path, task: str | None) -> list[Path]:
    """BOLD files of one task, sorted; the subject and run in a name are unique."""
    wanted = f"*_space-{SPACE}*{_BOLD_ENDING}"
    paths = sorted([*root.glob(f"sub-*/func/{wanted}"), *root.glob(f"sub-*/ses-*/func/{wanted}")])
    tasks = sorted({path.name.split("_task-")[-1].split("_")[0] for path in paths})
    if not paths or task not in (None, *tasks):
        raise GibletError(
            f"{root}: no BOLD file sub-*/func/*_task-{task or '*'}_space-{SPACE}*{_BOLD_ENDING}"
            + (f"; tasks there: {', '.join(tasks)}" if tasks else "; run fMRIPrep first")
        )
    if task is None and len(tasks) > 1:
        raise GibletError(f"{root}: several tasks ({', '.join(tasks)}): say which one to read")
    paths = [path for path in paths if f"_task-{task or tasks[0]}_" in path.name]
    seen: dict[str, Path] = {}
    for path in paths:
        other = seen.setdefault(_prefix(path), path)
        if other is not path:
            raise GibletError(f"{path}: two files for one run, the other is {other.name}; keep one")
    return paths


def _prefix(path: Path) -> str:
    return path.name.split("_space-")[0]


def _read_run(path: Path, confounds: Sequence[str], strategy: Sequence[str]) -> BoldRun:
    """Everything but the voxels; wrong tables are found before any image is read in full."""
    prefix, shape = _prefix(path), open_image(path).shape
    if len(shape) != 4:
        raise GibletError(f"{path}: BOLD must have 4 dimensions, this image has {len(shape)}")
    t_r, start_time, warnings = _read_sidecar(
        path.with_name(path.name[: -len(".nii.gz")] + ".json")
    )
    steady, nuisance, moved = _read_confounds(_confounds_path(path), confounds, n_scanned=shape[3])
    if strategy:
        nuisance = _by_strategy(path, strategy)[steady]
    scan_end = acquisition_times(shape[3] + 1, t_r)[-1]
    events = read_events(_events_path(path), path, scan_end, t_r)
    times = acquisition_times(shape[3], t_r, start_time)[steady]
    columns = (events[name].to_numpy(float) for name in ("onset", "duration", "stim_onset"))
    film_time, in_film, film_start = film_times(times, *columns)
    subject, _, name = prefix.partition("_")
    stim_file = str(events["stim_file"].iloc[0])
    clock = {"t_r": t_r, "film_time": film_time, "in_film": in_film, "film_start": film_start}
    tables = {"steady": steady, "nuisance": nuisance, "displacement": moved, "warnings": warnings}
    mask = path.with_name(path.name.replace("preproc_bold", "brain_mask"))
    return BoldRun(path, subject, name, stim_file, **clock, **tables, mask=mask)


def _read_sidecar(path: Path) -> tuple[float, float, list[str]]:
    """RepetitionTime and StartTime (s); fMRIPrep writes StartTime when it corrects slice timing."""
    sidecar = load_json(path)
    if "RepetitionTime" not in sidecar:
        raise GibletError(f'{path}: TR missing from the sidecar; add "RepetitionTime" in seconds')
    try:
        t_r = scan_t_r(sidecar["RepetitionTime"])
        start_time = _number(sidecar.get("StartTime", 0.0))
    except (TypeError, ValueError, OverflowError) as error:
        raise GibletError(f"{path}: RepetitionTime or StartTime: {error}") from None
    if not 0 <= start_time <= 60:
        raise GibletError(f"{path}: StartTime is {start_time}; give seconds since the scan began")
    missing = [] if "StartTime" in sidecar else [f"{path.name}: no StartTime, taken as 0 s"]
    return t_r, start_time, missing


def _confounds_path(path: Path) -> Path:
    """Of a BOLD file; fMRIPrep before 20.2 wrote ``regressors`` for ``timeseries``."""
    now, before = (
        path.with_name(f"{_prefix(path)}_desc-confounds_{kind}.tsv")
        for kind in ("timeseries", "regressors")
    )
    return before if before.is_file() and not now.is_file() else now


def _read_confounds(path: Path, names: Sequence[str], n_scanned: int):
    """Steady volumes (n_scanned,) bool; there, the named columns (n_volumes, n_names) and the
    framewise displacement (n_volumes,)."""
    table = load_table(path)
    if len(table) != n_scanned:
        raise GibletError(f"{path}: {len(table)} rows, but the scan has {n_scanned} volumes")
    missing = [name for name in names if name not in table]
    if missing:
        raise GibletError(f"{path}: no confound column {', '.join(missing)}")
    dropped = table.filter(regex="^non_steady_state_outlier").any(axis=1).to_numpy()
    values = table[list(names)].apply(pd.to_numeric, errors="coerce")
    values.iloc[:2] = values.iloc[:2].bfill()  # a derivative begins with n/a, as nilearn has it
    values = values[~dropped].to_numpy(float)
    if not np.isfinite(values).all():
        raise GibletError(f"{path}: n/a among the confounds ({', '.join(names)}) after volume 1")
    return ~dropped, values, displacement(table, path)[~dropped]


def _by_strategy(path: Path, strategy: Sequence[str]) -> np.ndarray:
    """The confounds (n_scanned, n_confounds) that nilearn's ``load_confounds`` gives."""
    from nilearn.interfaces.fmriprep import load_confounds

    if (beside := _confounds_path(path).with_suffix(".json")).exists():
        check_file(beside)
    try:
        table, _steady = load_confounds(str(path), strategy=tuple(strategy), demean=False)
    except Exception as error:  # nilearn takes the JSON beside the table as it is
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise GibletError(f"{path}: no confounds by {', '.join(strategy)} ({reason})") from None
    return table.to_numpy(float)


def displacement(confounds: pd.DataFrame, path: Path) -> np.ndarray:
    """Framewise displacement (n_scanned,) mm by fMRIPrep's six columns; NaN where one is missing.

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


def _events_path(path: Path) -> Path:
    """The events table, beside the BOLD file or in the raw data set two folders above."""
    name = f"{_prefix(path)}_events.tsv"
    root = next(parent for parent in path.parents if parent.name.startswith("sub-")).parent
    raw = root.parent.parent / path.relative_to(root).with_name(name)
    for candidate in (path.with_name(name), raw):
        if candidate.is_file():
            return candidate
    raise GibletError(f"{path.with_name(name)}: no such file; it says when the film began")
