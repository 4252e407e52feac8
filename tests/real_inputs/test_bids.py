"""BIDS folders with fMRIPrep derivatives as people have them: right, or refused in one line."""

import gzip
import json
import tempfile
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from real_inputs.bids_folders import (
    BOLD,
    CONFOUNDS,
    FUNC,
    GRID,
    SPACE,
    STEM,
    bids,
    motion,
    move,
    noise,
    save_image,
    save_table,
)
from real_inputs.cases import Case, check, parametrized
from real_inputs.doctor_lines import check_doctor

from giblet.brain.bold import load_bids

EVENTS = f"sub-01/func/{STEM}_events.tsv"
DEEP = "derivatives/fmriprep"
NLIN6 = "space-MNI152NLin6Asym"


def read(given):
    """``given``: a folder, or a folder and options of `load_bids`."""
    folder, options = given if isinstance(given, tuple) else (given, {})
    return load_bids(folder, **options)


def is_right(scans):
    """One subject or more, all volumes, the film from second 6 on."""
    n = scans.sizes["volume"] // len(set(scans["subject"].values))
    assert scans["film_time"].values[:3].tolist() == [-6.0, -4.0, -2.0]
    assert n == 40
    assert np.isfinite(scans["bold"].values).all()
    assert scans["in_film"].values[:40].tolist() == [False] * 3 + [True] * 30 + [False] * 7


def labelled(name):
    def right(scans):
        is_right(scans)
        assert set(scans["run"].values) == {name}

    return right


def parcels(*names):
    def right(scans):
        is_right(scans)
        assert scans["parcel"].values.tolist() == list(names)

    return right


def same_as(make, atol=1e-3):
    """BOLD equal to that of the data set that ``make`` writes."""

    def right(scans):
        with tempfile.TemporaryDirectory() as folder:
            expected = read(make(Path(folder)))
        np.testing.assert_allclose(scans["bold"].values, expected["bold"].values, atol=atol)
        is_right(scans)

    return right


# --- scrubbing -------------------------------------------------------------------------------


def moving(folder, strategy=("motion", "scrub"), rows=slice(20, 25), n=40):
    """An artefact where the head moved."""
    table = motion(n)
    for name in list(table):
        for ending in ("_derivative1", "_power2", "_derivative1_power2"):
            table[name + ending] = 0.0
    table = table.assign(framewise_displacement=0.05, std_dvars=1.0)
    table.loc[table.index[rows], "framewise_displacement"] = 5.0
    values = noise(n)
    values[..., rows] += 500
    return bids(folder, confounds=table, values=values), {"strategy": strategy}


def scrubbed(scans):
    assert np.flatnonzero(~scans["in_film"].values).tolist() == [
        0, 1, 2, 20, 21, 22, 23, 24, *range(33, 40),
    ]  # fmt: skip
    assert np.flatnonzero(scans["scrubbed"].values).tolist() == [20, 21, 22, 23, 24]
    assert not scans["bold"].values[20:25].any()
    assert np.abs(scans["bold"].values).max() < 60  # the artefact reaches no other volume
    assert scans["film_time"].values[20] == 34.0


SCRUBBING = [
    Case(
        "scrub takes volumes out of the film and of the cleaning",
        moving,
        scrubbed,
        "nilearn/nilearn#3193, SIMEXP/load_confounds#132",
        rf"^{STEM}: 5 of 30 volumes of the film scrubbed",
    ),
    Case(
        "scrub alone, without confounds",
        partial(moving, strategy=("scrub",)),
        scrubbed,
        "SIMEXP/load_confounds#142",
        "5 of 30 volumes of the film scrubbed",
    ),
    Case(
        "scrub where nothing moved changes nothing",
        partial(moving, rows=slice(0, 0)),
        same_as(partial(moving, rows=slice(0, 0), strategy=("motion",))),
        "SIMEXP/load_confounds#142",
        "24 confounds of 40 volumes",
    ),
    Case(
        "scrub of every volume",
        partial(moving, rows=slice(0, 40)),
        "scrub leaves no volume of the film; take it out of scan.confound_strategy",
        "juaml/junifer#421",
    ),
    Case(
        "without scrub the artefact stays",
        partial(moving, strategy=("motion",)),
        lambda scans: is_right(scans) or np.testing.assert_array_less(200, scans["bold"].max()),
        "nilearn/nilearn#3193",
        "24 confounds of 40 volumes: regressing them out leaves less than half",
    ),
]


# --- confounds -------------------------------------------------------------------------------


def with_confounds(folder, strategy=(), confounds=None, **columns):
    table = motion().assign(**columns)
    for name, rows in (confounds or {}).items():
        table.loc[rows, name] = np.nan
    options = {"strategy": strategy} if strategy else {}
    return bids(folder, confounds=table), options


def upper_confounds(folder, strategy=()):
    bids(folder)
    move(folder, f"{FUNC}/{CONFOUNDS}.tsv", f"{DEEP}/sub-01/{CONFOUNDS}.tsv")
    table = pd.read_csv(folder / DEEP / "sub-01" / f"{CONFOUNDS}.tsv", sep="\t")
    table = table.assign(csf=np.sin(np.arange(40)), white_matter=np.cos(np.arange(40) ** 2))
    save_table(folder / DEEP / "sub-01" / f"{CONFOUNDS}.tsv", table)
    return folder, {"strategy": strategy} if strategy else {}


def nonsteady(folder):
    """Two dummy volumes, whose confounds are n/a."""
    dummies = {f"non_steady_state_outlier0{k}": (np.arange(40) == k).astype(int) for k in (0, 1)}
    return with_confounds(folder, confounds={"trans_x": [0, 1]}, **dummies)


def two_dropped(scans):
    assert scans["film_time"].values[:2].tolist() == [-2.0, 0.0]
    assert scans.sizes["volume"] == 38


