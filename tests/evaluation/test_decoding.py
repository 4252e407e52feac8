"""BOLD to bottleneck: the brain is heard where it answers, and only there.

Oracles: loops, scikit-learn, and noise that looks like BOLD but has seen no film.
"""

import numpy as np
import pytest
from scipy.signal import lfilter
from sklearn.linear_model import Ridge
from sklearn.neighbors import NearestNeighbors

from giblet.alignment.dataset import split_film, zscore_bold
from giblet.alignment.hrf import tr_kernel
from giblet.audio.metrics.identify import identification as identified
from giblet.config.sections import DecodingConfig, SplitConfig
from giblet.evaluation.decoding import (
    decode_silenced,
    decode_subject,
    lagged,
    lags_in_trs,
    nearest_clips,
)
from giblet.stats.ridge import fit_ridge

N_TRS, T_R = 300, 1.5
LAGS = lags_in_trs(T_R, DecodingConfig())
RUNS = np.repeat(["run-1", "run-2"], [140, 160])


@pytest.fixture
def parts():
    part = split_film(N_TRS, T_R, SplitConfig(), has_bold=True)
    return np.flatnonzero(part == "train"), np.flatnonzero(part == "test")


def make_bottleneck(rng, memory=0.0, n_features=24):
    """A film's bottlenecks: TRs remember the ones before; every feature has a mean of its own."""
    steps = rng.standard_normal((N_TRS, n_features))
    bottleneck = lfilter([1], [1, -memory], steps, axis=0) + 3 * rng.standard_normal(n_features)
    return bottleneck.astype(np.float32)


def phase_randomised(rng, n_voxels, phi=0.8):
    """Null BOLD: the spectrum of AR(1) noise with random phases, a stretch of a longer series."""
    noise = lfilter([1], [1, -phi], rng.standard_normal((3 * N_TRS, n_voxels)), axis=0)[N_TRS:]
    spectrum = np.abs(np.fft.rfft(noise, axis=0))
    phases = np.exp(2j * np.pi * rng.random(spectrum.shape))
    return np.fft.irfft(spectrum * phases, axis=0)[:N_TRS].astype(np.float32)


def answering(rng, bottleneck, n_voxels=80, noise=0.3):
    """Simulated BOLD that follows the bottleneck through the HRF."""
    seen = bottleneck @ rng.standard_normal((bottleneck.shape[1], n_voxels))
    blurred = lfilter(tr_kernel(T_R, 0.75), 1, seen - seen.mean(axis=0), axis=0)
    return blurred / blurred.std() + noise * rng.standard_normal(blurred.shape)


def scaled(bold, train):
    is_train = np.isin(np.arange(N_TRS), train)
    return zscore_bold(bold[None], RUNS, is_train)[0][0]


def identification(found, column, truth):
    return identified(found[column], truth).mean()


@pytest.mark.parametrize("t_r", [0.72, 1.5, 2.0])
def test_lags_cover_the_response(t_r):
    lags = lags_in_trs(t_r, DecodingConfig())
    assert (lags[0] - 1) * t_r < 2.0 <= lags[0] * t_r  # seconds after the TR
    assert (lags[-1] - 1) * t_r < 8.0 <= lags[-1] * t_r


def test_lagged_bold_is_the_bold_that_follows_in_the_same_run(rng):
    bold = rng.standard_normal((N_TRS, 3))
    x = lagged(bold, RUNS, LAGS)
    assert x.shape == (N_TRS, 15)
    for tr in (0, 77, 134, 137, 139, 140, 294, 299):
        for place, lag in enumerate(LAGS):
            later = tr + lag
            known = later < N_TRS and RUNS[later] == RUNS[tr]
            expected = bold[later] if known else np.zeros(3)
            np.testing.assert_array_equal(x[tr, 3 * place : 3 * place + 3], expected)


def test_lagged_takes_what_was_not_scanned_as_the_mean():
    bold = np.array([[1.0], [np.nan], [3.0]])
    assert lagged(bold, np.repeat("1", 3), range(1, 3)).tolist() == [[0, 3], [3, 0], [0, 0]]
    assert not lagged(bold, np.repeat("1", 3), range(5, 6)).any()  # longer than the scan


def test_nearest_clips_are_scikit_learns_neighbours(rng):
    x_train, x_test = rng.standard_normal((50, 12)), rng.standard_normal((20, 12)) * 5 + 2
    neighbours = NearestNeighbors(n_neighbors=1, metric="correlation").fit(x_train)
    expected = neighbours.kneighbors(x_test, return_distance=False)[:, 0]
    np.testing.assert_array_equal(nearest_clips(x_train, x_test), expected)


def test_a_brain_that_answers_is_told_from_its_nulls(rng, parts):
    train, test = parts
    bottleneck = make_bottleneck(rng)
    bold = scaled(answering(rng, bottleneck), train)
    found = decode_subject(bold, RUNS, bottleneck, train, test, LAGS)
    assert set(found) == {"brain", "brain_shuffled", "brain_mean", "nearest_clip"}
    brain = identification(found, "brain", bottleneck[test])
    shuffled = identification(found, "brain_shuffled", bottleneck[test])
    mean = identification(found, "brain_mean", bottleneck[test])
    four_sigma = 4 * np.sqrt(1 / 12 / len(test))  # of the mean rank of unlike TRs
    assert brain > 0.5 + four_sigma
    assert brain > 0.8
    assert abs(shuffled - 0.5) < four_sigma
    assert abs(mean - 0.5) < four_sigma


