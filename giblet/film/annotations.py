"""Transcripts of a film in any format, read into one table by onset."""

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from giblet.errors import GibletError
from giblet.film.speech_marks import is_word_by_word, speakers_in, spoken_text
from giblet.film.subtitles import subtitle_rows
from giblet.film.transcripts import interval_rows
from giblet.film.word_json import json_rows
from giblet.film.word_nist import nist_rows
from giblet.film.word_tables import TABLES, table_rows
from giblet.film.word_times import as_numbers

ENDINGS = (*TABLES, ".xlsx", ".textgrid", ".srt", ".vtt", ".json", ".ctm", ".stm")
PAUSES = ("sp", "sil", "<eps>", "<p:>")  # of the Penn, Montreal and Munich forced aligners
_FORMATS = ".tsv, .csv, .txt, .xlsx, .TextGrid, .srt, .vtt, .json, .ctm or .stm"
_EPSILON = 1e-6  # s: rows that share less than this do not overlap
_LONGEST_HOURS = 24  # of a film
_FEWEST_WORDS = 0.01  # per s of a row: people say more than 1, in ms 0.001
_PART = 50  # times as long as the scan: words of a whole film and a scan of a part


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
    leave_out_bad_rows: bool = False,
    sheet: str | None = None,
    tier: str | None = None,
    pauses: Sequence[str] = PAUSES,
    keep_marks: bool = False,
) -> pd.DataFrame:
    """Read a transcript: columns ``onset``, ``duration`` (s of film) and ``text``, by onset.

    Rows without text are left out, unsorted rows sorted, rows that overlap kept, marks of sounds
    and speakers and repeated lines of rolling captions left out, each with a warning in
    ``.attrs["warnings"]``.

    Parameters
    ----------
    path : table (.tsv, .csv, .txt, .xlsx), Praat .TextGrid, subtitles (.srt, .vtt), or .json, .ctm
        or .stm of a speech recogniser or forced aligner.
    text_columns : of a table, joined with a space.
    column_names : of a table whose first row is data, as forced aligners write it.
    onset_column, duration_column, end_column : of a table, where they are not called onset (or
        start), and duration or end (or offset). Neither case nor spaces at the ends matter.
    unit_seconds : the unit of times in tables and JSON: 0.001 for ms, the TR for TRs. Times with
        minutes (``mm:ss``, ``hh:mm:ss.mmm``) are in seconds.
    first_unit : the number of the first unit, where the table counts whole units (TR 1 to TR 8)
        instead of giving times. The last unit of a row is part of it.
    leave_out_untimed : leave out rows that have no time at all, with a warning.
    leave_out_bad_rows : leave out rows without time, that end before they begin or begin before
        the film, with a warning.
    sheet, tier : of a workbook, and of a TextGrid, where there are several; of tiers, the only one
        of words is read, with a warning.
    pauses : labels, in upper or lower case, of rows without speech; empty labels of a TextGrid
        are, too.
    keep_marks : keep ``[DOOR CREAKS]``, ``(laughs)``, ``♪``, ``spn``, ``<unk>`` and ``JOHN:``.

    Raises
    ------
    GibletError
        The file is missing, empty, broken or neither UTF-8 nor UTF-16; a column, sheet or tier is
        missing; a row has no time, begins before the film or ends before it begins; the last row
        ends after more than a day.
    """
    path = Path(path)
    warned: list[str] = []
    ending, bad_rows = path.suffix.lower(), _BadRows(path, warned, leave_out_bad_rows)
    decimal_comma, is_subtitle = False, ending in (".srt", ".vtt")
    if ending == ".xlsx" or ending in TABLES:
        columns = {"onset": onset_column, "duration": duration_column, "end": end_column}
        rows, decimal_comma = table_rows(path, text_columns, columns, column_names, sheet, warned)
    elif ending == ".json":
        rows = json_rows(path, tier, warned)
    elif ending in (".ctm", ".stm"):
        rows = nist_rows(path)
    elif ending == ".textgrid":
        rows = interval_rows(path, tier, warned)
    elif is_subtitle:
        rows, n_lost, n_repeats = subtitle_rows(path)
        _note(n_lost, "subtitles without text or number are left out", path, warned)
        repeats = "subtitles repeat the one before (rolling captions); what it had is left out"
        _note(n_repeats, repeats, path, warned)
    else:
        problem = f"annotations are {_FORMATS}, not {ending or 'without ending'}"
        raise GibletError(f"{path}: {problem}. Export them to one of these")
    rows = _timed(rows, leave_out_untimed or leave_out_bad_rows, path, warned)
    has_unit = not is_subtitle and ending != ".textgrid"  # these are always in seconds
    unit_seconds, first_unit = (unit_seconds, first_unit) if has_unit else (1.0, None)
    rows = _in_seconds(rows, decimal_comma, unit_seconds, first_unit, bad_rows)
    rows = _spoken(rows, pauses, keep_marks, is_subtitle, path, warned)
    rows = _tidy(rows, bad_rows)
    advice = "For times in milliseconds set words.unit_seconds: 0.001"
    _check_pace(rows, advice if has_unit else f"Times in {ending} must be seconds", path, warned)
    rows.attrs["warnings"] = warned
    return rows


