"""Logging: one line per event on standard error, for people and for `read_events`.

Each module logs to ``logging.getLogger(__name__)``, a child of the logger ``giblet``. A command
shows warnings and errors; with ``GIBLET_LOG`` set, as the workflow has it, its lines are structured
and say the time, too: ``<UTC time> <level> <logger> <message as a JSON string>``.
"""

import json
import logging
import os
import re
import resource
import sys
import time
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

KEEPS_LOG = "GIBLET_LOG"  # set by the workflow, whose rules keep standard error in a file
LEVELS = ("INFO", "WARNING", "ERROR")
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_logger = logging.getLogger("giblet")
_UNSEEN = re.compile(  # control characters but tabs, line ends, direction, what no encoding has
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def visible(text: str) -> str:
    r"""``text`` with escapes for characters that would steer a terminal or change its direction.

    >>> visible("a\x1b[2J film")
    'a\\x1b[2J film'
    """
    return _UNSEEN.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def plain_line(text: str) -> str:
    r"""The same on one line.

    >>> plain_line("a\x1b[2J film,\n two lines")
    'a\\x1b[2J film, two lines'
    """
    return visible(" ".join(filter(None, map(str.strip, text.splitlines()))))


def keeps_log() -> bool:
    """Whether what goes to standard error is kept as a log."""
    return bool(os.environ.get(KEEPS_LOG))


@contextmanager
def log_to_stderr() -> Iterator[None]:
    """Events go to standard error: those of giblet's loggers, and warnings of libraries.

    A warning that was printed before is not printed again.
    """
    handler, root, level = _StandardError(), logging.getLogger(), _logger.level
    handler.addFilter(lambda e: e.levelno >= logging.WARNING or e.name.startswith("giblet"))
    handler.addFilter(_NoRepeatedWarnings())
    handler.setFormatter(_Structured() if keeps_log() else _Short())
    root.addHandler(handler)
    _logger.setLevel(logging.INFO if keeps_log() else logging.WARNING)
    logging.captureWarnings(keeps_log())
    try:
        yield
    finally:
        root.removeHandler(handler)
        _logger.setLevel(level)
        logging.captureWarnings(False)


def quiet_libraries() -> None:
    """Leave standard error to giblet: no tips, no progress bars that nobody watches."""
    if not sys.stderr.isatty():
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
        if "huggingface_hub" in sys.modules:  # it has read the environment already
            from huggingface_hub.utils import disable_progress_bars

            disable_progress_bars()
        if "transformers" in sys.modules:
            from transformers.utils.logging import disable_progress_bar

            disable_progress_bar()
    for name in ("lightning", "lightning.fabric", "lightning.pytorch"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.addHandler = lambda _: None  # type: ignore[method-assign]  # it adds one on import
    warnings.filterwarnings("ignore", module=r"(lightning|torch)\.")


class _NoRepeatedWarnings(logging.Filter):
    """Every warning once: a step that is done for each person would repeat its own."""

    def __init__(self) -> None:
        super().__init__()
        self._before: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno != logging.WARNING:
            return True
        try:
            message, n_before = record.getMessage(), len(self._before)
        except Exception:  # the handler reports it
            return True
        self._before.add(message)
        return len(self._before) > n_before


class _StandardError(logging.Handler):
    """Prints to what ``sys.stderr`` is at the moment."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), file=sys.stderr, flush=True)
        except Exception:
            self.handleError(record)


class _Short(logging.Formatter):
    """For people: an error is its message alone."""

    def format(self, record: logging.LogRecord) -> str:
        line = plain_line(super().format(record))
        ours = record.levelno == logging.ERROR and record.name.startswith("giblet")
        return line if ours else f"{record.levelname}: {line}"


class _Structured(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime(_TIME, time.gmtime(record.created))
        utf8 = (sys.stderr.encoding or "").lower() in ("utf-8", "utf8")
        message = json.dumps(plain_line(super().format(record)), ensure_ascii=not utf8)
        return f"{when} {record.levelname} {record.name} {message}"


@contextmanager
def logged(command: str) -> Iterator[None]:
    """Log begin and end of ``command``, with its seconds and peak memory."""
    begin = time.monotonic()
    _logger.info("%s begins", command)
    yield
    seconds = time.monotonic() - begin
    _logger.info("%s is done: %.1f s, %.0f MB at most", command, seconds, _peak_megabytes())


def _peak_megabytes() -> float:
    """Of this process; Linux counts kilobytes, macOS bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def warnings_of(attrs: Mapping) -> list[str]:
    """The ``warnings`` among an array set's attributes; of a file they are JSON.

    >>> warnings_of({"warnings": '["sub-01 moved"]'}), warnings_of({})
    (['sub-01 moved'], [])
    """
    warnings = attrs.get("warnings", [])
    return json.loads(warnings) if isinstance(warnings, str) else list(warnings)


def log_warnings(attrs: Mapping, logged_before: Collection[str] = ()) -> None:
    """Log `warnings_of` an array set, each once, but for those ``logged_before``."""
    for warning in dict.fromkeys(warnings_of(attrs)):
        if warning not in logged_before:
            _logger.warning("%s", warning)


@dataclass(frozen=True)
class Event:
    """One line of a log; ``logger`` is empty in logs of a giblet that wrote prose."""

    time: str
    level: str
    logger: str
    message: str


def read_events(log: str) -> list[Event]:
    """The events in a log's text, in order; lines that libraries printed are left out.

    Lines of an older giblet, whose messages are prose, are events too.

    >>> read_events('2026-01-02T03:04:05Z WARNING giblet.brain "no scan"\\nLoading weights: 1%\\n')
    [Event(time='2026-01-02T03:04:05Z', level='WARNING', logger='giblet.brain', message='no scan')]
    >>> read_events("2026-01-02T03:04:05Z WARNING no scan\\n")[0].message
    'no scan'
    """
    lines = (line.split(" ", 2) for line in log.splitlines())
    return [
        Event(when, level, *_parse_message(rest[0]))
        for when, level, *rest in filter(lambda words: len(words) == 3, lines)
        if level in LEVELS and _is_time(when)
    ]


def _parse_message(text: str) -> tuple[str, str]:
    """Logger and message."""
    logger, _, message = text.partition(" ")
    try:
        parsed = json.loads(message)
    except ValueError:
        parsed = None
    return (logger, parsed) if isinstance(parsed, str) else ("", text)


def _is_time(text: str) -> bool:
    try:
        time.strptime(text, _TIME)
    except ValueError:
        return False
    return True


def messages(log: str, level: str) -> list[str]:
    """Messages of one level in a log's text, each once.

    >>> messages("2026-01-02T03:04:05Z INFO giblet \\"train begins\\"", "INFO")
    ['train begins']
    """
    return list(dict.fromkeys(e.message for e in read_events(log) if e.level == level))


T = TypeVar("T")


def progress(
    steps: Iterable[T], doing: str, unit: str = "", total: int | None = None
) -> Iterator[T]:
    """``steps`` as they come, with a progress bar on a terminal.

    The bar goes when all are done. The time left is shown where ``len(steps)`` is known, or
    ``total`` says it.

    >>> list(progress([1, 2], "counting"))
    [1, 2]
    """
    from tqdm import tqdm

    # None: silent where standard error is no terminal
    bar = tqdm(steps, desc=doing, unit=f" {unit}", total=total, disable=None, leave=False)
    return iter(bar)
