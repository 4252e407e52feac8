"""Simulated brains answer to what they should, when they should."""

from itertools import pairwise

import numpy as np
import pytest

from giblet.alignment.lag import adapt
from giblet.brain.bold import load_bids
from giblet.brain.regions import find_regions
from giblet.demo.bids_writer import simulate_bids
from giblet.demo.brains import (
    RunClock,
    blur,
    make_brain,
    own_topography,
    run_clocks,
    scan,
    simulate_scans,
)
from giblet.errors import GibletError
from giblet.io.arrays import load_arrays

RATE_HZ = 10.0


def correlations(prediction, bold):
    """r of every voxel with its best linear mix of the columns of ``prediction``."""
    design = np.column_stack([np.ones(len(prediction)), prediction])
    fitted = design @ np.linalg.lstsq(design, bold, rcond=None)[0]
    return fitted.std(axis=0) / bold.std(axis=0)


@pytest.fixture(scope="module")
def film():
    """Features of ten minutes: sound (3 columns), pictures (4) and words (5) at 10 Hz."""
    rng = np.random.default_rng(1)
    return [rng.standard_normal((6000, n)) for n in (3, 4, 5)]


@pytest.fixture(scope="module")
def simulated(film, tmp_path_factory):
    folder = tmp_path_factory.mktemp("brains") / "bids"
    simulate_bids(folder, *film, t_r=1.5, n_subjects=2, resolution_mm=16, noise=0.5)
    return folder


@pytest.mark.parametrize("region", [0, 1, 2])
def test_each_region_answers_to_its_own_features(simulated, film, region):
    arrays, truth = load_bids(simulated), load_arrays(simulated / "truth.nc")
    bold = arrays["bold"].to_numpy()[arrays["subject"] == "sub-01"]
    clocks = run_clocks(600, 1.5, 2, 6.0, 9.0)
    noticed = adapt(film[region], RATE_HZ)
    answer = np.concatenate([blur(noticed, RATE_HZ, clock, 1.5) for clock in clocks])
    r = correlations(answer, bold)
    own = truth["membership"].to_numpy()[region]
    assert own.sum() >= 3
    assert np.median(r[own]) > 0.6
    assert np.median(r[~own]) < 0.2


def test_the_truth_has_the_voxels_that_are_read_back(simulated):
    arrays, truth = load_bids(simulated), load_arrays(simulated / "truth.nc")
    for axis in "xyz":
        np.testing.assert_array_equal(arrays[axis], truth[axis])
    assert truth.attrs["simulated"] == 1
    assert truth["region"].to_numpy().tolist() == ["auditory", "visual", "language"]


def test_the_regions_are_a_label_image_too(simulated):
    arrays, truth = load_bids(simulated), load_arrays(simulated / "truth.nc")
    regions = find_regions(arrays, simulated)
    assert list(regions) == truth["region"].to_numpy().tolist()
    np.testing.assert_array_equal(np.stack(list(regions.values())), truth["membership"])


def test_the_response_peaks_five_seconds_after_a_sound_and_never_before_it():
    sound = np.zeros((600, 1))
    sound[199:201] = 1.0  # around 20.0 s
    times = np.arange(0, 60, 0.1)
    response = blur(sound, RATE_HZ, RunClock(0.0, 60.0, 0.0, times), t_r=1.5)[:, 0]
    assert times[response.argmax()] == pytest.approx(25.0, abs=0.11)
    assert np.abs(response[times < 19.8]).max() < 1e-12


def test_the_response_is_that_of_nilearns_glm():
    from nilearn.glm.first_level.hemodynamic_models import compute_regressor

    sound = np.zeros((600, 1))
    sound[100:130] = 1.0  # from 10 s on, for 3 s
    times = 0.75 + 1.5 * np.arange(38)
    response = blur(sound, RATE_HZ, RunClock(0.0, 60.0, 0.0, times), t_r=1.5)[:, 0]
    event = np.array([[10.0], [3.0], [1.0]])
    expected = compute_regressor(event, "spm", times, oversampling=50)[0][:, 0]
    np.testing.assert_allclose(response, expected, atol=0.01 * expected.max())


def test_lead_in_and_second_run_on_the_films_clock(tmp_path):
    """A sound at film second 80 is heard in run 2, 5 s later on the clock that the reader gives."""
    rng = np.random.default_rng(2)
    others = [rng.standard_normal((1200, 2)) for _ in range(2)]
    sound = np.zeros((1200, 1))
    sound[795:805] = 1.0
    simulate_bids(
        tmp_path / "bids", sound, *others, t_r=1.5, n_subjects=1, resolution_mm=16, noise=0.1
    )
    arrays, truth = load_bids(tmp_path / "bids"), load_arrays(tmp_path / "bids" / "truth.nc")
    auditory = arrays["bold"].to_numpy()[:, truth["membership"].to_numpy()[0]]
    loudest = np.sqrt((auditory**2).mean(axis=1)).argmax()
    assert float(arrays["film_time"][loudest]) == pytest.approx(85.0, abs=0.75)


