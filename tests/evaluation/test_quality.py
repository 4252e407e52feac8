"""Maps show which parcel answers to what; noise shows nothing."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import gamma
from sklearn.metrics import roc_auc_score

from giblet.alignment.lag import Lag, lag_arrays
from giblet.evaluation.fold_maps import fold_table
from giblet.evaluation.quality import _lag_voxels, brain_quality, summary_table
from giblet.film.text import NO_WORDS
from giblet.io.arrays import open_arrays, save_arrays
from giblet.stats.intersubject import isc

T_R = 2.0


def scans_of(bold, n_runs=1):
    """(n_subjects, n_trs, n_parcels) as the loaders give it."""
    n_subjects, n_trs, n_parcels = bold.shape
    names = [f"p{n}" for n in range(n_parcels)]
    runs = [f"run-{1 + n_runs * tr // n_trs}" for tr in range(n_trs)]
    return xr.Dataset(
        {"bold": (("volume", "parcel"), bold.reshape(-1, n_parcels).astype(np.float32))},
        coords={
            "parcel": names,
            "subject": ("volume", np.repeat([f"sub-{s}" for s in range(n_subjects)], n_trs)),
            "run": ("volume", runs * n_subjects),
            "film_time": ("volume", np.tile((np.arange(n_trs) + 0.5) * T_R, n_subjects)),
            "in_film": ("volume", np.ones(n_subjects * n_trs, dtype=bool)),
        },
        attrs={"t_r": T_R, "warnings": [], "source": "SIMULATED"},
    )


def of_volumes(features, n_subjects):
    return xr.Dataset({"regressors": (("volume", "feature"), np.tile(features, (n_subjects, 1)))})


@pytest.fixture(scope="module")
def smooth():
    """Maker of noise as smooth as BOLD, (n_trs, n): ``smooth(n, seed)``."""

    def make(n, seed, n_trs=400):
        rng = np.random.default_rng(seed)
        kernel = np.hanning(7)[:, None]
        white = rng.standard_normal((n_trs + 6, n))
        return np.stack([np.convolve(w, kernel[:, 0], "valid") for w in white.T], axis=1)

    return make


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_bold_without_signal_is_one_warning(smooth):
    bold = np.stack([smooth(4, s) for s in range(2)])
    bold[0, 200:] = 7.0  # constant in one run of one subject
    line = "no voxel or parcel varies in every run and subject: nothing has a score"
    asked = {"n_permutations": 10, "n_iter": 2, "n_shifts": 10}
    for scans, expected in ((scans_of(bold, 2), True), (scans_of(bold, 1), False)):
        found = brain_quality(scans, {"audio": of_volumes(smooth(2, 5), 2)}, T_R, **asked)
        assert (line in found.attrs["warnings"]) == expected


def test_planted_maps_come_back(smooth):
    """Half the parcels answer to sound, a quarter to words, the others to nothing."""
    sound, words = smooth(3, 0), smooth(4, 1)
    rng = np.random.default_rng(2)
    shared = np.concatenate(
        [sound @ rng.normal(size=(3, 20)), words @ rng.normal(size=(4, 10)), np.zeros((400, 10))], 1
    )
    bold = np.stack([shared / 2 + smooth(40, 10 + s) for s in range(4)])
    modalities = {"audio": of_volumes(sound, 4), "text": of_volumes(words, 4)}
    found = brain_quality(scans_of(bold), modalities, T_R, n_permutations=60, n_iter=4)
    answers = {"audio": np.arange(40) < 20, "text": (np.arange(40) >= 20) & (np.arange(40) < 30)}
    for name, truth in answers.items():
        assert roc_auc_score(truth, found[f"r_{name}"].mean("subject")) > 0.95
    either = answers["audio"] | answers["text"]
    assert roc_auc_score(either, found["r_all"].mean("subject")) > 0.95
    assert roc_auc_score(either, found["isc"].mean("subject")) > 0.95
    assert (found["isc_q"] < 0.05).values[either].mean() > 0.9
    assert (found["isc_q"] < 0.05).values[~either].mean() < 0.3
    assert (found["ceiling_upper"] >= found["ceiling_lower"]).all()
    assert found["parcel"].values[0] == "p0"
    table = summary_table(found).set_index(["metric", "subject"])
    assert table.loc[("isc", "sub-1"), "mean"] == pytest.approx(float(found["isc"][1].mean()))
    assert table.loc[("explainable_variance", "all"), "n"] == 40


def test_how_many_words_are_a_band_of_their_own(smooth):
    rate, words = smooth(1, 40)[:, 0], smooth(9, 41)
    bold = np.stack([rate[:, None] + smooth(4, 42 + s) for s in range(2)])
    text = of_volumes(words, 2).assign(n_words=("volume", np.tile(rate, 2)))
    found = brain_quality(scans_of(bold), {"text": text}, T_R, n_permutations=2, n_iter=4)
    assert float(found["r_n_words"].mean()) > 0.5
    assert abs(float(found["r_text"].mean())) < 0.2
    assert float(found["r_all"].mean()) > 0.5


def test_feature_spaces_of_a_modality_are_bands_of_their_own(smooth):
    """Each parcel answers to one space of the score, which is what it then has alone."""
    values = smooth(5, 60)
    bold = np.stack([values[:, [0, 4]] + smooth(2, 61 + s) for s in range(2)])
    score = of_volumes(values, 2).assign_coords(space=("feature", list("aabbb")))
    found = brain_quality(scans_of(bold), {"score": score}, T_R, n_permutations=2, n_iter=4)
    assert "r_score" not in found
    assert found["r_score_a"].mean("subject").values.tolist() == pytest.approx([0.7, 0], abs=0.25)
    unique = [found[f"unique_score_{space}"].mean("subject").values for space in "ab"]
    assert unique[0][0] > 0.3 > 3 * abs(unique[0][1])
    assert unique[1][1] > 0.3 > 3 * abs(unique[1][0])


def test_a_space_that_never_varies_is_left_out_with_a_warning(smooth):
    """As the novelty of 48 s of a score where each sound lasts 24 s."""
    values, empty = smooth(2, 60), np.zeros((400, 1))
    bold = np.stack([values + smooth(2, 61 + s) for s in range(2)])
    asked = {"n_permutations": 2, "n_iter": 4, "n_shifts": 10}

    def found(features, spaces):
        score = of_volumes(features, 2).assign_coords(space=("feature", list(spaces)))
        return brain_quality(scans_of(bold), {"score": score}, T_R, **asked)

    with_empty, plain = found(np.hstack([values, empty]), "abc"), found(values, "ab")
    line = "score_c does not vary within any run: left out of ridge"
    assert with_empty.attrs["warnings"] == [*plain.attrs["warnings"], line]
    assert not any("score_c" in str(name) for name in with_empty)
    for name in ("r_all", "unique_score_a"):
        np.testing.assert_array_equal(with_empty[name], plain[name])
    assert "r_all" not in found(np.hstack([empty, empty]), "ab")


def test_what_only_differs_between_runs_is_no_regressor(smooth):
    """As BOLD is z-scored by run; R² would suffer from the offset, and penalties with it."""
    sound, words = smooth(2, 0), smooth(2, 1)
    bold = np.stack([sound @ np.ones((2, 4)) + smooth(4, 10 + s) for s in range(2)])
    offset = np.repeat([0.0, 5.0], 200)[:, None]
    asked = {"n_permutations": 10, "n_iter": 4, "n_shifts": 10}
    plain, moved = (
        brain_quality(
            scans_of(bold, 2),
            {"audio": of_volumes(one, 2), "text": of_volumes(words, 2)},
            T_R,
            **asked,
        )
        for one in (sound, sound + offset)
    )
    for name in ("r_audio", "r2_all", "unique_audio", "unique_text"):
        np.testing.assert_allclose(moved[name], plain[name], atol=1e-3)


def test_noise_scores_nothing(smooth):
    bold = np.stack([smooth(60, 20 + s, 1200) for s in range(2)])
    found = brain_quality(
        scans_of(bold, n_runs=3),
        {"audio": of_volumes(smooth(5, 3, 1200), 2)},
        T_R,
        n_permutations=20,
    )
    assert "r_all" not in found  # one modality alone
    assert abs(float(found["r_audio"].mean())) < 0.02
    assert abs(float(found["isc"].mean())) < 0.02
    for label in ("isc_q", "r_audio_q"):
        assert (found[label] < 0.05).mean() < 0.1


def test_blocks_of_voxels_give_what_all_at_once_do(smooth, tmp_path, monkeypatch):
    """Read from a file, in blocks of 3 and of all 8 parcels; the lag by the 5 that agree most."""
    monkeypatch.setattr("giblet.evaluation.quality._LAG_VOXELS", 5)
    sound, words = smooth(2, 50, 200), smooth(2, 51, 200)
    bold = np.stack([smooth(8, 52 + s, 200) + sound[:, :1] for s in range(3)])
    save_arrays(scans_of(bold), tmp_path / "bold.nc")
    film = {"audio": of_volumes(sound, 3), "text": of_volumes(words, 3)}
    levels = np.repeat(sound[:, :1], 20, axis=0)  # 10 Hz
    options = {"n_permutations": 20, "n_shifts": 200, "n_iter": 3, "levels": levels}
    with open_arrays(tmp_path / "bold.nc") as scans:
        few = brain_quality(scans, film, T_R, block_values=3 * 3 * 200, **options)
    whole = brain_quality(scans_of(bold), film, T_R, **options)
    assert few["parcel"].values.tolist() == whole["parcel"].values.tolist()
    for name in whole:
        np.testing.assert_allclose(few[name], whole[name], atol=1e-4, err_msg=name)


def test_the_lag_is_told_by_voxels_that_agree_most(monkeypatch):
    monkeypatch.setattr("giblet.evaluation.quality._LAG_VOXELS", 2)
    isc = np.array([[0.1, 0.5, np.nan, -0.8, 0.3], [0.1, 0.3, np.nan, -0.8, 0.5]])
    agreed = xr.Dataset({"isc": (("subject", "voxel"), isc)})
    assert _lag_voxels(agreed, 5).tolist() == [1, 4]
    alone = xr.Dataset({"r_mel": (("subject", "voxel"), isc[:1])})
    assert _lag_voxels(alone, 5).tolist() == [0, 3]


def test_ridge_may_be_asked_of_the_voxels_that_agree_most_alone(smooth):
    sound, words = smooth(2, 70, 200), smooth(2, 71, 200)
    shared = np.linspace(0, 2, 8) * sound[:, :1]
    scans = scans_of(np.stack([smooth(8, 72 + s, 200) + shared for s in range(3)]))
    film = {"audio": of_volumes(sound, 3), "text": of_volumes(words, 3)}
    options = {"n_permutations": 5, "n_shifts": 200, "n_iter": 3}
    whole, few = (brain_quality(scans, film, T_R, max_voxels=n, **options) for n in (None, 3))
    asked = np.argsort(-whole["isc"].mean("subject").values)[:3]
    for name in ("r_audio", "r_all", "unique_text", "r_all_p"):
        np.testing.assert_allclose(
            few[name].values[..., asked], whole[name].values[..., asked], atol=1e-5, err_msg=name
        )
        assert np.isnan(np.delete(few[name].values, asked, axis=-1)).all()
    np.testing.assert_array_equal(few["isc"], whole["isc"])
    (said,) = [w for w in few.attrs["warnings"] if "ridge" in w]
    assert said.startswith("ridge was fitted to 3 of 8 voxels")


def test_no_p_of_ridge_is_corrected_where_no_null_map_is_asked_for(smooth):
    sound = smooth(2, 70, 200)
    scans = scans_of(np.stack([smooth(3, 72 + s, 200) + sound[:, :1] for s in range(2)]))
    asked = {"n_permutations": 5, "n_shifts": 20}
    found, none = (
        brain_quality(scans, {"audio": of_volumes(sound, 2)}, T_R, n_shift_maps=n, **asked)
        for n in (500, 0)
    )
    assert set(found) - set(none) == {"r_audio_p_max"}
    assert set(none) < set(found)
    counts = {"n_permutations": 5, "n_shifts": 20}
    assert counts | {"n_shift_maps": 20} == {n: found.attrs[n] for n in (*counts, "n_shift_maps")}
    assert none.attrs["n_shift_maps"] == 0
    assert "n_shifts" not in brain_quality(scans, {}, T_R, n_permutations=2).attrs


def test_noise_of_the_scanner_and_of_the_head_by_subject(smooth):
    """Two runs each; a volume's motion is unknown where it is the first."""
    scans = scans_of(np.stack([smooth(3, 60 + s, 100) for s in range(2)]), n_runs=2)
    scans["tsnr"] = (("scan", "parcel"), np.array([[80, 10, 5], [60, 20, 5], [9, 9, 9], [9, 9, 9]]))
    named = {"scan_subject": ("scan", ["sub-0", "sub-0", "sub-1", "sub-1"])}
    motion = np.tile([np.nan, 0.2, 0.8, 0.2, 0.2], 40)
    motion[100:] = np.nan  # of the second subject nothing is known
    scans = scans.assign_coords(named).assign(framewise_displacement=("volume", motion))
    found = brain_quality(scans, {}, T_R, n_permutations=2)
    assert found["tsnr"].values.tolist() == [[70, 15, 5], [9, 9, 9]]
    assert found["framewise_displacement"].values[0] == pytest.approx(0.35)
    assert found["moving_share"].values[0] == pytest.approx(0.25)
    table = summary_table(found).set_index(["metric", "subject"])
    assert table.loc[("tsnr", "sub-0"), "mean"] == 30
    assert table.loc[("framewise_displacement", "sub-0"), "n"] == 1
    assert table.loc[("moving_share", "sub-1"), "n"] == 0


