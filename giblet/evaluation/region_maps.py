"""Maps of a brain's quality as a table of regions."""

from collections.abc import Mapping

import numpy as np
import xarray as xr


def region_table(quality: xr.Dataset, regions: Mapping[str, np.ndarray]):
    """One row per region: its name as ``region``, ``n_voxels``, and each map's mean in it.

    Means are over the region's voxels that have a value, then over subjects.

    Parameters
    ----------
    quality : as `giblet.evaluation.brain_quality` returns it
    regions : name → its voxels, (n_voxels,) bool, as `giblet.brain.find_regions` returns them
    """
    import pandas as pd

    maps = {str(name): values for name, values in quality.items() if "voxel" in values.dims}
    rows = []
    for region, members in regions.items():
        row: dict[str, object] = {"region": region, "n_voxels": int(members.sum())}
        for name, values in maps.items():
            one = values if "subject" in values.dims else values.expand_dims("subject")
            row[name] = float(one.sel(voxel=members).mean("voxel").mean("subject"))
        rows.append(row)
    return pd.DataFrame(rows)
