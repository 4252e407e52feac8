"""Text of tables that people have: its encoding, delimiter and decimal mark."""

import gzip
import re
import zlib
from pathlib import Path

from giblet.errors import GibletError
from giblet.io.paths import check_file

_UNPACKED = 500_000_000  # bytes
_GZIP = b"\x1f\x8b"
_LOOKED_AT = 20  # lines
_QUOTED = re.compile(r'"[^"]*"')
_DECIMAL_COMMA = r"[+-]?(?:0,\d+|\d+,(?:\d{1,2}|\d{4,}))(?:[eEdD][+-]?\d+)?"  # not of thousands
_DECIMAL_POINT = r"[+-]?\d+\.\d+(?:[eEdD][+-]?\d+)?"
_COMMA_CELL = re.compile(r"[+-]?\d+(,\d+)?([eEdD][+-]?\d+)?|n/?a|nan", re.IGNORECASE)
_SEP_LINE = re.compile(r'\A"?sep=(.)"?\n', re.IGNORECASE)  # of Excel


def table_text(path: Path) -> str:
    """The text of a table, unpacked if gzip packed it, lines ending with ``\\n``.

    UTF-8, or UTF-16 with a byte order mark. Excel's first line ``sep=;`` is left out.

    Raises
    ------
    GibletError
        Other bytes, and what would unpack to more than 500 MB.
    """
    content = _unpacked(check_file(path))
    marked = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    if b"\0" in content and not marked:
        raise GibletError(f"{path}: not text in UTF-8: it has a NUL in it")
    try:
        text = content.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise GibletError(
            f"{path}: not text in UTF-8: line {line}; save it again as UTF-8"
        ) from None
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _SEP_LINE.sub("", text)


def _unpacked(path: Path) -> bytes:
    with path.open("rb") as file:
        if file.read(2) != _GZIP:
            file.seek(0)
            return file.read()
    try:
        with gzip.open(path) as file:
            content = file.read(_UNPACKED + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise GibletError(f"{path}: cannot be unpacked ({error})") from None
    if len(content) > _UNPACKED:
        raise GibletError(f"{path}: would unpack to more than {_UNPACKED / 1e6:.0f} MB")
    return content


def delimiter(text: str, usual: str | None) -> str:
    """The delimiter of a table: one that is in each of the first lines, else ``usual``.

    ``usual`` None: any white space. White space between numbers with decimal commas comes before
    commas.

    >>> delimiter("a;b\\n1,5;2\\n", ","), delimiter("a b\\n1\\n", "\\t"), delimiter("1  2", None)
    (';', '\\t', '\\\\s+')
    """
    lines = [_QUOTED.sub("", line) for line in _first_lines(text)]
    commas = usual == "," or any(re.search(r",.*,|[.a-zA-Z]", line) for line in lines)
    order = "\t;," if usual == "\t" else ";\t,"  # a comma may be a decimal one
    spaced = bool(lines) and all(len(line.split()) > 1 for line in lines)
    commas &= not (spaced and _has_comma_cells(lines))
    for candidate in order if commas else order[:2]:
        if lines and all(candidate in line for line in lines):
            return candidate
    return r"\s+" if usual is None or spaced else usual


def _has_comma_cells(lines: list[str]) -> bool:
    """Whether white space separates numbers that have at most one comma, perhaps below names."""
    return all(_COMMA_CELL.fullmatch(cell) for line in lines[1:] or lines for cell in line.split())


def _first_lines(text: str) -> list[str]:
    lines = text[: 1 + _end_of_lines(text)].split("\n")
    return [line for line in lines if line.strip() and not line.startswith("#")]


def _end_of_lines(text: str) -> int:
    end = -1
    for _ in range(_LOOKED_AT):
        if (following := text.find("\n", end + 1)) < 0:
            return len(text)
        end = following
    return end


def decimal_mark(text: str, separator: str) -> str:
    """``,`` where cells can only be read with decimal commas, else ``.``.

    >>> decimal_mark("a;b\\n1,5;2", ";"), decimal_mark("1,500;2,250", ";")
    (',', '.')
    """
    if separator == "," or "," not in text:
        return "."
    edge = r"[ \t]" if separator == r"\s+" else separator

    def has(cell: str) -> bool:
        whole = rf"(?:^|{edge}) *\"?{cell}\"? *(?={edge}|$)"
        return re.search(whole, text, re.MULTILINE) is not None

    return "," if has(_DECIMAL_COMMA) and not has(_DECIMAL_POINT) else "."


def is_decimal_or_two(text: str) -> bool:
    """Whether each row of a comma-separated table may be one number with a decimal comma, or two
    whole numbers.

    >>> is_decimal_or_two("503,46\\n498,1\\n"), is_decimal_or_two("503,46.5\\n498,1\\n")
    (True, False)
    """
    return "," in text and all(_COMMA_CELL.fullmatch(line.strip()) for line in text.splitlines())


def without_trailing_delimiters(text: str, separator: str) -> str:
    """``text`` without the delimiters with which lines end."""
    return text if separator == r"\s+" else re.sub(f"{separator}+ *$", "", text, flags=re.MULTILINE)
