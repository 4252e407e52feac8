"""Answers to a listening test, read with its key."""

import logging
from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import Field, ValidationError

from giblet.config.strict import StrictSettings
from giblet.errors import GibletError
from giblet.io.tables import load_json

Rating = Annotated[int, Field(ge=0, le=100)]
_logger = logging.getLogger(__name__)


class Answer(StrictSettings):
    """What a listener chose (0 or 1) or rated (0 to 100 each), after so many plays and seconds."""

    answer: int | list[Rating]
    plays: int
    seconds: float


class Answers(StrictSettings):
    """One file of answers, as the page saves it."""

    test: str
    listener: str
    answers: dict[str, Answer]


def load_answers(folder: Path, key: dict) -> pd.DataFrame:
    """All answers in a folder's ``.json`` files, a row each: ``listener kind clip column value``.

    ``value`` of a choice is 1 where it is right and 0 where not, of a rating 0 to 100. ``key`` as
    `giblet.listening_test.page.render_test` makes it. Listeners who did not finish are left out,
    with a warning.

    Raises GibletError for a file that is no answers, of another test, of a listener who has
    another file, and where no listener is left.
    """
    rows: list[dict] = []
    files: dict[str, Path] = {}
    for file in sorted(folder.glob("*.json")):
        if (answers := _parsed(file, key)) is None:
            continue
        first = files.setdefault(answers.listener, file)
        if first != file:
            raise GibletError(
                f"{file}: listener {answers.listener!r} has another file, {first.name}: keep one"
            )
        if n_missing := len(key["trials"].keys() - answers.answers.keys()):
            _logger.warning("%s: %d trials without an answer: left out", file.name, n_missing)
            continue
        for name, given in answers.answers.items():
            rows += _rows(answers.listener, key["trials"][name], given.answer, f"{file}: {name}")
    if not rows:
        raise GibletError(f"{folder}: no complete answers in .json files to this test")
    return pd.DataFrame(rows)


def _parsed(file: Path, key: dict) -> Answers | None:
    """A file's answers, checked; None for a key, which may lie in the same folder."""
    content = load_json(file)
    if content.keys() >= {"test", "trials"}:
        return None
    try:
        answers = Answers.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise GibletError(
            f"{file}: no answers as the page saves them ({where}: {first['msg']})"
        ) from None
    if answers.test != key["test"]:
        raise GibletError(f"{file}: answers to test {answers.test}; the key is of {key['test']}")
    if unknown := answers.answers.keys() - key["trials"].keys():
        raise GibletError(f"{file}: the test has no trial {min(unknown)!r}")
    return answers


def _rows(listener: str, trial: dict, given: int | list[int], where: str) -> list[dict]:
    """A choice's row, or the rows of a screen of ratings."""
    base = {"listener": listener, "kind": trial["kind"], "clip": trial["clip"]}
    if trial["kind"] == "choice":
        if given not in (0, 1):
            raise GibletError(f"{where}: a choice is 0 or 1, not {given}")
        right = trial["sounds"][given] == "right"
        return [base | {"column": trial["column"], "value": float(right)}]
    if not isinstance(given, list) or len(given) != len(trial["sounds"]):
        raise GibletError(f"{where}: needs {len(trial['sounds'])} ratings, not {given}")
    pairs = zip(trial["sounds"], given, strict=True)
    return [base | {"column": column, "value": float(value)} for column, value in pairs]
