"""Standard error: short for people; where it is kept as a log, an event a line."""

import os
import re
import subprocess
import sys

import pytest

from giblet.log import warnings_in

EVENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (INFO|WARNING|ERROR) (.+)")
WARN = """
import logging, warnings
from giblet.log import start_log, told
start_log()
with told("verb"):
    logging.getLogger("giblet.x").warning("two\\nlines")
    warnings.warn("a library's")
"""


def standard_error(*command, **environment):
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, env=os.environ | environment
    )
    return done.stderr.splitlines()


def test_a_log_has_an_event_a_line_with_time_and_level():
    lines = standard_error("-c", WARN, GIBLET_LOG="1")
    events = [EVENT.fullmatch(line).groups() for line in lines]
    assert [level for level, _ in events] == ["INFO", "WARNING", "WARNING", "INFO"]
    assert events[0][1] == "verb begins"
    assert events[1][1] == "two lines"
    assert "UserWarning: a library's" in events[2][1]
    megabytes = re.fullmatch(r"verb is done: \d+\.\d s, (\d+) MB at most", events[3][1])
    assert 5 < int(megabytes[1]) < 20_000  # of MB, not kB; Linux counts the parent at the fork, too
    assert warnings_in("\n".join(lines)) == [said for level, said in events if level == "WARNING"]


def test_people_read_no_more_than_what_is_wrong():
    assert standard_error("-c", WARN)[0] == "WARNING: two lines"
    (said,) = standard_error("-m", "giblet", "group_trs", "--stream", "a", "--trs", "b")
    assert said == "giblet group_trs: a: no such file"


@pytest.mark.parametrize("kept", ["", "1"])
def test_a_mistake_is_one_line_either_way(kept):
    command = ["-m", "giblet", "group_trs", "--stream", "a", "--trs", "b"]
    line = standard_error(*command, GIBLET_LOG=kept)[-1]
    assert line.endswith("giblet group_trs: a: no such file")
    assert bool(EVENT.fullmatch(line)) == bool(kept)


def test_what_is_told_does_not_steer_a_terminal():
    warn = "from giblet.log import start_log\nimport logging\nstart_log()\n"
    warn += "logging.warning('%s: cut short', 'a\\x1b[2J\\u202e\\x07  b\\x85\\udce9')"
    assert standard_error("-c", warn) == [r"WARNING: a\x1b[2J\u202e\x07  b \udce9: cut short"]
    command = ["-m", "giblet", "group_trs", "--stream", "a\x1b]0;b\x07", "--trs", "b"]
    assert standard_error(*command) == [r"giblet group_trs: a\x1b]0;b\x07: no such file"]
