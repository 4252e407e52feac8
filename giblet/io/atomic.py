"""Files and folders that are written whole or not at all, whatever happens to the writer."""

import errno
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path

from giblet.errors import GibletError, system_code
from giblet.io.paths import check_name

_HOST = re.sub(r"[^\w-]", "", socket.gethostname())[:32] or "host"
_OF_DISKS = re.compile("LibsndfileError|inline_container")  # the second is torch.save's
_FORGOTTEN_SECONDS = 24 * 3600  # another machine's leftovers are nobody's by then


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary name beside ``path`` to write to; renamed to it only if all goes well.

    What was written is on the disk by then. A writer that is killed leaves the old file, and a
    hidden one, which the next writer of ``path`` removes.

    Raises
    ------
    GibletError
    OSError
        As `check_place` raises them, where ``path`` cannot be written.
    """
    path = Path(path)
    check_place(path, "a file")
    with _blaming(path, temporary := _begin(path)):
        try:
            yield temporary
            _sync(temporary)
            os.replace(temporary, path)
            _sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """A temporary folder to fill; it takes the place of ``path`` only if all goes well.

    A folder that was there is moved aside just before, and removed after. Raises what
    `replacing` does.
    """
    path = Path(path)
    check_place(path, "a folder")
    with _blaming(path, temporary := _begin(path)):
        try:
            temporary.mkdir()
            yield temporary
            for each in [*temporary.rglob("*"), temporary]:
                _sync(each)
            _exchange(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def check_place(path: Path, what: str) -> None:
    """That ``what``, "a file" or "a folder", can be written at ``path``.

    Raises
    ------
    GibletError
        What is there is something else, a device say, or ``path`` has no name, or one that is
        not UTF-8.
    OSError
        The folder that it goes to, or the nearest one that is there, cannot be written.
    """
    check_name(path)
    if path.name in ("", ".."):
        raise GibletError(f"{path}: is no name for {what} to write; give one")
    if path.parts[0] == "~" and not Path("~").exists():  # else a folder of that name is made
        raise GibletError(f"{path}: write ~ in full: {os.path.expanduser(path)}")
    if path.exists() and not (path.is_dir() if what == "a folder" else path.is_file()):
        raise GibletError(f"{path}: is there already, and is not {what}; give another name")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    if not os.access(folder, os.W_OK | os.X_OK):
        code = errno.EROFS if os.statvfs(folder).f_flag & os.ST_RDONLY else errno.EACCES
        raise OSError(code, os.strerror(code), str(path))


def _begin(path: Path) -> Path:
    """The name to write to; what killed writers of ``path`` left is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stem = path.stem if path.suffix else path.name
    for left in path.parent.glob(f".{escape(stem)}.*{escape(path.suffix)}"):
        if _is_left(left.name.removeprefix(f".{stem}.").removesuffix(path.suffix), left):
            _remove(left)
    return path.with_name(f".{stem}.{_HOST}-{os.getpid()}{path.suffix}")


def _is_left(writer: str, left: Path) -> bool:
    """Whether the process that began ``left`` is gone."""
    named = re.fullmatch(r"([\w-]+)-(\d+)(\.old)?", writer)
    if named is None:
        return False
    if named[1] == _HOST:
        return int(named[2]) == os.getpid() or not _runs(int(named[2]))
    try:
        return time.time() - left.stat().st_mtime > _FORGOTTEN_SECONDS
    except FileNotFoundError:  # its writer was faster
        return False


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _exchange(new: Path, path: Path) -> None:
    """``new`` gets the name ``path``; an old folder of that name is moved aside, then removed."""
    aside = new.with_name(f"{new.name.removesuffix(path.suffix)}.old{path.suffix}")
    if path.exists():
        os.replace(path, aside)
    try:
        os.replace(new, path)
    except OSError:
        if aside.exists():
            os.replace(aside, path)
        raise
    _sync(path.parent)
    _remove(aside)


def _sync(path: Path) -> None:
    """Wait until the disk has a file, or the names in a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that does not sync folders
            raise
    finally:
        os.close(handle)


@contextmanager
def _blaming(path: Path, temporary: Path) -> Iterator[None]:
    """An OSError names ``path`` where it names nothing, or the temporary place.

    HDF5, libsndfile, safetensors and torch raise errors of their own instead.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None or str(error.filename).startswith(str(temporary)):
            error.filename, error.filename2 = str(path), None
        raise
    except Exception as error:
        code = system_code(error)
        if code is None and not _OF_DISKS.search(f"{type(error).__name__} {error}"):
            raise
        code = code or errno.EIO
        raise OSError(code, os.strerror(code), str(path)) from error
