"""The config that ``giblet init`` writes for a film, a sound, a BIDS folder or a table of runs."""

import contextlib
import mimetypes
import re
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from giblet.audio.stimuli import header_clock
from giblet.brain.bids import read_runs, sidecar_of
from giblet.brain.bids_files import (
    SPACE,
    bold_images,
    derivatives,
    find_bold,
    list_spaces,
    preprocessed,
    raw_places,
    task_of,
)
from giblet.brain.bold import find_layout, read_data_set
from giblet.brain.run_table import OPTIONAL
from giblet.brain.runs import MOTION, BoldRun
from giblet.brain.stimulus_clock import StimulusClock
from giblet.brain.subjects import misspelt_task_warnings
from giblet.errors import GibletError
from giblet.film.annotations import ENDINGS, read_annotations
from giblet.film.container import header_seconds, open_film
from giblet.film.tracks import choice_message, choose_tracks, sound_tracks
from giblet.film.video_tracks import choose_video, video_choice
from giblet.io.paths import check_name
from giblet.io.tables import is_table
from giblet.log import plain_line, visible
from giblet.music.score_files import find_score, read_score

Line = tuple[str, object, str]  # key, value, comment
STOP, NOT_READY, LEFT_OUT = "WOULD STOP: ", "not ready yet: ", "LEFT OUT: "
WARNING = "WARNING: "
_SHORT = 0.1  # s: a TR that no stimulus is shorter than
_MOST_OPENED = 10  # files that may be the film
_NO_FILM = "a film or audio file; without one: text and scans alone"


def first_config(
    source: Path,
    name: str = "config.yaml",
    film: Path | None = None,
    annotations: Path | None = None,
) -> str:
    """The text of a config file, to be called ``name``, for a film, a sound, a BIDS folder or a
    table of runs.

    ``film`` and ``annotations``: of scans, or of a film, where they lie elsewhere.

    Raises
    ------
    GibletError
        Neither a film with sound, nor a folder with BOLD that fMRIPrep made, nor a table with the
        columns that a table of runs needs; a name that is not UTF-8; a ``film`` or ``annotations``
        that cannot be read.
    """
    runs: list[BoldRun] = []
    if source.is_dir():
        lines, runs = _bids_lines(source)
    elif is_table(source):
        lines, runs = _table_lines(source)
    elif film is None:
        lines = _film_lines(source)
    else:
        raise GibletError(f"{source} is a film, and so is {film}: name one")
    lines = _with_named(lines, film, annotations)
    chosen = next((str(value) for key, value, _ in lines if key == "film"), "none")
    timeline = _timeline(runs, None if chosen == "none" else Path(chosen))
    tail = [f"# {visible(' '.join(line.splitlines()))}" for line in timeline]
    named = [
        f" --{key} {shlex.quote(str(path))}"
        for key, path in (("film", film), ("annotations", annotations))
        if path is not None
    ]
    head = [f"Written by: giblet init {shlex.quote(str(source))}{''.join(named)}"]
    head += [f"giblet doctor --config {shlex.quote(name)}"]
    head += [f"snakemake --cores 8 report --configfile {shlex.quote(name)}"]
    head += ["Every key, its default and its limits: config/README.md"]
    head = [f"# {plain_line(line)}" for line in head]
    return "\n".join([*head, *map(_written, lines), *tail]) + "\n"


def _with_named(lines: list[Line], film: Path | None, annotations: Path | None) -> list[Line]:
    """``lines`` with the film and the annotations that were named, if they can be read."""
    named: dict[str, Line] = {}
    if film is not None:
        named = {"film": ("film", str(film), _about(film)), "annotations": _annotations_line(film)}
    if annotations is not None:
        n_rows = len(read_annotations(annotations))
        named["annotations"] = ("annotations", str(annotations), f"rows: {n_rows}")
    return [named.get(line[0], line) for line in lines]


