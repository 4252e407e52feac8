"""Files that are shorter than their containers state, or hold a second file behind the first.

Interrupted copies and downloads, and files that were joined byte by byte.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"  # Matroska, WebM
_BOXES = "ftyp styp moov moof mdat mfra free skip wide uuid meta udta sidx ssix emsg prft pdin pnot"
_LARGEST = 2**62  # bytes of a file
_MOST_PARTS = 100_000  # fragments of an MP4
_OGG_PAGE = 65_307  # bytes, at most
_FLV_TAGS = (8, 9, 18)  # sound, video, text
_MOST_TAGS = 2_000_000  # of about 7 hours
_JOINED = {b"ftyp": (_MOST_PARTS, 8), b"FLV": (_MOST_TAGS, 4), b"TTA1": (1, 4096)}


def missing_bytes(path: str | Path) -> int:
    """Bytes that headers state beyond the end of a file.

    Of AVI, Matroska, WebM, MP4, MOV, FLV, W64, CAF, AU, TTA, VOC and Ogg; 0 for other files,
    and where a recorder that wrote no sizes has stopped.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     n_written = (Path(folder) / "a.avi").write_bytes(b"RIFF\\x0c\\0\\0\\0AVI 1234")
    ...     missing_bytes(Path(folder) / "a.avi")
    4
    """
    with open(path, "rb") as file:
        n_bytes, start = file.seek(0, 2), _read(file, 0, 24)
        most = _MOST_TAGS if start[:3] == b"FLV" else _MOST_PARTS
        for n_parts, end in enumerate(_ends(file, start, n_bytes)):
            if end >= n_bytes or n_parts > most:
                return max(end - n_bytes, 0)
    return 0


def has_second_file(path: str | Path) -> bool:
    """Whether a file is followed by another, which FFmpeg does not read.

    Of MP4, MOV, FLV, ``.wav`` (also RF64 and W64), AIFF and TTA.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     n_written = (Path(folder) / "a.wav").write_bytes(2 * b"RIFF\\x08\\0\\0\\0WAVE1234")
    ...     has_second_file(Path(folder) / "a.wav")
    True
    """
    with open(path, "rb") as file:
        n_bytes, start = file.seek(0, 2), _read(file, 0, 28)
        if end := _sound_end(start):
            return _read(file, end + end % 2, 4) == start[:4]
        mark = b"ftyp" if start[4:8] == b"ftyp" else start[:4].rstrip(b"\1")
        if mark not in _JOINED:
            return False
        most, near = _JOINED[mark]  # parts, and bytes in which a tag may precede the second file
        for n_parts, end in enumerate(_ends(file, start, n_bytes)):
            if n_parts > most:
                break
            if mark in _read(file, end, near):
                return True
    return False


def _ends(file: BinaryIO, start: bytes, n_bytes: int) -> Iterator[int]:
    """First byte behind each part of a file of ``n_bytes`` that begins with ``start``."""
    if start[:4] == b"RIFF" and start[8:12] == b"AVI ":
        return _avi_ends(file)
    if start[:4] == _EBML:
        return _matroska_ends(file)
    if start[:4] == b"caff":
        return _caf_ends(file)
    if start[:4] == b"TTA1":
        return _tta_ends(file)
    if start[:4] == b".snd":
        return _au_ends(start)
    if start[:4] == b"OggS":
        return _last_ogg_end(file, n_bytes)
    if start[:4] == b"riff":
        return iter([_sound_end(start)])
    if start[:3] == b"FLV":
        return _flv_ends(file)
    if start[:20] == b"Creative Voice File\x1a":
        return _voc_ends(file, start)
    return _mp4_ends(file) if _is_box(start[4:8]) else iter(())


def _read(file: BinaryIO, at: int, n_bytes: int) -> bytes:
    if at > _LARGEST:  # as damaged headers state
        return b""
    file.seek(at)
    return file.read(n_bytes)


def _sound_end(start: bytes) -> int:
    """First byte behind a ``.wav`` (RIFF, RF64, BW64, W64) or AIFF; 0 of other files."""
    if start[:4] == b"riff":
        return int.from_bytes(start[16:24], "little")
    if start[8:12] not in (b"WAVE", b"AIFF", b"AIFC"):
        return 0
    if start[12:16] == b"ds64":
        return 8 + int.from_bytes(start[20:28], "little")
    return 8 + int.from_bytes(start[4:8], "big" if start[:4] == b"FORM" else "little")


def _avi_ends(file: BinaryIO) -> Iterator[int]:
    """First byte behind each RIFF chunk; those of more than 1 GB follow each other."""
    end = 0
    while (head := _read(file, end, 8))[:4] == b"RIFF" and len(head) == 8:
        size = int.from_bytes(head[4:], "little")
        if not size or size == 2**32 - 1:
            return
        end += 8 + size
        yield end


def _matroska_ends(file: BinaryIO) -> Iterator[int]:
    """First byte behind the EBML header, then behind the segment."""
    end = 0
    for name in (_EBML, _SEGMENT):
        head = _read(file, end, 12)
        if head[:4] != name or len(head) < 5 or not head[4]:
            return
        length = 9 - head[4].bit_length()  # of the size, whose first bit is a mark
        size = int.from_bytes(head[4 : 4 + length], "big") - (1 << 7 * length)
        if size == (1 << 7 * length) - 1:  # not known
            return
        end += 4 + length + size
        yield end


def _caf_ends(file: BinaryIO) -> Iterator[int]:
    """First byte behind each chunk."""
    end = 8
    while len(head := _read(file, end, 12)) == 12:
        size = int.from_bytes(head[4:], "big", signed=True)
        if size < 0:  # not known
            return
        end += 12 + size
        yield end


def _last_ogg_end(file: BinaryIO, n_bytes: int) -> Iterator[int]:
    """First byte behind the last page, whose head states its length."""
    begin = max(0, n_bytes - 2 * _OGG_PAGE)
    tail = _read(file, begin, 2 * _OGG_PAGE)
    at = tail.rfind(b"OggS\0")
    lengths = tail[at + 27 : at + 27 + tail[at + 26]] if 0 <= at < len(tail) - 26 else b""
    if len(lengths):
        yield begin + at + 27 + tail[at + 26] + sum(lengths)


def _flv_ends(file: BinaryIO) -> Iterator[int]:
    """First byte behind each tag and its size."""
    end = int.from_bytes(_read(file, 5, 4), "big") + 4
    while len(tag := _read(file, end, 4)) == 4 and tag[0] & 0x1F in _FLV_TAGS:
        end += 11 + int.from_bytes(tag[1:], "big") + 4
        yield end


def _tta_ends(file: BinaryIO) -> Iterator[int]:
    """First byte behind the frames, whose sizes a table states."""
    rate, n_samples = struct.unpack("<II", _read(file, 10, 8).ljust(8, b"\0"))
    n_frames = -(-n_samples // (rate * 256 // 245)) if rate else 0
    table = _read(file, 22, 4 * min(n_frames, _MOST_PARTS))
    if n_frames and len(table) == 4 * n_frames:
        yield 22 + len(table) + 4 + sum(struct.unpack(f"<{n_frames}I", table))


def _au_ends(start: bytes) -> Iterator[int]:
    """First byte behind the samples of a Sun or NeXT file."""
    begin, size = struct.unpack(">II", start[4:12].ljust(8, b"\xff"))
    if size != 2**32 - 1:  # not known
        yield begin + size


def _voc_ends(file: BinaryIO, start: bytes) -> Iterator[int]:
    """First byte behind each block; one of type 0 is the last."""
    end = int.from_bytes(start[20:22], "little")
    while len(head := _read(file, end, 4)) == 4 and head[0]:
        end += 4 + int.from_bytes(head[1:], "little")
        yield end


def _is_box(name: bytes) -> bool:
    return name.decode("latin-1") in _BOXES.split()


def _mp4_ends(file: BinaryIO) -> Iterator[int]:
    """First byte behind each box."""
    end = 0
    while len(head := _read(file, end, 16)) >= 8:
        size = int.from_bytes(head[:4], "big")
        if size == 1:
            size = int.from_bytes(head[8:], "big")
        if size < 8 or not _is_box(head[4:8]):  # 0: to the end of the file; or a tag behind it
            return
        end += size
        yield end
