"""Figures of the scans: maps, the voxels that were read, subjects, and motion."""

from functools import partial

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from giblet.audio.feature_types import FEATURE_TYPES
from giblet.brain.cortex import vertex_counts
from giblet.brain.nifti import brain_affine, brain_volume
from giblet.brain.projection import space_caution
from giblet.report.brain_maps import COLOUR, MUTED, VIEWS, draw_map
from giblet.report.pictures import Picture, ink
from giblet.report.read_voxels import ReadVoxels
from giblet.report.scan_quality import (
    LARGEST_Q,
    MEASURES,
    ONE,
    SOUND,
    BrainResults,
    drawn_maps,
    has_places,
    mapped,
    passes,
    places_of,
    subject_mean,
)
from giblet.report.surface_maps import draw_surface, drawn_mesh, on_drawn_mesh, why_no_mesh
from giblet.report.tables import in_order, number

WHOLE, GLANCE = (6.4, 1.75), (4.8, 1.55)  # inches
LARGEST_MM = 1.0  # of framewise displacement in colour
_CORRELATIONS = ("isc", "r_")


def map_figures(results: BrainResults, simulated: bool) -> list[Picture]:
    """A map of ISC and of each r that has values above 0; none where coordinates are unknown.

    Maps of r share one range.
    """
    return [map_figure(results, name, simulated) for name in drawn_maps(results)]


def map_figure(
    results: BrainResults, name: str, simulated: bool, views: tuple[str, ...] = tuple(VIEWS)
) -> Picture:
    """The mean over subjects of a measure, on a glass brain with voxels at q < .05 outlined, or
    on the cortex for scans on a surface, where ``views`` does not count."""
    values, q = subject_mean(results, name), q_of(results, name)
    largest, is_shared = map_range(results, name)
    scale = {"largest": largest, "label": bar_label(name), "colour": map_colour(results, name)}
    draw = place_drawing(results, values, q, views, **scale)
    title = MEASURES[name][0] + " (simulated)" * simulated
    table = by_place(results, {name: values} | ({} if q is None else {"q": q}))
    size = WHOLE if len(views) == len(VIEWS) else GLANCE
    note = map_note(results, name, largest, is_shared)
    volume = map_volume(values, results.space)
    return Picture(f"map_{name}", title, draw, size, table, note, keeps_shape=True, volume=volume)


def map_colour(results: BrainResults, name: str) -> str:
    """Of a map; muted where it is above chance nowhere."""
    return COLOUR if passes(results, name) else MUTED


def map_volume(values: np.ndarray, space: xr.Dataset) -> tuple[np.ndarray, np.ndarray] | None:
    """Values (n_voxels,) as (i, j, k), NaN outside the brain, and the affine (mm); None for those
    of a surface."""
    volume, inside = brain_volume(values, space), brain_volume(np.ones(len(values)), space)
    if volume is None:
        return None
    return np.where(inside > 0, volume, np.nan), brain_affine(space)


def map_range(results: BrainResults, name: str) -> tuple[float, bool]:
    """The largest value of a map, of r that of all maps of r; whether several share it."""
    others = [one for one in mapped(results) if one.startswith("r_")]
    shared = others if name in others else [name]
    peaks = [float(np.nanmax(subject_mean(results, one), initial=-np.inf)) for one in shared]
    largest = max(peaks)
    return largest, len(shared) > 1


def bar_label(name: str) -> str:
    """The label of a map's colour bar, short enough for its height.

    >>> bar_label("isc"), bar_label("r_encodec"), bar_label("r_video")
    ('ISC', 'held-out r,\\nsound to BOLD', 'held-out r')
    """
    if name == "isc":
        return "ISC"
    of_sound = name.removeprefix("r_") in FEATURE_TYPES
    return f"held-out r,\n{SOUND.label} to BOLD" if of_sound else "held-out r"


def place_drawing(
    results: BrainResults, values: np.ndarray, q: np.ndarray | None, views: tuple[str, ...], **scale
) -> partial:
    """Draws values (n_voxels,) on axes, by `draw_surface` or `draw_map`."""
    space = results.space
    if vertex_counts(space.attrs) is not None:
        left, right = on_drawn_mesh(values, space)
        inside = None if q is None else on_drawn_mesh((q < LARGEST_Q).astype(float), space)
        outlined = inside and tuple(side > 0 for side in inside)
        scale |= {"outlined": outlined, "mesh": drawn_mesh(space)}
        return partial(draw_surface, left=left, right=right, **scale)
    affine, volume = brain_affine(space), brain_volume(values, space)
    outlined = None if q is None else brain_volume(np.nan_to_num(q, nan=1.0) < LARGEST_Q, space)
    return partial(draw_map, volume=volume, affine=affine, views=views, outlined=outlined, **scale)


def averaged(results: BrainResults) -> str:
    """What a map is the mean of, for its caption."""
    n = results.quality.sizes["subject"]
    return f"Mean over {n} subjects" if n > 1 else "One subject"


def map_note(results: BrainResults, name: str, largest: float, is_shared: bool) -> str:
    """Range, number of subjects, threshold and error rate of a map."""
    places = places_of(results.quality)
    shared = ", the range of all maps of r" if is_shared else ""
    text = f"{averaged(results)}; colour from 0 to {number(largest, 3)}{shared}; "
    text += "below 0 nothing is drawn."
    if vertex_counts(results.space.attrs) is None and (caution := space_caution(results.space)):
        text = f"{text} {caution}"
    if (q := q_of(results, name)) is None:
        return f"{text} Not tested, so nothing is outlined."
    n_tested, n_below = int(np.isfinite(q).sum()), int((q < LARGEST_Q).sum())
    rate = f"q < {LARGEST_Q:g} (false discovery rate over {n_tested:,} {places})"
    if not n_below:
        muted = "" if passes(results, name) else ", and the map is blue-grey"
        return f"{text} No {ONE[places]} at {rate}, so nothing is outlined{muted}."
    noun = places if n_below > 1 else ONE[places]
    return f"{text} Outlined: {n_below:,} {noun} at {rate}."


