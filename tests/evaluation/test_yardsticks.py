"""The original in noise and at another moment: levels, and an order of scores that is known."""

import numpy as np

from giblet.audio.metrics.scores import segment_scores
from giblet.evaluation.yardsticks import YARDSTICKS, yardsticks
from giblet.report.systems import SYSTEMS, YARDSTICKS as SHOWN

RATE, SECONDS = 8000, 20


def make_sound():
    """Noise in bands and syllables."""
    rng, time = np.random.default_rng(0), np.arange(SECONDS * RATE) / RATE
    noise = np.convolve(rng.normal(0, 0.1, len(time)), np.hanning(9), "same")
    return (noise * (1.2 + np.sin(2 * np.pi * 3 * time + np.sin(time)))).astype(np.float32)


def test_noise_is_as_far_below_each_segment_as_its_name_says():
    original = make_sound()
    original[: 8 * RATE] *= 0.1
    for name, snr_db in (("original_noise_10db", 10), ("original_noise_0db", 0)):
        (noisy,) = yardsticks(original, RATE, seed=0)[name]
        noise = noisy - original
        for part in (slice(0, 8 * RATE), slice(8 * RATE, 16 * RATE)):
            measured = 10 * np.log10((original[part] ** 2).mean() / (noise[part] ** 2).mean())
            np.testing.assert_allclose(measured, snr_db, atol=0.01)
            assert abs(np.corrcoef(original[part], noise[part])[0, 1]) < 0.05
            spectra = [np.abs(np.fft.rfft(x[part])) for x in (original, noise)]
            assert np.corrcoef(*spectra)[0, 1] > 0.99  # up to rounding


def test_more_noise_scores_lower_and_another_moment_lowest():
    sounds = yardsticks(make_sound(), RATE, seed=0)
    stoi = [
        segment_scores(make_sound(), sounds[n][0], RATE, 8.0)["stoi"].mean() for n in YARDSTICKS
    ]
    assert stoi[0] > stoi[1] + 0.05 > stoi[2] + 0.1


def test_the_page_names_them():
    assert set(YARDSTICKS) == set(SHOWN) <= set(SYSTEMS)