def _timeline(runs: list[BoldRun], film: Path | None) -> list[str]:
    """The seconds of film that each run showed, and what would stop the match of film and scans.

    Warnings of subjects that lack many TRs, and of a ``film`` that ends before the events do.
    """
    from giblet.alignment.sync import match_runs, missed_warnings
    from giblet.commands.doctor.scan_checks import beyond_film_warnings, shown_lines
    from giblet.timing import trs_for

    if not runs or runs[0].presented is not None:  # of many stimuli there is no timeline
        return []
    lines: list[str] = []
    t_r, scanned = runs[0].t_r, max(float(run.film_time.max()) for run in runs)
    try:
        lines = shown_lines(runs, t_r)
        if film is not None and (seconds := _length(film)):
            lines += [WARNING + w for w in beyond_film_warnings(runs, seconds, film.name)]
        match = match_runs(runs, t_r, max(1, trs_for(scanned, t_r) + 1))
    except GibletError as error:
        return [*lines, f"{STOP}{error}"]
    return lines + [WARNING + warning for warning in missed_warnings(match)]


def _length(film: Path) -> float:
    """Seconds by the film's header; 0 where it has none."""
    with open_film(film) as opened:
        return header_seconds(opened, film)


def _written(line: Line) -> str:
    """
    >>> _written(("film", "it's: mine.mp4", "10 s"))
    "film: 'it''s: mine.mp4'  # 10 s"
    """
    import yaml

    key, value, comment = line
    plain = str(value).isprintable()  # YAML takes some of the others for line ends
    stated = yaml.safe_dump({key: value}, allow_unicode=plain, width=2**16).strip()
    return f"{stated}  # {plain_line(comment)}" if comment else stated


def _name(text: str) -> str:
    """A dataset's name of letters, digits, _ and -; not the demo's.

    >>> _name("it's a film"), _name("My study (2024)_film"), _name("demo"), _name("映画")
    ('it-s-a-film', 'My-study-2024_film', 'my-demo', 'mine')
    """
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", text).replace("-_", "_").strip("-") or "mine"
    return "my-demo" if name == "demo" else name


def _film_lines(film: Path) -> list[Line]:
    return [
        ("dataset", _name(film.stem), "the folder in results/"),
        ("film", str(film), _about(film)),
        _annotations_line(film),
        *_score_lines(film),
        ("bold", "none", "a BIDS derivatives folder or a table of runs: notes/data.md"),
        ("t_r", 1.5, "s; the default: with a scan it must be the scan's own"),
    ]


def _about(film: Path) -> str:
    """The parts that giblet can use, and which of several tracks."""
    with open_film(film) as opened:
        chosen, tracks = choose_tracks(opened, None, film), sound_tracks(opened)
        about = "sound and video" if choose_video(opened, film) else "sound, no video"
        video = video_choice(opened, film)
    sound = choice_message(chosen, tracks) if len(tracks) > 1 else ""
    return "; ".join(filter(None, [about, sound, video]))


def _annotations_line(film: Path) -> Line:
    """The first file beside a film, of its name (``film.srt``, ``film.en.vtt``), that is read."""
    beside = sorted(film.parent.glob("*"), key=lambda path: (path.stem != film.stem, path))
    named = [p for p in beside if p.stem == film.stem or p.name.startswith(f"{film.stem}.")]
    candidates = [p for p in named if p.suffix.lower() in ENDINGS and p.is_file()]
    if not candidates:
        return ("annotations", "none", f"no {film.stem}{{{','.join(ENDINGS)}}} beside the film")
    problems = []
    for path in candidates:
        try:
            words = read_annotations(path)
        except GibletError as error:
            problems.append(f"{LEFT_OUT}{error}; see words. in config/README.md")
            continue
        others = ", ".join(p.name for p in candidates if p != path)
        comment = f"beside the film; rows: {len(words)}" + (
            f"; also there: {others}" * bool(others)
        )
        return ("annotations", str(path), "; ".join([comment, *words.attrs["warnings"]]))
    return ("annotations", "none", problems[0])


def _score_lines(film: Path) -> list[Line]:
    """The score beside a film, of its name, if there is one."""
    if (path := find_score(film)) is None:
        return []
    try:
        notes = read_score(path)
    except GibletError as error:
        return [("score", "none", f"{LEFT_OUT}{error}")]
    about = f"beside the film; notes: {len(notes)}, {notes.onset[0]:.1f} to {notes.end:.1f} s"
    return [("score", str(path), "; ".join([about, *notes.warnings]))]


