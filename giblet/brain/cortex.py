"""Maps of BOLD on the meshes of both hemispheres: those that come with nilearn, or with scans."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

N_FSAVERAGE5 = 10_242  # vertices of a hemisphere; fsaverage6 and fsaverage begin with the same ones
NESTED = {"fsaverage5": N_FSAVERAGE5, "fsaverage6": 40_962, "fsaverage": 163_842}


def vertex_counts(attrs: Mapping) -> tuple[int, int] | None:
    """Vertices of the left and the right mesh of scans on a surface, by their attributes; else
    None. A file holds them as JSON.

    >>> vertex_counts({"n_vertices": "[10242, 10242]"}), vertex_counts({})
    ((10242, 10242), None)
    """
    stored = attrs.get("n_vertices")
    if stored is None:
        return None
    left, right = json.loads(stored) if isinstance(stored, str) else stored
    return int(left), int(right)


def vertex_maps(values: np.ndarray, space: xr.Dataset) -> tuple[np.ndarray, np.ndarray] | None:
    """Values (n_columns,) of vertices or their parcels on both meshes, (n_vertices,) each, NaN
    where there are none.

    ``space``: the array set of `giblet.brain.load_bids` without the series. None for scans that
    lie on no surface.
    """
    if (counts := vertex_counts(space.attrs)) is None:
        return None
    whole = np.full(sum(counts), np.nan)
    if "vertex_labels" in space:
        labels = space["vertex_labels"].values.astype(int)
        numbers = space["parcel_label"].values.astype(int)
        by_label = np.full(max(labels.max(), numbers.max()) + 1, np.nan)
        by_label[numbers] = values
        by_label[0] = np.nan
        whole = by_label[labels]
    else:
        whole[mesh_index(space)[1]] = np.asarray(values)[mesh_index(space)[0]]
    return whole[: counts[0]], whole[counts[0] :]


def mesh_index(space: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Columns that are vertices, and the place of each among all vertices, left ones first."""
    left, _right = vertex_counts(space.attrs) or (0, 0)
    hemisphere = space["hemisphere"].values.astype(str)
    columns = np.flatnonzero(hemisphere != "")
    vertex = space["vertex"].values.astype(int)[columns]
    return columns, vertex + left * (hemisphere[columns] == "R")


def shipped_mesh(surface: str, counts: tuple[int, int]) -> str | None:
    """The name of nilearn's mesh for maps of a surface, None where none comes with it.

    fsaverage6 and fsaverage are drawn on fsaverage5: its vertices are the first of theirs.

    >>> shipped_mesh("fsaverage6", (40962, 40962)), shipped_mesh("fsLR", (32492, 32492))
    ('fsaverage5', None)
    """
    n_vertices = NESTED.get(surface)
    return "fsaverage5" if counts == (n_vertices, n_vertices) else None


@dataclass(frozen=True)
class StoredMesh:
    """A mesh that was stored with scans, by `giblet.brain.surface_meshes.scan_mesh`.

    places, drawn : (n_left + n_right, 3) mm, left ones first: in the brain, and as maps show them
    faces : (n_faces, 3) of the left and of the right hemisphere
    file : name of the file of ``drawn``
    source : name of the left file of ``places`` and ``faces``, and how the SHA-256 of both begin
    """

    places: np.ndarray
    drawn: np.ndarray
    faces: tuple[np.ndarray, np.ndarray]
    file: str
    source: str


def stored_mesh(space: xr.Dataset) -> StoredMesh | None:
    """The mesh that was stored with scans; None where there is none."""
    if "mesh_places" not in space:
        return None
    names = "mesh_places", "drawn_places", "left_faces", "right_faces"
    places, drawn, left, right = (space[name].values for name in names)
    file, *digests = (str(space.attrs.get(name, "")) for name in ("mesh_file", "mesh_sha256"))
    if begins := " and ".join(digests[0].split()):
        file += f" (SHA-256 of left and right: {begins} …)"
    return StoredMesh(places, drawn, (left, right), str(space.attrs["drawn_file"]), file)


def why_no_edges(space: xr.Dataset) -> str:
    """What to do where `mesh_edges` finds no mesh of a surface: a line for a warning."""
    surface, counts = str(space.attrs["surface"]), vertex_counts(space.attrs)
    if counts is None or not shipped_mesh(surface, counts):
        return f"giblet has no mesh of {surface} with that many vertices: name its file (scan.mesh)"
    from nilearn.datasets import get_data_dirs

    return (
        f"nilearn's mesh of {surface} is not in {get_data_dirs()[0]} and cannot be fetched: run "
        f"nilearn.datasets.load_fsaverage({surface!r}) where there is a network, and copy its "
        f"folder {surface} there"
    )


def mesh_edges(space: xr.Dataset) -> np.ndarray | None:
    """Pairs of neighbouring vertices (n_edges, 2) of both hemispheres, left ones first.

    Of the mesh that is stored with the scans; else of fsaverage5 from nilearn's package, of
    fsaverage6 and fsaverage from its cache or the network. None where there is none of this
    density.
    """
    counts = vertex_counts(space.attrs)
    if counts is None or (sides := _sides(space)) is None:
        return None
    faces = [own for _places, own in sides]
    triangles = np.concatenate([faces[0], faces[1] + counts[0]]).astype(np.int64)
    pairs = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [0, 2]]])
    return np.unique(np.sort(pairs, axis=1), axis=0)


def mesh_places(space: xr.Dataset) -> np.ndarray | None:
    """Coordinates (n_left + n_right, 3) of the stored mesh, or nilearn's pial surfaces, mm; None
    where `mesh_edges` is."""
    if (sides := _sides(space)) is None:
        return None
    return np.concatenate([places for places, _faces in sides])


def has_local_mesh(space: xr.Dataset) -> bool:
    """Whether there is a mesh of scans on a surface without a network."""
    from nilearn.datasets import get_data_dirs

    surface = str(space.attrs["surface"])
    in_cache = any((Path(folder) / surface).is_dir() for folder in get_data_dirs())
    is_here = surface == "fsaverage5" or (surface in NESTED and in_cache)
    return stored_mesh(space) is not None or is_here


def _sides(space: xr.Dataset) -> list | None:
    """Places and faces of the left and the right hemisphere, by `mesh_edges`."""
    counts = vertex_counts(space.attrs)
    if (stored := stored_mesh(space)) is not None and counts is not None:
        places = stored.places[: counts[0]], stored.places[counts[0] :]
        return list(zip(places, stored.faces, strict=True))
    if counts is None or (pial := _pial(str(space.attrs["surface"]), counts)) is None:
        return None
    return [(side.coordinates, side.faces) for side in pial]


def _pial(surface: str, counts: tuple[int, int]) -> list | None:
    """nilearn's pial surface of both hemispheres, by `mesh_edges`."""
    from nilearn.datasets import load_fsaverage

    if surface not in NESTED:
        return None
    try:
        mesh = load_fsaverage(surface)["pial"]
    except Exception:  # of a download: whatever breaks it
        return None
    sides = [mesh.parts[side] for side in ("left", "right")]
    sizes = tuple(side.coordinates.shape[0] for side in sides)
    return sides if sizes == counts else None
