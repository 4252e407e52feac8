"""Codes against mel segment by segment."""

import numpy as np
import pandas as pd
import pytest

from giblet.audio.metrics.table import METRICS, segment_metrics
from giblet.evaluation.moments import segment_rows
from giblet.io.tables import load_table, save_table
from giblet.report import segments
from giblet.report.compare import difference_table
from giblet.report.extras import share_equal, usage
from giblet.report.segments import (
    MATCHED,
    matched_mel,
    moments,
    paired_differences,
    paired_metrics,
    saved_scores,
    score_segments,
)

RATE = 24000


def test_differences_are_codes_minus_mel_of_segments_scored_on_both():
    one = {m: np.array([3.0, 5.0, np.nan, 9.0]) for m in ("pesq_wb", "stoi")}
    other = {m: np.array([1.0, 2.0, 3.0, np.nan]) for m in ("pesq_wb", "stoi")}
    for table in (one, other):
        table |= dict.fromkeys(("si_sdr_db", "log_mel_db"), np.zeros(4))
    found = paired_differences({("encodec", "codec"): one, ("mel", "codec"): other})
    row = found.set_index("metric").loc["stoi"]
    assert (row["n"], row["difference"], row["p"]) == (2, 2.5, 0.5)
    assert 2 <= row["low"] <= row["high"] <= 3
    assert found.set_index("metric").loc["si_sdr_db", "p"] == 1
    assert paired_differences({("mel", "codec"): other}).empty


def test_no_row_of_less_than_two_segments():
    one, other = (
        {m.name: np.array(s) for m in paired_metrics()} for s in ([0.5, 0.7], [0.4, np.nan])
    )
    scores = {("encodec", "codec"): one, ("mel", "codec"): other}
    assert difference_table(paired_differences(scores), simulated=False).groups == []
    other["stoi"] = np.array([0.4, 0.5])
    table = difference_table(paired_differences(scores), simulated=False)
    assert table.caption == "Codes − mel, paired by segment"
    ((system, ((label, *_, n),)),) = table.groups
    assert system == "Codec − (mel + Griffin-Lim)"
    assert (label, n) == ("STOI", "2")
    assert difference_table(paired_differences({("mel", "codec"): other}), simulated=False) is None


def test_mel_at_a_bitrate_spends_no_more_and_loses_something():
    times = np.arange(9 * RATE) / RATE
    sweep = (0.3 * np.sin(2 * np.pi * (200 + 150 * times) * times)).astype(np.float32)
    waveform, kbps, values = matched_mel(sweep, RATE, 6.0)
    assert len(waveform) == len(sweep)
    assert 5.8 < kbps <= 6.0
    assert kbps == pytest.approx(values * 4 / 1000, rel=1e-3)  # 4 bits a value
    scores = score_segments({MATCHED: {"original": sweep, "codec": waveform}}, RATE)
    assert scores[MATCHED, "codec"]["log_mel_db"][0] > 0.5


def test_scores_that_were_saved_are_not_computed_again(tmp_path, monkeypatch):
    names = [metric.name for metric in segment_metrics() if metric.name != "pesq_wb"]
    first, second = np.array([0.25, np.nan]), np.array([9.0, 9.0])  # of two people
    moments = {(c, m): np.stack([first, second]) for c in ("codec", "brain") for m in names}
    moments |= {("brain_mean", "stoi"): first[None], ("brain", "code_accuracy"): first[None]}
    nowhere = np.array([], dtype=int)  # nothing is speech
    save_table(pd.DataFrame(segment_rows(moments, nowhere)), tmp_path / "segments.tsv")
    saved = {"mel": saved_scores(load_table(tmp_path / "segments.tsv"), "mel", nowhere)}
    asked = []

    def score(original, waves, *_):
        asked.extend(waves)
        return [{"stoi": np.zeros(1)} for _ in waves]

    monkeypatch.setattr(segments, "score_estimates", score)
    sounds = {"original": np.zeros(9), "codec": np.ones(9), "stimulus": np.full(9, 2.0)}
    scores = score_segments({"mel": sounds}, RATE, saved)
    assert [wave[0] for wave in asked] == [2.0]  # nothing of it was saved
    assert list(scores) == [("mel", "codec"), ("mel", "stimulus")]
    np.testing.assert_array_equal(scores["mel", "codec"]["stoi"], first)
    assert len(scores["mel", "codec"]["pesq_wb"]) == 0
    table = load_table(tmp_path / "segments.tsv")
    assert saved_scores(table, "mel", np.array([1])) == {}  # other segments are speech
    monkeypatch.setattr(
        segments, "segment_metrics", lambda: [*segment_metrics(), METRICS["visqol"]]
    )
    assert saved_scores(table, "mel", nowhere) == {}  # scored again


def test_moments_are_ranked_by_stoi_and_never_by_what_failed():
    stoi = {("encodec", "stimulus"): {"stoi": np.array([0.5, np.nan, 0.2, 0.9])}}
    found = moments(stoi, 4 * 8 * RATE, RATE)
    starts = {name: begin / RATE for name, (begin, _) in found.items()}
    assert starts == {"worst": 16.0, "median": 0.0, "best": 24.0}
    assert moments({}, RATE, RATE) == {}


def test_usage_of_a_codebook():
    even = usage(np.arange(64).repeat(3), codebook_size=1024)
    assert even == {"used": 64 / 1024, "perplexity": pytest.approx(64)}
    assert np.isnan(share_equal(np.array([1]), np.array([-1])))
