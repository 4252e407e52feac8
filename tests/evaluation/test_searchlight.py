"""Where the sound is. Oracles: a planted region, noise, the scores of the whole decoder."""

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter

from giblet.alignment.dataset import FilmData
from giblet.audio.metrics.identify import identification, identification_p, identification_shares
from giblet.config.regions import SearchlightConfig
from giblet.config.sections import DecodingConfig, ScanConfig
from giblet.errors import GibletError
from giblet.evaluation.searchlight import (
    COLUMNS,
    PARCEL,
    REGION,
    SPHERE,
    Places,
    _Shifts,
    find_places,
    leading_components,
    searchlight,
    searchlight_table,
    spheres,
)
from giblet.io.tables import split_values

T_R, N_TRS, N_CODE = 2.0, 200, 6
PART = np.full(N_TRS, "gap", dtype="<U10")
PART[:110], PART[126:] = "train", "test"
DECODING = DecodingConfig(
    first_lag_seconds=2, last_lag_seconds=2, clip_seconds=4, n_permutations=199
)
CONFIG = SearchlightConfig(n_components=N_CODE, fewest_voxels=2)
REGIONS = {"hears": np.arange(30) < 10, "sees": np.arange(30) >= 20}


def film(rng, signal=1.5, n_subjects=2, n_voxels=30):
    """Codes, and BOLD of which the first ten voxels follow them a TR later."""
    code = rng.standard_normal((N_TRS, N_CODE)).astype(np.float32)
    bold = rng.standard_normal((n_subjects, N_TRS, n_voxels)).astype(np.float32)
    bold[..., :10] += signal * np.roll(code, 1, axis=0) @ rng.standard_normal((N_CODE, 10))
    names = tuple(f"sub-{n}" for n in range(n_subjects))
    data = FilmData({}, torch.from_numpy(bold), PART, np.repeat("1", N_TRS), names)
    return code, data


def places_of(regions):
    return [Places(REGION, {n: np.flatnonzero(v) for n, v in regions.items()}, {})]


def rows_of(code, data, places, config=CONFIG, seed=0):
    options = (T_R, DECODING, config, ScanConfig(), seed)
    rows = searchlight_table("mel", searchlight(code, data, places, *options))
    assert list(rows.columns) == COLUMNS
    return rows


def test_the_region_that_hears_is_found_and_no_other(rng):
    rows = rows_of(*film(rng), places_of(REGIONS)).set_index(["column", "place"])
    for column in ("brain", "brain_group"):
        hears, sees = rows.loc[column, "hears"], rows.loc[column, "sees"]
        assert hears["value"] > 0.7
        assert hears["p_max"] == pytest.approx(1 / 148)  # 37 clips, 2 starts, 2 directions
        assert hears["low"] <= hears["value"] <= hears["high"]
        assert sees["value"] < 0.25
        assert sees["p_max"] > 0.05
        assert sees["low"] < sees["value"] < sees["high"]
        assert (hears["n_places"], hears["n_clips"], hears["n_voxels"]) == (2, 37, 10)
    single = split_values(rows.loc["brain", "sees"]["by_subject"])
    assert len(single) == 2
    assert np.mean(single) == pytest.approx(rows.loc["brain", "sees"]["value"], rel=1e-4)
    assert single[0] != single[1]
    assert split_values(rows.loc["brain_group", "hears"]["by_subject"]) == []


def test_scores_and_p_are_those_of_the_identification_of_the_decoded(rng):
    """By scikit-learn's PCA and ridge; p of white noise by the permutations of `identify`."""
    from sklearn.decomposition import PCA

    from giblet.audio.metrics.identify import join_clips
    from giblet.stats.ridge import fit_ridge

    code, data = film(rng, signal=0.2, n_subjects=1)
    rows = rows_of(code, data, places_of({"hears": REGIONS["hears"]}))
    train, test = data.where("train"), data.where("test")
    parts = PCA(n_components=N_CODE).fit(code[train]).transform(code)
    np.testing.assert_allclose(
        np.abs(leading_components(code, train, N_CODE)), np.abs(parts), atol=1e-4
    )
    bold = data.bold.numpy()[0, :, :10]
    later = np.concatenate([bold[1:], np.zeros((1, 10))])
    guess = fit_ridge(later[train], parts[train]).predict(later[test])
    stretch = [np.arange(len(test))]
    clips = [join_clips(x, stretch, 2) for x in (guess, parts[test])]
    (row,) = rows.to_dict("records")
    assert row["value"] == pytest.approx(identification(*clips, 10).mean(), abs=1e-3)
    p = identification_p([clips[0]], clips[1], 10, 2000, seed=1)
    assert row["p"] == pytest.approx(p, abs=0.08)
    assert row["p_max"] == pytest.approx(row["p"], abs=0.02)  # one place: nothing to correct