def test_curves_of_the_lag_are_kept_and_are_no_measures():
    """In the file, for the figure; not in the table."""
    series = np.sin(np.arange(20.0))
    curve = np.array([0.1, 0.3, 0.2]), np.array([-0.5, 0.0, 0.5])
    seen = np.arange(20.0), series, -series
    lag = Lag(0.1, (0.0, 0.2), 0.01, True, curve[1], curve[0], None, *seen, 99)
    arrays = lag_arrays(lag, "", 1.5)
    np.testing.assert_array_equal(arrays["lag_bold"], -series)
    assert arrays["lag_shift"].values[arrays["lag_fit"].argmax()] == 0.0
    measures = set(summary_table(arrays)["metric"])
    assert measures == {"lag", "lag_low", "lag_high", "lag_p", "lag_reliable"}


def test_one_subject_has_nobody_to_agree_with(smooth):
    found = brain_quality(scans_of(smooth(3, 5)[None]), {}, T_R)
    assert all(name.startswith("lag") and np.isnan(found[name]) for name in found)
    assert found.attrs["lag_note"] == "no sound to estimate it from"


def test_too_short_a_scan_is_said(smooth):
    """Nothing can be held out; what people share is told all the same."""
    bold, features = np.stack([smooth(3, s, 30) for s in (6, 8)]), smooth(2, 7, 30)
    scans = scans_of(bold)
    found = brain_quality(scans, {"audio": of_volumes(features, 2)}, T_R, n_permutations=2)
    warning, no_words = found.attrs["warnings"]
    assert no_words == NO_WORDS
    assert "ridge was left out: too few TRs to hold some out: 30 TRs in 5 folds" in warning
    assert "r_audio" not in found
    np.testing.assert_allclose(found["isc"], isc(bold), atol=1e-5)


