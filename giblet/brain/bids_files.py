"""Files of BIDS data sets: where BOLD lies, and which files belong to it (inheritance)."""

import os
import re
from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from giblet.errors import GibletError
from giblet.io.tables import load_json

SPACE = "MNI152NLin2009cAsym"
BOLD_ENDINGS = ("_bold.nii.gz", "_bold.nii")
SURFACE_ENDINGS = ("_bold.func.gii", "_bold.dtseries.nii")
# entities that tables of a run do not have
_OF_IMAGES = ("space", "cohort", "res", "den", "desc", "hemi")
_OF_KIND = ("desc", "part", "setting", "feature")  # the last two are Halfpipe's
_INDICES = ("run", "echo", "res")
_MODIFIERS = ("space", "cohort", "res", "den")
_OTHERS = ("_preproc.nii.gz", ".func.gii", ".func.gii.gz", ".dtseries.nii", ".ptseries.nii")
_OF_SUBJECTS = ("T1w", "T2w", "anat", "func", "boldref", "individual", "fsnative")


class Name(NamedTuple):
    """Parts of a file's name: ``sub-01_task-film_bold.nii.gz`` has two entities."""

    entities: dict[str, str]
    suffix: str
    extension: str


def parse_name(path: Path) -> Name:
    """Entities, suffix and extension of a file.

    >>> parse_name(Path("sub-01_task-film_bold.nii.gz"))
    Name(entities={'sub': '01', 'task': 'film'}, suffix='bold', extension='.nii.gz')
    """
    stem, dot, extension = path.name.partition(".")
    *parts, suffix = stem.split("_")
    entities = {key: value for key, sep, value in (p.partition("-") for p in parts) if sep}
    return Name(entities, suffix, dot + extension)


def run_prefix(path: Path) -> str:
    """What names subject and run: the file's name up to the space of the image."""
    return re.split("_space-|_hemi-", path.name)[0]


def is_surface(path: Path) -> bool:
    """Whether a file of BOLD holds vertices or greyordinates."""
    return path.name.endswith(SURFACE_ENDINGS)


def other_hemisphere(left: Path) -> Path:
    """The right hemisphere's file of a left one's.

    >>> other_hemisphere(Path("sub-1_task-a_hemi-L_space-fsaverage5_bold.func.gii")).name
    'sub-1_task-a_hemi-R_space-fsaverage5_bold.func.gii'
    """
    return left.with_name(left.name.replace("_hemi-L", "_hemi-R"))


def derivatives(folder: Path) -> Path:
    """The folder of fMRIPrep's ``sub-*``: ``folder`` itself, or one of ``folder/derivatives``.

    ``derivatives/fmriprep`` where there is one, else the only one of any name that has BOLD.

    Raises
    ------
    GibletError
        No such folder, or several derivatives have BOLD.
    """
    if not folder.is_dir():
        raise GibletError(f"{folder}: no such folder; give a BIDS data set")
    if _has_bold(usual := folder / "derivatives" / "fmriprep"):
        return usual
    if _has_bold(folder):
        return folder
    places = [folder / "derivatives", *_folders(folder / "derivatives"), *_folders(folder)]
    with_bold = [place for place in dict.fromkeys(places) if _has_bold(place)]
    if len(with_bold) > 1:
        names = ", ".join(str(place.relative_to(folder)) for place in with_bold)
        raise GibletError(f"{folder}: several derivatives have BOLD ({names}); give one of these")
    return with_bold[0] if with_bold else usual if usual.is_dir() else folder


def _folders(folder: Path) -> list[Path]:
    """Visible folders in a folder, without those of subjects."""
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    return [p for p in inside if p.is_dir() and not p.name.startswith((".", "sub-"))]


def _has_bold(root: Path) -> bool:
    """Whether a folder holds preprocessed BOLD of any subject."""
    return any(
        "desc" in parse_name(path).entities or is_surface(path) for path in bold_images(root)
    )


