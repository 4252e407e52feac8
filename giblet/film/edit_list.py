"""Edit lists of MP4 and MOV that FFmpeg plays wrong.

An edit is a stretch of a track's media, or empty. FFmpeg shows empty edits as such at the beginning
alone: behind a stretch of media it plays the track's beginning in their place. Speeds of edits it
ignores.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from giblet.errors import GibletError

_INSIDE = {b"moov": b"trak", b"trak": b"edts", b"edts": b"elst"}
_MOST_BOXES = 1000  # of each box
_MOST_EDITS = 10_000
_SPEEDS = (0, 1 << 16)  # 16.16 bits: not stated, 1


def check_edits(path: str | Path) -> None:
    """GibletError for an MP4 or MOV with empty edits behind others, or edits of another speed."""
    with open(path, "rb") as file:
        n_bytes = file.seek(0, 2)
        for begin, end in _boxes(file, b"moov", 0, n_bytes):
            for at, size in _edit_lists(file, b"moov", begin, end):
                edits = _edits(file, at, size)
                is_media = [start >= 0 for start, _ in edits]
                if not all(is_media[is_media.index(True) :] if any(is_media) else ()):
                    raise GibletError(
                        f"{path}: its edit list has a gap behind a stretch of film, in whose place "
                        "FFmpeg plays the film's beginning. Export it again from the program that "
                        "cut it, as a film of its own"
                    )
                if any(speed not in _SPEEDS for _, speed in edits):
                    raise GibletError(
                        f"{path}: its edit list plays parts at another speed, which FFmpeg "
                        "ignores. Export it again from the program that made it"
                    )


def _edit_lists(file: BinaryIO, name: bytes, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Bytes at which the content of each edit list within a box begins and ends."""
    if name == b"elst":
        yield begin, end
        return
    inside = _INSIDE[name]
    for first, last in _boxes(file, inside, begin, end):
        yield from _edit_lists(file, inside, first, last)


def _boxes(file: BinaryIO, name: bytes, at: int, end: int) -> Iterator[tuple[int, int]]:
    """Bytes at which the content of each box of a name begins and ends."""
    for _ in range(_MOST_BOXES):
        if at + 8 > end:
            return
        file.seek(at)
        size, kind, large = struct.unpack(">I4sQ", file.read(16).ljust(16, b"\0"))
        head = 16 if size == 1 else 8
        size = large if size == 1 else size or end - at
        if size < head:
            return
        if kind == name:
            yield at + head, min(at + size, end)
        at += size


def _edits(file: BinaryIO, begin: int, end: int) -> list[tuple[int, int]]:
    """Begin in the media, -1 if empty, and speed (16.16 bits) of each edit."""
    file.seek(begin)
    content = file.read(min(end - begin, 20 * _MOST_EDITS))
    layout = struct.Struct(">QqI" if content[:1] == b"\1" else ">IiI")
    whole = content[8 : 8 + (len(content) - 8) // layout.size * layout.size]
    return [(start, speed) for _, start, speed in layout.iter_unpack(whole)]
