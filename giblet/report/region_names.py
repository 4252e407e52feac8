"""Names of regions in the report: of the settings, the simulated brains, the scans' parcels, or an
atlas that is at hand."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr

from giblet.brain.atlases import (
    PREFERRED,
    atlas_files,
    atlas_template,
    atlas_title,
    local_atlas,
    local_atlas_files,
    names_table,
    volume_atlas,
)
from giblet.brain.cortex import NESTED, vertex_counts
from giblet.brain.projection import named_space, space_caution
from giblet.brain.regions import atlas_regions, find_regions, surface_regions
from giblet.brain.surface_labels import atlas_pair, local_surface_atlas, surface_atlas_title
from giblet.errors import GibletError

_AXES = {"x", "y", "z"}
_NONE = "Peaks have no names of regions: "
_ADVICE = "name a label image of the scans' space in lesion.regions."


@dataclass(frozen=True)
class RegionNames:
    """Region → (n_voxels,) bool, the name of their atlas for headings, and a sentence on where the
    names come from, or why there are none; empty where there is nothing to say."""

    masks: dict[str, np.ndarray] = field(default_factory=dict)
    atlas: str = ""
    note: str = ""


def region_names(
    wanted: str, simulated: Path, quality: xr.Dataset, space: xr.Dataset
) -> RegionNames:
    """Names by ``wanted`` (``lesion.regions``), by the folder of simulated brains, by parcels, or
    by `giblet.brain.atlases.local_atlas`; of vertices by
    `giblet.brain.surface_labels.local_surface_atlas`. Nothing is downloaded.

    ``quality``: array set of ``brain_quality``. ``space``: of ``load_bids`` without the series.
    GibletError for a label image of the settings that cannot be read.
    """
    if "parcel" in quality.coords:
        return RegionNames(find_regions(quality, None))
    if vertex_counts(space.attrs) is not None:
        return _on_surface(wanted, space)
    if wanted not in ("auto", "parcels"):
        return RegionNames(find_regions(quality, wanted), Path(wanted).name)
    if simulated.is_dir():
        return RegionNames(find_regions(quality, simulated))
    has_voxels = "mask" in space and set(quality.coords) >= _AXES
    return _by_local_atlas(quality, space) if has_voxels else RegionNames()


def region_files(wanted: str, space: str | None, is_table: bool) -> list[Path]:
    """The atlas files on this computer that `region_names` reads for measured scans, before these
    are loaded; none where there are none.

    ``wanted``: ``lesion.regions``. ``space``: ``scan.space``. ``is_table``: whether a table names
    the runs; they may then lie on any surface. GibletError for half an atlas of a surface.
    """
    if wanted == "parcels":
        return []
    if wanted != "auto":
        path = Path(wanted)
        if path.name.endswith((".annot", ".gii", ".dlabel.nii")):
            return atlas_pair(path)
        names = names_table(path)
        return [path, *[names] * names.is_file()]
    name = (space or "MNI").partition(":")[0]
    files = local_atlas_files() if name.startswith("MNI") else []
    for surface in NESTED if is_table else [name]:
        left = local_surface_atlas(surface)
        files += [] if left is None else atlas_pair(left)
    return files


def _on_surface(wanted: str, space: xr.Dataset) -> RegionNames:
    """Names of vertices by ``wanted``, or by an atlas of their mesh that is at hand, if any."""
    surface = str(space.attrs["surface"])
    if wanted not in ("auto", "parcels"):
        return RegionNames(surface_regions(wanted, space), Path(wanted).name)
    if (path := local_surface_atlas(surface)) is None:
        return RegionNames()
    try:
        masks = surface_regions(path, space)
    except GibletError as error:
        return RegionNames(note=_NONE + str(error))
    title = surface_atlas_title(path)
    note = f"Regions: {title} on {surface}, {path.name} and its right hemisphere; –: no label."
    return RegionNames(masks, title, note)


def _by_local_atlas(quality: xr.Dataset, space: xr.Dataset) -> RegionNames:
    if not (template := named_space(space)).startswith("MNI"):
        return RegionNames(
            note=f"{_NONE}the scans are in {template}, atlases in MNI space; {_ADVICE}"
        )
    if (name := local_atlas()) is None:
        files = " and ".join(atlas_files(PREFERRED[0]))
        return RegionNames(
            note=f"{_NONE}no atlas is in nilearn's data folder (NILEARN_DATA, or nilearn_data in "
            f"your home folder), and report downloads nothing. Put {files} there, or {_ADVICE}"
        )
    places = np.column_stack([quality[axis].values for axis in "xyz"])
    try:
        masks = atlas_regions(volume_atlas(name), places)
    except GibletError as error:
        return RegionNames(note=_NONE + str(error).removeprefix("scan.parcellation: "))
    made_in = atlas_template(name) or "MNI space"
    note = (
        f"Regions: {name} in nilearn's data folder, the label of the nearest voxel; –: no label. "
        f"The atlas is made in {made_in}; in another MNI space its borders are some mm off."
    )
    if caution := space_caution(space):
        note = f"{note} {caution}"
    return RegionNames(masks, atlas_title(name), note)
