"""Baselines: nothing that is tested is trained on, noise scores 0, parts add up to the whole."""

import numpy as np
import pytest
from scipy.signal import lfilter
from sklearn.model_selection import KFold, LeaveOneGroupOut

from giblet.stats.cross_validation import delayed, held_out_scores, purged_folds
from giblet.stats.pearson import correlation
from giblet.stats.ridge import banded_ridge
from giblet.stats.variance import shares, variance_partition
from giblet.timing import trs_for

T_R = 1.5
GAP = trs_for(32.0, T_R)


def smooth(rng, n_trs, n_columns, phi=0.95):
    """AR(1) noise: neighbouring TRs are alike, as in a film and in BOLD."""
    burnt = rng.standard_normal((n_trs + 200, n_columns))
    return lfilter([1], [1, -phi], burnt, axis=0)[200:]


def test_delays_look_back_and_never_across_runs():
    features = np.arange(1.0, 13).reshape(6, 2)
    runs = np.array([1, 1, 1, 1, 2, 2])
    found = delayed(features, [0, 2], runs)
    for tr in range(6):
        expected = features[tr - 2] if tr >= 2 and runs[tr - 2] == runs[tr] else [0, 0]
        assert found[tr].tolist() == [*features[tr], *expected]
    assert delayed(features, [9]).any() == np.False_
    with pytest.raises(ValueError, match="0 TRs or more"):
        delayed(features, [-1, 0])


def test_fir_finds_the_response(rng):
    """BOLD is a response to earlier TRs: with the delays it is predicted, without it is not."""
    film = rng.standard_normal((500, 2))
    weights = delayed(film, range(2, 6)) @ rng.standard_normal((8, 5))
    bold = weights + 0.3 * rng.standard_normal((500, 5))
    runs = np.repeat([1, 2], 250)
    assert held_out_scores([delayed(film, range(1, 8), runs)], bold, runs, 0)[0].min() > 0.9
    assert np.abs(held_out_scores([film], bold, runs, 0)[0]).max() < 0.2


def test_runs_are_left_out_as_scikit_learn_does():
    runs = np.repeat(["b", "a", "c"], [5, 7, 4])
    expected = list(LeaveOneGroupOut().split(runs, groups=runs))
    for found, (train, test) in zip(purged_folds(runs, gap_trs=3), expected, strict=True):
        np.testing.assert_array_equal(found[0], train)
        np.testing.assert_array_equal(found[1], test)


def test_one_run_is_cut_as_scikit_learn_does():
    expected = list(KFold(4).split(np.zeros(40)))
    for found, (train, test) in zip(purged_folds(np.zeros(40), 0, 4), expected, strict=True):
        np.testing.assert_array_equal(found[0], train)
        np.testing.assert_array_equal(found[1], test)


@pytest.mark.parametrize("n_short", [1, 9])
def test_a_short_run_is_no_fold_of_its_own(rng, n_short):
    runs = np.repeat(["a", "b", "c"], [40, n_short, 40])
    features, bold = rng.standard_normal((2, len(runs), 3))
    folds = [test.tolist() for _train, test in purged_folds(runs, 3)]
    assert folds == [[*range(40)], [*range(40, 80 + n_short)]]
    assert np.isfinite(held_out_scores([features], bold, runs, 3, n_iter=2)[0]).all()


def test_between_train_and_test_lies_the_gap():
    among = np.r_[0:120, 150:300]
    folds = purged_folds(np.zeros(300), GAP, 5, among)
    assert np.concatenate([test for _train, test in folds]).tolist() == among.tolist()
    for train, test in folds:
        assert set(train) <= set(among)
        assert np.abs(train[:, None] - test).min() == GAP + 1
        far = [tr for tr in among if np.abs(test - tr).min() > GAP]
        assert train.tolist() == far  # and no more is dropped than that


def test_a_gap_that_eats_all_is_refused():
    with pytest.raises(ValueError, match="none to train on with a gap of 22"):
        purged_folds(np.zeros(40), GAP, 2)


def test_noise_scores_nothing_but_what_chance_gives(rng):
    """White noise: 0 on average over voxels, and |r| no larger than its n TRs explain.

    Every pair of folds is met twice, so r has a variance of 2 / n: mean |r| is 0.8 of its root,
    0.045 here and under 0.02 from 3,200 TRs on.
    """
    bold, film = rng.standard_normal((640, 400)), rng.standard_normal((640, 20))
    r, r2 = held_out_scores([film], bold, np.repeat(range(4), 160), 0)
    assert abs(r.mean()) < 0.02
    assert -0.05 < r2.mean() < 0
    assert np.abs(r).mean() == pytest.approx(np.sqrt(2 / np.pi * 2 / 640), rel=0.15)


