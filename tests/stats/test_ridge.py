"""Ridge from film to brain: right where there is something.

Oracles: scikit-learn, himalaya's solver in feature space, identities.
"""

import tracemalloc
from itertools import permutations, product

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from scipy.special import softmax
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold

from giblet.alignment.dataset import split_film
from giblet.alignment.hrf import convolve_hrf
from giblet.config.sections import SplitConfig
from giblet.stats.cross_validation import purged_folds
from giblet.stats.feature_ridge import average, best, directions, solve
from giblet.stats.pearson import correlation
from giblet.stats.permutation import phase_randomised
from giblet.stats.ridge import (
    band_columns,
    band_mixtures,
    banded_ridge,
    banded_weights,
    fit_ridge,
    ridge_encoding,
    scale_by_training,
)
from giblet.stats.ridge_folds import KernelRows

N_TRS, T_R = 300, 1.5
ALPHAS = np.logspace(-1, 6, 15)


def film_regressors(rng, n_features=60):
    times = np.arange(N_TRS) * T_R + T_R / 2
    return convolve_hrf(rng.standard_normal((N_TRS, n_features)), 1 / T_R, times)


def null_bold(rng, n_voxels):
    """Smooth noise that has seen no film, of deviation 1."""
    noise = phase_randomised(film_regressors(rng, n_voxels), rng)
    return noise / noise.std(axis=0)


@pytest.fixture
def parts():
    part = split_film(N_TRS, T_R, SplitConfig(), has_bold=True)
    return np.flatnonzero(part == "train"), np.flatnonzero(part == "test")


@pytest.fixture
def bands(rng):
    """Two modalities, one wide, and BOLD that answers to one, the other, both and neither."""
    one, other = rng.standard_normal((N_TRS, 4)) * 100, rng.standard_normal((N_TRS, 40)) + 7
    noise = rng.standard_normal((N_TRS, 4))
    bold = np.column_stack(
        [one[:, 0] / 100, other[:, 0], one[:, 1] / 100 + other[:, 1], 0 * one[:, 0]]
    )
    return [one, other], bold + 0.5 * noise + [0, 3, -3, 50]


def folds_within(train):
    return purged_folds(np.zeros(N_TRS), gap_trs=0, n_folds=4, among=train)


@pytest.mark.parametrize("n_features", [10, 30, 120])
def test_ridge_is_scikit_learns_with_an_intercept(rng, n_features):
    x = rng.standard_normal((80, n_features))
    y = x[:, :4] * [3, 1, 0.3, 0] + rng.standard_normal((80, 4)) + [0, 5, -5, 100]
    ridge = fit_ridge(x, y)
    new = rng.standard_normal((20, n_features)).astype(np.float32)
    assert ridge.best_alphas_[0] < ridge.best_alphas_[3]  # one penalty a target
    for target, alpha in enumerate(ridge.best_alphas_):
        expected = Ridge(alpha=alpha).fit(x, y[:, target]).predict(new)
        np.testing.assert_allclose(ridge.predict(new)[:, target], expected, atol=2e-3)


def test_a_voxel_that_follows_the_film_is_predicted(rng, parts):
    train, test = parts
    regressors, bold = film_regressors(rng), null_bold(rng, 20)
    bold[:, :10] += 2 * regressors[:, :1] / regressors[:, 0].std()
    r = correlation(ridge_encoding(regressors, bold, train, test), bold[test])
    assert r[:10].min() > 0.6
    assert abs(r[10:].mean()) < 0.3


def test_the_regressors_units_do_not_matter(rng, parts):
    train, test = parts
    regressors, bold = film_regressors(rng), null_bold(rng, 10)
    other = regressors * 2.0 ** rng.integers(-8, 8, 60) + 8
    other = np.column_stack([other, np.ones(N_TRS, dtype=np.float32)])  # a constant adds nothing
    np.testing.assert_allclose(
        ridge_encoding(regressors, bold, train, test),
        ridge_encoding(other, bold, train, test),
        atol=0.01,
    )


def test_columns_are_reduced_by_training_trs_alone(rng):
    """More features than test TRs, fewer than training TRs: the same as of all columns."""
    train, test = np.arange(60), np.arange(60, 70)
    features = rng.standard_normal((70, 30))
    bold = (features @ rng.standard_normal((30, 4))).astype(np.float32)
    scaled = scale_by_training(features, train).astype(np.float32)
    expected = fit_ridge(scaled[train], bold[train]).predict(scaled[test])
    predicted = ridge_encoding(features, bold, train, test)
    np.testing.assert_allclose(predicted, expected, rtol=1e-3, atol=1e-3)


