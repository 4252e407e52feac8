"""What people's scans share, beside chance: ISC, the noise ceiling, explainable variance."""

import numpy as np
import xarray as xr

from giblet.encoding import explainable_variance, isc, noise_ceiling
from giblet.isc_nulls import isc_nulls
from giblet.significance import among_nulls


def agreement(bold: np.ndarray, runs: np.ndarray, n_permutations: int, seed: int) -> xr.Dataset:
    """Maps of agreement of two subjects or more.

    ``bold`` (n_subjects, n_trs, n_voxels) z-scored by run, ``runs`` (n_trs,) labels. Gives ``isc``,
    ``ceiling_lower``, ``ceiling_upper`` (subject, voxel), and (voxel) ``explainable_variance`` and
    ``isc_p``: of the mean ISC among those of BOLD with random phases in each run. The same ``seed``
    moves every voxel alike, so blocks of voxels give what all of them at once do.
    """
    lower, upper = noise_ceiling(bold)
    own = isc(bold)
    nulls = isc_nulls(bold, runs, n_permutations, seed)
    chance = among_nulls(np.nanmean(own, axis=0), nulls)
    both, voxel = ("subject", "voxel"), ("voxel",)
    return xr.Dataset(
        {
            "isc": (both, own.astype(np.float32)),
            "isc_p": (voxel, chance.p),
            "ceiling_lower": (both, lower.astype(np.float32)),
            "ceiling_upper": (both, upper.astype(np.float32)),
            "explainable_variance": (voxel, explainable_variance(bold)),
        }
    )
