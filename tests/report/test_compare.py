"""Codes and mel in one table: each cell is the score of what its heading names."""

import numpy as np
import pandas as pd
import pytest

from giblet.evaluation.moments import NULLS
from giblet.report.compare import compared_with_null, comparison_tables, lower_is_better
from giblet.report.segments import paired_metrics
from giblet.report.systems import COMPARED, MATCHED
from giblet.report.tables import Compared, score_tables

NAMES = ["path", "column", "metric", "value", "low", "high", "n", "n_failed"]
STOI = {"encodec": 0.8, "mel": 0.9, MATCHED: 0.6}


def rows(*feature_types):
    return pd.DataFrame(
        [(f, "codec", "stoi", STOI[f], np.nan, np.nan, 9, 0) for f in feature_types], columns=NAMES
    )


def cells(table):
    """System → STOI as printed."""
    ((metric, printed),) = table.rows
    assert metric.name == "stoi"
    return {name: cell.value for name, cell in zip(table.systems, printed, strict=True)}


@pytest.mark.parametrize("order", [("encodec", "mel"), ("mel", "encodec")])
def test_codes_come_first_and_at_the_same_bitrate_stand_beside_mel(order):
    codes, mel, same_bitrate = comparison_tables(rows(*order), rows(MATCHED), simulated=False)
    assert (codes.caption, cells(codes)) == ("Codes", {"Codec": "0.800"})
    assert (mel.caption, cells(mel)) == ("Mel", {"Mel + Griffin-Lim": "0.900"})
    assert cells(same_bitrate) == {
        "Codec": "0.800",
        "Mel at the codec's bitrate + Griffin-Lim": "0.600",
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
    codes, of_mel = comparison_tables(of(*SCORES, *mel), None, simulated=False)
    (part,) = codes.parts
    header = {metric.name: n for metric, n in part.header}
    assert header == {"stoi": "14", "si_sdr_db": "14", "log_mel_db": ""}  # 14 and 13; no PESQ
    assert printed(codes) == {
        "Codec": ["0.800", "5.9", "4.9"],
        "From BOLD": ["0.200", None, "14.5"],
    }
    assert printed(of_mel) == {"Mel + Griffin-Lim": ["0.900"]}  # no SI-SDR


def printed(table, what="value"):
    """System → its cells."""
    (part,) = table.parts
    return {name: [c and getattr(c, what) for c in cells] for name, cells in part.rows}


BEST = [
    ("encodec", "codec", "stoi", 0.8, 14, 0),
    ("encodec", "original_noise_10db", "stoi", 0.95, 14, 0),
    ("encodec", "stimulus", "stoi", 0.7, 14, 0),
    ("encodec", "brain", "stoi", 0.2, 14, 0),
    ("encodec", "nearest_clip", "stoi", 0.1, 14, 0),
    ("encodec", "brain_mean", "stoi", 0.3, 14, 0),
    ("encodec", "brain", "log_mel_db", 14.5, 14, 0),
    ("encodec", "brain_mean", "log_mel_db", 12.01, 14, 0),
    ("encodec", "nearest_clip", "log_mel_db", 12.54, 14, 0),
]


def test_the_best_of_those_from_sound_and_from_bold_is_marked():
    """Neither yardsticks nor nulls are ranked; less log-mel distance is better; equal as printed
    is equal."""
    both = frozenset({("encodec", "brain", "stoi"), ("encodec", "brain", "log_mel_db")})
    (table,) = comparison_tables(of(*BEST), None, False, Compared(differs=both))
    assert printed(table, "best") == {
        "Codec": [True, None],
        "Original in noise, 10 dB": [False, None],
        "Through the model": [False, None],
        "From BOLD": [True, False],
        "Mean volume": [False, False],
        "Retrieval": [False, True],
    }


@pytest.mark.parametrize("metric", ["stoi", "log_mel_db"])
@pytest.mark.parametrize("why", ["alike", "not compared"])
def test_from_bold_nothing_is_best_unless_decoding_differs_from_its_null(metric, why):
    """As the page says; a score that was never compared with shuffled BOLD has no bold either."""
    other = {"stoi": "log_mel_db", "log_mel_db": "stoi"}[metric]
    alike = frozenset({("encodec", "brain", metric)} if why == "alike" else ())
    (table,) = comparison_tables(
        of(*BEST), None, False, Compared(frozenset({("encodec", "brain", other)}), alike)
    )
    column = ["stoi", "log_mel_db"].index(metric)
    best = {name: row[column] for name, row in printed(table, "best").items()}
    assert [name for name, is_best in best.items() if is_best] == ["Codec"] * (metric == "stoi")


@pytest.mark.parametrize(
    ("differs", "marked"), [(True, ["From BOLD, subjects together"]), (False, [])]
)
def test_subjects_together_are_marked_by_their_own_null(differs, marked):
    """Not where the single subjects differ from theirs."""
    rows = [
        ("encodec", "brain", "stoi", 0.2, 14, 0),
        ("encodec", "brain_group", "stoi", 0.3, 14, 0),
    ]
    brain, group = (frozenset({("encodec", one, "stoi")}) for one in ("brain", "brain_group"))
    compared = Compared(brain | group) if differs else Compared(brain, group)
    (table,) = comparison_tables(of(*rows), None, False, compared)
    assert [name for name, (best,) in printed(table, "best").items() if best] == marked
    assert [name for name, (is_faint,) in printed(table, "faint").items() if is_faint] == (
        [] if differs else ["From BOLD, subjects together"]
    )


@pytest.mark.parametrize(("distance", "is_best"), [(-0.5, True), (0.5, False)])
def test_what_is_worse_than_its_null_is_neither_marked_nor_grey(distance, is_best):
    tested = {"path": "encodec", "baseline": "brain_shuffled", "metric": "log_mel_db"}
    compared = compared_with_null(pd.DataFrame([tested | {"p": 0.001, "difference": distance}]))
    (table,) = comparison_tables(of(*BEST), None, False, compared)
    assert printed(table, "best")["Retrieval"][1] == is_best
    assert not printed(table, "faint")["From BOLD"][1]


def test_nulls_are_those_that_were_shuffled():
    assert {column: null for null, column in COMPARED.items()} == NULLS


def test_predicted_bold_has_no_best():
    """The page names rows from sound and from BOLD alone."""
    models = ("encoding", 0.1), ("encoding_ridge", 0.2)
    rows = [("encodec", name, "bold_r", r, 4, 0) for name, r in models]
    (table,) = score_tables(of(*rows), simulated=False)
    assert set(map(tuple, printed(table, "best").values())) == {(False,)}


def test_yardsticks_which_all_feature_types_share_stand_once():
    both = [(one, "original_noise_0db", "stoi", 0.5, 14, 0) for one in ("mel", "encodec")]
    (table,) = score_tables(of(*both), simulated=False)
    assert table.systems == ["Original in noise, 0 dB"]
    (table,) = score_tables(of(both[0]), simulated=False)  # of mel alone, too
    assert table.systems == ["Original in noise, 0 dB"]


def test_what_does_not_differ_from_the_null_is_faint():
    names = ["path", "baseline", "metric", "p"]
    tested = [
        ("encodec", "brain_shuffled", "stoi", 0.8),
        ("encodec", "brain_shuffled", "log_mel_db", 0.001),
        ("encodec", "brain_shuffled", "pesq_wb", np.nan),  # not tested, so not shown
        ("encodec", "nearest_clip", "log_mel_db", 0.9),  # no null
        ("encodec", "brain_group_shuffled", "stoi", 0.01),
        ("encodec", "brain_group_shuffled", "log_mel_db", 0.7),
    ]
    compared = compared_with_null(pd.DataFrame(tested, columns=names).assign(difference=0.1))
    brain = [("encodec", "brain", metric) for metric in ("stoi", "pesq_wb", "log_mel_db")]
    group = [("encodec", "brain_group", metric) for metric in ("stoi", "log_mel_db")]
    assert compared.alike == {*brain[:2], group[1]}
    assert compared.differs == {brain[2], group[0]}
    assert compared_with_null(None) == Compared()
    (table,) = comparison_tables(of(*SCORES), None, False, compared)
    drawn = printed(table, "faint")
    assert drawn["From BOLD"] == [True, None, False]
    assert not any(drawn["Codec"])


def test_many_metrics_are_printed_one_table_after_the_other():
    from giblet.audio.metrics.table import METRICS
    from giblet.report.tables import MOST_METRICS

    names = list(METRICS)[: MOST_METRICS + 1]
    (table, *_) = score_tables(of(*(("mel", "brain", n, 0.5, 9, 0) for n in names)), False)
    assert [metric.name for part in table.parts for metric, _ in part.header] == names
    assert max(len(part.header) for part in table.parts) <= MOST_METRICS


def test_the_sentence_on_directions_is_the_tables():
    assert [metric.name for metric in paired_metrics()] == [
        *("pesq_wb", "stoi", "si_sdr_db", "log_mel_db")
    ]
    assert lower_is_better() == "log-mel distance"
