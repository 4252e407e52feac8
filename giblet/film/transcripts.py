"""Transcript files: their text, the choice of a part, and the intervals of Praat TextGrids."""

import re
from pathlib import Path

import pandas as pd

from giblet.errors import GibletError
from giblet.io.paths import check_file

_NEGATIVE = re.compile(r"^[^\S\n]*(xm(in|ax) *= *)?-[\d.]*[1-9]\S*", re.MULTILINE)
_DECIMAL_COMMA = re.compile(r"^[^\S\n]*(?:xm(?:in|ax) *= *)?\d+,\d+[^\S\n]*$", re.MULTILINE)
_TINY = re.compile(r"^([^\S\n]*xm(?:in|ax) *= *)(\d[\d.]*[eE]-?\d+)\s*$", re.MULTILINE)
# of a tier, long or short: its name, times and number of intervals
_TIER = re.compile(
    r'"IntervalTier"\s+(?:name *= *)?"((?:[^"]|"")*)"\s+(?:xmin *= *)?[-\d.eE]+\s+'
    r"(?:xmax *= *)?[-\d.eE]+\s+(?:intervals: *size *= *)?(\d+)"
)
_OF_WORDS = re.compile(r"(^|.* - )words?$", re.IGNORECASE)  # "Ann - words": Montreal aligner
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')
_KEYWORDS = ("ooTextFile", "ooTextFile short", "TextGrid", "IntervalTier", "TextTier")
_LABEL = re.compile("\ue000([0-9]+)\ue001")  # stands for a label; of Unicode's private use
_EPSILON = 1e-6  # s
_MOST_SHOWN = 40  # characters of a line


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
    """The file's text, in UTF-8 or UTF-16, with line feeds as line breaks."""
    content = content_of(path)
    encoding = _encoding(content)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        name = "UTF-16" if encoding.startswith("utf-16") else "UTF-8"
        advice = "save the file as UTF-8" + _as_windows(content, line) * (name == "UTF-8")
        raise GibletError(f"{path}: line {line} is not {name}; {advice}") from None
    if content.startswith(b"ooBinaryFile"):
        raise GibletError(f"{path}: is binary; in Praat, save it as a text file")
    if "\0" in text:
        raise GibletError(f"{path}: is not text in UTF-8")
    return text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _as_windows(content: bytes, line: int) -> str:
    """How to convert a file whose ``line`` (from 1) is not UTF-8, if it is of old Windows.

    >>> _as_windows("one\\nTür\\n".encode("latin-1"), 2)
    '. If it says "Tür": iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW'
    """
    text = content.split(b"\n")[line - 1].decode("windows-1252", errors="replace").strip()
    if not text.isprintable() or "\ufffd" in text:
        return ""
    return f'. If it says "{text[:_MOST_SHOWN]}": iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW'


