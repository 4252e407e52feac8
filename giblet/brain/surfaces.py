"""BOLD on the cortex from BIDS: both hemispheres of a run as one recording, or greyordinates."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import xarray as xr

from giblet.brain.bids_files import other_hemisphere, parse_name
from giblet.brain.image_headers import BEGIN
from giblet.brain.parcels import parcel_means
from giblet.brain.series import read_greyordinates, read_surface
from giblet.brain.surface_labels import read_surface_labels
from giblet.errors import GibletError
from giblet.io.paths import check_file

_AT_ONCE = 8_000_000  # values of greyordinates
_HEAD = 1 << 20  # bytes of a GIfTI file in which its first array begins
_COUNT = re.compile(rb'NumberOfDataArrays\s*=\s*"(\d+)"')
_ARRAY = re.compile(rb"<DataArray\b[^>]*>")
_SIZE = re.compile(rb'\bDim(\d)\s*=\s*"(\d+)"')
_SIDE = re.compile(rb"AnatomicalStructurePrimary.{0,60}?Cortex(Left|Right)", re.DOTALL)
_STEP = re.compile(rb"TimeStep[^0-9<]*(?:<[^0-9]*>)?[^0-9<]*([0-9.eE+-]+)")


@dataclass(frozen=True)
class Mesh:
    """The places of a recording's columns: vertices of both hemispheres, voxels below the cortex.

    space : the template's name, as in file names: fsaverage5, fsLR
    n_vertices : of the left and of the right hemisphere's mesh
    hemisphere : (n_columns,) "L", "R" or "" for a voxel
    vertex : (n_columns,) int, its index in the mesh, from 0; -1 for a voxel
    voxels_mm : (n_voxels, 3) where the voxels lie
    """

    space: str
    n_vertices: tuple[int, int]
    hemisphere: np.ndarray
    vertex: np.ndarray
    voxels_mm: np.ndarray

    def same_places(self, other: "Mesh") -> bool:
        """Whether the columns of both are the same places."""
        return (
            self.n_vertices == other.n_vertices
            and np.array_equal(self.hemisphere, other.hemisphere)
            and np.array_equal(self.vertex, other.vertex)
            and np.allclose(self.voxels_mm, other.voxels_mm, atol=0.01)
        )


@dataclass(frozen=True)
class SurfaceRecording:
    """A run of BOLD on the cortex; a `giblet.brain.recording.Recording`.

    ``path``: of the left hemisphere (.func.gii), whose right is `other_hemisphere`, or of
    greyordinates (.dtseries.nii). Values are read in each pass, only the
    mesh stays in memory.
    """

    path: Path
    n_volumes: int
    mesh: Mesh
    header_t_r: float | None = None
    warnings: tuple[str, ...] = ()
    is_int16 = False
    is_quick = False

    @classmethod
    def open(cls, path: Path) -> "SurfaceRecording":
        """From headers.

        Raises GibletError where a hemisphere is missing, or both have other numbers of volumes or
        vertices, and for an unreadable file.
        """
        space = parse_name(path).entities.get("space", "")
        return _open_grey(path, space) if _is_grey(path) else _open_pair(path, space)

    @property
    def n_columns(self) -> int:
        return len(self.mesh.vertex)

    @staticmethod
    def shared_columns(recordings: Sequence["SurfaceRecording"]) -> "Vertices":
        """Those of the first; GibletError where another lies on another mesh."""
        first = recordings[0]
        for other in recordings[1:]:
            if other.mesh.same_places(first.mesh):
                continue
            if _sizes(other.mesh) == _sizes(first.mesh):
                raise GibletError(
                    f"{other.path}: its columns are other vertices or voxels than those of "
                    f"{first.path.name}; make both with one version of fMRIPrep"
                )
            raise GibletError(
                f"{other.path}: {_sizes(other.mesh)}, but {first.path.name} has "
                f"{_sizes(first.mesh)}: meshes of different density. Choose one by scan.space"
            )
        return Vertices(first.path, first.mesh, np.ones(first.n_columns, dtype=bool))

    def blocks(self, columns: "Vertices | VertexParcels") -> Iterator[np.ndarray]:
        """All volumes in order, (n, n_columns) of ``columns.dtype``; of GIfTI in one block."""
        if _is_grey(self.path):
            series = read_greyordinates(self.path)[0].values
            n_at_once = max(1, _AT_ONCE // self.n_columns)
            for start in range(0, self.n_volumes, n_at_once):
                yield columns.pick(np.asarray(series[start : start + n_at_once], np.float32))
            return
        n_left = self.mesh.n_vertices[0]
        both = np.empty((self.n_volumes, self.n_columns), dtype=np.float32)
        for path, part in (
            (self.path, both[:, :n_left]),
            (other_hemisphere(self.path), both[:, n_left:]),
        ):
            values = read_surface(path).values
            if values.shape != part.shape:
                raise GibletError(f"{path}: holds {values.shape}, not {part.shape} as it states")
            part[:] = values
            del values  # before the other hemisphere is read
        yield columns.pick(both)


@dataclass(frozen=True)
class Vertices:
    """Columns that are vertices or greyordinates: of ``mesh``, those that are ``kept``
    (n_places,) bool. ``path``: the first file."""

    path: Path
    mesh: Mesh
    kept: np.ndarray
    warnings: tuple[str, ...] = ()
    dimension = "voxel"
    noun = "vertices"
    dtype = np.float32

    def __len__(self) -> int:
        return int(self.kept.sum())

    def keep(self, kept: np.ndarray) -> "Vertices":
        """Those that ``kept`` (n_columns,) bool selects."""
        of_mesh = self.kept.copy()
        of_mesh[self.kept] = kept
        return replace(self, kept=of_mesh)

    def parcels(self, parcellation: str | Path) -> "VertexParcels":
        """Means over the labels of an atlas of this mesh; GibletError for another's."""
        labels, names = read_surface_labels(parcellation, self.mesh.space, self.mesh.n_vertices)
        left, right = labels[: self.mesh.n_vertices[0]], labels[self.mesh.n_vertices[0] :]
        own = np.zeros(len(self.kept), dtype=int)
        for hemisphere, of_mesh in (("L", left), ("R", right)):
            here = self.kept & (self.mesh.hemisphere == hemisphere)
            own[here] = of_mesh[self.mesh.vertex[here]]
        if not own.any():
            raise GibletError(f"{parcellation}: no label lies on a vertex of the scans that varies")
        return VertexParcels(self, own[self.kept], labels, names, self.warnings)

    def pick(self, values: np.ndarray) -> np.ndarray:
        """(n_volumes, n_places) → (n_volumes, n_columns)."""
        return values if self.kept.all() else values[:, self.kept]

    def coordinates(self) -> xr.Dataset:
        """``hemisphere`` and ``vertex`` along ``voxel``; attributes ``surface``, the template's
        name, and ``n_vertices`` of both hemispheres."""
        coords = {
            "hemisphere": ("voxel", self.mesh.hemisphere[self.kept].tolist()),
            "vertex": ("voxel", self.mesh.vertex[self.kept]),
        }
        return xr.Dataset(coords=coords, attrs=_of_mesh(self.mesh))


