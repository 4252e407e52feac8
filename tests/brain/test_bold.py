"""BOLD is read as nilearn would clean it, on the film's clock; bad data sets are named."""

import gzip
import itertools
import json
import os
import shutil

import h5py
import nibabel
import numpy as np
import pandas as pd
import pytest

from giblet.brain import images
from giblet.brain.bold import load_bids, save_bold, slow_cosines, survey_bids
from giblet.brain.events import film_times
from giblet.brain.runs import MOTION
from giblet.commands.scans import load_bold
from giblet.config.config import parse_config
from giblet.demo.bids_writer import simulate_bids
from giblet.errors import GibletError
from giblet.io.arrays import load_arrays, save_arrays
from giblet.io.tables import load_json, save_json

RUN = "sub-01/func/sub-01_task-film_run-1"
BOLD = f"{RUN}_space-MNI152NLin2009cAsym_desc-preproc_bold"
MASK = f"{RUN}_space-MNI152NLin2009cAsym_desc-brain_mask.nii.gz"
CONFOUNDS = f"{RUN}_desc-confounds_timeseries.tsv"
EVENTS = f"{RUN}_events.tsv"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Two simulated subjects, two runs of 60 s each, on a 16 mm grid."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("simulated") / "bids"
    features = [rng.standard_normal((1200, n)) for n in (3, 4, 5)]
    simulate_bids(folder, *features, t_r=1.5, n_subjects=2, resolution_mm=16)
    return folder


