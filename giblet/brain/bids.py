"""The runs of a BIDS data set with fMRIPrep derivatives, and their tables."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from giblet.brain.bids_files import (
    data_set,
    derivatives,
    find_bold,
    inherited,
    is_surface,
    parse_name,
    preprocessed,
    raw_places,
    run_prefix,
    task_of,
)
from giblet.brain.confounds import by_strategy, read_confounds
from giblet.brain.events import film_times, read_events
from giblet.brain.recording import Recording, open_recording
from giblet.brain.runs import (
    MOTION,
    SAME_T_R,
    BoldRun,
    Layout,
    Presented,
    check_alike,
    compare_t_r,
    even_t_r,
    late_start,
    scan_t_r,
    seconds,
)
from giblet.brain.stimulus_clock import StimulusClock
from giblet.brain.stimulus_events import long_tail, presented_events
from giblet.brain.subjects import excluded_labels, misspelt_task_warnings, named_labels
from giblet.brain.surfaces import SurfaceRecording
from giblet.errors import GibletError, attempt, each, raise_together
from giblet.io.tables import load_json
from giblet.timing import acquisition_times


def read_runs(
    folder: Path,
    task: str | None,
    confounds: Sequence[str],
    strategy: Sequence[str] = (),
    space: str | None = None,
    raw: str | Path | None = None,
    stimuli: StimulusClock | None = None,
    exclude: Sequence[str] = (),
) -> list[BoldRun]:
    """Every run of one task, in the order of the file names; their images are not read yet.

    With ``stimuli`` runs of all tasks, or of those that ``task`` names, with commas between.
    ``space``: of the images, ``MNI152NLin2009cAsym`` unless another is named as fMRIPrep names it
    (``MNI152NLin6Asym:res-2``); a surface (``fsaverage5``, ``fsLR:den-91k``) is read from its two
    hemispheres or its greyordinates. ``raw``: the data set with the events tables, where it lies
    elsewhere than `giblet.brain.bids_files.raw_places`. ``stimuli``: where events present many,
    their clock; events are then read as by `giblet.brain.stimulus_events.read_stimulus_events`.
    ``exclude``: labels of subjects whose files are not read, with or without ``sub-``.

    Raises
    ------
    GibletError
        A file is missing or unreadable, two runs have one name, the scan ends before the film, or
        the runs have different films or TRs.
    """
    root = derivatives(folder)
    every = preprocessed(root, space)
    there = [path.name.partition("_")[0] for path in every]
    errors: list[GibletError] = []
    left_out = attempt(errors, excluded_labels, exclude, there, folder) or named_labels(exclude)
    if errors and left_out.issuperset(there):
        raise_together(errors)
    places = raw_places(root, None if raw is None else Path(raw))
    paths = find_bold(root, task, space, several=stimuli is not None, exclude=left_out)
    read_run = partial(
        _read_run, places=places, confounds=confounds, strategy=strategy, stimuli=stimuli
    )
    runs = attempt(errors, each, read_run, paths)
    raise_together(errors)
    if stimuli is None:
        chosen = task_of(paths[0])
        others = [p for p, s in zip(every, there, strict=True) if s not in left_out]
        lines = misspelt_task_warnings(paths, [p for p in others if task_of(p) != chosen])
        runs[0] = replace(runs[0], warnings=[*runs[0].warnings, *lines])
    return check_alike(runs, folder)


def _read_run(
    path: Path,
    places: list[Path],
    confounds: Sequence[str],
    strategy: Sequence[str],
    stimuli: StimulusClock | None,
) -> BoldRun:
    """Everything but the voxels; wrong tables are found before any image is read in full."""
    recording: Recording
    if is_surface(path):
        recording = SurfaceRecording.open(path)
    else:
        recording = open_recording(path, _mask_path(path))
    n_scanned = recording.n_volumes
    t_r, start_time, warnings = _read_sidecar(path, places, recording)
    errors: list[GibletError] = []
    cleaning = attempt(errors, _read_nuisance, path, n_scanned, confounds, strategy)
    scan_end = acquisition_times(n_scanned + 1, t_r)[-1]
    events_path = attempt(errors, _events_path, path, places)
    if events_path is None:
        events = None
    elif stimuli is None:
        events = attempt(errors, read_events, events_path, path, scan_end, t_r)
    else:
        events = attempt(errors, presented_events, events_path, path, scan_end, t_r, stimuli)
    raise_together(errors)
    steady, nuisance, displaced, kept, of_confounds = cleaning
    warnings += of_confounds + events.attrs["warnings"]
    if stimuli is not None:
        warnings += long_tail(events, path.name, scan_end)
    if echo := parse_name(path).entities.get("echo"):
        warnings.append(
            f"{run_prefix(path)}: echo {echo} alone is read; of a run with several echoes take the "
            "combination, which fMRIPrep writes without echo-"
        )
    times = acquisition_times(n_scanned, t_r, start_time)[steady]
    columns = (events[name].to_numpy(float) for name in ("onset", "duration", "stim_onset"))
    film_time, in_film, film_start = film_times(times, *columns)
    subject, _, name = run_prefix(path).partition("_")
    return BoldRun(
        recording=recording,
        subject=subject,
        name=name,
        stim_file="stimuli" if stimuli else str(events["stim_file"].iloc[0]),
        t_r=t_r,
        steady=steady,
        nuisance=nuisance,
        film_time=film_time,
        in_film=in_film,
        film_start=film_start,
        displacement=displaced,
        warnings=[*warnings, *_count_scrubbed(path, in_film, kept[steady])],
        kept=kept[steady],
        begin_is_assumed=stimuli is None and events.attrs["begin_is_assumed"],
        end_is_assumed=stimuli is None and events.attrs["end_is_assumed"],
        presented=None if stimuli is None else Presented(stimuli, events, times),
    )


def _read_nuisance(
    path: Path, n_scanned: int, confounds: Sequence[str], strategy: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Steady volumes (n_scanned,) bool, as of `read_confounds`; kept ones (n_scanned,) bool, as of
    `by_strategy`; warnings."""
    table, kept = _find_confounds(path), np.ones(n_scanned, dtype=bool)
    if table is None and not confounds and not strategy:
        unknown = (
            f"{run_prefix(path)}: no table of confounds: head motion is unknown, and the first "
            "volumes are taken as steady ones"
        )
        return kept, np.empty((n_scanned, 0)), np.full(n_scanned, np.nan), kept, [unknown]
    table = table or _no_confounds(path)
    of_table = confounds if not strategy else ()
    steady, nuisance, displaced = read_confounds(table, of_table, n_scanned)
    if strategy:
        nuisance, kept = by_strategy(table, strategy, steady)
    return steady, nuisance, displaced, kept, []


