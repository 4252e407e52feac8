"""Series in text files: a row per volume, names of the columns in the first row or nowhere."""

import csv
import re
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd

from giblet.errors import GibletError
from giblet.io.delimited import (
    decimal_mark,
    delimiter,
    is_decimal_or_two,
    table_text,
    without_trailing_delimiters,
)

ENDINGS = {".tsv": "\t", ".csv": ",", ".txt": None, ".1d": None, ".par": None}
"""Of text files, each perhaps with ``.gz`` behind it, and the usual delimiter (None: spaces)."""

_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eEdD][+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE)
_D_EXPONENT = re.compile(r"(?<![\w.])([+-]?[\d.,]*\d[.,]?)[dD]([+-]?\d+)(?![\w.])")  # Fortran's
_WHOLE = re.compile(r"\d+")
_MISSING = re.compile(r"|#?n/?a|-?nan|null|none|<na>|#n/a n/a", re.IGNORECASE)
_COMMENT = re.compile(r"#(?!(n/?a|div/0!|value!|ref!|name\?|num!|null!))", re.IGNORECASE)
_THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+(\.\d+)?")
_ROW_NUMBERS = {"index", "frame", "scan", "time", "timepoint", "tr", "unnamed: 0", "vol", "volume"}
_INCREASING = 8  # by chance, that many values increase once in 8! times


def text_ending(path: Path) -> str | None:
    """The ending by which a file is read as text, or None."""
    name = path.name.lower().removesuffix(".gz")
    return next((ending for ending in ENDINGS if name.endswith(ending)), None)


def read_text_series(
    path: Path,
    header: bool | None = None,
    index_column: bool | None = None,
    n_rows: Sequence[int] = (),
    wanted: Sequence[str] = (),
) -> tuple[np.ndarray, list[str]]:
    """Numbers (n_volumes, n_columns) float32, n/a as NaN, and names of columns ([]: none).

    Parameters
    ----------
    header
        Whether the first row has names. None: by its content.
    index_column
        Whether the first column numbers the rows and is left out. None: GibletError if it does.
    n_rows
        Possible numbers of volumes, if they are known: these tell whether a first row of numbers
        has names, and an index is left out.
    wanted
        Names of columns to read, if a first row has names; []: all.

    Raises
    ------
    GibletError
        A first row or column of which it is unclear whether it is data; columns without a name;
        words, or numbers with thousands separators.
    """
    text = table_text(path)
    text, comment = _without_comments(text)
    separator = delimiter(text, ENDINGS[text_ending(path) or ".tsv"])
    line, _, below = text.partition("\n")
    if not text.strip():
        raise GibletError(f"{path}: no readable numbers in it (it is empty)")
    first = _cells(line, separator)
    if len(first) == 1 and "\n\n" in text:
        row = text[: text.index("\n\n")].count("\n") + 2
        raise GibletError(
            f"{path}: line {row} is empty: a missing value, or none? Write n/a, or delete the line"
        )
    if header is None:
        header = _has_names(path, first, text, separator, n_rows)
        if header:
            _check_second_row(path, below, separator, n_rows)
    rows = below if header else text
    if separator == "," and len(first) < 3 and index_column is None:
        _check_commas(path, rows, names=first if header else [])
    names = [cell.strip() for cell in first] if header else _commented(comment, separator)
    table = _parsed(path, rows, separator)
    names = _fitting(path, names, table, header)
    table = _trimmed(table, names, line.rstrip(" ").endswith(separator))
    names = names[: table.shape[1]]
    table, names = _without_index(path, table, names, index_column, bool(n_rows))
    if wanted and names:
        chosen = [n for n, name in enumerate(names) if name in wanted]
        table, names = table.iloc[:, chosen], [names[n] for n in chosen]
    if "" in names:
        raise GibletError(f"{path}: column {names.index('') + 1} has no name; give it one")
    return _numbers(path, table, names, bool(header)), names


def _without_comments(text: str) -> tuple[str, str]:
    """``text`` without empty lines at both ends and without comments; the last comment above the
    first row, without its #. Below it a comment begins with "# ", unlike Excel's #N/A."""
    text = text.rstrip("\n ").lstrip("\n")
    comments, lines = [], text.split("\n") if "#" in text else []
    while lines and _COMMENT.match(lines[0]):
        comments.append(lines.pop(0).lstrip("# "))
    if lines:
        text = "\n".join(line for line in lines if not line.startswith(("# ", "##")))
    return text, comments[-1] if comments else ""


def _cells(line: str, separator: str) -> list[str]:
    if separator == r"\s+":
        return line.split()
    return [cell.strip() for cell in next(csv.reader([line], delimiter=separator), [""])]


def _commented(comment: str, separator: str) -> list[str]:
    """Names in a comment above the first row, as ``numpy.savetxt`` writes a header; none where
    spaces are between columns: the comment may be a sentence."""
    names = _cells(comment, separator) if comment and separator != r"\s+" else []
    return [] if any(_NUMBER.fullmatch(name) for name in names) else names


