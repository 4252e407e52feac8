"""Sidecars, events and confounds of public data sets, with volumes made for them."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from real_inputs.bids_folders import SPACE, motion, save_image, save_table

from giblet.brain.bids_files import inherited, parse_name
from giblet.brain.bold import load_bids
from giblet.errors import GibletError

STRATEGIES = (
    ("motion",),
    ("motion", "wm_csf", "global_signal"),
    ("high_pass", "compcor"),
    ("high_pass", "wm_csf", "scrub"),
    ("ica_aroma",),
)
# data set, tasks that must be read as they are
DATA_SETS = {
    "OpenNeuroDatasets+ds002322": ["alice"],
    "OpenNeuroDatasets+ds002345": ["black", "bronx", "forgot", "piemanpni", "tunnel"],
    "OpenNeuroDatasets+ds003017": [],
    "OpenNeuroDatasets+ds003720": [],
    "bids-standard+pybids/tests/data/ds005": [],
}


def derive(raw, folder):
    """fMRIPrep derivatives of every run that has a sidecar, beside a link to the raw data set."""
    (folder / "raw").symlink_to(raw)
    tasks = set()
    files = [*raw.glob("sub-*/**/*_bold.json"), *raw.glob("sub-*/func/*_bold.nii.gz")]
    for path in sorted(files):
        stem = path.name.rsplit("_bold", 1)[0]
        entities = parse_name(path).entities
        sidecar, last = {}, 0.0
        for name, extension in (("bold", ".json"), ("events", ".tsv")):
            bold = raw / f"sub-{entities['sub']}" / "func" / f"{stem}_bold.nii.gz"
            for file in reversed(inherited(bold, raw, name, extension, root=raw)):
                if extension == ".json":
                    sidecar |= json.loads(file.read_text())
                else:
                    table = pd.read_csv(file, sep="\t", na_values="n/a")
                    last = (table["onset"] + table["duration"]).max()
        if not last:
            continue
        t_r = sidecar["RepetitionTime"]
        n = sidecar.get("dcmmeta_shape", [0, 0, 0, int(last / t_r) + 4])[3]
        func = folder / "fmriprep" / f"sub-{entities['sub']}" / "func"
        func.mkdir(parents=True, exist_ok=True)
        values = np.random.default_rng(0).normal(1e3, 9, (4, 4, 4, n)).astype(np.float32)
        image = f"{stem}_{SPACE}_desc"
        save_image(func / f"{image}-preproc_bold.nii.gz", values, t_r=t_r)
        save_image(func / f"{image}-brain_mask.nii.gz", np.ones((4, 4, 4), np.uint8))
        (func / f"{image}-preproc_bold.json").write_text(json.dumps(sidecar))
        save_table(func / f"{stem}_desc-confounds_timeseries.tsv", motion(n))
        tasks.add(entities["task"])
    return sorted(tasks)


def outcome(folder, **options):
    """What comes of reading: the scans, or the one line of a refusal."""
    try:
        return load_bids(folder, **options)
    except GibletError as error:
        message = str(error)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", DATA_SETS)
def test_public_data_sets_are_read_or_refused_in_one_line(shared, tmp_path, name):
    tasks = derive(shared / "real" / name, tmp_path)
    assert tasks
    assert set(DATA_SETS[name]) <= set(tasks)
    for task in tasks:
        result = outcome(tmp_path / "fmriprep", task=task)
        if task in DATA_SETS[name]:
            assert not isinstance(result, str), result
        if not isinstance(result, str):
            events = sorted(Path(shared / "real" / name).rglob(f"*task-{task}*_events.tsv"))
            table = pd.read_csv(events[0], sep="\t", na_values="n/a")
            here = result["subject"].values == result["subject"].values[0]
            first = result["film_time"].values[here][0]
            assert first == pytest.approx(-table["onset"].iloc[0])
            assert np.isfinite(result["bold"].values).all()


def nilearns_confounds(shared):
    folder = shared / "real/nilearn+nilearn/nilearn/interfaces/fmriprep/data"
    return sorted(p for p in folder.glob("*confounds*.tsv"))


def with_table(folder, table, sidecar):
    """A run of as many volumes as a table of confounds has rows."""
    n = len(pd.read_csv(table, sep="\t"))
    func = folder / "derivatives/fmriprep/sub-01/func"
    func.mkdir(parents=True)
    values = np.random.default_rng(0).normal(1e3, 9, (4, 4, 4, n)).astype(np.float32)
    stem = f"sub-01_task-x_{SPACE}_desc"
    save_image(func / f"{stem}-preproc_bold.nii.gz", values)
    save_image(func / f"{stem}-brain_mask.nii.gz", np.ones((4, 4, 4), np.uint8))
    (func / f"{stem}-preproc_bold.json").write_text('{"RepetitionTime": 2.0, "StartTime": 0.0}')
    kind = table.stem.rsplit("_", 1)[1]
    target = func / f"sub-01_task-x_desc-confounds_{kind}.tsv"
    target.write_bytes(table.read_bytes())
    if sidecar.is_file():
        target.with_suffix(".json").write_bytes(sidecar.read_bytes())
    events = {"onset": [0.0], "duration": [2.0 * n]}
    save_table(folder / "sub-01/func/sub-01_task-x_events.tsv", events)
    return func / f"{stem}-preproc_bold.nii.gz"


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES, ids="+".join)
def test_confounds_of_fmriprep_are_those_that_nilearn_takes(shared, tmp_path, strategy):
    """Oracle: nilearn's masker with its own confounds and sample mask."""
    from nilearn.interfaces.fmriprep import load_confounds
    from nilearn.maskers import NiftiMasker

    for n, table in enumerate(nilearns_confounds(shared)):
        image = with_table(tmp_path / str(n), table, table.with_suffix(".json"))
        result = outcome(tmp_path / str(n), strategy=strategy, high_pass_hz=None)
        try:
            options = {"demean": False, "ica_aroma": "basic"}
            confounds, kept = load_confounds(str(image), strategy, **options)
        except ValueError:
            assert isinstance(result, str)
            assert re.search("no confounds by|n/a among", result)
            continue
        if kept is not None and not len(kept):
            assert "scrub leaves no volume" in result
            continue
        if isinstance(result, str):  # as many confounds as volumes leave nothing
            assert "all columns are nothing but a trend, slow drifts or confounds" in result
            assert confounds.shape[1] + 2 >= (len(confounds) if kept is None else len(kept))
            continue
        mask = str(image).replace("preproc_bold", "brain_mask")
        masker = NiftiMasker(mask, standardize=None, detrend=True, standardize_confounds=True)
        series = masker.fit().transform(
            str(image), confounds=confounds.to_numpy(), sample_mask=kept
        )
        steady = ~pd.read_csv(table, sep="\t").filter(regex="^non_steady").any(axis=1).to_numpy()
        there = np.flatnonzero(steady)
        kept = there if kept is None else kept
        used = np.isin(there, kept)
        assert result.sizes["volume"] == len(there)
        np.testing.assert_array_equal(result["in_film"].values, used)
        if used.all():  # else the trend differs: see tests/brain/test_cleaning.py
            np.testing.assert_allclose(result["bold"].values[used], series, atol=1e-3)


def test_empty_images_are_named(shared):
    """bids-examples and pybids keep images of 0 bytes."""
    folder = shared / "real/bids-standard+bids-examples/ds000001-fmriprep"
    assert "bold.nii.gz: not a readable image (empty, 0 bytes)" in outcome(folder)
    folder = shared / "real/bids-standard+pybids/tests/data/ds005"
    assert "bold.nii.gz: not a readable image (empty, 0 bytes)" in outcome(folder)