@dataclass(frozen=True)
class VertexParcels:
    """Columns that are means over vertices of one label.

    labels : (n_columns of ``vertices``,) int, 0 for none
    atlas : (n_left + n_right,) int, the labels of all vertices of the mesh
    names : label → name
    """

    vertices: Vertices
    labels: np.ndarray
    atlas: np.ndarray
    names: dict[int, str]
    warnings: tuple[str, ...] = ()
    dimension = "parcel"
    noun = "parcels"
    dtype = np.float64

    def __len__(self) -> int:
        return len(self._present)

    def pick(self, values: np.ndarray) -> np.ndarray:
        """(n_volumes, n_places) → (n_volumes, n_parcels) float64."""
        return parcel_means(self.vertices.pick(values), self.labels)

    @cached_property
    def _present(self) -> np.ndarray:
        return np.unique(self.labels[self.labels > 0])

    def coordinates(self) -> xr.Dataset:
        """Names along ``parcel``, its number ``parcel_label``, and ``vertex_labels`` along all
        vertices of the mesh, left ones first."""
        names = [self.names.get(int(label), str(label)) for label in self._present]
        return xr.Dataset(
            {"vertex_labels": ("mesh_vertex", self.atlas.astype(np.int32))},
            coords={"parcel": names, "parcel_label": ("parcel", self._present)},
            attrs=_of_mesh(self.vertices.mesh),
        )


def _of_mesh(mesh: Mesh) -> dict:
    return {"surface": mesh.space, "n_vertices": list(mesh.n_vertices)}


