"""Maps of voxels in MNI space on the cortex of fsaverage5."""

import warnings
from functools import lru_cache

import numpy as np
import xarray as xr

from giblet.brain.nifti import brain_affine, brain_volume

COARSEST_MM = 10.0  # edge of the largest voxels that are projected
N_DEPTHS = 5  # from white to pial surface
LEAST_SHARE = 0.5  # of a vertex's interpolation weight that falls on voxels with a value
# fsaverage's coordinates (MNI305) to those of MNI152, as FreeSurfer documents them:
# https://surfer.nmr.mgh.harvard.edu/fswiki/CoordinateSystems, section 8
MNI152_OF_FSAVERAGE = np.array(
    [
        [0.9975, -0.0073, 0.0176, -0.0429],
        [0.0146, 1.0009, -0.0024, 1.5496],
        [-0.0130, -0.0093, 0.9971, 1.1840],
        [0.0, 0.0, 0.0, 1.0],
    ]
)


def named_space(space: xr.Dataset) -> str:
    """The space that scans are in, by the settings or the files' names; MNI where none is named,
    see `space_caution`."""
    return str(space.attrs.get("space", "MNI")).removeprefix("space-")


def space_caution(space: xr.Dataset) -> str:
    """A sentence where maps on the MNI brain need not fit; empty for scans in a named MNI space.

    >>> space_caution(xr.Dataset(attrs={"space": "MNI152NLin6Asym:res-2"}))
    ''
    >>> space_caution(xr.Dataset())
    "The scans' files name no space: MNI space is assumed."
    >>> space_caution(xr.Dataset(attrs={"space": "T1w"}))
    'The scans are in T1w: their places do not fit the MNI brain.'
    """
    if "space" not in space.attrs:
        return "The scans' files name no space: MNI space is assumed."
    if (name := named_space(space)).startswith("MNI"):
        return ""
    return f"The scans are in {name}: their places do not fit the MNI brain."


def voxel_mm(space: xr.Dataset) -> float:
    """The longest edge of a voxel, mm."""
    return float(np.linalg.norm(brain_affine(space)[:3, :3], axis=0).max())


def why_not_projected(space: xr.Dataset) -> str:
    """The reason why maps of voxels are not projected to the cortex; empty where they are.

    >>> mask, edge = (("i", "j", "k"), [[[True]]]), [2.0, 2.0, 2.0, 1.0]
    >>> scans = xr.Dataset({"mask": mask}, attrs={"affine": np.diag(edge).ravel().tolist()})
    >>> why_not_projected(scans), why_not_projected(scans.assign_attrs(space="T1w"))
    ('', 'the scans are in T1w, not in MNI space')
    """
    if not (name := named_space(space)).startswith("MNI"):
        return f"the scans are in {name}, not in MNI space"
    if (edge := voxel_mm(space)) > COARSEST_MM:
        return f"voxels of {edge:.3g} mm are too coarse; at most {COARSEST_MM:g} mm are projected"
    return ""


def project(values: np.ndarray, space: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Values of voxels or parcels on the left and the right hemisphere of fsaverage5.

    Trilinear interpolation between the voxels that have a value, averaged over five depths between
    white and pial surface: nilearn's ``vol_to_surf`` of the map, divided by that of its mask.

    Parameters
    ----------
    values : (n_voxels,) or (n_parcels,)
        NaN: no value.
    space
        The array set of ``giblet.brain.load_bids`` without the series, with a mask, in MNI space.

    Returns
    -------
    (10,242,) each, NaN where less than half of the weight falls on voxels with a value, and on
    the medial wall.
    """
    from nibabel import Nifti1Image
    from nilearn.surface import vol_to_surf

    known = np.isfinite(values)
    pair = [brain_volume(one, space) for one in (np.where(known, values, 0), known)]
    volumes = np.pad(np.stack(pair, axis=-1), [(1, 1)] * 3 + [(0, 0)])  # 0 around, not mirrored
    affine = brain_affine(space).copy()
    affine[:3, 3] -= affine[:3, :3].sum(axis=1)  # of the voxels that were added
    image = Nifti1Image(volumes, np.linalg.inv(MNI152_OF_FSAVERAGE) @ affine)
    sides = []
    for pial, white in _cortex():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of vertices outside the image
            textures = vol_to_surf(image, pial, inner_mesh=white, n_samples=N_DEPTHS)
        sampled, share = np.nan_to_num(textures).T
        is_cortex = np.linalg.norm(pial.coordinates - white.coordinates, axis=1) > 0
        is_known = is_cortex & (share >= LEAST_SHARE)
        sides.append(np.divide(sampled, share, out=np.full(len(share), np.nan), where=is_known))
    return sides[0], sides[1]


@lru_cache(maxsize=1)
def _cortex():
    """Pial and white surface of the left and of the right hemisphere of fsaverage5."""
    from nilearn.datasets import load_fsaverage
    from nilearn.surface import InMemoryMesh

    mesh = load_fsaverage("fsaverage5")
    return [
        [
            InMemoryMesh(part.coordinates, part.faces)
            for part in (mesh[kind].parts[side] for kind in ("pial", "white_matter"))
        ]
        for side in ("left", "right")
    ]
