"""Sounds of a folder or table, joined to one film with silence between them."""

import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from giblet.audio.files import read_sound
from giblet.audio.stimuli import header_clock, join_stimuli, list_stimuli
from giblet.brain.stimulus_clock import StimulusClock
from giblet.errors import GibletError
from giblet.io.tables import save_table

RATE = 8000


@pytest.fixture
def sounds(tmp_path):
    """Three sounds, one of them at another rate: noise that tells them apart."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "sounds"
    folder.mkdir()
    for name, seconds, rate in (("a", 4.0, RATE), ("b.1", 3.7, RATE), ("c", 5.0, 2 * RATE)):
        noise = rng.normal(0, 0.1, round(seconds * rate)).astype(np.float32)
        soundfile.write(folder / f"{name}.wav", noise, rate, subtype="FLOAT")
    (folder / "about.txt").write_text("no sound")
    (folder / ".hidden.wav").write_text("no sound")
    return folder


def save(path, **columns):
    pd.DataFrame(columns).to_csv(path, sep="\t", index=False, na_rep="n/a")
    return path


def test_every_sound_is_in_its_place_and_silence_elsewhere(sounds, tmp_path):
    clock = join_stimuli(sounds, tmp_path / "all.wav", 1.5)
    assert clock.names == ("a", "b.1", "c")
    joined, rate = soundfile.read(tmp_path / "all.wav", dtype="float32")
    assert rate == 2 * RATE
    assert len(joined) == round(clock.n_film_trs * 1.5 * rate)
    silent = np.ones(len(joined), dtype=bool)
    for name, begin, duration in zip(clock.names, clock.begins, clock.durations, strict=True):
        own = read_sound(sounds / f"{name}.wav", rate)
        place = slice(round(begin * rate), round(begin * rate) + len(own))
        assert np.array_equal(joined[place], own)
        assert duration == pytest.approx(len(own) / rate)
        silent[place] = False
    assert not joined[silent].any()


def test_silence_on_request_follows_every_sound(sounds, tmp_path):
    clock = join_stimuli(sounds, tmp_path / "all.wav", 1.5, rest=10.0)
    short = join_stimuli(sounds, tmp_path / "short.wav", 1.5)
    assert (np.diff(clock.begins) >= clock.durations[:-1] + 10 + 1.5).all()
    for name, of in (("all", clock), ("short", short)):
        joined, rate = soundfile.read(tmp_path / f"{name}.wav", dtype="float32")
        first = round(of.begins[2] * rate)
        assert np.array_equal(joined[first : first + 5 * rate], read_sound(sounds / "c.wav", rate))
        assert len(joined) == round(of.n_film_trs * 1.5 * rate)
    save_table(clock.table(), tmp_path / "stimuli.tsv")
    read = StimulusClock.read(tmp_path / "stimuli.tsv", 1.5)
    assert read.rest == header_clock(sounds, 1.5, 10.0).rest == 10.0
    assert np.array_equal(read.first_trs, clock.first_trs)
    assert np.array_equal(header_clock(sounds, 1.5, 10.0).first_trs, clock.first_trs)


def test_a_file_has_one_name_however_a_table_writes_it(sounds, tmp_path):
    (tmp_path / "deep").mkdir()
    file = next(path for path in sorted(sounds.iterdir()) if path.suffix == ".wav")
    rows = [f"a\t{sounds}/{file.name}", f"b\t{sounds}/../{sounds.name}/./{file.name}"]
    (tmp_path / "deep" / "table.tsv").write_text("\n".join(["name\tfile", *rows]) + "\n")
    one, other = list_stimuli(tmp_path / "deep" / "table.tsv")
    assert one.file == other.file


def test_copies_of_a_file_are_one_file(sounds, tmp_path):
    """Also with another ending; not files of the same length that begin alike."""
    (sounds / "copy.wave").write_bytes((sounds / "a.wav").read_bytes())
    other, rate = soundfile.read(sounds / "a.wav", dtype="float32")
    other[-1] += 0.1
    soundfile.write(sounds / "a2.wav", other, rate, subtype="FLOAT")
    assert (sounds / "a2.wav").stat().st_size == (sounds / "a.wav").stat().st_size
    for clock in (join_stimuli(sounds, tmp_path / "all.wav", 1.5), header_clock(sounds, 1.5)):
        names = dict(zip(clock.names, (Path(file).name for file in clock.files), strict=True))
        assert names == {"a": "a.wav", "a2": "a2.wav", "b.1": "b.1.wav", "c": "c.wav"} | {
            "copy": "a.wav"
        }


def test_a_table_takes_excerpts(sounds, tmp_path):
    path = save(
        tmp_path / "clips.tsv",
        name=["late", None],
        file=["sounds/c.wav", "sounds/a.wav"],
        start=[1.5, None],
        duration=[2.0, None],
    )
    clock = join_stimuli(path, tmp_path / "all.wav", 1.5)
    assert clock.names == ("late", "a")
    assert clock.durations.tolist() == [2.0, 4.0]
    joined, rate = soundfile.read(tmp_path / "all.wav", dtype="float32")
    whole = read_sound(sounds / "c.wav", rate)
    assert np.array_equal(joined[: 2 * rate], whole[round(1.5 * rate) : round(3.5 * rate)])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"name": ["a"]}, "every stimulus needs a file"),
        ({"file": ["sounds/d.wav"]}, r"row 1: .*d.wav: no such file"),
        ({"file": ["sounds/a.wav"], "onset": [1]}, "unknown column onset; .*valid: name"),
        ({"file": ["sounds/a.wav"], "start": [-1]}, "row 1: start is -1, not seconds"),
        ({"file": ["sounds/a.wav"], "duration": [0]}, "row 1: duration is 0, not seconds"),
        ({"file": ["sounds/a.wav"], "start": ["x"]}, "row 1: start is x, not seconds"),
        ({"file": ["sounds/a.wav"] * 2}, "two stimuli are named a"),
        ({"file": []}, "no stimuli"),
    ],
)
def test_tables_that_cannot_be(sounds, tmp_path, columns, message):
    path = save(tmp_path / "clips.tsv", **columns)
    with pytest.raises(GibletError, match=message) as caught:
        list_stimuli(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("start", "duration", "message"),
    [
        (3.0, 2.0, r"a.wav ends at 4.00 s, before the excerpt's 5 s"),
        (4.5, None, r"a.wav ends at 4.00 s"),
        (0.0, 1.0, "lasts 1 s, less than one TR"),
    ],
)
def test_excerpts_that_cannot_be(sounds, tmp_path, start, duration, message):
    path = save(tmp_path / "clips.tsv", file=["sounds/a.wav"], start=[start], duration=[duration])
    with pytest.raises(GibletError, match=message):
        join_stimuli(path, tmp_path / "all.wav", 1.5)
    assert not (tmp_path / "all.wav").exists()


def test_other_sources_are_refused(tmp_path):
    with pytest.raises(GibletError, match="stimuli are a folder of sounds"):
        list_stimuli(tmp_path / "nowhere")
    with pytest.raises(GibletError, match="no stimuli in it"):
        list_stimuli(tmp_path)


def test_files_beside_a_stimulus_are_found_as_their_names_look(tmp_path):
    """macOS stores letters with accents as two characters (NFD); Windows' own files are none."""
    name = unicodedata.normalize("NFD", "über")
    soundfile.write(tmp_path / f"{name}.wav", np.zeros(RATE), RATE)
    words = tmp_path / f"{unicodedata.normalize('NFC', name)}.srt"
    words.write_text("1\n00:00:00,000 --> 00:00:01,000\nso\n")
    (tmp_path / "Thumbs.db").write_bytes(b"x")
    (stimulus,) = list_stimuli(tmp_path)
    assert stimulus.annotations == words
