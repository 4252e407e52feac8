"""Commands before the first run: check the installation and the data, write a config."""

import re
import shlex
import sys
from pathlib import Path

from giblet.brain.bids import SPACE, derivatives, read_runs
from giblet.brain.runs import MOTION, BoldRun
from giblet.commands.option_help import OutputFile
from giblet.errors import GibletError
from giblet.film.annotations import ENDINGS, read_annotations
from giblet.film.container import open_film
from giblet.film.tracks import choice_message, choose_tracks, sound_tracks
from giblet.film.video import has_pictures
from giblet.io.paths import check_name
from giblet.io.tables import load_json
from giblet.log import plain_line


def doctor(source: Path | None = None, /, config: Path | None = None) -> None:
    """Check the installation and a config; estimate time, memory and disk.

    Without a config the demo's; for a film, an audio file or a BIDS folder the one that ``giblet
    init`` would write. Nothing is run: estimates per rule are from the headers of film and scans.
    The exit code is 1 where something would stop the run.

    Example: giblet doctor --config config.yaml
    """
    from giblet.commands.doctor.environment import describe_machine
    from giblet.commands.doctor.estimates import describe_needs
    from giblet.config.config import parse_config
    from giblet.errors import GibletError
    from giblet.io.tables import load_yaml
    from giblet.log import visible

    settings = parse_config(_settings_of(source) if config is None else load_yaml(config))
    print("\n".join(describe_machine()), flush=True)
    lines, problems = describe_needs(settings)
    name = config or source or "the demo"
    print("\n".join(map(visible, ["", f"{name} (dataset {settings.dataset})", *lines])))
    if problems:
        raise GibletError(f"{len(problems)} of the lines above would stop the run")


def _settings_of(source: Path | None) -> dict:
    """Settings of a config, or those that `init` would write."""
    import yaml

    from giblet.io.tables import load_yaml

    if source is None:
        return {}
    if source.suffix.lower() in (".yaml", ".yml", ".json"):
        return load_yaml(source)
    return yaml.safe_load(first_config(source))