def bold_images(root: Path) -> Iterable[Path]:
    """Every BOLD image below ``root/sub-*``, of any space and description, hidden ones left out."""
    for pattern in ("sub-*/func/*_bold.*", "sub-*/ses-*/func/*_bold.*"):
        for path in root.glob(pattern):
            is_bold = path.name.endswith((*BOLD_ENDINGS, *SURFACE_ENDINGS))
            if is_bold and not path.name.startswith("."):
                yield path


def parse_space(space: str | None) -> dict[str, str]:
    """Entities of a space as fMRIPrep writes it (``--output-spaces``); None: `SPACE`.

    Raises GibletError for a space of one subject: people share no voxels there.

    >>> parse_space("MNI152NLin6Asym:res-2")
    {'space': 'MNI152NLin6Asym', 'res': '2'}
    """
    name, *modifiers = (SPACE if space is None else space).removeprefix("space-").split(":")
    entities = {"space": name} | dict(m.partition("-")[::2] for m in modifiers)
    if not name or name in _OF_SUBJECTS or not all(entities.values()):
        raise GibletError(
            f"scan.space: {space!r} is no template that subjects share; give one as "
            "MNI152NLin6Asym or MNI152NLin6Asym:res-2"
        )
    return _comparable(entities)


def find_bold(
    root: Path,
    task: str | None,
    space: str | None = None,
    several: bool = False,
    exclude: Container[str] = (),
) -> list[Path]:
    """Preprocessed BOLD of one task in one space, sorted by name.

    ``several``: of all tasks, or of those that ``task`` names, with commas between. ``exclude``:
    subjects (``sub-*``) that are left out.

    Raises
    ------
    GibletError
        None, several tasks, or two files of one subject and run.
    """
    paths = [p for p in preprocessed(root, space) if p.name.partition("_")[0] not in exclude]
    tasks = sorted({task_of(path) for path in paths})
    wanted = [task] if task is None or not several else re.split(r"\s*,\s*", task)
    for one in wanted:
        if not paths or one not in (None, *tasks):
            raise GibletError(_none_there(root, one, parse_space(space), tasks))
    if task is None and len(tasks) > 1 and not several:
        raise GibletError(f"{root}: several tasks ({', '.join(tasks)}): say which one to read")
    chosen = tasks if task is None else wanted
    paths = [path for path in paths if task_of(path) in chosen]
    return _one_each(_no_echoes(_left_hemispheres(paths)))


def preprocessed(root: Path, space: str | None) -> list[Path]:
    """Preprocessed BOLD of all tasks in one space, sorted; of a space that is named without a
    resolution, images without one where there are any. GibletError as `parse_space`."""
    wanted = parse_space(space)
    paths = [path for path in bold_images(root) if wanted.items() <= _of_space(path).items()]
    paths = [path for path in paths if _is_magnitude(path)]
    exact = [path for path in paths if space is not None and _of_space(path) == wanted]
    return sorted(exact or paths)


def _is_magnitude(path: Path) -> bool:
    """Whether an image is preprocessed BOLD, not the phase or a part of complex numbers."""
    entities = parse_name(path).entities
    description = entities.get("desc", "preproc" if is_surface(path) else None)
    return description == "preproc" and entities.get("part", "mag") == "mag"


def _left_hemispheres(paths: list[Path]) -> list[Path]:
    """``paths`` without right hemispheres, which go with the left ones; GibletError for one that
    is alone."""
    there = {path.name for path in paths}
    for path in paths:
        left = path.name.replace("_hemi-R", "_hemi-L")
        if left not in there:
            raise GibletError(
                f"{path}: the other hemisphere, {left}, is missing; fetch it, or run fMRIPrep again"
            )
    return [path for path in paths if "_hemi-R" not in path.name]


def _of_space(path: Path) -> dict[str, str]:
    """Space, cohort and resolution of an image."""
    entities = _comparable(parse_name(path).entities)
    return {key: entities[key] for key in _MODIFIERS if key in entities}


