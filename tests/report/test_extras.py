"""Tables that only some data sets have are printed as they are."""

import numpy as np
import pandas as pd
import xarray as xr

from giblet.io.tables import save_table
from giblet.report.extras import Extras, brain_tables, times_table, trained, training_tables
from giblet.report.run_record import rule_times
from giblet.report.scan_quality import region_rows, shown_regions

INTERVAL = {"low": -0.2, "high": 0.05}
LESION = {"region": "<b>", "mode": "silenced", "metric": "stoi", "value": 0.1, "intact": 0.2}
LESION |= {"change": -0.1, "n_voxels": 3} | INTERVAL
LOSS = {"loss": "sound", "train": 0.4, "validation": 0.5, "gradient_share": 1, "baseline": np.nan}


def test_lesions_and_losses_are_printed_as_they_are():
    lesions, losses = pd.DataFrame([LESION]), pd.DataFrame([LOSS])
    extras = Extras(lesions={"mel": lesions}, summaries={"encodec": losses})
    (table,) = brain_tables(extras, simulated=True)
    assert table.caption == "Lesions: regions zeroed, mel (simulated brains)"
    expected = ["<b>", "silenced", "STOI", "3", "0.200", "0.100", "−0.100 [−0.200, 0.050]"]
    assert table.rows == [expected]
    assert len(expected) == len(table.header)
    ends = lesions.assign(lowest=-0.3, highest=0.1)
    (table,) = brain_tables(Extras(lesions={"mel": ends}), simulated=True)
    assert table.header[-1] == "Change: lowest to highest subject"
    assert table.rows == [[*expected, "−0.300 to 0.100"]]
    (table,) = training_tables(extras)
    assert table.rows == [["sound", "0.400", "0.500", "1.000", "–"]]
    assert brain_tables(Extras(), simulated=False) == training_tables(Extras()) == []


def test_where_training_began_and_what_was_kept():
    def said(**model):
        return trained(Extras(models={"encodec": model}), {"encodec": epochs})

    epochs = pd.DataFrame({"epoch": [0, 0, 1, 2]})
    (told,) = said(started_from="bundled", best_epoch=1)
    assert "started from the sound part of the bundled model, which was trained on other" in told
    assert "the model of epoch 2 of 3 was kept" in told
    assert "mostly reflects" not in told
    (told,) = said(started_from="a/b@c", best_epoch=0)
    assert "the sound part of a/b@c" in told
    assert told.endswith("the output mostly reflects the model that training started from.")
    (told,) = said(started_from="none", best_epoch=0)
    assert "random weights" in told
    assert "mostly reflects" not in told
    assert said() == []


def test_regions_are_means_over_voxels_and_people_the_highest_first():
    isc = np.array([[0.1, 0.2, 0.6, np.nan], [0.3, 0.4, 0.8, np.nan]])
    quality = xr.Dataset({"isc": (("subject", "voxel"), isc)})
    regions = {"low": np.array([1, 1, 0, 0], bool), "high": np.array([0, 0, 1, 1], bool)}
    found = shown_regions(quality, regions)
    assert found["Region"].tolist() == ["high", "low"]
    assert found["voxels"].tolist() == [2, 2]
    np.testing.assert_allclose(found["Inter-subject correlation"], [0.7, 0.25])
    assert region_rows(found)[0] == ["high", "2", "0.700 (0.600 to 0.800)"]
    assert region_rows(shown_regions(quality[{"subject": [0]}], regions))[1][2] == "0.150"


def test_times_of_rules_are_those_of_their_files(tmp_path):
    assert times_table(Extras(times=rule_times(tmp_path))) is None
    save_table(
        pd.DataFrame({"s": [61.3], "max_rss": [755.0], "cpu_time": ["-"]}), tmp_path / "a.tsv"
    )
    assert times_table(Extras(times=rule_times(tmp_path))).rows == [["a", "61.3", "–", "755"]]