def test_one_band_is_scikit_learns_ridge_by_the_same_folds(bands, parts):
    """Its grid search chooses the same penalty and predicts the same."""
    (_one, x), bold = bands
    train, test = parts
    scaled = (x - x[train].mean(axis=0)) / x[train].std(axis=0)
    folds = folds_within(train)
    inner = [tuple(np.searchsorted(train, part) for part in fold) for fold in folds]
    predicted = banded_ridge([x], bold, train, test, folds, choice=best)
    for voxel in range(4):
        search = GridSearchCV(
            Ridge(), {"alpha": ALPHAS * x.shape[1]}, cv=inner, scoring="neg_mean_squared_error"
        )
        search.fit(scaled[train], bold[train, voxel])
        np.testing.assert_allclose(predicted[:, voxel], search.predict(scaled[test]), atol=5e-3)


def test_training_need_not_begin_with_the_film(rng, bands, parts):
    """Folds name TRs of the film, not places in the training part."""
    features, bold = bands
    train, test = parts
    before = rng.standard_normal((50, 44))
    late = [np.vstack([before[:, : x.shape[1]], x]) for x in features]
    moved = [tuple(part + 50 for part in fold) for fold in folds_within(train)]
    late_bold = np.vstack([before[:, :4], bold])
    expected = banded_ridge(features, bold, train, test, folds_within(train), n_iter=4)
    predicted = banded_ridge(late, late_bold, train + 50, test + 50, moved, n_iter=4)
    np.testing.assert_allclose(predicted, expected, atol=1e-3)


@pytest.mark.parametrize("width", [40, 100, 400], ids=["few", "more than a fold", "kernels"])
def test_banded_ridge_is_himalayas_in_feature_space(rng, bands, parts, width):
    """The same mixtures of bands, solved by another of its solvers: weights, not kernels."""
    from himalaya.ridge import GroupRidgeCV

    features, bold = bands
    features = [features[0], np.hstack([features[1], rng.standard_normal((N_TRS, width - 40))])]
    train, test = parts
    scaled = [(x - x[train].mean(axis=0)) / x[train].std(axis=0) for x in features]
    scaled = [(x / np.sqrt(x.shape[1])).astype(np.float32) for x in scaled]
    folds = folds_within(train)
    mixtures = band_mixtures(2, 8)
    search = {"n_iter": mixtures, "alphas": ALPHAS, "progress_bar": False, "warn": False}
    inner = [tuple(np.searchsorted(train, part) for part in fold) for fold in folds]
    model = GroupRidgeCV(groups="input", solver_params=search, fit_intercept=True, cv=inner)
    model.fit([x[train] for x in scaled], bold[train].astype(np.float32))
    expected = model.predict([x[test] for x in scaled])
    predicted = banded_ridge(features, bold, train, test, folds, n_iter=8, choice=best)
    np.testing.assert_allclose(predicted, expected, atol=5e-3)


@pytest.mark.parametrize("width", [40, 400], ids=["features", "kernels"])
def test_candidates_are_averaged_by_likelihood_and_prior(rng, bands, parts, width):
    """Each candidate by scikit-learn; weights by SciPy's softmax of what they should be."""
    features, bold = bands
    features = [features[0], np.hstack([features[1], rng.standard_normal((N_TRS, width - 40))])]
    bold = bold + 2 * rng.standard_normal(bold.shape)  # no candidate wins by far
    train, test = parts
    scaled = [scale_by_training(x, train) / np.sqrt(x.shape[1]) for x in features]
    folds, mixtures = folds_within(train), band_mixtures(2, 5)
    losses, predicted = [], []
    for mixture, alpha in product(mixtures, ALPHAS):
        x = np.hstack([np.sqrt(share) * band for share, band in zip(mixture, scaled, strict=True)])
        errors = [
            (bold[held] - Ridge(alpha=alpha).fit(x[own], bold[own]).predict(x[held])) ** 2
            for own, held in folds
        ]
        losses.append(np.mean([one.mean(axis=0) for one in errors], axis=0))
        predicted.append(Ridge(alpha=alpha).fit(x[train], bold[train]).predict(x[test]))
    prior = np.log(np.tile(ALPHAS**6 / (1 + ALPHAS) ** 7, len(mixtures)))[:, None]
    n_independent = sum(len(held) for _own, held in folds) / 1.3
    weights = softmax(prior - n_independent / 2 * np.log(losses), axis=0)
    expected = np.einsum("cv,ctv->tv", weights, predicted)
    found = banded_ridge(features, bold, train, test, folds, n_iter=5)
    np.testing.assert_allclose(found, expected, atol=2e-2)
    assert np.abs(predicted[weights[:, 0].argmax()][:, 0] - expected[:, 0]).max() > 0.1


