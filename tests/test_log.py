"""Standard error: short for people; where it is kept as a log, an event a line that reads back."""

import io
import logging
import os
import pty
import re
import subprocess
import sys
import termios

import numpy as np
import pytest
import soundfile

from giblet.log import KEEPS_LOG, log_to_stderr, messages, progress, read_events

WARN = """
import logging, warnings
from giblet.log import log_to_stderr, logged
with log_to_stderr(), logged("verb"):
    logging.getLogger("giblet.x").warning("two\\nlines of Fr\\u00fch")
    logging.getLogger("giblet.x").debug("a detail")
    logging.getLogger("library").info("a library's detail")
    warnings.warn("a library's")
"""


def standard_error(*command, **environment):
    done = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | environment,
    )
    return done.stderr.splitlines()


def test_a_log_has_an_event_a_line_with_time_level_and_logger():
    lines = standard_error("-c", WARN, GIBLET_LOG="1")
    events = read_events("\n".join(lines))
    assert len(events) == len(lines)
    assert [event.level for event in events] == ["INFO", "WARNING", "WARNING", "INFO"]
    assert [event.logger for event in events] == ["giblet", "giblet.x", "py.warnings", "giblet"]
    assert events[0].message == "verb begins"
    assert events[1].message == "two lines of Früh"
    assert lines[1].endswith(' WARNING giblet.x "two lines of Früh"')  # people read it, too
    assert "UserWarning: a library's" in events[2].message
    megabytes = re.fullmatch(r"verb is done: \d+\.\d s, (\d+) MB at most", events[3].message)
    assert 5 < int(megabytes[1]) < 20_000  # of MB, not kB; Linux counts the parent at the fork, too


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_a_log_reads_back_whatever_the_locale(encoding, monkeypatch):
    monkeypatch.setenv(KEEPS_LOG, "1")
    kept = io.BytesIO()
    monkeypatch.setattr(
        sys, "stderr", io.TextIOWrapper(kept, encoding=encoding, errors="backslashreplace")
    )
    with log_to_stderr():
        logging.getLogger("giblet.x").warning("%s", "Früh 映画 \\x1b \x1b")
    (event,) = read_events(kept.getvalue().decode())
    assert event.message == "Früh 映画 \\x1b \\x1b"


def test_logs_of_an_older_giblet_are_read():
    log = (
        "2026-01-02T03:04:05Z INFO train begins\n"
        "Epoch 1: 100%\n"
        "2026-01-02T03:04:06Z WARNING sub-01: too few TRs\n"
        "2026-01-02T03:04:06Z WARNING sub-01: too few TRs\n"
        '2026-01-02T03:04:06Z WARNING giblet.x "cut off\n'
        "yesterday WARNING no time\n"
        "2026-01-02T03:04:07Z ERROR\n"
        "2026-01-02T03:04:07Z ERROR giblet train: no such file\n"
    )
    assert messages(log, "INFO") == ["train begins"]
    assert messages(log, "WARNING") == ["sub-01: too few TRs", 'giblet.x "cut off']
    assert messages(log, "ERROR") == ["giblet train: no such file"]


def test_people_read_no_more_than_what_is_wrong():
    first, *rest = standard_error("-c", WARN)
    assert first == "WARNING: two lines of Früh"
    assert not any("detail" in line or "begins" in line for line in rest)
    (line,) = standard_error("-m", "giblet", "group_trs", "--stream", "a", "--trs", "b")
    assert line == "giblet group_trs: a: no such file"


def test_a_mistake_is_one_line_of_a_log_too():
    command = ["-m", "giblet", "group_trs", "--stream", "a", "--trs", "b"]
    begins, mistake = read_events("\n".join(standard_error(*command, GIBLET_LOG="1")))
    assert begins.message == "group_trs begins"
    assert (mistake.level, mistake.message) == ("ERROR", "giblet group_trs: a: no such file")


def test_a_warning_is_printed_once_a_command(capsys, monkeypatch):
    """Steps that are done for each person say the same; other levels are all printed."""
    monkeypatch.setenv(KEEPS_LOG, "1")
    for _command in range(2):
        with log_to_stderr():
            for person in range(3):
                logging.getLogger("giblet.x").warning("no gap of %d TRs", 5)
                logging.getLogger("giblet.x").info("a person")
                logging.getLogger("giblet.y").warning("person %d moved", person // 2)
        log = [event.message for event in read_events(capsys.readouterr().err)]
        assert log.count("no gap of 5 TRs") == 1
        assert log.count("a person") == 3
        assert [line for line in log if "moved" in line] == ["person 0 moved", "person 1 moved"]


def test_logging_is_as_it_was_afterwards():
    root, giblet = logging.getLogger(), logging.getLogger("giblet")
    before = list(root.handlers), giblet.level
    with log_to_stderr():
        assert len(root.handlers) == len(before[0]) + 1
    assert (root.handlers, giblet.level) == before


def test_a_message_does_not_steer_a_terminal():
    warn = "from giblet.log import log_to_stderr\nimport logging\nwith log_to_stderr():\n"
    warn += "  logging.warning('%s: cut short', 'a\\x1b[2J\\u202e\\x07  b\\x85\\udce9')"
    assert standard_error("-c", warn) == [r"WARNING: a\x1b[2J\u202e\x07  b \udce9: cut short"]
    command = ["-m", "giblet", "group_trs", "--stream", "a\x1b]0;b\x07", "--trs", "b"]
    assert standard_error(*command) == [r"giblet group_trs: a\x1b]0;b\x07: no such file"]


# ---- progress: of a real command, on a terminal of its own and without ---------------------------


@pytest.fixture
def command(tmp_path):
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 30 * 8000)
    soundfile.write(tmp_path / "sound.wav", noise, 8000)
    words = ["extract_mel", "--film", tmp_path / "sound.wav", "--mel", tmp_path / "mel.nc"]
    return [sys.executable, "-m", "giblet", *map(str, words)]


def shown_on_a_terminal(command):
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    with subprocess.Popen(command, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += (more := os.read(ours, 4096))
            except OSError:  # Linux's way to say that the other side is closed
                break
            if not more:
                break
    os.close(ours)
    assert process.returncode == 0, shown
    return shown.decode()


@pytest.mark.slow
def test_a_terminal_has_a_bar_that_goes(command):
    shown = shown_on_a_terminal(command)
    assert "reading sound: " in shown
    assert not shown.split("\r")[-1].strip()  # nothing is left on the line


def test_a_pipe_has_none(command):
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_steps_come_as_they_are():
    assert list(progress({"a": 1, "b": 2}.items(), "counting", "letters")) == [("a", 1), ("b", 2)]
    assert next(progress(iter([3]), "counting")) == 3