def read_figure(results: BrainResults, read: ReadVoxels, simulated: bool) -> Picture | None:
    """The voxels that the decoder reads; None where it reads all, or places are unknown."""
    inside = np.zeros(results.quality.sizes["voxel"], dtype=bool)
    inside[read.columns] = True
    if inside.all() or not has_places(results) or why_no_mesh(results.space):
        return None
    shown = inside.astype(np.float32)
    if vertex_counts(results.space.attrs) is not None:
        drawn = np.concatenate(on_drawn_mesh(shown, results.space))
        if not (drawn > 0).any():  # of a denser mesh some vertices alone are drawn
            return None
    draw = place_drawing(results, shown, None, tuple(VIEWS), largest=1.0, label="")
    title = f"The {read.noun} that the decoder reads" + " (simulated)" * simulated
    table = by_place(results, {"read": inside.astype(int)})
    return Picture("map_read", title, draw, WHOLE, table, read.note, keeps_shape=True)


def subject_figure(results: BrainResults, simulated: bool) -> Picture | None:
    """Two dots per subject, mean and 95th percentile, for ISC and every r; None without any."""
    names = [
        name for name in MEASURES if name.startswith(_CORRELATIONS) and name in results.quality
    ]
    summary = results.summary
    table = summary[summary["metric"].isin(names) & summary["mean"].notna()]
    table = table[["metric", "subject", "mean", "p95"]].reset_index(drop=True)
    if table.empty:
        return None
    names = in_order(table["metric"], names)
    title = "Correlations, subject by subject" + " (simulated)" * simulated
    places = places_of(results.quality)
    note = f"Full dots: mean over {places}; hollow: their 95th percentile; lines: mean of subjects."
    draw = partial(draw_subjects, table=table, labels={name: MEASURES[name][0] for name in names})
    size = (6.4, 0.7 + 0.28 * len(names))
    return Picture("subjects", title, draw, size, table, note)


def draw_subjects(axes: Axes, table: pd.DataFrame, labels: dict[str, str]) -> None:
    """``table``: ``metric subject mean p95``; a row for each of ``labels``, by metric."""
    for row, name in enumerate(labels):
        for column, face in (("mean", None), ("p95", "none")):
            values = table.loc[table["metric"] == name, column].to_numpy()
            style = {"color": "#1b82c5", "markerfacecolor": face, "alpha": 0.7}
            axes.plot(values, np.full(len(values), row), "o", **style)
            axes.vlines(values.mean(), row - 0.35, row + 0.35, color=ink(), linewidth=1)
    axes.axvline(0, color=ink(), linewidth=0.6, linestyle="--")
    axes.set_yticks(np.arange(len(labels)), list(labels.values()))
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlabel("r")


def motion_figure(results: BrainResults, simulated: bool) -> Picture | None:
    """Framewise displacement of each scan, volume by volume; None where it is unknown."""
    space = results.space
    if "framewise_displacement" not in space:
        return None
    moved = space["framewise_displacement"].values
    if not np.isfinite(moved).any():
        return None
    columns = {name: space[name].values.astype(str) for name in ("subject", "run")}
    table = pd.DataFrame(columns | {"fd_mm": moved})
    table.insert(2, "volume", table.groupby(["subject", "run"], sort=False).cumcount())
    n_scans = len(table[["subject", "run"]].drop_duplicates())
    title = "Motion: framewise displacement" + " (simulated)" * simulated
    note = f"A row per scan; colour from 0 to {LARGEST_MM:g} mm and more, blank: unknown."
    draw = partial(draw_motion, table=table)
    return Picture("motion", title, draw, (6.4, 0.9 + min(0.2 * n_scans, 4.0)), table, note)


def draw_motion(axes: Axes, table: pd.DataFrame) -> None:
    """``table``: ``subject run volume fd_mm``."""
    wide = table.pivot_table("fd_mm", ["subject", "run"], "volume", sort=False, dropna=False)
    wide = wide.dropna(how="all")
    shades = axes.imshow(wide, aspect="auto", vmin=0, vmax=LARGEST_MM, cmap="viridis",
                         interpolation="nearest", rasterized=True)  # fmt: skip
    several = wide.index.get_level_values("run").nunique() > 1
    labels = [f"{subject}, {run}" if several else subject for subject, run in wide.index]
    every = -(-len(labels) // 20)
    axes.set_yticks(np.arange(len(labels))[::every], [short(one) for one in labels[::every]])
    axes.set_xlabel("volume")
    axes.figure.colorbar(shades, ax=axes, label="mm", extend="max")


def short(name: str, most: int = 24) -> str:
    """A name that fits beside an axis.

    >>> short("sub-01"), short("sub-" + "x" * 40, most=8)
    ('sub-01', 'sub-xxx…')
    """
    return name if len(name) <= most else name[: most - 1] + "…"


def q_of(results: BrainResults, name: str) -> np.ndarray | None:
    """(n_voxels,) false discovery rates; None where nothing was tested."""
    q: xr.DataArray | None = results.quality.get(f"{name}_q")
    return None if q is None or not np.isfinite(q).any() else q.values


def by_place(results: BrainResults, columns: dict[str, np.ndarray]) -> pd.DataFrame:
    """A row per voxel or parcel: where it is known, its place in mm, and ``columns``."""
    coords = {k: v.values for k, v in results.quality.coords.items() if v.dims == ("voxel",)}
    return pd.DataFrame(coords | columns)
