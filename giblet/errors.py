"""Arrays that are what they claim to be, or one clear line."""

import errno
import os
from collections.abc import Sequence


class GibletError(Exception):
    """A mistake that a user can mend: shown as one line, without a traceback."""


def nearest_name(name: str, known: Sequence[str]) -> str:
    """ "; did you mean …?" for a misspelt ``name``, or nothing.

    >>> nearest_name("bandwith_kbps", ["bandwidth_kbps", "t_r"])
    '; did you mean bandwidth_kbps?'
    """
    import difflib

    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def missing_path(path: str) -> str:
    """What to say of a file or folder that is not there: where it was looked for, what is near.

    >>> missing_path("/no/film.mp4")
    '/no/film.mp4: no such file or folder'
    """
    folder, name = os.path.split(path)
    seen_from = "" if os.path.isabs(path) else f" in {os.getcwd()}"
    beside = os.listdir(folder or ".") if os.path.isdir(folder or ".") else []
    return f"{path}: no such file or folder{seen_from}{nearest_name(name, beside)}"


_REMEDIES = {
    errno.ENOSPC: "free some space, or write elsewhere",
    errno.EDQUOT: "free some space, or write elsewhere",
    errno.EACCES: "change its permissions, or use another place",
    errno.EPERM: "change its permissions, or use another place",
    errno.EROFS: "write elsewhere",
    errno.EIO: "is the disk full, or broken?",
    errno.ENOENT: "was it moved or deleted?",
}


def explain_os_error(error: OSError) -> str:
    """What the operating system refused, where, and what to do.

    >>> explain_os_error(OSError(errno.ENOSPC, "No space left on device", "results/bold.nc"))
    'results/bold.nc: no space left on device; free some space, or write elsewhere'
    """
    reason = error.strerror or str(error) or type(error).__name__
    reason = reason[0].lower() + reason[1:]
    where = f"{error.filename}: " if error.filename else ""
    remedy = _REMEDIES.get(error.errno)
    return f"{where}{reason}" + (f"; {remedy}" if remedy else "")
