"""Data quality. Oracles: SciPy, NumPy loops, fMRIPrep's own table, and 28 real people."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr, variation, zscore

from giblet.brain.qc import framewise_displacement, tsnr
from giblet.stats.intersubject import explainable_variance, isc, noise_ceiling, repeat_ceiling
from giblet.stats.pearson import correlation

N_SUBJECTS, N_TRS, N_PARCELS = 5, 80, 7


@pytest.fixture
def people(rng):
    """BOLD that five people share in part, in units of their own."""
    shared = rng.standard_normal((N_TRS, N_PARCELS)) * np.linspace(0, 2, N_PARCELS)
    bold = shared + rng.standard_normal((N_SUBJECTS, N_TRS, N_PARCELS))
    return bold * 10.0 ** np.arange(N_SUBJECTS)[:, None, None] + 1000


def slow_isc(bold):
    """Leave-one-out ISC as its definition says it, subject by subject and parcel by parcel."""
    z = zscore(bold, axis=1)
    r = np.empty((len(z), z.shape[2]))
    for i, parcel in np.ndindex(r.shape):
        others = np.delete(z, i, axis=0)[:, :, parcel].mean(axis=0)
        r[i, parcel] = np.corrcoef(z[i, :, parcel], others)[0, 1]
    return r


def slow_pairwise(bold):
    r = np.empty((len(bold), bold.shape[2]))
    for i, parcel in np.ndindex(r.shape):
        others = np.delete(bold, i, axis=0)[:, :, parcel]
        pairs = [np.corrcoef(bold[i, :, parcel], other)[0, 1] for other in others]
        r[i, parcel] = np.tanh(np.mean(np.arctanh(pairs)))
    return r


ORACLES = {"leave_one_out": slow_isc, "pairwise": slow_pairwise}
every_method = pytest.mark.parametrize("method", ORACLES)


def test_correlation_is_pearsons(rng):
    a, b = rng.standard_normal((2, 50, 6))
    b += a * np.arange(6)
    expected = [pearsonr(a[:, i], b[:, i]).statistic for i in range(6)]
    np.testing.assert_allclose(correlation(a, b), expected)
    a[:, 2], b[:, 4] = 0.1, np.nan
    assert np.isnan(correlation(a, b)).tolist() == [False, False, True, False, True, False]
    a, b = a.astype(np.float32), b.astype(np.float32)  # the mean of a constant is rounded
    assert np.isnan(correlation(a, b)).tolist() == [False, False, True, False, True, False]


@every_method
@pytest.mark.parametrize("block_parcels", [3, 1024])
def test_isc_is_its_definition(people, method, block_parcels):
    found = isc(people, method, block_parcels=block_parcels)
    np.testing.assert_allclose(found, ORACLES[method](people), rtol=1e-9)


@every_method
@pytest.mark.parametrize("value", [0.0, 0.3, np.nan, np.inf])
def test_who_is_constant_or_has_nan_is_left_out_of_the_others(people, method, value):
    others = isc(people[1:], method)
    spoilt = people.copy()
    spoilt[0] = value if np.isfinite(value) else spoilt[0]
    spoilt[0, 3] = value
    found = isc(spoilt, method)
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1:], others)


@every_method
def test_one_bad_parcel_leaves_the_other_parcels_alone(people, method):
    before = isc(people, method)
    people[2, 5, 4] = np.nan
    after = isc(people, method)
    good = np.arange(N_PARCELS) != 4
    np.testing.assert_array_equal(after[:, good], before[:, good])
    assert np.isnan(after[:, 4]).tolist() == [False, False, True, False, False]


@every_method
def test_alone_there_is_no_isc(people, method):
    people[1:] = 0.0
    assert np.isnan(isc(people, method)).all()
    assert np.isnan(noise_ceiling(people)[1]).all()
    assert np.isnan(explainable_variance(people)).all()


def test_isc_takes_what_is_on_disk(people, tmp_path):
    np.save(tmp_path / "bold.npy", people)
    on_disk = np.load(tmp_path / "bold.npy", mmap_mode="r")
    np.testing.assert_array_equal(isc(on_disk, block_parcels=2), isc(people, block_parcels=2))


@pytest.mark.parametrize(
    ("shape", "method", "message"),
    [
        ((1, 9, 2), "pairwise", "two subjects"),
        ((9, 2), "pairwise", "n_parcels"),
        ((2, 9, 2), "pair", "pairwise"),
    ],
)
def test_what_isc_cannot_take_is_refused(shape, method, message):
    with pytest.raises(ValueError, match=message):
        isc(np.zeros(shape), method)


def test_the_ceiling_is_what_the_others_and_what_all_tell(people):
    lower, upper = noise_ceiling(people, block_parcels=3)
    np.testing.assert_allclose(lower, slow_isc(people))
    z = zscore(people, axis=1)
    np.testing.assert_allclose(upper, [correlation(one, z.mean(axis=0)) for one in z])
    assert (upper > lower).all()


def test_a_perfect_model_scores_between_the_bounds(rng):
    """The response itself, against each subject, beside the bounds that know subjects alone."""
    response = rng.standard_normal((4000, 20))
    bold = response + 1.5 * rng.standard_normal((12, 4000, 20))
    best = np.mean([correlation(response, one) for one in bold])
    lower, upper = noise_ceiling(bold)
    assert lower.mean() < best < upper.mean()
    np.testing.assert_allclose(best**2, explainable_variance(bold).mean(), atol=0.01)
    np.testing.assert_allclose(best**2, 1 / (1 + 1.5**2), atol=0.01)


def test_explainable_variance_is_one_less_what_differs_from_the_mean(people):
    """The published form: residuals about the mean over repeats, then the bias corrected."""
    z = zscore(people, axis=1)
    n = len(z)
    share = 1 - (z - z.mean(axis=0)).var(axis=1).mean(axis=0)
    expected = share - (1 - share) / (n - 1)
    np.testing.assert_allclose(explainable_variance(people), expected, atol=1e-12)


def test_tsnr_is_the_inverse_of_scipys_variation(people):
    people[0, :, 0] = 900.1
    expected = 1 / variation(people.reshape(-1, N_TRS, N_PARCELS), axis=1)
    expected[0, 0] = np.nan
    np.testing.assert_allclose(tsnr(people, block_parcels=3), expected)
    np.testing.assert_allclose(tsnr(people[1]), expected[1])
    with pytest.raises(ValueError, match="z-score"):
        tsnr(zscore(people[1:], axis=1))


def test_framewise_displacement_is_fmripreps():
    import nilearn.interfaces.fmriprep as nilearn_fmriprep

    folder = Path(nilearn_fmriprep.__file__).parent / "data"
    table = pd.read_csv(folder / "test-v21_desc-confounds_timeseries.tsv", sep="\t")
    motion = table[[f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz"]]
    found = framewise_displacement(motion.to_numpy())
    np.testing.assert_allclose(found, table["framewise_displacement"], rtol=1e-9)
    assert found[1:].max() > 1


def test_degrees_and_other_shapes_are_no_motion():
    with pytest.raises(ValueError, match="degrees"):
        framewise_displacement(np.tile([0, 0, 0, 2.0, 0, 0], (4, 1)))
    with pytest.raises(ValueError, match=r"n_volumes, 6.*got \(4, 7\)"):
        framewise_displacement(np.zeros((4, 7)))


@pytest.fixture(scope="session")
def alice(shared):
    """28 people who heard one chapter: names, and BOLD (28, 362, 6) of regions of 6 mm."""
    files = sorted((shared / "fmri/alice/alice_data_shared/6mm").glob("*-timecourses.txt"))
    if not files:
        pytest.skip("GIBLET_SHARED holds no fmri/alice")
    return [f.name[:3] for f in files], np.stack([np.loadtxt(f) for f in files])


def test_people_who_heard_one_story_agree(alice):
    from scipy.signal import detrend

    names, bold = alice
    r = isc(detrend(bold, axis=1))
    missing = np.isnan(r).any(axis=1)
    assert [name for name, gone in zip(names, missing, strict=True) if gone] == ["s33"]
    np.testing.assert_allclose(r[~missing], slow_isc(detrend(bold[~missing], axis=1)), rtol=1e-6)
    by_region = r[~missing].mean(axis=0)
    assert by_region.min() > 0.15
    assert 0.35 < by_region.max() < 0.45
    apart = np.stack([np.roll(one, 13 * i, axis=0) for i, one in enumerate(bold)])
    assert np.abs(np.nanmean(isc(detrend(apart, axis=1)), axis=0)).max() < 0.1


def test_what_people_share_explains_its_isc(alice):
    """Leave-one-out r of n people foretold from the reliable share (Spearman-Brown)."""
    bold = alice[1]
    share, n = explainable_variance(bold), len(bold) - 2  # s33 is constant, one is left out
    foretold = np.sqrt(share) * np.sqrt(n * share / (1 + (n - 1) * share))
    np.testing.assert_allclose(np.nanmean(isc(bold), axis=0), foretold, atol=0.02)


def test_ceilings_are_those_of_a_known_signal_and_of_the_published_formula():
    """Sahani & Linden (2003): signal power; Schoppe et al. (2016), eq. 8: CC_max."""
    rng, n, n_trs = np.random.default_rng(4), 4, 4000
    signal = rng.normal(size=(n_trs, 30))
    repeats = signal * np.linspace(0.3, 2, 30) + rng.normal(size=(n, n_trs, 30))
    share, mean = explainable_variance(repeats), repeats.mean(axis=0)
    perfect = [np.corrcoef(signal[:, v], mean[:, v])[0, 1] for v in range(30)]
    np.testing.assert_allclose(repeat_ceiling(share, n), perfect, atol=0.03)
    single = [
        np.mean([np.corrcoef(signal[:, v], r[:, v])[0, 1] for r in repeats]) for v in range(30)
    ]
    np.testing.assert_allclose(repeat_ceiling(share), single, atol=0.03)
    of_mean, of_one = mean.var(axis=0), repeats.var(axis=1).mean(axis=0)
    signal_power = (n * of_mean - of_one) / (n - 1)
    noise_power = of_one - signal_power
    published = 1 / np.sqrt(1 + noise_power / (n * signal_power))
    np.testing.assert_allclose(repeat_ceiling(share, n), published, atol=0.005)
    assert repeat_ceiling(np.array([-0.2, np.nan]), 3)[0] == 0