def test_run_clocks_share_out_the_whole_film():
    clocks = run_clocks(100.9, t_r=2.0, n_runs=3, lead_in=6.0, lead_out=9.0)
    assert clocks[0].film_start == 0
    assert sum(clock.duration for clock in clocks) == 100
    for before, after in pairwise(clocks):
        assert after.film_start == before.film_start + before.duration
    for clock in clocks:
        scan_end = clock.scan_times[-1] + 1.0
        assert clock.lead_in + clock.duration + 9 <= scan_end < clock.lead_in + clock.duration + 11


def test_noise_is_what_the_ceiling_says(rng):
    brain = make_brain(16, noise=1.1)
    response = rng.standard_normal((20_000, 1)) * brain.strength.max()
    bold, _ = scan(rng, response, 1.1, drift=0.0, artefact=0.0)
    r = np.corrcoef(response[:, 0], bold[:, 0])[0, 1]
    assert r == pytest.approx(brain.noise_ceiling.max(), abs=0.02)
    assert 0.55 < make_brain(8, noise=1.1).noise_ceiling.max() < 0.7


def test_noise_is_ar1(rng):
    bold, _ = scan(rng, np.zeros((20_000, 2)), 1.0, drift=0.0, artefact=0.0)
    unit = (bold - bold.mean(axis=0)) / bold.std(axis=0)
    for lag, expected in [(1, 0.4), (2, 0.16), (3, 0.064)]:
        np.testing.assert_allclose((unit[lag:] * unit[:-lag]).mean(axis=0), expected, atol=0.03)
    assert bold.std() == pytest.approx(10.0, rel=0.05)  # 1 % of the baseline


def test_the_same_seed_gives_the_same_bytes(film, tmp_path):
    settings = {"t_r": 1.5, "n_subjects": 1, "resolution_mm": 16}
    for name, more in [("a", {}), ("b", {"topography": 0.0}), ("c", {"seed": 1})]:
        simulate_bids(tmp_path / name, *film, **settings, **more)
    files = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*")]
    files = [file for file in files if (tmp_path / "a" / file).is_file()]
    assert len(files) == 2 * 5 + 4
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file
    bold = next(file for file in files if file.name.endswith("_bold.nii.gz"))
    assert (tmp_path / "a" / bold).read_bytes() != (tmp_path / "c" / bold).read_bytes()


def test_topographies_are_of_neighbours_and_keep_the_variance(rng):
    places = make_brain(16, noise=1.1).places
    mixing = own_topography(rng, places, 0.7, radius_mm=20)
    apart = np.linalg.norm(places[:, None] - places, axis=2)
    np.testing.assert_allclose(np.diagonal(mixing), np.sqrt(0.3))
    assert (mixing[(apart > 0) & (apart <= 20)] != 0).all()
    assert (mixing[apart > 20] == 0).all()
    np.testing.assert_allclose((mixing**2).sum(axis=0), 1)


def test_people_with_own_topographies_share_less_in_a_voxel(film):
    """What topography mixes, one linear map for each person takes back: no response is lost."""
    brain, clocks = make_brain(8, noise=0.0), run_clocks(600, 1.5, 1, 6.0, 9.0)
    own, r = brain.membership[0], {}
    for topography in (0.0, 0.8):
        scans = simulate_scans(film, RATE_HZ, 1.5, clocks, brain, 2, 0, topography)
        one, other = (bold[:, own] for _subject, _run, bold, _motion in scans)
        at = [np.corrcoef(a, b)[0, 1] for a, b in zip(one.T, other.T, strict=True)]
        r[topography] = np.median(at), np.median(correlations(other, one))
    assert r[0.0][0] > 3 * r[0.8][0]
    assert r[0.8][1] > 0.9


def test_only_simulated_brains_are_replaced(film, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("precious")
    settings = {"t_r": 1.5, "n_subjects": 1, "resolution_mm": 16}
    with pytest.raises(GibletError, match="holds other files"):
        simulate_bids(mine, *film, **settings)
    simulate_bids(tmp_path / "new", *film, **settings)
    simulate_bids(tmp_path / "new", *film, **settings)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "new"]


def test_features_that_never_change_are_refused(film, tmp_path):
    with pytest.raises(ValueError, match="never change"):
        simulate_bids(tmp_path / "bids", film[0], np.ones((6000, 2)), film[2], t_r=1.5)
    assert not (tmp_path / "bids").exists()
