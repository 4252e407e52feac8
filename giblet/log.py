"""What a verb says while it works: for people in short, for a log with time and level."""

import json
import logging
import os
import re
import resource
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

KEEPS_LOG = "GIBLET_LOG"  # set by the workflow, whose rules keep standard error in a file
SHORT = "%(levelname)s: %(message)s"
LONG = "%(asctime)sZ %(levelname)s %(message)s"
_logger = logging.getLogger(__name__)
_UNSEEN = re.compile(  # control characters but tabs, line ends, direction, what no encoding has
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
_EVENT = re.compile(r"(?P<time>\d{4}-\d\d-\d\dT[\d:]{8}Z) (?P<level>[A-Z]+) (?P<said>.*)")


def visible(said: str) -> str:
    r"""``said`` with what would steer a terminal, or turn the text round, written out.

    >>> visible("a\x1b[2J film")
    'a\\x1b[2J film'
    """
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), said)


def plain_line(said: str) -> str:
    r"""The same on one line.

    >>> plain_line("a\x1b[2J film,\n two lines")
    'a\\x1b[2J film, two lines'
    """
    return visible(" ".join(filter(None, map(str.strip, said.splitlines()))))


def keeps_log() -> bool:
    """Whether what goes to standard error is kept as a log."""
    return bool(os.environ.get(KEEPS_LOG))


def start_log() -> None:
    """Warnings go to standard error, a line each: with UTC time and level if `keeps_log`."""
    formatter = _OneLine(LONG if keeps_log() else SHORT, "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    if keeps_log():
        logging.captureWarnings(True)


class _OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return plain_line(super().format(record))


@contextmanager
def told(verb: str) -> Iterator[None]:
    """Begin and end of ``verb``, with its seconds and memory, where a log is kept."""
    begin = time.monotonic()
    tell(f"{verb} begins")
    yield
    tell(f"{verb} is done: {time.monotonic() - begin:.1f} s, {_peak_megabytes():.0f} MB at most")


def tell_mistake(said: str) -> None:
    """One line on standard error; of a log, with time and level."""
    line = plain_line(said)
    print(f"{_now()} ERROR {line}" if keeps_log() else line, file=sys.stderr)


def tell(said: str) -> None:
    """One line where a log is kept, else nothing.

    Not by ``logging``, which is silent about all below a warning: libraries say too much.
    """
    if keeps_log():
        print(f"{_now()} INFO {plain_line(said)}", file=sys.stderr, flush=True)


def warnings_of(attrs: Mapping) -> list[str]:
    """The ``warnings`` among an array set's attributes; of a file they are JSON.

    >>> warnings_of({"warnings": '["sub-01 moved"]'}), warnings_of({})
    (['sub-01 moved'], [])
    """
    said = attrs.get("warnings", [])
    return json.loads(said) if isinstance(said, str) else list(said)


def tell_warnings(attrs: Mapping, known: Collection[str] = ()) -> None:
    """`warnings_of` an array set, a line each, but for those that are ``known``."""
    for said in dict.fromkeys(warnings_of(attrs)):
        if said not in known:
            _logger.warning("%s", said)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _peak_megabytes() -> float:
    """Of this process; Linux counts kilobytes, macOS bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def warnings_in(log: str) -> list[str]:
    """Every warning of a log's text, once.

    >>> warnings_in("2026-01-02T03:04:05Z WARNING no scan\\n2026-01-02T03:04:06Z INFO x is done\\n")
    ['no scan']
    """
    return _said(log, "WARNING")


def mistakes_in(log: str) -> list[str]:
    """The same of what `tell_mistake` told."""
    return _said(log, "ERROR")


def _said(log: str, level: str) -> list[str]:
    events = filter(None, map(_EVENT.fullmatch, log.splitlines()))
    return list(dict.fromkeys(e["said"] for e in events if e["level"] == level))


T = TypeVar("T")


def progress(steps: Iterable[T], doing: str, unit: str = "") -> Iterator[T]:
    """``steps`` as they come, with a bar on a terminal: how many are done, and the time left.

    The bar goes when all are done. The time left is known where ``len(steps)`` is.

    >>> list(progress([1, 2], "counting"))
    [1, 2]
    """
    from tqdm import tqdm

    # None: silent where standard error is no terminal
    return iter(tqdm(steps, desc=doing, unit=f" {unit}", disable=None, leave=False))