TISSUE = {"csf": np.sin(np.arange(40.0)), "white_matter": 500.0 + np.arange(40) % 7}
CONFOUND_ROWS = [
    Case(
        "a column of the strategy all n/a",
        partial(with_confounds, strategy=("wm_csf",), **TISSUE | {"csf": np.nan}),
        rf"{CONFOUNDS}.tsv: n/a among the confounds: column csf, every volume",
        "nipreps/fmriprep#2209",
    ),
    Case(
        "one n/a in a column of the strategy",
        partial(with_confounds, strategy=("wm_csf",), confounds={"csf": [17]}, **TISSUE),
        rf"{CONFOUNDS}.tsv: n/a among the confounds: column csf, 1 of 40 volumes",
        "nipreps/fmriprep#1455",
    ),
    Case(
        "one n/a in a named column",
        partial(with_confounds, confounds={"rot_y": [17]}),
        r"column rot_y, 1 of 40 volumes; correct the table, or take other confounds",
        "nipreps/fmriprep#1455",
    ),
    Case(
        "n/a in the first row of derivatives",
        partial(with_confounds, confounds={"rot_y": [0], "trans_x": [0]}),
        is_right,
        "nipreps/fmriprep#2172",
    ),
    Case(
        "n/a in the first row by a strategy",
        partial(with_confounds, strategy=("wm_csf",), confounds={"csf": [0]}, **TISSUE),
        is_right,
        "nipreps/fmriprep#2172",
    ),
    Case(
        "non-steady volumes, n/a in them",
        nonsteady,
        two_dropped,
        "SIMEXP/load_confounds#26",
    ),
    Case(
        "every volume non-steady",
        partial(with_confounds, non_steady_state_outlier00=1),
        "non_steady_state_outlier columns mark every volume; correct the table",
        "SIMEXP/load_confounds#26",
    ),
    Case(
        "a non-steady volume behind steady ones",
        partial(with_confounds, non_steady_state_outlier00=(np.arange(40) == 20).astype(int)),
        r"columns mark volume 20 \(the first is 0\), which comes after steady ones",
        "SIMEXP/load_confounds#26",
    ),
    Case(
        "confounds at the subject's level",
        upper_confounds,
        is_right,
        "BIDS specification, inheritance principle",
    ),
    Case(
        "confounds at the subject's level, by a strategy",
        partial(upper_confounds, strategy=("wm_csf",)),
        is_right,
        "nilearn/nilearn#3792",
    ),
    Case(
        "regressors, as before fMRIPrep 20.2",
        lambda folder: move(
            bids(folder), f"{FUNC}/{CONFOUNDS}.tsv", f"{FUNC}/{STEM}_desc-confounds_regressors.tsv"
        ),
        is_right,
        "SIMEXP/load_confounds#73",
    ),
    Case(
        "a run too short for cosines, strategy high_pass",
        partial(with_confounds, strategy=("high_pass", "wm_csf"), **TISSUE),
        is_right,
        "nilearn/nilearn#3816",
    ),
    Case(
        "motion all 0",
        lambda folder: bids(folder, confounds=motion() * 0),
        is_right,
        "nipreps/fmriprep#2360",
    ),
    Case(
        "strategy with dir-, run-, part- and res- in the name",
        lambda folder: (
            bids(
                folder,
                entities="_dir-ap_run-1_part-mag",
                events_entities="_dir-ap_run-1",
                space=f"{SPACE}_res-2",
                confounds=motion().assign(**TISSUE),
            ),
            {"strategy": ("wm_csf",)},
        ),
        labelled("task-movie_dir-ap_run-1_part-mag"),
        "nilearn/nilearn#3792",
    ),
]


# --- where files lie -------------------------------------------------------------------------


def beside(folder, name, content, **options):
    """A data set with one file more, in the folder of the BOLD or as a path from the top."""
    bids(folder, **options)
    path = folder / name if "/" in name else folder / FUNC / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return folder


def side(**keys):
    return json.dumps(keys).encode()


def inherited_sidecar(folder):
    """TR at the root, StartTime beside the image, which wins over the root's."""
    bids(folder, sidecar={"StartTime": 0.0})
    name = f"task-movie_{SPACE}_desc-preproc_bold.json"
    (folder / DEEP / name).write_bytes(side(RepetitionTime=2.0, StartTime=1.0))
    return folder


def wrong_at_the_root(folder):
    """The nearest sidecar wins."""
    bids(folder)
    (folder / DEEP / "task-movie_bold.json").write_bytes(side(RepetitionTime=9.0, StartTime=9.0))
    (folder / DEEP / "task-other_bold.json").write_text("no JSON, of another task")
    return folder


def moved_out(folder, derivative, raw):
    return bids(folder / "all", derivative=derivative, raw=raw) / derivative


def linked(folder):
    """The description names the raw data, as fMRIPrep 24 writes it."""
    bids(folder / "a" / "b" / "derived", derivative=".", raw="../../../elsewhere/raw-data")
    raw = str((folder / "elsewhere" / "raw-data").resolve())
    (folder / "a/b/derived/dataset_description.json").write_bytes(side(DatasetLinks={"raw": raw}))
    return folder / "a" / "b" / "derived"


def named_raw(folder):
    bids(folder / "a" / "b" / "derived", derivative=".", raw="../../../elsewhere/raw-data")
    return folder / "a/b/derived", {"raw": folder / "elsewhere/raw-data"}


def twice(folder, first, second):
    bids(folder, derivative=first)
    return bids(folder, derivative=second, raw="again")


def hidden(folder):
    """What macOS writes beside every file on a disk that is not its own."""
    bids(folder, subjects=("01", "02"))
    for path in list(folder.rglob("sub-0*")):
        if path.is_file():
            (path.parent / f"._{path.name}").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        ")
    (folder / "derivatives" / "._fmriprep").write_bytes(b"\0\5\x16\7")
    return folder


def figures(folder):
    """What else fMRIPrep writes."""
    bids(folder)
    top = folder / DEEP
    (top / "sub-01.html").write_text("<html>")
    (top / "sub-01" / "figures").mkdir()
    (top / "sub-01" / "figures" / f"{STEM}_desc-validation_bold.html").write_text("")
    (top / "sub-01" / "log").mkdir()
    (top / "logs").mkdir()
    for name in (f"{STEM}_{SPACE}_boldref.nii.gz", f"{STEM}_space-T1w_desc-preproc_bold.nii.gz"):
        (folder / FUNC / name).write_bytes(b"")
    return folder


def sessions(folder):
    """Events and sidecar at the level of the session."""
    bids(folder)
    for top in (folder, folder / DEEP):
        move(top, "sub-01/func", "sub-01/ses-1/func")
        for path in list((top / "sub-01/ses-1/func").iterdir()):
            name = path.name.replace("sub-01_", "sub-01_ses-1_")
            above = path.suffix == ".json" or name.endswith("_events.tsv")
            path.rename((path.parents[1] if above else path.parent) / name)
    return folder


