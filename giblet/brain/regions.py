"""Regions of the brain: their voxels by a label image, or each parcel as a region."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from giblet.brain.atlases import VolumeAtlas, label_names
from giblet.brain.cortex import mesh_index, vertex_counts
from giblet.brain.images import open_volume, reading_image
from giblet.brain.surface_labels import read_surface_labels
from giblet.errors import GibletError

SIMULATED = "atlas-simulated_dseg.nii.gz"  # in a folder of simulated brains


def find_regions(aligned: xr.Dataset, path: str | Path | None) -> dict[str, np.ndarray]:
    """Region → its voxels among those of the aligned BOLD, (n_voxels,) bool.

    ``path``: a label image in the space of the scan, or a folder of simulated brains; None: every
    parcel is a region.

    Raises
    ------
    GibletError
        Voxels where parcels are needed; BOLD without coordinates; as `read_regions`.
    """
    if path is None:
        if "parcel" not in aligned.coords:
            raise GibletError("these data are voxels, no parcels: give a label image of regions")
        names = aligned["parcel"].values.astype(str)
        return {name: names == name for name in dict.fromkeys(names.tolist())}
    if not {"x", "y", "z"} <= set(aligned.coords):
        raise GibletError(
            f"{path}: these data have no coordinates in the brain; use parcels instead"
        )
    places = np.column_stack([aligned[axis].values for axis in "xyz"])
    path = Path(path)
    return read_regions(path / SIMULATED if path.is_dir() else path, places)


def read_regions(path: Path, places: np.ndarray) -> dict[str, np.ndarray]:
    """The regions of a label image that hold any of ``places`` (n_places, 3) in mm, by name.

    Names come from a table in its folder (``x.tsv`` for ``x.nii.gz``, columns ``index`` and
    ``name``); a label without one is its number. 0 is no region.

    Raises
    ------
    GibletError
        As `atlas_regions`; a table without those columns or with two names of one label.
    """
    return atlas_regions(VolumeAtlas(path, label_names(path)), places)


def atlas_regions(atlas: VolumeAtlas, places: np.ndarray) -> dict[str, np.ndarray]:
    """The regions of an atlas that hold any of ``places`` (n_places, 3) in mm, by name.

    A place has the label of the nearest voxel, whatever the atlas's grid.

    Raises
    ------
    GibletError
        Not a readable image of three dimensions, values that are no labels, no label at any place.
    """
    path = atlas.path
    image = open_volume(path)
    with reading_image(path):
        values = np.asanyarray(image.dataobj)
    if not np.allclose(values, np.rint(values), atol=1e-3):
        raise GibletError(f"{path}: a label image has whole numbers")
    values = np.rint(values)
    labels = labels_at(values.astype(int), image.affine, places)
    if not labels.any():
        raise GibletError(f"{path}: no voxel of the scan has a label; is it in the scan's space?")
    return named_regions(labels, atlas.names)


def surface_regions(atlas: str | Path, space: xr.Dataset) -> dict[str, np.ndarray]:
    """The regions of a surface's atlas that hold any vertex of the scans, by name.

    ``space``: the array set of `giblet.brain.load_bids` without the series. GibletError as
    `giblet.brain.surface_labels.read_surface_labels`.
    """
    counts = vertex_counts(space.attrs)
    if counts is None or not {"hemisphere", "vertex"} <= set(space.coords):
        raise GibletError(f"{atlas}: an atlas of a surface, but the scans are no vertices")
    labels, names = read_surface_labels(atlas, str(space.attrs["surface"]), counts)
    columns, places = mesh_index(space)
    of_columns = np.zeros(space.sizes["voxel"], dtype=int)
    of_columns[columns] = labels[places]
    return named_regions(of_columns, names)


def labels_at(labels: np.ndarray, affine: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Label of the voxel nearest to each of ``places`` (n_places, 3) in mm; 0 outside: (n_places,).

    ``labels`` (i, j, k) int, ``affine`` (4, 4) from voxels to mm.

    >>> labels_at(np.array([[[5, 6]]]), np.eye(4), np.array([[0, 0.2, 0.9], [0, 0, -1]])).tolist()
    [6, 0]
    """
    from nibabel.affines import apply_affine

    nearest = np.rint(apply_affine(np.linalg.inv(affine), places)).astype(int)
    inside = ((nearest >= 0) & (nearest < labels.shape)).all(axis=1)
    values = np.zeros(len(places), dtype=int)
    values[inside] = labels[tuple(nearest[inside].T)]
    return values


def named_regions(labels: np.ndarray, names: Mapping[int, str]) -> dict[str, np.ndarray]:
    """Region → mask of its ``labels`` (n_places,); labels of one name are one region.

    >>> named_regions(np.array([0, 2, 7]), {2: "visual"})["visual"].tolist()
    [False, True, False]
    """
    regions: dict[str, np.ndarray] = {}
    for label in np.unique(labels[labels != 0]).tolist():
        name = names.get(label, str(label))
        regions[name] = regions.get(name, False) | (labels == label)
    return regions
