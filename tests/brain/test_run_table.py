"""Runs that a table names: every format gives the same numbers, on the film's clock."""

import subprocess
import sys

import h5py
import nibabel
import numpy as np
import pandas as pd
import pytest
from nibabel import cifti2
from nilearn import signal

from giblet.brain.bold import load_bids, load_runs, save_bold, survey_runs
from giblet.brain.qc import framewise_displacement
from giblet.brain.run_table import read_run_table
from giblet.brain.runs import MOTION
from giblet.brain.series import read_series
from giblet.commands.scans import load_bold
from giblet.config.config import parse_config
from giblet.demo.bids_writer import simulate_bids
from giblet.errors import GibletError
from giblet.io.arrays import load_arrays
from giblet.log import warnings_of

NAMES = ["LATL", "RATL", "LPTL"]
ALICE = "fmri/alice/alice_data_shared"


@pytest.fixture(scope="module")
def series():
    """A slow signal, a drift and a spike in three parcels, (60, 3) float32."""
    t = np.arange(60)
    columns = [np.sin(t / 7), 0.02 * t + np.cos(t / 5), (t == 30) * 3.0 + np.sin(t / 11)]
    return (100 + np.stack(columns, axis=1)).astype(np.float32)


def write_table(folder, rows, name="runs.tsv"):
    pd.DataFrame(rows).to_csv(folder / name, sep="\t", index=False, na_rep="n/a")
    return folder / name


def row(file, subject="01", **columns):
    return {"subject": subject, "file": file, "t_r": 2.0, "film_onset": 0.0, **columns}


def write(folder, series, suffix):
    path = folder / f"bold{suffix}"
    if suffix in (".tsv", ".csv"):
        table = pd.DataFrame(series, columns=NAMES)
        table.to_csv(path, sep="\t" if suffix == ".tsv" else ",", index=False)
    elif suffix == ".txt":
        np.savetxt(path, series)
    elif suffix == ".npy":
        np.save(path, series)
    elif suffix == ".h5":
        with h5py.File(path, "w") as file:
            file["group/bold"] = series
    elif suffix == ".func.gii":
        arrays = [nibabel.gifti.GiftiDataArray(volume, datatype=16) for volume in series]
        nibabel.save(nibabel.gifti.GiftiImage(darrays=arrays), path)
    else:
        time = cifti2.SeriesAxis(0, 2.0, len(series))
        brain = cifti2.BrainModelAxis.from_mask(np.ones(3, bool), "CORTEX_LEFT")
        if suffix == ".ptseries.nii":
            pieces = [(name, brain[i : i + 1]) for i, name in enumerate(NAMES)]
            brain = cifti2.ParcelsAxis.from_brain_models(pieces)
        nibabel.save(cifti2.Cifti2Image(series, (time, brain)), path)
    return path