def scan_warnings(words: pd.DataFrame, scan_seconds: float) -> list[str]:
    """Warnings of words that begin after the scan, for a scan without a film.

    Parameters
    ----------
    words : columns onset, duration (s of film) and text.
    scan_seconds : film time of the last volume.

    Raises
    ------
    GibletError
        The words last many times as long as the scan: they are in another unit.

    >>> words = pd.DataFrame({"onset": [0.5, 12.0], "duration": [1.0, 1.0], "text": ["a", "b"]})
    >>> scan_warnings(words, 10.0)
    ['words: 1 of 2 rows begin after the last volume of the scan (10.00 s)']
    """
    last = (words["onset"] + words["duration"]).max()
    if last > _PART * scan_seconds:
        raise GibletError(
            f"words: the last ends at {last:.0f} s, the scan at {scan_seconds:.0f} s of the film. "
            "Are their times in seconds? For milliseconds set words.unit_seconds: 0.001"
        )
    late = int((words["onset"] > scan_seconds).sum())
    line = f"words: {late} of {len(words)} rows begin after the last volume of the scan"
    return [f"{line} ({scan_seconds:.2f} s)"] if late else []


class _BadRows:
    """Refuses rows that cannot be right, or leaves them out where this was asked."""

    def __init__(self, path: Path, warned: list[str], leave_out: bool):
        self.path, self.warned, self.leave_out = path, warned, leave_out

    def without(self, rows: pd.DataFrame, bad: pd.Series, problem: str, values: pd.Series):
        """``rows`` that are not ``bad``; ``problem`` ends the sentence "row 3 ..."."""
        if not (n := int(bad.sum())):
            return rows
        value = " ".join(str(values[bad.idxmax()]).split())[:60]
        first = f"row {bad.idxmax() + 1} {problem} ({values.name} {value})"
        if self.leave_out and n < len(rows):
            _note(n, f"rows that cannot be right are left out: {first}", self.path, self.warned)
            return rows[~bad]
        advice = ""
        if n < len(rows):
            more = f" (and {n - 1:,} more)" if n > 1 else ""
            advice = f"{more}. words.leave_out_bad_rows: true leaves out such rows"
        raise GibletError(f"{self.path}: {first}{advice}")


def _timed(rows: pd.DataFrame, leave_out_untimed: bool, path: Path, warned) -> pd.DataFrame:
    untimed = rows.drop(columns="text").isna().all(axis=1)
    if untimed.any() and not leave_out_untimed:
        problem = f"{untimed.sum()} rows have no time, the first is row {untimed.idxmax() + 1}"
        raise GibletError(f"{path}: {problem}. words.leave_out_untimed: true leaves them out")
    _note(untimed.sum(), "rows without time are left out", path, warned)
    return rows[~untimed]


