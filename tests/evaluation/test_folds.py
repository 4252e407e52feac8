"""Read-outs of the film's features in folds, and tables of folds joined."""

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from giblet.alignment.dataset import FilmData, check_no_overlap, split_film, zscore_bold
from giblet.config.sections import DecodingConfig, SplitConfig
from giblet.errors import GibletError
from giblet.evaluation.feature_decoding import decode_features, feature_spaces
from giblet.evaluation.fold_maps import fold_table, with_fold_intervals
from giblet.evaluation.fold_scores import join_folds
from giblet.report.extras import Extras, brain_tables

N_TRS, T_R, GAP = 300, 1.5, 8
SPLITS = SplitConfig(folds=3, gap_seconds=GAP * T_R)
FOLDS = (1, 2, 3)


def parts(fold, runs=None):
    return split_film(N_TRS, T_R, SPLITS, True, runs, fold)


def test_folds_hold_out_every_tr_once_behind_a_gap():
    tested = [np.flatnonzero(parts(fold) == "test") for fold in FOLDS]
    assert np.concatenate(tested).tolist() == list(range(N_TRS))
    for fold, test in zip(FOLDS, tested, strict=True):
        part = parts(fold)
        others = np.flatnonzero((part == "train") | (part == "validation"))
        assert np.abs(others[:, None] - test).min() == GAP + 1
        check_no_overlap(FilmData({}, None, part, np.repeat("1", N_TRS), gap_trs=GAP))


def test_a_planted_leak_is_seen():
    part = parts(2)
    part[np.flatnonzero(part == "test")[0] - 1] = "train"  # of the gap
    with pytest.raises(GibletError, match="nearer than 8 TRs"):
        check_no_overlap(FilmData({}, None, part, np.repeat("1", N_TRS), gap_trs=GAP))


def test_whole_runs_are_tested_where_there_are_enough():
    runs = np.repeat(["c", "a", "b", "d"], [60, 100, 80, 60])
    of_run = [set(runs[parts(fold, runs) == "test"].tolist()) for fold in FOLDS]
    assert of_run == [{"c", "a"}, {"b"}, {"d"}]
    assert all((parts(1, runs) == "test")[np.isin(runs, ["c", "a"])])


@pytest.mark.parametrize("fold", [0, 4])
def test_a_fold_that_does_not_exist_is_refused(fold):
    with pytest.raises(GibletError, match=rf"fold {fold}: splits.folds is 3"):
        parts(fold)


def film_with_brains(rng, fold, n_subjects=2):
    """Two feature spaces: BOLD follows one 3 TRs late, and nothing the other."""
    shown, other = rng.standard_normal((2, N_TRS, 6))
    late = np.roll(shown, 3, axis=0)
    bold = late @ rng.standard_normal((6, 30)) + 2 * rng.standard_normal((n_subjects, N_TRS, 30))
    part, run = parts(fold), np.repeat("1", N_TRS)
    scaled = torch.from_numpy(zscore_bold(bold, run, part == "train")[0])
    names = tuple(f"sub-{n}" for n in range(n_subjects))
    return {"shown": shown, "other": other}, FilmData({}, scaled, part, run, names, GAP)


def test_features_that_brains_follow_are_identified(rng):
    spaces, data = film_with_brains(rng, 2)
    decoding = DecodingConfig(voxel_share=1.0, n_permutations=50)
    table = decode_features(spaces, data, T_R, decoding, seed=0)
    table = table.set_index(["path", "column", "metric"])["value"]
    assert table["features_shown", "brain", "identification_10way"] > 0.8
    assert table["features_shown", "brain", "feature_r"] > 0.4
    assert abs(table["features_other", "brain", "feature_r"]) < 0.15
    assert table["features_other", "brain", "identification_10way"] < 0.35
    assert abs(table["features_shown", "brain_shuffled", "feature_r"]) < 0.1


def test_bold_of_the_test_part_and_its_gap_teaches_nothing(rng):
    """A read-out reads 2 to 8 s after a TR: BOLD of the rest of the gap and of the test part may
    be anything, and what it decodes from other seconds stays the same."""
    from giblet.evaluation.decoding import lagged, lags_in_trs
    from giblet.stats.ridge import fit_ridge

    spaces, clean = film_with_brains(np.random.default_rng(1), 2)
    part, lags = clean.part, lags_in_trs(T_R, DecodingConfig())
    train, test = np.flatnonzero(part == "train"), np.flatnonzero(part == "test")
    after = GAP - max(lags)  # TRs of the gap before the test part that no training TR reads

    def decoded(train, first, last):
        bold = clean.bold[0].numpy().copy()
        bold[first : last + 1] = 1e3
        x = lagged(bold, clean.run, lags)
        return fit_ridge(x[train], spaces["shown"][train]).predict(np.ones((2, x.shape[1])))

    expected = decoded(train, 0, -1)
    np.testing.assert_allclose(decoded(train, test[0] - after, test[-1] + GAP), expected, atol=1e-6)
    leaky = np.append(train, test[0])
    assert np.abs(decoded(np.sort(leaky), *test[[0, -1]]) - expected).max() > 1e-2


