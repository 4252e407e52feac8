"""Clusters as a table; maps without any are named."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from giblet.report.clusters import CLUSTER_PLACES, cluster_notes, cluster_text


def table(metric, place="x", where=-42.0):
    row = {"metric": metric, "correction": "TFCE", "cluster": 1, "n_places": 12}
    return pd.DataFrame([row | {"p": 0.0125, "peak": 0.21, place: where}])


@pytest.mark.parametrize("place", ["parcel", "vertex", "x"])
def test_clusters_are_a_table(place):
    assert place in CLUSTER_PLACES
    where = {"parcel": "7Networks_LH_Vis_1", "vertex": 12, "x": -42.0}[place]
    text = cluster_text(table("unique_text", place, where), "parcels", simulated=True)
    assert "(simulated brains)" in text.caption
    assert text.header[3] == "Size (parcels)"
    assert text.rows[0][0].startswith("Unique variance")
    assert text.rows[0][3:6] == ["12", "0.0125", "0.210"]
    assert text.rows[0][6].replace("\u2212", "-") == {"x": "-42"}.get(place, str(where))
    assert cluster_text(table("isc")[:0], "voxels", simulated=False) is None


def test_tested_maps_without_a_cluster_are_named():
    tested = {name: ("voxel", [0.02, 0.5]) for name in ("isc_p_max", "r_encodec_p_max", "isc_q")}
    untested = {"r_text_p_max": ("voxel", [np.nan, np.nan])}
    quality = xr.Dataset(tested | untested)
    missing, why = cluster_notes(table("isc"), quality)
    assert missing == "No cluster at p < .05: Ridge r: sound (codes)."
    assert "not the numbers of voxels at q < .05" in why
    (missing,) = cluster_notes(table("isc")[:0], quality)
    assert missing.startswith("No cluster at p < .05: Inter-subject correlation; Ridge r")
    assert cluster_notes(None, xr.Dataset(untested)) == []