def _in_seconds(
    rows: pd.DataFrame,
    decimal_comma: bool,
    unit_seconds: float,
    first_unit: int | None,
    bad_rows: _BadRows,
) -> pd.DataFrame:
    """``rows`` with times in seconds. Numbered units: the last of a row is part of it."""
    written = rows.drop(columns="text")
    times, is_clock = as_numbers(written, decimal_comma)
    rows = rows.assign(**times)
    for column in times:
        bad = ~np.isfinite(rows[column])
        rows = bad_rows.without(
            rows, bad, f"has no {column} in seconds", written[column][rows.index]
        )
    times, is_clock = rows.drop(columns="text"), is_clock.loc[rows.index]
    if first_unit is not None:
        for column in times:
            whole = bad_rows.without(
                rows, times[column] % 1 != 0, "is not in whole units", times[column]
            )
            rows, times = whole, times.loc[whole.index]
        times = times.assign(onset=times["onset"] - first_unit)
        if "end" in times:
            times = times.assign(end=times["end"] - first_unit + 1)
    is_clock = is_clock.loc[rows.index]
    return times.where(is_clock, times * unit_seconds).assign(text=rows["text"])


def _spoken(
    rows: pd.DataFrame, pauses: Sequence[str], keep_marks: bool, subtitles: bool, path: Path, warned
) -> pd.DataFrame:
    """``rows`` without pauses, marks of sounds and speakers, and rows without text."""
    # é in two characters would be two words
    texts, marks = [unicodedata.normalize("NFC", str(text)) for text in rows["text"]], []
    _note(texts.count(""), "rows without text are left out", path, warned)
    silent = {pause.casefold() for pause in pauses}
    texts = ["" if text.casefold() in silent else text for text in texts]
    if not keep_marks:
        words = not subtitles and is_word_by_word(texts)
        speakers = frozenset() if words else speakers_in(texts, in_subtitles=subtitles)
        kind = {"in_subtitles": subtitles, "word_by_word": words, "speakers": speakers}
        spoken = [spoken_text(text, **kind) for text in texts]
        texts, marks = [text for text, _ in spoken], [m for _, those in spoken for m in those]
    if marks:
        problem = f"marks of sounds or speakers are left out, such as {marks[0][:40]}"
        _note(len(marks), f"{problem} (words.keep_marks keeps them)", path, warned)
    if subtitles:
        texts = [" ".join(text.split()) for text in texts]
    has_text = np.array([text != "" for text in texts], bool)
    return rows.assign(text=pd.Series(texts, rows.index, dtype=object))[has_text]


def _tidy(rows: pd.DataFrame, bad_rows: _BadRows) -> pd.DataFrame:
    path, warned = bad_rows.path, bad_rows.warned
    if "end" in rows:
        rows = rows.assign(duration=rows["end"] - rows["onset"])
    rows = bad_rows.without(rows, rows["onset"] < 0, "begins before the film does", rows["onset"])
    rows = bad_rows.without(rows, rows["duration"] < 0, "ends before it begins", rows["onset"])
    rows = rows[["onset", "duration", "text"]]
    if rows.empty:
        raise GibletError(f"{path}: there is no text in it")
    late = rows["onset"].diff() < 0
    _note(late.sum(), "rows begin before the row above them; sorted", path, warned)
    rows = rows.sort_values("onset", kind="stable").reset_index(drop=True)
    ends = (rows["onset"] + rows["duration"]).cummax().shift()  # of all rows before
    overlaps = ends - rows["onset"] > _EPSILON
    _note(overlaps.sum(), "rows begin before an earlier one ends; all are kept", path, warned)
    return rows


def _check_pace(rows: pd.DataFrame, advice: str, path: Path, warned: list[str]) -> None:
    """GibletError for words after more than a day; a warning of times that look like ms."""
    hours = (rows["onset"] + rows["duration"]).max() / 3600
    if hours > _LONGEST_HOURS:
        problem = f"the last row ends {hours:,.0f} h after the film begins"
        raise GibletError(f"{path}: {problem}. {advice}")
    if (rows[["onset", "duration"]].to_numpy() % 1).any():
        return
    n_words, seconds = sum(len(text.split()) for text in rows["text"]), rows["duration"].sum()
    if n_words < _FEWEST_WORDS * seconds:
        pace = f"a word takes {seconds / n_words:,.0f} s"
        warned.append(f"{path.name}: {pace}. {advice}")


def _note(n: int, what: str, path: Path, warned: list[str]) -> None:
    if n > 0:
        warned.append(f"{path.name}: {n} {what}")