@pytest.mark.parametrize("n_bands", [2, 3, 4])
def test_the_order_of_bands_does_not_matter(rng, parts, n_bands):
    train, test = parts
    features = [rng.standard_normal((N_TRS, width)) for width in (2, 30, 400, 7)[:n_bands]]
    bold = sum(band[:, :1] for band in features) * [0.3, 0.6, 1.0]
    bold = bold + rng.standard_normal(bold.shape)
    folds, orders = folds_within(train), [*permutations(range(n_bands))]
    first, *others = (
        banded_ridge([features[k] for k in order], bold, train, test, folds)
        for order in (orders if n_bands < 4 else orders[::9])
    )
    for other in others:
        np.testing.assert_allclose(other, first, atol=1e-3)
    alone = banded_ridge(features[:1], bold, train, test, folds)
    assert np.abs(first - alone).max() > 0.3


@pytest.mark.parametrize("n_bands", [2, 3, 5, 8])
@pytest.mark.parametrize("n_iter", [2, 20, 40])
def test_every_order_of_bands_tries_the_same_mixtures(n_bands, n_iter):
    mixtures = band_mixtures(n_bands, n_iter)
    rows = {tuple(row) for row in mixtures.round(9)}
    assert len(rows) == len(mixtures)
    assert abs(len(mixtures) - n_iter) <= max(n_bands, 2 * n_bands + 1 - n_iter)
    np.testing.assert_allclose(mixtures.sum(axis=1), 1)
    swapped, turned = [1, 0, *range(2, n_bands)], np.roll(range(n_bands), 1)  # make all orders
    for order in (swapped, turned):
        assert {tuple(row) for row in mixtures[:, order].round(9)} == rows


def test_without_folds_no_penalty_is_chosen(bands, parts):
    features, bold = bands
    with pytest.raises(ValueError, match="no folds to choose penalties by"):
        banded_ridge(features, bold, *parts, [])


def test_a_noise_band_costs_half_of_what_it_costs_the_best_candidate():
    """SIMULATED voxels that follow one column weakly, beside 1,024 columns of smooth noise."""
    n, n_voxels, lost = 362, 40, {best: 0.0, average: 0.0}
    train, test = purged_folds(np.zeros(n), 16, 3)[1]
    folds = purged_folds(np.zeros(n), 16, 5, among=train)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        one, noise, rest = (
            gaussian_filter1d(rng.standard_normal((n, width)), sigma, axis=0)
            for width, sigma in ((1, 2.0), (1024, 2.0), (n_voxels, 1.0))
        )
        bold = np.sqrt(0.05) * one / one.std() + np.sqrt(0.95) * rest / rest.std(axis=0)
        for choice in lost:
            r = [
                np.nanmean(
                    correlation(
                        banded_ridge(own, bold, train, test, folds, choice=choice), bold[test]
                    )
                )
                for own in ([one], [one, noise])
            ]
            lost[choice] += (r[0] - r[1]) / 3
    assert lost[best] > 0.02
    assert lost[average] < 0.6 * lost[best]


