"""Aligning crops and never changes: what goes in comes out at the right TR, bit by bit."""

import numpy as np
import pytest
import soundfile
import torch
import xarray as xr

from giblet.alignment.aligned import align, film_data, film_shapes, film_sound
from giblet.alignment.hrf import tr_kernel
from giblet.alignment.sync import match_scans
from giblet.alignment.voxels import read_columns, voxels_to_keep
from giblet.commands.model import sync_align
from giblet.config.config import parse_config
from giblet.config.sections import SplitConfig
from giblet.errors import GibletError
from giblet.film.text import NO_WORDS
from giblet.io.arrays import load_arrays, open_arrays, save_arrays
from giblet.io.checksums import fingerprint
from giblet.log import warnings_of

T_R = 1.5  # s
SPLITS = SplitConfig(gap_seconds=3.0)
FACTS = {"encoding_mode": "encodec", "t_r": T_R, "codebook_size": 1024}


@pytest.fixture
def codes(rng):
    codes = rng.integers(0, 1024, (60, 8, 113), dtype=np.int32)
    codes[::2, :, -1] = -1  # native framing
    return codes


@pytest.fixture
def film(codes, rng):
    """Sound of 60 TRs (with metadata, as it is stored), pictures of 58, words of 60."""
    pictures = rng.integers(0, 256, (58, 1, 18, 32, 3), dtype=np.uint8)
    words = rng.standard_normal((60, 16)).astype(np.float32)
    return [
        xr.Dataset(
            {"audio": (("tr", "row", "frame"), codes), "start_time": ("tr", np.arange(60) * T_R)},
            coords={"tr": np.arange(60)},
            attrs=FACTS,
        ),
        xr.Dataset({"video": (("tr", "picture", "height", "width", "rgb"), pictures)}),
        xr.Dataset({"text": (("tr", "feature"), words)}),
    ]


@pytest.fixture
def scans(rng):
    """Two subjects, two runs: TRs 5 to 24 and 30 to 54 of the film; sub-02 began 2 TRs earlier."""
    rows = []
    for subject, early in (("sub-01", 0), ("sub-02", 2)):
        rows += [(subject, "run-1", tr) for tr in range(5 - early, 25)]
        rows += [(subject, "run-2", tr) for tr in range(30, 55)]
    subject, run, tr = (np.array(column) for column in zip(*rows, strict=True))
    bold = rng.standard_normal((len(rows), 4)).astype(np.float32)
    bold[:, 0] = tr  # voxel 0 tells the TR in which it was scanned
    return xr.Dataset(
        {"bold": (("volume", "voxel"), bold)},
        coords={
            "subject": ("volume", subject),
            "run": ("volume", run),
            "film_time": ("volume", tr * T_R + 0.75),
            "in_film": ("volume", tr >= 0),
            **{axis: ("voxel", np.arange(4.0)) for axis in "xyz"},
        },
        attrs={"t_r": T_R, "warnings": ["sub-01 moved"], "source": "SIMULATED"},
    )


@pytest.fixture
def regressors(scans):
    tr = scans["bold"].values[:, :1]
    return [xr.Dataset({"regressors": (("volume", "feature"), tr * k)}) for k in (1.0, -1.0)]


SCANNED = np.array([*range(5, 25), *range(30, 55)])


def test_codes_are_never_blurred_or_moved(film, scans, regressors, codes):
    aligned = align(film, scans, regressors, T_R, SPLITS)
    np.testing.assert_array_equal(aligned["tr"], SCANNED)
    assert aligned["audio"].dtype == np.int32
    np.testing.assert_array_equal(aligned["audio"].values, codes[SCANNED])
    assert film_data(aligned).film["audio"].dtype == torch.int32


def test_pictures_and_words_keep_their_trs_and_dtypes(film, scans, regressors):
    aligned = align(film, scans, regressors, T_R, SPLITS)
    for arrays, name, dtype in zip(
        film[1:], ("video", "text"), (np.uint8, np.float32), strict=True
    ):
        np.testing.assert_array_equal(aligned[name].values, arrays[name].values[SCANNED])
        assert aligned[name].dtype == dtype


