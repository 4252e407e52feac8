"""The glass brain's outlines: read once, and a few patches instead of hundreds of strokes."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

_made: dict[tuple, tuple[list[tuple[Path, dict]], Any]] = {}  # of each direction and style


@contextmanager
def outlines_made_once() -> Iterator[None]:
    """Within the block nilearn draws the outlines of a direction as one patch per colour and width.

    It otherwise reads hundreds of strokes and measures each, for every view. This is an internal
    of nilearn: where a version lacks it, the block changes nothing.
    """
    try:
        displays: Any = importlib.import_module("nilearn.plotting.displays._axes")
        draw = displays.plot_brain_schematics
    except (ImportError, AttributeError):
        yield
        return

    def draw_joined(axes: Axes, direction: str, **style: Any) -> Any:
        key = direction, axes.get_facecolor(), *sorted(style.items())
        if key not in _made:
            scratch = Figure().add_axes((0, 0, 1, 1), facecolor=axes.get_facecolor())
            bounds = draw(scratch, direction, **style)
            _made[key] = _joined(scratch), bounds
        outlines, bounds = _made[key]
        for path, look in outlines:
            axes.add_artist(PathPatch(path, transform=axes.transData, **look))
        return bounds

    displays.plot_brain_schematics = draw_joined
    try:
        yield
    finally:
        displays.plot_brain_schematics = draw


def _joined(axes: Axes) -> list[tuple[Path, dict]]:
    """The patches of axes, in data coordinates, by their colour and width."""
    looks: dict[tuple, list[Path]] = {}
    for stroke in axes.patches:
        path = stroke.get_path().transformed(stroke.get_transform() - axes.transData)
        looks.setdefault((stroke.get_edgecolor(), stroke.get_linewidth()), []).append(path)
    return [
        (
            Path.make_compound_path(*paths),
            {"facecolor": "none", "edgecolor": colour, "linewidth": width},
        )
        for (colour, width), paths in looks.items()
    ]
