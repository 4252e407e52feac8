"""Peaks of a map: places, values, q, and the regions of an atlas where there is one."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from giblet.brain.cortex import vertex_counts
from giblet.brain.nifti import brain_affine, brain_volume
from giblet.report.brain_maps import why_no_map
from giblet.report.extras import TextTable
from giblet.report.page_text import isolated
from giblet.report.scan_quality import (
    LARGEST_Q,
    MEASURES,
    ONE,
    BrainResults,
    mapped,
    places_of,
    subject_mean,
)
from giblet.report.surface_peaks import highest_of_regions, surface_peaks
from giblet.report.tables import number

MOST_PEAKS = 8
APART_MM = 20.0
UNTESTED_SHARE = 0.5  # of the largest value, where nothing is at q < LARGEST_Q


def peak_tables(
    results: BrainResults,
    atlas: Mapping[str, np.ndarray],
    simulated: bool,
    atlas_name: str = "",
) -> list[TextTable]:
    """Peaks of ISC and of the first r that have a map of voxels or vertices.

    ``atlas``: region → (n_voxels,) bool; ``atlas_name`` is in the heading of their names.
    """
    on_surface = vertex_counts(results.space.attrs) is not None
    if "parcel" in results.quality.coords or not (on_surface or "mask" in results.space):
        return []
    drawn = [name for name in mapped(results) if not why_no_map(subject_mean(results, name))]
    shown = [n for n in drawn if n == "isc"] + [n for n in drawn if n != "isc"][:1]
    heading = f"Region ({isolated(atlas_name)})" if atlas_name else "Region"
    make = _surface_table if on_surface else _table
    tables = [make(results, name, atlas, heading, simulated) for name in shown]
    return [table for table in tables if table.rows]


def _surface_table(
    results: BrainResults,
    name: str,
    atlas: Mapping[str, np.ndarray],
    heading: str,
    simulated: bool,
) -> TextTable:
    inside, threshold = above_threshold(results, name)
    q, r, space = _q(results, name), subject_mean(results, name), results.space
    rows = surface_peaks(r, inside, space)
    if not rows:
        rows = highest_of_regions(r, inside, atlas.values())
        threshold += ", the highest vertex of each region"
    sides, vertices = (space[one].values for one in ("hemisphere", "vertex"))
    header = ["Hemisphere", "Vertex", "r", "q", "Cluster (vertices)"] + [heading] * bool(atlas)
    cells = [
        [
            str(sides[column]),
            str(vertices[column]),
            number(r[column], 3),
            number(q[column], 3),
            size,
        ]
        + [_region(atlas, column)] * bool(atlas)
        for column, size in rows[:MOST_PEAKS]
    ]
    return TextTable(_caption(name, threshold, simulated), header, cells)


def _caption(name: str, threshold: str, simulated: bool) -> str:
    kind = " (simulated)" if simulated else ""
    return f"Peaks of {_inside(MEASURES[name][0])}{kind}: {threshold}"


def above_threshold(results: BrainResults, name: str) -> tuple[np.ndarray, str]:
    """Places (n_voxels,) bool at q < .05, or else above half of the largest value; in words."""
    values, places = np.nan_to_num(subject_mean(results, name)), places_of(results.quality)
    inside = np.nan_to_num(_q(results, name), nan=1.0) < LARGEST_Q
    if inside.any():
        return inside, f"{places} at q < {LARGEST_Q:g}"
    lowest = UNTESTED_SHARE * float(values.max())
    return values > lowest, f"no {ONE[places]} at q < {LARGEST_Q:g}; untested, r > {lowest:.2f}"


def _table(
    results: BrainResults,
    name: str,
    atlas: Mapping[str, np.ndarray],
    heading: str,
    simulated: bool,
) -> TextTable:
    rows, threshold = peaks(results, name)
    header = ["x, y, z (mm)", "r", "q", "Cluster (mm³)"] + [heading] * bool(atlas)
    cells = [
        [",\N{NO-BREAK SPACE}".join(number(at, 0) for at in (row.x, row.y, row.z))]
        + [number(row.r, 3), number(row.q, 3), row.size]
        + [_region(atlas, row.voxel)] * bool(atlas)
        for row in rows.itertuples()
    ]
    return TextTable(_caption(name, threshold, simulated), header, cells)


def _inside(label: str) -> str:
    """
    >>> _inside("Inter-subject correlation"), _inside("Ridge r: mel")
    ('inter-subject correlation', 'ridge r: mel')
    """
    return label[0].lower() + label[1:]


def peaks(results: BrainResults, name: str) -> tuple[pd.DataFrame, str]:
    """A row per peak, ``x y z r q size voxel``, and the threshold in words.

    Clusters of nilearn among voxels at q < .05, or else above half of the largest value; peaks in
    one cluster are 20 mm apart. ``size``: mm³ of the cluster as text, empty for its further peaks;
    ``voxel``: column of the scans.
    """
    from nibabel import Nifti1Image
    from nilearn.reporting import get_clusters_table

    values, affine = np.nan_to_num(subject_mean(results, name)), brain_affine(results.space)
    q, (inside, threshold) = _q(results, name), above_threshold(results, name)
    volume = brain_volume(np.where(inside, values, 0.0), results.space)
    image = Nifti1Image(volume, affine)
    clusters = get_clusters_table(image, 1e-6, cluster_threshold=0, min_distance=APART_MM)
    table = clusters.head(MOST_PEAKS).rename(columns={"X": "x", "Y": "y", "Z": "z"})
    places = table[["x", "y", "z"]].to_numpy(dtype=float)
    indices = np.rint(np.c_[places, np.ones(len(places))] @ np.linalg.inv(affine).T)[:, :3]
    columns = np.full(volume.shape, -1)
    columns[results.space["mask"].values.astype(bool)] = np.arange(len(values))
    voxel = columns[tuple(indices.astype(int).T)]
    table = table.assign(voxel=voxel, r=values[voxel], q=q[voxel])
    sizes = table["Cluster Size (mm3)"].astype(str)
    table["size"] = [f"{float(one):,.0f}" if one.strip() else "" for one in sizes]
    return table[["x", "y", "z", "r", "q", "size", "voxel"]].reset_index(drop=True), threshold


def _q(results: BrainResults, name: str) -> np.ndarray:
    if f"{name}_q" in results.quality:
        return results.quality[f"{name}_q"].values
    return np.full(results.quality.sizes["voxel"], np.nan)


def _region(atlas: Mapping[str, np.ndarray], voxel: int) -> str:
    return next((name for name, inside in atlas.items() if inside[voxel]), "–")