def test_each_trs_volume_and_regressors_are_the_ones_taken_then(film, scans, regressors):
    aligned = align(film, scans, regressors, T_R, SPLITS)
    assert aligned["bold"].dims == ("subject", "tr", "voxel")
    assert aligned["subject"].values.tolist() == ["sub-01", "sub-02"]
    for subject in range(2):
        np.testing.assert_array_equal(aligned["bold"].values[subject, :, 0], SCANNED)
        expected = np.stack([SCANNED, -SCANNED], axis=-1)
        np.testing.assert_array_equal(aligned["regressors"].values[subject], expected)
    assert aligned.attrs["volume_offset"] == pytest.approx(0.75)
    assert aligned["run"].values.tolist() == ["run-1"] * 20 + ["run-2"] * 25


def test_what_is_left_out_is_said(film, scans, regressors):
    warnings = align(film, scans, regressors, T_R, SPLITS).attrs["warnings"]
    assert warnings[:2] == [
        "audio, start_time: 2 TRs at the end left out, where another part of the film has ended",
        "text: 2 TRs at the end left out, where another part of the film has ended",
    ]
    assert warnings[2] == "sub-01 moved"
    assert warnings[3].startswith("splits.gap_seconds 3 is shorter than the HRF (32 s)")
    assert warnings[4:] == ["13 TRs of the film were not scanned in everyone"]


def test_what_was_said_of_the_words_is_kept(film, scans, regressors, tmp_path):
    save_arrays(film[2].assign_attrs(warnings=["2 rows overlap"]), tmp_path / "text.nc")
    film[2] = load_arrays(tmp_path / "text.nc")
    assert align(film, scans, regressors, T_R, SPLITS).attrs["warnings"][0] == "2 rows overlap"


@pytest.mark.parametrize("said", [[], ["sub-01 moved"]])
def test_warnings_survive_the_way_over_the_disk(film, scans, regressors, said, tmp_path):
    save_arrays(scans.assign_attrs(warnings=said), tmp_path / "bold.nc")
    loaded = load_arrays(tmp_path / "bold.nc")
    assert align(film, loaded, regressors, T_R, SPLITS).attrs["warnings"][2:-2] == said


def test_the_verb_says_what_no_verb_before_it_said(film, scans, regressors, tmp_path, caplog):
    film[2] = film[2].assign(spoken=("tr", np.ones(60, bool)), n_words=("tr", np.ones(60)))
    film[2].attrs["warnings"] = ["2 rows overlap"]
    film[0].attrs |= {"frame_rate": 75.0, "framing": "native"}
    regressors = [r.assign_attrs(t_r=T_R, hrf_model="spm", fir_lags_seconds=0) for r in regressors]
    paths = [tmp_path / f"{n}.nc" for n in range(6)]
    for arrays, path in zip([*film, scans, *regressors], paths, strict=True):
        save_arrays(arrays, path)
    assert caplog.messages == ["2 rows overlap", "sub-01 moved"]  # each by who saved it
    caplog.clear()
    config = parse_config({"t_r": T_R, "splits": SPLITS.model_dump()})
    options = {"text": paths[2], "bold": paths[3], "regressors": paths[4:]}
    sync_align(*paths[:2], tmp_path / "aligned.nc", config, **options)
    told = warnings_of(load_arrays(tmp_path / "aligned.nc").attrs)
    assert caplog.messages == [w for w in told if w not in ("2 rows overlap", "sub-01 moved")]
    assert len(told) == len(caplog.messages) + 2


def test_a_film_alone_needs_no_scan(film, codes):
    nothing = xr.Dataset(attrs={"note": "the film has no video"})
    aligned = align([film[0], nothing], None, [], T_R, SPLITS)
    np.testing.assert_array_equal(aligned["audio"].values, codes)
    assert set(aligned["run"].values.tolist()) == {"none"}
    assert "bold" not in aligned
    assert aligned.attrs["warnings"] == [NO_WORDS]
    data, shapes = film_data(aligned), film_shapes(aligned, "spm")
    assert data.bold is None
    assert (shapes.video, shapes.n_text, shapes.subjects) == (None, None, ())


def test_shapes_say_what_the_model_must_know(film, scans, regressors):
    shapes = film_shapes(align(film, scans, regressors, T_R, SPLITS), "glover")
    assert (shapes.use_encodec, shapes.n_rows, shapes.frames_per_tr) == (True, 8, 113)
    assert (shapes.video, shapes.n_text, shapes.codebook_size) == ((1, 18, 32), 16, 1024)
    assert (shapes.n_voxels, shapes.subjects) == (4, ("sub-01", "sub-02"))
    np.testing.assert_allclose(shapes.hrf_kernel, tr_kernel(T_R, 0.75, "glover"))