def _sizes(mesh: Mesh) -> str:
    left, right = mesh.n_vertices
    below = int((mesh.hemisphere == "").sum())
    return f"{left:,} + {right:,} vertices" + f" and {below:,} voxels" * bool(below)


def _is_grey(path: Path) -> bool:
    return path.name.endswith(".dtseries.nii")


def _open_pair(path: Path, space: str) -> SurfaceRecording:
    right = other_hemisphere(path)
    if not right.is_file():
        raise GibletError(
            f"{path}: the other hemisphere, {right.name}, is missing; fetch it, or run fMRIPrep "
            "again"
        )
    for file, side in ((path, b"Left"), (right, b"Right")):
        _check_side(file, side)
    (n_volumes, n_left, t_r), (n_others, n_right, _) = map(_gifti_header, (path, right))
    if n_volumes != n_others:
        raise GibletError(
            f"{right}: {n_others} volumes, but the left hemisphere has {n_volumes}; fetch both"
        )
    if n_left != n_right:
        raise GibletError(
            f"{right}: {n_right:,} vertices, but the left hemisphere has {n_left:,}: meshes of "
            "different density. Take both hemispheres of one --output-spaces"
        )
    hemisphere = np.repeat(["L", "R"], [n_left, n_right])
    vertex = np.concatenate([np.arange(n_left), np.arange(n_right)])
    mesh = Mesh(space, (n_left, n_right), hemisphere, vertex, np.empty((0, 3)))
    return SurfaceRecording(path, n_volumes, mesh, t_r)


def _check_side(path: Path, side: bytes) -> None:
    """GibletError where a GIfTI file states another hemisphere (`Left`, `Right`) than its name."""
    with check_file(path, "a surface").open("rb") as file:
        stated = _SIDE.search(file.read(_HEAD))
    if stated and stated[1] != side:
        raise GibletError(
            f"{path}: holds the {stated[1].decode().lower()} hemisphere by its header; give both "
            "files their right names (hemi-L, hemi-R)"
        )


def _gifti_header(path: Path) -> tuple[int, int, float | None]:
    """Numbers of volumes and vertices, and the TR (s), where the file begins with them; else by
    reading all of it."""
    with check_file(path, "a surface").open("rb") as file:
        head = file.read(_HEAD)
    count, array = _COUNT.search(head), _ARRAY.search(head)
    sizes = {int(k): int(n) for k, n in _SIZE.findall(array.group())} if array else {}
    if count is None or len(sizes) not in (1, 2) or (len(sizes) == 2 and int(count[1]) != 1):
        series = read_surface(path)
        return (*series.values.shape, series.t_r)
    if len(sizes) == 2:
        return sizes[1], sizes[0], read_surface(path).t_r
    return int(count[1]), sizes[0], _step(head)


def _step(head: bytes) -> float | None:
    """``TimeStep`` (s) of FreeSurfer's header in ms, or of Workbench's in s."""
    stated = _STEP.search(head)
    try:
        step = float(stated[1]) if stated else 0.0
    except ValueError:
        return None
    return (step / 1000 if step > 50 else step) or None


def _voxels_mm(axis) -> np.ndarray:
    """Coordinates (n_voxels, 3) of the voxels of nibabel's BrainModelAxis."""
    from nibabel.affines import apply_affine

    inside = axis.volume_mask
    return apply_affine(axis.affine, axis.voxel[inside]) if inside.any() else np.empty((0, 3))


def _open_grey(path: Path, space: str) -> SurfaceRecording:
    series, axis = read_greyordinates(path)
    hemisphere = np.full(len(axis), "", dtype="<U1")
    for letter, side in (("L", "LEFT"), ("R", "RIGHT")):
        hemisphere[axis.name == f"CIFTI_STRUCTURE_CORTEX_{side}"] = letter
    if not (hemisphere != "").any():
        raise GibletError(f"{path}: holds no vertices of the cortex")
    left, right = (
        int(axis.nvertices.get(f"CIFTI_STRUCTURE_CORTEX_{side}", 0)) for side in ("LEFT", "RIGHT")
    )
    if not (left and right):
        raise GibletError(f"{path}: holds one hemisphere alone; make it again with both")
    vertex = np.where(hemisphere == "", -1, axis.vertex)
    warnings = () if abs(series.begin) < 1e-3 else (BEGIN.format(path.name, series.begin),)
    mesh = Mesh(space, (left, right), hemisphere, vertex, _voxels_mm(axis))
    return SurfaceRecording(path, series.values.shape[0], mesh, series.t_r, warnings)