def test_smooth_noise_scores_nothing_in_purged_blocks_and_much_at_random(rng):
    """The trap: the same noise, the same model, another way to split."""
    n_trs = 700
    bold, film = smooth(rng, n_trs, 400), smooth(rng, n_trs, 100)
    r, _r2 = held_out_scores([film], bold, np.zeros(n_trs), GAP)
    assert abs(r.mean()) < 0.02
    mixed = rng.permutation(n_trs)
    test, train = np.sort(mixed[:180]), np.sort(mixed[180:])
    folds = purged_folds(np.zeros(n_trs), 0, 5, among=train)
    leaked = correlation(banded_ridge([film], bold, train, test, folds), bold[test])
    assert leaked.mean() > 0.5


def test_shares_are_what_was_published(rng):
    """Three feature spaces, written out as de Heer et al. (2017) do."""
    a, b, c, ab, ac, bc, abc = rng.random((7, 6))
    r2 = {("a",): a, ("b",): b, ("c",): c, ("a", "b"): ab, ("a", "c"): ac, ("b", "c"): bc}
    found = shares({**r2, ("a", "b", "c"): abc})
    expected = {
        ("a",): abc - bc,
        ("b",): abc - ac,
        ("c",): abc - ab,
        ("a", "b"): ac + bc - c - abc,
        ("a", "c"): ab + bc - b - abc,
        ("b", "c"): ab + ac - a - abc,
        ("a", "b", "c"): abc + a + b + c - ab - ac - bc,
    }
    assert found.keys() == expected.keys()
    for names, share in expected.items():
        np.testing.assert_allclose(found[names], share, atol=1e-12)
    np.testing.assert_allclose(sum(found.values()), abc)


def test_each_modality_gets_what_it_explains(rng):
    """Voxels of known make: what sound, words, or a thing in both explain comes back."""
    n_trs = 1000
    sound, words, both = rng.standard_normal((3, n_trs))
    features = {
        "sound": np.column_stack([sound, both]),
        "words": np.column_stack([words, both, rng.standard_normal((n_trs, 5))]),
    }
    bold = np.column_stack([sound, words, both, sound + words + both])
    bold = bold + np.sqrt([1, 1, 1, 3]) * rng.standard_normal((n_trs, 4))
    runs = np.repeat([1, 2], n_trs // 2)
    found = variance_partition(features, bold, runs, GAP, n_folds=3, n_iter=10)
    expected = {"sound": [3, 0, 0, 1], "words": [0, 3, 0, 1], "sound+words": [0, 0, 3, 1]}
    assert found.keys() == expected.keys()
    for names, sixths in expected.items():
        np.testing.assert_allclose(found[names], np.array(sixths) / 6, atol=0.06)


def test_simulated_brains_give_back_who_answers_to_sound():
    """Ten minutes in two runs, with drift, motion and as much noise as response."""
    from nilearn.signal import clean
    from sklearn.metrics import roc_auc_score

    from giblet.demo.brains import make_brain, run_clocks, simulate_scans

    rng = np.random.default_rng(1)
    film = [rng.standard_normal((6000, n)) for n in (3, 4, 5)]  # sound, pictures, words at 10 Hz
    brain = make_brain(resolution_mm=12, noise=1.0)
    clocks = run_clocks(600, T_R, 2, 0.0, 0.0)
    scans = simulate_scans(film, 10.0, T_R, clocks, brain, n_subjects=1, seed=0)
    how = {"t_r": T_R, "high_pass": 0.01, "standardize": "zscore_sample"}
    bold = [clean(b, confounds=motion, **how) for _s, _r, b, motion in scans]
    runs = np.repeat([1, 2], 200)
    bands = [delayed(f.reshape(400, 15, -1).mean(axis=1), range(9), runs) for f in film]
    maps = [held_out_scores([band], np.concatenate(bold), runs, GAP)[0] for band in bands]
    areas = [roc_auc_score(region, r) for region, r in zip(brain.membership, maps, strict=True)]
    assert areas[0] > 0.95
    assert min(areas) > 0.9
