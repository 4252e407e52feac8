"""Mel beside EnCodec: the few scores that answer it, at any bitrate and at the same one."""

import numpy as np
import pandas as pd

from giblet.report.tables import (
    PATHS,
    ScoreTable,
    build_table,
    column_label,
    metric_of,
    number,
)

METRICS = ("pesq_wb", "stoi", "si_sdr_db", "log_mel_db", "kbit_per_s", "values_per_s")
COLUMNS = ("codec", "stimulus", "brain", "brain_shuffled", "brain_mean", "nearest_clip")


def comparison_tables(
    scores: pd.DataFrame, matched: pd.DataFrame | None, simulated: bool
) -> list[ScoreTable]:
    """Both paths as they are; then codes beside mel at their bitrate, if that was measured.

    ``scores``, ``matched``: tables with ``path column metric value low high n n_failed``, the
    second of the path ``mel_matched`` alone.
    """
    simulated_too = " (brain: simulated)" if simulated else ""
    title = f"Codes and uncompressed mel{simulated_too}"
    tables = [_table(scores, COLUMNS, title, simulated)]
    if matched is not None and len(matched):
        codes = scores[scores["path"] == "encodec"]
        title = "At the same bitrate: codes, and mel rounded to a few levels"
        tables.append(_table(pd.concat([codes, matched]), ("codec",), title, simulated))
    return [table for table in tables if table.rows]


def _table(scores: pd.DataFrame, columns: tuple, title: str, simulated: bool) -> ScoreTable:
    asked = scores[scores["column"].isin(columns) & scores["metric"].isin(METRICS)]
    cells = asked.set_index(["path", "column", "metric"], verify_integrity=True)
    return build_table(cells, list(cells.index), title, simulated)


def difference_rows(differences: pd.DataFrame | None, simulated: bool) -> list[list[str]] | None:
    """Paired differences as text: metric, codes less what, column, n, difference, interval, p.

    Those of two segments or more; None where there is nothing to compare codes with.
    """
    if differences is None or differences.empty:
        return None
    several = differences[differences["n"] >= 2]
    return [_difference_row(row, simulated) for row in several.itertuples()]


def _difference_row(row, simulated: bool) -> list[str]:
    metric = metric_of(row.metric)
    value, low, high = (number(x, metric.decimals) for x in (row.difference, row.low, row.high))
    return [
        metric.label,
        PATHS.get(row.path, row.path),
        _heard_column(row.column, simulated),
        number(row.n, 0),
        value,
        f"[{low}, {high}]" if np.isfinite(row.low) else "–",
        number(row.p, 4),
    ]


def _heard_column(column: str, simulated: bool) -> str:
    """Sound files hold the first subject alone.

    >>> _heard_column("brain", simulated=True), _heard_column("codec", simulated=True)
    ('brain (simulated), first subject', 'path alone')
    """
    of_one = ", first subject" if column.startswith(("brain", "nearest")) else ""
    return column_label(column, simulated) + of_one
