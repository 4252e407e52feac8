"""Cleaning in blocks is nilearn's of all columns at once."""

import numpy as np
import pytest
from nilearn import signal
from nilearn.signal import create_cosine_drift

from giblet.brain import bold as cleaning
from giblet.brain.bold import clean_series, slow_cosines


@pytest.mark.parametrize("high_pass_hz", [None, 0.02])
@pytest.mark.parametrize("n_confounds", [0, 2])
def test_blocks_equal_nilearns_whole(monkeypatch, rng, high_pass_hz, n_confounds):
    series = 1e4 + 50 * rng.standard_normal((60, 25), dtype=np.float32)  # noise: any will do
    nuisance = rng.standard_normal((60, n_confounds))
    cosines = create_cosine_drift(high_pass_hz, 2.0 * np.arange(60))[:, :-1] if high_pass_hz else 0
    both = np.hstack([nuisance, cosines]) if high_pass_hz else nuisance
    expected = signal.clean(
        series.astype(np.float64),
        detrend=True,
        standardize=None,
        filter=False,
        confounds=both if both.shape[1] else None,
    )
    monkeypatch.setattr(cleaning, "_COLUMNS_AT_ONCE", 7)
    cleaned = clean_series(series, nuisance, 2.0, high_pass_hz)
    assert cleaned is series
    np.testing.assert_allclose(cleaned, expected, rtol=1e-6, atol=1e-6)


def test_cosines_are_nilearns():
    """As many as ``filter="cosine"`` takes, and the same."""
    expected = create_cosine_drift(0.01, 1.5 * np.arange(200))[:, :-1]
    np.testing.assert_allclose(slow_cosines(200, 1.5, 0.01), expected, atol=1e-12)
    assert slow_cosines(200, 1.5, None).shape == (200, 0)
