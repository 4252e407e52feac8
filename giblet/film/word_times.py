"""Times of words as people write them: numbers, decimal commas, minutes and seconds."""

import re

import numpy as np
import pandas as pd

_CLOCK = re.compile(r"(?:(\d{1,3}):)?(\d{1,3}):(\d{1,2}(?:[.,]\d+)?)")  # [hh:]mm:ss[.mmm]
_COMMA = re.compile(r"[+-]?\d+,\d+")
_POINTS = re.compile(r"[+-]?[1-9]\d{0,2}(?:\.\d{3})+")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+")


def as_numbers(times: pd.DataFrame, decimal_comma: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Times as written in text, as numbers, and which of them have minutes.

    Parameters
    ----------
    times : (n_rows, n_columns) text or numbers.
    decimal_comma : a comma before three digits is decimal even if no other cell shows it.

    Returns
    -------
    numbers : float; ``mm:ss`` and ``hh:mm:ss.mmm`` in seconds; NaN for what is no time, and among
        decimal commas for points before three digits, which may be of thousands.
    is_clock : bool, cells with minutes: seconds, whatever the unit of the others.

    >>> cells = pd.DataFrame({"onset": ["0,5", "1:02.25"], "end": ["1,0", "soon"]})
    >>> as_numbers(cells, decimal_comma=False)[0].to_numpy().tolist()
    [[0.5, 1.0], [62.25, nan]]
    """
    numbers = times.apply(pd.to_numeric, errors="coerce").astype(float)
    odd = times.notna().to_numpy() & numbers.isna().to_numpy()
    is_clock = np.zeros(odd.shape, bool)
    if odd.any():
        cells = [str(cell).strip() for cell in times.to_numpy()[odd]]
        decimal_comma |= any(map(_is_decimal, cells))
        values = numbers.to_numpy(copy=True)
        values[odd] = [_number(cell, decimal_comma) for cell in cells]
        is_clock[odd] = [_CLOCK.fullmatch(cell) is not None for cell in cells]
        if any(_COMMA.fullmatch(cell) for cell in cells) and decimal_comma:
            written = times.astype(str).to_numpy()
            points = np.vectorize(lambda cell: _POINTS.fullmatch(cell) is not None)
            values[points(written)] = np.nan  # 1.234 among 0,5: thousands?
        numbers = pd.DataFrame(values, times.index, times.columns)
    return numbers, pd.DataFrame(is_clock, times.index, times.columns)


def _is_decimal(cell: str) -> bool:
    return bool(_COMMA.fullmatch(cell)) and not _THOUSANDS.fullmatch(cell)


def _number(cell: str, decimal_comma: bool) -> float:
    if clock := _CLOCK.fullmatch(cell):
        hours, minutes = int(clock[1] or 0), int(clock[2])
        seconds = float(clock[3].replace(",", "."))
        is_time = seconds < 60 and (not clock[1] or minutes < 60)
        return (hours * 60 + minutes) * 60 + seconds if is_time else np.nan
    if decimal_comma and _COMMA.fullmatch(cell):
        return float(cell.replace(",", "."))
    whole, point, fraction = cell.partition(".")
    if _THOUSANDS.fullmatch(whole) and point and fraction.isdigit():
        return float(whole.replace(",", "") + "." + fraction)
    return np.nan
