"""Circular shifts of what was decoded are scored as if decoded for other moments."""

import tracemalloc

import numpy as np
import pytest
import torch
from factories import scanned

from giblet.audio.metrics.distances import log_mel_db, log_mel_distance_db, log_mel_floor
from giblet.audio.metrics.identify import identification, identification_shares
from giblet.audio.metrics.scores import score_estimates
from giblet.audio.metrics.table import METRICS
from giblet.config.sections import DecodingConfig
from giblet.evaluation import brain_scores, nulls
from giblet.evaluation.brain_scores import identify_bottlenecks, score_decoded_codes
from giblet.evaluation.moments import Scored
from giblet.evaluation.nulls import (
    mean_shifted_shares,
    null_shifts,
    shifted_shares,
    shifted_sound_scores,
)

RATE, SECONDS = 8000, 8


def noises(rng, seconds, n):
    """Noise whose loudness changes from second to second."""
    loud = np.repeat(rng.uniform(0.01, 0.2, (n, int(np.ceil(seconds)))), RATE, axis=1)
    return (loud * rng.standard_normal(loud.shape)).astype(np.float32)[:, : int(seconds * RATE)]


def test_shifted_shares_are_identification_of_shifted_estimates(rng):
    truth, estimate = rng.standard_normal((2, 12, 20))
    shares = identification_shares(estimate, truth, 3)
    found = shifted_shares(shares[None], np.array([2, 7]))
    for k, by_shift in zip((2, 7), found[:, 0], strict=True):
        expected = identification(np.roll(estimate, k, axis=0), truth, 3)
        np.testing.assert_allclose(by_shift, expected)


