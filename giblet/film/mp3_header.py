"""Length of an MP3 by the tag (Xing, Info or VBRI) in its first frame.

FFmpeg estimates the length by the bit rate where the file is larger than the tag says. That is
right for joined files, and wrong where something else than sound follows.
"""

import struct
from pathlib import Path
from typing import BinaryIO

_TAGS = b"Xing", b"Info"
_NEAR = 2**16  # bytes behind ID3 in which the tag stands
_ID3V1 = 128  # bytes


def mp3_seconds(path: str | Path, rate: int) -> float | None:
    """Seconds by the tag, for ``rate`` Hz; None without one, and where another MP3 follows."""
    with open(path, "rb") as file:
        begin = _skip_id3(file)
        n_frames, n_bytes = _tag(file.read(_NEAR))
        file.seek(begin + n_bytes)
        if not n_frames or (n_bytes and _is_mp3(file.read(_NEAR))):
            return None
    return n_frames * (1152 if rate >= 32000 else 576) / rate


def _skip_id3(file: BinaryIO) -> int:
    """Go behind the ID3 tags at a file's beginning, which may hold a large cover."""
    while (head := file.read(10))[:3] == b"ID3" and len(head) == 10:
        size = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(reversed(head[6:])))
        file.seek(size, 1)
    return file.seek(-len(head), 1)


def _tag(start: bytes) -> tuple[int, int]:
    """Frames and bytes of sound that the tag states; 0 for what it does not."""
    if (at := start.find(b"VBRI")) >= 0:
        n_bytes, n_frames = struct.unpack(">II", start[at + 10 : at + 18].ljust(8, b"\0"))
        return n_frames, n_bytes
    at = min((at for at in map(start.find, _TAGS) if at >= 0), default=len(start))
    flags, one, two = struct.unpack(">III", start[at + 4 : at + 16].ljust(12, b"\0"))
    if not flags & 1:
        return 0, 0
    return one, two if flags & 2 else 0


def _is_mp3(tail: bytes) -> bool:
    begins = (tail, tail[_ID3V1:]) if tail[:3] == b"TAG" else (tail,)
    if any(each[:3] == b"ID3" or (each[:1] == b"\xff" and each[1:2] >= b"\xe0") for each in begins):
        return True
    return any(tag in tail for tag in _TAGS)
