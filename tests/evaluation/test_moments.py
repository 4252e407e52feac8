"""Intervals and tests draw moments of the film, not people times moments."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from giblet.audio.metrics.scores import summarise
from giblet.evaluation.moments import (
    DIFFERENCES,
    Scored,
    difference_rows,
    difference_table,
    mean_over,
    moment_rows,
    subject_rows,
    subject_table,
)

N_SUBJECTS, N_MOMENTS, TRUE = 4, 40, 0.25


def alike(rng, n_moments=N_MOMENTS, own=0.2):
    """Scores (n_subjects, n_moments) of people who decode nearly the same sound."""
    shared = rng.standard_normal(n_moments)
    return TRUE + shared + own * rng.standard_normal((N_SUBJECTS, n_moments))


def row_of(scores, metric="stoi", column="brain"):
    (row,) = moment_rows({(column, metric): scores}, seed=0)
    return row


@pytest.mark.parametrize(
    ("column", "metric"),
    [
        ("brain", "stoi"),
        ("brain_shuffled", "log_mel_db"),
        ("brain_mean", "code_accuracy"),
        ("nearest_clip", "identification_sound_10way"),
    ],
)
def test_intervals_hold_the_truth_nearly_as_often_as_they_say(rng, column, metric):
    """95 % of many simulations; pooled over people 64 %."""

    def covered(row):
        return row["low"] <= TRUE <= row["high"]

    scored = [alike(rng) for _ in range(200)]
    by_moment = np.mean([covered(row_of(scores, metric, column)) for scores in scored])
    pooled = np.mean([covered(summarise("stoi", s.ravel(), 0, 200)) for s in scored])
    assert 0.88 <= by_moment <= 0.99
    assert pooled < 0.78


def test_n_counts_moments_and_the_interval_is_scipys(rng):
    scores = alike(rng)
    row = row_of(scores)
    assert (row["n"], row["n_failed"]) == (N_MOMENTS, 0)
    means = scores.mean(axis=0)
    assert row["value"] == pytest.approx(means.mean())
    interval = bootstrap((means,), np.mean, method="percentile", rng=0).confidence_interval
    assert (row["low"], row["high"]) == pytest.approx(tuple(interval), abs=0.05)


def test_one_subject_is_as_before(rng):
    scores = rng.standard_normal(14)
    expected = summarise("sync_error_ms", scores, 0, 1000)
    row = row_of(scores[None], "sync_error_ms")
    assert {key: row[key] for key in expected} == expected


def test_a_moment_fails_where_nobody_has_a_score_and_lone_gaps_are_reported(caplog):
    scores = np.array([[1.0, np.nan, 2.0, np.nan], [3.0, 5.0, 2.0, np.nan]])
    row = row_of(scores)
    assert (row["value"], row["n"], row["n_failed"]) == (pytest.approx(9 / 3), 3, 1)
    found = "STOI: scores of single subjects are missing (silence, or too short): 1 of 6 of brain;"
    assert found in caplog.text  # the moment that fails is not counted twice
    caplog.clear()
    row_of(np.array([[1.0, np.nan], [3.0, np.nan]]))
    assert not caplog.text


def test_medians_stay_medians():
    scores = np.array([[1.0, 2.0], [1.0, 2.0], [100.0, np.nan]])
    assert mean_over(scores, np.median).tolist() == [1, 2]
    assert row_of(scores, "sync_error_ms")["value"] == 1.5


def differences(brain, shifts, metric="stoi", clip_trs=1, **others):
    scored = Scored()
    scored.add("brain", metric, brain)
    scored.add_null(metric, shifts)
    for column, scores in others.items():
        scored.add(column, metric, scores)
    return {row["baseline"]: row for row in difference_rows(scored, clip_trs, seed=0)}


def test_differences_are_paired_to_the_mean_of_shifts_and_to_retrieval(rng):
    brain, retrieved = alike(rng), alike(rng)
    shifts = np.stack([brain - 0.1 + 0.1 * k for k in (-1, 0, 1)])
    rows = differences(brain, shifts, nearest_clip=retrieved)
    row = rows["brain_shuffled"]
    assert row["difference"] == pytest.approx(0.1)
    assert row["low"] == pytest.approx(0.1)  # every pair differs by as much: no spread
    assert row["n"] == N_MOMENTS
    assert row["p"] == 1e-4
    assert row["n_shifts"] == 3
    spread = [row["brain"] + k for k in (-0.195, -0.005)]
    assert [row["shifts_low"], row["shifts_high"]] == pytest.approx(spread)
    row = rows["nearest_clip"]
    expected = (brain - retrieved).mean(axis=0)
    assert row["difference"] == pytest.approx(expected.mean())
    assert row["low"] < expected.mean() < row["high"]
    assert "n_shifts" not in row
    table = difference_table("mel", list(rows.values()))
    assert list(table) == DIFFERENCES
    assert list(difference_table("mel", [])) == DIFFERENCES


def test_subjects_together_are_paired_with_their_own_null(rng):
    brain, group = alike(rng), alike(rng)[:1]
    rows = differences(brain, brain[None] - 0.1)
    assert set(rows) == {"brain_shuffled"}
    scored = Scored()
    scored.add("brain_group", "stoi", group)
    scored.add_null("stoi", np.stack([group - 0.3, group - 0.1]), "brain_group_shuffled")
    (row,) = difference_rows(scored, 1, seed=0)
    assert row["baseline"] == "brain_group_shuffled"
    assert row["brain"] == pytest.approx(group.mean())
    assert row["difference"] == pytest.approx(0.2)
    assert row["n_shifts"] == 2


def test_people_who_are_alike_are_no_evidence(rng):
    """Nothing but chance: a p below .05 in a twentieth of cases, not in a third."""
    p, pooled = [], []
    for _ in range(300):
        brain, null = alike(rng, 10), alike(rng, 10)[None]
        p.append(differences(brain, null)["brain_shuffled"]["p"])
        gaps = (brain - null[0]).ravel()
        pooled.append(abs(gaps.mean()) > 1.96 * gaps.std() / np.sqrt(gaps.size))
    assert 0.02 <= np.mean(np.array(p) <= 0.05) <= 0.09
    assert np.mean(pooled) > 0.2


def test_trs_are_drawn_in_stretches(rng):
    brain = alike(rng, 60)
    rows = differences(brain, brain[None] - 0.1, "identification_2way", clip_trs=5)
    assert rows["brain_shuffled"]["n"] == 12
    rows = differences(brain, brain[None] - 0.1, "identification_10way", clip_trs=5)
    assert rows["brain_shuffled"]["n"] == 60


def test_no_difference_of_medians(rng):
    assert not differences(alike(rng), alike(rng)[None], "sync_error_ms")


def test_scores_by_subject_are_means_over_moments_of_columns_that_have_them():
    scores = {
        ("codec", "stoi"): np.ones((1, 3)),
        ("brain", "stoi"): np.array([[0.1, 0.3, np.nan], [0.5, 0.5, 0.8]]),
        ("brain", "sync_error_ms"): np.array([[1.0, 2.0, 9.0], [4.0, 4.0, 5.0]]),
        ("brain_mean", "stoi"): np.zeros((2, 3)),
    }
    table = subject_table("mel", list(subject_rows(scores, ["sub-a", "sub-b"])))
    assert list(table) == ["path", "column", "metric", "subject", "value"]
    assert set(table["column"]) == {"brain", "brain_mean"}
    brain = table[table["column"] == "brain"].set_index(["metric", "subject"])["value"]
    assert brain["stoi", "sub-a"] == pytest.approx(0.2)
    assert brain["stoi", "sub-b"] == pytest.approx(0.6)
    assert brain["sync_error_ms"].tolist() == [2.0, 4.0]  # medians
    assert len(subject_table("mel", [])) == 0