NEAR = "BIDS specification, inheritance principle"
LAYOUTS = [
    Case("plain", bids, is_right, "nilearn/nilearn#4280"),
    Case(
        "events at the root of the data set",
        lambda folder: move(bids(folder), EVENTS, "task-movie_events.tsv"),
        is_right,
        "bids-standard/legacy-validator#187",
    ),
    Case(
        "events at the subject's level",
        lambda folder: move(bids(folder), EVENTS, f"sub-01/{STEM}_events.tsv"),
        is_right,
        "bids-standard/pybids#103",
    ),
    Case(
        "events at the root and beside: the nearest",
        lambda folder: beside(folder, "./task-movie_events.tsv", b"onset\tduration\n30\t9\n"),
        is_right,
        "nilearn/nistats#377",
    ),
    Case(
        "events of another run and task are not taken",
        lambda folder: beside(
            folder, "sub-01/func/sub-01_task-rest_events.tsv", b"onset\tduration\n30\t9\n"
        ),
        is_right,
        "nilearn/nistats#377",
    ),
    Case("sidecars are merged from above", inherited_sidecar, is_right, "cpp-lln-lab/bidspm#965"),
    Case("the nearest sidecar wins", wrong_at_the_root, is_right, "bids-standard/pybids#530"),
    Case(
        "a less specific sidecar in the same folder",
        lambda folder: beside(folder, f"{STEM}_bold.json", side(RepetitionTime=9.0)),
        is_right,
        "bids-standard/pybids#1044",
    ),
    Case(
        "sidecar at the subject's level",
        lambda folder: move(bids(folder), f"{FUNC}/{BOLD}.json", f"{DEEP}/sub-01/{BOLD}.json"),
        is_right,
        "bids-standard/pybids#339",
    ),
    Case(
        "sidecar and events at the session's level",
        sessions,
        labelled("ses-1_task-movie"),
        "bids-standard/pybids#339",
    ),
    Case(
        "sidecar with a byte order mark",
        lambda folder: beside(
            folder, f"{BOLD}.json", b"\xef\xbb\xbf" + side(RepetitionTime=2.0, StartTime=0)
        ),
        is_right,
        "nipreps/fmriprep#1190",
    ),
    Case(
        "events with a byte order mark and CRLF",
        lambda folder: beside(
            folder,
            EVENTS,
            b"\xef\xbb\xbfonset\tduration\tstim_file\r\n6\t60\tfilms/film.mp4\r\n",
        ),
        is_right,
        "bids-standard/legacy-validator#1363",
    ),
    Case(
        "raw in sourcedata/raw of the derivatives",
        partial(moved_out, derivative="fmriprep", raw="fmriprep/sourcedata/raw"),
        is_right,
        "poldracklab/ds003-post-fMRIPrep-analysis#6",
    ),
    Case(
        "raw next to the derivatives",
        partial(moved_out, derivative="fmriprep", raw="raw"),
        is_right,
        "cpp-lln-lab/bidspm#798",
    ),
    Case(
        "raw two levels above",
        partial(moved_out, derivative="derivatives/x", raw="."),
        is_right,
        "nilearn/nilearn#4280",
    ),
    Case("raw linked in the description", linked, is_right, "nipreps/fmriprep#3252"),
    Case("raw named in the config", named_raw, is_right, "cpp-lln-lab/bidspm#798"),
    Case(
        "raw nowhere",
        lambda folder: named_raw(folder)[0],
        r"_events.tsv: no such file; .* set scan.raw to the BIDS data set",
        "cpp-lln-lab/bidspm#798",
    ),
    Case(
        "raw named that is not there",
        lambda folder: (bids(folder), {"raw": folder / "gone"}),
        "gone: no such folder; scan.raw is the BIDS data set",
        "cpp-lln-lab/bidspm#798",
    ),
    Case(
        "output layout bids, the data set given",
        partial(bids, derivative="derivatives"),
        is_right,
        "nilearn/nilearn#4280",
    ),
    Case(
        "output layout bids, derivatives given",
        lambda folder: bids(folder, derivative="derivatives") / "derivatives",
        is_right,
        "nilearn/nilearn#4280",
    ),
    Case(
        "derivatives of a version, the data set given",
        partial(bids, derivative="derivatives/fmriprep-23.1.3"),
        is_right,
        "nilearn/nilearn#3792",
    ),
    Case(
        "derivatives of two versions",
        partial(twice, first="derivatives/fmriprep-20.2.0", second="derivatives/fmriprep-23.1.3"),
        r"several derivatives have BOLD \(derivatives/fmriprep-20.2.0, derivatives/fmriprep-23",
        "nilearn/nilearn#3792",
    ),
    Case(
        "fmriprep beside others",
        partial(twice, first=DEEP, second="derivatives/xcp_d"),
        is_right,
        "nipreps/fmriprep#1124",
    ),
    Case("hidden files of macOS", hidden, is_right, "OpenNeuroOrg/openneuro#2520"),
    Case("figures, logs, T1w images and references", figures, is_right, "nipreps/fmriprep#2417"),
    Case(
        "run-01 in the raw data, run-1 in the derivatives",
        partial(bids, entities="_run-1", events_entities="_run-01"),
        labelled("task-movie_run-1"),
        "bids-standard/pybids#819, nipreps/fmriprep#2655",
    ),
    Case(
        "acq- and dir- in the name",
        partial(bids, entities="_acq-mb_dir-AP_run-2"),
        labelled("task-movie_acq-mb_dir-AP_run-2"),
        NEAR,
    ),
    Case(
        "part-mag in the BOLD alone",
        partial(bids, entities="_part-mag", events_entities=""),
        labelled("task-movie_part-mag"),
        "nipy/heudiconv#849",
    ),
    Case(
        "phase beside magnitude",
        lambda folder: beside(
            folder,
            f"{STEM}_part-phase_{SPACE}_desc-preproc_bold.nii.gz",
            b"never opened",
            entities="_part-mag",
            events_entities="",
        ),
        labelled("task-movie_part-mag"),
        "bids-standard/pybids#1032",
    ),
    Case(
        "phase alone",
        partial(bids, entities="_part-phase", events_entities=""),
        "there: desc-preproc, part-phase. giblet reads desc-preproc magnitude images",
        "bids-standard/pybids#1032",
    ),
    Case(
        "echo-2 in the BOLD alone",
        partial(bids, entities="_echo-2", events_entities=""),
        labelled("task-movie_echo-2"),
        "nipy/heudiconv#849",
        "task-movie_echo-2: echo 2 alone is read; of a run with several echoes take",
    ),
    Case(
        "single echoes beside their combination",
        lambda folder: beside(
            folder, f"{STEM}_echo-1_{SPACE}_desc-preproc_bold.nii.gz", b"never opened"
        ),
        labelled("task-movie"),
        "nipreps/fmriprep#3362",
    ),
    Case(
        "single echoes alone",
        lambda folder: beside(
            folder,
            f"{STEM}_echo-1_{SPACE}_desc-preproc_bold.nii.gz",
            b"never opened",
            entities="_echo-2",
        ),
        "single echoes of one run .*; keep the combination",
        "nipreps/fmriprep#2844",
    ),
]


