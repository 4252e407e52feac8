"""Files that are whole, and meant to lead a reader elsewhere or to keep it busy."""

import os
from collections.abc import Iterator
from pathlib import Path

from fuzz_damage import Damage

HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n"
WHOLE = HLS + "#EXT-X-ENDLIST\n"
CONCAT = "ffconcat version 1.0\nfile {}\n"
PLAYLISTS = {
    "a playlist": WHOLE.format("film.flac"),
    "a playlist that goes on": HLS.format("film.flac"),
    "a playlist of a pipe": WHOLE.format("pipe.ts"),
    "a playlist of an address": WHOLE.format("http://127.0.0.1:9/a.ts"),
    "a list of films": CONCAT.format("film.flac"),
    "a list of pipes": CONCAT.format("pipe.ts"),
}
SUBTITLES = {
    "many styles": "{\\" * 200_000,
    "many times": "1:00 " * 200_000,
    "many times and an arrow": "-> " + "1:00 " * 200_000,
    "many spaces": " " * 200_000,
    "10^10 hours": "\n2\n9999999999:00:01,000 --> 9999999999:00:02,000\nfar\n",
}


def playlists() -> Iterator[tuple[str, Damage]]:
    for label, text in PLAYLISTS.items():
        yield label, lambda path, text=text: _beside_a_pipe(path, text)


def _beside_a_pipe(path: Path, text: str) -> None:
    os.mkfifo(path.with_name("pipe.ts"))
    path.write_text(text)


def subtitles() -> Iterator[tuple[str, Damage]]:
    """What takes a regular expression long that looks for an end which is not there."""
    for label, text in SUBTITLES.items():
        whole = f"1\n00:00:01,000 --> 00:00:02,000\n{text}\n"
        yield label, lambda path, text=whole: path.write_text(text)


def tables() -> Iterator[tuple[str, Damage]]:
    for label, n in (("200,000 columns", 200_000), ("2,000 columns", 2000)):
        cells = "\tc" * n, "\t1" * n
        text = f"onset\tduration\ttext{cells[0]}\n0\t1\tyes{cells[1]}\n"
        yield label, lambda path, text=text: path.write_text(text)


def grids() -> Iterator[tuple[str, Damage]]:
    yield "blank lines", lambda path: path.write_text("File" + "\n" * 200_000 + "-")