def _table_lines(table: Path) -> tuple[list[Line], list[BoldRun]]:
    """A table of runs, as far as its runs can be read, and the runs."""
    for path in find_layout(table).files(table):
        check_name(path)
    stimuli: list[Line] = []
    try:
        runs, problem = read_data_set(table), ""
    except GibletError as error:
        stimuli, runs = _many_stimuli([table.parent / "stimuli"], partial(read_data_set, table))
        problem = "" if runs else f"{NOT_READY}{error}"
    lines: list[Line] = [
        ("dataset", _name(table.name.split(".")[0]), "the folder in results/"),
        *(stimuli or _stimulus_lines(runs, table.name, [table.parent / "stimuli", table.parent])),
        ("bold", str(table), problem or _counted(runs)),
        ("t_r", runs[0].t_r, f"s; from {table.name}")
        if runs
        else ("t_r", 1.5, "s; the default: with a scan it must be the scan's own"),
    ]
    return lines, runs


def _many_stimuli(
    places: list[Path], read: Callable[..., list[BoldRun]]
) -> tuple[list[Line], list[BoldRun]]:
    """The folder, one of ``places``, that has every sound that the events name, and the runs.

    Nothing where there is none. ``read`` takes the clock of the stimuli as ``stimuli``.
    """
    for folder in dict.fromkeys(place for place in places if place.is_dir()):
        with contextlib.suppress(GibletError):
            clock = header_clock(folder, _SHORT)
            t_r = read(stimuli=clock)[0].t_r  # the layout of stimuli in TRs needs it
            clock = header_clock(folder, t_r)
            runs = read(stimuli=clock)
            n = len(clock.names)
            lines: list[Line] = [("stimuli", str(folder), f"{n} sounds or films, named by events")]
            if n_scores := sum(map(bool, clock.scores)):
                lines.append(("score", "auto", f"beside {n_scores} of them"))
            return lines + _rest_lines(runs, clock), runs
    return [], []


def _rest_lines(runs: list[BoldRun], clock: StimulusClock) -> list[Line]:
    """``events.rest_seconds`` where silence follows stimuli that are shorter than the response."""
    from giblet.alignment.stimulus_warnings import REST, response_seconds, shorter_than_response

    short = shorter_than_response(clock)
    shown = [run.presented for run in runs if run.presented is not None]
    silence = np.concatenate([one.silence[short[one.events["stimulus"]]] for one in shown])
    if not len(silence) or np.median(silence) < clock.t_r:
        return []
    response = f"the response ({response_seconds(clock.t_r):g} s)"
    comment = (
        f"s of silence after each, up to the next onset: {short.sum()} stimuli are shorter than "
        f"{response}, and {np.median(silence):.3g} s follow (median)"
    )
    return [("events", {"rest_seconds": REST}, comment)]


def _counted(runs: list[BoldRun]) -> str:
    return f"{len({run.subject for run in runs})} subjects, {len(runs)} runs"


def _bids_lines(folder: Path) -> tuple[list[Line], list[BoldRun]]:
    root = derivatives(folder)
    images = sorted(bold_images(root))
    if not images and not any(root.glob("sub-*")):
        raise GibletError(
            f"{folder}: no sub-* folders, so no BIDS data set. Name one film; for "
            "many sounds set stimuli in a config"
        )
    for path in images:
        check_name(path)
    spaces = list_spaces(images)
    space = _choose_space(spaces)
    paths = preprocessed(root, space) or find_bold(root, None, space)  # which says what is there
    task, others = _choose_task(paths)
    comment = f"also there: {', '.join(others)}" if others else "the only one"
    data = _data_set(folder, root)
    near = [top / "stimuli" for top in raw_places(root)]
    places = [data / "stimuli", data, root, *near]
    stimuli: list[Line] = []
    try:
        runs, problem = read_runs(folder, task, MOTION, space=space), ""
    except GibletError as error:
        read = partial(read_runs, folder, task, MOTION, space=space)
        stimuli, runs = _many_stimuli([data / "stimuli", *near], read)
        problem = "" if runs else f"{NOT_READY}{error}"
    own = [path for path in paths if task_of(path) == task]
    misspelt = misspelt_task_warnings(own, [path for path in paths if task_of(path) != task])
    if misspelt and not stimuli:
        comment = f"{WARNING}{'; '.join(misspelt)}"
    of_space: list[Line] = []
    if space:
        also = ", ".join(other for other in spaces if other != space)
        comment_space = f"also there: {also}" if also else "the only one of a template"
        of_space = [("scan", {"space": space}, comment_space)]
    lines: list[Line] = [
        ("dataset", _name(f"{data.resolve().name}_{task}"), "the folder in results/"),
        *(stimuli or _stimulus_lines(runs, "events.tsv", places)),
        ("bold", str(folder), problem or _counted(runs)),
        ("task", task, comment),
        _t_r_line(next(p for p in paths if task_of(p) == task), raw_places(root), runs),
        *of_space,
    ]
    return lines, runs