def test_the_mean_of_shifted_shares_needs_no_copy_for_each_shift(rng):
    """Oracle: numpy's roll and mean. 100 shifts of 300 moments would be 72 MB."""
    shares, shifts = rng.random((1, 300, 300)), np.arange(1, 101)
    tracemalloc.start()
    found = mean_shifted_shares(shares, shifts)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    expected = np.mean([np.roll(shares, k, axis=1) for k in shifts], axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert peak < 4 * shares.nbytes


@pytest.mark.slow
def test_shifted_sound_is_scored_as_if_it_had_been_rolled(rng):
    original, *waves = noises(rng, 3 * SECONDS, 3)
    found = shifted_sound_scores(original, waves, RATE, seed=3)
    shifts = null_shifts(3, SECONDS, seed=3)
    assert sorted(shifts) == [1, 2]
    for metric in ("stoi", "si_sdr_db", "log_mel_db", "sync_error_ms"):
        assert found[metric].shape == (2, 2, 3)
    for place, k in enumerate(shifts):
        rolled = [np.roll(wave, k * SECONDS * RATE) for wave in waves]
        for subject, scores in enumerate(score_estimates(original, rolled, RATE, SECONDS)):
            for metric in ("stoi", "si_sdr_db", "log_mel_db", "sync_error_ms"):
                np.testing.assert_allclose(found[metric][place, subject], scores[metric], rtol=1e-6)


def test_a_shorter_last_segment_is_compared_with_as_much(rng, monkeypatch):
    monkeypatch.setattr(nulls, "segment_metrics", lambda: [METRICS["log_mel_db"]])
    original, wave = noises(rng, 2.5 * SECONDS, 2)
    found = shifted_sound_scores(original, [wave], RATE, seed=0)["log_mel_db"]
    n, half, floor = SECONDS * RATE, SECONDS * RATE // 2, log_mel_floor(original, RATE)
    truth = [original[:n], original[n : 2 * n], original[2 * n :]]
    decoded = {0: wave[:n], 1: wave[n : 2 * n], 2: wave[-n:]}  # eight seconds of each
    for place, k in enumerate(null_shifts(3, SECONDS, 0)):
        for i in range(3):
            other = decoded[(i - k) % 3]
            other = other if i < 2 else other[:half]
            expected = log_mel_distance_db(*(log_mel_db(x, RATE, floor) for x in (truth[i], other)))
            assert found[place, 0, i] == pytest.approx(expected)


def test_the_halves_of_a_lone_segment_change_places(rng):
    original, wave = noises(rng, SECONDS, 2)
    found = shifted_sound_scores(original, [wave], RATE, seed=0)
    (expected,) = score_estimates(original, [np.roll(wave, len(wave) // 2)], RATE, SECONDS)
    for metric in ("stoi", "log_mel_db"):
        assert found[metric].shape == (1, 1, 1)
        assert found[metric][0, 0, 0] == pytest.approx(expected[metric][0])


def test_slow_metrics_have_fewer_shifts(rng, monkeypatch):
    chosen = [METRICS[name] for name in ("log_mel_db", "pesq_wb")]
    monkeypatch.setattr(nulls, "segment_metrics", lambda: chosen)
    original, wave = noises(rng, 7 * SECONDS, 2)
    found = shifted_sound_scores(original, [wave], RATE, seed=0)
    assert len(found["log_mel_db"]) == 4  # 2 to 5 segments away
    assert METRICS["stoi"].n_shifts > 4
    assert len(found["pesq_wb"]) == METRICS["pesq_wb"].n_shifts == 1


@pytest.fixture
def decoded(rng):
    """Bottlenecks, and those decoded from two people: the true ones in noise."""
    code = rng.standard_normal((120, 24)).astype(np.float32)
    codes = rng.integers(0, 16, (120, 2, 8)).astype(np.int32)
    film = {"audio": torch.from_numpy(codes)}
    data = scanned(film, rng.standard_normal((2, 120, 5)))
    truth = code[data.where("test")]
    guesses = [truth + rng.standard_normal(truth.shape).astype(np.float32) for _ in range(2)]
    columns = {
        "brain": guesses,
        "brain_shuffled": [np.roll(g, len(g) // 2, axis=0) for g in guesses],
        "brain_mean": [np.zeros_like(g) for g in guesses],
        "nearest_clip": [data.where("train")[: len(truth)]] * 2,
    }
    return code, data, columns


def test_the_null_is_the_mean_over_many_shifts(decoded):
    code, data, columns = decoded
    scored = Scored()
    rows = identify_bottlenecks(scored, columns, code, data, 1.5, DecodingConfig(), seed=0)
    train, test = data.where("train"), data.where("test")
    mean = code[train].mean(axis=0)
    truth, n = code[test] - mean, len(test)
    shifts = null_shifts(n, 1.5, 0)
    assert len(shifts) > 1
    assert all(min(k, n - k) * 1.5 >= min(16, (n // 2) * 1.5) for k in shifts)
    expected = [
        [identification(np.roll(g - mean, k, axis=0), truth) for g in columns["brain"]]
        for k in shifts
    ]
    found = scored.moments["brain_shuffled", "identification_2way"]
    np.testing.assert_allclose(found, np.mean(expected, axis=0))
    np.testing.assert_allclose(scored.shifts["brain_shuffled", "identification_2way"], expected)
    r = {row["column"]: row for row in rows if row["metric"] == "bottleneck_r"}
    assert r["brain"]["value"] > 0.5
    assert abs(r["brain_shuffled"]["value"]) < 0.2
    assert r["brain_shuffled"]["n"] == 2


def test_codes_of_the_null_are_the_brains_at_other_moments(decoded, monkeypatch):
    _code, data, columns = decoded
    right = data.film["audio"][data.where("test")]

    class Perfect:
        """Decodes every bottleneck to its own TR's codes."""

        @staticmethod
        def decode_audio(bottleneck):
            return right

    monkeypatch.setattr(brain_scores, "null_shifts", lambda *_: np.array([3, 5]))
    scored = Scored()
    score_decoded_codes(scored, columns, Perfect, data, 1.5, seed=0)
    assert (scored.moments["brain", "code_accuracy"] == 1).all()
    expected = np.mean([(right.roll(k, 0) == right).float().mean((1, 2)) for k in (3, 5)], axis=0)
    np.testing.assert_allclose(scored.moments["brain_shuffled", "code_accuracy"][0], expected)
