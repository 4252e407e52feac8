"""The verdict on decoded sound: paired differences, all metrics that were tested, corrected."""

import numpy as np
import pandas as pd
import pytest

from giblet.audio.metrics.table import METRICS
from giblet.evaluation.moments import DIFFERENCES, Scored, difference_rows, difference_table
from giblet.report.compare import baseline_tables
from giblet.report.sentences import answer
from giblet.report.verdict import CAUTIONS, verdict

BOTH = ["encodec", "mel"]


def row(path, metric, difference, p, n=14, n_flips=2**14, baseline="brain_shuffled"):
    ends = {"low": difference - 0.01, "high": difference + 0.01}
    values = {"brain": 0.24, "baseline_value": 0.24 - difference, "difference": difference} | ends
    keys = {"path": path, "baseline": baseline, "metric": metric}
    shifts = {"n_shifts": 11, "shifts_low": 0.2, "shifts_high": 0.3}
    shifts = shifts if baseline == "brain_shuffled" else {}
    return keys | values | {"p": p, "n": n, "n_flips": n_flips} | shifts


def said(*rows, feature_types=BOTH):
    return "\n".join(lines(*rows, feature_types=feature_types))


def lines(*rows, feature_types=BOTH):
    return verdict(pd.DataFrame(rows).reindex(columns=DIFFERENCES), feature_types)


def test_it_names_metric_difference_interval_and_p_of_every_comparison():
    found = lines(
        row("encodec", "stoi", 0.0048, 0.3),
        row("encodec", "log_mel_db", -0.5, 0.002),
        row("mel", "stoi", 0.1, 0.001),
        row("mel", "log_mel_db", -0.1, 0.4),
    )
    assert found == [
        "STOI, brain − shuffled BOLD: codes not shown to be better, 0.0048 [−0.0052, 0.0148], "
        "p = 0.6000; mel better, 0.1000 [0.0900, 0.1100], p = 0.0040.",
        "Log-mel distance, brain − shuffled BOLD: codes better, −0.50 [−0.51, −0.49] dB, "
        "p = 0.0060; mel not shown to be better, −0.10 [−0.11, −0.09] dB, p = 0.6000."
        + CAUTIONS["log_mel_db"],
        "Means over 14 segments, 95 % intervals; p of all sign flips, Holm-corrected for 4 "
        "comparisons.",
    ]


def test_a_better_log_mel_distance_has_its_caution_beside_it():
    for difference, cautioned in ((-0.5, True), (0.5, False)):
        text = said(row("mel", "log_mel_db", difference, 0.001), feature_types=["mel"])
        assert ("an even hum" in text) == cautioned


def test_looking_at_more_metrics_costs_something():
    one, others = row("encodec", "stoi", 0.1, 0.03), row("encodec", "log_mel_db", -0.1, 0.9)
    assert "codes better" in said(one, feature_types=["encodec"])
    assert "codes better" not in said(one, others, feature_types=["encodec"])


def test_less_distance_is_better_and_more_is_worse():
    assert "mel worse," in said(row("mel", "log_mel_db", 0.5, 0.001), feature_types=["mel"])
    assert "mel worse," in said(row("mel", "stoi", -0.5, 0.001), feature_types=["mel"])
    assert "mel better," in said(row("mel", "stoi", 0.5, 0.001), feature_types=["mel"])


def test_the_lowest_p_of_random_flips_is_a_bound():
    text = said(row("mel", "stoi", 0.1, 0.0005, n=30, n_flips=1999), feature_types=["mel"])
    assert "p ≤ 0.0005." in text
    assert "p of random sign flips." in text
    pair = [row("mel", m, 0.1, 0.0005, n=30, n_flips=1999) for m in ("stoi", "log_mel_db")]
    assert said(*pair, feature_types=["mel"]).count("p ≤ 0.0010.") == 2


def test_segments_and_flips_are_given_by_metric_where_they_differ():
    pair = [row("mel", "stoi", 0.1, 0.01, n=4), row("mel", "log_mel_db", -1, 0.01, n=30)]
    text = said(*pair, feature_types=["mel"])
    assert "over 4 (STOI) and 30 segments (log-mel distance), 95 %" in text
    assert "p of all (STOI) and random sign flips (log-mel distance), Holm" in text
    assert "; no p from 4 segments can be below 0.12." in text
    text = said(row("encodec", "stoi", 0.1, 0.01, n=13), row("mel", "stoi", 0.1, 0.01))
    assert "over 13 (STOI of codes) and 14 segments (STOI of mel), 95 %" in text
    assert "p of all sign flips," in text


