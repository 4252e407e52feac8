"""A film is one file: what it names is not opened, and its own name is only a name."""

import os

import numpy as np
import psutil
import pytest
import soundfile

from giblet.audio.files import read_sound
from giblet.errors import GibletError
from giblet.film.container import open_film
from giblet.film.video import has_pictures

av = pytest.importorskip("av")

TONE = (np.sin(np.arange(8000) / 9) / 4).astype(np.float32)
HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n"
CONCAT = "ffconcat version 1.0\nfile {}\n"


def encoded(path):
    """A second of a tone as AAC."""
    with av.open(str(path), "w") as out:
        track = out.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(TONE[None], format="fltp", layout="mono")
        frame.sample_rate = 8000
        out.mux([*track.encode(frame), *track.encode(None)])
    return path


@pytest.fixture
def playlist(tmp_path):
    """The path of a file with this text, in a folder beside one that has a sound."""
    (tmp_path / "secret").mkdir()
    encoded(tmp_path / "secret" / "other.ts")
    (tmp_path / "films").mkdir()
    os.mkfifo(tmp_path / "films" / "pipe.ts")

    def write(name, text):
        path = tmp_path / "films" / name
        path.write_text(text.format(top=tmp_path))
        return path

    return write


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.m3u8", HLS.format("../secret/other.ts") + "#EXT-X-ENDLIST\n"),
        ("a.m3u8", HLS.format("{top}/secret/other.ts") + "#EXT-X-ENDLIST\n"),
        ("live.m3u8", HLS.format("../secret/other.ts")),
        ("pipe.m3u8", HLS.format("pipe.ts") + "#EXT-X-ENDLIST\n"),
        ("net.m3u8", HLS.format("http://127.0.0.1:9/a.ts") + "#EXT-X-ENDLIST\n"),
        ("concat.mp4", CONCAT.format("{top}/secret/other.ts")),
        ("concat.mp4", CONCAT.format("other.ts")),
        ("pipe.mp4", CONCAT.format("pipe.ts")),
    ],
)
def test_what_a_playlist_names_is_not_opened(playlist, name, text):
    path = playlist(name, text)
    (path.parent / "other.ts").write_bytes((path.parents[1] / "secret/other.ts").read_bytes())
    for read in (lambda path: read_sound(path, 8000), has_pictures):
        with pytest.raises(GibletError, match=r"cannot be read as a film or a sound.*playlist"):
            read(path)


def test_formats_that_name_other_files_have_no_protocol_to_open_them(playlist, monkeypatch):
    """The names of such formats may change; that there is no protocol is what keeps them in."""
    monkeypatch.setattr("giblet.film.container._NAME_OTHERS", set())
    path = playlist("a.m3u8", HLS.format("../secret/other.ts") + "#EXT-X-ENDLIST\n")
    with pytest.raises(GibletError, match="cannot be read"):
        read_sound(path, 8000)


@pytest.mark.parametrize("name", ["Star: Wars.wav", "pipe:0", "file:a.wav", "a%03d.wav", "-"])
def test_a_name_is_no_protocol(name, tmp_path, monkeypatch):
    soundfile.write(tmp_path / name, TONE, 8000, format="WAV", subtype="FLOAT")
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(read_sound(name, 8000), TONE)


def test_a_film_whose_index_comes_last_is_read_as_by_its_name(tmp_path):
    path = encoded(tmp_path / "a.mp4")
    content = path.read_bytes()
    assert content.index(b"mdat") < content.index(b"moov")
    with av.open(str(path)) as film:
        expected = [frame.to_ndarray() for frame in film.decode(audio=0)]
    with open_film(path) as film:
        found = [frame.to_ndarray() for frame in film.decode(audio=0)]
    np.testing.assert_array_equal(np.concatenate(found, axis=1), np.concatenate(expected, axis=1))


@pytest.mark.parametrize("whole", [True, False])
def test_a_film_is_closed(tmp_path, whole):
    path = encoded(tmp_path / "a.mp4")
    if whole:
        with open_film(path):
            assert str(path) in [file.path for file in psutil.Process().open_files()]
    else:
        path.write_text("no film")
        with pytest.raises(GibletError, match="cannot be read"), open_film(path):
            pass
    assert str(path) not in [file.path for file in psutil.Process().open_files()]
