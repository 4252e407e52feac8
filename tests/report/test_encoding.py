"""Predicted BOLD beside its ceiling, and the regions of the first screen."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

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
    assert encoding_table(scores(-0.1), "voxels", simulated=False).rows[0][2] == "–"


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
