"""Scores of sounds: the same numbers as their packages give, and no number where there is none."""

import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from threading import Barrier, Lock

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
import soxr

from giblet.audio.metrics import child, distances, pesq as pesq_guard, scores as quality
from giblet.audio.metrics.child import scores_in_child
from giblet.audio.metrics.distances import bits_per_second, code_agreement
from giblet.audio.metrics.pesq import pesq_scores
from giblet.audio.metrics.scores import score_estimates, score_sound, segment_scores, summarise
from giblet.audio.metrics.speech import segment_edges, speech_share
from giblet.audio.metrics.table import METRICS, per_pair
from giblet.parallel import in_threads
from giblet.timing import TrClock

RATE = 24000


@pytest.fixture(scope="module")
def speech(voice_file):
    """8 s of one speaker, (192000,) float32 at 24 kHz."""
    return sf.read(voice_file, stop=8 * RATE, dtype="float32")[0]


@pytest.fixture
def noisy(speech, rng):
    return speech + 0.02 * rng.standard_normal(len(speech)).astype(np.float32)


def values(table):
    assert list(table) == ["metric", "value", "low", "high", "n", "n_failed"]
    return table.set_index("metric")["value"]


def delayed(waveform, seconds):
    n = int(seconds * RATE)
    return np.concatenate([np.zeros(n, np.float32), waveform[:-n]])


def test_scores_are_those_of_the_packages(speech, noisy):
    import torch
    from pesq import pesq
    from pystoi import stoi
    from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio

    scores = values(score_sound(speech, noisy, RATE))
    pair_16k = [soxr.resample(s, RATE, 16000) for s in (speech, noisy)]
    assert scores["pesq_wb"] == pytest.approx(pesq(16000, *pair_16k, "wb"), rel=1e-6)
    assert scores["stoi"] == pytest.approx(stoi(speech, noisy, RATE), rel=1e-6)
    assert scores["estoi"] == pytest.approx(stoi(speech, noisy, RATE, extended=True), rel=1e-6)
    pair = (torch.from_numpy(s.astype(np.float64)) for s in (noisy, speech))
    si_sdr = scale_invariant_signal_distortion_ratio(*pair, zero_mean=True)
    assert scores["si_sdr_db"] == pytest.approx(float(si_sdr), abs=1e-6)


def test_si_sdr_of_extremes_is_that_of_torchmetrics(speech):
    import torch
    from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio

    shifted = speech.astype(np.float64) + 0.1  # means do not count
    for pair in [(shifted, 0 * shifted), (0 * shifted, shifted), (shifted, -2 * shifted)]:
        reference, estimate = map(torch.from_numpy, pair)
        expected = scale_invariant_signal_distortion_ratio(estimate, reference, zero_mean=True)
        assert distances.si_sdr_db(*pair) == pytest.approx(float(expected), abs=1e-6)


def test_log_mel_distance_is_librosas(speech, noisy):
    import librosa

    power = [
        librosa.feature.melspectrogram(y=s, sr=RATE, n_fft=960, hop_length=240, n_mels=80)
        for s in (speech, noisy)
    ]
    peak = power[0].max()
    decibels = [librosa.power_to_db(p, ref=peak, amin=peak * 1e-8, top_db=None) for p in power]
    expected = np.abs(decibels[0] - decibels[1]).mean()
    assert values(score_sound(speech, noisy, RATE))["log_mel_db"] == pytest.approx(
        expected, rel=1e-4
    )


@pytest.mark.parametrize(
    ("rate", "seconds"), [(24000, 65.0), (24000, 30.0), (11025, 30.0), (8000, 0.005)]
)
@pytest.mark.filterwarnings("ignore:n_fft")
def test_the_floor_by_blocks_is_that_of_the_whole(rng, rate, seconds):
    import librosa

    swelling = rng.standard_normal(int(rate * seconds)).astype(np.float32)
    swelling *= np.linspace(0, 1, len(swelling), dtype=np.float32)  # the last frame is the loudest
    n_fft, hop = round(0.04 * rate), round(0.01 * rate)
    power = librosa.feature.melspectrogram(
        y=swelling, sr=rate, n_fft=n_fft, hop_length=hop, n_mels=80
    )
    floor = distances.log_mel_floor(swelling, rate)
    assert floor == pytest.approx(1e-8 * power.max(), rel=1e-6)