def task_of(path: Path) -> str:
    """The task in a file's name."""
    return parse_name(path).entities.get("task", "")


def _none_there(root: Path, task: str | None, wanted: dict[str, str], tasks: list[str]) -> str:
    """One line: what was looked for, what is there instead, and what to do."""
    modifiers = "".join(f"_{k}-{v}" for k, v in wanted.items() if k != "space")
    looked_for = f"sub-*/func/*_task-{task or '*'}_space-{wanted['space']}{modifiers or '*'}"
    text = f"{root}: no BOLD file {looked_for}_desc-preproc_bold.nii.gz"
    if tasks:
        return f"{text}; tasks there: {', '.join(tasks)}"
    images = list(bold_images(root))
    if spaces := list_spaces(images, task):
        return (
            f"{text}; spaces there: {', '.join(spaces)}. Set scan.space to one of them, or run "
            f"fMRIPrep with --output-spaces {wanted['space']}"
        )
    of_images = [parse_name(path).entities.items() for path in images]
    kinds = {f"{k}-{v}" for entities in of_images for k, v in entities if k in _OF_KIND}
    kinds |= {f"*{e}" for p in root.glob("sub-*/**/func/*") for e in _OTHERS if p.name.endswith(e)}
    if kinds:
        return (
            f"{text}; there: {', '.join(sorted(kinds))}. giblet reads desc-preproc magnitude "
            "images in a template's space, of fMRIPrep 1.2 or later; name others in a table of "
            "runs (where they lack volumes that the scanner took first, with n_dropped)"
        )
    if not any(path.name.startswith("sub-") for path in root.iterdir()):
        return f"{text}; run fMRIPrep first, or name files that are no BIDS in a table of runs"
    return f"{text}; run fMRIPrep first"


def files_space(paths: Sequence[Path]) -> str | None:
    """The space that the names of all files have; None where one has none, or they differ.

    >>> names = ["sub-1_space-MNI152NLin6Asym_bold.nii.gz", "sub-2_bold.nii.gz"]
    >>> files_space([Path(names[0])]), files_space([Path(name) for name in names])
    ('MNI152NLin6Asym', None)
    """
    spaces = {parse_name(path).entities.get("space") for path in paths}
    return spaces.pop() if len(spaces) == 1 else None


def list_spaces(images: Iterable[Path], task: str | None = None) -> list[str]:
    """Spaces of templates that the preprocessed ``images`` are in, as ``scan.space`` names them.

    >>> list_spaces([Path("sub-1_task-a_space-MNI152NLin6Asym_res-2_desc-preproc_bold.nii.gz")])
    ['MNI152NLin6Asym:res-2']
    """
    spaces = set()
    for path in images:
        entities = parse_name(path).entities
        right = _is_magnitude(path) and task in (None, entities.get("task"))
        if right and entities.get("space", "T1w") not in _OF_SUBJECTS:
            modifiers = [f"{k}-{v}" for k, v in _of_space(path).items() if k != "space"]
            spaces.add(":".join([entities["space"], *modifiers]))
    return sorted(spaces, key=lambda space: (not space.startswith("MNI152"), space))


def _no_echoes(paths: list[Path]) -> list[Path]:
    """Without single echoes of runs of which the combination is there.

    Raises GibletError for several single echoes of one run.
    """
    by_run: dict[str, list[Path]] = {}
    for path in paths:
        parts = run_prefix(path).split("_")
        run = "_".join(p for p in parts if not p.startswith("echo-"))
        by_run.setdefault(run, []).append(path)
    kept = []
    for files in by_run.values():
        combined = [p for p in files if "_echo-" not in p.name]
        if not combined and len(set(map(run_prefix, files))) > 1:
            names = ", ".join(p.name for p in files)
            raise GibletError(
                f"{files[0]}: single echoes of one run ({names}); keep the combination, as "
                "fMRIPrep writes it without echo-, or one of them"
            )
        kept += combined or files
    return sorted(kept)