def test_bold_is_scaled_by_training_trs_alone(film, scans, regressors):
    aligned = align(film, scans, regressors, T_R, SPLITS)
    data = film_data(aligned)
    train = data.bold[:, data.where("train")].numpy()
    for run in ("run-1", "run-2"):
        here = data.run[data.where("train")] == run
        if here.sum() >= 10:
            np.testing.assert_allclose(train[:, here].mean(axis=1), 0, atol=1e-5)
            np.testing.assert_allclose(train[:, here].std(axis=1), 1, atol=1e-5)
    spoilt = aligned.copy(deep=True)
    spoilt["bold"][:, data.where("test")] *= 1000
    np.testing.assert_array_equal(film_data(spoilt).bold[:, data.where("train")], train)


def test_bold_that_never_varies_is_refused(film, scans, regressors):
    aligned = align(film, scans, regressors, T_R, SPLITS)
    aligned["bold"][:] = 1
    with pytest.raises(GibletError, match="no voxel or parcel varies in the training TRs"):
        film_data(aligned)


def test_runs_may_be_held_out(film, scans, regressors):
    splits = SplitConfig(gap_seconds=3.0, test_runs=["run-1"])
    aligned = align(film, scans, regressors, T_R, splits)
    np.testing.assert_array_equal(aligned["part"] == "test", aligned["run"] == "run-1")
    assert (
        aligned["part"].values[20:].tolist()
        == ["gap"] * 2 + ["train"] * 19 + ["gap"] * 2 + ["validation"] * 2
    )
    assert film_data(aligned).gap_trs == 2
    with pytest.raises(GibletError, match="no run run-3 in the scan; did you mean run-"):
        align(film, scans, regressors, T_R, SplitConfig(test_runs=["run-3"]))


def test_parts_nearer_than_the_gap_are_refused(film, scans, regressors):
    aligned = align(film, scans, regressors, T_R, SPLITS)
    film_data(aligned)
    moved = aligned["part"].values.copy()
    moved[np.flatnonzero(moved == "gap")[0]] = "train"
    with pytest.raises(GibletError, match="train and validation TRs are nearer than 2 TRs"):
        film_data(aligned.assign(part=("tr", moved)))


def test_the_blurred_film_is_the_subjects_mean_scaled_by_training_trs(film, scans, regressors):
    aligned = align(film, scans, regressors, T_R, SPLITS)
    aligned["regressors"][1, :, 0] *= 3
    data = film_data(aligned, blurred=True)
    assert "blurred" not in film_data(aligned).film
    blurred, train = data.film["blurred"], data.where("train")
    assert (blurred.shape, blurred.dtype) == ((45, 2), torch.float32)
    expected = (SCANNED - SCANNED[train].mean()) / SCANNED[train].std()
    np.testing.assert_allclose(blurred, np.stack([expected, -expected], axis=1), atol=1e-5)


def test_nan_in_the_bold_is_named(film, scans, regressors):
    scans["bold"][7, 2] = np.nan
    with pytest.raises(GibletError, match="BOLD has NaN in 1 voxels"):
        film_data(align(film, scans, regressors, T_R, SPLITS))


def wide(scans, rng, n_columns=40):
    """The same clock with more voxels: some hold what both subjects share, the rest noise."""
    film = rng.standard_normal(60)[:, None] * np.linspace(
        0, 1.5, n_columns
    )  # later ones share more
    tr = scans["bold"].values[:, 0].astype(int)
    bold = film[tr] + rng.standard_normal((len(tr), n_columns))
    kept = scans.drop_vars(["bold", "x", "y", "z"])
    places = {axis: ("voxel", np.arange(float(n_columns))) for axis in "xyz"}
    return kept.assign(bold=(("volume", "voxel"), bold.astype(np.float32))).assign_coords(places)


def test_of_many_voxels_those_are_kept_in_which_subjects_agree_in_training(
    film, scans, regressors, rng, tmp_path
):
    scans = wide(scans, rng)
    whole = align(film, scans, regressors, T_R, SPLITS)
    few = align(film, scans, regressors, T_R, SPLITS, max_voxels=10)
    train = whole["part"].values == "train"
    trained = film_data(whole).bold.numpy()[:, train]
    first, second = trained - trained.mean(axis=1, keepdims=True)
    r = (first * second).sum(axis=0) / np.sqrt((first**2).sum(axis=0) * (second**2).sum(axis=0))
    np.testing.assert_array_equal(few["column"], np.sort(np.argsort(-r)[:10]))
    np.testing.assert_array_equal(few["bold"], whole["bold"][..., few["column"].values])
    np.testing.assert_array_equal(few["x"], few["column"])
    assert few.attrs["n_columns"] == whole.attrs["n_columns"] == 40
    assert said(few) == said(whole)


