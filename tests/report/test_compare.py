"""Codes and mel in one table: each cell is the score of what its heading names."""

import numpy as np
import pandas as pd
import pytest

from giblet.report.compare import comparison_tables, lower_is_better, ours
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