def _encoding(content: bytes) -> str:
    """UTF-16 by its mark, as Praat and Excel write it, or by a first character of ASCII."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if len(content) % 2 == 0 and content[:2].count(0) == 1:
        return "utf-16-be" if content[0] == 0 else "utf-16-le"
    return "utf-8-sig"


def chosen_part(parts: dict, name: str | None, what: str, path: Path):
    """The part called ``name``, or the only one; GibletError where there is none."""
    if name in parts or (name is None and len(parts) == 1):
        return parts[name or next(iter(parts))]
    problem = f"no {what} {name or ''}".strip() if name or not parts else f"more than one {what}"
    names = " ".join(", ".join(parts).split()) or "nothing"
    raise GibletError(f"{path}: has {problem}; words.{what} can be: {names}")


def interval_rows(path: Path, tier: str | None, warned: list[str]) -> pd.DataFrame:
    """The intervals of a TextGrid's tier whose label is not empty: onset, end, text.

    Also of a TextGrid written as JSON. A tier without intervals is only read by its name. Of
    several tiers without ``tier``, the only one of words is read, with a line in ``warned``.
    """
    text = decoded_text(path) + "\n"  # praatio drops a last line without an end
    tiers = _interval_tiers(text, path)
    filled = {name: part for name, part in tiers.items() if part["entries"]}
    of_words = [name for name in filled if _OF_WORDS.search(name.strip())]
    if tier is None and len(filled) > 1 and len(of_words) == 1:
        (tier,) = of_words
        names = " ".join(f"reads tier {tier} of {', '.join(filled)}".split())
        warned.append(f"{path.name}: {names}; words.tier chooses another")
    chosen = chosen_part(filled if tier is None and filled else tiers, tier, "tier", path)
    rows = pd.DataFrame(chosen["entries"], columns=["onset", "end", "text"])
    _refuse_cut_tier(chosen, rows, text, path)
    rows["text"] = pd.Series([" ".join(label.split()) for label in rows["text"]], dtype=str)
    return rows[rows["text"] != ""]


def _refuse_cut_tier(tier: dict, rows: pd.DataFrame, text: str, path: Path) -> None:
    """GibletError for a tier that is shorter than the file states."""
    stop = rows["end"].iloc[-1] if len(rows) else 0.0
    name = " ".join(tier["name"].split())
    stated = [
        int(n) for other, n in _TIER.findall(text) if other.replace('""', '"') == tier["name"]
    ]
    is_whole = text.lstrip().startswith("{") or (stated and len(rows) >= stated[0])
    if not is_whole and stop < tier["xmax"] - _EPSILON:  # Praat's intervals fill their tier
        problem = f"stop at {stop:.2f} s, not at its end ({tier['xmax']:.2f} s): is the file whole?"
        raise GibletError(f"{path}: the intervals of tier {name} {problem}")
    if rows.empty:
        raise GibletError(f"{path}: tier {name} has no intervals; there is no text in it")


def _interval_tiers(text: str, path: Path) -> dict[str, dict]:
    from praatio.utilities.textgrid_io import parseTextgridStr

    text, labels = _without_labels(text)
    if negative := _NEGATIVE.search(text):  # praatio drops the sign
        raise GibletError(f"{path}: has a time before 0 ({negative[0].strip()})")
    if comma := _DECIMAL_COMMA.search(text):
        raise GibletError(f"{path}: has a decimal comma ({comma[0].strip()}); write a point")
    text = _TINY.sub(lambda stamp: f"{stamp[1]}{float(stamp[2]):.12f}", text)
    try:
        tiers = parseTextgridStr(text, includeEmptyIntervals=True)["tiers"]
        tiers = [_plain(t, labels) for t in tiers if t["class"] in ("IntervalTier", "interval")]
    except Exception as error:
        raise GibletError(
            f"{path}: not a readable TextGrid ({one_line(error)}). Open it in Praat and save it as "
            "a text file"
        ) from error
    named = {tier["name"]: tier for tier in tiers}
    if len(named) < len(tiers):
        names = " ".join(", ".join(named).split())
        raise GibletError(f"{path}: has two tiers of one name, among {names}; rename one in Praat")
    return named


def _without_labels(text: str) -> tuple[str, list[str]]:
    """The text of a TextGrid with numbers for its labels, and these.

    praatio takes ``intervals [2]:`` or a number in a label for the format's own.
    """
    labels: list[str] = []
    if text.lstrip().startswith("{"):  # JSON
        return text, labels

    def number(quoted: re.Match) -> str:
        if quoted[1] in _KEYWORDS:
            return quoted[0]
        labels.append(quoted[1].replace('""', '"'))
        return f'"\ue000{len(labels) - 1}\ue001"'

    return _QUOTED.sub(number, text), labels


def _plain(tier: dict, labels: list[str]) -> dict:
    """A tier with its labels, and numbers as times, which JSON may not have."""

    def restored(label) -> str:
        return _LABEL.sub(lambda number: labels[int(number[1])], str(label)).strip()

    entries = [(float(onset), float(end), restored(text)) for onset, end, text in tier["entries"]]
    return {"name": restored(tier["name"]), "xmax": float(tier["xmax"]), "entries": entries}
