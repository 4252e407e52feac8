"""Scores by name and ending, and their note table, tokens and beats in a file."""

import numpy as np
import pytest

from giblet.errors import GibletError
from giblet.io.arrays import save_arrays
from giblet.music.midi import write_midi
from giblet.music.notes import Beats, Notes
from giblet.music.score_files import find_score, load_score, read_score, score_arrays
from giblet.music.tokens import tokenize


def chord():
    """Two notes that the tokens merge, and a later one."""
    beats = Beats(np.arange(4) * 0.5, np.arange(4), np.full(4, 4))
    onset, duration = np.array([0.1, 0.1, 1.03]), np.array([0.5, 0.9, 0.25])
    return Notes(onset, duration, np.array([60, 60, 67]), np.array([50, 99, 80]), beats)


def test_the_score_beside_a_film_has_its_name(tmp_path):
    film = tmp_path / "a film.mp4"
    assert find_score(film) is None
    (tmp_path / "a film.musicxml").touch()
    (tmp_path / "another film.mid").touch()
    assert find_score(film) == tmp_path / "a film.musicxml"
    (tmp_path / "a film.mid").touch()
    assert find_score(film) == tmp_path / "a film.mid"
    assert find_score(film, "none") is None
    assert str(find_score(film, "b.mid")) == "b.mid"


def test_a_file_keeps_the_notes_to_the_bit(tmp_path):
    notes, path = chord(), tmp_path / "score.nc"
    attrs = {"score_offset": 0.25, "t_r": 1.5, "n_trs": 3}
    arrays = score_arrays(notes).assign_attrs(attrs)
    np.testing.assert_array_equal(arrays["tokens"], tokenize(notes))
    assert arrays["token_seconds"].values[0] == 0.1
    save_arrays(arrays, path)
    again, facts = load_score(path)
    for name in ("onset", "duration", "pitch", "velocity"):
        np.testing.assert_array_equal(getattr(again, name), getattr(notes, name))
    for name in ("seconds", "in_bar", "per_bar"):
        np.testing.assert_array_equal(getattr(again.beats, name), getattr(notes.beats, name))
    assert attrs.items() <= facts.items()
    save_arrays(arrays.drop_vars(["pitch"]), path)
    with pytest.raises(GibletError, match=r"score.nc: has no pitch"):
        load_score(path)


def test_midi_is_read_and_musicxml(tmp_path):
    write_midi(chord(), tmp_path / "score.MID")
    assert read_score(tmp_path / "score.MID").pitch.tolist() == [60, 60, 67]
    pytest.importorskip("partitura")
    (tmp_path / "score.musicxml").write_text(MUSICXML)
    assert read_score(tmp_path / "score.musicxml").pitch.tolist() == [62]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("score.mid", b"no music", "score.mid: "),
        ("score.pdf", b"%PDF", r"score.pdf: no score that giblet reads, which end in .mid, "),
        (
            "empty.mid",
            bytes.fromhex("4d546864 00000006 0000 0001 01e0 4d54726b 00000004 00ff2f00"),
            "empty.mid: no notes",
        ),
    ],
)
def test_what_is_no_score_is_one_line(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(GibletError, match=message):
        read_score(tmp_path / name)


MUSICXML = """<?xml version="1.0"?><score-partwise version="3.1"><part-list><score-part id="P1">
<part-name>a</part-name></score-part></part-list><part id="P1"><measure number="1"><attributes>
<divisions>1</divisions><time><beats>4</beats><beat-type>4</beat-type></time></attributes>
<note><pitch><step>D</step><octave>4</octave></pitch><duration>4</duration><type>whole</type></note>
</measure></part></score-partwise>"""
