"""Subtitles (.srt, .vtt): cues as rows, without tags, and without lines that were shown before."""

import html
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from giblet.errors import GibletError
from giblet.film.transcripts import decoded_text, one_line

if TYPE_CHECKING:
    from webvtt.models import Timestamp

_STAMP = r"(\d{1,5}:)?\d\d?:\d\d?[.,]\d{1,3}"
_TIMES = re.compile(rf"^[ \t]*{_STAMP} *--> *{_STAMP}(\s|$)", re.MULTILINE)
_STAMP_PARTS = re.compile(r"(?:(\d+):)?(\d+):(\d+)[.,](\d+)")  # h, min, s, decimals
_NO_NUMBER = re.compile(rf"(?<=\n\n)(?=[ \t]*{_STAMP} *-->)")
_LIKE_TIMES = re.compile(r"\d:\d\d")  # before an arrow
_STYLE = re.compile(r"\{\\[^{}]*\}")  # such as {\an8}: no speech
_BREAK = re.compile(r"<br\s*/?>|\\N")
# tags of SubRip and WebVTT, and WebVTT's times of words; any other < is text
_TAG = re.compile(
    r"</?(?:b|i|u|s|c|v|q|em|strong|font|span|p|lang|ruby|rt)(?:[\s.][^<>]*)?>|<(?:\d+:)?\d+:[\d.]+>",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&#?\w+;")
_TOUCHING = 0.5  # s between two cues of rolling captions, at most
_FLASH = 0.05  # s: YouTube repeats each finished line in a cue of 10 ms
_ROLLING_SHARE = 0.2  # of a file's cues


@dataclass
class _Cue:
    onset: float
    end: float
    raw: str
    lines: list[str]


def subtitle_rows(path: Path) -> tuple[pd.DataFrame, int, int]:
    """Subtitles as rows, and how many were lost or repeat the one before.

    Returns
    -------
    rows : onset, end (s) and text; the text has a line break where the subtitle has one.
    n_lost : subtitles without text, or (.srt) without a number.
    n_repeats : of rolling or highlighted captions: subtitles that begin with lines of the one
        before. These lines are left out.
    """
    cues, n_lost = _cues(path)
    new_lines = _without_repeats(cues)
    n_repeats = sum(new != cue.lines for new, cue in zip(new_lines, cues, strict=True))
    rows: list[list] = []
    for cue, lines in zip(cues, new_lines, strict=True):
        if lines or not cue.lines:
            rows.append([cue.onset, cue.end, "\n".join(lines)])
        elif rows:  # the same text, shown on
            rows[-1][1] = max(rows[-1][1], cue.end)
    return pd.DataFrame(rows, columns=["onset", "end", "text"]), n_lost, n_repeats


def _cues(path: Path) -> tuple[list[_Cue], int]:
    import webvtt
    from webvtt.errors import MalformedCaptionError, MalformedFileError

    text = decoded_text(path).lstrip()
    _refuse_broken_times(text, path)
    kind = "vtt" if text.startswith("WEBVTT") else "srt"  # names are sometimes wrong
    text = _with_full_stamps(text, kind, path)
    if kind == "srt" and _TIMES.match(text):  # no numbers between the subtitles
        times = _TIMES.sub(lambda times: times[0].replace(",", "."), text)
        kind, text = "vtt", f"WEBVTT\n\n{times}"
    elif kind == "srt":  # webvtt drops single subtitles without a number
        text = _NO_NUMBER.sub("0\n", text)
    try:
        captions = webvtt.from_buffer(io.StringIO(text), format=kind).captions
    except (MalformedFileError, MalformedCaptionError) as error:
        raise GibletError(
            f"{path}: not a readable {path.suffix.lower()} file ({one_line(error)})"
        ) from error
    cues = [
        _Cue(_seconds(c.start_time), _seconds(c.end_time), c.raw_text, _plain_lines(c.raw_text))
        for c in captions
    ]
    return cues, len(_TIMES.findall(text)) - len(captions)


def _with_full_stamps(text: str, kind: str, path: Path) -> str:
    """``text`` with times as ``hh:mm:ss.mmm``: webvtt drops cues at ``61:02.000``, and takes the
    decimal of ``00:00:01,5`` for 5 ms.

    GibletError where decimals of SubRip may be either.
    """
    stamps = [stamp for times in _TIMES.finditer(text) for stamp in _STAMP_PARTS.findall(times[0])]
    decimals = {stamp[3] for stamp in stamps}
    is_whole_ms = kind == "srt" and _are_milliseconds(decimals, path)

    def full(stamp: re.Match) -> str:
        hours, minutes, seconds = (int(part or 0) for part in stamp.groups()[:3])
        minutes += seconds // 60
        hours, minutes, seconds = hours + minutes // 60, minutes % 60, seconds % 60
        milliseconds = stamp[4].rjust(3, "0") if is_whole_ms else stamp[4].ljust(3, "0")
        return f"{hours:02}:{minutes:02}:{seconds:02}.{milliseconds}"

    return _TIMES.sub(lambda times: _STAMP_PARTS.sub(full, times[0]), text)


def _are_milliseconds(decimals: set[str], path: Path) -> bool:
    """Whether decimals are numbers of ms without zeros before them (5, 50, 500), not fractions
    of a second. GibletError where it cannot be known.

    >>> _are_milliseconds({"5", "25"}, Path("x.srt"))
    Traceback (most recent call last):
        ...
    giblet.errors.GibletError: x.srt: times have 1 to 2 decimals: ,5 may be 5 ms or 500 ms. Write \
three in all of them
    """
    widths = sorted(map(len, decimals)) or [3]
    if widths[0] == widths[-1]:
        return False
    several = [one for one in decimals if len(one) > 1]
    without_first, without_last = (not any(one[k] == "0" for one in several) for k in (0, -1))
    if without_first == without_last:
        short = min(decimals, key=len)
        raise GibletError(
            f"{path}: times have {widths[0]} to {widths[-1]} decimals: ,{short} may be {int(short)}"
            f" ms or {short:0<3} ms. Write three in all of them"
        )
    return without_first


def _seconds(stamp: "Timestamp") -> float:
    hours, minutes, seconds, milliseconds = stamp.to_tuple()
    return (((hours * 60 + minutes) * 60 + seconds) * 1000 + milliseconds) / 1000


def _plain_lines(raw: str) -> list[str]:
    """Lines without tags and styles, and without empty ones.

    >>> _plain_lines("<i>I <3 you,</i> and 5 > 4<br>&lt;b&gt;")
    ['I <3 you, and 5 > 4', '<b>']
    """
    text = _TAG.sub("", _BREAK.sub("\n", _STYLE.sub("", raw)))
    text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
    return [" ".join(line.split()) for line in text.split("\n") if line.strip()]


def _without_repeats(cues: list[_Cue]) -> list[list[str]]:
    """Lines of each cue, without those with which rolling captions repeat the cue before.

    People repeat themselves, too: lines are left out only where cues touch, in a file, or between
    neighbouring cues, where this is the rule.
    """
    new = [cue.lines for cue in cues]
    for i in range(1, len(cues)):
        if cues[i].onset - cues[i - 1].end <= _TOUCHING:
            new[i] = _new_lines(cues[i - 1].lines, cues[i].lines)
    signs = [i > 0 and _is_sign(cues[i - 1], cues[i], new[i]) for i in range(len(cues))]
    rolls = sum(signs) >= _ROLLING_SHARE * (len(cues) - 1)
    near = [any(signs[max(0, i - 1) : i]) or any(signs[i + 1 : i + 2]) for i in range(len(cues))]
    return [new[i] if rolls or (signs[i] and near[i]) else cue.lines for i, cue in enumerate(cues)]


def _is_sign(before: _Cue, cue: _Cue, new: list[str]) -> bool:
    """Whether a cue repeats the one before as captions do, not people."""
    if new == cue.lines:
        return False
    is_same = not new and (cue.end - cue.onset <= _FLASH or before.raw.strip() != cue.raw.strip())
    return bool(new) or is_same


def _new_lines(before: list[str], lines: list[str]) -> list[str]:
    """``lines`` without the last lines of the cue before, or its words, at their begin.

    >>> _new_lines(["a b", "c d"], ["c d", "e"]), _new_lines(["a b"], ["a b c"])
    (['e'], ['c'])
    """
    for n in range(min(len(before), len(lines)), 0, -1):
        if before[-n:] == lines[:n]:
            return lines[n:]
    old, words = " ".join(before).split(), " ".join(lines).split()
    if old and old == words[: len(old)]:  # the line grows, word by word
        return [" ".join(words[len(old) :])] if len(words) > len(old) else []
    return lines


def _refuse_broken_times(text: str, path: Path) -> None:
    for number, line in enumerate(text.split("\n"), 1):
        if _LIKE_TIMES.search(line.rpartition("->")[0]) and not _TIMES.match(line):
            problem = f"line {number} should be the times of a subtitle ({line.strip()[:80]})"
            raise GibletError(f"{path}: {problem}")