def _one_each(paths: list[Path]) -> list[Path]:
    """``paths``; GibletError for two of one run, as of two resolutions."""
    seen: dict[str, Path] = {}
    for path in paths:
        other = seen.setdefault(run_prefix(path), path)
        if other is not path:
            spaces = list_spaces([other, path])
            named = f", or set scan.space to one of {', '.join(spaces)}" if len(spaces) > 1 else ""
            raise GibletError(
                f"{path}: two files for one run, the other is {other.name}; keep one{named}"
            )
    return paths


def inherited(
    bold: Path, top: Path, suffix: str, extension: str, *, root: Path, **needed: str
) -> list[Path]:
    """Files below ``top`` that apply to a BOLD file by BIDS' inheritance, the nearest first.

    Their entities are among those of the BOLD file and ``needed``, of which they have every one;
    they lie in the folder of ``top`` that corresponds to the BOLD file's in ``root``, or above.
    """
    needed, of_bold = _comparable(needed), _comparable(parse_name(bold).entities)
    applicable = of_bold if extension == ".json" or "space" in needed else _of_tables(of_bold)
    applicable = applicable | needed
    inside = bold.parent.relative_to(root)
    paths = []
    for folder in (top / inside, *(top / above for above in inside.parents)):
        here = []
        for path in _files(folder, suffix + extension):
            name = parse_name(path)
            entities = _comparable(name.entities)
            right = not path.name.startswith(".") and name[1:] == (suffix, extension)
            if right and needed.items() <= entities.items() <= applicable.items():
                here.append((-len(entities), path))
        paths += [path for _, path in sorted(here)]
    return paths


def _of_tables(entities: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in entities.items() if key not in _OF_IMAGES}


def _files(folder: Path, ending: str) -> list[Path]:
    """Files whose names have an ending; none of a folder that does not exist."""
    try:
        return [folder / name for name in os.listdir(folder) if name.endswith(ending)]
    except OSError:
        return []


def _comparable(entities: dict[str, str]) -> dict[str, str]:
    """``entities`` with indices as numbers: fMRIPrep 20.2 to 22 wrote ``run-1`` of ``run-01``."""
    return {
        key: str(int(value)) if key in _INDICES and value.isdecimal() else value
        for key, value in entities.items()
    }


def data_set(bold: Path) -> Path:
    """The folder in which a BOLD file's ``sub-*`` lies."""
    return next(parent for parent in bold.parents if parent.name.startswith("sub-")).parent


def raw_places(root: Path, raw: Path | None = None) -> list[Path]:
    """Folders where the raw data of the derivatives ``root`` may lie, in the order of search.

    ``raw`` alone where it is given, else ``root`` itself, ``root/sourcedata/raw``, up to two
    folders above, ``raw`` and ``sourcedata/raw`` there, and what ``dataset_description.json`` links
    to. GibletError where ``raw`` is no folder.
    """
    if raw is not None:
        if not raw.is_dir():
            raise GibletError(f"{raw}: no such folder; scan.raw is the BIDS data set with events")
        return [root, raw]
    above = list(root.absolute().parents)[:2]
    near = [
        folder / name for folder in (root, *above) for name in ("sourcedata/raw", "raw", "rawdata")
    ]
    return [root, root / "sourcedata", *reversed(above), *near, *_linked(root)]


def _linked(root: Path) -> list[Path]:
    """Local data sets in ``DatasetLinks`` and ``SourceDatasets`` of the description."""
    path = root / "dataset_description.json"
    if not path.is_file():
        return []
    described = load_json(path)
    links, sources = described.get("DatasetLinks"), described.get("SourceDatasets")
    urls = [links.get("raw")] if isinstance(links, dict) else []
    urls += (
        [s.get("URL") for s in sources if isinstance(s, dict)] if isinstance(sources, list) else []
    )
    local = [str(url).removeprefix("file://") for url in urls if url]
    return [root / url for url in local if "://" not in url and "\0" not in url]