def init(source: Path, /, output: OutputFile = Path("config.yaml")) -> None:
    """Write a config for a film, an audio file or a BIDS folder.

    Comments in it name the files that were found; the next commands are printed. An existing file
    is not overwritten.

    Example: giblet init film.mp4 --output config.yaml
    """
    from giblet.errors import GibletError
    from giblet.io.atomic import replacing
    from giblet.log import plain_line

    if output.exists():
        raise GibletError(f"{output}: is there already; give another name as --output")
    text = first_config(source, str(output))
    with replacing(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(text, end="", flush=True)
    commands = [line.removeprefix("# ") for line in text.splitlines()[1:3]]
    message = f"{plain_line(str(output))} is written: look through it. Next:"
    print(f"\n{message}", *commands, sep="\n    ", file=sys.stderr)


Line = tuple[str, object, str]  # key, value, comment
_NO_FILM = "a film or audio file; without one: text and scans alone"


def first_config(source: Path, name: str = "config.yaml") -> str:
    """The text of a config file, to be called ``name``, for a film, a sound or a BIDS folder.

    Raises
    ------
    GibletError
        Neither a film with sound nor a folder with BOLD that fMRIPrep made; a name that is not
        UTF-8.
    """
    lines = _bids_lines(source) if source.is_dir() else _film_lines(source)
    head = [f"Written by: giblet init {shlex.quote(str(source))}"]
    head += [f"giblet doctor --config {shlex.quote(name)}"]
    head += [f"snakemake --cores 8 report --configfile {shlex.quote(name)}"]
    head += ["Every key, its default and its limits: config/README.md"]
    return "\n".join([*(f"# {plain_line(line)}" for line in head), *map(_written, lines)]) + "\n"


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

    >>> _name("it's a film"), _name("demo"), _name("映画")
    ('it-s-a-film', 'my-demo', 'mine')
    """
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-") or "mine"
    return "my-demo" if name == "demo" else name


def _film_lines(film: Path) -> list[Line]:
    return [
        ("dataset", _name(film.stem), "the folder in results/"),
        ("film", str(film), _about(film)),
        _annotations_line(film),
        ("bold", "none", "a BIDS derivatives folder or a table of runs: notes/data.md"),
        ("t_r", 1.5, "s; the default: with a scan it must be the scan's own"),
    ]


def _about(film: Path) -> str:
    """The parts that giblet can use, and which of several sound tracks."""
    with open_film(film) as opened:
        chosen, tracks = choose_tracks(opened, None, film), sound_tracks(opened)
    about = "sound and video" if has_pictures(film) else "sound, no video"
    return f"{about}; {choice_message(chosen, tracks)}" if len(tracks) > 1 else about


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
            problems.append(f"not as it is: {error}; see words. in config/README.md")
            continue
        others = ", ".join(p.name for p in candidates if p != path)
        comment = f"beside the film; rows: {len(words)}" + (
            f"; also there: {others}" * bool(others)
        )
        return ("annotations", str(path), "; ".join([comment, *words.attrs["warnings"]]))
    return ("annotations", "none", problems[0])


def _bids_lines(folder: Path) -> list[Line]:
    root = derivatives(folder)
    if not any(root.glob("sub-*")):
        raise GibletError(f"{folder}: no sub-* folders, so no BIDS data set. Of films, name one")
    for path in _bold_files(root):
        check_name(path)
    task, tasks = _choose_task(root)
    others = [other for other in tasks if other != task]
    comment = f"also there: {', '.join(others)}" if others else "the only one"
    try:
        runs, problem = read_runs(folder, task, MOTION), ""
    except GibletError as error:
        if not tasks:
            raise
        runs, problem = [], f"not ready yet: {error}"
    subjects = {run.subject for run in runs}
    counted = f"{len(subjects)} subjects, {len(runs)} runs"
    data = _data_set(folder, root)
    return [
        ("dataset", _name(f"{data.resolve().name}_{task}"), "the folder in results/"),
        *_stimulus_lines(data, root, runs),
        ("bold", str(folder), problem or counted),
        ("task", task, comment),
        _t_r_line(root, task),
    ]


def _data_set(folder: Path, root: Path) -> Path:
    """The raw data set, in whose ``derivatives`` the folder ``root`` lies."""
    if folder != root:
        return folder
    above = root.resolve().parent
    return above.parent if above.name == "derivatives" else root


def _bold_files(root: Path, task: str = "*") -> list[Path]:
    wanted = f"*_task-{task}_*space-{SPACE}*_desc-preproc_bold.nii.gz"
    return sorted([*root.glob(f"sub-*/func/{wanted}"), *root.glob(f"sub-*/ses-*/func/{wanted}")])


def _choose_task(root: Path) -> tuple[str | None, list[str]]:
    """The task with most files, and all there are."""
    tasks = [path.name.split("_task-")[1].split("_")[0] for path in _bold_files(root)]
    return max(sorted(set(tasks)), key=tasks.count, default=None), sorted(set(tasks))


def _t_r_line(root: Path, task: str) -> Line:
    """The RepetitionTime of the first sidecar."""
    bold = _bold_files(root, task)[0]
    sidecar = bold.with_name(bold.name.removesuffix(".nii.gz") + ".json")
    try:
        return ("t_r", float(load_json(sidecar)["RepetitionTime"]), f"s; from {sidecar.name}")
    except (GibletError, KeyError, TypeError, ValueError):
        return ("t_r", 1.5, f"s; the default: {sidecar.name} has no RepetitionTime. Correct both")


def _stimulus_lines(data: Path, root: Path, runs: list[BoldRun]) -> list[Line]:
    """The film that the events name, where it lies in the data set."""
    none = [("film", "none", _NO_FILM), ("annotations", "none", "")]
    if not runs:
        return none
    named = runs[0].stim_file
    places = [folder / named for top in (data, root) for folder in (top / "stimuli", top)]
    outside = Path(named).is_absolute() or ".." in Path(named).parts
    film = None if outside else next((place for place in places if place.is_file()), None)
    if film is None:
        comment = f"events.tsv names {named}, which is not in {data / 'stimuli'}: {_NO_FILM}"
        return [("film", "none", comment), none[1]]
    try:
        about = _about(film)
    except GibletError as error:
        return [("film", "none", f"not as it is: {error}"), none[1]]
    return [("film", str(film), f"named by events.tsv: {about}"), _annotations_line(film)]
