"""Names of BIDS files: entities in their order, labels of letters and digits alone."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from giblet.brain.bids_files import SPACE
from giblet.errors import GibletError

# of the entities that BIDS knows, those that files of giblet's have, in the order of its schema
_OF_RUNS = ("ses", "task", "acq", "ce", "rec", "dir", "run", "echo")
ORDER = ("sub", *_OF_RUNS, "space", "recording", "chunk", "stat", "desc")


def bids_label(text: str) -> str:
    """``text`` as a label, in camel case: letters and digits alone. GibletError if none is left.

    >>> bids_label("r_n_words"), bids_label("sub-01"), bids_label("my film")
    ('rNWords', 'sub01', 'myFilm')
    """
    first, *rest = re.findall(r"[A-Za-z0-9]+", text) or [""]
    if not first:
        raise GibletError(f"{text!r}: no letter or digit that a BIDS name could have")
    return first + "".join(word[0].upper() + word[1:] for word in rest)


def bids_name(entities: Mapping[str, str | None], suffix: str) -> str:
    """The name of a file, its ending in ``suffix``; entities that are None are left out.

    >>> bids_name({"desc": "mel", "sub": "01", "stat": "r", "space": None}, "statmap.nii.gz")
    'sub-01_stat-r_desc-mel_statmap.nii.gz'
    """
    given = [f"{key}-{entities[key]}" for key in ORDER if entities.get(key) is not None]
    return "_".join([*given, suffix])


@dataclass(frozen=True)
class Names:
    """Paths of the files of a derivative data set.

    runs : name of a run, as the scans have it → its entities; task : where a run names none
    """

    root: Path
    runs: Mapping[str, Mapping[str, str]]
    task: str
    space: str | None

    def of_run(self, subject: str, run: str, suffix: str, **more: str | None) -> Path:
        """A file of one subject's run."""
        return self._of(subject, self.runs[run], suffix, more)

    def of_all_runs(self, subject: str | None, suffix: str, **more: str | None) -> Path:
        """A file of all runs of a subject, or (None) of all subjects together."""
        return self._of(subject, {}, suffix, more)

    def _of(self, subject: str | None, entities: Mapping, suffix: str, more: Mapping) -> Path:
        named = {"task": self.task} | {"sub": subject_label(subject) if subject else None}
        folder = [f"sub-{named['sub']}"] if subject else ["group"]
        folder += [f"ses-{entities['ses']}"] if "ses" in entities else []
        folder += ["func"] if subject else []
        return self.root.joinpath(*folder, bids_name(named | entities | more, suffix))


def subject_label(subject: str) -> str:
    """The label of ``sub-01`` or ``01``.

    >>> subject_label("sub-s_1")
    's1'
    """
    return "".join(re.findall(r"[A-Za-z0-9]+", subject.removeprefix("sub-")))


def run_entities(runs: Iterable[str]) -> dict[str, dict[str, str]]:
    """Entities of each run by its name; runs that have another name than BIDS's are counted.

    >>> run_entities(["ses-2_task-film_run-1"])
    {'ses-2_task-film_run-1': {'ses': '2', 'task': 'film', 'run': '1'}}
    >>> run_entities(["part-1", "part-2", "part-1"])
    {'part-1': {'run': '1'}, 'part-2': {'run': '2'}}
    """
    unique = list(dict.fromkeys(runs))
    read = {run: dict(part.partition("-")[::2] for part in run.split("_")) for run in unique}
    if all(map(_is_bids, read.values())):
        return read
    return {run: {"run": str(n)} for n, run in enumerate(unique, 1)}


def _is_bids(entities: Mapping[str, str]) -> bool:
    legal = all(re.fullmatch("[A-Za-z0-9]+", label) for label in entities.values())
    counted = all(entities.get(key, "1").isdigit() for key in ("run", "echo"))
    return legal and counted and all(key in _OF_RUNS for key in entities)


def check_subjects(subjects: Iterable[str]) -> None:
    """Raise GibletError for a subject without a label, and for two with one."""
    seen: dict[str, str] = {}
    for subject in subjects:
        label = subject_label(subject)
        if not label or label in seen:
            other = f", as {seen[label]} has it" if label in seen else ""
            raise GibletError(f"subject {subject}: its BIDS label would be {label!r}{other}")
        seen[label] = subject


def names_for(root: Path, scans, source: Path, task: str | None) -> Names:
    """The names of a data set's files by its scans (``giblet.brain.bold.load_bids``).

    ``source`` as ``bold`` in the config: of a table of runs the space is unknown, and names
    leave it out. GibletError as `check_subjects`.
    """
    check_subjects(dict.fromkeys(scans["subject"].values.astype(str)))
    runs = run_entities(scans["run"].values.astype(str))
    tasks = [task, *(entities.get("task") for entities in runs.values()), "film"]
    named = scans.attrs.get("space", SPACE).removeprefix("space-").replace(":", "_")
    space = named if source.is_dir() else None
    return Names(root, runs, bids_label(next(filter(None, tasks))), space)