@pytest.mark.parametrize("what_ends", ["film", "config"])
def test_what_was_scanned_after_the_end_is_left_out(smooth, what_ends):
    """By the film, or as the config wants it: maps are those of a scan that was cut there."""
    bold, features = np.stack([smooth(2, s) for s in (6, 8)]), smooth(2, 7)
    bold += features.mean(axis=1)[:, None]
    short = {"sound": of_volumes(features[:300], 2)}
    expected = brain_quality(scans_of(bold[:, :300]), short, T_R, n_permutations=2)
    whole = {"sound": of_volumes(features, 2)}
    ends = {"max_trs": 300}
    if what_ends == "film":
        whole["sound"].attrs["n_trs"], ends = 300, {}
    found = brain_quality(scans_of(bold), whole, T_R, n_permutations=2, **ends)
    xr.testing.assert_allclose(found, expected)
    said = "100 TRs were scanned after the film's end, and left out"
    assert (said in found.attrs["warnings"]) == (what_ends == "film")


def test_agreement_is_that_of_isc(smooth):
    bold = np.stack([smooth(3, 30) + smooth(3, 31 + s) for s in range(3)])
    found = brain_quality(scans_of(bold), {}, T_R, n_permutations=5)
    np.testing.assert_allclose(found["isc"], isc(bold), atol=1e-5)