# --- spaces and descriptions -----------------------------------------------------------------


def renamed(folder, old, new):
    bids(folder)
    for path in list(folder.rglob(f"*{old}*")):
        path.rename(path.with_name(path.name.replace(old, new)))
    return folder


def two_grids(folder, **options):
    """The native resolution, and res-2."""
    bids(folder)
    for path in list((folder / FUNC).glob(f"*{SPACE}*")):
        other = path.with_name(path.name.replace(SPACE, f"{SPACE}_res-2"))
        other.write_bytes(path.read_bytes())
    return folder, options


SPACES = [
    Case(
        "only MNI152NLin6Asym",
        partial(bids, space=NLIN6),
        r"spaces there: MNI152NLin6Asym. Set scan.space to one of them, or run fMRIPrep with "
        r"--output-spaces MNI152NLin2009cAsym",
        "nilearn/nilearn#4280",
    ),
    Case(
        "MNI152NLin6Asym, named",
        lambda folder: (bids(folder, space=NLIN6), {"space": "MNI152NLin6Asym"}),
        is_right,
        "nilearn/nilearn#4280",
    ),
    Case(
        "MNI152NLin6Asym:res-2, named",
        lambda folder: (bids(folder, space=f"{NLIN6}_res-2"), {"space": "MNI152NLin6Asym:res-2"}),
        is_right,
        "nilearn/nilearn#3792",
    ),
    Case(
        "one resolution, the space named",
        lambda folder: (bids(folder, space=f"{NLIN6}_res-2"), {"space": "MNI152NLin6Asym"}),
        is_right,
        "nilearn/nilearn#3792",
    ),
    Case(
        "res-02 in the files, res-2 named",
        lambda folder: (bids(folder, space=f"{NLIN6}_res-02"), {"space": "MNI152NLin6Asym:res-2"}),
        is_right,
        "nipreps/fmriprep#3270",
    ),
    Case("res-2", partial(bids, space=f"{SPACE}_res-2"), is_right, "nilearn/nilearn#3792"),
    Case(
        "res-native", partial(bids, space=f"{SPACE}_res-native"), is_right, "nipreps/fmriprep#512"
    ),
    Case(
        "two resolutions",
        two_grids,
        "two files for one run.* or set scan.space to one of MNI152NLin2009cAsym, "
        "MNI152NLin2009cAsym:res-2",
        "nipreps/fmriprep#512",
    ),
    Case(
        "two resolutions, one named",
        partial(two_grids, space="MNI152NLin2009cAsym:res-2"),
        is_right,
        "nipreps/fmriprep#512",
    ),
    Case(
        "two resolutions, the native named",
        partial(two_grids, space="MNI152NLin2009cAsym"),
        is_right,
        "nipreps/fmriprep#512",
    ),
    Case(
        "a space of one subject",
        lambda folder: (bids(folder), {"space": "T1w"}),
        "scan.space: 'T1w' is no template that subjects share",
        "nilearn/nilearn#4280",
    ),
    Case(
        "only xcp_d's desc-denoised",
        partial(renamed, old="desc-preproc", new="desc-denoised"),
        "there: desc-denoised. .* name others in a table of runs",
        "PennLINC/xcp_d#967",
    ),
    Case(
        "only fMRIPrep's desc-smoothAROMAnonaggr",
        partial(renamed, old="desc-preproc", new="desc-smoothAROMAnonaggr"),
        "there: desc-smoothAROMAnonaggr. .* name others in a table of runs .*n_dropped",
        "nipreps/fmriprep#1455",
    ),
    Case(
        "desc-smoothAROMAnonaggr beside desc-preproc",
        lambda folder: beside(
            folder, f"{STEM}_{SPACE}_desc-smoothAROMAnonaggr_bold.nii.gz", b"never opened"
        ),
        is_right,
        "nipreps/fmriprep#1455",
    ),
    Case(
        "only fMRIPost-AROMA's desc-nonaggrDenoised",
        partial(renamed, old="desc-preproc", new="desc-nonaggrDenoised"),
        "there: desc-nonaggrDenoised. .* name others in a table of runs",
        "nipreps/fmripost-aroma",
    ),
    Case(
        "only Halfpipe's setting-a",
        partial(renamed, old=f"{SPACE}_desc-preproc", new="setting-a"),
        "there: setting-a. .* name others in a table of runs",
        "HALFpipe/HALFpipe",
    ),
    Case(
        "images without a space",
        partial(renamed, old=f"_{SPACE}", new=""),
        "no BOLD file .*; there: desc-preproc. giblet reads .* images in a template's space",
        "SIMEXP/load_confounds#69",
    ),
    Case(
        "names of fMRIPrep 1.0",
        partial(renamed, old=f"{SPACE}_desc-preproc_bold", new=f"bold_{SPACE}_preproc"),
        r"there: \*_preproc.nii.gz. giblet reads desc-preproc .* of fMRIPrep 1.2 or later",
        "nipreps/fmriprep#356",
    ),
]


# --- times -----------------------------------------------------------------------------------


def two_t_rs(folder, other):
    bids(folder, subjects=("01", "02"))
    (path,) = folder.glob("derivatives/fmriprep/sub-02/func/*_bold.json")
    path.write_bytes(side(RepetitionTime=other, StartTime=0.0))
    return folder


def milliseconds(folder, unit):
    bids(folder)
    path = folder / FUNC / f"{BOLD}.nii.gz"
    image = nibabel.load(path)
    image.header.set_zooms((3, 3, 3, 2000.0))
    image.header.set_xyzt_units("mm", unit)
    nibabel.Nifti1Image(np.asarray(image.dataobj), None, image.header).to_filename(path)
    return folder


def sidecar_away(folder, raw):
    """The sidecar of the raw data alone has the TR."""
    bids(folder, sidecar={"StartTime": 0.0}, header_t_r=1.0)
    (folder / f"sub-01/func/{STEM}_bold.json").write_bytes(raw)
    return folder


def both_timings(folder, step=2.0, begin=0.0):
    """RepetitionTime 2 s, and the time of each volume."""
    times = [begin + step * k for k in range(40)]
    return bids(folder, sidecar={"RepetitionTime": 2.0, "VolumeTiming": times, "StartTime": 0.0})


