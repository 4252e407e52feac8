"""Ridge from film to brain: right where there is something, zero where there is nothing.

Oracles: SciPy, scikit-learn, and noise that looks like BOLD but has seen no film.
"""

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import pearsonr
from sklearn.linear_model import Ridge

from giblet.alignment.hrf import convolve_hrf
from giblet.config import SplitConfig
from giblet.dataset import split_film, zscore_bold
from giblet.encoding import correlation, fit_ridge, ridge_encoding

N_TRS, T_R = 300, 1.5


def phase_randomised(rng, n_trs, n_voxels, phi=0.8):
    """Null BOLD: the spectrum of AR(1) noise with random phases, a stretch of a longer series."""
    noise = lfilter([1], [1, -phi], rng.standard_normal((3 * n_trs, n_voxels)), axis=0)[n_trs:]
    spectrum = np.abs(np.fft.rfft(noise, axis=0))
    phases = np.exp(2j * np.pi * rng.random(spectrum.shape))
    return np.fft.irfft(spectrum * phases, axis=0)[:n_trs].astype(np.float32)


def film_regressors(rng, n_features=60):
    times = np.arange(N_TRS) * T_R + T_R / 2
    return convolve_hrf(rng.standard_normal((N_TRS, n_features)), 1 / T_R, times)


@pytest.fixture
def parts():
    part = split_film(N_TRS, T_R, SplitConfig(), has_bold=True)
    return np.flatnonzero(part == "train"), np.flatnonzero(part == "test")


def scaled(bold, train):
    is_train = np.isin(np.arange(len(bold)), train)
    return zscore_bold(bold[None], np.repeat("run-1", len(bold)), is_train)[0][0]


def test_correlation_is_pearsons(rng):
    a, b = rng.standard_normal((2, 50, 6))
    b += a * np.arange(6)
    expected = [pearsonr(a[:, i], b[:, i]).statistic for i in range(6)]
    np.testing.assert_allclose(correlation(a, b), expected)
    a[:, 2] = 3.0
    assert np.isnan(correlation(a, b)).tolist() == [False, False, True, False, False, False]


def test_ridge_is_scikit_learns_with_an_intercept(rng):
    x = rng.standard_normal((80, 120))
    y = x[:, :4] * [3, 1, 0.3, 0] + rng.standard_normal((80, 4)) + [0, 5, -5, 100]
    ridge = fit_ridge(x, y)
    new = rng.standard_normal((20, 120)).astype(np.float32)
    assert ridge.best_alphas_[0] < ridge.best_alphas_[3]  # one penalty a target
    for target, alpha in enumerate(ridge.best_alphas_):
        expected = Ridge(alpha=alpha).fit(x, y[:, target]).predict(new)
        np.testing.assert_allclose(ridge.predict(new)[:, target], expected, atol=2e-3)


def test_a_voxel_that_follows_the_film_is_predicted(rng, parts):
    train, test = parts
    regressors = film_regressors(rng)
    bold = phase_randomised(rng, N_TRS, 20)
    answer = regressors[:, :1] / regressors[:, 0].std()
    bold[:, :10] = 2 * answer + bold[:, :10] / bold[:, :10].std()
    bold = scaled(bold, train)
    r = correlation(ridge_encoding(regressors, bold, train, test), bold[test])
    assert r[:10].min() > 0.6
    assert abs(r[10:].mean()) < 0.3


def test_the_regressors_units_do_not_matter(rng, parts):
    train, test = parts
    regressors, bold = film_regressors(rng), scaled(phase_randomised(rng, N_TRS, 10), parts[0])
    other = regressors * 2.0 ** rng.integers(-8, 8, 60) + 8
    other = np.column_stack([other, np.ones(N_TRS, dtype=np.float32)])  # a constant adds nothing
    np.testing.assert_allclose(
        ridge_encoding(regressors, bold, train, test),
        ridge_encoding(other, bold, train, test),
        atol=0.01,
    )


def test_null_bold_is_not_predicted(rng, parts):
    """Noise that has seen no film scores 0; split at random, the same noise scores high."""
    train, test = parts
    n_voxels = 2000
    regressors, bold = film_regressors(rng), phase_randomised(rng, N_TRS, n_voxels)
    bold = scaled(bold, train)
    r = correlation(ridge_encoding(regressors, bold, train, test), bold[test])
    # voxels are independent given the film, neighbouring TRs are not: where both series remember
    # .8 of the last TR, (1 + .64) / (1 - .64) = 4.6 TRs count as one (Bartlett 1935)
    four_sigma = 4 / np.sqrt(n_voxels * len(test) / 5)
    assert four_sigma < 0.03
    assert abs(r.mean()) < four_sigma
    mixed = rng.permutation(N_TRS)
    train, test = mixed[: len(train)], mixed[-len(test) :]  # the trap
    bold = scaled(bold, train)
    r = correlation(ridge_encoding(regressors, bold, train, test), bold[test])
    assert r.mean() > 0.3
