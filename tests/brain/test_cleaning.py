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


SCRUBBED = {
    "here and there": [0, 5, 30, 31, 32, 33, 34, 35, 79],
    "the end alone": range(70, 80),
    "the beginning alone": range(10),
}


@pytest.mark.parametrize("high_pass_hz", [None, 0.02])
@pytest.mark.parametrize("scrubbed", SCRUBBED.values(), ids=SCRUBBED)
def test_scrubbed_volumes_have_no_part_in_cleaning(rng, high_pass_hz, scrubbed):
    """Oracle: least squares on the volumes that are kept, with a trend in their own time."""
    series = 1e3 + rng.standard_normal((80, 9)) + 3 * np.arange(80)[:, None]
    kept = np.ones(80, dtype=bool)
    kept[list(scrubbed)] = False
    nuisance = rng.standard_normal((80, 2))
    spoilt = np.where(kept[:, None], series, 9e5)
    cleaned = clean_series(spoilt, nuisance, 2.0, high_pass_hz, kept)
    assert not cleaned[~kept].any()
    columns = [nuisance, slow_cosines(80, 2.0, high_pass_hz), np.arange(80.0)[:, None]]
    design = np.hstack([*columns, np.ones((80, 1))])[kept]
    fit = design @ np.linalg.lstsq(design, series[kept], rcond=None)[0]
    np.testing.assert_allclose(cleaned[kept], series[kept] - fit, atol=1e-6)
    everything = clean_series(series.copy(), nuisance, 2.0, high_pass_hz, np.ones(80, bool))
    np.testing.assert_array_equal(
        everything, clean_series(series.copy(), nuisance, 2.0, high_pass_hz)
    )