@pytest.fixture
def dataset(simulated, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(simulated, tmp_path / "bids")


def edit_table(path, edit):
    edit(pd.read_csv(path, sep="\t", na_values="n/a")).to_csv(
        path, sep="\t", na_rep="n/a", index=False
    )


def edit_image(path, edit, dtype=np.float32):
    image = nibabel.load(path)
    voxels = edit(np.array(image.dataobj, dtype=dtype))
    nibabel.save(nibabel.Nifti1Image(voxels, image.affine), path)


def first_run(arrays):
    chosen = (arrays["subject"] == "sub-01") & (arrays["run"] == "task-film_run-1")
    return arrays["bold"].to_numpy()[chosen]


def test_every_run_of_every_subject_is_there(simulated):
    arrays = load_bids(simulated)
    assert arrays["bold"].dims == ("volume", "voxel")
    assert arrays["bold"].dtype == np.float32
    assert arrays.sizes["volume"] == 2 * 2 * 50  # 6 s before, 60 s of film, 9 s after: 50 TRs
    assert arrays.attrs["t_r"] == 1.5
    assert "SIMULATED" in arrays.attrs["source"]
    assert sorted(set(arrays["subject"].to_numpy())) == ["sub-01", "sub-02"]
    assert sorted(set(arrays["run"].to_numpy())) == ["task-film_run-1", "task-film_run-2"]
    # object strings, as pandas 3 has them, cannot be written by older xarray
    assert {arrays[name].dtype.kind for name in ("subject", "run", "scan_run")} == {"U"}


def test_cleaning_equals_nilearns_masker(simulated):
    from nilearn.maskers import NiftiMasker

    masker = NiftiMasker(simulated / MASK, detrend=True, standardize=None).fit()
    motion = pd.read_csv(simulated / CONFOUNDS, sep="\t", na_values="n/a")[list(MOTION)]
    expected = masker.transform(simulated / f"{BOLD}.nii.gz", confounds=motion.to_numpy())
    arrays = load_bids(simulated, high_pass_hz=None)
    np.testing.assert_allclose(first_run(arrays), expected, atol=2e-3)
    unmasked = masker.inverse_transform(expected).get_fdata()[arrays["mask"].to_numpy()]
    np.testing.assert_allclose(unmasked.T, expected, atol=1e-5)


@pytest.mark.slow
def test_high_pass_equals_nilearns(simulated):
    from nilearn.maskers import NiftiMasker

    masker = NiftiMasker(
        simulated / MASK,
        detrend=True,
        standardize=None,
        high_pass=0.02,
        t_r=1.5,
        clean_args={"filter": "cosine"},
    ).fit()
    expected = masker.transform(simulated / f"{BOLD}.nii.gz")
    arrays = load_bids(simulated, high_pass_hz=0.02, confounds=())
    np.testing.assert_allclose(first_run(arrays), expected, atol=2e-3)


def test_a_confound_that_looks_like_a_cosine_does_not_switch_the_high_pass_off(dataset):
    cosines = slow_cosines(50, 1.5, 0.03)

    edit_table(dataset / CONFOUNDS, lambda table: table.assign(trans_x=cosines[:, 0]))
    bold = first_run(load_bids(dataset, high_pass_hz=0.03))
    assert cosines.shape[1] > 1
    assert np.abs(cosines.T @ bold).max() < 1e-2 * np.linalg.norm(bold, axis=0).max()


def test_confounds_and_steady_volumes_are_those_that_nilearn_finds(dataset):
    from nilearn.interfaces.fmriprep import load_confounds

    def add_dummies(table):
        for n in range(3):
            table[f"non_steady_state_outlier0{n}"] = (np.arange(len(table)) == n).astype(int)
        return table

    edit_table(dataset / CONFOUNDS, add_dummies)
    _, kept = load_confounds(
        str(dataset / f"{BOLD}.nii.gz"), strategy=("motion",), motion="basic", demean=False
    )
    all_times = load_bids(dataset)["film_time"].to_numpy()[:47]
    assert len(kept) == 47
    np.testing.assert_allclose(all_times, 0.75 - 6 + 1.5 * kept)  # the clock moves with them


@pytest.mark.slow
def test_a_strategy_is_nilearns_own(dataset):
    """Equal to nilearn's masker with the confounds of its load_confounds."""
    from nilearn.interfaces.fmriprep import load_confounds
    from nilearn.maskers import NiftiMasker

    image, mask = (
        str(dataset / f"{p}.nii.gz") for p in (BOLD, BOLD.replace("preproc_bold", "brain_mask"))
    )
    for table in dataset.rglob("*_desc-confounds_timeseries.tsv"):
        edit_table(
            table, lambda t: t.assign(csf=np.sin(np.arange(len(t))), white_matter=t["rot_y"] ** 2)
        )
    found = first_run(load_bids(dataset, high_pass_hz=None, strategy=["wm_csf"]))
    basic, _ = load_confounds(image, strategy=("wm_csf",), demean=False)
    masker = NiftiMasker(mask, standardize=None, detrend=True, standardize_confounds=True)
    expected = masker.fit().transform(image, confounds=basic.to_numpy())
    np.testing.assert_allclose(found, expected, atol=1e-2 * expected.std())
    with pytest.raises(GibletError, match="no confounds by compcor"):
        load_bids(dataset, strategy=["compcor"])


@pytest.mark.parametrize("beside", ["[1]", '{"a_comp_cor_00": 1}', "{}", "5", "not json", "pipe"])
def test_confounds_that_say_nothing_of_themselves_are_one_line(dataset, beside):
    """nilearn finds components by the JSON beside the table, and trusts it."""
    for table in dataset.rglob("*_desc-confounds_timeseries.tsv"):
        edit_table(table, lambda t: t.assign(a_comp_cor_00=t["rot_y"] ** 2))
        if beside == "pipe":
            os.mkfifo(table.with_suffix(".json"))
        else:
            table.with_suffix(".json").write_text(beside)
    with pytest.raises(GibletError, match=r"no confounds by compcor|is a pipe") as caught:
        load_bids(dataset, strategy=["compcor"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("makers", [5, "me", {"Name": "me"}, [5], None])
def test_makers_that_are_no_list_of_names_are_left_out(dataset, makers):
    save_json({"GeneratedBy": makers}, dataset / "dataset_description.json")
    assert load_bids(dataset).attrs["source"] == "bids"


def test_confounds_may_have_the_name_of_before_fmriprep_20_2(simulated, dataset):
    expected = load_bids(dataset)
    for table in dataset.rglob("*_desc-confounds_timeseries.tsv"):
        table.rename(table.with_name(table.name.replace("timeseries", "regressors")))
    assert load_bids(dataset).identical(expected)


def test_film_time_of_every_volume(simulated):
    arrays = load_bids(simulated)
    second = arrays.isel(volume=(arrays["run"] == "task-film_run-2").to_numpy())
    times = second["film_time"].to_numpy()[:50]
    np.testing.assert_allclose(times, 60 + 0.75 - 6 + 1.5 * np.arange(50))  # StartTime is t_r / 2
    np.testing.assert_array_equal(second["in_film"][:50], (times >= 60) & (times < 120))
    np.testing.assert_array_equal(second["film_start"], 60)


def test_two_events_in_one_run_keep_their_own_clocks():
    times, shown, starts = film_times(np.arange(8.0), *np.array([[1, 5], [2, 2], [100, 0]]))
    assert starts.tolist() == [100] * 5 + [0] * 3
    assert times.tolist() == [99, 100, 101, 102, 103, 0, 1, 2]
    assert shown.tolist() == [False, True, True, False, False, True, True, False]


@pytest.mark.slow
def test_parcels_equal_nilearns_labels_masker(simulated, tmp_path):
    from nilearn.maskers import NiftiLabelsMasker

    atlas = halves(simulated, tmp_path)
    motion = pd.read_csv(simulated / CONFOUNDS, sep="\t", na_values="n/a")[list(MOTION)]
    masker = NiftiLabelsMasker(atlas, detrend=True, standardize=None, resampling_target=None)
    expected = masker.fit_transform(simulated / f"{BOLD}.nii.gz", confounds=motion.to_numpy())
    arrays = load_bids(simulated, high_pass_hz=None, parcellation=atlas)
    assert arrays["parcel"].to_numpy().tolist() == [1, 7]
    np.testing.assert_allclose(first_run(arrays), expected, atol=2e-3)
    assert arrays["x"][0] * arrays["x"][1] < 0


def halves(simulated, folder):
    """A parcellation: left and right."""
    image = nibabel.load(simulated / MASK)
    labels = np.array(image.dataobj, dtype=np.int16)
    labels[labels.shape[0] // 2 :] *= 7
    nibabel.save(nibabel.Nifti1Image(labels, image.affine), folder / "atlas.nii.gz")
    return folder / "atlas.nii.gz"


@pytest.mark.parametrize("n_voxels_at_once", [3000, pytest.param(10**7, marks=pytest.mark.slow)])
def test_what_is_saved_run_by_run_is_what_is_loaded(
    dataset, tmp_path, monkeypatch, n_voxels_at_once
):
    def spoil(voxels):
        voxels[tuple(np.argwhere(nibabel.load(dataset / MASK).get_fdata() > 0)[5])] = 3.0
        return voxels

    edit_image(dataset / f"{BOLD}.nii.gz", spoil)
    monkeypatch.setattr(images, "_GRID_AT_ONCE", n_voxels_at_once)
    for parcellation in (None, halves(dataset, tmp_path)):
        for name in ("bold.nc", "again.nc"):
            scans = survey_bids(dataset, parcellation=parcellation)
            save_bold(scans, tmp_path / name, input="abc")
        saved = load_arrays(tmp_path / "bold.nc")
        loaded = load_bids(dataset, parcellation=parcellation)
        assert saved.equals(loaded)
        assert set(saved.coords) == set(loaded.coords)
        assert saved.attrs["input"] == "abc"
        assert json.loads(saved.attrs["warnings"]) == loaded.attrs["warnings"]
        assert (tmp_path / "bold.nc").read_bytes() == (tmp_path / "again.nc").read_bytes()


def of_each_scan(arrays):
    """BOLD (n_volumes, n_voxels) of each run of each subject."""
    scan = arrays["subject"].to_numpy() + arrays["run"].to_numpy()
    return [arrays["bold"].to_numpy()[scan == one].astype(float) for one in np.unique(scan)]


def test_the_null_keeps_every_spectrum_and_nothing_else(dataset, tmp_path):
    """Every scan is the same one: what its nulls share, they share by the noise."""
    for kind in ("desc-preproc_bold.nii.gz", "desc-confounds_timeseries.tsv"):
        first, *others = sorted(dataset.rglob(f"*{kind}"))
        for path in others:
            shutil.copy(first, path)
    scans = survey_bids(dataset)
    for name, seed in {"null": 0, "again": 0, "other": 1}.items():
        save_bold(scans, tmp_path / f"{name}.nc", null_seed=seed)
    null, other = (load_arrays(tmp_path / f"{name}.nc") for name in ("null", "other"))
    assert (tmp_path / "null.nc").read_bytes() == (tmp_path / "again.nc").read_bytes()
    kept = load_bids(dataset)
    noises = of_each_scan(null)
    for noise, another, bold in zip(noises, of_each_scan(other), of_each_scan(kept), strict=True):
        power, true_power = (np.abs(np.fft.rfft(x, axis=0)) for x in (noise, bold))
        np.testing.assert_allclose(power, true_power, atol=1e-4 * true_power.max())
        for stranger in (bold, another, np.roll(noise, 1, axis=1)):  # its neighbour's phases
            assert np.abs(column_correlations(noise, stranger).mean()) < 0.03
    for one, two in itertools.combinations(noises, 2):  # of other subjects and runs
        assert np.abs(column_correlations(one, two).mean()) < 0.03
    assert null.drop_vars("bold").equals(kept.drop_vars("bold"))


def column_correlations(a, b):
    a, b = ((x - x.mean(axis=0)) / x.std(axis=0) for x in (a, b))
    return (a * b).mean(axis=0)


def test_the_null_says_that_it_is_no_data(simulated, tmp_path):
    for null in (True, False):
        load_bold(simulated, tmp_path / "bold.nc", parse_config({"scan": {"null": null}}))
        attrs = load_arrays(tmp_path / "bold.nc").attrs
        assert attrs.get("null") == ("phase-randomised" if null else None)
        said = [line for line in json.loads(attrs["warnings"]) if line.startswith("no data: BOLD")]
        assert len(said) == null


def test_some_voxels_are_read_without_the_others(simulated, tmp_path):
    save_bold(survey_bids(simulated), tmp_path / "bold.nc")
    with h5py.File(tmp_path / "bold.nc") as file:
        n_voxels = file["bold"].shape[1]
        assert file["bold"].chunks == (50, min(1024, n_voxels))  # volumes of a run


def test_parcels_leave_out_what_is_constant_anywhere(dataset, tmp_path):
    """Identity: the mean of the parcel's cleaned voxels; its tSNR is that of the mean series."""
    voxel = tuple(np.argwhere(nibabel.load(dataset / MASK).get_fdata() > 0)[5])

    def spoil(voxels):
        voxels[voxel] = 1e4
        return voxels

    edit_image(dataset / f"{BOLD}.nii.gz", spoil)
    atlas = halves(dataset, tmp_path)
    voxels, parcels = load_bids(dataset), load_bids(dataset, parcellation=atlas)
    labels = parcels["labels"].to_numpy()
    assert labels[voxel] == 0
    of_voxel = labels[voxels["mask"].to_numpy()]
    expected = [voxels["bold"][:, of_voxel == label].mean("voxel") for label in (1, 7)]
    np.testing.assert_allclose(parcels["bold"], np.transpose(expected), atol=1e-3)
    raw = np.asarray(nibabel.load(dataset / f"{BOLD}.nii.gz").dataobj)[labels == 7].mean(axis=0)
    np.testing.assert_allclose(parcels["tsnr"][0, 1], raw.mean() / raw.std(), rtol=1e-5)


@pytest.mark.parametrize("n_voxels_at_once", [1500, 10**7])  # the unsteady may fill a block
def test_tsnr_and_head_motion_before_cleaning(dataset, monkeypatch, n_voxels_at_once):
    """Oracles: numpy, and the column that came with the data; the first volumes are unsteady."""

    def add_dummies(table):
        for n in range(2):
            table[f"non_steady_state_outlier0{n}"] = (np.arange(len(table)) == n).astype(int)
        return table

    edit_table(dataset / CONFOUNDS, add_dummies)
    monkeypatch.setattr(images, "_GRID_AT_ONCE", n_voxels_at_once)
    arrays = load_bids(dataset)
    raw = np.asarray(nibabel.load(dataset / f"{BOLD}.nii.gz").dataobj, dtype=float)
    steady = raw[arrays["mask"].to_numpy()][:, 2:]
    assert arrays["tsnr"].dims == ("scan", "voxel")
    assert arrays["tsnr"].dtype == np.float32
    np.testing.assert_allclose(
        arrays["tsnr"][0], steady.mean(axis=1) / steady.std(axis=1), rtol=1e-5
    )
    runs = [f"{s} task-film_run-{n}" for s in ("sub-01", "sub-02") for n in (1, 2)]
    labels = zip(arrays["scan_subject"].values, arrays["scan_run"].values, strict=True)
    assert [" ".join(names) for names in labels] == runs
    table = pd.read_csv(dataset / CONFOUNDS, sep="\t", na_values="n/a")
    found = arrays["framewise_displacement"].to_numpy()
    np.testing.assert_allclose(found[:48], table["framewise_displacement"][2:], atol=1e-4)
    assert np.flatnonzero(np.isnan(found)).tolist() == [48, 98, 148]  # firsts of the other runs


def test_survives_the_disk(simulated, tmp_path):
    arrays = load_bids(simulated)
    save_arrays(arrays, tmp_path / "bold.nc")
    again = load_arrays(tmp_path / "bold.nc")
    assert again.equals(arrays)


def test_a_missing_start_time_is_recorded(dataset):
    sidecar = load_json(dataset / f"{BOLD}.json")
    del sidecar["StartTime"]
    save_json(sidecar, dataset / f"{BOLD}.json")
    arrays = load_bids(dataset)
    assert float(arrays["film_time"][0]) == -6.0
    assert "no StartTime" in arrays.attrs["warnings"][0]


def test_constant_voxels_are_left_out_and_recorded(dataset, simulated):
    mask = np.array(nibabel.load(dataset / MASK).dataobj) > 0
    place = tuple(np.argwhere(mask)[5])

    def flatten(voxels):
        voxels[place] = 3.1
        return voxels

    edit_image(dataset / f"{BOLD}.nii.gz", flatten)
    arrays, whole = load_bids(dataset), load_bids(simulated)
    assert arrays.sizes["voxel"] == whole.sizes["voxel"] - 1
    assert arrays.attrs["warnings"] == ["1 voxels, constant in some run, were left out"]
    np.testing.assert_array_equal(arrays["x"], np.delete(whole["x"].to_numpy(), 5))


def test_raw_data_set_with_derivatives_inside(simulated, tmp_path):
    raw = tmp_path / "raw"
    shutil.copytree(simulated, raw / "derivatives" / "fmriprep")
    for events in (raw / "derivatives" / "fmriprep").rglob("*_events.tsv"):
        target = raw / events.relative_to(raw / "derivatives" / "fmriprep")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(events, target)
    np.testing.assert_array_equal(load_bids(raw)["film_time"], load_bids(simulated)["film_time"])


def test_nan_in_the_bold(dataset):
    mask = np.array(nibabel.load(dataset / MASK).dataobj) > 0

    def spoil(voxels):
        voxels[tuple(np.argwhere(mask)[3])][10] = np.nan
        voxels[tuple(np.argwhere(mask)[4])][:] = np.nan
        return voxels

    edit_image(dataset / f"{BOLD}.nii.gz", spoil)
    with pytest.raises(GibletError, match=r"run-1.*_bold.nii.gz: NaN in the BOLD of 2 voxels"):
        load_bids(dataset)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"RepetitionTime": None}, "TR missing from the sidecar"),
        ({"RepetitionTime": 1500}, "looks like milliseconds"),
        ({"RepetitionTime": 1e-9}, "no scanner is so fast"),
        ({"RepetitionTime": "fast"}, "RepetitionTime or StartTime"),
        ({"RepetitionTime": True}, "RepetitionTime or StartTime: True is no number"),
        ({"StartTime": True}, "True is no number of seconds"),
        ({"StartTime": 750}, "StartTime is 750"),
        ({"RepetitionTime": 2.0}, "runs differ in t_r"),
    ],
)
def test_wrong_sidecars(dataset, change, message):
    sidecar = load_json(dataset / f"{BOLD}.json") | change
    sidecar = {key: value for key, value in sidecar.items() if value is not None}
    save_json(sidecar, dataset / f"{BOLD}.json")
    with pytest.raises(GibletError, match=message):
        load_bids(dataset)