def test_ridge_has_intervals_over_folds_where_they_are_asked_for(smooth):
    sound = smooth(3, 0)
    bold = np.stack([sound @ np.ones((3, 4)) / 2 + smooth(4, 1 + s) for s in range(2)])
    modalities = {"audio": of_volumes(sound, 2), "text": of_volumes(smooth(3, 9), 2)}
    asked = {"n_permutations": 2, "n_iter": 2, "n_shifts": 9}
    maps = brain_quality(scans_of(bold), modalities, T_R, n_folds=4, **asked)
    assert not any(str(name).startswith("folds_") for name in maps)
    scored = maps["r_audio"].mean("subject")
    assert ((maps["low_r_audio"] < scored) & (scored < maps["high_r_audio"])).all()
    assert maps["fold_unique_audio"].dims == ("fold",)
    table = fold_table(maps).set_index("metric")
    assert table.loc["r_audio", "mean"] == pytest.approx(float(maps["r_audio"].mean()), abs=1e-6)
    assert set(table["n_folds"]) == {4}
    assert not any(name.startswith("fold_") for name in summary_table(maps)["metric"])
    plain = brain_quality(scans_of(bold), modalities, T_R, **asked)
    assert not any(str(name).startswith(("low_", "high_", "fold")) for name in plain)