def test_the_mean_volume_gives_the_mean_bottleneck(rng, parts):
    """What a decoder says that hears nothing; the brain's say is what departs from it."""
    train, test = parts
    bottleneck = make_bottleneck(rng)
    bold = scaled(answering(rng, bottleneck), train)
    found = decode_subject(bold, RUNS, bottleneck, train, test, LAGS)
    np.testing.assert_array_equal(found["brain_mean"], found["brain_mean"][:1].repeat(60, axis=0))
    np.testing.assert_allclose(found["brain_mean"][0], bottleneck[train].mean(axis=0), atol=0.5)
    error = np.square(found["brain"] - bottleneck[test]).mean()
    assert error < np.square(found["brain_mean"] - bottleneck[test]).mean()


def test_decoding_is_ridge_from_lagged_bold(rng, parts):
    train, test = parts
    bottleneck = make_bottleneck(rng, n_features=1)
    bold = scaled(answering(rng, bottleneck), train)
    found = decode_subject(bold, RUNS, bottleneck, train, test, LAGS)
    x = lagged(bold, RUNS, LAGS)
    alphas = np.logspace(0, 7, 15)
    fits = [Ridge(alpha).fit(x[train], bottleneck[train]).predict(x[test]) for alpha in alphas]
    nearest = min(fits, key=lambda fit: np.abs(fit.ravel() - found["brain"].ravel()).max())
    np.testing.assert_allclose(nearest.ravel(), found["brain"].ravel(), atol=5e-3)


def test_test_trs_teach_the_decoder_nothing(rng, parts):
    train, test = parts
    bottleneck = make_bottleneck(rng)
    bold = scaled(answering(rng, bottleneck), train)
    spoilt = bottleneck.copy()
    spoilt[test] = 1e6
    one, other = (decode_subject(bold, RUNS, b, train, test, LAGS) for b in (bottleneck, spoilt))
    for column in one:
        np.testing.assert_array_equal(one[column], other[column])


def test_null_bold_identifies_nothing(rng, parts):
    """Phase-randomised noise stays at chance; split at random, the same noise seems to hear."""
    train, test = parts
    bottleneck = make_bottleneck(rng, memory=0.8)
    mixed = rng.permutation(N_TRS)
    random_train, random_test = mixed[: len(train)], mixed[-len(test) :]
    scores, shuffled, chance, trapped = [], [], [], []
    for _subject in range(6):
        noise = phase_randomised(rng, 200)
        found = decode_subject(scaled(noise, train), RUNS, bottleneck, train, test, LAGS)
        scores.append(identification(found, "brain", bottleneck[test]))
        shuffled.append(identification(found, "brain_shuffled", bottleneck[test]))
        rolled = [np.roll(found["brain"], shift, axis=0) for shift in range(8, 53)]
        chance.append(np.std([identified(r, bottleneck[test]).mean() for r in rolled]))
        bold = scaled(noise, random_train)
        found = decode_subject(bold, RUNS, bottleneck, random_train, random_test, LAGS)
        trapped.append(identification(found, "brain", bottleneck[random_test]))
    four_sigma = 4 * np.sqrt(np.mean(np.square(chance)) / len(scores))
    assert four_sigma < 0.15
    assert abs(np.mean(scores) - 0.5) < four_sigma
    assert np.mean(scores) - np.mean(shuffled) < np.sqrt(2) * four_sigma  # no better than its null
    assert np.mean(trapped) > 0.8


def test_nearest_clips_are_trs_of_the_film(rng):
    """Not places in the training part, which begins late here."""
    bottleneck, train, test = make_bottleneck(rng), np.arange(120, 220), np.arange(20, 60)
    bold = rng.standard_normal((N_TRS, 12)).astype(np.float32)
    bold[18 + LAGS[0] : 60 + LAGS[-1]] = bold[148 + LAGS[0] : 190 + LAGS[-1]]  # seen again
    runs = np.repeat("run-1", N_TRS)
    nearest = decode_subject(bold, runs, bottleneck, train, test, LAGS)["nearest_clip"]
    np.testing.assert_array_equal(nearest, test + 130)


def test_silenced_voxels_are_silent_at_every_lag(rng, parts):
    train, test = parts
    bottleneck = make_bottleneck(rng)
    bold = answering(rng, bottleneck, n_voxels=10).astype(np.float32)
    silenced = np.arange(10) < 3
    quiet = bold.copy()
    quiet[:, silenced] = 0.0
    runs = np.repeat("run-1", N_TRS)
    (decoded,) = decode_silenced(bold, runs, bottleneck, train, test, LAGS, [silenced])
    x = lagged(bold, runs, LAGS)
    expected = fit_ridge(x[train], bottleneck[train]).predict(lagged(quiet, runs, LAGS)[test])
    np.testing.assert_allclose(decoded, expected, atol=1e-4)