TIMES = [
    Case("RepetitionTime and VolumeTiming alike", both_timings, is_right, "BIDS: exclusive keys"),
    Case(
        "RepetitionTime and VolumeTiming that disagree",
        partial(both_timings, step=1.5),
        "VolumeTiming: volumes are 1.5 s apart, but RepetitionTime is 2 s; delete the wrong one",
        "BIDS: exclusive keys",
    ),
    Case(
        "RepetitionTime and VolumeTiming from 4 s on",
        partial(both_timings, begin=4.0),
        lambda scans: np.testing.assert_allclose(scans["film_time"][:2], [-2.0, 0.0]),
        "BIDS: exclusive keys",
    ),
    Case("TRs that differ by 1e-6 s", partial(two_t_rs, other=2.000001), is_right, "dcm2niix#911"),
    Case(
        "TRs that differ",
        partial(two_t_rs, other=2.001),
        r"runs differ in t_r \(2.0 in .*; 2.001 in ",
        "rordenlab/dcm2niix#911",
    ),
    Case(
        "another TR in the header",
        partial(bids, header_t_r=1.5),
        is_right,
        "bids-standard/legacy-validator#34, OpenNeuroOrg/openneuro#3157",
        r"desc-preproc_bold.nii.gz: TR 1.5 s in its header, 2 s in the sidecar, which is used",
    ),
    Case(
        "header of 1 s, as of programs that forget the TR",
        partial(bids, header_t_r=1.0),
        is_right,
        "nipreps/fmriprep#3216, PennLINC/xcp_d#967",
    ),
    Case(
        "header of 0 s",
        partial(bids, header_t_r=0.0),
        is_right,
        "nipreps/fmriprep#3270",
    ),
    Case("header in ms", partial(milliseconds, unit="msec"), is_right, "nipreps/niworkflows#679"),
    Case(
        "header in ms that says s",
        partial(milliseconds, unit="sec"),
        is_right,
        "nipreps/fmriprep#1725",
    ),
    Case(
        "regular VolumeTiming",
        partial(bids, sidecar={"VolumeTiming": [2.0 * k for k in range(40)], "StartTime": 0.0}),
        is_right,
        "nipreps/fmriprep#2193",
    ),
    Case(
        "irregular VolumeTiming",
        partial(bids, sidecar={"VolumeTiming": [2.0 * k + k % 3 for k in range(40)]}),
        r"VolumeTiming: volumes are 0 to 3 s apart \(sparse sampling\?\)",
        "nipreps/fmriprep#2193",
    ),
    Case(
        "VolumeTiming of other volumes",
        partial(bids, sidecar={"VolumeTiming": [0.0, 2.0]}),
        "VolumeTiming: 2 times, but the scan has 40 volumes",
        "nipreps/fmriprep#2193",
    ),
    Case(
        "no RepetitionTime",
        partial(bids, sidecar={}),
        'TR missing from the sidecar; add "RepetitionTime" in seconds; the image\'s header has 2 s',
        "nipreps/fmriprep#1190",
    ),
    Case(
        "RepetitionTime in the raw data alone",
        partial(sidecar_away, raw=side(RepetitionTime=2.0)),
        is_right,
        "cpp-lln-lab/bidspm#189",
        r"its TR is that of the raw data \(.*task-movie_bold.json\)",
    ),
    Case(
        "RepetitionTime in ms",
        partial(bids, sidecar={"RepetitionTime": 2000}),
        "RepetitionTime or StartTime: t_r is 2000.0: that looks like milliseconds",
        "bids-standard/legacy-validator#1363",
    ),
    Case(
        "RepetitionTime as text",
        partial(bids, sidecar={"RepetitionTime": "2.0", "StartTime": 0}),
        is_right,
        "bids-standard/legacy-validator#1363",
    ),
    Case(
        "StartTime null",
        partial(bids, sidecar={"RepetitionTime": 2.0, "StartTime": None}),
        is_right,
        "JSON's null for n/a",
        "no StartTime, taken as 0 s$",
    ),
    Case(
        "StartTime in milliseconds",
        partial(bids, sidecar={"RepetitionTime": 2.0, "StartTime": 50}),
        lambda bold: np.testing.assert_allclose(bold["film_time"][0], 44.0),
        "BIDS: StartTime is in seconds",
        r"StartTime is 50 s, a TR or more \(2 s\)",
    ),
    Case(
        "slice timing corrected, no StartTime",
        partial(bids, sidecar={"RepetitionTime": 2.0, "SliceTimingCorrected": True}),
        is_right,
        "nipreps/fmriprep#2477",
        "no StartTime, taken as 0 s; slice timing was corrected: by fMRIPrep to half a TR",
    ),
    Case(
        "no StartTime",
        partial(bids, sidecar={"RepetitionTime": 2.0}),
        is_right,
        "nipreps/fmriprep#2193",
        "no StartTime, taken as 0 s",
    ),
]


# --- images ----------------------------------------------------------------------------------

LABELS = np.repeat(np.arange(1, 5, dtype=np.int16), 16).reshape(4, 4, 4)


def with_atlas(folder, labels=LABELS, affine=GRID):
    bids(folder)
    save_image(folder / "atlas.nii.gz", labels, affine)
    return folder, {"parcellation": folder / "atlas.nii.gz"}


def stored(folder, change):
    """A data set whose image of BOLD ``change`` stores otherwise: (image, path) → None."""
    bids(folder)
    path = folder / FUNC / f"{BOLD}.nii.gz"
    change(nibabel.load(path), path)
    return folder


def as_dtype(dtype, image, path):
    header = image.header.copy().as_byteswapped(">") if dtype.startswith(">") else None
    values = np.rint(image.get_fdata()).astype(dtype)
    nibabel.Nifti1Image(values, image.affine, header, dtype=dtype).to_filename(path)


def with_slope(slope, inter, image, path):
    """Slope and intercept in the header's bytes, which nibabel would not write."""
    values = np.rint(
        image.get_fdata() if slope != 0.01 else (image.get_fdata() - inter) / slope
    ).astype(np.int16)
    plain = nibabel.Nifti1Image(values, image.affine)
    content = bytearray(plain.to_bytes())
    content[112:120] = np.array([slope, inter], "<f4").tobytes()
    path.write_bytes(gzip.compress(bytes(content), 1))


def packed(tail, image, path):
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content, 1) + tail)


def members(image, path):
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content[:5000]) + gzip.compress(content[5000:]))


