"""Surface views of voxels and their parcels: the maps of the glass brains, on the cortex."""

from functools import partial

import numpy as np
import pandas as pd

from giblet.brain.cortex import N_FSAVERAGE5, vertex_counts
from giblet.brain.projection import project, space_caution, voxel_mm, why_not_projected
from giblet.report.brain_figures import averaged, bar_label, map_colour, map_range, q_of
from giblet.report.pictures import Picture
from giblet.report.scan_quality import (
    LARGEST_Q,
    MEASURES,
    ONE,
    BrainResults,
    has_places,
    main_maps,
    places_of,
    subject_mean,
)
from giblet.report.surface_maps import draw_surface
from giblet.report.tables import number

SIZE = (6.4, 1.4)  # inches
COARSE_MM = 4.0  # voxels with a longer edge reach from one bank of a sulcus to the other
_NOTE = (
    "Surface views are a projection of these maps, for display: tests and tables are of {places}. "
    "Trilinear interpolation, mean from white to pial surface, on nilearn's inflated fsaverage5. "
    "Grey: no {one} with a value there, or no value above 0."
)


def projected_figures(results: BrainResults, simulated: bool) -> list[Picture]:
    """A surface view of each of `main_maps` of voxels, with the range of its glass brain.

    None where `giblet.brain.projection.why_not_projected` has a reason.
    """
    if not _has_voxels(results) or why_not_projected(results.space):
        return []
    figures = [_figure(results, name, simulated) for name in main_maps(results)]
    return [figure for figure in figures if figure is not None]


def projection_note(results: BrainResults) -> str:
    """How surface views are made, or why there are none; empty for scans that have no voxels."""
    if not _has_voxels(results):
        return ""
    if why := why_not_projected(results.space):
        return f"No surface views: {why}."
    edge, places = voxel_mm(results.space), places_of(results.quality)
    note = _NOTE.format(places=places, one=ONE[places])
    coarse = f" Voxels of {edge:.3g} mm mix neighbouring gyri and both banks of a sulcus."
    caution = space_caution(results.space)
    return note + coarse * (edge > COARSE_MM) + f" {caution}" * bool(caution)


def _has_voxels(results: BrainResults) -> bool:
    return has_places(results) and vertex_counts(results.space.attrs) is None


def _figure(results: BrainResults, name: str, simulated: bool) -> Picture | None:
    """None where no vertex has a value above 0."""
    sides, q = project(subject_mean(results, name), results.space), q_of(results, name)
    both = np.concatenate(sides)
    if not (np.nan_to_num(both) > 0).any():
        return None
    largest, is_shared = map_range(results, name)
    outlined = None
    if q is not None:
        below = project((q < LARGEST_Q).astype(float), results.space)
        outlined = tuple(np.nan_to_num(side) >= 0.5 for side in below)
    scale = {"largest": largest, "label": bar_label(name), "outlined": outlined}
    scale["colour"] = map_colour(results, name)
    draw = partial(draw_surface, left=sides[0], right=sides[1], **scale)
    title = f"{MEASURES[name][0]}, projected to the surface" + " (simulated)" * simulated
    table = pd.DataFrame(
        {
            "hemisphere": np.repeat(["L", "R"], N_FSAVERAGE5),
            "vertex": np.tile(np.arange(N_FSAVERAGE5), 2),
            name: both,
        }
    )
    shared = ", the range of all maps of r" if is_shared else ""
    note = (
        f"{averaged(results)}, projected to fsaverage5; {np.isfinite(both).mean():.0%} of its "
        f"vertices have a value. Colour from 0 to {number(largest, 3)}{shared}."
    )
    if outlined is not None:
        table["outlined"] = np.concatenate(outlined).astype(int)
        n = int(table["outlined"].sum())
        note += f" Outlined: q < {LARGEST_Q:g} in {places_of(results.quality)}." if n else ""
    table = table[np.isfinite(both)]
    name, shape = f"surface_{name}", {"keeps_shape": True, "lossless": False}
    return Picture(name, title, draw, SIZE, table, note, **shape)
