"""One property of people's files a row: how to make such a file, and what giblet must read in it.

A reader's table is a list of `Case`; its test calls `check` with each. Adding a property is adding
a row to the table of the reader that meets it.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from giblet.errors import GibletError


@dataclass(frozen=True)
class Case:
    """A property of a file, and the right result of reading it.

    prop : the property in a few words, which names the test
    make : writes the file into a folder and returns what the reader takes
    right : asserts on what the reader returned; or, for a file that must be refused, a regular
        expression that the message of its GibletError matches
    source : where people reported the property
    warning : regular expression of a warning that must be given; "": none may be
    """

    prop: str
    make: Callable[[Path], Any]
    right: Callable[[Any], None] | str
    source: str
    warning: str = ""


def parametrized(cases: list[Case]):
    """``pytest.mark.parametrize`` over a table, with the properties as names of the tests."""
    names = [case.prop for case in cases]
    assert len(set(names)) == len(names), "two rows with one property"
    return pytest.mark.parametrize("case", cases, ids=names)


def check(
    case: Case,
    read: Callable[[Any], Any],
    folder: Path,
    caplog,
    warnings_of: Callable[[Any], list[str]] = lambda value: [],
) -> None:
    """Make the file, read it, and compare with what is right.

    ``warnings_of``: warnings that the reader returns with the value; those in the log count too.
    """
    source = case.make(folder)
    if isinstance(case.right, str):
        with pytest.raises(GibletError) as refused:
            read(source)
        message = str(refused.value)
        assert "\n" not in message, "a refusal is one line"
        assert re.search(case.right, message), message
        return
    with caplog.at_level(logging.WARNING, "giblet"):
        value = read(source)
    case.right(value)
    warned = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    warned += warnings_of(value)
    if case.warning:
        assert any(re.search(case.warning, line) for line in warned), warned
    else:
        assert not warned
