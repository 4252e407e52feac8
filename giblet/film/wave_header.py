"""Length of a ``.wav`` by its header, and what the file holds.

FFmpeg trusts the header where it promises too little (32-bit sizes that wrapped in files of more
than 4 GiB), and hides it where it promises too much (recordings that were cut short).
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from giblet.errors import GibletError

_WRAP = 2**32  # bytes
_NEARLY = 2**13  # bytes below 2 or 4 GiB: written to pipes, where the size is not known
_PCM = (1, 3, 0xFFFE)  # integers, floats, extended
_MOST_CHUNKS = 1000  # a file of zeros has one every 8 bytes
_TAIL = 2**20  # bytes of other chunks that may follow the samples


@dataclass(frozen=True)
class WaveData:
    """Bytes of samples: ``promised`` by the header, ``held`` by the file; ``per_second``.

    ``begin``: the first byte of the samples; the four bytes before it are their size.
    """

    promised: int
    held: int
    per_second: int
    begin: int

    @property
    def wrapped(self) -> bool:
        """Whether the size is what remains of a size beyond 32 bits."""
        return self.held >= _WRAP and (self.held - self.promised) % _WRAP < _TAIL

    @property
    def promised_seconds(self) -> float:
        return self.promised / self.per_second

    @property
    def unread_seconds(self) -> float:
        """Seconds of samples that seem to lie behind those of which the header knows."""
        return max(self.held - self.promised, 0) / self.per_second


def wave_data(path: str | Path) -> WaveData | None:
    """Of a RIFF file with samples; None for other files and where the header gives no size.

    Raises GibletError for files that FFmpeg reads wrong: those with two data chunks, and RIFX.

    ``held`` ends where other chunks follow the samples. RF64, BW64 and W64 have 64-bit sizes, and
    are not checked.
    """
    with open(path, "rb") as file:
        start = file.read(12)
        if start[:4] == b"RIFX" and start[8:] == b"WAVE":
            raise GibletError(
                f"{path}: a .wav with its high bytes first (RIFX), which FFmpeg reads wrong. "
                f"Convert it: sox {Path(path).name} new.flac"
            )
        if start[:4] != b"RIFF" or start[8:] != b"WAVE":
            return None
        n_bytes, per_second, data = file.seek(0, 2), 0, None
        for name, begin, size in _chunks(file, 12, n_bytes):
            if name == b"fmt " and size >= 16 and begin + 16 <= n_bytes:
                file.seek(begin)
                per_second = _bytes_per_second(file.read(16))
            if name == b"data" and data is not None:
                raise GibletError(
                    f"{path}: its samples are in two parts (data chunks), of which FFmpeg reads "
                    f"one. Join them: sox {Path(path).name} new.flac"
                )
            if name == b"data":
                if not per_second or _is_unknown(size):
                    return None
                end = begin + size + size % 2
                held = size if _is_followed_by_chunks(file, end, n_bytes) else n_bytes - begin
                data = WaveData(size, held, per_second, begin)
    return data


def _bytes_per_second(content: bytes) -> int:
    """By the content of a ``fmt`` chunk; its own number only where that is not PCM."""
    kind, n_channels, rate, stated, _, bits = struct.unpack("<HHIIHH", content)
    return rate * n_channels * ((bits + 7) // 8) if kind in _PCM else stated


def _is_unknown(size: int) -> bool:
    return size == 0 or any(0 <= limit - size <= _NEARLY for limit in (2**31, _WRAP))


def _chunks(file: BinaryIO, at: int, n_bytes: int):
    """Name, first byte and size of each chunk from byte ``at`` on, of the first thousand."""
    for _ in range(_MOST_CHUNKS):
        if at + 8 > n_bytes:
            return
        file.seek(at)
        name, size = struct.unpack("<4sI", file.read(8))
        yield name, at + 8, size
        at += 8 + size + size % 2


def _is_followed_by_chunks(file: BinaryIO, end: int, n_bytes: int) -> bool:
    """Whether the file ends behind its samples, or goes on with chunks that fit into it."""
    if end >= n_bytes:
        return end <= n_bytes + 1
    name, begin, size = next(_chunks(file, end, n_bytes), (b"", end, 0))
    return all(32 <= byte < 127 for byte in name) and bool(name) and begin + size <= n_bytes + 1