def _has_names(
    path: Path, first: list[str], text: str, separator: str, n_rows: Sequence[int]
) -> bool:
    """Whether the first row has names; GibletError where that cannot be seen."""
    words = [c for c in first if not _NUMBER.fullmatch(c) and not _MISSING.fullmatch(c)]
    numbers = [cell for cell in first if _NUMBER.fullmatch(cell)]
    if words:
        thousands = [word for word in words if _THOUSANDS.fullmatch(word)]
        if thousands or not all(map(_WHOLE.fullmatch, numbers)):
            raise GibletError(
                f"{path}: row 1 holds words and numbers ({(thousands or words)[0]!r}): neither "
                "names nor a volume. Write a row per volume, numbers without thousands separators"
            )
        return True
    if not numbers:  # n/a alone, or names that are all empty
        return False
    rows = [_cells(line, separator) for line in text.split("\n", 21)[1:21] if line.strip()]
    line, below = [*text.split("\n", 2)[:2], ""][:2]
    if line.count('"') == 2 * len(first) and '"' not in below:
        return True  # R quotes text alone
    above_index = first[0] == "" and _index_names(first, rows)
    if not above_index and not _number_columns(first, rows):
        return False
    count = text.count("\n") + 1
    if (count in n_rows) != (count - 1 in n_rows):
        return count - 1 in n_rows
    if above_index:
        return True
    advice = "Say so in a column header of the table of runs: yes (names) or no"
    if n_rows:
        advice = "Give the columns names that are words"
    raise GibletError(
        f"{path}: does row 1 ({', '.join(first[:3])}{', …' * (len(first) > 3)}) name the columns, "
        f"or is it a volume? {advice}"
    )


def _check_second_row(path: Path, below: str, separator: str, n_rows: Sequence[int]) -> None:
    """GibletError where the row under the names may have names, too: whole numbers above others,
    as ``DataFrame.to_csv`` writes columns of two levels."""
    lines = [line for line in below.split("\n", 21)[:21] if line.strip()]
    if not lines:
        return
    second, *rows = (_cells(line, separator) for line in lines)
    others = [cell for row in rows for cell in row if _NUMBER.fullmatch(cell)]
    is_whole = all(map(_WHOLE.fullmatch, second)) and len(set(second)) > 1
    if not is_whole or not others or any(map(_WHOLE.fullmatch, others)):
        return
    if below.count("\n") + 1 in n_rows:
        return
    advice = "" if n_rows else ", or say that it is a volume by yes in a column header of the table"
    raise GibletError(
        f"{path}: does row 2 ({', '.join(second[:3])}{', …' * (len(second) > 3)}) name the columns "
        f"as row 1 does? Write one row of names{advice}"
    )


def _index_names(first: list[str], rows: list[list[str]]) -> bool:
    """Whether a first row of an empty cell and numbers has names, as ``DataFrame.to_csv`` writes
    them above an index, and no missing value."""
    if not all(map(_NUMBER.fullmatch, first[1:])) or not all(row[:1] != [""] for row in rows):
        return False
    index = pd.Series([row[0] for row in rows], dtype=object)
    return numbers_rows(index) or _number_columns(first[1:], [row[1:] for row in rows])


def _number_columns(first: list[str], rows: list[list[str]]) -> bool:
    """Whether a first row of numbers may be one of names: 0, 1, 2 … or labels of an atlas."""
    if len(first) != sum(bool(_NUMBER.fullmatch(cell)) for cell in first):
        return False
    values = list(map(_value, first))
    others = [cell for row in rows for cell in row]
    if len(first) > 1 and values in [list(map(float, range(n, n + len(first)))) for n in (0, 1)]:
        return True
    if not all(map(_WHOLE.fullmatch, first)) or len(set(first)) < len(first):
        return False
    if others and not any(re.fullmatch(r"[+-]?\d+", cell) for cell in others):
        return True  # no other number is whole
    if len(first) == 1:
        numbers = [_value(cell) for cell in others if _NUMBER.fullmatch(cell)]
        outside = bool(numbers) and not min(numbers) <= values[0] <= max(numbers)
        return values[0] in (0, 1) and outside
    return len(first) >= _INCREASING and all(np.diff(values) > 0)


def _value(cell: str) -> float:
    return float(re.sub("[dD]", "e", cell.replace(",", ".")))


def _check_commas(path: Path, rows: str, names: list[str]) -> None:
    """GibletError for comma-separated rows that may be single numbers with decimal commas."""
    if len(names) == 2 or not is_decimal_or_two(rows):
        return
    index = [line.partition(",")[0] for line in rows.splitlines()]
    if numbers_rows(pd.Series(index, dtype=object)):
        return
    row = next(line for line in rows.splitlines() if "," in line)
    raise GibletError(
        f"{path}: is {row} one number with a decimal comma, or two columns? Write a decimal "
        "point, or a tab between the columns"
    )


