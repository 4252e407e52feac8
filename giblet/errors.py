"""Mistakes that a user can fix, and refusals of the operating system, as one line."""

import errno
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar


class GibletError(Exception):
    """A mistake that a user can fix: shown as one line, without a traceback.

    ``raised_first``: alone, before other mistakes, because the command handles it itself.
    """

    raised_first = False


class Mistakes(GibletError):
    """Several that do not depend on each other, one of ``lines`` each.

    >>> str(Mistakes(["a: no such file", "b: no such file"]))
    'a: no such file (and 1 more mistake: giblet doctor lists them)'
    """

    def __init__(self, lines: Sequence[str]):
        self.lines = list(lines)
        more = count_mistakes(len(lines) - 1)
        super().__init__(f"{lines[0].removesuffix('.')} (and {more}: giblet doctor lists them)")


def count_mistakes(n_more: int) -> str:
    """How many more there are.

    >>> count_mistakes(1), count_mistakes(3)
    ('1 more mistake', '3 more mistakes')
    """
    return f"{n_more} more mistake{'s' if n_more > 1 else ''}"


def mistakes_of(error: GibletError) -> list[str]:
    """A line for each mistake.

    >>> mistakes_of(GibletError("a: no such file"))
    ['a: no such file']
    """
    return error.lines if isinstance(error, Mistakes) else [str(error)]


def raise_together(errors: Iterable[GibletError]) -> None:
    """Raise what was caught: one as it is, several as `Mistakes`; nothing where there is none.

    One that is ``raised_first`` is raised as it is.
    """
    kept = list({str(error): error for error in errors}.values())
    if first := next((error for error in kept if error.raised_first), None):
        raise first
    if len(kept) > 1:
        raise Mistakes(list(dict.fromkeys(line for e in kept for line in mistakes_of(e))))
    if kept:
        raise kept[0]


def attempt(errors: list[GibletError], function: Callable, *arguments):
    """The result of the function; None, and one more of ``errors``, where it raises GibletError."""
    try:
        return function(*arguments)
    except GibletError as error:
        errors.append(error)
        return None


Item = TypeVar("Item")
Result = TypeVar("Result")