def slow_noise(rng, kind, shape):
    """Series (N_TRS, *shape) of noise, z-scored: white, AR(1) of .9, or smooth over 3 TRs."""
    series = rng.standard_normal((N_TRS + 100, *shape))
    if kind == "AR(1)":
        series = lfilter([1], [1, -0.9], series, axis=0)
    elif kind == "smooth":
        series = gaussian_filter1d(series, 3, axis=0)
    series = series[100:]
    return ((series - series.mean(axis=0)) / series.std(axis=0)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["white", "AR(1)", "smooth"])
def test_of_noise_a_region_is_found_as_often_as_the_level_says(kind):
    """Three regions of noise: family-wise errors at .05, in 600 draws (standard error .009).

    Film and brain are as slow as each other. Permutations of single clips gave .235 there.
    """
    smallest = []
    regions = {str(n): np.arange(12) // 4 == n for n in range(3)}
    for draw in range(600):
        rng = np.random.default_rng([6, draw])
        bold = torch.from_numpy(slow_noise(rng, kind, (12,))[None])
        data = FilmData({}, bold, PART, np.repeat("1", N_TRS), ("sub-0",))
        rows = rows_of(slow_noise(rng, kind, (6,)), data, places_of(regions), seed=draw)
        smallest.append(rows["p_max"].min())
    assert np.mean(np.array(smallest) <= 0.05) == pytest.approx(0.05, abs=0.025)


def test_nulls_are_the_scores_of_shifted_trs(rng):
    """Every shift once, by hand: roll the decoded TRs, forwards or backwards, and score again."""
    truth = rng.standard_normal((12, 3))
    decoded = rng.standard_normal((24, 3))

    def shares(order):
        return identification_shares(decoded[order].reshape(12, 6)[:, :3], truth, 10)

    own, nulls = _Shifts.of(12, clip_trs=2, n_most=999, seed=0).place(shares, 24)
    by_hand = [
        np.mean(shares(np.roll(np.arange(24)[::way], n)).diagonal())
        for way in (1, -1)
        for n in range(24)
    ]
    assert own.mean() == pytest.approx(by_hand[0])
    np.testing.assert_allclose(np.sort(nulls), np.sort(by_hand[1:]))
    few = _Shifts.of(12, clip_trs=2, n_most=20, seed=0)
    assert (few.starts.tolist(), len(few.chosen)) == ([0], 20)


def test_places_are_regions_and_spheres_or_parcels(rng):
    axis = np.arange(30) * 3.0
    voxels = xr.Dataset(coords={a: ("voxel", axis if a == "x" else 0 * axis) for a in "xyz"})
    regions = REGIONS | {"one": np.arange(30) == 4}
    found = {one.kind: one for one in find_places(voxels, regions, CONFIG)}
    assert [*found] == [REGION, SPHERE]
    assert [*found[REGION].members] == ["hears", "sees"]  # one voxel is too few
    assert found[SPHERE].members["4"].tolist() == [1, 2, 3, 4, 5, 6, 7]  # 9 mm of 10
    assert found[SPHERE].centres["4"] == 4
    for ball, centre in zip(spheres(np.column_stack([axis] * 3), 8.0), axis, strict=True):
        assert (np.abs(axis[ball] - centre) * np.sqrt(3) <= 8).all()
    parcels = xr.Dataset(coords={"parcel": ("voxel", ["V1", "A1"])})
    (both,) = find_places(parcels, {}, CONFIG)
    assert both.kind == PARCEL
    assert {n: v.tolist() for n, v in both.members.items()} == {"V1": [0], "A1": [1]}
    with pytest.raises(GibletError, match="searchlight: no region, and no sphere of 10 mm"):
        find_places(xr.Dataset(), {}, CONFIG)


def test_spheres_around_the_voxels_that_follow_are_found(rng):
    code, data = film(rng)
    axis = np.arange(30) * 4.0
    voxels = xr.Dataset(coords={a: ("voxel", axis if a == "x" else 0 * axis) for a in "xyz"})
    rows = rows_of(code, data, find_places(voxels, {}, CONFIG))
    brain = rows[rows["column"] == "brain"].set_index("voxel")
    assert (brain["p_max"].loc[2:7] < 0.05).all()
    assert (brain["p_max"].loc[13:] > 0.05).all()


def test_a_place_without_signal_is_at_chance_and_not_tested(rng):
    code, data = film(rng)
    data.bold[..., 20:] = 0.0
    rows = rows_of(code, data, places_of(REGIONS)).set_index(["column", "place"])
    sees = rows.loc["brain", "sees"]
    assert sees["value"] == pytest.approx(0.1)
    assert np.isnan(sees["p"])
    assert np.isnan(sees["p_max"])
    assert rows.loc["brain", "hears"]["p_max"] < 0.05


def test_bad_input_is_one_line(rng):
    code, data = film(rng)
    options = (T_R, DecodingConfig(clip_seconds=20), CONFIG, ScanConfig(), 0)
    with pytest.raises(GibletError, match=r"the test part has 7 clips of 20 s, .* needs 10"):
        searchlight(code, data, places_of(REGIONS), *options)
    without = FilmData({}, None, PART, data.run)
    with pytest.raises(GibletError, match="searchlight needs a scan"):
        searchlight(code, without, places_of(REGIONS), *options)
