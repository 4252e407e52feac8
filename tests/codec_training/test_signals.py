"""Synthetic crops are what they are called, and depend on their seed alone."""

import numpy as np
import pytest
import scipy.signal

from giblet.codec_training.data import RandomCrops
from giblet.codec_training.recipe import DataSettings
from giblet.codec_training.signals import noise, offset, synthetic_crop, tones

RATE, N_SAMPLES = 24000, 36000


def test_tones_are_up_to_three_lines_of_the_spectrum():
    counts = set()
    for seed in range(30):
        sound = tones(np.random.default_rng(seed), N_SAMPLES, RATE)
        frequencies, power = scipy.signal.periodogram(sound, RATE, "blackmanharris")
        lines, _ = scipy.signal.find_peaks(power, height=1e-6 * power.max(), distance=8)
        counts.add(len(lines))
        assert frequencies[lines].min() > 40
        assert frequencies[lines].max() < 0.47 * RATE
    assert counts == {1, 2, 3}


def test_noise_has_slopes_from_white_to_brown():
    slopes = []
    for seed in range(20):
        sound = noise(np.random.default_rng(seed), 8 * N_SAMPLES)
        frequencies, power = scipy.signal.welch(sound, RATE, nperseg=4096)
        inside = (frequencies > 100) & (frequencies < 10000)
        slopes.append(-np.polyfit(np.log(frequencies[inside]), np.log(power[inside]), 1)[0])
    assert -0.1 < min(slopes) < 0.4
    assert 1.6 < max(slopes) < 2.1


def test_noise_and_tones_have_no_offset_of_their_own():
    rng = np.random.default_rng(0)
    assert abs(noise(rng, N_SAMPLES).mean()) < 1e-12
    assert abs(offset(rng)) <= 0.3


def test_a_crop_with_an_offset_is_the_crop_otherwise():
    crop = np.sin(np.arange(N_SAMPLES) / 5).astype(np.float32) / 4
    made = [synthetic_crop(np.random.default_rng(seed), crop, RATE) for seed in range(60)]
    shifts = [float((m - crop).mean()) for m in made if np.ptp(m - crop) < 1e-6]
    assert 8 < len(shifts) < 32  # a third of them
    assert max(map(abs, shifts)) <= 0.3
    assert np.std(shifts) > 0.1
    assert max(np.abs(m).max() for m in made) <= 1 + 1e-6
    assert {m.dtype.name for m in made} == {"float32"}


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_the_share_of_synthetic_crops_is_the_setting(share):
    wave = np.sin(np.arange(4 * RATE) / 5)

    def crops(**settings):
        data = DataSettings(kind_weights={"speech": 1.0}, crop_seconds=0.5, **settings)
        drawn = iter(RandomCrops({"speech": [wave]}, RATE, data, seed=2))
        return [next(drawn).numpy() for _ in range(200)]

    changed = [
        not np.array_equal(plain, made)
        for plain, made in zip(crops(), crops(synthetic=share), strict=True)
    ]
    assert abs(np.mean(changed) - share) < 0.1
