"""Where in the brain the sound is: a figure of regions, a map, and a table of the best places."""

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from giblet.io.tables import split_values
from giblet.report.brain_figures import WHOLE, place_drawing, short
from giblet.report.brain_maps import VIEWS
from giblet.report.extras import TextTable
from giblet.report.material import Material
from giblet.report.page_text import isolated
from giblet.report.pictures import Picture, ink
from giblet.report.scan_quality import has_places
from giblet.report.surface_maps import why_no_mesh
from giblet.report.tables import number

CHANCE, LEVEL = 0.1, 0.05
REGION = "region"
MOST_PLACES = 12  # of a kind, in the figure and in the table
_COLUMNS = {"brain": "subjects one by one, mean", "brain_group": "all subjects together"}
_COLOURS = {"brain": "#1b82c5", "brain_group": "#D55E00"}


def with_searchlight(material: Material) -> bool:
    """Pages about results of the rule ``searchlight`` have the section."""
    return material.extras.searchlight is not None


def searchlight_section(material: Material) -> dict:
    """Variables of the section; ``material.extras.searchlight`` is there."""
    table = material.extras.searchlight
    kind = " (simulated brains)" if material.simulated else ""
    return {
        "heading": f"Where in the brain{kind}",
        "pictures": searchlight_figures(material),
        "table": searchlight_text(table, kind),
        "finding": finding(table),
    }


def finding(table: pd.DataFrame) -> str:
    """How many places of each kind identify clips above chance, and the best one, in words.

    >>> rows = {"column": "brain", "kind": "region", "place": ["A1", "V1"], "value": [0.5, 0.1],
    ...         "p_max": [0.01, 0.9]}
    >>> finding(pd.DataFrame(rows))
    'Above chance at p < .05, corrected for their number: 1 of 2 regions; the best is A1.'
    """
    sentences = []
    for kind, rows in table[table["column"] == "brain"].groupby("kind", sort=False):
        above = rows[rows["p_max"] < LEVEL].sort_values("value", ascending=False)
        has_best = len(above) and kind != "sphere"
        best = f"; the best is {isolated(above['place'].iloc[0])}" if has_best else ""
        sentences.append(
            f"Above chance at p < .05, corrected for their number: {len(above)} of {len(rows)} "
            f"{kind}s{best}."
        )
    return " ".join(sentences)


def searchlight_figures(material: Material) -> list[Picture]:
    """Regions (or parcels) with intervals, and a map of spheres or parcels; none without a table.

    The map is left out where places are unknown or nothing is above chance.
    """
    table = material.extras.searchlight
    if table is None:
        return []
    pictures = []
    named = table[table["kind"] != "sphere"]
    if len(named):
        kind = REGION if (named["kind"] == REGION).any() else "parcel"
        shown = _best(named[named["kind"] == kind])
        title = f"Clips identified from each {kind}" + " (simulated)" * material.simulated
        note = (
            "10-way identification; 95 % intervals of a bootstrap of clips. Filled: p < .05, "
            f"family-wise over {int(shown['n_places'].max())} {kind}s. Line: chance."
        )
        note += " Small dots above: single subjects." * _has_subjects(shown)
        height = 0.8 + 0.3 * shown["place"].nunique()
        draw = partial(_draw, table=shown)
        pictures.append(Picture("searchlight_regions", title, draw, (5.2, height), table, note))
    return pictures + _map(material, table)


def _has_subjects(table: pd.DataFrame) -> bool:
    """Tables of an older giblet have none, and of one subject there is nothing to compare."""
    return any(len(split_values(cell)) > 1 for cell in table.get("by_subject", []))


