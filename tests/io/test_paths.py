"""A file is read again only where it has changed."""

import os

import numpy as np
import pytest
import soundfile

from giblet.audio import stimuli
from giblet.errors import GibletError
from giblet.io.paths import once_per_file


def test_a_file_is_read_once_until_it_changes(tmp_path):
    (file := tmp_path / "a.txt").write_text("one")
    times = []

    @once_per_file
    def read(path):
        times.append(path)
        return path.read_text()

    assert [read(file), read(file), len(times)] == ["one", "one", 1]
    file.write_text("three")
    assert [read(file), len(times)] == ["three", 2]
    os.utime(file, ns=(0, 0))
    assert [read(file), len(times)] == ["three", 3]


def test_mistakes_are_not_kept(tmp_path):
    @once_per_file
    def read(path):
        raise GibletError(f"{path}: {path.exists()}")

    with pytest.raises(GibletError, match="False"):
        read(tmp_path / "a.txt")
    (tmp_path / "a.txt").write_text("")
    for _ in range(2):
        with pytest.raises(GibletError, match="True"):
            read(tmp_path / "a.txt")


def test_headers_of_stimuli_are_read_once_however_often_they_are_asked_for(tmp_path, monkeypatch):
    opened, open_film = [], stimuli.open_film
    monkeypatch.setattr(stimuli, "open_film", lambda p: opened.append(p.name) or open_film(p))
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, np.full(8000 * 4, 0.1), 8000)
    clocks = [stimuli.header_clock(tmp_path, t_r=1.5) for _ in range(3)]
    assert sorted(opened) == ["a.wav", "b.wav"]
    soundfile.write(tmp_path / "b.wav", np.full(8000 * 6, 0.1), 8000)
    assert stimuli.header_clock(tmp_path, t_r=1.5).durations.tolist() == [4.0, 6.0]
    assert clocks[2].durations.tolist() == [4.0, 4.0]


def test_a_message_names_the_path_as_it_was_given(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("")
    monkeypatch.chdir(tmp_path)
    given = []
    read = once_per_file(lambda path: given.append(str(path)))
    for path in ("a.txt", tmp_path / "a.txt"):
        read(path)
    assert given == ["a.txt"]
