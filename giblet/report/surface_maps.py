"""Maps on the cortex: static views of both hemispheres, and one that turns, without network."""

from functools import lru_cache

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from giblet.brain.cortex import N_FSAVERAGE5, NESTED, shipped_mesh, vertex_counts, vertex_maps
from giblet.report.brain_maps import COLOUR
from giblet.report.pictures import ink

_NOTE = (
    "On nilearn's inflated fsaverage5, lateral and medial; grey: sulci and gyri where there is no "
    "value above 0. A single vertex has no outline."
)
VIEW_NOTE = (
    "Drag to turn, scroll to zoom. The same values; the map above is for print and keyboard."
)
_VIEWS = (("left", "lateral"), ("left", "medial"), ("right", "medial"), ("right", "lateral"))
_VIEW_INCHES, _VIEW_DPI, _ZOOM = (1.5, 1.1), 300, 1.42
_GRAZING = -0.3  # cosine to the line of sight: faces beyond are hidden, in perspective too


def maps_note(space: xr.Dataset) -> str:
    """How the maps are read; of a denser mesh, how many of its vertices are drawn."""
    counts = vertex_counts(space.attrs)
    if counts is None or counts[0] == N_FSAVERAGE5 or why_no_mesh(space):
        return _NOTE
    return (
        f"{_NOTE} Of {counts[0]:,} vertices of {space.attrs['surface']} in each hemisphere the "
        f"{N_FSAVERAGE5:,} that are fsaverage5's are drawn: a smaller cluster can be missing."
    )


def why_no_mesh(space: xr.Dataset) -> str:
    """Why maps of scans on a surface cannot be drawn, and what to do; empty where they can."""
    counts = vertex_counts(space.attrs)
    if counts is None or shipped_mesh(str(space.attrs["surface"]), counts):
        return ""
    surface = str(space.attrs["surface"])
    sizes = f" with {counts[0]:,} + {counts[1]:,} vertices" if surface in NESTED else ""
    return (
        f"no mesh of {surface}{sizes} comes with nilearn. For maps, read fMRIPrep's fsaverage5 "
        "files (scan.space: fsaverage5); export has the values of each vertex"
    )


