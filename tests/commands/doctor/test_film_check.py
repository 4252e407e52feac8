"""The doctor reads a film's beginning as a run does. Oracle: the warnings of a run."""

import logging
import time

import numpy as np
import pytest
import soundfile

from giblet.audio.files import read_sound
from giblet.commands.doctor import film_check
from giblet.commands.doctor.data_sizes import measure
from giblet.commands.doctor.film_check import reading_warnings
from giblet.config.config import Config

pytest.importorskip("av")

from real_inputs.video_files import Track, grey_film, of_unknown_codec


@pytest.fixture
def cancelling(tmp_path):
    """A film whose channels cancel."""
    tone = np.sin(np.arange(4 * 8000) / 9) / 4
    soundfile.write(tmp_path / "a.wav", np.stack([tone, -tone], 1), 8000)
    return tmp_path / "a.wav"


def test_warnings_are_those_of_a_run_and_are_not_printed(cancelling, caplog):
    read_sound(cancelling, 24000)
    expected = [record.getMessage() for record in caplog.records]
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert reading_warnings(cancelling, None) == expected
    assert len(expected) == 1
    assert not caplog.records
    _, lines, _ = measure(Config(film=str(cancelling), dataset="mine"))
    assert f"    WARNING: {expected[0]}" in lines


def test_a_choice_of_video_is_a_warning_and_no_decoder_a_problem(tmp_path):
    two = grey_film(tmp_path / "two.mp4", Track(), Track())
    _, lines, _ = measure(Config(film=str(two), dataset="mine"))
    assert any("WARNING" in line and "reads video track 1 of 2" in line for line in lines)
    none = of_unknown_codec(grey_film(tmp_path / "none.mp4"))
    _, _, problems = measure(Config(film=str(none), dataset="mine"))
    assert "FFmpeg can decode no video track" in problems[0]


def test_reading_ends_in_time_and_what_was_read_is_judged(cancelling, monkeypatch):
    monkeypatch.setattr(film_check, "_SOUND_SECONDS", 0.0)
    monkeypatch.setattr(
        "giblet.audio.files.sound_blocks",
        lambda path, rate, track: endless(),
    )
    begin = time.monotonic()
    assert reading_warnings(cancelling, None) == ["closed"]
    assert time.monotonic() - begin < 2


def endless():
    try:
        while True:
            yield np.zeros(80)
    finally:
        logging.getLogger("giblet.audio").warning("closed")