@pytest.mark.parametrize(
    ("name", "edit", "message"),
    [
        (CONFOUNDS, lambda t: t[:-2], "48 rows, but the scan has 50 volumes"),
        (CONFOUNDS, lambda t: t.drop(columns="rot_z"), "no confound column rot_z"),
        (CONFOUNDS, lambda t: t.assign(rot_z=np.nan), "n/a among the confounds"),
        (EVENTS, lambda t: t.assign(duration=70.5), "scan ends 1.5 s before the film does"),
        (EVENTS, lambda t: t.assign(onset=np.nan), "needs an onset"),
        (EVENTS, lambda t: t.drop(columns="onset"), "no column onset"),
        (EVENTS, lambda t: t.assign(stim_file="b.mp4"), "runs differ in stim_file"),
        (EVENTS, lambda t: pd.concat([t, t.assign(stim_file="b.mp4")]), "several films"),
        (EVENTS, lambda t: pd.concat([t, t]).drop(columns="stim_onset"), "rows 1 and 2 both begin"),
        (
            EVENTS,
            lambda t: pd.concat([t, t]).drop(columns="stim_file"),
            "name the film in a column stim_file",
        ),
    ],
)
def test_wrong_tables(dataset, name, edit, message):
    edit_table(dataset / name, edit)
    with pytest.raises(GibletError, match=message):
        load_bids(dataset)