def on_fsaverage5(values: np.ndarray, space: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Values (n_columns,) of vertices or parcels on the left and the right hemisphere of
    fsaverage5, (10,242,) each, NaN where there are none; of denser meshes at the vertices that
    they share with it."""
    sides = vertex_maps(values, space)
    if sides is None:
        raise ValueError("these scans lie on no surface")
    return sides[0][:N_FSAVERAGE5], sides[1][:N_FSAVERAGE5]


def surface_view(left: np.ndarray, right: np.ndarray) -> str:
    """Both hemispheres that turn, as an HTML page without network; values above a tenth of the
    largest are shown."""
    from nilearn.plotting import view_surf
    from nilearn.surface import SurfaceImage

    data = {"left": np.nan_to_num(left).clip(0), "right": np.nan_to_num(right).clip(0)}
    largest = float(max(side.max() for side in data.values()))
    image = SurfaceImage(
        _mesh(), {side: values.astype(np.float32) for side, values in data.items()}
    )
    options = {"threshold": largest / 10, "vmin": 0, "vmax": largest, "symmetric_cmap": False}
    options |= {"cmap": "inferno", "black_bg": True, "bg_map": _sulci()}
    return view_surf(surf_map=image, hemi="both", **options).get_standalone()


def _mesh():
    from nilearn.datasets import load_fsaverage

    return load_fsaverage("fsaverage5")["inflated"]


def _sulci():
    from nilearn.datasets import load_fsaverage_data

    return load_fsaverage_data(mesh="fsaverage5", data_type="sulcal", mesh_type="inflated")


def draw_surface(
    axes: Axes,
    left: np.ndarray,
    right: np.ndarray,
    largest: float,
    label: str,
    outlined: tuple[np.ndarray, np.ndarray] | None = None,
    colour: str = COLOUR,
) -> None:
    """Four views of maps of both hemispheres, (10,242,) each; values below 0 are left out.

    ``colour`` goes from transparent at 0 to full at ``largest``, which the colour bar ``label``
    names; without a label there is none. Some value is above 0, see
    `giblet.report.brain_maps.why_no_map`. Vertices of ``outlined``, (10,242,) bool each, have a
    line around them.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    figure, none = axes.figure, np.zeros(len(left), bool)
    figure.set_layout_engine("none")
    axes.set_axis_off()
    width = 0.84 / len(_VIEWS)
    inside = outlined or (none, none)
    by_side = {"left": (left, inside[0]), "right": (right, inside[1])}
    for n, (side, view) in enumerate(_VIEWS):
        values, within = by_side[side]
        values = np.nan_to_num(values).clip(0).astype(np.float32)
        place = figure.add_axes((n * width, 0.08, width, 0.92), facecolor="none")
        place.set_axis_off()
        place.imshow(
            _view(side, view, values.tobytes(), within.tobytes(), largest, colour),
            interpolation="none",
        )
        where = {"ha": "center", "va": "bottom", "size": "small", "color": ink()}
        figure.text((n + 0.5) * width, 0.0, f"{side}, {view}", **where)
    if label:
        bar = figure.add_axes((0.86, 0.15, 0.02, 0.7), facecolor="none")
        figure.colorbar(
            ScalarMappable(Normalize(0, largest), _colours(colour)), cax=bar, label=label
        )


@lru_cache
def _inflated(side: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates (10,242, 3) and faces (20,480, 3) of a hemisphere; its sulci and gyri in light
    greys, (10,242,) between 0 (white) and 1 (black)."""
    mesh, depth = _mesh().parts[side], _sulci().data.parts[side]
    shades = 0.1 + 0.4 * (depth - depth.min()) / (depth.max() - depth.min())
    return mesh.coordinates, mesh.faces, shades


def _is_seen(places: np.ndarray, faces: np.ndarray, from_left: bool) -> np.ndarray:
    """Whether faces may be seen from the left or the right, (n_faces,) bool: the others need not
    be drawn, which takes half of the time."""
    corners = places[faces]  # (n_faces, 3 corners, 3)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    to_left = -normals[:, 0] / np.linalg.norm(normals, axis=1)
    return (to_left if from_left else -to_left) > _GRAZING


_DARKEST = {COLOUR: "#5c2700"}  # of the largest values


def _colours(colour: str):
    from matplotlib.colors import LinearSegmentedColormap, to_rgba

    ends = [to_rgba(colour, 0), to_rgba(colour, 0.9), to_rgba(_DARKEST.get(colour, colour), 1)]
    return LinearSegmentedColormap.from_list("", ends)


@lru_cache(maxsize=64)  # the page and two widths of print draw the same views
def _view(
    side: str, view: str, values: bytes, outlined: bytes, largest: float, colour: str
) -> np.ndarray:
    """One view of a hemisphere as an image (height, width, 4), 300 dots per inch in print.

    ``values``, ``outlined``: of float32 and bool arrays (10,242,).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from nilearn.plotting import plot_surf_contours, plot_surf_stat_map
    from nilearn.surface import InMemoryMesh

    places, faces, shades = _inflated(side)
    faces = faces[_is_seen(places, faces, from_left=(side == "left") == (view == "lateral"))]
    mesh = InMemoryMesh(places.copy(), faces)  # nilearn moves its coordinates
    inside = np.frombuffer(outlined, bool)
    figure = Figure(figsize=_VIEW_INCHES, dpi=_VIEW_DPI, facecolor="none")
    canvas = FigureCanvasAgg(figure)
    place = figure.add_axes((0, 0, 1, 1), projection="3d", facecolor="none")
    where = {"hemi": side, "axes": place, "figure": figure, "engine": "matplotlib"}
    plot_surf_stat_map(
        mesh,
        np.frombuffer(values, np.float32),
        view=view,
        bg_map=shades,
        threshold=largest / 1e3,
        vmin=0,
        vmax=largest,
        symmetric_cbar=False,
        cmap=_colours(colour),
        colorbar=False,
        **where,
    )
    if (inside[faces].sum(axis=1) > 1).any():  # nilearn refuses vertices without neighbours
        plot_surf_contours(mesh, inside.astype(int), levels=[1], colors=["black"], **where)
    place.set_title("")
    place.set_box_aspect(None, zoom=_ZOOM)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba()).copy()