def test_a_lag_is_where_scipys_correlation_is_highest(speech, noisy):
    from scipy.signal import correlate, correlation_lags

    pair = [soxr.resample(s, RATE, 16000) for s in (speech, delayed(noisy, 0.3))]
    first, second = map(distances.envelopes, pair)
    whole = sum(correlate(e, r) for r, e in zip(first, second, strict=True))
    lags = correlation_lags(second.shape[1], first.shape[1])
    assert distances.lag_ms(first, second) == lags[whole.argmax()] == 300


def test_a_copy_is_perfect(speech):
    scores = values(score_sound(speech, speech, RATE))
    assert scores["pesq_wb"] > 4.6
    assert scores[["stoi", "estoi"]].to_list() == pytest.approx([1, 1])
    assert scores["si_sdr_db"] > 60
    assert scores[["log_mel_db", "sync_error_ms"]].to_list() == [0, 0]


def test_pesq_hears_no_delay_but_sync_error_does(speech):
    scores = values(score_sound(speech, delayed(speech, 1.0), RATE))
    assert scores["pesq_wb"] > 2.5
    assert scores["stoi"] < 0.5
    assert scores["sync_error_ms"] == pytest.approx(1000, abs=1)


@pytest.mark.parametrize("sign", [1, -1])
def test_sync_error_sees_20_ms_either_way(speech, noisy, sign):
    pair = [delayed(noisy, 0.02), speech][::sign]
    assert values(score_sound(*pair, RATE))["sync_error_ms"] == pytest.approx(20, abs=1)


def test_sync_error_needs_no_phase(speech):
    """Griffin-Lim on a mel spectrogram keeps the time and loses the waveform."""
    import librosa

    mel = librosa.feature.melspectrogram(y=speech, sr=RATE, n_fft=1024, hop_length=256, n_mels=80)
    again = librosa.feature.inverse.mel_to_audio(
        mel, sr=RATE, n_fft=1024, hop_length=256, n_iter=4, length=len(speech)
    )
    scores = values(score_sound(speech, again, RATE))
    assert scores["sync_error_ms"] <= 2
    assert scores["si_sdr_db"] < -10


def test_sound_in_units_of_16_bit_samples_is_named(speech, caplog):
    score_sound(speech[:24000], speech[:24000] * 5, 24000, n_bootstrap=5)
    assert not caplog.text
    score_sound(speech[:24000] * 32768, speech[:24000], 24000, n_bootstrap=5)
    assert "reference has a peak of" in caplog.text
    assert "estimate" not in caplog.text


def test_polarity_and_gain(speech):
    flipped, quieter = (values(score_sound(speech, g * speech, RATE)) for g in (-1, 0.5))
    for scores in (flipped, quieter):
        assert scores["pesq_wb"] > 4.6
        assert scores["si_sdr_db"] > 60
        assert scores["sync_error_ms"] == 0
    assert flipped["log_mel_db"] == 0
    assert 4 < quieter["log_mel_db"] <= 6.03  # 20 log10(2), less what lies under the floor


def test_silence_has_no_score_but_a_mel_distance(speech):
    silence = np.zeros_like(speech)
    table = score_sound(speech, silence, RATE).set_index("metric")
    failed = table.drop(index="log_mel_db")
    assert failed["value"].isna().all()
    assert (failed["n"] == 0).all()
    assert (failed["n_failed"] == 1).all()
    assert 0 < table.loc["log_mel_db", "value"] <= 80
    nothing = score_sound(silence, speech, RATE).set_index("metric")
    assert nothing["value"].isna().all()
    assert nothing.loc["pesq_wb", ["n", "n_failed"]].to_list() == [0, 0]  # no speech to ask about


def test_noise_is_not_asked_about_by_pesq(rng):
    noise = 0.1 * rng.standard_normal((2, 2 * RATE)).astype(np.float32)
    table = score_sound(*noise, RATE).set_index("metric")
    assert table.loc["pesq_wb", ["n", "n_failed"]].to_list() == [0, 0]
    assert np.isnan(table.loc["pesq_wb", "value"])
    assert table.loc["si_sdr_db", "value"] < -20