def flipped(image, path):
    """Left to right: the same values at the same places in mm."""
    values, affine = image.get_fdata()[::-1], image.affine.copy()
    affine[0] = [-3, 0, 0, 9]
    save_image(path, values.astype(np.float32), affine)
    mask = path.with_name(path.name.replace("preproc_bold", "brain_mask"))
    save_image(mask, np.ones((4, 4, 4), np.uint8), affine)


def reshaped(shape, image, path):
    save_image(path, np.asarray(image.dataobj).reshape(shape))


def flat_mask(folder):
    return bids(folder, mask=np.ones((4, 4, 4, 1), np.uint8))


def codes_zero(image, path):
    image.header["sform_code"] = image.header["qform_code"] = 0
    plain = nibabel.Nifti1Image(np.asarray(image.dataobj), None, image.header)
    plain.header["sform_code"] = plain.header["qform_code"] = 0
    plain.to_filename(path)
    mask = path.with_name(path.name.replace("preproc_bold", "brain_mask"))
    save_image(mask, np.ones((4, 4, 4), np.uint8), nibabel.load(path).affine)


def two_people(folder, affine=GRID, shape=(4, 4, 4), parcellation=None):
    """The second's images lie on another grid."""
    bids(folder, subjects=("01", "02"))
    for path in folder.glob("derivatives/fmriprep/sub-02/func/*.nii.gz"):
        values = noise(shape=shape) if "bold" in path.name else np.ones(shape, np.uint8)
        save_image(path, values, affine)
    if parcellation is None:
        return folder
    save_image(folder / "atlas.nii.gz", parcellation)
    return folder, {"parcellation": folder / "atlas.nii.gz"}


def unfetched(folder, name, how):
    """A file whose content lies elsewhere still."""
    bids(folder)
    path = folder / name
    path.unlink()
    if how == "link":
        path.symlink_to("../../../../.git/annex/objects/xx/yy/MD5E-s9--0.gz/MD5E-s9--0.gz")
    elif how == "broken":
        path.symlink_to("../../gone.nii.gz")
    else:
        path.write_text(how)
    return folder


def bold_alone_unpacked(folder):
    packed = bids(folder) / FUNC / f"{BOLD}.nii.gz"
    packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    return folder


def unpacked(folder):
    bids(folder)
    path = folder / FUNC / f"{BOLD}.nii.gz"
    path.write_bytes(gzip.decompress(path.read_bytes()))
    return folder


def stopped(folder, last):
    """From volume 26 on nothing was scanned: all that, or copies of volume 25."""
    values = noise()
    values[..., 26:] = values[..., 25:26] if last is None else last
    return bids(folder, values=values)


def feat(folder):
    (folder / "a.feat").mkdir()
    save_image(folder / "a.feat/filtered_func_data.nii.gz", noise())
    save_image(folder / "a.feat/mask.nii.gz", np.ones((4, 4, 4), np.uint8))
    return folder / "a.feat"


SMALL = np.diag([3.0, 3.0, 3.002, 1.0])
OTHER_GRID = "its image or mask has another grid .*; resample them to one"
PLAIN = same_as(bids)


def with_header(image, path, time="sec", zoom=2.0, **fields):
    """The image with fields of its header set."""
    image = nibabel.Nifti1Image(image.get_fdata(dtype=np.float32), image.affine)
    image.header.set_zooms((3, 3, 3, zoom))
    image.header.set_xyzt_units("mm", time)
    for name, value in fields.items():
        image.header[name] = value
    image.to_filename(path)


def as_int16(image, path, times, keep=None):
    """Values that are too large for 16 bits; ``keep`` of their bits wrap round, else cut off."""
    values = image.get_fdata() * times
    values = values.astype(int) if keep else np.clip(values, 0, 32767)
    nibabel.Nifti1Image(values.astype(np.int16), image.affine).to_filename(path)


def moved(image, path):
    qform = image.affine.copy()
    qform[0, 3] += 50
    image.set_sform(image.affine, 1)
    image.set_qform(qform, 1)
    image.to_filename(path)


