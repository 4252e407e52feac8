"""Checks of paths from users: a file is no folder, pipe, device or decompression bomb."""

import hashlib
import os
import re
import shlex
import stat
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from giblet.errors import GibletError, home_advice, nearest_file, unusable_name

_CLOCKS_DIFFER = 5.0  # s, as those of computers that share a disk may
_MOST_FILES = 4096  # whose results are kept
_UNPACKED = 500_000_000  # bytes: a workbook of a million words has a tenth

Result = TypeVar("Result")


def check_file(path: str | Path, what: str = "a file") -> Path:
    """``path``, if it is a file; ``what`` it should be is for the message about a folder.

    Raises
    ------
    GibletError
        Nothing is there, a folder, a pipe or a device (giblet reads files twice, and whole), a
        name that the system refuses, or that is not UTF-8; a file of git-annex (DataLad) or Git LFS
        whose content was not fetched.

    >>> check_file("/dev/zero")
    Traceback (most recent call last):
        ...
    giblet.errors.GibletError: /dev/zero: is a pipe or a device; give a file
    """
    check_name(path)
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise GibletError(f"{path}: {_why_missing(path)}") from None
    except (OSError, ValueError) as error:  # a link to itself, too long, a NUL in it
        reason, name = getattr(error, "strerror", None) or str(error), str(path)[:200]
        name = name if name.isprintable() else repr(name)
        raise GibletError(f"{name}: cannot be read ({reason.lower()})") from None
    mode = status.st_mode
    if stat.S_ISDIR(mode):
        raise GibletError(f"{path}: is a folder, not {what}. Name a file in it.")
    if not stat.S_ISREG(mode):
        raise GibletError(f"{path}: is a pipe or a device; give a file")
    if 0 < status.st_size <= _POINTER and (how := _not_fetched(path)):
        raise GibletError(f"{path}: its content was not fetched; run: {how} {Path(path).name}")
    return Path(path)


_POINTER = 1024  # bytes at most of a file that stands for another
_POINTERS = {
    b"/annex/objects/": "datalad get",
    b"version https://git-lfs": "git lfs pull --include",
}


def _not_fetched(path: str | Path) -> str | None:
    """The command that fetches the content of a file that only points to it; None for others."""
    try:
        with open(path, "rb") as file:
            start = file.read(32)
    except OSError:
        return None
    return next((how for head, how in _POINTERS.items() if start.startswith(head)), None)


def _why_missing(path: str | Path) -> str:
    """What is wrong with a path at which there is no file."""
    if not os.path.islink(path):
        return f"no such file{home_advice(path) or nearest_file(path)}"
    target = os.readlink(path)
    if "annex" in Path(target).parts:
        return f"its content was not fetched; run: datalad get {Path(path).name}"
    return f"no such file: it is a link to {target}, which is missing"


def check_name(path: str | Path) -> None:
    r"""GibletError for a path whose bytes are not UTF-8: it could not be written into any file.

    Also for one with other letters than ASCII's, where the locale is not UTF-8.

    >>> check_name("caf\udce9.wav")
    Traceback (most recent call last):
        ...
    giblet.errors.GibletError: caf\xe9.wav: its name is not UTF-8; rename it
    """
    reason = unusable_name(path)
    try:
        str(path).encode()
    except UnicodeEncodeError:
        name = re.sub("[\udc80-\udcff]", lambda c: f"\\x{ord(c[0]) - 0xDC00:x}", str(path))
        name = name.encode("utf-8", "backslashreplace").decode()
        raise GibletError(f"{name}: {reason or 'its name is not UTF-8; rename it'}") from None
    if reason:
        raise GibletError(f"{path}: {reason}")


def check_date(path: str | Path) -> None:
    """GibletError for a file or folder that was changed in the future, by this computer's clock.

    Snakemake deletes what is made from such a file: it is older than its input.
    """
    ahead = os.stat(path).st_mtime - time.time()
    if ahead > _CLOCKS_DIFFER:
        raise GibletError(
            f"{path}: its date is {describe(ahead)} ahead of this computer's clock, so every "
            f"result would look out of date. Run touch {shlex.quote(str(path))}, or set the clock"
        )


def describe(seconds: float) -> str:
    """A duration in a unit that suits it.

    >>> describe(50), describe(5400), describe(2e5)
    ('50 s', '1.5 hours', '2.3 days')
    """
    for unit, length in (("days", 86_400), ("hours", 3_600)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def file_name(name: str) -> str:
    """``name``, which may be any text, as the name of a file or folder.

    Names that differ have file names that differ: one that had to be changed gets a digest.

    >>> file_name("left half"), file_name("left/right"), file_name("..")
    ('left half', 'left-right-9fe534ec', '-5ec1f7e7')
    """
    plain = re.sub(r"[^\w. -]+", "-", name)
    if plain == name and 0 < len(plain) <= 60 and plain[0] != ".":
        return plain
    digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8]
    return f"{plain.lstrip('.')[:60]}-{digest}"


def check_unpacked(path: Path) -> None:
    """GibletError for a zip file (.xlsx) that would unpack to more than 500 MB, or is none.

    Python reads no more of a member than its entry states, so the sum is an upper bound.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            n_bytes = sum(member.file_size for member in packed.infolist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise GibletError(f"{path}: not a readable workbook ({error})") from None
    if n_bytes > _UNPACKED:
        raise GibletError(f"{path}: would unpack to {n_bytes / 1e9:.1f} GB; save it as .tsv")


if TYPE_CHECKING:
    import h5py


def check_own(file: "h5py.File", path: str | Path) -> None:
    """Nothing in an HDF5 file (netCDF, too) lies in another one.

    Such a file would make its reader open whatever it names, a pipe that never ends as well.

    Raises
    ------
    GibletError
        External links or storage, or virtual data sets.
    """
    import h5py

    def outside(name: str, link) -> str | None:
        if isinstance(link, h5py.ExternalLink):
            return name
        if isinstance(link, h5py.SoftLink):  # to what is seen anyway, or by an external link
            return None
        target = h5py.h5o.open(file.id, name.encode("utf-8", "surrogateescape"))
        if not isinstance(target, h5py.h5d.DatasetID):
            return None
        stored = target.get_create_plist()
        virtual = stored.get_layout() == h5py.h5d.VIRTUAL
        return name if virtual or stored.get_external_count() else None

    if name := file.visititems_links(outside):
        raise GibletError(f"{path}: {name} lies in another file; copy it into this one")


@dataclass(frozen=True)
class _FileState:
    """Of a file, by whatever path it is ``given``, which is the one for messages."""

    path: str
    size: int
    date: int
    given: Path = field(compare=False)


def once_per_file(function: Callable[[Path], Result]) -> Callable[[Path], Result]:
    """``function`` of a path, which reads a file again only where its size or date has changed.

    Results are shared by all callers, within the process. Errors are not kept.
    """

    @lru_cache(maxsize=_MOST_FILES)
    def of_state(state: _FileState) -> Result:
        return function(state.given)

    @wraps(function)
    def read(path: Path) -> Result:
        try:
            state = os.stat(path)
        except OSError:
            return function(path)  # which says what is wrong
        return of_state(
            _FileState(os.path.abspath(path), state.st_size, state.st_mtime_ns, Path(path))
        )

    return read