def test_features_of_a_tr_are_the_mean_of_its_samples():
    words = xr.Dataset({"text": (("tr", "feature"), np.arange(12.0).reshape(4, 3))})
    np.testing.assert_allclose(feature_spaces(words, "text", T_R)["text"], words["text"])
    pictures = xr.Dataset(
        {
            "video": (("tr", "picture", "height", "width", "rgb"), np.zeros((4, 2, 1, 1, 3), "u1")),
            "features": (("tr", "moment", "feature"), np.arange(16.0).reshape(4, 2, 2)),
        }
    )
    own = feature_spaces(pictures, "video", T_R)["video"]
    np.testing.assert_allclose(own, pictures["features"].mean("moment"))


def test_spaces_of_a_modality_are_decoded_one_by_one():
    arrays = xr.Dataset({"word_model": (("tr", "moment", "word_model_column"), np.ones((5, 1, 3)))})
    arrays = arrays.assign_coords(word_model_space=("word_model_column", ["form", "x", "x"]))
    shapes = {k: v.shape for k, v in feature_spaces(arrays, "word_model", T_R).items()}
    assert shapes == {"word_model_form": (5, 1), "word_model_x": (5, 2)}
    assert feature_spaces(xr.Dataset(), "text", T_R) == {}


def table_of(brain, null, p):
    rows = [("brain", "code_accuracy", brain), ("brain_shuffled", "code_accuracy", null)]
    rows += [("brain", "identification_10way_p", p)]
    table = pd.DataFrame(rows, columns=["column", "metric", "value"])
    return table.assign(path="mel", low=0.0, high=1.0, n=10, n_failed=1)


def test_tables_of_folds_are_joined():
    tables = [table_of(0.4, 0.1, 0.01), table_of(0.6, 0.1, 0.2), table_of(0.5, np.nan, 0.5)]
    joined = join_folds(tables).set_index(["column", "metric"])
    assert ("brain", "identification_10way_p") not in joined.index
    brain = joined.loc["brain", "code_accuracy"]
    assert (brain["value"], brain["n"], brain["n_failed"], brain["n_folds"]) == (
        pytest.approx(0.5),
        30,
        3,
        3,
    )
    half = 4.3027 * 0.1 * np.sqrt(1 / 3 + 1 / 2)
    assert brain["high"] - brain["value"] == pytest.approx(half, rel=1e-4)
    assert brain["above_null"] == pytest.approx(0.4)  # of the two folds that have both
    assert joined.loc["brain_shuffled", "code_accuracy"]["n_folds"] == 2


def test_maps_have_intervals_over_folds():
    folds = np.array([[0.1, 0.2, np.nan], [0.3, 0.2, 0.1]])
    quality = xr.Dataset({"folds_r_mel": (("fold", "voxel"), folds)})
    maps = with_fold_intervals(quality)
    assert set(maps) == {"low_r_mel", "high_r_mel", "fold_r_mel"}
    assert np.isnan(maps["low_r_mel"].values).tolist() == [False, False, True]
    assert maps["low_r_mel"].values[1] == pytest.approx(0.2)
    (row,) = fold_table(maps).to_dict("records")
    assert (row["metric"], row["mean"], row["n_folds"]) == ("r_mel", pytest.approx(0.2), 2)
    assert (row["fold_1"], row["fold_2"]) == (pytest.approx(0.15), pytest.approx(0.25))
    assert fold_table(xr.Dataset()) is None


def test_the_page_shows_folds_with_intervals():
    table = join_folds([table_of(0.4, 0.1, 0.01), table_of(0.6, 0.1, 0.2)])
    (shown,) = brain_tables(Extras(folds=table), simulated=True)
    assert "2 folds (simulated brains)" in shown.caption
    (row,) = shown.rows
    assert row[1] == "brain"
    assert row[3].startswith("0.500 [")
    assert row[4].startswith("0.400 [")