@pytest.mark.filterwarnings("ignore:n_fft")
def test_too_short(speech):
    table = score_sound(speech[RATE:][: RATE // 4], speech[RATE:][: RATE // 4], RATE)
    table = table.set_index("metric")
    assert table.loc[["stoi", "estoi"], "n_failed"].to_list() == [1, 1]
    assert table.loc["si_sdr_db", "n"] == 1
    one_sample = score_sound(speech[:1], speech[:1], RATE)
    assert values(one_sample).drop("log_mel_db").isna().all()
    assert np.isnan(pesq_scores([(speech[:15999], speech[:15999])])).all()


@pytest.mark.parametrize(
    ("estimate", "error", "message"),
    [
        (np.zeros(99, np.float32), ValueError, "reference has 100 samples and estimate 99"),
        (np.full(100, np.nan, np.float32), ValueError, "estimate has 100 NaN"),
        (np.zeros(100, np.int16), TypeError, "estimate must be float"),
        (np.zeros((1, 100), np.float32), ValueError, "estimate must have shape"),
    ],
)
def test_what_is_no_estimate(estimate, error, message):
    with pytest.raises(error, match=message):
        score_sound(np.ones(100, np.float32), estimate, RATE)


def test_sounds_of_every_kind_have_one_score(speech, noisy):
    """A float rate, a view, a list, float16 (which resamplers do not take)."""
    pair = [sound[: 2 * RATE].astype(np.float16) for sound in (speech, noisy)]
    expected = score_sound(*(sound.astype(float) for sound in pair), RATE)
    both = np.stack(pair, axis=1)
    for reference, estimate in (pair, both.T, [sound.tolist() for sound in pair]):
        again = score_sound(reference, estimate, float(RATE))
        pd.testing.assert_frame_equal(again, expected, rtol=1e-6)
    np.testing.assert_equal(len(score_sound(*(p.astype(np.longdouble) for p in pair), RATE)), 9)


@pytest.mark.parametrize("rate", [24, 0, -24000, np.nan, np.inf, "24000", 22050.5, True])
def test_what_is_no_sample_rate(rate):
    with pytest.raises(ValueError, match="sample_rate must be a whole number of Hz"):
        score_sound(np.ones(100, np.float32), np.ones(100, np.float32), rate)


def test_pesq_refuses_unequal_lengths():
    with pytest.raises(ValueError, match="reference has 16000 samples, estimate 15999"):
        pesq_scores([(np.zeros(16000), np.zeros(15999))])


def test_a_sound_that_crashes_pesq_is_one_failure(speech, rng):
    """More than 50 utterances overrun a table inside PESQ."""
    good = [soxr.resample(s, RATE, 16000) for s in (speech, -speech)]
    burst = np.pad(0.1 * rng.standard_normal(6400), (0, 4800))
    many = np.tile(burst, 60)
    scores = pesq_scores([good, (many, many), good])
    assert np.isnan(scores[1])
    assert scores[0] == scores[2] > 4.6


def test_a_child_that_dies_costs_one_score(monkeypatch):
    command = f"""
        import os, runpy, sys, pesq
        pesq.pesq = lambda rate, reference, *rest, **more: (
            os._exit(9) if reference[0] == 2 else float(reference[0])
        )
        sys.argv = ["child", {pesq_guard.__file__!r}]
        runpy.run_path({child.__file__!r}, run_name="__main__")
    """
    stand_in = [sys.executable, "-c", textwrap.dedent(command)]
    monkeypatch.setattr(child, "child_command", lambda file: stand_in)
    pairs = [(np.full(16000, i), np.full(16000, i)) for i in (1, 2, 3, 2, 2, 4)]
    np.testing.assert_equal(pesq_scores(pairs), [1, np.nan, 3, np.nan, np.nan, 4])


def test_a_pesq_that_cannot_run_is_no_low_score(monkeypatch):
    stand_in = [sys.executable, "-c", "import no_such_package"]
    monkeypatch.setattr(child, "child_command", lambda file: stand_in)
    with pytest.raises(RuntimeError, match="no_such_package"):
        pesq_scores([(np.ones(16000), np.ones(16000))])


def test_interval_holds_the_mean_and_repeats(speech, noisy):
    tables = [score_sound(speech, noisy, RATE, segment_seconds=2.0, seed=3) for _ in range(2)]
    assert tables[0].equals(tables[1])
    table = tables[0].set_index("metric")
    assert (table["n"] == 4).all()
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()
    assert (table["low"] < table["high"]).drop("sync_error_ms").all()
    one = score_sound(speech, noisy, RATE)
    assert one[["low", "high"]].isna().all(axis=None)


@pytest.mark.parametrize(("metric", "average"), [("stoi", np.mean), ("sync_error_ms", np.median)])
def test_bootstrap_interval_is_scipys(rng, metric, average):
    from scipy.stats import bootstrap

    scores = rng.exponential(size=40)  # skewed: the median is not the mean
    row = summarise(metric, np.append(scores, np.nan), seed=0, n_bootstrap=20000)
    interval = bootstrap(
        (scores,), average, method="percentile", n_resamples=20000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert row["value"] == average(scores)
    assert (row["low"], row["high"]) == pytest.approx(tuple(interval), abs=0.01)
    assert (row["n"], row["n_failed"]) == (40, 1)


def test_global_random_numbers_are_left_alone(speech, noisy):
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    distances.stoi(speech, noisy, RATE, extended=True)
    assert np.random.random() == expected  # noqa: NPY002


def test_a_segment_is_scored_as_if_alone(speech, noisy):
    scores = segment_scores(speech, noisy, RATE, segment_seconds=4.0)
    alone = segment_scores(speech[4 * RATE :], noisy[4 * RATE :], RATE, segment_seconds=4.0)
    for metric in ("pesq_wb", "stoi", "estoi", "si_sdr_db", "sync_error_ms"):
        assert scores[metric][1] == pytest.approx(alone[metric][0])


@pytest.mark.slow
def test_many_estimates_at_once_score_as_each_alone(monkeypatch, speech, noisy):
    monkeypatch.setattr(quality, "_PAIRS_PER_TASK", 6)  # two tasks of two segments
    estimates = [np.zeros_like(speech), noisy, delayed(noisy, 0.02)]
    together = score_estimates(speech, estimates, RATE, 2.0, n_jobs=2)
    for estimate, scores in zip(estimates, together, strict=True):
        alone = segment_scores(speech, estimate, RATE, 2.0)
        assert list(scores) == list(alone)
        for metric, values in alone.items():
            np.testing.assert_array_equal(scores[metric], values)
    assert np.isnan(together[0]["pesq_wb"]).all()
    assert np.isfinite(together[1]["pesq_wb"]).any()


def test_two_child_processes_run_at_most_whatever_the_threads(monkeypatch):
    """Six threads ask; two meet in children, and no third is there."""
    lock, both, inside, most = Lock(), Barrier(2, timeout=60), [], []

    def run(command, **_):
        with lock:
            inside.append(command)
            most.append(len(inside))
        both.wait()
        time.sleep(0.02)  # for a third to come in
        with lock:
            inside.pop()
        return subprocess.CompletedProcess(command, 0, b"ready\n1\n", b"")

    monkeypatch.setattr("giblet.audio.metrics.child.subprocess.run", run)
    pair = (np.zeros(4), np.zeros(4))
    scores = in_threads(lambda _: scores_in_child([pair], ["child"], "a package"), range(6), 6)
    assert list(scores) == [[1.0]] * 6
    assert max(most) == 2


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_progress_counts_tasks_that_are_done(monkeypatch, speech, noisy, n_jobs):
    seen = []

    def counted(steps, *_, total):
        seen.append(total)
        for step in steps:
            seen.append(sorted(step)[-1])  # a table of scores, not a task
            yield step

    monkeypatch.setattr(quality, "_PAIRS_PER_TASK", 1)
    monkeypatch.setattr(quality, "progress", counted)
    monkeypatch.setattr(quality, "score_metrics", lambda pairs: {"x": np.zeros(1)})
    monkeypatch.setattr(quality, "segment_metrics", list)
    segment_scores(speech, noisy, RATE, 4.0, n_jobs)
    assert seen == [2, "x", "x"]


def test_segments_are_scored_on_one_thread(monkeypatch, speech, noisy):
    from threadpoolctl import threadpool_info, threadpool_limits

    def n_threads(*_):
        return max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")

    monkeypatch.setitem(
        METRICS, "si_sdr_db", replace(METRICS["si_sdr_db"], function=per_pair(n_threads))
    )
    with threadpool_limits(2, user_api="blas"):
        assert n_threads() == 2
        assert segment_scores(speech, noisy, RATE, 8.0)["si_sdr_db"].tolist() == [1]


def test_what_cannot_be_scored_together(speech):
    with pytest.raises(ValueError, match="n_jobs must be 1 or more, got 0"):
        score_estimates(speech, [speech], RATE, 8.0, n_jobs=0)
    with pytest.raises(ValueError, match="reference has 192000 samples and estimate 191999"):
        score_estimates(speech, [speech, speech[1:]], RATE, 8.0)
    assert score_estimates(speech, [], RATE, 8.0) == []


def test_code_agreement_is_the_accuracy_of_each_codebook(rng):
    from sklearn.metrics import accuracy_score

    codes = rng.integers(8, size=(5, 3, 20))
    others = np.where(rng.random(codes.shape) < 0.7, codes, rng.integers(8, size=codes.shape))
    expected = [accuracy_score(codes[:, i].ravel(), others[:, i].ravel()) for i in range(3)]
    np.testing.assert_allclose(code_agreement(codes, others), expected)
    padded = [np.pad(c, ((0, 0), (0, 0), (0, 1)), constant_values=-1) for c in (codes, others)]
    np.testing.assert_allclose(code_agreement(*padded), expected)
    assert np.isnan(code_agreement(padded[0][..., -1:], padded[1][..., -1:])).all()


@pytest.mark.parametrize(
    ("others", "error", "message"),
    [
        (np.zeros((2, 4), int), ValueError, "frames at the same places"),
        (np.array([[0, 0, -1], [0, 0, -1]]), ValueError, "frames at the same places"),
        (np.zeros((2, 3)), TypeError, "codes must be integers"),
    ],
)
def test_codes_that_cannot_be_compared(others, error, message):
    with pytest.raises(error, match=message):
        code_agreement(np.zeros((2, 3), int), others)


@pytest.mark.parametrize(("n_codebooks", "bits"), [(2, 1500), (8, 6000), (32, 24000)])
def test_bits_per_second_are_the_codecs_bandwidth(n_codebooks, bits):
    """Native framing: 112 or 113 frames a TR of 1.5 s, the slot that is left over is -1."""
    clock = TrClock(t_r=1.5, frame_rate=75, framing="native")
    codes = np.zeros((4, n_codebooks, clock.frames_per_tr), dtype=np.int32)
    codes[::2, :, -1] = -1
    assert bits_per_second(codes, codebook_size=1024, duration=clock.duration(4)) == bits


@pytest.mark.parametrize("n_samples", [1, 7, 8, 11, 12, 23, 24, 100])
def test_segments_cover_the_sound(n_samples):
    edges = segment_edges(n_samples, seconds=8, sample_rate=1)
    assert (edges[0], edges[-1]) == (0, n_samples)
    assert (np.diff(edges)[:-1] == 8).all()
    assert 0 < np.diff(edges)[-1] < 12


def test_segments_of_nothing_are_refused():
    with pytest.raises(ValueError, match="hold no sample"):
        segment_edges(100, seconds=0.0, sample_rate=RATE)


@pytest.mark.parametrize(("kind", "lowest", "highest"), [("speech", 0.8, 1.0), ("music", 0.0, 0.1)])
def test_speech_is_told_from_music(sounds, kind, lowest, highest):
    files = sorted((sounds / kind).glob("*.flac"))
    shares = [speech_share(*sf.read(file, dtype="float32")) for file in files]
    assert lowest <= np.mean(shares) <= highest
