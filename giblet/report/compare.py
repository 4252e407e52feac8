"""Mel beside EnCodec: the few scores that answer it, at any bitrate and at the same one."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from giblet.report.extras import TextTable
from giblet.report.tables import (
    PATHS,
    ScoreTable,
    build_table,
    column_label,
    metric_of,
    number,
    path_label,
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


def difference_tables(differences: pd.DataFrame | None, simulated: bool) -> list[TextTable] | None:
    """Paired differences, a table for each path that codes are compared with, and each column.

    Those of two segments or more; None where there is nothing to compare codes with.
    """
    if differences is None or differences.empty:
        return None
    several = differences[differences["n"] >= 2]
    return [
        TextTable(
            f"Codes less {PATHS.get(path, path)}: {_heard_column(column, simulated)}",
            ["Metric", "Difference", "p", "95 % interval", "n"],
            [_difference_row(row) for row in rows.itertuples()],
        )
        for (path, column), rows in several.groupby(["path", "column"], sort=False)
    ]


def _difference_row(row) -> list[str]:
    metric = metric_of(row.metric)
    value, low, high = (number(x, metric.decimals) for x in (row.difference, row.low, row.high))
    return [
        metric.label,
        value,
        number(row.p, 4),
        f"[{low}, {high}]" if np.isfinite(row.low) else "–",
        number(row.n, 0),
    ]


def _heard_column(column: str, simulated: bool) -> str:
    """Sound files hold the first subject alone.

    >>> _heard_column("brain", simulated=True), _heard_column("codec", simulated=True)
    ('brain (simulated), first subject', 'path alone')
    """
    of_one = ", first subject" if column.startswith(("brain", "nearest")) else ""
    return column_label(column, simulated) + of_one


@dataclass(frozen=True)
class Published:
    """A codec at a bitrate: scores as printed by ``source``, empty where there is none."""

    codec: str
    kbps: str
    pesq_speech: str
    pesq_audio: str
    pesq_music: str
    stoi_speech: str
    si_sdr_db: str
    source: str


_ENCODEC = "EnCodec, 24 kHz"
_DAC = "the DAC paper (Kumar et al., 2023)"
_SOURCE = f"PESQ, STOI: Codec-SUPERB (tiny); SI-SDR: {_DAC}, table 3"
CODECS = (
    Published(_ENCODEC, "3", "1.98", "1.81", "1.92", ".86", "2.9", _SOURCE),
    Published(_ENCODEC, "6", "2.63", "2.30", "2.35", ".91", "6.0", _SOURCE),
    Published(_ENCODEC, "12", "3.30", "2.92", "2.81", ".94", "8.4", _SOURCE),
    Published(_ENCODEC, "24", "3.66", "3.33", "3.10", ".96", "9.6", _SOURCE),
    Published("DAC, 24 kHz", "24", "4.35", "", "", "", "", _DAC),
)
DECODING = (
    "From measured fMRI to music, Brain2Music identifies .67 of the embeddings of a codec "
    "(SoundStream) and .88 of embeddings of meaning (MuLan), where chance is .5: a codec's own "
    "targets are the hardest. Its brains are not those of this page."
)


def ours(scores: pd.DataFrame) -> list[Published]:
    """What was measured of this film: each path alone, without a model.

    ``scores``: table with ``path column metric value low high n n_failed``.
    """
    alone = scores[scores["column"] == "codec"].set_index(["path", "metric"])["value"]
    return [_our(path, alone[path]) for path in alone.index.unique("path")]


def _our(path: str, values: pd.Series) -> Published:
    """PESQ is of segments with speech, the others of all segments."""
    pesq, stoi, si_sdr, kbps = (
        number(values.get(name, np.nan), metric_of(name).decimals)
        for name in ("pesq_wb", "stoi", "si_sdr_db", "kbit_per_s")
    )
    name = f"Here: {path_label(path, 'codec')}"
    return Published(name, kbps, pesq, "", "", stoi, si_sdr, "this page; STOI, SI-SDR of all sound")