def _parsed(path: Path, text: str, separator: str) -> pd.DataFrame:
    if "D" in text or "d" in text:
        text = _D_EXPONENT.sub(r"\1e\2", text)
    options = {
        "sep": separator,
        "decimal": decimal_mark(text, separator),
        "header": None,
        "skipinitialspace": True,
        "low_memory": False,
    }
    try:
        try:
            return pd.read_csv(BytesIO(text.encode()), **options)  # twice as fast as StringIO
        except pd.errors.ParserError:  # rows of different lengths
            text = without_trailing_delimiters(text, separator)
            return pd.read_csv(BytesIO(text.encode()), **options)
    except (ValueError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise GibletError(f"{path}: no readable numbers in it ({reason})") from None


def _trimmed(table: pd.DataFrame, names: list[str], delimiter_ends_row: bool) -> pd.DataFrame:
    """``table`` without last columns that are empty and have no name: delimiters end its rows."""
    n = table.shape[1]
    while n > 1 and table[n - 1].isna().all() and (n > len(names) > 0 or names[n - 1 : n] == [""]):
        n -= 1
    if not names and delimiter_ends_row and n > 1 and table[n - 1].isna().all():
        n -= 1
    return table.iloc[:, :n]


def _fitting(path: Path, names: list[str], table: pd.DataFrame, header: bool) -> list[str]:
    """``names`` if there is one for each column; none where a comment has others."""
    if not names:
        return []
    n = len(names)
    n_filled = n if names[-1] else n - 1
    if table.shape[1] in (n, n_filled):
        return names[: table.shape[1]]
    if table.shape[1] > n and table.iloc[:, n:].isna().all(axis=None):
        return names
    if not header:
        return []
    raise GibletError(
        f"{path}: its first row has {n} names, the rows below have {table.shape[1]} values; "
        "save it with one name per column, without row names"
    )


def _without_index(
    path: Path,
    table: pd.DataFrame,
    names: list[str],
    index_column: bool | None,
    leave_out: bool,
) -> tuple[pd.DataFrame, list[str]]:
    """Columns and names without a first column that numbers the rows, or has their times."""
    unnamed = names[:1] == [""]
    if index_column is None and table.shape[1] > 1 and numbers_rows(table[0], names[:1]):
        if not leave_out:
            raise GibletError(f"{path}: {index_question(table[0], names[:1])}")
        index_column = unnamed
    if index_column:
        return table.iloc[:, 1:], names[1:]
    return table, [f"column {1}", *names[1:]] if unnamed and index_column is False else names


def numbers_rows(column: pd.Series | np.ndarray, names: Sequence[str] = ()) -> bool:
    """Whether a column (n_volumes,) has the numbers of rows, or their times, instead of BOLD.

    These rise evenly from 0, from one step or from half a step; under such a name as ``time``,
    or ``names`` none, from anywhere.
    """
    values = pd.to_numeric(pd.Series(column), errors="coerce").to_numpy(float)
    if len(values) < 3 or not np.isfinite(values).all():
        return False
    step = (values[-1] - values[0]) / (len(values) - 1)
    off = 0.1 if len(values) >= _INCREASING else 0.01  # of a step: times may be rounded
    even = values[0] + step * np.arange(len(values))
    if step <= 0 or np.abs(values - even).max() > off * step:
        return False
    named = bool(names) and names[0].lower() in _ROW_NUMBERS
    return named or bool(np.isclose(values[0] / step, [0, 0.5, 1], rtol=0, atol=off).any())


def index_question(column: pd.Series | np.ndarray, names: Sequence[str] = ()) -> str:
    """The question whether the first column (n_volumes,) is data."""
    name = f" ({names[0]})" if names and names[0] else ""
    start = ", ".join(f"{value:g}" for value in np.asarray(column, dtype=float)[:3])
    return (
        f"column 1{name} numbers the rows ({start}, …), as pandas' index does, and is no BOLD. "
        "Add a column index_column to the table of runs: yes to leave it out, no to keep it"
    )


def _numbers(path: Path, table: pd.DataFrame, names: list[str], header: bool) -> np.ndarray:
    """Values (n_volumes, n_columns) float32; GibletError for the first that is no number."""
    if all(dtype.kind in "fiu" for dtype in table.dtypes):
        return table.to_numpy(np.float32)
    for n in range(table.shape[1]):
        column = table.iloc[:, n]
        if column.dtype.kind in "fiu" or column.isna().all():
            continue
        wrong = pd.to_numeric(column.astype(str).where(column.notna()), errors="coerce").isna()
        wrong &= column.notna()
        if not wrong.any():  # numbers that pandas leaves as text are larger than 64 bits
            continue
        row = int(np.flatnonzero(wrong)[0])
        name, cell = names[n] if names else str(n + 1), str(column.iloc[row])
        advice = ""
        if "," in cell:
            advice = ": is the comma a decimal mark, or between thousands? Write a point, or none"
        raise GibletError(
            f"{path}: column {name} holds words, not numbers ({cell[:20]!r} in row "
            f"{row + 1 + header}){advice}"
        )
    numbers = table.apply(pd.to_numeric, errors="coerce")
    with np.errstate(over="ignore"):
        return numbers.to_numpy(np.float32)
