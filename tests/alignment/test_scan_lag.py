"""The sound that a lag is told by, and reasons for which it cannot be told.

Lags of simulated brains: tests/evaluation/test_simulated_quality.py.
"""

import numpy as np
import pytest
import xarray as xr

from giblet.alignment.lag import RATE_HZ, lag_arrays, scan_lag, sound_levels
from giblet.audio.framing import group_trs
from giblet.audio.mel import MelSettings, mel_spectrogram
from giblet.timing import TrClock

T_R, DURATION = 1.5, 540.0  # s
MEL = MelSettings(sample_rate=12000, n_mels=32)  # quick
CLOCK = TrClock(T_R, MEL.frame_rate, "native")


def mel_arrays(waveform, n_trs):
    """As the verb ``group_trs`` writes it; ``waveform`` at 12 kHz."""
    stream = mel_spectrogram(waveform, MEL)
    attrs = {"t_r": T_R, "frame_rate": CLOCK.frame_rate, "framing": "native"}
    grouped = group_trs(stream, CLOCK, n_trs)
    return xr.Dataset({"audio": (("tr", "row", "frame"), grouped)}, attrs=attrs)


def test_levels_are_those_of_the_sound():
    """Noise of 0.4 s at 20 dB steps, and silence, which counts as 60 dB below the loudest."""
    rng = np.random.default_rng(0)
    gains = np.repeat([1.0, 0.1, 0.0, 0.01], [4800] * 4)
    noise = (np.tile(gains, 2) * rng.standard_normal(38400)).astype(np.float32)
    arrays = mel_arrays(noise[: CLOCK.edges(2)[-1] * 256], 2)
    found = sound_levels(arrays)
    rate = CLOCK.film_frame_rate()
    assert found.shape == (round(CLOCK.edges(2)[-1] / rate * RATE_HZ), 4)
    found = found.mean(axis=1)
    loud, soft, silent, faint = (found[k * 4 + 1 : k * 4 + 3].mean() for k in range(4))
    assert loud - soft == pytest.approx(20, abs=1.0)
    assert soft - faint == pytest.approx(20, abs=1.0)
    assert 50 < loud - silent < 60.5


def test_without_sound_or_with_too_little_there_is_a_reason():
    times = np.arange(50) * T_R
    lag, reason = scan_lag(None, np.ones((50, 1)), times, np.zeros(50))
    assert lag is None
    arrays = lag_arrays(lag, reason, T_R)
    assert np.isnan(arrays["lag"])
    assert arrays.attrs == {"warnings": [], "lag_note": "no sound to estimate it from"}
    levels, bold = np.sin(np.arange(900.0)), np.sin(np.arange(50.0))[:, None]
    for heard, expected in ((levels, "50 volumes are too few"), (0 * levels, "never changes")):
        lag, reason = scan_lag(heard, bold, times, np.zeros(50))
        assert lag is None
        assert expected in reason