def _best(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the places with the highest values of the brain, best first."""
    own = table[table["column"] == "brain"].sort_values("value", ascending=False)
    names = own["place"].head(MOST_PLACES).tolist()
    rows = table[table["place"].isin(names)]
    return rows.sort_values("place", key=lambda place: place.map(names.index), kind="stable")


def _draw(axes: Axes, table: pd.DataFrame) -> None:
    names = list(dict.fromkeys(table["place"]))
    for n, (column, label) in enumerate(_COLUMNS.items()):
        rows = table[table["column"] == column]
        if rows.empty:
            continue
        heights = np.array([names.index(place) for place in rows["place"]]) + 0.2 * n
        colour = _COLOURS[column]
        axes.hlines(heights, rows["low"], rows["high"], color=colour, linewidth=1.5)
        filled = np.where(rows["p_max"] < LEVEL, colour, "none")
        axes.scatter(
            rows["value"], heights, facecolors=filled, edgecolors=colour, label=label, zorder=3
        )
        _draw_subjects(axes, rows, heights - 0.2, colour)
    axes.axvline(CHANCE, color=ink(), linewidth=0.8, linestyle="--")
    axes.set_yticks(np.arange(len(names)) + 0.1, [short(name) for name in names])
    axes.set_ylim(len(names) - 0.3, -0.5)
    axes.set_xlim(0, 1)
    axes.set_xlabel("clips identified among ten")
    axes.set_facecolor("none")
    if table["column"].nunique() > 1:
        axes.figure.legend(loc="outside upper right", ncols=2)


def _draw_subjects(axes: Axes, rows: pd.DataFrame, heights: np.ndarray, colour: str) -> None:
    """Small dots of single subjects, above their mean; ``heights`` (n_rows,)."""
    for cell, height in zip(rows.get("by_subject", []), heights, strict=False):
        values = split_values(cell)
        if len(values) > 1:
            level = np.full(len(values), height)
            axes.plot(values, level, "o", color=colour, markersize=2.2, alpha=0.7, linewidth=0)


def _map(material: Material, table: pd.DataFrame) -> list[Picture]:
    """Identification above chance by voxel or parcel, outlined where p_max < .05."""
    results, kept = material.brain, material.extras.kept
    rows = table[(table["voxel"] >= 0) & (table["column"] == "brain")]
    if results is None or kept is None or rows.empty:
        return []
    if not has_places(results) or why_no_mesh(results.space):
        return []
    n_places = results.quality.sizes["parcel" if "parcel" in results.quality.dims else "voxel"]
    values, p = np.full(n_places, np.nan), np.full(n_places, np.nan)
    at = kept[rows["voxel"].to_numpy()]
    values[at], p[at] = rows["value"] - CHANCE, rows["p_max"]
    largest = float(np.nanmax(values))
    if not largest > 0:
        return []
    scale = {"largest": largest, "label": "above chance"}
    draw = place_drawing(results, values, p, tuple(VIEWS), **scale)
    kind = rows["kind"].iloc[0]
    title = f"Clips identified from {kind}s of the brain" + " (simulated)" * material.simulated
    n = int((rows["p_max"] < LEVEL).sum())
    note = (
        f"10-way identification minus chance (.1), at each {kind}'s centre; colour from 0 to "
        f"{number(largest, 3)}. Outlined: {n:,} of {len(rows):,} with p < .05, family-wise."
    )
    shown = rows[["place", "n_voxels", "value", "low", "high", "p", "p_max"]]
    return [Picture("searchlight_map", title, draw, WHOLE, shown, note, keeps_shape=True)]


def searchlight_text(table: pd.DataFrame, kind: str = "") -> TextTable:
    """Regions, and the best parcels or spheres, of single subjects and of the group."""
    header = ["Place", "Decoded", "Voxels", "Clips identified", "p", "p, family-wise", "Of places"]
    rows = []
    for name, of_kind in table.groupby("kind", sort=False):
        best = _best(of_kind)
        rows += [
            [
                f"{name} {isolated(row.place)}",
                _COLUMNS.get(row.column, row.column),
                number(row.n_voxels, 0),
                f"{number(row.value, 3)} [{number(row.low, 3)}, {number(row.high, 3)}]",
                number(row.p, 4),
                number(row.p_max, 4),
                number(row.n_places, 0),
            ]
            for row in best.itertuples()
        ]
    caption = f"Held-out clips identified among ten (chance .1), the best {MOST_PLACES} of a kind"
    return TextTable(caption + kind, header, rows)
