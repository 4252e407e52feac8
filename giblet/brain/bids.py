"""The runs of a BIDS data set with fMRIPrep derivatives, and their tables."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from giblet.brain.events import film_times, read_events
from giblet.brain.recording import open_recording
from giblet.brain.runs import MOTION, BoldRun, Layout, check_alike, displacement, scan_t_r, seconds
from giblet.errors import GibletError
from giblet.io.paths import check_file
from giblet.io.tables import load_json, load_table
from giblet.timing import acquisition_times

SPACE = "MNI152NLin2009cAsym"
_BOLD_ENDING = "_desc-preproc_bold.nii.gz"


def read_runs(
    folder: Path, task: str | None, confounds: Sequence[str], strategy: Sequence[str] = ()
) -> list[BoldRun]:
    """Every run of one task, in the order of the file names; their images are not read yet.

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
    """BOLD files of one task, sorted; GibletError for two of one subject and run."""
    pattern = f"*_space-{SPACE}*{_BOLD_ENDING}"
    paths = sorted([*root.glob(f"sub-*/func/{pattern}"), *root.glob(f"sub-*/ses-*/func/{pattern}")])
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
    mask = path.with_name(path.name.replace("preproc_bold", "brain_mask"))
    recording = open_recording(path, mask)
    n_scanned = recording.n_volumes
    t_r, start_time, warnings = _read_sidecar(
        path.with_name(path.name[: -len(".nii.gz")] + ".json")
    )
    steady, nuisance, displaced = _read_confounds(_confounds_path(path), confounds, n_scanned)
    if strategy:
        nuisance = _by_strategy(path, strategy)[steady]
    scan_end = acquisition_times(n_scanned + 1, t_r)[-1]
    events = read_events(_events_path(path), path, scan_end, t_r)
    warnings += events.attrs["warnings"]
    times = acquisition_times(n_scanned, t_r, start_time)[steady]
    columns = (events[name].to_numpy(float) for name in ("onset", "duration", "stim_onset"))
    film_time, in_film, film_start = film_times(times, *columns)
    subject, _, name = _prefix(path).partition("_")
    return BoldRun(
        recording=recording,
        subject=subject,
        name=name,
        stim_file=str(events["stim_file"].iloc[0]),
        t_r=t_r,
        steady=steady,
        nuisance=nuisance,
        film_time=film_time,
        in_film=in_film,
        film_start=film_start,
        displacement=displaced,
        warnings=warnings,
    )


def _read_sidecar(path: Path) -> tuple[float, float, list[str]]:
    """RepetitionTime and StartTime (s), and warnings.

    fMRIPrep writes StartTime when it corrects slice timing.
    """
    sidecar = load_json(path)
    if "RepetitionTime" not in sidecar:
        raise GibletError(f'{path}: TR missing from the sidecar; add "RepetitionTime" in seconds')
    try:
        t_r = scan_t_r(sidecar["RepetitionTime"])
        start_time = seconds(sidecar.get("StartTime", 0.0))
    except (TypeError, ValueError, OverflowError) as error:
        raise GibletError(f"{path}: RepetitionTime or StartTime: {error}") from None
    if not 0 <= start_time <= 60:
        raise GibletError(f"{path}: StartTime is {start_time}; give seconds since the scan began")
    missing = [] if "StartTime" in sidecar else [f"{path.name}: no StartTime, taken as 0 s"]
    return t_r, start_time, missing


def _confounds_path(path: Path) -> Path:
    """The confounds table of a BOLD file; fMRIPrep before 20.2 called it ``regressors``."""
    current, old = (
        path.with_name(f"{_prefix(path)}_desc-confounds_{kind}.tsv")
        for kind in ("timeseries", "regressors")
    )
    return old if old.is_file() and not current.is_file() else current


def _read_confounds(path: Path, names: Sequence[str], n_scanned: int):
    """Mask of steady volumes (n_scanned,) bool, and of these the columns ``names``
    (n_volumes, n_names) and the framewise displacement (n_volumes,)."""
    table = load_table(path)
    if len(table) != n_scanned:
        raise GibletError(f"{path}: {len(table)} rows, but the scan has {n_scanned} volumes")
    missing = [name for name in names if name not in table]
    if missing:
        raise GibletError(f"{path}: no confound column {', '.join(missing)}")
    unsteady = table.filter(regex="^non_steady_state_outlier").any(axis=1).to_numpy()
    values = table[list(names)].apply(pd.to_numeric, errors="coerce")
    values.iloc[:2] = values.iloc[:2].bfill()  # a derivative begins with n/a, as nilearn has it
    values = values[~unsteady].to_numpy(float)
    if not np.isfinite(values).all():
        raise GibletError(f"{path}: n/a among the confounds ({', '.join(names)}) after volume 1")
    return ~unsteady, values, displacement(table, path)[~unsteady]


def _by_strategy(path: Path, strategy: Sequence[str]) -> np.ndarray:
    """The confounds (n_scanned, n_confounds) that nilearn's ``load_confounds`` gives."""
    from nilearn.interfaces.fmriprep import load_confounds

    if (sidecar := _confounds_path(path).with_suffix(".json")).exists():
        check_file(sidecar)
    try:
        table, _steady = load_confounds(str(path), strategy=tuple(strategy), demean=False)
    except Exception as error:  # nilearn takes the JSON beside the table as it is
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise GibletError(f"{path}: no confounds by {', '.join(strategy)} ({reason})") from None
    return table.to_numpy(float)


def _events_path(path: Path) -> Path:
    """The events table, beside the BOLD file or in the raw data set two folders above."""
    name = f"{_prefix(path)}_events.tsv"
    root = next(parent for parent in path.parents if parent.name.startswith("sub-")).parent
    raw = root.parent.parent / path.relative_to(root).with_name(name)
    for candidate in (path.with_name(name), raw):
        if candidate.is_file():
            return candidate
    raise GibletError(f"{path.with_name(name)}: no such file; it says when the film began")


def _read_data_set(
    folder: Path, task: str | None, confounds: Sequence[str] | None, strategy: Sequence[str]
) -> list[BoldRun]:
    return read_runs(folder, task, MOTION if confounds is None else confounds, strategy)


def _origin(folder: Path) -> str:
    """The folder's name, and who made the data set, by its description."""
    description = derivatives(folder) / "dataset_description.json"
    makers = load_json(description).get("GeneratedBy") if description.exists() else None
    makers = makers if isinstance(makers, list) else []
    named = [maker for maker in makers if isinstance(maker, dict) and "Name" in maker]
    return ", ".join([folder.name, *(str(maker["Name"]) for maker in named)])


BIDS = Layout(Path.is_dir, _read_data_set, lambda folder: [folder], _origin)