@pytest.mark.parametrize(
    ("name", "edit", "message"),
    [
        (MASK, np.zeros_like, "mask empty"),
        (MASK, lambda voxels: voxels[1:], "another grid"),
        (f"{BOLD}.nii.gz", lambda voxels: voxels[1:], "another grid"),
        (f"{BOLD}.nii.gz", lambda voxels: voxels[..., 0], "must have 4 dimensions"),
    ],
)
def test_wrong_images(dataset, name, edit, message):
    edit_image(dataset / name, edit)
    with pytest.raises(GibletError, match=message):
        load_bids(dataset)


def test_a_constant_subject_is_left_out_and_said(dataset):
    edit_image(dataset / f"{BOLD}.nii.gz", np.ones_like)
    arrays = load_bids(dataset)
    assert set(arrays["subject"].to_numpy()) == {"sub-02"}
    assert "sub-01: constant in some run, left out" in arrays.attrs["warnings"]
    edit_image(dataset / f"{BOLD}.nii.gz".replace("sub-01", "sub-02"), np.ones_like)
    with pytest.raises(GibletError, match="every voxel of some run is constant"):
        load_bids(dataset)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (f"{BOLD}.json", "no such file"),
        (MASK, "no such file"),
        (CONFOUNDS, "no such file"),
        (EVENTS, "it says when the film began"),
    ],
)
def test_missing_files(dataset, name, message):
    (dataset / name).unlink()
    with pytest.raises(GibletError, match=message):
        load_bids(dataset)


