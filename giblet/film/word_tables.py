"""Tables of words: text files and workbooks, with any separator, to onset, end and text."""

import csv
import io
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from giblet.errors import GibletError
from giblet.film.transcripts import chosen_part, content_of, decoded_text, one_line
from giblet.film.word_times import as_numbers
from giblet.io.paths import check_unpacked
from giblet.io.tables import SEPARATORS

TABLES = SEPARATORS | {".txt": "\t", ".tab": "\t"}  # their own separators; others are tried, too
_OTHERS = ("\t", ";", ",", "|")
_SYNONYMS = {"onset": ("onset", "start"), "duration": ("duration",), "end": ("end", "offset")}
_CELLS = {"dtype": str, "keep_default_na": False, "na_values": ["n/a", ""]}  # as written
_KIND = "type"  # the column in which the Montreal aligner distinguishes words and phones
_CLOSE = 0.01  # s, and share of the time
_MOST_COLUMNS = 5000  # pandas needs a minute for 100,000


def table_rows(
    path: Path,
    text_columns: Iterable[str],
    columns: dict[str, str | None],
    names: Sequence[str] | None = None,
    sheet: str | None = None,
    warned: list[str] | None = None,
) -> tuple[pd.DataFrame, bool]:
    """A table's onset, duration or end, and text, as written; empty rows are left out.

    ``columns``: names for onset, duration and end, None for the usual ones. ``names`` of all
    columns, where the first row is data already. The second result says whether semicolons
    separate the cells, as where commas are decimal. ``warned``: gets one line for each doubt.
    """
    wanted = _Wanted(columns, text_columns)
    header = None if names else 0
    if path.suffix.lower() == ".xlsx":
        table, semicolons = _sheet(path, sheet, header), False
    else:
        table, semicolons = _separated(path, header, names, wanted)
    if names and len(names) != len(table.columns):
        counts = f"has {len(table.columns)} columns, words.column_names names {len(names)}"
        raise GibletError(f"{path}: {counts}")
    table = table.set_axis(list(names), axis=1) if names else table
    problems: list[str] = []
    rows = wanted.rows(table, path, problems)
    if path.suffix.lower() == ".xlsx" and len(rows) > 1 and _are_minutes(rows["onset"]):
        problems.append(
            "all onsets are whole minutes. Excel takes 1:30 for an hour and a half; for a minute "
            "and a half type 0:01:30"
        )
    if warned is not None:
        warned += [f"{path.name}: {problem}" for problem in problems]
    return rows, semicolons


def _are_minutes(cells: pd.Series) -> bool:
    """Whether all cells are times of a workbook without seconds."""
    return bool(cells.astype(str).str.fullmatch(r"\d\d:\d\d:00").all())