def each(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Results for all items. A mistake in one does not keep those in others from being listed.

    GibletError as `raise_together`.

    >>> each(int, "12")
    [1, 2]
    """
    errors: list[GibletError] = []
    results = [attempt(errors, function, item) for item in items]
    raise_together(errors)
    return results


def nearest_name(name: str, valid: Sequence[str]) -> str:
    """ "; did you mean …?" for a misspelt ``name``, or nothing.

    >>> nearest_name("bandwith_kbps", ["bandwidth_kbps", "t_r"])
    '; did you mean bandwidth_kbps?'
    """
    import difflib

    close = difflib.get_close_matches(name, valid, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def unknown_name(what: str, name: object, valid: Sequence[str]) -> GibletError:
    """The error for a name that is none of ``valid``.

    >>> unknown_name("map ics", "ics", ["isc", "tsnr"])
    GibletError('no map ics; did you mean isc? There are: isc, tsnr')
    """
    near = nearest_name(str(name), valid) or "."
    return GibletError(f"no {what}{near} There are: {', '.join(valid) or 'none'}")


def missing_path(path: str) -> str:
    """Message about a file or folder that does not exist: where it should be, and a similar name.

    >>> missing_path("/no/film.mp4")
    '/no/film.mp4: no such file or folder'
    """
    if reason := unusable_name(path):
        return f"{path}: {reason}"
    if os.path.islink(path):
        return f"{path}: is a link to {os.readlink(path)}, which does not exist"
    seen_from = "" if os.path.isabs(path) else f" in {os.getcwd()}"
    return f"{path}: no such file or folder{seen_from}{home_advice(path) or nearest_file(path)}"


def nearest_file(path: str | os.PathLike) -> str:
    """ "; did you mean …?" of the file beside a missing one with nearly its name, or nothing.

    >>> nearest_file("/no/film.mp4")
    ''
    """
    folder, name = os.path.split(path)
    try:
        return nearest_name(name, os.listdir(folder or "."))
    except OSError:
        return ""


def home_advice(path: str | os.PathLike) -> str:
    """What to write instead of ``~``, which shells alone replace; nothing for other paths.

    >>> home_advice("~/film.mp4").startswith("; write ~ in full: "), home_advice("film.mp4")
    (True, '')
    """
    if not str(path).startswith("~"):
        return ""
    return f"; write ~ in full: {os.path.expanduser(path)}"


def unusable_name(path: str | os.PathLike) -> str:
    """Why a name cannot be used under this locale, and what to do; nothing where it can.

    Under a locale that is not UTF-8 Python takes "ü" in a config for another name than on the disk.
    """
    encoding = sys.getfilesystemencoding()
    if encoding == "utf-8" or str(path).isascii():
        return ""
    return f"the locale's encoding is {encoding}, not UTF-8: set PYTHONUTF8=1, and run again"


_NO_LOCKS = "its disk has no file locks: set HDF5_USE_FILE_LOCKING=FALSE"
_ENOTSUPP = 524  # Linux: NFS's answer to flock, not in errno
_REMEDIES = {
    errno.ENOSPC: "free some space, or write elsewhere",
    errno.EDQUOT: "free some space, or write elsewhere",
    errno.EACCES: "change its permissions, or use another place",
    errno.EPERM: "change its permissions, or use another place",
    errno.EROFS: "write elsewhere",
    errno.EIO: "is the disk full, or broken?",
    errno.ENOENT: "was it moved or deleted?",
    errno.EAGAIN: "another program has it open: close that, and run again",
    errno.ENOLCK: _NO_LOCKS,
    errno.EOPNOTSUPP: _NO_LOCKS,
    _ENOTSUPP: _NO_LOCKS,
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "run fewer jobs at a time",
    errno.ENOMEM: "run fewer jobs at a time",
    errno.ESTALE: "its network drive was away: run again",
    errno.ETIMEDOUT: "its network drive did not answer: run again",
}


# what a file's own content causes: offsets that lie nowhere
_OF_CONTENT = (errno.EINVAL, errno.EOVERFLOW, errno.EFBIG)


def explain_os_error(error: OSError) -> str:
    """Message about what the operating system refused: where, why, and what to do.

    >>> explain_os_error(OSError(errno.ENOSPC, "No space left on device", "results/bold.nc"))
    'results/bold.nc: no space left on device; free some space, or write elsewhere'
    """
    reason = error.strerror or str(error) or type(error).__name__
    reason = reason[0].lower() + reason[1:]
    where = f"{error.filename}: " if error.filename else ""
    remedy = _REMEDIES.get(error.errno)
    return f"{where}{reason}" + (f"; {remedy}" if remedy else "")


def system_code(error: Exception) -> int | None:
    """The error number of the operating system that ``error`` has, or names in its message.

    HDF5, safetensors and torch put it there.

    >>> system_code(ValueError("I/O error: no space (os error 28)")), system_code(KeyError("x"))
    (28, None)
    """
    if isinstance(error, OSError) and error.errno:
        return error.errno
    named = re.search(r"\b(?:errno =|os error) (\d+)", str(error))
    return int(named[1]) if named else None


def refused_reading(error: Exception, path: str | os.PathLike) -> OSError | None:
    """The refusal of the operating system, if ``error`` is one: then ``path`` is not damaged.

    >>> refused_reading(OSError(errno.EACCES, "HDF5 says so at length"), "a.nc")
    PermissionError(13, 'Permission denied')
    >>> refused_reading(OSError("file signature not found"), "a.nc")
    """
    code = system_code(error)
    if not code or code in _OF_CONTENT:  # 0: a file that ends too early
        return None
    return OSError(code, os.strerror(code), str(path))