def test_without_kernels_the_answer_is_theirs(rng, bands, parts, monkeypatch):
    """Fewer columns than training TRs, of which some say what others say: all four ways in."""
    features, bold = bands
    features = [features[0], np.hstack([features[1], features[1][:, :9] - features[1][:, 1:10]])]
    train, test = parts
    folds, x = folds_within(train), np.hstack(features)

    def predictions():
        weights, offsets = banded_weights([f[train] for f in features], bold[train], n_iter=5)
        yield banded_ridge(features, bold, train, test, folds, n_iter=5)
        yield x[test] @ weights + offsets
        yield ridge_encoding(x, bold, train, test)
        scaled = ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32)
        yield fit_ridge(scaled[train], bold[train]).predict(scaled[test])

    own = list(predictions())
    monkeypatch.setattr("giblet.stats.feature_ridge.FeatureRows", KernelRows)
    for found, expected in zip(own, predictions(), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("widths", [(8, 150, 40), (8, 12, 9)], ids=["kernels", "features"])
def test_many_targets_and_mixtures_are_himalayas_random_search(rng, widths):
    """Its kernels, with the same mixtures: more targets than are scored at once."""
    from himalaya.kernel_ridge import MultipleKernelRidgeCV, generate_dirichlet_samples

    bands = [rng.standard_normal((90, width)) / np.sqrt(width) for width in widths]
    y = sum(band[:, :1] * rng.standard_normal((1, 1500)) * 3 for band in bands)
    y = (y + rng.standard_normal(y.shape) + 5).astype(np.float32)
    train, test = np.arange(70), np.arange(70, 90)
    folds = list(KFold(4).split(train))
    mixtures = generate_dirichlet_samples(6, 3, [0.1, 1.0], random_state=0)
    found = solve([band[train] for band in bands], y[train], folds, ALPHAS, mixtures)
    model = MultipleKernelRidgeCV(
        kernels="precomputed",
        solver="random_search",
        solver_params={"n_iter": mixtures, "alphas": ALPHAS, "progress_bar": False},
        fit_intercept=True,
        cv=folds,
    )
    model.fit(np.stack([band[train] @ band[train].T for band in bands]).astype("f4"), y[train])
    expected = model.predict(np.stack([b[test] @ b[train].T for b in bands]).astype("f4"))
    predicted = found.predict(np.concatenate(bands, axis=1)[test])
    apart = np.abs(predicted - expected).max(axis=0)
    assert np.median(apart) < 1e-4
    assert (apart > 2e-3).mean() < 0.01  # two penalties or mixtures that are as good


def test_the_average_with_more_held_out_rows_than_columns(rng):
    """Every mixture and penalty by scikit-learn, weighted by its squared error in the folds."""
    bands = [rng.standard_normal((60, width)) / np.sqrt(width) for width in (3, 4)]
    y = bands[0][:, :2] @ rng.standard_normal((2, 5)) + rng.standard_normal((60, 5))
    folds, alphas = list(KFold(3).split(bands[0])), np.array([0.3, 1.0, 3.0])
    mixtures = np.array([[0.5, 0.5], [0.9, 0.1], [0.1, 0.9]])
    whole, predicted, total = [], 0, 0
    for mixture in mixtures:
        x = np.concatenate([np.sqrt(m) * b for m, b in zip(mixture, bands, strict=True)], axis=1)
        for alpha in alphas:
            ridge = Ridge(alpha)
            left = [y[b] - ridge.fit(x[a], y[a]).predict(x[b]) for a, b in folds]
            error = np.mean([np.mean(one**2, axis=0) for one in left], axis=0)
            whole.append((error, alpha**6 / (1 + alpha) ** 7, ridge.fit(x, y).predict(x)))
    least = np.min([error for error, _prior, _own in whole], axis=0)
    for error, prior, own in whole:
        weight = prior * (error / least) ** (-60 / 1.3 / 2)  # neighbouring TRs are alike
        predicted, total = predicted + weight * own, total + weight
    found = solve(bands, y, folds, alphas, mixtures, "float64", average)
    np.testing.assert_allclose(
        found.predict(np.concatenate(bands, axis=1)), predicted / total, atol=5e-3
    )


@pytest.mark.parametrize("width", [60, 500], ids=["features", "kernels"])
def test_memory_does_not_grow_with_the_folds(rng, width):
    """Many voxels: beside the training TRs and what is returned there is one fold at a time."""
    n, n_voxels = 400, 8000
    bands = [rng.standard_normal((n, 5)), rng.standard_normal((n, width))]
    bold = rng.standard_normal((n, n_voxels), dtype=np.float32)
    train, test = np.arange(320), np.arange(320, n)
    folds = purged_folds(np.zeros(n), 5, 8, among=train)
    tracemalloc.start()
    try:
        banded_ridge(bands, bold, train, test, folds, n_iter=2)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3.2 * bold[train].nbytes


def test_directions_keep_all_that_training_rows_have(rng):
    x = rng.standard_normal((50, 8)) * np.logspace(0, -2.5, 8) @ rng.standard_normal((8, 200))
    turned = x @ directions(x[:30])
    assert turned.shape[1] == 8
    np.testing.assert_allclose(turned @ turned[:30].T, x @ x[:30].T, atol=1e-9)


def test_a_band_that_tells_nothing_is_shut_out(rng, parts):
    """Beside 400 columns of noise a penalty for each band keeps what one for all loses."""
    train, test = parts
    told, noise = rng.standard_normal((N_TRS, 3)), rng.standard_normal((N_TRS, 400))
    bold = told @ rng.standard_normal((3, 12)) + rng.standard_normal((N_TRS, 12))
    folds = folds_within(train)

    def score(bands):
        return correlation(banded_ridge(bands, bold, train, test, folds), bold[test]).mean()

    assert score([told, noise]) > score([np.hstack([told, noise])]) + 0.15
    assert score([told, noise]) > score([told]) - 0.03


def test_test_trs_scale_nothing(bands, parts):
    """A prediction does not change with other test TRs, nor with any test TR's BOLD."""
    features, bold = bands
    train, test = parts
    folds = folds_within(train)
    before = banded_ridge(features, bold, train, test, folds, n_iter=4)
    for x in features:
        x[test[1:]] *= 1.5  # within twice the training range
    bold[test] += 1e6
    after = banded_ridge(features, bold, train, test, folds, n_iter=4)
    np.testing.assert_array_equal(after[0], before[0])
    assert np.abs(after[1:] - before[1:]).max() > 1


def test_a_voxel_with_nan_harms_no_other(bands, parts):
    features, bold = bands
    folds = folds_within(parts[0])
    before = banded_ridge(features, bold, *parts, folds, n_iter=4)
    bold[parts[0][5], 1] = np.nan
    after = banded_ridge(features, bold, *parts, folds, n_iter=4)
    assert np.isnan(after[:, 1]).all()
    np.testing.assert_allclose(after[:, [0, 2, 3]], before[:, [0, 2, 3]], rtol=1e-5)


def test_the_weights_say_what_banded_ridge_predicts(bands, parts):
    features, bold = bands
    train, test = parts
    folds = [tuple(train[part] for part in fold) for fold in KFold(5).split(train)]
    predicted = banded_ridge(features, bold, train, test, folds, n_iter=6)
    own = [band[train] for band in features]
    weights, offsets = banded_weights(own, bold[train], n_iter=6)
    said = np.concatenate(features, axis=1)[test] @ weights + offsets
    np.testing.assert_allclose(said, predicted, atol=1e-3)


def test_a_column_that_hardly_varies_in_training_predicts_nothing(rng, parts):
    """The tail of a response that ends in the training part, its peak in the test part."""
    train, test = parts
    x = film_regressors(rng, 3)
    bold = x @ rng.standard_normal((3, 5)) + null_bold(rng, 5)
    rare = np.zeros((N_TRS, 1))
    rare[train[-2:]], rare[test[3:6]] = 1e-5, 1.0
    with_rare = np.hstack([x, rare])
    assert np.abs(band_columns(with_rare, train)).max() < 5
    expected = ridge_encoding(x, bold, train, test)
    np.testing.assert_allclose(ridge_encoding(with_rare, bold, train, test), expected, atol=1e-5)


@pytest.mark.parametrize("varies", [0.0, 1e-4, 1e-2])
@pytest.mark.parametrize("centred", [False, True])
def test_the_rise_of_a_constant_predicts_no_rise(rng, varies, centred):
    """A feature that is always on, as a white border: its response rises in the test part."""
    train, test = np.arange(N_TRS // 4, N_TRS), np.arange(N_TRS // 5)
    x = film_regressors(rng, 3)
    bold = x @ rng.standard_normal((3, 5)) + null_bold(rng, 5)
    rise = 1 - np.exp(-np.arange(N_TRS) / 3)
    always = (0.5 * rise * (1 + varies * rng.standard_normal(N_TRS))).astype(np.float32)[:, None]
    always -= always.mean() * centred
    with_it = np.hstack([x, always])
    expected = ridge_encoding(x, bold, train, test)
    predicted = ridge_encoding(with_it, bold, train, test)
    np.testing.assert_allclose(predicted, expected, atol=1e-4)


def test_a_column_that_hardly_varies_but_keeps_its_range_is_used(rng, parts):
    """A ramp at the beginning, as of a filter that starts: all of BOLD follows it."""
    train, test = parts
    slow = film_regressors(rng, 1)
    slow[:4] += 30 * slow.std() * np.arange(4, 0, -1)[:, None]
    predicted = ridge_encoding(slow, slow, train, test)
    assert correlation(predicted, slow[test])[0] > 0.99
