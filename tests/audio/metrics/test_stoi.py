"""STOI of many estimates of one reference, against pystoi."""

import numpy as np
import pytest

from giblet.audio.metrics import stoi as module
from giblet.audio.metrics.distances import STOI_RATE_HZ, resampled_for_stoi, stoi
from giblet.audio.metrics.stoi import StoiReference


@pytest.fixture
def voice_and_estimates(clear_speech, rng):
    """A voice with pauses at 10 kHz, and estimates of it."""
    voice = resampled_for_stoi(clear_speech.astype(np.float64), 24000)
    voice = np.concatenate([voice, 1e-5 * rng.standard_normal(8000), voice[:20000]])
    noise = rng.standard_normal(len(voice))
    estimates = {
        "noise": noise,
        "noisy": voice + 0.05 * noise,
        "clipped": voice.clip(-0.01, 0.01),
        "moved": np.roll(voice, 3000),
        "quiet for a second": np.where(np.arange(len(voice)) // 10000 == 2, 0.0, voice),
        "itself": voice,
    }
    return voice, estimates


def test_scores_are_those_of_pystoi(voice_and_estimates):
    voice, estimates = voice_and_estimates
    reference = StoiReference(voice)
    for name, estimate in estimates.items():
        expected = [stoi(voice, estimate, STOI_RATE_HZ, extended=one) for one in (False, True)]
        found = [reference.stoi(estimate), reference.extended_stoi(estimate)]
        np.testing.assert_allclose(found, expected, atol=1e-9, err_msg=name)


def test_pystoi_is_called_only_where_its_noise_decides(voice_and_estimates, monkeypatch):
    voice, estimates = voice_and_estimates
    called = []
    monkeypatch.setattr(module, "stoi", lambda *pair, **_: called.append(pair[1]) or 0.5)
    reference = StoiReference(voice)
    assert {n for n, one in estimates.items() if reference.extended_stoi(one) == 0.5} == {
        "quiet for a second"
    }
    assert len(called) == 1


@pytest.mark.parametrize("n_samples", [0, 200, 3000])
def test_too_little_sound_has_no_score(n_samples, rng):
    sound = rng.standard_normal(n_samples)
    reference = StoiReference(sound)
    assert np.isnan([reference.stoi(sound), reference.extended_stoi(sound)]).all()
    mostly_silent = np.concatenate([sound, np.zeros(20000)])
    reference = StoiReference(mostly_silent)
    if n_samples:
        assert np.isnan(reference.stoi(mostly_silent))