def _count_scrubbed(path: Path, in_film: np.ndarray, kept: np.ndarray) -> list[str]:
    """A warning where volumes of the film were scrubbed; GibletError where none is left.

    ``in_film`` and ``kept`` (n_volumes,) bool.
    """
    n_film, n_kept = int(in_film.sum()), int((in_film & kept).sum())
    if n_film and not n_kept:
        raise GibletError(
            f"{path}: scrub leaves no volume of the film; take it out of scan.confound_strategy, "
            "or this run out of the data set"
        )
    if n_film == n_kept:
        return []
    return [
        f"{run_prefix(path)}: {n_film - n_kept} of {n_film} volumes of the film scrubbed: they are "
        "out of the film and of the cleaning"
    ]


def _mask_path(path: Path) -> Path:
    """The brain mask of a BOLD file, in the same space."""
    entities = parse_name(path).entities
    needed = {key: entities[key] for key in ("space", "res", "cohort") if key in entities}
    root, own = data_set(path), path.name[path.name.index(".") :]
    for extension in (own, ".nii.gz" if own == ".nii" else ".nii"):  # one may be unpacked alone
        if masks := inherited(path, root, "mask", extension, root=root, **needed, desc="brain"):
            return masks[0]
    return path.with_name(path.name.replace("preproc_bold", "brain_mask"))


def sidecar_of(path: Path, places: Sequence[Path] = ()) -> tuple[dict, list[str]]:
    """The JSON sidecars of a BOLD file, merged as BIDS inherits them, and warnings.

    The TR comes from raw data in ``places`` where the derivatives do not have it. GibletError for
    files that are unreadable, and for none.
    """
    root = data_set(path)
    files = inherited(path, root, "bold", ".json", root=root)
    sidecar: dict = {}
    for file in reversed(files):
        sidecar |= {key: value for key, value in load_json(file).items() if value is not None}
    if _TIMING & sidecar.keys():
        return sidecar, []
    for place in places:
        for file in inherited(path, place, "bold", ".json", root=root) if place != root else []:
            raw = load_json(file)
            timing = {key: raw[key] for key in _TIMING & raw.keys()}
            if timing:
                warning = f"{path.name}: its TR is that of the raw data ({file})"
                return sidecar | timing, [warning]
    if not files:  # names the file that fMRIPrep writes
        load_json(path.with_name(path.name[: path.name.index(".")] + ".json"))
    return sidecar, []


_TIMING = {"RepetitionTime", "VolumeTiming"}


