"""Meshes of scans on a surface whose mesh does not come with nilearn: files of both hemispheres."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr

from giblet.brain.cortex import shipped_mesh, vertex_counts
from giblet.brain.surface_labels import other_side
from giblet.errors import GibletError
from giblet.io.paths import check_file

_ANATOMICAL = ("midthickness", "pial", "white")
_INFLATED = ("inflated", "veryinflated", "very_inflated")

Hemisphere = tuple[np.ndarray, np.ndarray]  # places (n_vertices, 3) mm, faces (n_faces, 3)


def scan_mesh(space: xr.Dataset, mesh: str | None = None) -> xr.Dataset:
    """The mesh to store with scans: empty of voxels, where nilearn has one, and where none is here.

    Parameters
    ----------
    space
        Coordinates of the scans, with ``surface`` and ``n_vertices`` (`vertex_counts`).
    mesh
        GIfTI file of the left hemisphere (``hemi-L``, ``.L.``, ``lh.`` or ``left`` in its name);
        the right one lies beside it. None: `local_mesh`. Maps are drawn on the inflated shape
        beside it, whose name differs in this word alone; else on the mesh itself.

    Returns
    -------
    ``mesh_places`` and ``drawn_places`` (mesh_vertex, 3) mm, left ones first; ``left_faces`` and
    ``right_faces`` (face, 3); attributes ``mesh_file`` and ``drawn_file``, their names, and
    ``mesh_sha256``, the first 16 digits of the SHA-256 of the left and the right ``mesh_file``.

    Raises
    ------
    GibletError
        Scans of voxels; a missing hemisphere; another number of vertices; no mesh in a file.
    """
    counts = vertex_counts(space.attrs)
    if counts is None:
        if mesh:
            raise GibletError("scan.mesh: the scans are voxels, which need none: set it to null")
        return xr.Dataset()
    surface = str(space.attrs["surface"])
    left = Path(mesh) if mesh else None
    if left is None and not shipped_mesh(surface, counts):
        left = local_mesh(surface, counts)
    if left is None:
        return xr.Dataset()
    sides = read_meshes(left, surface, counts)
    (places, faces), (right_places, right_faces) = sides
    if places[:, 0].mean() > right_places[:, 0].mean():
        raise GibletError(
            f"{left}: lies right of the other hemisphere; give both files their right names"
        )
    shape, drawn = _inflated(left, sides)
    of_vertices = "mesh_vertex", "xyz"
    return xr.Dataset(
        {
            "mesh_places": (of_vertices, np.concatenate([places, right_places])),
            "drawn_places": (of_vertices, np.concatenate(drawn)),
            "left_faces": (("left_face", "corner"), faces),
            "right_faces": (("right_face", "corner"), right_faces),
        },
        attrs={
            "mesh_file": left.name,
            "mesh_sha256": " ".join(map(_short_sha256, mesh_pair(str(left)))),
            "drawn_file": shape.name,
        },
    )


def _short_sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def mesh_pair(left: str) -> list[Path]:
    """The files of both hemispheres by that of the left one; GibletError where they are not
    there."""
    return [check_file(Path(left), "a mesh"), other_side(Path(left))]


def read_meshes(left: Path, surface: str, counts: tuple[int, int]) -> list[Hemisphere]:
    """Both hemispheres of a mesh with as many vertices as the scans; GibletError for others."""
    files = mesh_pair(str(left))
    sides = [_read(path, side) for path, side in zip(files, ("Left", "Right"), strict=True)]
    sizes = tuple(len(places) for places, _ in sides)
    if sizes != counts:
        raise GibletError(
            f"{left}: {sizes[0]:,} + {sizes[1]:,} vertices, but the scans ({surface}) have "
            f"{counts[0]:,} + {counts[1]:,}: a mesh of another density; take that of the scans"
        )
    return sides


def local_mesh(surface: str, counts: tuple[int, int]) -> Path | None:
    """The left hemisphere of a mesh of this surface and density that is on this computer: of
    TemplateFlow, neuromaps or nilearn; never from the network."""
    return next((file for file in _candidates(surface) if _fits(file, counts)), None)


def _inflated(left: Path, sides: list[Hemisphere]) -> tuple[Path, list[np.ndarray]]:
    """The inflated shape of a mesh beside it, and its places; of the mesh itself where there is
    none of the same triangles."""
    for word in _ANATOMICAL:
        for inflated in _INFLATED if word in left.name else ():
            file = left.with_name(left.name.replace(word, inflated))
            try:
                views = [_read(path) for path in mesh_pair(str(file))]
            except GibletError:  # not there, or half of it
                continue
            pairs = list(zip(sides, views, strict=True))
            if all(np.array_equal(own[1], other[1]) for own, other in pairs):
                return file, [places for places, _faces in views]
    return left, [places for places, _faces in sides]


def _candidates(surface: str) -> Iterator[Path]:
    for folder in _folders(surface):
        for word in _ANATOMICAL:
            yield from sorted(folder.glob(f"tpl-{surface}_den-*_hemi-L_{word}.surf.gii"))


def _folders(surface: str) -> list[Path]:
    """Where TemplateFlow, neuromaps and nilearn keep files of a template."""
    from nilearn.datasets import get_data_dirs

    home = Path.home()
    flow = os.environ.get("TEMPLATEFLOW_HOME") or home / ".cache" / "templateflow"
    maps = os.environ.get("NEUROMAPS_DATA") or home / "neuromaps-data"
    folders = [Path(flow, f"tpl-{surface}"), Path(maps, "atlases", surface)]
    of_nilearn = [
        Path(one, below) for one in get_data_dirs() for below in (surface, f"tpl-{surface}")
    ]
    return [*folders, *of_nilearn]


def _fits(left: Path, counts: tuple[int, int]) -> bool:
    try:
        return tuple(len(_read(path)[0]) for path in mesh_pair(str(left))) == counts
    except GibletError:  # half of a download, or an empty file that stands for one
        return False


def _read(path: Path, side: str = "") -> Hemisphere:
    """GibletError where the header states another hemisphere than ``side`` (Left, Right)."""
    import nibabel

    try:
        image = nibabel.load(check_file(path, "a mesh"))
        places, faces = (image.agg_data(one) for one in ("pointset", "triangle"))
    except GibletError:
        raise
    except Exception as error:  # of a file that is no GIfTI, or cut short: whatever it lacks
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise GibletError(f"{path}: no mesh in GIfTI ({reason})") from error
    stated = [one.meta.get("AnatomicalStructurePrimary", "") for one in image.darrays]
    other = {"Left": "CortexRight", "Right": "CortexLeft"}.get(side)
    if other in [image.meta.get("AnatomicalStructurePrimary", ""), *stated]:
        raise GibletError(
            f"{path}: holds the other hemisphere ({other}) by its header; give both files their "
            "right names"
        )
    places, faces = np.asarray(places, np.float32), np.asarray(faces)
    if places.ndim != 2 or places.shape[1:] != (3,) or faces.ndim != 2 or faces.shape[1:] != (3,):
        raise GibletError(f"{path}: no mesh; a .surf.gii has places and triangles of vertices")
    if faces.min() < 0 or faces.max() >= len(places) or not np.isfinite(places).all():
        raise GibletError(f"{path}: its triangles and vertices do not fit; fetch it again")
    return places, faces.astype(np.int32)