IMAGES = [
    Case(
        "a qform that is not the sform",
        partial(stored, change=moved),
        is_right,
        "NIfTI-1: the sform goes first in nibabel",
    ),
    Case(
        "a header whose first volume is at 20 s",
        partial(stored, change=partial(with_header, toffset=20.0)),
        is_right,
        "NIfTI-1: toffset",
        r"_bold.nii.gz: its first volume is at 20 s by its header, which is not used",
    ),
    Case(
        "a first volume at half a TR, as after slice timing",
        partial(stored, change=partial(with_header, toffset=1.0)),
        is_right,
        "NIfTI-1: toffset",
    ),
    Case(
        "a fourth axis in Hz",
        partial(stored, change=partial(with_header, time="hz", zoom=0.5)),
        is_right,
        "NIfTI-1: xyzt_units",
    ),
    Case(
        "16-bit integers that wrapped",
        partial(stored, change=partial(as_int16, times=33, keep=16)),
        is_right,
        "int16 overflow: astype of numpy wraps",
        r"6\d voxels jump by more than 32767: values above it were stored as negative 16-bit",
    ),
    Case(
        "16-bit integers that were cut off",
        partial(stored, change=partial(as_int16, times=33)),
        is_right,
        "int16 overflow: converters that cut off",
        r"6\d voxels are at a limit of 16-bit integers \(-32768 to 32767\)",
    ),
    Case(
        "16-bit integers that are large enough",
        partial(stored, change=partial(as_int16, times=30)),
        is_right,
        "int16 overflow: converters that cut off",
    ),
    Case(
        "a mask of 40 volumes",
        partial(bids, mask=np.ones((4, 4, 4, 40), np.uint8)),
        "_mask.nii.gz: must be one volume of voxels, .*; save one of its volumes",
        "nilearn: 4-D masks",
    ),
    Case(
        "a mask that was scaled to 1.0000001",
        partial(bids, mask=np.full((4, 4, 4), 1.0000001, np.float32)),
        is_right,
        "nibabel: scl_slope 1/255",
    ),
    Case(
        "a mask that is NaN outside",
        partial(bids, mask=np.where(LABELS > 1, 1, np.nan).astype(np.float32)),
        is_right,
        "AFNI, SPM: NaN outside the brain",
    ),
    Case(
        "a mask that is -1 outside",
        partial(bids, mask=np.where(LABELS > 1, 1, -1).astype(np.int16)),
        is_right,
        "FSL: masks of differences",
    ),
    Case(
        "atlas of shape (i, j, k, 1)",
        partial(with_atlas, labels=LABELS[..., None]),
        parcels(1, 2, 3, 4),
        "nilearn: fetch_atlas_yeo_2011",
    ),
    Case("mask of shape (i, j, k, 1)", flat_mask, is_right, "nilearn: fetch_atlas_yeo_2011"),
    Case(
        "BOLD of shape (i, j, k, 1, n)",
        partial(stored, change=partial(reshaped, (4, 4, 4, 1, 40))),
        PLAIN,
        "AFNI: 3dcopy of bucket data",
    ),
    Case(
        "BOLD of shape (i, j, k, n, 1)",
        partial(stored, change=partial(reshaped, (4, 4, 4, 40, 1))),
        PLAIN,
        "AFNI: 3dcopy of bucket data",
    ),
    Case(
        "BOLD of five dimensions",
        partial(stored, change=partial(reshaped, (4, 4, 4, 20, 2))),
        r"BOLD must have 4 dimensions, this image has 5 \(4, 4, 4, 20, 2\)",
        "AFNI: 3dcopy of bucket data",
    ),
    Case(
        "labels outside the mask",
        partial(with_atlas, labels=np.concatenate([LABELS, np.full((4, 4, 4), 9, np.int16)])),
        parcels(1, 2, 3, 4),
        "nilearn/nilearn#3085, #4113",
        "atlas.nii.gz: 1 of 5 labels lie in no voxel of the scans and are left out: 9",
    ),
    Case(
        "labels as floats, almost whole, with NaN",
        partial(with_atlas, labels=np.where(LABELS == 4, np.nan, LABELS - 1e-4).astype("f4")),
        parcels(1, 2, 3),
        "nilearn/nilearn#1673",
    ),
    Case(
        "atlas stored right to left",
        partial(
            with_atlas,
            labels=LABELS[::-1].copy(),
            affine=np.array([[-3.0, 0, 0, 9], [0, 3, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1]]),
        ),
        same_as(with_atlas),
        "nilearn/nilearn#1056",
    ),
    Case(
        "a probabilistic atlas",
        partial(with_atlas, labels=np.ones((4, 4, 4, 3), np.float32)),
        r"atlas.nii.gz: must be one volume of voxels, but has 4 dimensions \(4, 4, 4, 3\)",
        "nilearn/nilearn#6094",
    ),
    Case("float64", partial(stored, change=partial(as_dtype, "f8")), is_right, "nibabel#1046"),
    Case(
        "big-endian integers",
        partial(stored, change=partial(as_dtype, ">i2")),
        is_right,
        "nibabel#1046",
    ),
    Case(
        "slope NaN",
        partial(stored, change=partial(with_slope, np.nan, 0)),
        is_right,
        "nibabel: scl_slope",
    ),
    Case(
        "slope 0", partial(stored, change=partial(with_slope, 0, 0)), is_right, "nibabel: scl_slope"
    ),
    Case(
        "slope and intercept",
        partial(stored, change=partial(with_slope, 0.01, 10)),
        is_right,
        "nibabel: scl_slope",
    ),
    Case(
        "gzip with zeros after it",
        partial(stored, change=partial(packed, b"\0" * 512)),
        PLAIN,
        "nibabel#462",
    ),
    Case(
        "gzip with rubbish after it",
        partial(stored, change=partial(packed, b"rubbish")),
        PLAIN,
        "nibabel#462",
    ),
    Case("gzip of two members", partial(stored, change=members), PLAIN, "nibabel#462"),
    Case(
        "BOLD stored right to left",
        partial(stored, change=flipped),
        lambda scans: np.testing.assert_array_equal(np.unique(scans["x"]), [0, 3, 6, 9]),
        "nipreps/fmriprep#965",
    ),
    Case(
        "no place in the header",
        partial(stored, change=codes_zero),
        is_right,
        "nipy/nibabel: sform and qform",
        "header does not say where voxels lie",
    ),
    Case(
        "slices of 3.002 and 3 mm",
        partial(two_people, affine=SMALL),
        is_right,
        "PennLINC/xcp_d#1069, nipreps/fmriprep#2515",
        "sub-02.* voxels are up to 0.002 of a voxel off those of sub-01.*: resampled onto them",
    ),
    Case(
        "slices of 3.002 and 3 mm, parcels",
        partial(two_people, affine=SMALL, parcellation=LABELS),
        parcels(1, 2, 3, 4),
        "PennLINC/xcp_d#1069",
        "resampled onto them",
    ),
    Case(
        "grids that differ by rounding",
        partial(two_people, affine=np.diag([3.0, 3.0, 3.00001, 1.0])),
        is_right,
        "nipreps/fmriprep#512",
    ),
    Case(
        "voxels of 3 and 2 mm",
        partial(two_people, affine=np.diag([2.0, 2, 2, 1])),
        OTHER_GRID,
        "nipreps/fmriprep#512",
    ),
    Case(
        "one slice more",
        partial(two_people, shape=(4, 4, 5)),
        OTHER_GRID,
        "nipreps/fmriprep#512",
    ),
    Case(
        "BOLD not fetched: a link of git-annex",
        partial(unfetched, name=f"{FUNC}/{BOLD}.nii.gz", how="link"),
        rf"{BOLD}.nii.gz: its content was not fetched; run: datalad get {BOLD}.nii.gz",
        "bids-standard/pybids#631",
    ),
    Case(
        "BOLD not fetched: an unlocked file of git-annex",
        partial(unfetched, name=f"{FUNC}/{BOLD}.nii.gz", how="/annex/objects/MD5E-s99--0.nii.gz\n"),
        rf"{BOLD}.nii.gz: its content was not fetched; run: datalad get {BOLD}.nii.gz",
        "bids-standard/pybids#632",
    ),
    Case(
        "confounds not fetched",
        partial(unfetched, name=f"{FUNC}/{CONFOUNDS}.tsv", how="link"),
        rf"{CONFOUNDS}.tsv: its content was not fetched; run: datalad get {CONFOUNDS}.tsv",
        "bids-standard/pybids#631",
    ),
    Case(
        "events not fetched, in Git LFS",
        partial(unfetched, name=EVENTS, how="version https://git-lfs.github.com/spec/v1\n"),
        rf"{STEM}_events.tsv: its content was not fetched; run: git lfs pull --include",
        "bids-standard/pybids#632",
    ),
    Case(
        "BOLD that was unpacked, its mask was not",
        bold_alone_unpacked,
        is_right,
        "SPM reads no .nii.gz",
    ),
    Case(
        "an image that is not packed, named .nii.gz",
        unpacked,
        rf"{BOLD}.nii.gz: not .* \(it is not packed by gzip\): rename it to {BOLD}.nii$",
        "nipy/nibabel#255",
    ),
    Case(
        "a mask of probabilities",
        partial(bids, mask=np.where(LABELS > 2, 0.9, 1e-4).astype(np.float32)),
        is_right,
        "nilearn/nilearn#1588: resampled masks",
        r"desc-brain_mask.nii.gz: holds fractions, .*: all 64 voxels above 0 are taken",
    ),
    Case(
        "a mask of whole numbers as floats",
        partial(bids, mask=(LABELS > 2).astype(np.float32) * 7),
        is_right,
        "FreeSurfer: aparc+aseg as a mask",
    ),
    Case(
        "a scan that was stopped: the last volumes are 0",
        partial(stopped, last=0),
        is_right,
        "nilearn/nilearn#3229",
        "sub-01 task-movie: 6 volumes of the film are copies .*the first: 27.*stopped",
    ),
    Case(
        "a scan that was stopped: the last volumes are copies",
        partial(stopped, last=None),
        is_right,
        "Sherlock: the last 51 volumes of s5",
        "sub-01 task-movie: 7 volumes of the film are copies .*the first: 26.*stopped",
    ),
    Case(
        "a FEAT folder",
        feat,
        "a.feat: no BOLD file .*or name files that are no BIDS in a table of runs",
        "FSL FEAT",
    ),
    Case(
        "a link to nothing",
        partial(unfetched, name=f"{FUNC}/{BOLD}.nii.gz", how="broken"),
        "no such file: it is a link to ../../gone.nii.gz, which is missing",
        "bids-standard/pybids#631",
    ),
    Case(
        "an image of 0 bytes",
        partial(unfetched, name=f"{FUNC}/{BOLD}.nii.gz", how=""),
        r"not a readable image \(empty, 0 bytes\): fetch or make it again",
        "bids-standard/bids-examples: images of 0 bytes",
    ),
]


