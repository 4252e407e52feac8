"""Subjects of a data set: those that are left out, and those that lack runs."""

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path

from giblet.brain.bids_files import parse_name, run_prefix, task_of
from giblet.errors import GibletError, nearest_name, raise_together


def excluded_labels(exclude: Sequence[str], there: Iterable[str], source: Path) -> set[str]:
    """The subjects of ``exclude`` (``scan.exclude_subjects``) as ``sub-*``, all of them ``there``.

    Raises GibletError for those that are not there, and where nobody is left.

    >>> excluded_labels(["2"], ["sub-1", "sub-2"], Path("study"))
    {'sub-2'}
    """
    known = sorted(set(there))
    chosen = named_labels(exclude)
    raise_together(
        GibletError(
            f"{source}: scan.exclude_subjects: no {name}{nearest_name(name, known) or '.'} "
            f"There are: {', '.join(known)}"
        )
        for name in sorted(chosen.difference(known))
    )
    if chosen and not set(known) - chosen:
        raise GibletError(f"{source}: scan.exclude_subjects leaves nobody; take some out of it")
    return chosen


def named_labels(exclude: Iterable[str]) -> set[str]:
    """
    >>> named_labels(["2", "sub-2"])
    {'sub-2'}
    """
    return {f"sub-{name.removeprefix('sub-')}" for name in exclude}


def misspelt_task_warnings(read: Sequence[Path], others: Iterable[Path]) -> list[str]:
    """A warning for each subject that has fewer runs than most, and some of a task of nearly the
    same name. ``read``: BOLD files of one task; ``others``: those of other tasks.

    Of a task that as many subjects have there is none: it is another task.
    """
    task = task_of(read[0])
    n_runs: dict[str, int] = {}
    for path in read:
        n_runs[_subject(path)] = n_runs.get(_subject(path), 0) + 1
    counts = sorted(n_runs.values())
    usual = counts[len(counts) // 2]
    by_task: dict[str, dict[str, list[str]]] = {}
    for path in others:
        runs = by_task.setdefault(task_of(path), {}).setdefault(_subject(path), [])
        runs.append(run_prefix(path).partition("_")[2].removesuffix("_bold"))
    lines = []
    for near in difflib.get_close_matches(task, by_task, n=len(by_task) or 1):
        subjects = by_task[near]
        if 2 * len(subjects) > len(n_runs) or any(n_runs.get(s, 0) >= usual for s in subjects):
            continue
        for subject, runs in sorted(subjects.items()):
            lines.append(
                f"{subject} has {n_runs.get(subject, 0)} of the {usual} runs of task {task} that "
                f"others have, and {', '.join(dict.fromkeys(runs))}: if task {near} is misspelt, "
                "rename these files and their events; else leave the subject out "
                "(scan.exclude_subjects)"
            )
    return lines


def _subject(path: Path) -> str:
    return f"sub-{parse_name(path).entities.get('sub', '')}"