def test_too_few_segments_are_said_to_be_too_few():
    text = said(row("mel", "stoi", 0.1, 0.0625, n=5, n_flips=32), feature_types=["mel"])
    assert "no p from 5 segments can be below 0.062" in text
    text = said(row("mel", "stoi", 0.1, np.nan, n=1, n_flips=2), feature_types=["mel"])
    assert "STOI, brain − shuffled BOLD: mel not shown to be better, 0.1000" in text
    assert ", no p." in text
    assert "one segment cannot be tested" in text


def test_results_without_differences_are_not_judged():
    for old in (None, pd.DataFrame(columns=DIFFERENCES)):
        (text,) = verdict(old, BOTH)
        assert "was not compared with sound from shuffled BOLD" in text
        assert text.endswith("run snakemake reconstruct_audio again.")
    text = said(row("encodec", "stoi", 0.1, 0.001))
    assert "Of mel this is unknown: made before" in text
    assert verdict(None, []) == []


def test_no_overlap_of_intervals_is_asked_for(rng):
    """People alike, moments unlike: intervals overlap, and every pair still says the same."""
    brain = 0.25 + 0.1 * rng.standard_normal((1, 14)).repeat(4, axis=0)
    scored = Scored()
    scored.add("brain", "stoi", brain)
    scored.add_null("stoi", brain[None] - 0.01 - 0.002 * rng.standard_normal((3, 4, 14)))
    baselines = difference_table("encodec", list(difference_rows(scored, 1, seed=0)))
    names = ["path", "column", "metric", "value", "low", "high", "n", "n_failed"]
    scores = pd.DataFrame(
        [
            ("encodec", "brain", "identification_10way", 0.5, 0.4, 0.6, 12, 0),
            ("encodec", "brain", "identification_10way_p", 0.001, np.nan, np.nan, 1, 0),
            ("encodec", "brain", "stoi", 0.25, 0.2, 0.3, 14, 0),
            ("encodec", "brain_shuffled", "stoi", 0.24, 0.19, 0.29, 14, 0),
        ],
        columns=names,
    )
    facts = {"film": "f", "simulated": False, "has_bold": True}
    line = answer(scores, facts, baselines=baselines)[-1].lines[0]
    assert line.startswith("STOI, brain − shuffled BOLD: codes better, 0.01")


def test_tables_show_the_spread_of_the_null_and_what_retrieval_is():
    rows = [
        row("encodec", "stoi", 0.01, 0.02),
        row("encodec", "estoi", 0.01, 0.02),  # not among those that are tested
        row("encodec", "log_mel_db", -0.5, 1e-4, n_flips=9999, n=20),
        row("encodec", "stoi", 0.1, 0.001, baseline="nearest_clip"),
        row("mel", "stoi", 0.1, 0.001, baseline="nearest_clip"),
    ]
    baselines = pd.DataFrame(rows).reindex(columns=DIFFERENCES)
    (table,) = baseline_tables(baselines, ["encodec"], simulated=True)
    assert [name for name, _ in table.groups] == [
        "From BOLD (simulated) − Shuffled BOLD (simulated)",
        "From BOLD (simulated) − Retrieval by simulated BOLD",
    ]
    null, retrieval = (rows for _, rows in table.groups)
    assert [cells[0] for cells in null] == ["STOI", "Log-mel distance (dB)"]
    expected = ["STOI", "0.240", "0.230", "0.0100", "[0.0000, 0.0200]", "0.0200", "14 segments"]
    assert null[0] == [*expected, "0.200 to 0.300 (11 shifts)"]
    assert null[1][5] == "≤ 0.0001"
    assert {len(cells) for _, rows in table.groups for cells in rows} == {len(table.header)}
    assert retrieval[0][-1] == ""  # of which there is one
    both = baseline_tables(baselines, ["encodec", "mel"], simulated=True)
    assert [one.caption.split(":")[0] for one in both] == ["Codes", "Mel"]
    assert len(both[1].header) == len(table.header) - 1
    assert baseline_tables(None, ["encodec"], simulated=True) == []


@pytest.mark.parametrize("name", ["stoi", "log_mel_db"])
def test_metrics_that_decide_can_be_tested(name):
    metric = METRICS[name]
    assert metric.against_null
    assert metric.function is not None
    assert metric.average is np.mean
    assert metric.n_shifts >= 20
