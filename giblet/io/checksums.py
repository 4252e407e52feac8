"""Checksums and format versions: files that were cut or changed are detected.

A seal is a SHA-256 at a file's end, where HDF5 and zip readers do not look. Folders of weights
have ``sha256sums.txt`` instead, which ``sha256sum -c`` reads too.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from giblet.errors import GibletError
from giblet.io.paths import check_file

FORMAT_VERSION = 1  # of the files that giblet writes; notes/architecture.md has the table
SUMS = "sha256sums.txt"

_MAGIC = b"giblet seal 1\n\0\0"
_SHA, _LENGTH = 32, 8
_END = _SHA + _LENGTH + len(_MAGIC)
_BLOCK = 1 << 20

Ranges = Sequence[tuple[int, int]]  # of bytes, [start, stop), in order


def seal(path: str | Path, skipped: Ranges = ()) -> None:
    """Put a seal at a file's end: ranges that it leaves out, SHA-256 of all else, its length.

    ``skipped`` are ranges with checksums of their own.
    """
    ranges = json.dumps(skipped).encode()
    with open(path, "r+b") as file:
        n_bytes = file.seek(0, os.SEEK_END)
        digest = _digest(file, n_bytes, skipped, ranges)
        file.seek(n_bytes)
        file.write(ranges + digest + len(ranges).to_bytes(_LENGTH, "little") + _MAGIC)


def check_seal(path: str | Path) -> int | None:
    """Number of bytes that a file's seal covers; None without a seal.

    Raises `Damaged` if they are not as they were sealed.
    """
    with open(path, "rb") as file:
        n_all = file.seek(0, os.SEEK_END)
        file.seek(max(0, n_all - _END))
        digest, length, magic = _parts(file.read())
        if magic != _MAGIC:
            return None
        n_bytes = n_all - _END - length
        if n_bytes >= 0:
            file.seek(n_bytes)
            ranges = file.read(length)
            if digest == _digest(file, n_bytes, _parsed(ranges), ranges):
                return n_bytes
    raise damaged(path)


class Damaged(GibletError):
    """A file is not as it was written. ``whole``: the output of a rule, the file or its folder."""

    raised_first = True  # the command sets it aside

    def __init__(self, message: str, whole: str | Path, fix: str = "Delete it and run again"):
        super().__init__(f"{message}. {fix}")
        self.message, self.whole = message, Path(whole)


def damaged(path: str | Path, whole: str | Path | None = None) -> Damaged:
    """The error about a file that is not as it was written."""
    return Damaged(f"{path}: cut or changed since it was written, and not read", whole or path)


def set_aside(error: Damaged) -> str:
    """Rename a damaged result, so that the workflow makes it again; returns the message.

    Files outside of ``results/`` belong to the user and stay.
    """
    if error.whole.parts[0] != "results":
        return str(error)
    aside = error.whole.with_name(f"{error.whole.name}.damaged")
    if error.whole.exists():  # else another rule that reads it has renamed it
        if aside.is_dir():
            shutil.rmtree(aside, ignore_errors=True)
        try:
            os.replace(error.whole, aside)
        except OSError:  # in a folder that cannot be written, say
            return str(error)
    return f"{error.message}. It is {aside} now: run again, and it is made again"


def sealed_bytes(path: str | Path) -> bytes:
    """The content that was sealed. Raises GibletError if it is damaged, or has no seal."""
    n_bytes = check_seal(path)
    if n_bytes is None:
        raise damaged(path)
    with open(path, "rb") as file:
        return file.read(n_bytes)


def write_sums(folder: str | Path, names: Iterable[str]) -> None:
    """Write SHA-256 of files of a folder beside them; the format's version is a comment."""
    folder = Path(folder)
    lines = [f"# giblet format {FORMAT_VERSION}", *(_line(folder, name) for name in sorted(names))]
    (folder / SUMS).write_text("\n".join(lines) + "\n", encoding="utf-8")


def check_sums(folder: str | Path, names: Iterable[str], needed: bool = False) -> None:
    """GibletError if one of these is no file, or has changed since `write_sums`.

    Where there are no sums nothing more is checked, unless they are ``needed``.
    """
    folder, names = Path(folder), list(names)
    for name in names:
        check_file(folder / name)
    if not (folder / SUMS).is_file():
        if needed:
            raise GibletError(f"{folder / SUMS}: no such file; make the folder again")
        return
    first, *lines = (folder / SUMS).read_text("utf8", "replace").splitlines() or [""]
    head = re.fullmatch(r"# giblet format (\d{1,9})", first)
    if head is None:
        raise damaged(folder / SUMS, folder)
    check_version(int(head[1]), folder)
    for name in names:
        if _line(folder, name) not in lines:
            raise damaged(folder / name, folder)


def check_version(version: object, path: str | Path) -> None:
    """GibletError if a file is of a newer giblet, or its version is not a number."""
    try:
        newer = int(version) > FORMAT_VERSION
    except (TypeError, ValueError):
        raise GibletError(f"{path}: format_version is {version!r}, not a number") from None
    if newer:
        formats = f"format {version}, not {FORMAT_VERSION}"
        raise GibletError(f"{path}: made by a newer giblet ({formats}): upgrade giblet")


def _line(folder: Path, name: str) -> str:
    """As ``sha256sum`` writes it."""
    with open(folder / name, "rb") as file:
        return f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}"


def _parts(end: bytes) -> tuple[bytes, int, bytes]:
    length = int.from_bytes(end[_SHA : _SHA + _LENGTH], "little")
    return end[:_SHA], length, end[_SHA + _LENGTH :]


def _parsed(ranges: bytes) -> Ranges:
    """The ranges that a seal leaves out; none where it is damaged, which the digest will show."""
    try:
        return [(int(start), int(stop)) for start, stop in json.loads(ranges)]
    except (ValueError, TypeError):
        return []


def _digest(file: BinaryIO, n_bytes: int, skipped: Ranges, ranges: bytes) -> bytes:
    """SHA-256 of the first ``n_bytes`` but for ``skipped``, of their number, and of ``ranges``."""
    digest, begin = hashlib.sha256(), 0
    for start, stop in [*skipped, (n_bytes, n_bytes)]:
        file.seek(begin)
        while begin < start and (block := file.read(min(_BLOCK, start - begin))):
            digest.update(block)
            begin += len(block)
        begin = stop
    digest.update(ranges + n_bytes.to_bytes(_LENGTH, "little"))
    return digest.digest()


def fingerprint(*paths: str | Path) -> str:
    """SHA-256 over the contents of files, in order; folders count by their files, sorted."""
    digest = hashlib.sha256()
    for path in map(Path, paths):
        files = (
            sorted(p for p in path.rglob("*") if p.is_file())
            if path.is_dir()
            else [check_file(path)]
        )
        for file in files:
            with open(file, "rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]
