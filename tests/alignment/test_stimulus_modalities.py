"""Pictures and words of many stimuli: each has what a film of its own would have."""

import av
import numpy as np
import pandas as pd
import pytest

from giblet.alignment.stimulus_pictures import StimulusPictures
from giblet.alignment.stimulus_words import stimulus_words
from giblet.audio.stimuli import header_clock
from giblet.brain.stimulus_clock import StimulusClock
from giblet.errors import GibletError
from giblet.film.annotations import read_annotations
from giblet.film.text import count_words, embed_words
from giblet.film.video import extract_frames

T_R, FPS = 1.5, 10


def write_film(path, seconds, first=0, size=32):
    """A film without loss whose frames are grey, brighter by one from frame to frame."""
    with av.open(path, "w") as film:
        stream = film.add_stream("ffv1", rate=FPS)
        stream.width = stream.height = size
        stream.pix_fmt = "bgr0"
        for n in range(round(seconds * FPS)):
            grey = np.full((size, size, 3), first + n, np.uint8)
            film.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        film.mux(stream.encode())


@pytest.fixture(scope="module")
def clock(tmp_path_factory):
    """Two excerpts of one film, a sound, and another film that ends before its sound."""
    folder = tmp_path_factory.mktemp("films")
    write_film(folder / "one.mkv", 12.0)
    write_film(folder / "two.mkv", 4.0, first=100)
    with av.open(folder / "sound.wav", "w") as sound:
        stream = sound.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.ones((1, 40000), np.int16), layout="mono")
        frame.sample_rate = 8000
        sound.mux(stream.encode(frame))
    names, files = ["a", "b", "c", "d"], ["one.mkv", "one.mkv", "sound.wav", "two.mkv"]
    durations, starts = [3.33, 4.0, 5.0, 5.0], [0.0, 3.37, 0.0, 0.0]
    return StimulusClock.lay_out(names, durations, T_R, [str(folder / f) for f in files], starts)


def greys(clock, n_frames=2):
    pictures = StimulusPictures(clock)
    frames, seen = extract_frames(pictures, T_R, clock.n_film_trs, n_frames, 16, 16)
    assert (frames == frames[..., :1, :1, :1]).all()
    return frames[..., 0, 0, 0], seen, pictures


def test_each_stimulus_has_the_pictures_of_its_excerpt(clock):
    frames, seen, _ = greys(clock)
    alone, _ = extract_frames(clock.files[0], T_R, 2, 2, 16, 16)
    np.testing.assert_array_equal(frames[:2], alone[..., 0, 0, 0])
    first = clock.first_trs[1]
    moments = 3.37 + (np.arange(4) + 0.5) * T_R / 2
    np.testing.assert_array_equal(frames[first : first + 2].ravel(), np.floor(moments * FPS + 1e-6))
    first = clock.first_trs[3]
    np.testing.assert_array_equal(frames[first : first + 2].ravel() >= 100, True)
    assert seen[first : first + 2].all()


def test_every_frame_is_on_screen_within_its_stimulus(clock):
    """Excerpt b begins within a frame, also where it is read alone."""
    alone = StimulusClock.lay_out(["b"], [4.0], T_R, clock.files[1:2], [3.37])
    (first, *_), n_alone = StimulusPictures(alone), len(list(StimulusPictures(alone)))
    assert (first.begin, n_alone) == (0.0, 41)
    assert first.end == pytest.approx(0.03)
    shown = list(StimulusPictures(clock))
    for picture in shown:
        k = np.searchsorted(clock.begins, picture.begin + 1e-6) - 1
        assert clock.begins[k] - 1e-6 <= picture.begin < picture.end
        assert picture.end <= clock.begins[k] + clock.durations[k] + 1e-6
    assert len(shown) == 34 + 41 + 40  # frames of a, b and d


def test_nothing_is_on_screen_in_silence_in_sounds_and_after_a_films_end(clock):
    frames, seen, pictures = greys(clock)
    of_tr = clock.stimulus_of_trs()
    assert not seen[of_tr == 2].any()
    assert not frames[of_tr == 2].any()
    ends = clock.begins + np.array(
        [3.33, 4.0, 0.0, 4.0]
    )  # the last film's pictures end after 4 of 5 s
    moments = (np.arange(2 * clock.n_film_trs) + 0.5) * T_R / 2
    on = [
        (moments > begin) & (moments < end) for begin, end in zip(clock.begins, ends, strict=True)
    ]
    np.testing.assert_array_equal(seen.ravel(), np.any(on, axis=0))
    lines = pictures.warnings(seen)
    assert lines[0] == "video: 1 of 4 stimuli have none, and are black (c)"
    assert "during parts of 1 stimuli, which are black there (d)" in lines[1]


def test_excerpts_in_their_files_order_are_read_in_one_pass(clock, monkeypatch):
    from giblet.alignment import stimulus_pictures

    opened = []

    def counted(path):
        opened.append(path.name)
        return shown(path)

    shown = stimulus_pictures.shown_pictures
    monkeypatch.setattr(stimulus_pictures, "shown_pictures", counted)
    expected = greys(clock)[0]
    assert opened == ["one.mkv", "two.mkv"]
    backwards = StimulusClock.lay_out(
        clock.names, clock.durations, T_R, clock.files, [5.0, 3.37, 0.0, 0.0]
    )
    opened.clear()
    again = greys(backwards)[0]
    assert opened == ["one.mkv", "one.mkv", "two.mkv"]
    np.testing.assert_array_equal(again[clock.first_trs[1] :], expected[clock.first_trs[1] :])


