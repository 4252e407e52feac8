"""Maps on the cortex: static views of both hemispheres, and one that turns, without network."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from giblet.brain.cortex import N_FSAVERAGE5, NESTED, shipped_mesh, vertex_counts, vertex_maps
from giblet.report.brain_maps import COLOUR
from giblet.report.pictures import ink

_NOTE = (
    "On nilearn's inflated fsaverage5; grey: sulci and gyri. Left hemisphere from outside and "
    "inside, right from inside and outside."
)
VIEW_NOTE = (
    "Drag to turn, scroll to zoom. The same values; the map above is for print and keyboard."
)
_VIEWS = (("left", "lateral"), ("left", "medial"), ("right", "medial"), ("right", "lateral"))


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
    """The reason why maps of scans on a surface cannot be drawn; empty where they can."""
    counts = vertex_counts(space.attrs)
    if counts is None or shipped_mesh(str(space.attrs["surface"]), counts):
        return ""
    surface = str(space.attrs["surface"])
    sizes = f" with {counts[0]:,} + {counts[1]:,} vertices" if surface in NESTED else ""
    return f"no mesh of {surface}{sizes} comes with nilearn; export has the values"


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
    axes: Axes, left: np.ndarray, right: np.ndarray, largest: float, label: str
) -> None:
    """Four views of maps of both hemispheres, (10,242,) each; values below 0 are left out.

    Some value is above 0, see `giblet.report.brain_maps.why_no_map`. Colour goes up to ``largest``,
    which the colour bar ``label`` names.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize
    from nilearn.plotting import plot_surf_stat_map

    figure, left, right = axes.figure, np.nan_to_num(left).clip(0), np.nan_to_num(right).clip(0)
    colours = LinearSegmentedColormap.from_list("", ["#f3d9c9", COLOUR, "#5c2700"])
    figure.set_layout_engine("none")
    axes.set_axis_off()
    mesh, sulci, width = _mesh(), _sulci(), 0.84 / len(_VIEWS)
    for n, (side, view) in enumerate(_VIEWS):
        place = figure.add_axes((n * width, 0.08, width, 0.92), projection="3d", facecolor="none")
        plot_surf_stat_map(
            mesh.parts[side],
            left if side == "left" else right,
            hemi=side,
            view=view,
            bg_map=sulci.data.parts[side],
            threshold=largest / 1e3,
            vmin=0,
            vmax=largest,
            symmetric_cbar=False,
            cmap=colours,
            colorbar=False,
            axes=place,
            figure=figure,
            engine="matplotlib",
        )
        place.set_title("")
        for triangles in place.collections:
            triangles.set_rasterized(True)
        where = {"ha": "center", "va": "bottom", "size": "small", "color": ink()}
        figure.text(
            (n + 0.5) * width,
            0.0,
            f"{side}, {'outside' if view == 'lateral' else 'inside'}",
            **where,
        )
    bar = figure.add_axes((0.86, 0.15, 0.02, 0.7), facecolor="none")
    figure.colorbar(ScalarMappable(Normalize(0, largest), colours), cax=bar, label=label)
