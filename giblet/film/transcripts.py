"""Transcript files: their text, and the rows of Praat TextGrids and subtitles."""

import html
import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from giblet.errors import GibletError
from giblet.io.paths import check_file

if TYPE_CHECKING:
    from webvtt.models import Timestamp

_STAMP = r"(\d{1,5}:)?\d\d?:\d\d?[.,]\d{3}"
_TIMES = re.compile(rf"^[ \t]*{_STAMP} *--> *{_STAMP}(\s|$)", re.MULTILINE)
_LIKE_TIMES = re.compile(r"\d:\d\d")  # before an arrow
_STYLE = re.compile(r"\{\\[^{}]*\}")  # such as {\an8}: no speech
_NEGATIVE = re.compile(r"^[^\S\n]*(xm(in|ax) *= *)?-[\d.]*[1-9]\S*", re.MULTILINE)
_EPSILON = 1e-6  # s


def one_line(error: Exception) -> str:
    """The message of an error, without line breaks."""
    return " ".join(str(error).split())


def content_of(path: Path) -> bytes:
    """The bytes of a file that is not empty."""
    check_file(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise GibletError(f"{path}: cannot be read ({error.strerror})") from error
    if not content.strip():
        raise GibletError(f"{path}: the file is empty")
    return content


def decoded_text(path: Path) -> str:
    """The file's text: UTF-16 if it begins with a byte order mark, else UTF-8."""
    content = content_of(path)
    marked = content.startswith((b"\xff\xfe", b"\xfe\xff"))  # as Praat and Excel write it
    try:
        text = content.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise GibletError(f"{path}: line {line} is not UTF-8; save the file as UTF-8") from None
    if "\0" in text:
        raise GibletError(f"{path}: is not text in UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def chosen_part(parts: dict, name: str | None, what: str, path: Path):
    """The part called ``name``, or the only one; GibletError where there is none."""
    if name in parts or (name is None and len(parts) == 1):
        return parts[name or next(iter(parts))]
    problem = f"no {what} {name or ''}".strip() if name or not parts else f"more than one {what}"
    raise GibletError(
        f"{path}: has {problem}; words.{what} can be: {', '.join(parts) or 'nothing'}"
    )


def interval_rows(path: Path, tier: str | None, pauses: Iterable[str]) -> pd.DataFrame:
    """The intervals of a TextGrid's tier that contain speech: onset, end, text."""
    chosen = chosen_part(_interval_tiers(path), tier, "tier", path)
    rows = pd.DataFrame(chosen["entries"], columns=["onset", "end", "text"])
    stop = float(rows["end"].iloc[-1]) if len(rows) else 0.0
    if stop < chosen["xmax"] - _EPSILON:  # Praat's intervals fill their tier
        problem = (
            f"stop at {stop:.2f} s, not at its end ({chosen['xmax']:.2f} s): is the file whole?"
        )
        raise GibletError(f"{path}: the intervals of tier {chosen['name']} {problem}")
    rows["text"] = pd.Series([" ".join(text.split()) for text in rows["text"]], dtype=str)
    without_speech = {"", *(pause.casefold() for pause in pauses)}
    return rows[~rows["text"].str.casefold().isin(without_speech)]


def _interval_tiers(path: Path) -> dict[str, dict]:
    from praatio.utilities.textgrid_io import parseTextgridStr

    text = decoded_text(path) + "\n"  # praatio drops a last line without an end
    if _NEGATIVE.search(text):  # and the sign
        raise GibletError(f"{path}: has a time before 0 ({_NEGATIVE.search(text)[0].strip()})")
    try:
        tiers = parseTextgridStr(text, includeEmptyIntervals=True)["tiers"]
    except Exception as error:
        raise GibletError(f"{path}: not a readable TextGrid ({one_line(error)})") from error
    tiers = [tier for tier in tiers if tier["class"] == "IntervalTier"]
    named = {tier["name"]: tier for tier in tiers}
    if len(named) < len(tiers):
        raise GibletError(f"{path}: has two tiers of one name, among {', '.join(named)}")
    return named


def subtitle_rows(path: Path) -> tuple[pd.DataFrame, int]:
    """Subtitles as onset, end (s) and text, and the number of those without text or number."""
    import webvtt
    from webvtt.errors import MalformedCaptionError, MalformedFileError

    text, kind = decoded_text(path), path.suffix[1:].lower()
    _refuse_broken_times(text, path)
    try:
        subtitles = webvtt.from_buffer(io.StringIO(text.lstrip()), format=kind).captions
    except (MalformedFileError, MalformedCaptionError) as error:
        raise GibletError(f"{path}: not a readable .{kind} file ({one_line(error)})") from error
    times = [[_seconds(s.start_time), _seconds(s.end_time)] for s in subtitles]
    plain = [_STYLE.sub("", html.unescape(s.text)) for s in subtitles]
    rows = pd.DataFrame(times, columns=["onset", "end"])
    n_lost = len(_TIMES.findall(text)) - len(subtitles)
    return rows.assign(text=[" ".join(text.split()) for text in plain]), n_lost


def _seconds(stamp: "Timestamp") -> float:
    hours, minutes, seconds, milliseconds = stamp.to_tuple()
    return (((hours * 60 + minutes) * 60 + seconds) * 1000 + milliseconds) / 1000


def _refuse_broken_times(text: str, path: Path) -> None:
    for number, line in enumerate(text.split("\n"), 1):
        if _LIKE_TIMES.search(line.rpartition("->")[0]) and not _TIMES.match(line):
            problem = f"line {number} should be the times of a subtitle ({line.strip()[:80]})"
            raise GibletError(f"{path}: {problem}")