def test_a_file_cut_short(dataset):
    path = dataset / f"{BOLD}.nii.gz"
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(GibletError, match=r"run-1.*not a readable image"):
        load_bids(dataset)
    path.write_bytes(gzip.compress(b"no image", mtime=0))
    with pytest.raises(GibletError, match=r"run-1.*not a readable image"):
        load_bids(dataset)


def test_two_files_for_one_run(dataset):
    copy = BOLD.replace("_desc", "_res-2_desc")
    shutil.copy(dataset / f"{BOLD}.nii.gz", dataset / f"{copy}.nii.gz")
    with pytest.raises(GibletError, match="two files for one run"):
        load_bids(dataset)


def test_nothing_to_read(dataset, tmp_path):
    with pytest.raises(GibletError, match="no such folder"):
        load_bids(tmp_path / "elsewhere")
    with pytest.raises(GibletError, match=r"no BOLD file.*tasks there: film"):
        load_bids(dataset, task="rest")
    (tmp_path / "empty").mkdir()
    with pytest.raises(GibletError, match=r"no BOLD file.*run fMRIPrep first"):
        load_bids(tmp_path / "empty")


def test_several_tasks_want_a_choice(dataset):
    for path in list(dataset.rglob("sub-02*run-2*")):
        path.rename(path.with_name(path.name.replace("task-film", "task-rest")))
    with pytest.raises(GibletError, match=r"several tasks \(film, rest\)"):
        load_bids(dataset)
    assert load_bids(dataset, task="film").sizes["volume"] == 150


def test_an_atlas_elsewhere(simulated, tmp_path):
    image = nibabel.load(simulated / MASK)
    far = image.affine.copy()
    far[:3, 3] += 5000
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), far), tmp_path / "atlas.nii.gz")
    with pytest.raises(GibletError, match="no label lies in the brain mask"):
        load_bids(simulated, parcellation=tmp_path / "atlas.nii.gz")
