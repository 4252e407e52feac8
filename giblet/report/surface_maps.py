"""Maps on the cortex: static views of both hemispheres, and one that turns, without network."""

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from giblet.brain.cortex import (
    N_FSAVERAGE5,
    NESTED,
    shipped_mesh,
    stored_mesh,
    vertex_counts,
    vertex_maps,
)
from giblet.report.brain_maps import COLOUR
from giblet.report.pictures import ink

_NOTE = (
    "On nilearn's inflated fsaverage5, lateral and medial; grey: sulci and gyri where there is no "
    "value above 0. A single vertex has no outline."
)
_OWN_NOTE = (
    "On {file} and its right hemisphere, lateral and medial; grey: no value above 0, darker in "
    "sulci. A single vertex has no outline. Neighbours, as of TFCE, are those of {source}."
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
    if (stored := stored_mesh(space)) is not None:
        return _OWN_NOTE.format(file=stored.file, source=stored.source)
    if counts is None or counts[0] == N_FSAVERAGE5 or why_no_mesh(space):
        return _NOTE
    return (
        f"{_NOTE} Of {counts[0]:,} vertices of {space.attrs['surface']} in each hemisphere the "
        f"{N_FSAVERAGE5:,} that are fsaverage5's are drawn: a smaller cluster can be missing."
    )


def why_no_mesh(space: xr.Dataset) -> str:
    """Why maps of scans on a surface cannot be drawn, and what to do; empty where they can."""
    counts = vertex_counts(space.attrs)
    if counts is None or stored_mesh(space) or shipped_mesh(str(space.attrs["surface"]), counts):
        return ""
    surface = str(space.attrs["surface"])
    sizes = f" with {counts[0]:,} + {counts[1]:,} vertices" if surface in NESTED else ""
    return (
        f"no mesh of {surface}{sizes} comes with nilearn. For maps, name one (scan.mesh: "
        "…_hemi-L_midthickness.surf.gii), or read fMRIPrep's fsaverage5 files (scan.space: "
        "fsaverage5); export has the values of each vertex"
    )


def on_drawn_mesh(values: np.ndarray, space: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Values (n_columns,) of vertices or parcels on the left and the right hemisphere of
    `drawn_mesh`, (n_vertices,) each, NaN where there are none; of fsaverage6 and fsaverage at the
    vertices that they share with fsaverage5."""
    sides = vertex_maps(values, space)
    if sides is None:
        raise ValueError("these scans lie on no surface")
    if stored_mesh(space) is not None:
        return sides
    return sides[0][:N_FSAVERAGE5], sides[1][:N_FSAVERAGE5]


@dataclass(frozen=True)
class DrawnMesh:
    """What maps are drawn on; by hemisphere (left, right). Meshes of one ``key`` are equal.

    places : (n_vertices, 3) mm
    faces : (n_faces, 3)
    shades : (n_vertices,) of sulci and gyri in light greys, between 0 (white) and 1 (black)
    """

    key: str
    places: dict[str, np.ndarray] = field(compare=False)
    faces: dict[str, np.ndarray] = field(compare=False)
    shades: dict[str, np.ndarray] = field(compare=False)


def drawn_mesh(space: xr.Dataset | None = None) -> DrawnMesh:
    """The mesh that is stored with scans, with grey by the depth of its sulci; else nilearn's
    inflated fsaverage5."""
    stored = None if space is None else stored_mesh(space)
    counts = None if space is None else vertex_counts(space.attrs)
    if stored is None or counts is None:
        return _fsaverage5()
    key = hashlib.sha256(stored.drawn.tobytes() + stored.places.tobytes()).hexdigest()
    sides = [slice(counts[0]), slice(counts[0], None)]
    names = "left", "right"
    faces = dict(zip(names, stored.faces, strict=True))
    places = {name: stored.drawn[side] for name, side in zip(names, sides, strict=True)}
    folded = {name: stored.places[side] for name, side in zip(names, sides, strict=True)}
    shades = {name: _greys(_sulcal_depth(folded[name], faces[name])) for name in names}
    return DrawnMesh(key, places, faces, shades)


@lru_cache(maxsize=1)
def _fsaverage5() -> DrawnMesh:
    from nilearn.datasets import load_fsaverage, load_fsaverage_data

    mesh = load_fsaverage("fsaverage5")["inflated"].parts
    depth = load_fsaverage_data(mesh="fsaverage5", data_type="sulcal", mesh_type="inflated")
    return DrawnMesh(
        "fsaverage5",
        {side: one.coordinates for side, one in mesh.items()},
        {side: one.faces for side, one in mesh.items()},
        {side: _greys(one) for side, one in depth.data.parts.items()},
    )


def _greys(depth: np.ndarray) -> np.ndarray:
    return 0.1 + 0.4 * (depth - depth.min()) / max(float(np.ptp(depth)), 1e-12)


def _sulcal_depth(places: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """How far each vertex (n_vertices,) lies below the mean of its neighbours, along the normal
    outwards: above 0 in sulci. Clipped at two standard deviations."""
    corners = places[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    of_vertices, sums = np.zeros_like(places), np.zeros_like(places)
    counts = np.zeros(len(places))
    for k in range(3):
        np.add.at(of_vertices, faces[:, k], normals)
        for other in (faces[:, k - 1], faces[:, k - 2]):
            np.add.at(sums, faces[:, k], places[other])
            np.add.at(counts, faces[:, k], 1)
    lengths = np.linalg.norm(of_vertices, axis=1, keepdims=True)
    of_vertices /= np.where(lengths > 0, lengths, 1)
    means = sums / np.maximum(counts, 1)[:, None]
    depth = np.where(counts > 0, ((means - places) * of_vertices).sum(axis=1), 0.0)
    return depth.clip(-2 * depth.std(), 2 * depth.std())


def surface_view(left: np.ndarray, right: np.ndarray, mesh: DrawnMesh) -> str:
    """Both hemispheres that turn, as an HTML page without network; values above a tenth of the
    largest are shown."""
    from nilearn.plotting import view_surf
    from nilearn.surface import InMemoryMesh, PolyMesh, SurfaceImage

    data = {"left": np.nan_to_num(left).clip(0), "right": np.nan_to_num(right).clip(0)}
    largest = float(max(side.max() for side in data.values()))
    places = _apart(mesh.places)
    both = PolyMesh(**{side: InMemoryMesh(places[side], mesh.faces[side]) for side in data})
    image = SurfaceImage(both, {side: values.astype(np.float32) for side, values in data.items()})
    shades = {side: one.astype(np.float32) for side, one in mesh.shades.items()}
    options = {"threshold": largest / 10, "vmin": 0, "vmax": largest, "symmetric_cmap": False}
    options |= {"cmap": "inferno", "black_bg": True, "bg_map": SurfaceImage(both, shades)}
    return view_surf(surf_map=image, hemi="both", **options).get_standalone()


def _apart(places: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Hemispheres that overlap, as inflated ones do, moved apart along x."""
    overlap = float(places["left"][:, 0].max() - places["right"][:, 0].min())
    moved = np.array([max(0.0, overlap) / 2, 0, 0], np.float32)
    return {"left": places["left"] - moved, "right": places["right"] + moved}


def draw_surface(
    axes: Axes,
    left: np.ndarray,
    right: np.ndarray,
    largest: float,
    label: str,
    outlined: tuple[np.ndarray, np.ndarray] | None = None,
    colour: str = COLOUR,
    mesh: DrawnMesh | None = None,
) -> None:
    """Four views of maps of both hemispheres of ``mesh`` (fsaverage5 unless given), (n_vertices,)
    each; values below 0 are left out.

    ``colour`` goes from transparent at 0 to full at ``largest``, which the colour bar ``label``
    names; without a label there is none. Some value is above 0, see
    `giblet.report.brain_maps.why_no_map`. Vertices of ``outlined``, (n_vertices,) bool each, have
    a line around them.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    figure = axes.figure
    figure.set_layout_engine("none")
    axes.set_axis_off()
    width = 0.84 / len(_VIEWS)
    inside = outlined or (np.zeros(len(left), bool), np.zeros(len(right), bool))
    mesh = mesh or drawn_mesh()
    by_side = {"left": (left, inside[0]), "right": (right, inside[1])}
    for n, (side, view) in enumerate(_VIEWS):
        values, within = by_side[side]
        values = np.nan_to_num(values).clip(0).astype(np.float32)
        place = figure.add_axes((n * width, 0.08, width, 0.92), facecolor="none")
        place.set_axis_off()
        place.imshow(
            _view(mesh, side, view, values.tobytes(), within.tobytes(), largest, colour),
            interpolation="none",
        )
        where = {"ha": "center", "va": "bottom", "size": "small", "color": ink()}
        figure.text((n + 0.5) * width, 0.0, f"{side}, {view}", **where)
    if label:
        bar = figure.add_axes((0.86, 0.15, 0.02, 0.7), facecolor="none")
        figure.colorbar(
            ScalarMappable(Normalize(0, largest), _colours(colour)), cax=bar, label=label
        )


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
    drawn: DrawnMesh,
    side: str,
    view: str,
    values: bytes,
    outlined: bytes,
    largest: float,
    colour: str,
) -> np.ndarray:
    """One view of a hemisphere as an image (height, width, 4), 300 dots per inch in print.

    ``values``, ``outlined``: of float32 and bool arrays (n_vertices,).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from nilearn.plotting import plot_surf_contours, plot_surf_stat_map
    from nilearn.surface import InMemoryMesh

    places, faces, shades = drawn.places[side], drawn.faces[side], drawn.shades[side]
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