@pytest.mark.parametrize("n_subjects", [1, 3])
def test_scans_of_another_film_are_noticed(n_subjects):
    """BOLD follows the loudness of one film; the other's sound, of the same kind, fits nowhere."""
    rng = np.random.default_rng(3)
    steps = np.arange(0, 32, 0.1)
    response = gamma.pdf(steps, 6) - gamma.pdf(steps, 16) / 6
    films = [np.repeat(rng.normal(size=(400, 4)), 20, axis=0) for _ in range(2)]  # 10 Hz, 800 s
    heard = np.apply_along_axis(lambda band: np.convolve(band, response), 0, films[0])
    signal = heard[10 : 400 * 20 : 20]
    noise = rng.normal(size=(n_subjects, 400, 8)) * signal.std()
    scans = scans_of(np.tile(signal, 2) + noise)
    asked = {"t_r": T_R, "n_permutations": 60}
    right, wrong = (
        brain_quality(scans, {}, levels=levels, **asked).attrs["warnings"] for levels in films
    )
    line = "the scans are not shown to follow the film's sound at any lag within 10 s"
    assert not any(line in warning for warning in right)
    (warning,) = (warning for warning in wrong if line in warning)
    assert ("although subjects have reliable ISC" in warning) == (n_subjects > 1)