def _choose_space(spaces: list[str]) -> str | None:
    """None where the default space is there once; else that with the least in its name, or another.

    >>> _choose_space(["MNI152NLin2009cAsym", "MNI152NLin6Asym"])
    >>> _choose_space(["MNI152NLin6Asym:res-2"])
    'MNI152NLin6Asym:res-2'
    """
    usual = [space for space in spaces if space.split(":")[0] == SPACE]
    return None if len(usual) == 1 or not spaces else (usual or spaces)[0]


def _choose_task(paths: list[Path]) -> tuple[str, list[str]]:
    """The task with most files, and the others."""
    tasks = [task_of(path) for path in paths]
    chosen = max(sorted(set(tasks)), key=tasks.count)
    return chosen, sorted(set(tasks) - {chosen})


def _t_r_line(path: Path, places: list[Path], runs: list[BoldRun]) -> Line:
    """The TR of the runs; of none, the RepetitionTime of a BOLD file's sidecars."""
    name = path.name[: path.name.index(".")] + ".json"
    if runs:
        return ("t_r", runs[0].t_r, f"s; from {name}")
    try:
        return ("t_r", float(sidecar_of(path, places)[0]["RepetitionTime"]), f"s; from {name}")
    except (GibletError, KeyError, TypeError, ValueError):
        return ("t_r", 1.5, f"s; the default: {name} has no RepetitionTime. Correct both")


def _data_set(folder: Path, root: Path) -> Path:
    """The raw data set, in whose ``derivatives`` the folder ``root`` lies."""
    if folder != root:
        return folder
    above = root.resolve().parent
    return above.parent if above.name == "derivatives" else root


def _found_films(places: list[Path]) -> str:
    """The beginning of a comment: what can be heard in the folders ``stimuli`` of ``places``."""
    films = []
    for folder in dict.fromkeys(place for place in places if place.name == "stimuli"):
        files = [p for p in sorted(folder.glob("[!.]*.*")) if _may_be_heard(p)]
        for file in files[:_MOST_OPENED]:
            with contextlib.suppress(GibletError):
                _about(file)
                films.append(str(file))
    return f"no events name a film; FOUND: {', '.join(films)}. Set it here: " * bool(films)


def _may_be_heard(path: Path) -> bool:
    """Whether a name is neither that of words nor of a picture."""
    kind, _packed = mimetypes.guess_type(path.name)
    return path.suffix.lower() not in ENDINGS and not (kind or "").startswith("image/")


def _stimulus_lines(runs: list[BoldRun], table: str, places: list[Path]) -> list[Line]:
    """The film that ``table`` names, where it lies in one of the folders ``places``."""
    none: list[Line] = [("film", "none", _NO_FILM), ("annotations", "none", "")]
    if not runs:
        return none
    named = runs[0].stim_file
    outside = Path(named).is_absolute() or ".." in Path(named).parts
    files = [folder / named for folder in places]
    film = None if outside else next((file for file in files if file.is_file()), None)
    if film is None:
        missing = f"{table} names {named}, which is not in {places[0]}: "
        comment = missing * (named != OPTIONAL["stim_file"]) + _found_films(places) + _NO_FILM
        return [("film", "none", comment), none[1]]
    try:
        about = _about(film)
    except GibletError as error:
        return [("film", "none", f"{LEFT_OUT}{error}"), none[1]]
    of_film = ("film", str(film), f"named by {table}: {about}")
    return [of_film, _annotations_line(film), *_score_lines(film)]
