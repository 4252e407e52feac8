"""Nothing that is not shown reads as a success: headline, ladder, tests and tables."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from test_ladder import BY_SOUND, FACTS, NAMES, ROWS, material, page

from giblet.config.config import parse_config
from giblet.evaluation.permuted_clips import null_rows, null_table
from giblet.report.compare import baseline_tables
from giblet.report.extras import shown_table
from giblet.report.headline import behind_headline, headline
from giblet.report.ladder import ladder
from giblet.report.ladder_figure import ladder_figure
from giblet.report.page import page_of
from giblet.report.sentences import unknown_lag
from giblet.report.tables import score_tables
from giblet.report.verdict import verdict

DIFFERENCES = ["path", "baseline", "metric", "brain", "baseline_value", "difference", "low", "high"]
DIFFERENCES += ["p", "n", "n_flips", "n_shifts"]


def of_clips(n):
    """The rows of the ladder's tests with ``n`` clips."""
    rows = [(*row[:6], n if row[2] == BY_SOUND else row[6], 0) for row in ROWS]
    return pd.DataFrame(rows, columns=NAMES)


def permuted(observed):
    """A null of 99 permutations from 0 to .98."""
    draws = {("brain", BY_SOUND): np.arange(99) / 100}
    return null_table(
        "encodec", list(null_rows({("brain", BY_SOUND): np.array([[observed]])}, draws))
    )


def paired(p, difference=0.3, n=12, metric=BY_SOUND):
    row = ("encodec", "brain_shuffled", metric, 0.4, 0.1, difference, difference, difference)
    return pd.DataFrame([(*row, p, n, 4096, np.nan)], columns=DIFFERENCES)


@pytest.mark.parametrize(
    ("permutations", "baselines", "start", "why"),
    [
        (permuted(0.5), paired(0.01), "above chance (p = 0.50): ", "not above chance, p = 0.50"),
        (
            permuted(0.99),
            paired(0.2),
            "better than from shuffled BOLD (p = 0.20): ",
            "not above shuffled BOLD, p = 0.20",
        ),
        (
            permuted(0.99),
            paired(0.01, difference=-0.3),
            "better than from shuffled BOLD (p = 0.01): ",
            "not above shuffled BOLD, p = 0.01",
        ),
    ],
)
def test_what_is_not_shown_comes_before_the_numbers(rng, permutations, baselines, start, why):
    facts, scores = FACTS | {"simulated": False}, of_clips(12)
    sentence, _ = headline(scores, facts, permutations, baselines)
    assert sentence.startswith(f"No sound was decoded from BOLD {start}the decoded sound picks the")
    one = material(rng, simulated=False)
    extras = replace(one.extras, permutations=permutations, baselines=baselines)
    one = replace(one, extras=extras)
    brain = ladder(one).strips[-1].score
    assert (brain.text, brain.why, brain.few) == ("44 %", why, False)
    assert why.replace("p = ", "p\u00a0=\u00a0") in page(one)
    assert ladder(one).strips[1].score.why == ""  # the codec


def test_what_is_shown_begins_with_bold():
    sentence, _ = headline(of_clips(12), FACTS, permuted(0.99), paired(0.01))
    assert sentence.startswith("From simulated BOLD, the decoded sound picks the right clip")
    (line, _) = behind_headline(of_clips(12), permuted(0.99), paired(0.01))
    assert line.endswith("against chance: p ≤ 0.010 of 99 permutations of the clips.")
    (line, _) = behind_headline(of_clips(12), permuted(0.5), paired(0.01))
    assert line.endswith("against chance: p = 0.500 of 99 permutations of the clips, not shown.")


@pytest.mark.parametrize(("n", "is_few"), [(4, True), (5, False)])
def test_few_clips_have_no_share_beside_their_strip_or_in_the_sentence(rng, n, is_few):
    few = replace(material(rng), scores=of_clips(n))
    sentence, _ = headline(few.scores, FACTS, permuted(0.99), None)
    scored = [strip.score for strip in ladder(few).strips if strip.score]
    assert [one.few for one in scored] == [is_few] * len(scored)
    html = page(few)
    assert ("44\u00a0%" in html) is not is_few
    assert ('class="value"' in html) is not is_few
    assert ("4 clips are too few to test" in html) is is_few
    assert ("%" in sentence) is not is_few
    assert sentence.startswith("No sound was shown to be decoded from simulated BOLD") is is_few
    assert ("note" in ladder_figure(ladder(few)).table) is is_few


def test_one_clip_is_one_clip(tmp_path, rng):
    one = replace(material(rng), scores=of_clips(1))
    assert headline(one.scores, FACTS)[0].startswith(
        "No sound was shown to be decoded from simulated BOLD: 1 clip is too few to test, 5 are"
    )
    ladder_figure(ladder(one)).save(tmp_path)


def test_no_interval_over_fewer_than_five_moments():
    few, enough = paired(0.5, n=4), paired(0.01, n=5)
    assert behind_headline(of_clips(4), None, few) == [
        "Clips identified by sound (codes), minus those from shuffled BOLD, paired by clip: 30 "
        "points (n = 4, too few for an interval), p = 0.5000, not shown to differ."
    ]
    assert "[30, 30], p = 0.0100." in behind_headline(of_clips(5), None, enough)[0]
    for table, interval in ((few, "n = 4, too few for an interval"), (enough, "[0.3000, 0.3000]")):
        ((_, (row,)),) = baseline_tables(table, ["encodec"], simulated=False)[0].groups
        assert row[4] == interval
    line, *_ = verdict(paired(0.5, n=4, metric="stoi"), ["encodec"])
    assert "0.3000 (n = 4, too few for an interval), p = 0.5000" in line


def test_shares_of_few_clips_are_marked_in_the_tables():
    def cell(n):
        table = next(t for t in score_tables(of_clips(n), False) if "BOLD" in t.caption)
        cells = dict(zip(table.systems, {m.name: c for m, c in table.rows}[BY_SOUND], strict=True))
        return cells["From BOLD"]

    assert (cell(4).value, cell(4).low, cell(4).why) == ("0.437", "", "n = 4, too few to test")
    assert (cell(5).low, cell(5).why) == ("0.217", "")


def test_a_trial_run_has_a_badge_and_the_seconds_that_it_used(rng):
    def badge(n_trs=80, **settings):
        config = parse_config({"dataset": "d", **settings})
        html = page_of(material(rng, n_trs=n_trs, settings=config, simulated=False))
        return html.split('<span class="badge">')[1].split("<")[0] if 'badge">' in html else ""

    assert badge(max_trs=80) == "Trial: first 120 s of the film"
    assert badge(max_trs=100) == ""  # the film is shorter
    assert badge(training={"max_epochs": 2}) == "Trial: 2 epochs of training at most"
    assert badge() == badge(training={"max_epochs": 20}) == ""
    row = {"run": "run-1", "begin": 0.0, "end": 300.0, "n_volumes": 200, "subjects": "all 3"}
    table = shown_table(pd.DataFrame([row]), False, 120.0)
    assert table.caption.endswith("Only the first 120 s of film were used (max_trs)")
    assert "first" not in shown_table(pd.DataFrame([row]), False).caption


def test_a_lag_that_could_not_be_tested_is_a_warning():
    few = xr.Dataset({"lag": np.nan}, attrs={"lag_note": "80 volumes are too few"})
    assert unknown_lag(few) == [
        "not checked whether the scans follow the film's sound: 80 volumes are too few"
    ]
    assert unknown_lag(few.assign(lag=0.3).drop_attrs()) == []
    assert unknown_lag(few.assign_attrs(lag_note="no sound to estimate it from")) == []
