"""A bar on a terminal, nothing elsewhere: of a real verb, in a terminal of its own and without."""

import os
import pty
import subprocess
import sys
import termios

import numpy as np
import pytest
import soundfile

from giblet.log import progress


@pytest.fixture
def command(tmp_path):
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 30 * 8000)
    soundfile.write(tmp_path / "sound.wav", noise, 8000)
    words = ["extract_mel", "--film", tmp_path / "sound.wav", "--mel", tmp_path / "mel.nc"]
    return [sys.executable, "-m", "giblet", *map(str, words)]


def said_to_a_terminal(command):
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    with subprocess.Popen(command, stderr=theirs) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                said += (more := os.read(ours, 4096))
            except OSError:  # Linux's way to say that the other side is closed
                break
            if not more:
                break
    os.close(ours)
    assert process.returncode == 0, said
    return said.decode()


def test_a_terminal_has_a_bar_that_goes(command):
    said = said_to_a_terminal(command)
    assert "reading sound: " in said
    assert not said.split("\r")[-1].strip()  # nothing is left on the line


def test_a_pipe_has_none(command):
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_steps_come_as_they_are():
    assert list(progress({"a": 1, "b": 2}.items(), "counting", "letters")) == [("a", 1), ("b", 2)]
    assert next(progress(iter([3]), "counting")) == 3