class _Wanted:
    """The columns of a transcript: their names, and which of a table they are."""

    def __init__(self, columns: dict[str, str | None], text_columns: Iterable[str]):
        self.names = {
            key: [_plain(name)] if name else list(_SYNONYMS[key]) for key, name in columns.items()
        }
        self.columns = columns
        self.texts = [_plain(name) for name in text_columns]

    def missing(self, table_columns: Iterable[str]) -> list[str]:
        """Names of the columns that a table lacks."""
        present = {*table_columns}
        given = self._given(present)
        last = self._last(given)
        end_name = self.names[last][0] if self.columns[last] else "duration (or end)"
        missing = [] if given["onset"] else [self.names["onset"][0]]
        missing += [name for name in self.texts if name not in present]
        return missing if given[last] else [*missing, end_name]

    def rows(self, table: pd.DataFrame, path: Path, problems: list[str]) -> pd.DataFrame:
        """Onset, duration or end, and text of a table; ``problems`` gets a line for each doubt."""
        all_columns = " ".join(", ".join(map(str, table.columns)).split())[:200]
        table = table.rename(columns=_plain).dropna(how="all")
        if (repeated := table.columns[table.columns.duplicated()]).size:
            raise GibletError(f"{path}: has two columns {repeated[0]}")
        if missing := self.missing(table.columns):
            needs = f"{', '.join(missing)}; it has {all_columns}. Other names can be given in words"
            if any(_is_number(name) for name in table.columns):
                needs += "; if the first row is data, set words.column_names"
            raise GibletError(f"{path}: needs columns {needs}")
        given = self._given({*table.columns})
        last = self._last(given)
        if _KIND in table and {"words", "phones"} <= {*(kinds := table[_KIND])}:
            table = table[kinds == "words"]
            problems.append("reads rows of type words, not those of type phones")
        if n := self._contradictions(table, given):
            problems.append(
                f"in {n} rows the end is not the onset plus the duration, which is read; "
                "words.end_column chooses the end"
            )
        rows = table[[given["onset"], given[last]]].set_axis(["onset", last], axis=1)
        cells = table[self.texts].fillna("").itertuples(index=False)
        return rows.assign(text=[" ".join(filter(None, map(str.strip, row))) for row in cells])

    def _given(self, present: set[str]) -> dict[str, str | None]:
        return {
            key: next((name for name in names if name in present), None)
            for key, names in self.names.items()
        }

    def _contradictions(self, table: pd.DataFrame, given: dict[str, str | None]) -> int:
        """Rows whose end is not onset plus duration, where the config names neither."""
        if not (given["duration"] and given["end"]):
            return 0
        if self.columns["duration"] or self.columns["end"]:
            return 0
        columns = [given[key] for key in ("onset", "duration", "end")]
        times = as_numbers(table[columns], decimal_comma=False)[0].to_numpy()
        off = abs(times[:, 0] + times[:, 1] - times[:, 2])
        return int((off > _CLOSE * (1 + abs(times[:, 2]))).sum())  # none where one is missing

    def _last(self, given: dict[str, str | None]) -> str:
        by_duration = self.columns["duration"] or (given["duration"] and not self.columns["end"])
        return "duration" if by_duration else "end"


def _separated(
    path: Path, header: int | None, names: Sequence[str] | None, wanted: _Wanted
) -> tuple[pd.DataFrame, bool]:
    text = decoded_text(path)
    if " --> " in text[:500]:
        raise GibletError(f"{path}: these are subtitles; name the file .srt or .vtt")
    if text[:4].lower() == "sep=" and "\n" in text:  # Excel's own line
        text = text.split("\n", 1)[1]
    own = TABLES[path.suffix.lower()]
    separator = _separator(text.split("\n", 1)[0], own, names, wanted)
    if (n := 1 + max(line.count(separator) for line in text.split("\n"))) > _MOST_COLUMNS:
        raise GibletError(f"{path}: has {n:,} columns; a transcript has a few")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # more cells than columns
            table = pd.read_csv(
                io.StringIO(text), sep=separator, header=header, index_col=False, **_CELLS
            )
    except (ValueError, pd.errors.ParserWarning) as error:
        raise GibletError(
            f"{path}: not a readable table ({one_line(error)}). Rows must have as many cells as "
            "there are columns; text with a separator in it needs quotation marks"
        ) from error
    if separator == "\t" and (long := [c for c in table.to_numpy().ravel() if "\n" in str(c)]):
        start = long[0].splitlines()[0]
        raise GibletError(f"{path}: a quotation mark is opened and not closed in its row ({start})")
    return table, separator == ";"


def _separator(first_line: str, own: str, names: Sequence[str] | None, wanted: _Wanted) -> str:
    """The separator with which the first line has the wanted columns, or the ending's own."""
    for separator in (own, *_OTHERS):
        try:
            cells = next(csv.reader([first_line], delimiter=separator))
        except (csv.Error, StopIteration):
            continue
        if len(cells) == len(names) if names else not wanted.missing(map(_plain, cells)):
            return separator
    return own


def _sheet(path: Path, sheet: str | None, header: int | None) -> pd.DataFrame:
    content, cells = io.BytesIO(content_of(path)), _CELLS | {"header": header}
    check_unpacked(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of formatting that openpyxl leaves out
            sheets = pd.read_excel(content, sheet_name=None, engine="openpyxl", **cells)
    except Exception as error:
        raise GibletError(f"{path}: not a readable workbook ({one_line(error)})") from error
    return chosen_part({n: t for n, t in sheets.items() if len(t.columns)}, sheet, "sheet", path)


def _plain(name: str) -> str:
    return " ".join(str(name).split()).lower()


def _is_number(text: str) -> bool:
    return str(text).replace(",", "").replace(".", "").replace(":", "").strip().isdigit()
