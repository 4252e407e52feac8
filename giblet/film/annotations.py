"""Transcripts of a film: tables, Praat TextGrids and subtitles, read into one table by onset."""

import io
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from giblet.errors import GibletError
from giblet.film.transcripts import (
    chosen_part,
    content_of,
    decoded_text,
    interval_rows,
    one_line,
    subtitle_rows,
)
from giblet.io.paths import check_unpacked
from giblet.io.tables import SEPARATORS

PAUSES = ("sp", "sil", "<eps>", "<p:>")  # of the Penn, Montreal and Munich forced aligners
_SYNONYMS = {"onset": ("onset", "start"), "duration": ("duration",), "end": ("end", "offset")}
_CELLS = {"dtype": str, "keep_default_na": False, "na_values": ["n/a", ""]}  # as written
_FORMATS = ".tsv, .csv, .xlsx, .TextGrid, .srt or .vtt"
_MOST_COLUMNS = 5000  # pandas needs a minute for 100,000
_EPSILON = 1e-6  # s: rows that share less than this do not overlap


def read_annotations(
    path: str | Path,
    text_columns: Sequence[str] = ("text",),
    *,
    column_names: Sequence[str] | None = None,
    onset_column: str | None = None,
    duration_column: str | None = None,
    end_column: str | None = None,
    unit_seconds: float = 1.0,
    first_unit: int | None = None,
    leave_out_untimed: bool = False,
    sheet: str | None = None,
    tier: str | None = None,
    pauses: Sequence[str] = PAUSES,
) -> pd.DataFrame:
    """Read a transcript: columns ``onset``, ``duration`` (s of film) and ``text``, by onset.

    Rows without text are left out, unsorted rows sorted, rows that overlap kept, each with a
    warning in ``.attrs["warnings"]``.

    Parameters
    ----------
    path : table (.tsv, .csv, .xlsx), Praat .TextGrid, or subtitles (.srt, .vtt).
    text_columns : of a table, joined with a space.
    column_names : of a table whose first row is data, as forced aligners write it.
    onset_column, duration_column, end_column : of a table, where they are not called onset (or
        start), and duration or end (or offset). Neither case nor spaces at the ends matter.
    unit_seconds : how long the table's unit of time is: 0.001 for ms, the TR for TRs.
    first_unit : the number of the first unit, where the table counts whole units (TR 1 to TR 8)
        instead of giving times. The last unit of a row is part of it.
    leave_out_untimed : leave out a table's rows that have no time at all, with a warning.
    sheet, tier : of a workbook, and of a TextGrid, where there are several.
    pauses : labels, in upper or lower case, of intervals without speech; empty labels are, too.

    Raises
    ------
    GibletError
        The file is missing, empty, broken or not UTF-8 (or UTF-16 with its mark); a column, sheet
        or tier is missing; a row has no time, begins before the film or ends before it begins.
    """
    path, warned = Path(path), []
    ending = path.suffix.lower()
    if ending == ".xlsx" or ending in SEPARATORS:
        table = _table(path, sheet, column_names)
        columns = {"onset": onset_column, "duration": duration_column, "end": end_column}
        rows = _table_rows(table, columns, text_columns, path)
        rows = _numbers(_timed(rows, leave_out_untimed, path, warned), path)
        rows = _in_seconds(rows, unit_seconds, first_unit, path)
    elif ending == ".textgrid":
        rows = _numbers(interval_rows(path, tier, pauses), path)
    elif ending in (".srt", ".vtt"):
        rows, n_lost = subtitle_rows(path)
        _note(n_lost, "subtitles without text or number are left out", path, warned)
    else:
        raise GibletError(f"{path}: annotations are {_FORMATS}, not {ending or 'without ending'}")
    return _tidy(rows, path, warned)


def _table(path: Path, sheet: str | None, names: Sequence[str] | None) -> pd.DataFrame:
    """A table's cells as text; ``names`` where its first row is data already."""
    header = None if names else 0
    if path.suffix.lower() == ".xlsx":
        table = _sheet(path, sheet, header)
    else:
        table = _separated(path, header)
    if names and len(names) != len(table.columns):
        counts = f"has {len(table.columns)} columns, words.column_names names {len(names)}"
        raise GibletError(f"{path}: {counts}")
    return table.set_axis(list(names), axis=1) if names else table


def _separated(path: Path, header: int | None) -> pd.DataFrame:
    separator, text = SEPARATORS[path.suffix.lower()], decoded_text(path)
    if (n := 1 + max(line.count(separator) for line in text.split("\n"))) > _MOST_COLUMNS:
        raise GibletError(f"{path}: has {n:,} columns; a transcript has a few")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # more cells than columns
            table = pd.read_csv(
                io.StringIO(text), sep=separator, header=header, index_col=False, **_CELLS
            )
    except (ValueError, pd.errors.ParserWarning) as error:
        raise GibletError(f"{path}: not a readable table ({one_line(error)})") from error
    if separator == "\t" and (long := [c for c in table.to_numpy().ravel() if "\n" in str(c)]):
        start = long[0].splitlines()[0]
        raise GibletError(f"{path}: a quotation mark is opened and not closed in its row ({start})")
    return table


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


