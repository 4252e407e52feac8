"""Clusters of the group's maps, as a table, and what it does not say by itself."""

import numpy as np
import pandas as pd
import xarray as xr

from giblet.report.extras import TextTable
from giblet.report.scan_quality import measure_label, places_of
from giblet.report.tables import number

MOST_CLUSTERS = 10
CLUSTER_PLACES = ("parcel", "hemisphere", "vertex", "x", "y", "z")


def cluster_text(clusters: pd.DataFrame | None, places: str, simulated: bool) -> TextTable | None:
    """The largest clusters of each measure; None where there are none.

    ``clusters``: of `giblet.evaluation.group_maps.cluster_table`. ``places``: what they are made
    of, in the plural.
    """
    if clusters is None or clusters.empty:
        return None
    shown = clusters.groupby("metric", sort=False).head(MOST_CLUSTERS)
    where = [name for name in CLUSTER_PLACES if name in shown]
    kind = " (simulated brains)" if simulated else ""
    caption = (
        f"Clusters at p < .05 in the whole brain, group level{kind}; the largest "
        f"{MOST_CLUSTERS} of a measure. p: family-wise, the smallest in the cluster; it does not "
        "generalise to other subjects. Nulls: BOLD shifted in time (r), random phases "
        "(ISC). Peak: the highest mean"
    )
    header = ["Measure", "Correction", "Cluster", f"Size ({places})", "p", "Peak (r)"]
    header += [f"{name} (mm)" if name in "xyz" else name for name in where]
    rows = [
        [measure_label(row["metric"]), row["correction"], number(row["cluster"], 0)]
        + [number(row["n_places"], 0), number(row["p"], 4), number(row["peak"], 3)]
        + [number(row[name], 0) if name in "xyz" else str(row[name]) for name in where]
        for row in shown.to_dict("records")
    ]
    return TextTable(caption, header, rows)


def cluster_notes(clusters: pd.DataFrame | None, quality: xr.Dataset) -> list[str]:
    """Which maps were tested and have no cluster, and why sizes and numbers at q < .05 differ.

    None where no map was tested with family-wise error.
    """
    maps = [str(name) for name in quality if str(name).endswith("_p_max")]
    tested = [n.removesuffix("_p_max") for n in maps if np.isfinite(quality[n].values).any()]
    if not tested or clusters is None:
        return []
    listed = set(clusters["metric"])
    without = [measure_label(name) for name in tested if name not in listed]
    notes = [f"No cluster at p < .05: {'; '.join(without)}."] if without else []
    if listed and any(f"{name}_q" in quality for name in tested):
        places = places_of(quality)
        notes.append(
            f"Sizes of clusters are not the numbers of {places} at q < .05: TFCE and max-T limit "
            f"the chance of a single false place in the whole brain, and TFCE adds up support from "
            f"neighbours; q tests {places} one by one and limits the share of false ones."
        )
    return notes
