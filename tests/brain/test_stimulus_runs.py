"""Runs of many stimuli, of a BIDS folder and of a table: saved scans know what was heard when."""

import json

import nibabel
import numpy as np
import pandas as pd
import pytest

from giblet.alignment.sync import match_scans, move_scans
from giblet.brain.bold import load_scans, read_data_set, survey_scans
from giblet.brain.stimulus_clock import StimulusClock
from giblet.errors import GibletError

T_R = 1.5
CLOCK = StimulusClock.lay_out(["rain", "wind"], [6.0, 7.5], T_R)
EVENTS = [(0, 6, "rain.wav"), (6, 7.5, "wind.wav"), (15, 6, "rain.wav")]


def write_events(path, rows=EVENTS):
    columns = ["onset", "duration", "stim_file"]
    pd.DataFrame(rows, columns=columns).to_csv(path, sep="\t", index=False, na_rep="n/a")
    return path


def write_bids(folder):
    """One run of eight voxels as fMRIPrep writes it, the first of its 20 volumes not steady."""
    func = folder / "sub-01" / "func"
    func.mkdir(parents=True)
    run, space = "sub-01_task-hear_run-1", "space-MNI152NLin2009cAsym"
    rng = np.random.default_rng(0)
    bold = nibabel.Nifti1Image(rng.normal(100, 1, (2, 2, 2, 20)).astype(np.float32), np.eye(4))
    bold.header.set_zooms((1, 1, 1, T_R))
    nibabel.save(bold, func / f"{run}_{space}_desc-preproc_bold.nii.gz")
    mask = nibabel.Nifti1Image(np.ones((2, 2, 2), np.uint8), np.eye(4))
    nibabel.save(mask, func / f"{run}_{space}_desc-brain_mask.nii.gz")
    sidecar = {"RepetitionTime": T_R, "StartTime": 0.75}
    (func / f"{run}_{space}_desc-preproc_bold.json").write_text(json.dumps(sidecar))
    confounds = pd.DataFrame(rng.normal(0, 0.01, (20, 6)), columns=[*"xyz", *"abc"])
    confounds.columns = [f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz"]
    confounds["non_steady_state_outlier00"] = [1, *[0] * 19]
    confounds.to_csv(func / f"{run}_desc-confounds_timeseries.tsv", sep="\t", index=False)
    write_events(func / f"{run}_events.tsv")
    return folder


def write_table(folder, **columns):
    """The same as a table of parcels of which the first volume was cut off."""
    rng = np.random.default_rng(0)
    np.save(folder / "a.npy", rng.normal(100, 1, (19, 4)))
    write_events(folder / "events.tsv")
    row = {"subject": "01", "file": "a.npy", "t_r": T_R, "start_time": 0.75, "n_dropped": 1}
    row |= {"events": "events.tsv"} | columns
    row = {name: value for name, value in row.items() if value is not None}
    pd.DataFrame([row]).to_csv(folder / "runs.tsv", sep="\t", index=False)
    return folder / "runs.tsv"


@pytest.mark.parametrize("write", [write_bids, write_table])
def test_scans_know_what_was_heard_when(write, tmp_path):
    scans = load_scans(survey_scans(write(tmp_path), stimuli=CLOCK))
    assert scans["event_onset"].values.tolist() == [0, 6, 15]
    assert scans["event_duration"].values.tolist() == [6, 7.5, 6]
    assert scans["event_stimulus"].values.tolist() == [0, 1, 0]
    assert scans["stimulus"].values.tolist() == ["rain", "wind"]
    np.testing.assert_allclose(scans["scan_time"], 0.75 + 1.5 * np.arange(1, 20))
    match = match_scans(scans, T_R, CLOCK.n_film_trs)
    assert match.stimulus.tolist() == [0] * 4 + [1] * 5
    # the first TR of rain is that of the second time: its first volume is not there
    assert match.volumes[0].tolist() == [9, 0, 1, 2, *range(3, 8)]
    assert match.repeats[0, 1].tolist() == [-1, 10, 11, 12, *[-1] * 5]


def test_a_lag_moves_all_stimuli(tmp_path):
    surveyed = survey_scans(write_table(tmp_path), stimuli=CLOCK)
    scans = load_scans(move_scans(surveyed, 3.0))
    np.testing.assert_allclose(scans["scan_time"], 0.75 + 1.5 * np.arange(1, 20) - 3)
    match = match_scans(scans, T_R, CLOCK.n_film_trs)
    assert match.volumes[0].tolist() == [1, 2, 3, 4, *range(5, 10)]
    assert match.repeats[0, 1].tolist() == [11, 12, 13, 14, *[-1] * 5]


@pytest.mark.parametrize(
    ("columns", "stimuli", "message"),
    [
        ({"events": None, "film_onset": 0}, CLOCK, "in a column events"),
        ({}, None, "they name stimuli, but the config has none"),
        ({"film_onset": 0}, CLOCK, "film_onset: delete it; events has onsets"),
        ({"events": "no.tsv"}, CLOCK, "no.tsv: no such file"),
    ],
)
def test_tables_that_cannot_be(tmp_path, columns, stimuli, message):
    table = write_table(tmp_path, **columns)
    with pytest.raises(GibletError, match=message) as caught:
        read_data_set(table, stimuli=stimuli)
    assert "\n" not in str(caught.value)


def test_a_scan_that_ends_before_the_last_stimulus(tmp_path):
    table = write_table(tmp_path)
    write_events(tmp_path / "events.tsv", [*EVENTS, (26, 6, "rain")])
    with pytest.raises(GibletError, match=r"the scan ends 2\.0 s before the last stimulus does"):
        read_data_set(table, stimuli=CLOCK)
