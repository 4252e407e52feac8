"""Maps of the brain: values of voxels or parcels as a glass brain, in the page's text colour."""

import gc
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources

import numpy as np
from matplotlib.axes import Axes

from giblet.report.brain_outlines import outlines_made_once
from giblet.report.pictures import ink
from giblet.report.strips import smaller_images

_OVERLAY = re.compile(r'id="overlayImg"[^>]*?src="([^"]*)"')
COLOUR = "#D55E00"  # of the largest value; smaller ones let the page through
MUTED = "#5b7083"  # blue-grey, of a map that is above chance nowhere


def why_no_map(values: np.ndarray) -> str:
    """The reason why values cannot be drawn; empty where they can.

    >>> [why_no_map(np.array(values)) for values in ([np.nan], [np.nan, -1, 0], [0, 1])]
    ['no values', 'no value above 0', '']
    """
    if np.isnan(values).all():
        return "no values"
    return "" if (values > 0).any() else "no value above 0"


VIEWS = {"left": "l", "back": "y", "right": "r", "top": "z"}


@contextmanager
def quick_collections() -> Iterator[None]:
    """Within the block garbage collections skip objects that exist already.

    nilearn forces one for each image that it reads, and each walks through everything imported.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@quick_collections()
def draw_map(
    axes: Axes,
    volume: np.ndarray,
    affine: np.ndarray,
    largest: float,
    label: str,
    outlined: np.ndarray | None = None,
    views: tuple[str, ...] = tuple(VIEWS),
    colour: str = COLOUR,
) -> None:
    """Maximum along each line of sight, on the glass brain of nilearn; values below 0 are left out.

    ``colour`` goes from transparent at 0 to full at ``largest``, which the colour bar ``label``
    names; without a label there is none. ``volume`` (i, j, k); voxels of ``outlined`` (i, j, k),
    bool, have a line around them. Views are named, left and right marked.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from nibabel import Nifti1Image
    from nilearn.plotting import plot_glass_brain

    figure, volume, colours = axes.figure, np.nan_to_num(volume).clip(0), map_colours(colour)
    figure.set_layout_engine("none")  # nilearn places its views itself
    axes.set_position((0, 0.08, 0.82, 0.92))
    options = {"threshold": largest / 1e3, "vmin": 0, "vmax": largest, "plot_abs": False}
    options |= {"cmap": colours, "colorbar": False, "annotate": False}
    image = Nifti1Image(volume, affine)
    mode = "".join(VIEWS[view] for view in views)
    with outlines_made_once():
        display = plot_glass_brain(image, display_mode=mode, figure=figure, axes=axes, **options)
    for view in figure.axes:
        _redraw_outlines(view)
    if outlined is not None and outlined.any():
        mask = Nifti1Image(outlined.astype(np.float32), affine)
        display.add_contours(mask, levels=[0.5], colors=ink(), linewidths=0.8)
    for name in views:
        view = display.axes[VIEWS[name]]
        view.draw_left_right(size="small", bg_color="none", color=ink())
        middle = {"transform": view.ax.transAxes, "ha": "center", "va": "top", "size": "small"}
        view.ax.text(0.5, 0.0, name, color=ink(), **middle)
    if label:
        bar = figure.add_axes((0.84, 0.15, 0.02, 0.7), facecolor="none")
        figure.colorbar(ScalarMappable(Normalize(0, largest), colours), cax=bar, label=label)


def map_colours(colour: str = COLOUR):
    """From transparent to ``colour``."""
    from matplotlib.colors import LinearSegmentedColormap, to_rgba

    return LinearSegmentedColormap.from_list("", [to_rgba(colour, 0), to_rgba(colour, 1)])


def brain_view(volumes: Sequence[np.ndarray], affine: np.ndarray) -> str:
    """A slice viewer on the MNI brain that follows mouse and keys, as an HTML page without network.

    ``volumes`` (i, j, k): maps, the first is shown; ``showMap(number)`` of the page's window shows
    another. Of each, values above a tenth of the largest; some are above 0, see `why_no_map`.
    """
    pages = [_slices(np.nan_to_num(volume).clip(0), affine) for volume in volumes]
    maps = [
        {"picture": smaller_images(_OVERLAY.search(page)[1]), "largest": largest}
        for page, largest in pages
    ]
    page = smaller_images(pages[0][0])
    keys = resources.files("giblet.report").joinpath("slices.js.jinja").read_text("utf-8")
    before, end, after = page.rpartition("</body>")  # the viewer is made later, once all is loaded
    listed = f'<script type="application/json" id="maps">{json.dumps(maps)}</script>'
    return f"{before}{listed}\n<script>\n{keys}</script>\n{end}{after}"


@quick_collections()
def _slices(volume: np.ndarray, affine: np.ndarray) -> tuple[str, float]:
    """The page that nilearn makes of a map, and the map's largest value."""
    from nibabel import Nifti1Image
    from nilearn.plotting import view_img

    largest = float(volume.max())
    options = {"threshold": largest / 10, "vmin": 0, "vmax": largest, "symmetric_cmap": False}
    options |= {"cmap": "inferno", "resampling_interpolation": "nearest"}
    options |= {"black_bg": True, "opacity": 0.9}
    return view_img(Nifti1Image(volume, affine), **options).get_standalone(), largest


def _redraw_outlines(axes: Axes) -> None:
    """Joins nilearn's hundreds of short strokes to a patch per colour; black becomes the ink."""
    from matplotlib.colors import to_rgba
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    styles: dict[tuple, list] = {}
    for stroke in list(axes.patches):
        style = stroke.get_edgecolor(), stroke.get_linewidth()
        styles.setdefault(style, []).append(stroke)
        stroke.remove()
    for ((*colour, alpha), width), strokes in styles.items():
        outline = Path.make_compound_path(*(stroke.get_path() for stroke in strokes))
        stroke_colour = (*colour, alpha) if any(colour) else to_rgba(ink(), alpha)
        options = {"facecolor": "none", "edgecolor": stroke_colour, "linewidth": width}
        axes.add_artist(PathPatch(outline, transform=strokes[0].get_transform(), **options))