def test_motion_energy_of_a_stimulus_is_that_of_its_film(clock):
    pytest.importorskip("moten")
    from giblet.film.motion_energy import motion_energy

    one = StimulusClock.lay_out(["two", "one"], [4.0, 9.0], T_R, [clock.files[3], clock.files[0]])
    both = motion_energy(StimulusPictures(one), T_R, one.n_film_trs, 8.0, 16)
    alone = motion_energy(clock.files[0], T_R, 6, 8.0, 16)[:4]
    first = one.first_trs[1]
    np.testing.assert_allclose(both[first : first + 4], alone, rtol=1e-4, atol=1e-5)


# ---- words ---------------------------------------------------------------------------------------


def clock_with_words(folder, tables, durations, starts=None, files=None):
    files = files or [str(folder / f"{n}.wav") for n in range(len(tables))]
    paths = []
    for n, rows in enumerate(tables):
        path = folder / f"{n}.tsv"
        if rows is not None:
            pd.DataFrame(rows, columns=["onset", "duration", "text"]).to_csv(
                path, sep="\t", index=False
            )
        paths.append("" if rows is None else str(path))
    names = [f"s{n}" for n in range(len(tables))]
    return StimulusClock.lay_out(names, durations, T_R, files, starts, paths)


def test_each_stimulus_has_the_words_of_a_film_of_its_own(tmp_path):
    rows = [(0.2, 0.5, "good"), (1.0, 2.5, "morning to you"), (5.0, 0.4, "all")]
    clock = clock_with_words(tmp_path, [rows, None, rows], [6.0, 4.0, 6.0])
    words = stimulus_words(clock)
    n_trs, duration = clock.n_film_trs, clock.n_film_trs * T_R
    features, spoken = embed_words(words, T_R, n_trs, duration)
    alone = read_annotations(clock.annotations[0])
    own, said = embed_words(alone, T_R, 4, 6.0)
    for k in (0, 2):
        here = slice(clock.first_trs[k], clock.first_trs[k] + 4)
        np.testing.assert_array_equal(features[here], own)
        np.testing.assert_array_equal(spoken[here], said)
        np.testing.assert_array_equal(
            count_words(words, T_R, n_trs)[here], count_words(alone, T_R, 4)
        )
    assert not spoken[np.isin(clock.stimulus_of_trs(), (-1, 1))].any()
    assert words.attrs["warnings"] == ["words: 1 of 3 stimuli have no annotations"]


def test_an_excerpt_has_the_words_of_its_seconds(tmp_path):
    rows = [
        (0.0, 1.0, "before"),
        (3.5, 1.0, "begun earlier"),
        (5.0, 0.0, "now"),
        (7.5, 2.0, "a b c d"),
    ]
    clock = clock_with_words(tmp_path, [rows], [4.0], [4.0])
    words = stimulus_words(clock)
    assert words["text"].tolist() == ["earlier", "now", "a"]
    assert words["onset"].tolist() == [0.0, 1.0, 3.5]
    assert words["duration"].tolist() == [0.5, 0.0, 0.5]


def test_words_of_no_stimulus_and_in_another_unit_are_one_line(tmp_path):
    with pytest.raises(GibletError, match="no stimulus has annotations"):
        stimulus_words(clock_with_words(tmp_path, [None], [6.0]))
    clock = clock_with_words(tmp_path, [[(800, 400, "late"), (1500, 400, "words")]], [6.0])
    with pytest.raises(GibletError, match=r"no row .* words.unit_seconds: 0.001"):
        stimulus_words(clock)
    assert len(stimulus_words(clock, unit_seconds=0.001)) == 2
    clock = clock_with_words(tmp_path, [[(1, 1, "in"), (9, 1, "late")]], [6.0])
    assert "rows of 1 files begin after" in stimulus_words(clock).attrs["warnings"][0]
    (tmp_path / "0.tsv").write_text("onset\tduration\nx\ty\n")
    with pytest.raises(GibletError, match=r"0.tsv: .*annotations: none leaves"):
        stimulus_words(clock)


def test_what_lies_beside_a_stimulus_goes_with_it(tmp_path):
    from giblet.audio.stimuli import SCORES, list_stimuli
    from giblet.music.score_files import ENDINGS

    assert SCORES == ENDINGS
    folder = tmp_path / "films"
    folder.mkdir()
    write_film(folder / "one.mkv", 3.0)
    write_film(folder / "two.mkv", 3.0)
    for name in ("one.TextGrid", "one.tsv", "one.mid", "two.srt", "three.srt"):
        (folder / name).write_text("")
    one, two = list_stimuli(folder)
    assert (one.annotations.name, one.score.name) == ("one.TextGrid", "one.mid")
    assert (two.annotations.name, two.score) == ("two.srt", None)
    table = tmp_path / "clips.tsv"
    table.write_text("file\tscore\tannotations\nfilms/two.mkv\tfilms/one.mid\tn/a\n")
    (two,) = list_stimuli(table)
    assert (two.annotations.name, two.score.name) == ("two.srt", "one.mid")
    clock = header_clock(table, T_R)
    assert clock.table()["score"].tolist() == [str(folder / "one.mid")]
    table.write_text("file\tscore\nfilms/two.mkv\tnowhere.mid\n")
    with pytest.raises(GibletError, match=r"row 1: .*nowhere.mid"):
        list_stimuli(table)