def _table_rows(table, columns: dict, text_columns: Iterable[str], path: Path) -> pd.DataFrame:
    """A table's onset, duration or end, and text, under these names; empty rows are left out."""
    all_columns = ", ".join(map(str, table.columns))[:200]
    table = table.rename(columns=_plain).dropna(how="all")
    if (repeated := table.columns[table.columns.duplicated()]).size:
        raise GibletError(f"{path}: has two columns {repeated[0]}")
    names = {key: [_plain(name)] if name else _SYNONYMS[key] for key, name in columns.items()}
    given = {key: next((n for n in names[key] if n in table), None) for key in names}
    by_duration = columns["duration"] or (given["duration"] and not columns["end"])
    last = "duration" if by_duration else "end"
    texts = [_plain(name) for name in text_columns]
    needed = {names["onset"][0]: given["onset"]} | {name: name in table for name in texts}
    needed[names[last][0] if columns[last] else "duration (or end)"] = given[last]
    if missing := [name for name, column in needed.items() if not column]:
        needs = f"{', '.join(missing)}; it has {all_columns}. Other names can be given in words"
        raise GibletError(f"{path}: needs columns {needs}")
    rows = table[[given["onset"], given[last]]].set_axis(["onset", last], axis=1)
    cells = table[texts].fillna("").itertuples(index=False)
    return rows.assign(text=[" ".join(filter(None, map(str.strip, row))) for row in cells])


def _plain(name: str) -> str:
    return " ".join(str(name).split()).lower()


def _timed(rows: pd.DataFrame, leave_out_untimed: bool, path: Path, warned) -> pd.DataFrame:
    untimed = rows.drop(columns="text").isna().all(axis=1)
    if untimed.any() and not leave_out_untimed:
        problem = f"{untimed.sum()} rows have no time, the first is row {untimed.idxmax() + 1}"
        raise GibletError(f"{path}: {problem}. words.leave_out_untimed: true leaves them out")
    _note(untimed.sum(), "rows without time are left out", path, warned)
    return rows[~untimed]


def _numbers(rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    for column in rows.columns.drop("text"):
        numbers = pd.to_numeric(rows[column], errors="coerce").astype(float)
        _refuse(~np.isfinite(numbers), f"has no {column} in seconds", rows[column], path)
        rows = rows.assign(**{column: numbers})
    return rows


def _in_seconds(
    rows: pd.DataFrame, unit_seconds: float, first_unit: int | None, path: Path
) -> pd.DataFrame:
    """``rows`` with times in seconds. Numbered units: the last of a row is part of it."""
    times = rows.drop(columns="text")
    if first_unit is not None:
        for column in times:
            _refuse(times[column] % 1 != 0, "is not in whole units", times[column], path)
        times = times.assign(onset=times["onset"] - first_unit)
        if "end" in times:
            times = times.assign(end=times["end"] - first_unit + 1)
    return (times * unit_seconds).assign(text=rows["text"])


def _tidy(rows: pd.DataFrame, path: Path, warned: list[str]) -> pd.DataFrame:
    if "end" in rows:
        rows = rows.assign(duration=rows["end"] - rows["onset"])
    _refuse(rows["onset"] < 0, "begins before the film does", rows["onset"], path)
    _refuse(rows["duration"] < 0, "ends before it begins", rows["onset"], path)
    empty = rows["text"] == ""
    _note(empty.sum(), "rows without text are left out", path, warned)
    rows = rows.loc[~empty, ["onset", "duration", "text"]]
    if rows.empty:
        raise GibletError(f"{path}: there is no text in it")
    late = rows["onset"].diff() < 0
    _note(late.sum(), "rows begin before the row above them; sorted", path, warned)
    rows = rows.sort_values("onset", kind="stable").reset_index(drop=True)
    ends = (rows["onset"] + rows["duration"]).cummax().shift()  # of all rows before
    overlaps = ends - rows["onset"] > _EPSILON
    _note(overlaps.sum(), "rows begin before an earlier one ends; all are kept", path, warned)
    rows.attrs["warnings"] = warned
    return rows


def _refuse(bad: pd.Series, problem: str, values: pd.Series, path: Path) -> None:
    if bad.any():
        row = bad.idxmax()
        raise GibletError(f"{path}: row {row + 1} {problem} ({values.name} {values[row]})")


def _note(n: int, what: str, path: Path, warned: list[str]) -> None:
    if n > 0:
        warned.append(f"{path.name}: {n} {what}")
