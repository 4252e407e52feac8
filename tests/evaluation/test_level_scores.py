"""The level that SIMULATED brains answer to is the one that the profile finds."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from scipy.ndimage import gaussian_filter1d

from giblet.alignment.dataset import FilmData
from giblet.config.sections import DecodingConfig
from giblet.errors import GibletError
from giblet.evaluation.level_features import level_ceilings
from giblet.evaluation.level_scores import COLUMNS, level_profile
from giblet.io.tables import split_values
from giblet.stats.cross_validation import explained, purged_folds
from giblet.stats.encoding_maps import ClockGroup, Fold
from giblet.stats.level_encoding import (
    LEVEL_SHARES,
    RELIABLE,
    encode_levels,
    peak_levels,
    shifted_gain,
)
from giblet.stats.pearson import correlation
from giblet.stats.ridge import band_columns, banded_ridge, columns_ridge

N_TRS, N_SUBJECTS, N_VOXELS, N_LEVELS, WIDTH = 240, 4, 12, 8, 6
PARTS = np.repeat(["train", "gap", "test"], [160, 20, 60])
RESPONSE = np.exp(-0.5 * ((np.arange(12) - 3.5) / 1.5) ** 2)  # of BOLD, by TR of 1.5 s
SPACES = ("codebook", "cumulated", "layer")
T_R = 1.5


def levels_of(space, rng):
    """(space, level) → (n_trs, n_features); each codebook has .8 of the size of the one before,
    cumulated levels are their sums, a layer is .8 of the layer before, turned, and .6 new."""
    new = rng.standard_normal((N_LEVELS, N_TRS, WIDTH))
    sizes = 0.8 ** np.arange(N_LEVELS)[:, None, None]
    if space == "layer":
        values = [new[0]]
        for one in new[1:]:
            turn = np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))[0]
            values.append(0.8 * values[-1] @ turn + 0.6 * one)
    else:
        values = sizes * new if space == "codebook" else np.cumsum(sizes * new, axis=0)
    return {(space, str(n)): one for n, one in enumerate(values, start=1)}


def draw(space, planted, seed, noise=2.0, n_voxels=N_VOXELS):
    """Levels, the same blurred, and simulated BOLD that answers to level ``planted``, or noise."""
    rng = np.random.default_rng(seed)
    levels = levels_of(space, rng)
    bands = {key: blurred(values) for key, values in levels.items()}
    series = rng.standard_normal((N_SUBJECTS, N_TRS, n_voxels))
    series = noise * standard(gaussian_filter1d(series, 1.0, axis=1))
    if planted is not None:
        weights = rng.standard_normal((N_SUBJECTS, WIDTH, n_voxels))
        series += standard(bands[space, str(planted)] @ weights)
    bold = torch.from_numpy(standard(series).astype(np.float32))
    data = FilmData({}, bold, PARTS, np.full(N_TRS, "1"), tuple("abcd"), 20)
    return levels, [ClockGroup(list(range(N_SUBJECTS)), bands)], data


def blurred(values):
    columns = [np.convolve(one, RESPONSE / RESPONSE.sum())[: len(one)] for one in values.T]
    return np.stack(columns, axis=1).astype(np.float32)


def standard(series):
    return (series - series.mean(axis=1, keepdims=True)) / series.std(axis=1, keepdims=True)


def profile(space, planted, seed, regions=None, **options):
    levels, groups, data = draw(space, planted, seed, **options)
    ceiling = np.full(data.bold.shape[::2], 5**-0.5)
    decoding = DecodingConfig(voxel_share=1.0, n_permutations=50)
    return level_profile(groups, levels, data, regions or {}, ceiling, T_R, decoding, seed)


def hits(space, score, n_draws):
    """Whether the level with the largest score is the planted one, or a neighbour, by draw."""
    distances = []
    for seed in range(n_draws):
        planted = 1 + seed % N_LEVELS
        _levels, (group,), data = draw(space, planted, seed)
        bands, members = group.bands, {"all": np.ones(N_VOXELS, dtype=bool)}
        if score == "r":  # spaces of one level have no unique variance, which takes most time
            bands = {(level, level): band for (_space, level), band in bands.items()}
        groups = [ClockGroup(group.subjects, bands)]
        scores = {
            int(level): (r if score == "r" else unique).by_subject.mean()
            for (_space, level), r, unique in encode_levels(
                groups, data.bold.numpy(), a_fold(), members
            )
        }
        distances.append(abs(max(scores, key=scores.get) - planted))
    return np.array(distances) <= 1


def a_fold():
    train, test = np.flatnonzero(PARTS == "train"), np.flatnonzero(PARTS == "test")
    return Fold(train, test, purged_folds(np.zeros(N_TRS), 22, among=train))


@pytest.mark.slow
@pytest.mark.parametrize("space", SPACES)
def test_the_planted_level_has_the_largest_r_in_100_draws(space):
    assert hits(space, "r", 100).mean() >= 0.95


@pytest.mark.slow
def test_noise_is_at_chance():
    noise = pd.concat(profile("codebook", None, seed) for seed in range(40))
    assert abs(noise["r"].mean()) < 0.01
    for score in ("r", "identification_2way"):
        assert (noise[f"{score}_p"] < 0.05).mean() == pytest.approx(0.05, abs=0.03)
    assert noise["identification_10way"].mean() == pytest.approx(0.1, abs=0.02)
    assert noise["identification_2way"].mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.slow
def test_the_planted_codebook_has_the_largest_unique_variance():
    assert hits("codebook", "unique", 40).mean() >= 0.95


@pytest.mark.parametrize(("space", "planted"), [("codebook", 3), ("cumulated", 2)])
def test_the_planted_level_is_found(space, planted):
    scores = profile(space, planted, seed=1, noise=1.0)
    assert list(scores) == COLUMNS
    assert abs(int(peak_levels(scores)["level"].item()) - planted) <= 1
    row = scores[scores["level"] == str(planted)].iloc[0]
    assert row["r_low"] < row["r"] < row["r_high"]
    assert row["r_null_high"] < row["r"]
    assert row["r_p"] == pytest.approx(1 / 60)
    assert row["ceiling_share"] == pytest.approx(row["r"] * 5**0.5)
    if space == "codebook":
        assert peak_levels(scores, "unique")["level"].item() == str(planted)
        assert row["identification_10way"] > 0.3 > scores["identification_10way"].median()


def test_what_differs_between_runs_alone_predicts_nothing():
    """Features of one run lie 50 deviations higher; BOLD has the same mean in every run."""
    levels, groups, data = draw("codebook", 3, seed=1, noise=1.0)
    run = np.repeat(["1", "2", "1"], [80, 80, 80])
    moved = {key: band + 50 * (run == "2")[:, None] for key, band in groups[0].bands.items()}
    data = replace(data, run=run)
    bold = data.bold.numpy()
    for one in ("1", "2"):
        here, seen = run == one, (run == one) & (PARTS == "train")
        bold[:, here] -= bold[:, seen].mean(axis=1, keepdims=True)
    ceiling = np.full(data.bold.shape[::2], 5**-0.5)
    decoding = DecodingConfig(voxel_share=1.0, n_permutations=50)
    found = [
        level_profile([ClockGroup(groups[0].subjects, bands)], levels, data, {}, ceiling, T_R,
                      decoding)
        for bands in (groups[0].bands, moved)
    ]  # fmt: skip
    for score in ("r", "unique"):
        np.testing.assert_allclose(found[1][score], found[0][score], atol=2e-3)
    assert peak_levels(found[1])["level"].item() == "3"


def test_regions_have_their_own_scores():
    answers = np.arange(2 * N_VOXELS) < N_VOXELS
    levels, groups, data = draw("codebook", 3, seed=0, n_voxels=2 * N_VOXELS)
    data.bold[..., ~answers] = draw("codebook", None, 1, n_voxels=N_VOXELS)[2].bold
    regions = {"answers": answers, "noise": ~answers, "one": np.arange(2 * N_VOXELS) == 0}
    ceiling = np.where(answers, 0.5, np.nan) * np.ones((N_SUBJECTS, 1))
    decoding = DecodingConfig(voxel_share=0.25, n_permutations=50)
    scores = level_profile(groups, levels, data, regions | {"none": ~answers & answers}, ceiling,
                           T_R, decoding)  # fmt: skip
    assert scores["region"].unique().tolist() == [RELIABLE, *regions]
    of = scores[scores["level"] == "3"].set_index("region")
    assert of["n_voxels"].tolist() == [6, 12, 12, 1]
    assert of.loc["answers", "r"] > 0.3 > abs(of.loc["noise", "r"]) + 0.1
    assert np.isnan(of.loc["noise", ["ceiling", "ceiling_share"]].astype(float)).all()
    assert np.isnan(of.loc["one", "identification_2way"])
    assert of.loc["answers", "ceiling"] == 0.5
    for score in ("r", "unique", "identification_2way"):
        single = split_values(of.loc["answers", f"{score}_by_subject"])
        assert len(single) == N_SUBJECTS
        assert np.mean(single) == pytest.approx(of.loc["answers", score], rel=1e-4)


def test_r_and_unique_variance_are_those_of_ridge():
    _levels, groups, data = draw("cumulated", 4, seed=3)
    bold, fold = data.bold.numpy(), a_fold()
    bands = {key: band for key, band in groups[0].bands.items() if key[1] in "128"}
    alone = {("one", "x"): bands["cumulated", "1"]}
    groups = [ClockGroup([0, 1, 2], bands | alone), ClockGroup([3], bands | alone)]
    members = {"all": np.ones(N_VOXELS, bool), "half": np.arange(N_VOXELS) < 6}
    scored = {k: scores for k, *scores in encode_levels(groups, bold, fold, members)}
    assert scored["one", "x"][1] is None  # its space has no other level
    train, test, inner = fold.train, fold.test, fold.inner
    r, unique = scored["cumulated", "2"]
    rest = np.hstack([bands["cumulated", name] for name in "18"])
    rest = band_columns(rest, train)  # two bands of one width: their mean kernel
    own = band_columns(bands["cumulated", "2"], train)
    mixtures = np.hstack([LEVEL_SHARES, 1 - LEVEL_SHARES])
    for s, one in enumerate(bold):
        predicted = banded_ridge([bands["cumulated", "2"]], one, train, test, inner)
        expected = correlation(predicted, one[test])
        np.testing.assert_allclose(r.by_subject[:, s], [expected.mean(), expected[:6].mean()],
                                   atol=1e-4)  # fmt: skip
        both = columns_ridge([own, rest], one, train, test, inner, mixtures=mixtures)
        without = columns_ridge([rest], one, train, test, inner)
        gained = explained(both, one[test]) - explained(without, one[test])
        np.testing.assert_allclose(unique.by_subject[0, s], gained.mean(), atol=1e-3)
    np.testing.assert_allclose(unique.shifted[0, 0], unique.by_subject[0].mean(), atol=1e-9)


def test_what_a_level_adds_is_shifted(rng):
    bold, both, without = rng.standard_normal((3, 30, 4))
    bold[:, 3] = np.nan
    gained = shifted_gain(bold, both, without)
    for k in (0, 1, 17):
        moved = without + np.roll(both - without, k, axis=0)
        expected = (explained(moved, bold) - explained(without, bold))[:3]
        np.testing.assert_allclose(gained[k, :3], expected, atol=1e-9)
    assert np.isnan(gained[:, 3]).all()


def test_ceilings_are_of_repeats_where_there_are_any():
    both, share = ("subject", "voxel"), np.array([0.25, -0.1, 0.04], dtype=np.float32)
    maps = xr.Dataset({"explainable_variance": ("voxel", share)}, {"subject": ["a", "b"]})
    np.testing.assert_allclose(level_ceilings(maps, np.array([0, 2]), False), [[0.5, 0.2]] * 2)
    repeated = {"ceiling_single": (both, np.full((2, 3), 0.3)),
                "ceiling_repeats": (both, np.full((2, 3), 0.6))}  # fmt: skip
    maps = maps.assign(repeated)
    assert level_ceilings(maps, np.array([1]), True).tolist() == [[0.6], [0.6]]
    assert level_ceilings(maps, np.array([1]), False).tolist() == [[0.3], [0.3]]
    unknown = maps[["ceiling_single"]].rename(ceiling_single="r_audio")
    assert np.isnan(level_ceilings(unknown, np.array([1]), False)).all()


def test_what_cannot_be_scored_is_one_line():
    levels, groups, data = draw("codebook", 1, seed=0)
    few = FilmData({}, data.bold, np.where(np.arange(N_TRS) < 130, "gap", PARTS), data.run)
    ceiling, decoding = np.ones((N_SUBJECTS, N_VOXELS)), DecodingConfig(voxel_share=1.0)
    with pytest.raises(GibletError, match="too few training TRs to choose penalties"):
        level_profile(groups, levels, few, {}, ceiling, T_R, decoding)
    with pytest.raises(GibletError, match="needs BOLD"):
        level_profile(groups, levels, FilmData({}, None, PARTS, data.run), {}, ceiling, T_R,
                      decoding)  # fmt: skip
