"""The three sentences say what the table says, and what it does not."""

import numpy as np
import pandas as pd

from giblet.audio.feature_types import FEATURE_TYPES
from giblet.audio.metrics.table import METRICS
from giblet.config.config import parse_config
from giblet.report.sentences import answer, few_segments
from giblet.report.tables import NO_SPEECH

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
    return [said for _, said, _ in answer(pd.DataFrame(rows, columns=NAMES), FACTS | facts)]


def test_numbers_with_intervals_and_their_largest_value():
    codec, bottleneck, _ = sentences(SOUND)
    assert codec.endswith(
        "codes (codec) or mel (Griffin-Lim) and back: "
        "STOI 0.842 [0.800, 0.880] (codes, 6.0 kbit/s) (max 1); "
        "PESQ 1.93 [1.84, 2.05] (codes) (max 4.64); mel: not scored."
    )
    assert bottleneck.endswith("bottleneck: not scored.")


def test_what_is_missing_is_reported_once_and_of_whom():
    columns = [(f, c) for f in FEATURE_TYPES for c in ("codec", "stimulus")]
    stoi = [(*column, "stoi", 0.7, np.nan, np.nan, 1, 0) for column in columns]
    none = [(*column, "pesq_wb", *[np.nan] * 3, 0, 0) for column in columns]
    codec, bottleneck, _ = sentences(stoi + none)
    assert codec.endswith(f": STOI 0.700 (codes) and 0.700 (mel) (max 1); no PESQ: {NO_SPEECH}.")
    assert bottleneck.endswith(": STOI 0.700 (codes) and 0.700 (mel) (max 1).")
    failed = [("mel", "codec", "pesq_wb", *[np.nan] * 3, 0, 2)]
    codec = sentences(SOUND + stoi[2:3] + failed)[0]
    assert f"no PESQ of mel: {METRICS['pesq_wb'].unscored}." in codec


def test_the_brain_with_chance_and_p_beside_the_null_of_its_sound():
    brain = sentences(brain_rows(p=0.001))[2]
    assert brain.startswith(
        "Simulated BOLD (computed, not measured) identifies one of 10 clips, by the whole "
        "bottleneck, in 52 % [38, 66] (codes, p = 0.0010) of cases; chance is 10 %."
    )
    lines = answer(pd.DataFrame(brain_rows(p=0.001), columns=NAMES), FACTS)[-1].lines
    assert lines[-1].endswith("run snakemake reconstruct_audio again.")  # no paired differences


def test_clips_by_the_bottleneck_are_not_clips_by_sound():
    by_sound = ("encodec", "brain", "identification_sound_10way", 0.41, 0.19, 0.64, 16, 0)
    brain = sentences([*brain_rows(p=0.001), by_sound])[2]
    assert "chance is 10 %; by the decoded sound alone 41 % [19, 64] (codes)." in brain
    unknown = (*by_sound[:3], np.nan, np.nan, np.nan, 0, 16)
    assert "sound alone" not in sentences([*brain_rows(p=0.001), unknown])[2]


def test_the_lowest_p_that_permutations_can_give_is_not_said_to_be_equal():
    settings = parse_config({"decoding": {"n_permutations": 999}})
    assert "(codes, p ≤ 0.0010)" in sentences(brain_rows(0.001), settings=settings)[2]
    assert "(codes, p = 0.0020)" in sentences(brain_rows(0.002), settings=settings)[2]


def test_of_two_feature_types_one_may_be_at_chance():
    mel = [("mel", *row[1:]) for row in brain_rows(0.2)]
    both = sentences([*brain_rows(0.001), *mel])[2]
    assert "(codes, p = 0.0010) of cases; not above chance: 52 % [38, 66]" in both


def test_more_than_chance_is_only_said_where_p_says_so():
    for p, said in [(0.049, "not measured) identifies"), (0.05, "does not identify")]:
        assert said in sentences(brain_rows(p))[2]
    assert "does not identify" in sentences(brain_rows(np.nan))[2]
    assert "(codes, p unknown)" in sentences(brain_rows(np.nan))[2]


def test_measured_is_not_simulated_and_no_scan_is_no_brain():
    assert "imulated" not in sentences(brain_rows(0.01), simulated=False)[2]
    assert sentences(SOUND, has_bold=False)[2].startswith("No scan was given")
    assert "clips were not identified" in sentences(SOUND)[2]


def test_few_segments_are_reported_by_those_that_failed_too():
    def table(n, n_failed):
        rows = [("mel", c, "stoi", 0.8, 0.7, 0.9, n, n_failed) for c in ("codec", "brain")]
        return pd.DataFrame([*rows, *SOUND], columns=NAMES)

    assert few_segments(table(9, 1)) == ""
    assert "Only 9 segments" in few_segments(table(8, 1))
    assert "Only 1 segment of sound" in few_segments(table(0, 1))
    assert few_segments(pd.DataFrame(columns=NAMES)) == ""