def test_held_out_brains_have_no_say_in_which_voxels_are_kept(film, scans, regressors, rng):
    scans = wide(scans, rng)
    few = align(film, scans, regressors, T_R, SPLITS, max_voxels=10)
    held_out = few["tr"].values[few["part"].values != "train"]
    altered = scans.copy(deep=True)
    altered["bold"][np.isin(wide_trs(scans), held_out)] = 1.0
    again = align(film, altered, regressors, T_R, SPLITS, max_voxels=10)
    np.testing.assert_array_equal(again["column"], few["column"])


def said(aligned):
    return aligned.attrs["warnings"]


def wide_trs(scans):
    return np.floor(scans["film_time"].values / T_R).astype(int)


def test_a_file_is_read_block_by_block_and_gives_the_same(scans, rng, tmp_path):
    scans = wide(scans, rng)
    save_arrays(scans, tmp_path / "bold.nc")
    match = match_scans(scans, T_R, 60)
    is_train = np.arange(len(match.trs)) < 30
    kept = voxels_to_keep(scans, match, is_train, 10)
    blocks = 7 * scans.sizes["volume"]
    with open_arrays(tmp_path / "bold.nc") as opened:
        np.testing.assert_array_equal(voxels_to_keep(opened, match, is_train, 10, blocks), kept)
        read = read_columns(opened, match, kept, is_train, blocks)
    np.testing.assert_array_equal(read, scans["bold"].values[match.volumes][..., kept])


def test_of_one_subject_all_voxels_are_kept(film, scans, regressors, rng):
    alone = wide(scans, rng)
    mine = alone["subject"].values == "sub-01"
    own = [r.isel(volume=mine) for r in regressors]
    aligned = align(film, alone.isel(volume=mine), own, T_R, SPLITS, max_voxels=10)
    assert aligned.sizes["voxel"] == 40


def test_sound_is_read_of_the_film_that_was_aligned_alone(tmp_path):
    times = np.arange(24000) / 24000
    for name, hertz in (("film.wav", 440), ("other.wav", 330)):
        soundfile.write(tmp_path / name, 0.5 * np.sin(2 * np.pi * hertz * times), 24000)
    attrs = {"input": fingerprint(tmp_path / "film.wav"), "film": "film.wav"}
    aligned = xr.Dataset(attrs=attrs)
    assert len(film_sound(tmp_path / "film.wav", aligned, 24000)) == 24000
    with pytest.raises(GibletError, match=r"other.wav: not the film that .* \(film.wav\)"):
        film_sound(tmp_path / "other.wav", aligned, 24000)


def test_trs_follow_each_other_only_where_the_film_ran_on(film, scans, regressors):
    """A pause after TR 14 of run 1, and one volume of sub-01 left out in run 2."""
    pause = (scans["run"].values == "run-1") & (scans["film_time"].values >= 15 * T_R)
    start = np.where(scans["run"].values == "run-1", np.where(pause, 15 * T_R, 0), 30 * T_R)
    paused = scans.assign_coords(film_start=("volume", start))
    paused["film_time"] = paused["film_time"] + np.where(pause, 0.2, 0)
    paused["in_film"][np.flatnonzero(wide_trs(scans) == 40)[0]] = False
    aligned = align(film, paused, regressors, T_R, SPLITS)
    trs = aligned["tr"].values
    assert trs.tolist() == [*range(5, 25), *range(30, 40), *range(41, 55)]
    assert set(aligned["run"].values) == {"run-1", "run-2"}
    data = film_data(aligned)
    label = data.run.tolist()
    assert len(set(label)) == 4
    breaks = [k for k in range(1, len(label)) if label[k] != label[k - 1]]
    assert trs[breaks].tolist() == [15, 30, 41]


def test_unbroken_runs_keep_their_names(film, scans, regressors):
    aligned = align(film, scans, regressors, T_R, SPLITS)
    assert "showing" not in aligned
    assert film_data(aligned).run.tolist() == aligned["run"].values.tolist()
