"""Codes and mel in one table: each cell is the score of what its heading names."""

import numpy as np
import pandas as pd
import pytest

from giblet.report.compare import comparison_tables, lower_is_better, not_above_null, ours
from giblet.report.segments import paired_metrics
from giblet.report.tables import MATCHED

NAMES = ["path", "column", "metric", "value", "low", "high", "n", "n_failed"]
STOI = {"encodec": 0.8, "mel": 0.9, MATCHED: 0.6}


def rows(*feature_types):
    return pd.DataFrame(
        [(f, "codec", "stoi", STOI[f], np.nan, np.nan, 9, 0) for f in feature_types], columns=NAMES
    )


def cells(table):
    """Heading → STOI as printed, of a table with one column."""
    (((_, names)),) = table.columns
    ((metric, printed),) = table.rows
    assert metric.name == "stoi"
    return {name: cell.value for name, cell in zip(names, printed, strict=True)}


@pytest.mark.parametrize("order", [("encodec", "mel"), ("mel", "encodec")])
def test_at_the_same_bitrate_codes_stand_beside_mel(order):
    as_they_are, same_bitrate = comparison_tables(rows(*order), rows(MATCHED), simulated=False)
    assert cells(as_they_are) == {"codec": "0.800", "mel + Griffin-Lim": "0.900"}
    assert cells(same_bitrate) == {
        "codec": "0.800",
        "mel at the codec's bitrate + Griffin-Lim": "0.600",
    }


def of(*scores):
    """Scores (path, column, metric, value, n, n_failed) as a table."""
    found = [(*key, value, 0.1, 0.9, n, failed) for *key, value, n, failed in scores]
    return pd.DataFrame(found, columns=NAMES)


SCORES = [
    ("encodec", "codec", "stoi", 0.8, 14, 0),
    ("encodec", "codec", "si_sdr_db", 5.9, 14, 0),
    ("encodec", "codec", "log_mel_db", 4.9, 14, 0),
    ("encodec", "brain", "stoi", 0.2, 14, 0),
    ("encodec", "brain", "pesq_wb", 1.3, 8, 0),
    ("encodec", "brain", "si_sdr_db", -45.0, 14, 0),
    ("encodec", "brain", "log_mel_db", 14.5, 13, 1),
]


def test_a_row_is_a_system_and_scores_that_mean_nothing_are_left_out():
    mel = ("mel", "codec", "si_sdr_db", -25.0, 14, 0), ("mel", "codec", "stoi", 0.9, 14, 0)
    (table,) = comparison_tables(of(*SCORES, *mel), None, simulated=False)
    (part,) = table.parts
    header = {metric.name: n for metric, n in part.header}
    assert header == {"stoi": "14", "si_sdr_db": "14", "log_mel_db": ""}  # 14 and 13; no PESQ
    values = {name: [c and c.value for c in printed] for name, printed in part.rows}
    assert values == {
        "no model (ceiling): codec": ["0.800", "5.9", "4.9"],
        "no model (ceiling): mel + Griffin-Lim": ["0.900", None, None],
        "brain: codes": ["0.200", None, "14.5"],
    }


def test_what_does_not_differ_from_the_null_is_faint():
    names = ["path", "baseline", "metric", "p"]
    tested = [
        ("encodec", "brain_shuffled", "stoi", 0.8),
        ("encodec", "brain_shuffled", "log_mel_db", 0.001),
        ("encodec", "brain_shuffled", "pesq_wb", np.nan),  # not tested, so not shown
        ("encodec", "nearest_clip", "log_mel_db", 0.9),  # no null
    ]
    faint = not_above_null(pd.DataFrame(tested, columns=names))
    assert faint == {("encodec", "brain", "stoi"), ("encodec", "brain", "pesq_wb")}
    assert not_above_null(None) == frozenset()
    (table,) = comparison_tables(of(*SCORES), None, False, faint)
    (part,) = table.parts
    drawn = {name: [bool(c and c.faint) for c in printed] for name, printed in part.rows}
    assert drawn["brain"] == [True, False, False]
    assert not any(drawn["no model (ceiling)"])


def test_many_metrics_are_printed_one_table_after_the_other():
    from giblet.audio.metrics.table import METRICS
    from giblet.report.tables import MOST_METRICS, score_tables

    names = list(METRICS)[: MOST_METRICS + 1]
    (table, *_) = score_tables(of(*(("mel", "brain", n, 0.5, 9, 0) for n in names)), False)
    assert [metric.name for part in table.parts for metric, _ in part.header] == names
    assert max(len(part.header) for part in table.parts) <= MOST_METRICS


def test_ours_are_named_for_what_they_are():
    """``codec`` in the table of scores is Griffin-Lim where the features are mel."""
    assert [(one.codec, one.stoi_speech) for one in ours(rows("encodec", "mel"))] == [
        ("Here: codec", "0.800"),
        ("Here: mel + Griffin-Lim", "0.900"),
    ]


def test_the_sentence_on_directions_is_the_tables():
    assert [metric.name for metric in paired_metrics()] == [
        *("pesq_wb", "stoi", "si_sdr_db", "log_mel_db")
    ]
    assert lower_is_better() == "log-mel distance"
