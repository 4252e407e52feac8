"""Pitch, harmonicity and centroid of sounds whose values follow from a formula."""

import numpy as np
import pytest

from giblet.audio.metrics import voice
from giblet.audio.metrics.scores import score_pairs
from giblet.audio.metrics.segment import Segment
from giblet.audio.metrics.table import METRICS
from giblet.audio.metrics.voice import (
    centroid_error_octaves,
    centroids_hz,
    f0_error_cents,
    hnr_error_db,
    voice_of,
)

RATE = 16000
TIME = np.arange(2 * RATE) / RATE


def harmonic(f0_hz, n=10):
    """A tone with harmonics that fall by 1/k; ``f0_hz`` a number, or one a sample."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(f0_hz, TIME.shape)) / RATE
    return sum(np.sin(k * phase) / k for k in range(1, n + 1))


@pytest.mark.parametrize("f0_hz", [80.0, 123.4, 200.0, 431.0, 580.0])
def test_the_pitch_of_a_tone_is_its_own(f0_hz):
    voice = voice_of(harmonic(f0_hz))
    assert np.isfinite(voice.f0_hz).all()
    np.testing.assert_allclose(voice.f0_hz, f0_hz, rtol=2e-3)


def test_a_gliding_pitch_is_followed():
    glide = 150 + 60 * np.sin(2 * np.pi * 0.7 * TIME)
    voice = voice_of(harmonic(glide))
    middles = (np.arange(len(voice.f0_hz)) * 160 + 480).astype(int)
    np.testing.assert_allclose(voice.f0_hz, glide[middles], rtol=0.01)


@pytest.mark.parametrize("snr_db", [20, 10, 5])
def test_the_ratio_is_that_of_the_harmonics_to_the_noise(snr_db):
    """Boersma (1993): r = H / (H + N) at the period, where white noise has none."""
    tone, noise = harmonic(200.0), np.random.default_rng(0).normal(0, 1, len(TIME))
    noise *= 10 ** (-snr_db / 20) * np.sqrt((tone**2).mean() / (noise**2).mean())
    assert abs(voice_of(tone + noise).hnr_db.mean() - snr_db) < 1


def test_noise_and_silence_have_no_pitch():
    noise = voice_of(np.random.default_rng(0).normal(0, 1, len(TIME)))
    assert np.isfinite(noise.f0_hz).mean() < 0.1
    for nothing in (np.zeros(len(TIME)), np.zeros(100)):
        assert not np.isfinite(voice_of(nothing).f0_hz).any()
    half = voice_of(harmonic(200.0) * np.where(TIME < 1, 1, 0.001))  # below the threshold
    assert 0.45 < np.isfinite(half.f0_hz).mean() < 0.55


@pytest.mark.parametrize("f0_hz", [5.0, 50.0, 60.0, 70.0])
def test_hum_below_the_range_has_no_pitch_at_its_end(f0_hz):
    assert not np.isfinite(voice_of(np.sin(2 * np.pi * f0_hz * TIME)).f0_hz).any()


def test_errors_are_of_frames_that_are_voiced():
    low, high = voice_of(harmonic(200.0)), voice_of(harmonic(220.0))
    noise = voice_of(np.random.default_rng(0).normal(0, 1, len(TIME)))
    assert abs(f0_error_cents(low, high) - 1200 * np.log2(1.1)) < 5
    assert np.isnan(f0_error_cents(low, voice_of(np.zeros(len(TIME)))))
    assert hnr_error_db(low, low) == 0
    assert hnr_error_db(low, noise) > 15
    assert np.isnan(hnr_error_db(voice_of(np.zeros(len(TIME))), low))


def test_the_centroid_is_the_mean_frequency_by_magnitude():
    tones = 3 * np.sin(2 * np.pi * 500 * TIME) + np.sin(2 * np.pi * 2500 * TIME)
    centroids = centroids_hz(tones, RATE)
    np.testing.assert_allclose(centroids[2:-2], (3 * 500 + 2500) / 4, rtol=0.02)
    octave = centroids_hz(np.sin(2 * np.pi * 1000 * TIME), RATE)
    again = centroids_hz(np.sin(2 * np.pi * 2000 * TIME), RATE)
    assert abs(centroid_error_octaves(octave, again) - 1) < 0.02
    quiet = centroids_hz(tones * np.where(TIME < 1, 1, 1e-4), RATE)
    assert 0.45 < np.isnan(quiet).mean() < 0.55


def test_the_table_scores_a_copy_with_no_error_and_silence_with_none():
    tone, silent = (Segment(x, RATE, 1e-8) for x in (harmonic(150.0), np.zeros(len(TIME))))
    for name in ("f0_error_cents", "hnr_error_db", "centroid_error_octaves"):
        scores = score_pairs(METRICS[name], [(tone, tone), (tone, silent)])
        assert scores[0] == 0
        assert np.isnan(scores[1])


def test_autocorrelation_is_the_inverse_transform_of_power(rng):
    frames = rng.standard_normal((3, 960))
    power = np.abs(np.fft.rfft(frames, 1920, axis=1)) ** 2
    expected = np.fft.irfft(power, 4 * 1920, axis=1)[:, :855]
    np.testing.assert_allclose(voice._autocorrelation(frames, 855), expected, atol=1e-9)