FORMATS = [".tsv", ".csv", ".txt", ".npy", ".h5", ".func.gii", ".dtseries.nii", ".ptseries.nii"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_the_same_numbers(tmp_path, series, suffix):
    values, names = read_series(write(tmp_path, series, suffix))
    np.testing.assert_allclose(values, series, rtol=1e-6)
    named = suffix in (".tsv", ".csv", ".ptseries.nii")
    assert names == (NAMES if named else ["0", "1", "2"])


def test_a_table_without_a_header_loses_no_volume(tmp_path, series):
    pd.DataFrame(series).to_csv(tmp_path / "bold.csv", header=False, index=False)
    np.testing.assert_allclose(read_series(tmp_path / "bold.csv")[0], series, rtol=1e-6)


def test_cleaning_and_clock(tmp_path, series):
    """Oracle: nilearn. Ten volumes were cut off; the motion table still has them."""
    motion = np.random.default_rng(0).normal(size=(70, 2))  # noise: any nuisance will do
    np.savetxt(tmp_path / "motion.txt", motion)
    write(tmp_path, series, ".tsv")
    extra = {"confounds": "motion.txt", "n_dropped": 10, "start_time": 1.0, "film_onset": 12.0}
    table = write_table(tmp_path, [row("bold.tsv", **extra, stim_onset=5.0)])
    arrays = load_runs(table, high_pass_hz=None)
    expected = signal.clean(series, detrend=True, standardize=None, confounds=motion[10:])
    np.testing.assert_allclose(arrays["bold"], expected, atol=1e-4)
    assert arrays["parcel"].values.tolist() == NAMES
    # volume 10 is taken at 21 s of scan: 9 s into the film, which began at its second 5
    np.testing.assert_allclose(arrays["film_time"], 14.0 + 2.0 * np.arange(60))
    assert arrays["in_film"].all()
    np.testing.assert_array_equal(arrays["film_start"], 5.0)
    assert set(arrays["subject"].values) == {"sub-01"}
    assert arrays.attrs["t_r"] == 2.0


def test_every_format_is_cleaned_and_saved_alike(tmp_path, series):
    """Oracle: nilearn, on the array itself."""
    expected = signal.clean(series.astype(float), detrend=True, standardize=None)
    for suffix in FORMATS:
        table = write_table(tmp_path, [row(write(tmp_path, series, suffix).name)])
        save_bold(survey_runs(table), tmp_path / "bold.nc", high_pass_hz=None)
        saved = load_arrays(tmp_path / "bold.nc")
        np.testing.assert_allclose(saved["bold"], expected, rtol=1e-5, atol=1e-5, err_msg=suffix)
        ratio = series.astype(float).mean(axis=0) / series.astype(float).std(axis=0)
        np.testing.assert_allclose(saved["tsnr"], ratio[None], rtol=1e-5)


def test_a_text_table_is_read_once(tmp_path, series):
    path = write(tmp_path, series, ".csv")
    table = write_table(tmp_path, [row("bold.csv")])
    expected, scans = load_runs(table), survey_runs(table)
    path.unlink()
    save_bold(scans, tmp_path / "bold.nc")
    np.testing.assert_array_equal(load_arrays(tmp_path / "bold.nc")["bold"], expected["bold"])


PEAKS = """
import sys, tracemalloc
from pathlib import Path
from giblet.brain.bold import save_bold, survey_runs
for table in sys.argv[1:]:
    tracemalloc.start()
    save_bold(survey_runs(Path(table)), Path(table).with_suffix(".nc"), high_pass_hz=None)
    print(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_runs(tmp_path):
    """In a process of its own: garbage of other tests does not count."""
    waves = 1000 + np.sin(np.outer(np.arange(100) / 9, 1 + np.arange(20_000) % 97))
    np.save(tmp_path / "bold.npy", waves.astype(np.float32))  # 8 MB
    tables = []
    for k, n_runs in enumerate((1, 1, 3)):  # what the first imports on the way does not count
        rows = [row("bold.npy", f"{n}") for n in range(n_runs)]
        tables.append(write_table(tmp_path, rows, f"runs{k}.tsv"))
    command = [sys.executable, "-c", PEAKS, *map(str, tables)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    _warm, first, three = map(int, done.stdout.split())
    assert first > waves.size * 4
    assert three < 1.1 * first


def test_head_motion_by_the_names_of_its_columns(tmp_path, series):
    """Two volumes were cut off, but the motion before the first that is left is known."""
    write(tmp_path, series, ".npy")
    moved = np.outer(np.arange(62) % 5, [0.1, 0, 0.2, 0.01, 0, 0])
    for columns, name in ((MOTION, "named.tsv"), ("abcdef", "others.tsv")):
        pd.DataFrame(moved, columns=list(columns)).to_csv(tmp_path / name, sep="\t", index=False)
    of = {"01": "named.tsv", "02": "others.tsv"}
    rows = [row("bold.npy", name, confounds=file, n_dropped=2) for name, file in of.items()]
    found = load_runs(write_table(tmp_path, rows))["framewise_displacement"].to_numpy()
    np.testing.assert_allclose(found[:60], framewise_displacement(moved)[2:], rtol=1e-5)
    assert np.isfinite(found[:60]).all()
    assert np.isnan(found[60:]).all()


def test_series_without_a_mean_have_no_tsnr(tmp_path, series):
    write(tmp_path, series, ".tsv")
    scores = (series - series.mean(axis=0, dtype=float)) / series.std(axis=0)
    write(tmp_path, scores, ".csv")
    arrays = load_runs(write_table(tmp_path, [row("bold.tsv"), row("bold.csv", "02")]))
    assert np.isfinite(arrays["tsnr"]).all(dim="parcel").values.tolist() == [True, False]
    assert arrays["scan_subject"].values.tolist() == ["sub-01", "sub-02"]
    (warning,) = arrays.attrs["warnings"]
    assert warning == "1 of 2 runs have no mean, as if z-scored: tSNR unknown"


def test_tables_have_no_voxels_to_make_parcels_of(tmp_path, series):
    write(tmp_path, series, ".npy")
    with pytest.raises(GibletError, match=r"atlas.nii: parcels are made of voxels; bold.npy has"):
        load_runs(write_table(tmp_path, [row("bold.npy")]), parcellation="atlas.nii")


def test_images_with_a_mask_equal_the_same_in_bids(tmp_path):
    rng = np.random.default_rng(0)
    features = [rng.standard_normal((1200, n)) for n in (3, 4, 5)]
    bids = tmp_path / "bids"
    simulate_bids(bids, *features, t_r=1.5, n_subjects=1, resolution_mm=16)
    func, rows = "bids/sub-01/func/sub-01_task-film", []
    for n in (1, 2):
        space = f"{func}_run-{n}_space-MNI152NLin2009cAsym"
        image, mask = f"{space}_desc-preproc_bold.nii.gz", f"{space}_desc-brain_mask.nii.gz"
        rows.append(row(image, run=f"task-film_run-{n}", mask=mask, t_r=1.5, film_onset=6.0))
    mine = load_runs(write_table(tmp_path, rows))
    theirs = load_bids(bids, confounds=())
    np.testing.assert_array_equal(mine["bold"], theirs["bold"])
    np.testing.assert_array_equal(mine["mask"], theirs["mask"])
    assert mine.attrs["space"] == theirs.attrs["space"] == "MNI152NLin2009cAsym"
    for file in sorted((bids / "sub-01" / "func").glob("*_run-2_space-*")):
        file.rename(file.with_name(file.name.replace("_space-MNI152NLin2009cAsym", "")))
    renamed = rows[1] | {
        k: rows[1][k].replace("_space-MNI152NLin2009cAsym", "") for k in ("file", "mask")
    }
    some = load_runs(write_table(tmp_path, [rows[0], renamed]))
    assert "space" not in some.attrs, "one file names none"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file": "absent.npy"}, "absent.npy: no such file"),
        ({"t_r": 2000.0}, "bold.tsv: .*seconds"),
        ({"t_r": "fast"}, r"row 1: t_r is no number \('fast'\)"),
        ({"t_r": 1e-9}, "bold.tsv: t_r is 1e-09: no scanner is so fast"),
        ({"subject": None}, "'sub-' cannot be the name of a subject"),
        ({"subject": " "}, "'sub- ' cannot be the name of a subject"),
        ({"subject": "0\x011"}, r"'sub-0\\x011' cannot be .* has control characters. Rename it"),
        ({"run": "\x1b[2J"}, "cannot be the name of a subject, a run"),
        ({"stim_file": "a\x7f.mp4"}, "or a film: it is empty, or has control characters"),
        ({"film_onset": None}, "row 1: film_onset is no number"),
        ({"film_onset": 500.0}, "no volume was taken while the film was on"),
        ({"duration": 130.0}, "the scan ends 10.0 s before the film does"),
        ({"confounds": "short.txt"}, "short.txt: 5 rows, but the scan has 60 volumes"),
        ({"confounds": "nan.txt"}, "nan.txt: n/a among the confounds"),
        ({"confouds": "x"}, "unknown column confouds; did you mean confounds"),
        ({"file": "voxels.nii.gz"}, "an image of voxels needs a mask"),
        ({"file": "words.tsv"}, "column a holds words, not numbers"),
        ({"file": "flat.npy"}, r"needs numbers \(volumes × parcels\), holds \(60,\)"),
        ({"file": "broken.npy"}, "broken.npy: no readable numbers"),
        ({"file": "packed.npy"}, "packed.npy: no readable numbers"),
        ({"file": "two.h5"}, "two.h5: no readable numbers in it .2 tables"),
        ({"file": "nan.npy"}, "NaN in the BOLD of 1 voxels"),
        ({"file": "constant.npy"}, "every voxel of some run is constant"),
    ],
)
def test_bad_input_is_one_clear_line(tmp_path, series, change, message):
    write(tmp_path, series, ".tsv")
    np.savetxt(tmp_path / "short.txt", np.ones((5, 1)))
    np.savetxt(tmp_path / "nan.txt", np.full((60, 1), np.nan))
    nibabel.save(nibabel.Nifti1Image(np.ones((2, 2, 2, 60)), np.eye(4)), tmp_path / "voxels.nii.gz")
    pd.DataFrame({"a": ["x"] * 60}).to_csv(tmp_path / "words.tsv", sep="\t", index=False)
    np.save(tmp_path / "flat.npy", series[:, 0])
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY")
    np.savez(tmp_path / "packed.npz", series)
    (tmp_path / "packed.npz").rename(tmp_path / "packed.npy")
    with h5py.File(tmp_path / "two.h5", "w") as file:
        file["a"], file["b"] = series, series
    broken = series.copy()
    broken[3, 1] = np.nan
    np.save(tmp_path / "nan.npy", broken)
    np.save(tmp_path / "constant.npy", np.ones((60, 3)))
    table = write_table(tmp_path, [row("bold.tsv") | change])
    with pytest.raises(GibletError, match=message) as caught:
        load_runs(table)
    assert "\n" not in str(caught.value)


def test_what_a_table_leaves_out_has_its_default(tmp_path, series):
    write(tmp_path, series, ".tsv")
    arrays = load_runs(write_table(tmp_path, [row("bold.tsv", run=None, stim_file=None)]))
    assert set(arrays["run"].values) == {"run-1"}
    assert arrays.attrs["stim_file"] == "film"


def test_runs_must_agree(tmp_path, series):
    write(tmp_path, series, ".tsv")
    write(tmp_path, series[:, :2], ".npy")
    with pytest.raises(GibletError, match="two rows for one run: sub-01 run-1"):
        load_runs(write_table(tmp_path, [row("bold.tsv"), row("bold.tsv")]))
    with pytest.raises(GibletError, match="runs differ in t_r"):
        load_runs(write_table(tmp_path, [row("bold.tsv"), row("bold.tsv", "02", t_r=1.5)]))
    with pytest.raises(GibletError, match="parcels must be the same in every run"):
        load_runs(write_table(tmp_path, [row("bold.tsv"), row("bold.npy", "02")]))


def test_a_constant_subject_is_a_line_of_the_log(tmp_path, series, caplog):
    """Once, and with it what is unknown: the verb says all that it writes down."""
    files = {"01": series, "02": np.ones_like(series), "03": series - series.mean(axis=0)}
    rows = []
    for subject, values in files.items():
        np.save(tmp_path / f"{subject}.npy", values)
        rows.append(row(f"{subject}.npy", subject))
    load_bold(write_table(tmp_path, rows), tmp_path / "bold.nc", parse_config({}))
    assert caplog.messages[0] == "sub-02: constant in some run, left out"
    assert caplog.messages == warnings_of(load_arrays(tmp_path / "bold.nc").attrs)
    assert len(caplog.messages) == 2


def test_alice_is_read_and_her_constant_listener_left_out(shared, tmp_path):
    folder = shared / ALICE
    rows = []
    for file in sorted((folder / "10mm").glob("*.txt")):
        subject = file.name.split("-")[0]
        (motion,) = folder.glob(f"{subject}-rp*")
        times = {"n_dropped": 10, "film_onset": 0.0}
        rows.append(row(str(file), subject, confounds=str(motion), **times))
    assert len(rows) == 28
    arrays = load_runs(write_table(tmp_path, rows))
    assert arrays["bold"].sizes == {"volume": 27 * 362, "parcel": 6}
    assert "sub-s33: constant in some run, left out" in arrays.attrs["warnings"]


def test_a_start_time_in_milliseconds_is_doubted(series, tmp_path):
    write(tmp_path, series, ".tsv")
    for start_time, doubts in ((1.0, []), (20.0, ["start_time of its row is 20 s, a TR or more"])):
        (run,) = read_run_table(write_table(tmp_path, [row("bold.tsv", start_time=start_time)]))
        assert run.film_time[0] == start_time
        assert [line.split(": ")[1].split(" (")[0] for line in run.warnings] == doubts