def _read_sidecar(
    path: Path, places: list[Path], recording: Recording
) -> tuple[float, float, list[str]]:
    """RepetitionTime and the time of the first volume (s), and warnings.

    fMRIPrep writes StartTime when it corrects slice timing. Regular VolumeTiming is a TR, too.
    """
    sidecar, warnings = sidecar_of(path, places)
    of_header = recording.header_t_r
    name = path.name[: path.name.index(".")] + ".json"
    if not _TIMING & sidecar.keys():
        header = f"; the image's header has {of_header:g} s" if of_header else ""
        raise GibletError(
            f'{path.with_name(name)}: TR missing from the sidecar; add "RepetitionTime" in '
            f"seconds{header}"
        )
    key, first = "RepetitionTime or StartTime", 0.0
    try:
        start_time = seconds(sidecar.get("StartTime", 0.0))
        stated = scan_t_r(sidecar["RepetitionTime"]) if "RepetitionTime" in sidecar else None
        if "VolumeTiming" in sidecar:
            key = "VolumeTiming"
            times = [seconds(time) for time in sidecar[key]]
            t_r, first = scan_t_r(even_t_r(times, recording.n_volumes)), times[0]
            if stated is not None and abs(t_r - stated) > SAME_T_R:
                raise ValueError(
                    f"volumes are {t_r:g} s apart, but RepetitionTime is {stated:g} s; delete the "
                    "wrong one"
                )
        if stated is not None:
            t_r = stated
    except (TypeError, ValueError, OverflowError) as error:
        raise GibletError(f"{path.with_name(name)}: {key}: {error}") from None
    if not 0 <= start_time <= 60:
        raise GibletError(
            f"{path.with_name(name)}: StartTime is {start_time}; give seconds since the scan began"
        )
    if "StartTime" not in sidecar:
        corrected = sidecar.get("SliceTimingCorrected") is True
        advice = "; slice timing was corrected: by fMRIPrep to half a TR. Add it in seconds"
        warnings.append(f"{name}: no StartTime, taken as 0 s{advice * corrected}")
    warnings += late_start(start_time, t_r, f"{name}: StartTime")
    warnings += compare_t_r(of_header, t_r, path.name, "the sidecar")
    return t_r, first + start_time, warnings


def _find_confounds(path: Path) -> Path | None:
    """The confounds table of a BOLD file; fMRIPrep before 20.2 called it ``regressors``."""
    root = data_set(path)
    for kind in ("timeseries", "regressors"):
        if tables := inherited(path, root, kind, ".tsv", root=root, desc="confounds"):
            return tables[0]
    return None


def _no_confounds(path: Path) -> Path:
    """GibletError that says what to do where a BOLD file has no table of confounds."""
    expected = path.with_name(f"{run_prefix(path)}_desc-confounds_timeseries.tsv")
    others = sorted(path.parent.glob(f"{run_prefix(path)}_*.tsv"))
    there = ", ".join(p.name for p in others if parse_name(p).suffix in _OF_CONFOUNDS)
    if there:
        raise GibletError(
            f"{expected}: no such file; there: {there}. Rename the table of confounds"
        )
    subject = run_prefix(path).partition("_")[0]
    raise GibletError(
        f"{expected}: no such file; copy it from fMRIPrep's output, set scan.confounds: [] to "
        f"regress out nothing, or leave the subject out (scan.exclude_subjects: [{subject}])"
    )


_OF_CONFOUNDS = ("timeseries", "regressors", "confounds")  # suffixes


def _events_path(path: Path, places: list[Path]) -> Path:
    """The events table, by inheritance, beside the BOLD file or in the raw data."""
    root = data_set(path)
    for place in places:
        if tables := inherited(path, place, "events", ".tsv", root=root):
            return tables[0]
    expected = path.with_name(f"{run_prefix(path)}_events.tsv")
    raise GibletError(
        f"{expected}: no such file; it says when the film began. Looked in {root}, above it and in "
        "sourcedata/raw. Write it (columns onset, duration, stim_file, stim_onset: step 2 of "
        "notes/first_run.md), or set scan.raw to the BIDS data set with the events"
    )


def _read_data_set(
    folder: Path,
    task: str | None,
    confounds: Sequence[str] | None,
    strategy: Sequence[str],
    **places: Any,
) -> list[BoldRun]:
    return read_runs(folder, task, MOTION if confounds is None else confounds, strategy, **places)


def _makers(folder: Path) -> list[dict]:
    """The programs that made the data set, by its description."""
    description = derivatives(folder) / "dataset_description.json"
    makers = load_json(description).get("GeneratedBy") if description.exists() else None
    makers = makers if isinstance(makers, list) else []
    return [maker for maker in makers if isinstance(maker, dict) and "Name" in maker]


def _origin(folder: Path) -> str:
    """The folder's name, and the programs that made the data set."""
    return ", ".join([folder.name, *(str(maker["Name"]) for maker in _makers(folder))])


def _preprocessing(folder: Path) -> str:
    """The programs that made the data set, with their versions."""
    names = [f"{maker['Name']} {maker.get('Version', '')}".strip() for maker in _makers(folder)]
    return ", ".join(names)


BIDS = Layout(Path.is_dir, _read_data_set, lambda folder: [folder], _origin, _preprocessing)