CASES = [*SCRUBBING, *CONFOUND_ROWS, *LAYOUTS, *SPACES, *TIMES, *IMAGES]


@parametrized(CASES)
def test_bids_folders(case, tmp_path, caplog):
    check(case, read, tmp_path, caplog, lambda scans: scans.attrs["warnings"])


@parametrized([case for case in CASES if case.warning or isinstance(case.right, str)])
def test_doctor_says_so_before_the_run(case, tmp_path):
    given = case.make(tmp_path)
    folder, options = given if isinstance(given, tuple) else (given, {})
    names = {"strategy": "confound_strategy"}
    scan = {names.get(key, key): value for key, value in options.items()}
    check_doctor(case, folder, **{k: str(v) if isinstance(v, Path) else v for k, v in scan.items()})


def test_init_looks_as_the_reader_does(tmp_path):
    """What `giblet init` writes is read as it stands."""
    import yaml

    from giblet.commands.first_config import first_config

    hidden(tmp_path / "a")
    bids(tmp_path / "b", space=f"{NLIN6}_res-2", derivative="derivatives/fmriprep-23.1.3")
    bids(tmp_path / "c", sidecar={"VolumeTiming": [2.0 * k for k in range(40)], "StartTime": 0.0})
    move(tmp_path / "c", EVENTS, "task-movie_events.tsv")
    for name, space in (("a", None), ("b", "MNI152NLin6Asym:res-2"), ("c", None)):
        text = first_config(tmp_path / name)
        config = yaml.safe_load(text)
        assert "not ready" not in text
        assert config.get("scan", {}).get("space") == space
        assert (config["task"], config["t_r"]) == ("movie", 2.0)
        is_right(load_bids(config["bold"], space=space))


def test_scrubbed_volumes_stay_out_when_scans_are_moved(tmp_path):
    from giblet.alignment.sync import move_scans
    from giblet.brain.bold import survey_bids

    folder, options = moving(tmp_path)
    scans = survey_bids(folder, **options)
    assert not scans.runs[0].volumes()["in_film"][20:25].any()
    scans = move_scans(scans, 2.0)
    inside = scans.runs[0].volumes()["in_film"].to_numpy()
    assert not inside[20:25].any()
    assert inside[4:20].all()


def test_one_run_that_is_scrubbed_of_two(tmp_path):
    from dataclasses import replace

    from giblet.brain.bids import read_runs
    from giblet.brain.runs import MOTION, volumes_table

    folder, options = moving(tmp_path)
    (run,) = read_runs(folder, "movie", MOTION, **options)
    table = volumes_table([replace(run, kept=None, name="other"), run])
    assert table["scrubbed"].dtype == bool
    assert np.flatnonzero(table["scrubbed"]).tolist() == list(range(60, 65))
    assert "scrubbed" not in volumes_table([replace(run, kept=None)])


@pytest.mark.parametrize("prefix", ["", "space-"])
def test_exports_name_the_space_that_was_read(prefix, tmp_path):
    from giblet.commands.scans import load_bold
    from giblet.config.config import parse_config
    from giblet.export.names import names_for
    from giblet.io.arrays import load_arrays

    bids(tmp_path / "data", space=f"{NLIN6}_res-2")
    config = parse_config({"scan": {"space": f"{prefix}MNI152NLin6Asym:res-2"}, "t_r": 2.0})
    load_bold(tmp_path / "data", tmp_path / "bold.nc", config)
    scans = load_arrays(tmp_path / "bold.nc")
    names = names_for(tmp_path / "out", scans, tmp_path / "data", "movie")
    assert names.space == "MNI152NLin6Asym_res-2"


@pytest.mark.parametrize("axes", ["LAS", "RPI", "ASR", "SPL"])
def test_a_mask_whose_axes_lie_otherwise(tmp_path, axes):
    """FSL's masks are LAS."""
    mask = np.random.default_rng(0).random((4, 5, 6)) > 0.5
    values = noise(shape=mask.shape)
    folder = bids(tmp_path, values=values, mask=mask.astype(np.uint8))
    expected = load_bids(folder)
    assert not expected.attrs["warnings"]
    path = tmp_path / FUNC / f"{STEM}_{SPACE}_desc-brain_mask.nii.gz"
    image = nibabel.load(path)
    turn = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(image.affine), nibabel.orientations.axcodes2ornt(axes)
    )
    image.as_reoriented(turn).to_filename(path)
    assert nibabel.aff2axcodes(nibabel.load(path).affine) == tuple(axes)
    bold = load_bids(folder)
    np.testing.assert_array_equal(bold["bold"].values, expected["bold"].values)
    np.testing.assert_array_equal(bold["x"].values, expected["x"].values)
    (warning,) = bold.attrs["warnings"]
    assert "brain_mask.nii.gz: its axes are in another order or direction" in warning
