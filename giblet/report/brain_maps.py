"""Maps of the brain: values of voxels or parcels as a glass brain, in the page's text colour."""

import numpy as np
from matplotlib.axes import Axes

from giblet.report.figures import INK, svg_uri

COLOUR = "#D55E00"  # of the largest value; smaller ones let the page through


def why_no_map(values: np.ndarray) -> str:
    """The reason why values cannot be drawn; empty where they can.

    >>> [why_no_map(np.array(values)) for values in ([np.nan], [np.nan, -1, 0], [0, 1])]
    ['no values', 'no value above 0', '']
    """
    if np.isnan(values).all():
        return "no values"
    return "" if (values > 0).any() else "no value above 0"


VIEWS = {"left": "l", "back": "y", "right": "r", "top": "z"}


def brain_map(
    volume: np.ndarray,
    affine: np.ndarray,
    views: tuple[str, ...] = tuple(VIEWS),
    size: tuple[float, float] = (6.4, 1.75),
) -> str:
    """Maximum along each line of sight, as SVG data URI; values below 0 are not shown.

    ``volume`` has some value above 0, see `why_no_map`. Views are named, left and right marked.
    ``size`` in inches.
    """
    volume = np.nan_to_num(volume).clip(0)
    return svg_uri(size, _draw_glass_brain, volume, affine, views)


def brain_view(volume: np.ndarray, affine: np.ndarray) -> str:
    """A slice viewer on the MNI brain that follows the mouse, as an HTML page without network.

    Values above a tenth of the largest are shown; some are above 0, see `why_no_map`.
    """
    from nibabel import Nifti1Image
    from nilearn.plotting import view_img

    volume = np.nan_to_num(volume).clip(0)
    largest = float(volume.max())
    options = {"threshold": largest / 10, "vmin": 0, "vmax": largest, "symmetric_cmap": False}
    options |= {"cmap": "inferno", "resampling_interpolation": "nearest"}
    options |= {"black_bg": True, "opacity": 0.9}
    return view_img(Nifti1Image(volume, affine), **options).get_standalone()


def _draw_glass_brain(axes: Axes, volume: np.ndarray, affine: np.ndarray, views: tuple[str, ...]):
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgba
    from nibabel import Nifti1Image
    from nilearn.plotting import plot_glass_brain

    figure, largest = axes.figure, float(volume.max())
    colours = LinearSegmentedColormap.from_list("", [to_rgba(COLOUR, 0), to_rgba(COLOUR, 1)])
    figure.set_layout_engine("none")  # nilearn places its views itself
    axes.set_position((0, 0.08, 0.84, 0.92))
    options = {"threshold": largest / 1e3, "vmin": 0, "vmax": largest, "plot_abs": False}
    options |= {"cmap": colours, "colorbar": False, "annotate": False}
    image = Nifti1Image(volume, affine)
    mode = "".join(VIEWS[view] for view in views)
    display = plot_glass_brain(image, display_mode=mode, figure=figure, axes=axes, **options)
    for view in figure.axes:
        _redraw_outlines(view)
    for name in views:
        view = display.axes[VIEWS[name]]
        view.draw_left_right(size=9, bg_color="none", color=INK)
        middle = {"transform": view.ax.transAxes, "ha": "center", "va": "top", "size": 9}
        view.ax.text(0.5, 0.0, name, color=INK, **middle)
    bar = figure.add_axes((0.86, 0.15, 0.02, 0.7), facecolor="none")
    figure.colorbar(ScalarMappable(Normalize(0, largest), colours), cax=bar, label="mean r")


def _redraw_outlines(axes: Axes) -> None:
    """Joins nilearn's hundreds of short strokes to a patch per colour; black is the page's ink."""
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
        ink = (*colour, alpha) if any(colour) else to_rgba(INK, alpha)
        options = {"facecolor": "none", "edgecolor": ink, "linewidth": width}
        axes.add_patch(PathPatch(outline, transform=strokes[0].get_transform(), **options))
