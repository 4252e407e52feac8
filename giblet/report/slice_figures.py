"""Axial slices through a map of voxels or their parcels, on the MNI brain."""

from functools import lru_cache, partial

import numpy as np
from matplotlib.axes import Axes

from giblet.brain.cortex import vertex_counts
from giblet.brain.nifti import brain_affine, brain_volume
from giblet.brain.projection import named_space
from giblet.report.brain_figures import bar_label, by_place, map_colour, map_note, map_range, q_of
from giblet.report.brain_maps import COLOUR, map_colours
from giblet.report.pictures import Picture, ink
from giblet.report.scan_quality import (
    LARGEST_Q,
    MEASURES,
    BrainResults,
    has_places,
    main_maps,
    subject_mean,
)
from giblet.report.tables import number

SIZE = (6.4, 2.75)  # inches
ROWS, COLUMNS = 2, 6
TEMPLATE_MM = 2
_EDGES = (0.12, 0.94)  # of the heights of the voxels with a value: of the outer slices
_NOTE = "Axial slices, evenly spaced, z in mm (MNI); left is left. Grey: nilearn's MNI152 template."


def slice_figures(results: BrainResults, simulated: bool) -> list[Picture]:
    """Axial slices through one map: r of the first feature type, or else the first map; none for
    scans on a surface, without coordinates, or in a space that is not MNI."""
    names = main_maps(results)
    on_surface = vertex_counts(results.space.attrs) is not None
    if not names or on_surface or not has_places(results):
        return []
    if not named_space(results.space).startswith("MNI"):
        return []
    name = next((one for one in names if one.startswith("r_")), names[0])
    values, q = subject_mean(results, name), q_of(results, name)
    affine, volume = brain_affine(results.space), brain_volume(values, results.space)
    outlined = None
    if q is not None:
        outlined = brain_volume(np.nan_to_num(q, nan=1.0) < LARGEST_Q, results.space)
    largest, is_shared = map_range(results, name)
    known = brain_volume(np.isfinite(values), results.space) > 0
    scale = {"largest": largest, "label": bar_label(name), "outlined": outlined}
    scale["colour"] = map_colour(results, name)
    heights = slice_heights(known, affine)
    draw = partial(draw_slices, volume=volume, affine=affine, heights=heights, **scale)
    title = f"{MEASURES[name][0]}, axial slices" + " (simulated)" * simulated
    table = by_place(results, {name: values} | ({} if q is None else {"q": q}))
    note = f"{_NOTE} {map_note(results, name, largest, is_shared)}"
    shape = {"keeps_shape": True, "lossless": False}
    return [Picture(f"slices_{name}", title, draw, SIZE, table, note, **shape)]


def slice_heights(known: np.ndarray, affine: np.ndarray) -> list[int]:
    """z of the slices, whole mm from below upwards, through the voxels ``known`` (i, j, k) bool.

    >>> slice_heights(np.ones((2, 2, 101)) > 0, np.diag([2.0, 2.0, 1.0, 1.0]))
    [12, 19, 27, 34, 42, 49, 57, 64, 72, 79, 87, 94]
    """
    from nibabel.affines import apply_affine

    z = apply_affine(affine, np.argwhere(known))[:, 2]
    ends = z.min() + (z.max() - z.min()) * np.array(_EDGES)
    return np.rint(np.linspace(*ends, ROWS * COLUMNS)).astype(int).tolist()


@lru_cache(maxsize=1)
def _template():
    from nilearn.datasets import load_mni152_template

    return load_mni152_template(resolution=TEMPLATE_MM)


def draw_slices(
    axes: Axes,
    volume: np.ndarray,
    affine: np.ndarray,
    heights: list[int],
    largest: float,
    label: str,
    outlined: np.ndarray | None = None,
    colour: str = COLOUR,
) -> None:
    """Two rows of axial slices at ``heights`` (z in mm), left and right marked.

    ``volume`` (i, j, k): values above 0 are drawn, from transparent at 0 to full colour at
    ``largest``, which the colour bar ``label`` names. Voxels of ``outlined`` (i, j, k), bool, have
    a line around them.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from nibabel import Nifti1Image
    from nilearn.plotting import plot_img

    figure, colours = axes.figure, map_colours(colour)
    figure.set_layout_engine("none")
    axes.set_axis_off()
    image = Nifti1Image(np.nan_to_num(volume).clip(0), affine)
    mask = None
    if outlined is not None and outlined.any():
        mask = Nifti1Image(outlined.astype(np.float32), affine)
    height = 1 / ROWS
    for row in range(ROWS):
        place = (0, 1 - (row + 1) * height + 0.07, 0.8, height - 0.07)
        display = plot_img(
            _template(),
            display_mode="z",
            cut_coords=heights[row * COLUMNS : (row + 1) * COLUMNS],
            figure=figure,
            axes=place,
            cmap="gray",
            threshold=0.1,  # outside the brain the page shows
            vmin=0,
            vmax=1,
            colorbar=False,
            annotate=False,
            black_bg=False,
        )
        display.add_overlay(
            image, threshold=largest / 1e3, vmin=0, vmax=largest, cmap=colours, colorbar=False
        )
        if mask is not None:
            display.add_contours(mask, levels=[0.5], colors=["black"], linewidths=0.6)
        for column, (z, view) in enumerate(display.axes.items()):
            middle = {"transform": view.ax.transAxes, "ha": "center", "va": "top", "size": "small"}
            text = number(float(z), 0) if column else f"z = {number(float(z), 0)}"
            view.ax.text(0.5, -0.02, text, color=ink(), **middle)
        first = next(iter(display.axes.values()))
        first.draw_left_right(size="small", bg_color="none", color=ink())
    bar = figure.add_axes((0.83, 0.15, 0.016, 0.7), facecolor="none")
    figure.colorbar(ScalarMappable(Normalize(0, largest), colours), cax=bar, label=label)
