"""Predicted BOLD beside its ceiling, and the regions of the first screen."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from giblet.report.brain_figures import map_colour
from giblet.report.brain_maps import COLOUR, MUTED
from giblet.report.encoding import encoding_table
from giblet.report.extras import Extras
from giblet.report.glance import glance
from giblet.report.scan_quality import WHOLE_BRAIN, BrainResults

NAMES = ["path", "column", "metric", "value", "low", "high"]


def scores(ceiling=0.4):
    rows = [
        ("encodec", "encoding", "bold_r_reliable", 0.2, 0.15, 0.25),
        ("encodec", "encoding", "bold_r", 0.01, 0.0, 0.02),
        ("encodec", "noise_ceiling", "bold_r_reliable", ceiling, np.nan, np.nan),
        ("encodec", "noise_ceiling", "bold_r", 0.03, np.nan, np.nan),
    ]
    return pd.DataFrame(rows, columns=NAMES)


def test_reliable_voxels_come_first_with_their_share_of_the_ceiling():
    table = encoding_table(scores(), "voxels", simulated=True)
    model, ceiling = table.rows
    assert model[0] == "codes: through the bottleneck"
    assert model[1:] == ["0.200 [0.150, 0.250]", "50 %", "0.010 [0.000, 0.020]"]
    assert ceiling == ["noise ceiling, lower bound", "0.400", "", "0.030"]
    assert "(simulated)" in table.caption
    assert encoding_table(scores(-0.1), "voxels", False).rows[0][2] == "n/a: no ceiling shown"


def test_no_share_of_a_ceiling_that_is_not_shown_and_none_of_a_negative_r():
    def share(table, shared=True):
        return encoding_table(table, "voxels", False, shared).rows[0][2]

    shown, none = scores(), "n/a: no ceiling shown"
    shown.loc[2, ["low", "high"]] = 0.3, 0.5
    assert share(shown) == "50 %"
    assert share(shown, shared=False) == none  # ISC is above chance nowhere
    negative = shown.assign(value=shown["value"].where(shown["column"] != "encoding", -0.05))
    assert share(negative) == "n/a: r not above 0"
    shown.loc[2, "low"] = -0.01
    assert share(shown) == none


def test_a_map_that_passes_nowhere_is_blue_grey_and_says_so():
    def found(q, p_max):
        maps = {"isc": (("subject", "voxel"), np.full((2, 3), 0.2))}
        maps |= {"isc_q": ("voxel", np.full(3, q)), "isc_p_max": ("voxel", np.full(3, p_max))}
        results = BrainResults(xr.Dataset(maps), pd.DataFrame(), xr.Dataset())
        warning = glance(results, Extras(), [], simulated=False).warning
        return warning, map_colour(results, "isc")

    nowhere = "No voxel is shown to be above chance: this map shows no reliable ISC."
    assert found(0.3, 0.6) == (nowhere, MUTED)
    assert found(0.01, 0.6) == found(0.3, 0.01) == ("", COLOUR)
    assert found(np.nan, np.nan) == ("", COLOUR)  # not tested


def test_one_subject_has_no_ceiling_and_no_table():
    alone = scores()
    assert encoding_table(alone[alone["column"] == "encoding"], "voxels", False) is None
    assert encoding_table(pd.DataFrame(columns=NAMES), "voxels", False) is None


@pytest.mark.parametrize("with_isc", [True, False])
def test_regions_have_their_ceiling_on_one_axis(with_isc):
    names = ["r_encodec"] + ["isc"] * with_isc
    maps = {name: (("subject", "voxel"), np.full((2, 3), 0.2)) for name in names}
    results = BrainResults(xr.Dataset(maps), pd.DataFrame(), xr.Dataset())
    regions = pd.DataFrame({
        "Region": ["auditory", "visual", "none", WHOLE_BRAIN],
        "Ridge r: sound (codes)": [0.2, -0.1, np.nan, 0.1],
    })  # fmt: skip
    regions["Inter-subject correlation"] = [0.4, 0.1, np.nan, 0.3]
    found = glance(results, Extras(regions=regions), ["encodec"], simulated=False)
    assert found.header == ["r, sound"] + ["noise ceiling"] * with_isc
    assert [row.name for row in found.regions] == ["auditory", "visual", "none"]
    places = [(row.place, row.tick) for row in found.regions]
    if with_isc:
        assert places == [(50, 100), (0, 25), (None, None)]
        assert found.end == "0.40"
    else:
        assert places == [(100, None), (0, None), (None, None)]
        assert found.end == "0.20"
