"""The three sentences say what the table says, and what it does not."""

import numpy as np
import pandas as pd

from giblet.report.answer import answer, few_segments

NAMES = ["path", "column", "metric", "value", "low", "high", "n", "n_failed"]
FACTS = {"film": "f", "simulated": True, "has_bold": True}
SOUND = [
    ("encodec", "codec", "kbit_per_s", 5.97, np.nan, np.nan, 1, 0),
    ("encodec", "codec", "stoi", 0.8421, 0.8, 0.88, 14, 0),
    ("encodec", "codec", "pesq_wb", 1.934, 1.84, 2.05, 8, 0),
]


def brain_rows(p):
    name = "identification_10way"
    return [
        ("encodec", "brain", name, 0.517, 0.384, 0.658, 48, 0),
        ("encodec", "brain_shuffled", name, 0.107, 0.033, 0.194, 48, 0),
        ("encodec", "brain", f"{name}_p", p, np.nan, np.nan, 1, 0),
        ("encodec", "brain", "stoi", 0.245, 0.226, 0.267, 56, 0),
    ]


def sentences(rows, **facts):
    return [said for _, said in answer(pd.DataFrame(rows, columns=NAMES), FACTS | facts)]


def test_numbers_with_intervals_chance_null_and_p():
    codec, bottleneck, brain = sentences(SOUND + brain_rows(p=0.001))
    assert "codes (6.0 kbit/s) with STOI 0.842 [0.800, 0.880] and PESQ 1.93 [1.84, 2.05]" in codec
    assert "mel: not scored" in codec
    assert bottleneck.endswith("not scored.")
    for said in ("simulated BOLD", "chance 0.1", "0.517 [0.384, 0.658]", "0.107", "p = 0.0010"):
        assert said in brain
    assert "that of other moments unknown" in brain  # STOI of the null is not in the table


def test_more_than_chance_is_only_said_where_p_says_so():
    for p, said in [(0.049, "is more than"), (0.05, "is not shown"), (np.nan, "is not shown")]:
        assert said in sentences(brain_rows(p))[2]


def test_measured_is_not_simulated_and_no_scan_is_no_brain():
    assert "imulated" not in sentences(brain_rows(0.01), simulated=False)[2]
    assert sentences(SOUND, has_bold=False)[2].startswith("No scan was given")
    assert "clips were not identified" in sentences(SOUND)[2]


def test_few_segments_are_told_by_those_that_failed_too():
    def table(n, n_failed):
        rows = [("mel", c, "stoi", 0.8, 0.7, 0.9, n, n_failed) for c in ("codec", "brain")]
        return pd.DataFrame([*rows, *SOUND], columns=NAMES)

    assert few_segments(table(9, 1)) == ""
    assert "Only 9 segments" in few_segments(table(8, 1))
    assert "Only 1 segment of sound" in few_segments(table(0, 1))
    assert few_segments(pd.DataFrame(columns=NAMES)) == ""
