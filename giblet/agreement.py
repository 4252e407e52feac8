"""What people's scans share, beside chance: ISC, the noise ceiling, explainable variance."""

from functools import partial

import numpy as np
import xarray as xr

from giblet.encoding import explainable_variance, isc, noise_ceiling
from giblet.significance import against_chance, phase_randomised


def agreement(bold: np.ndarray, runs: np.ndarray, n_permutations: int, seed: int) -> xr.Dataset:
    """Maps of agreement of two subjects or more.

    ``bold`` (n_subjects, n_trs, n_voxels) z-scored by run, ``runs`` (n_trs,) labels. Gives ``isc``,
    ``ceiling_lower``, ``ceiling_upper`` (subject, voxel), and (voxel) ``explainable_variance`` and
    ``isc_p``: of the mean ISC among those of BOLD with random phases in each run. The same ``seed``
    moves every voxel alike, so blocks of voxels give what all of them at once do.
    """
    lower, upper = noise_ceiling(bold)
    chance = against_chance(
        lambda b: np.nanmean(isc(b), axis=0),
        bold,
        partial(_by_run, runs=runs),
        n_permutations=n_permutations,
        seed=seed,
    )
    both, voxel = ("subject", "voxel"), ("voxel",)
    return xr.Dataset(
        {
            "isc": (both, isc(bold).astype(np.float32)),
            "isc_p": (voxel, chance.p),
            "ceiling_lower": (both, lower.astype(np.float32)),
            "ceiling_upper": (both, upper.astype(np.float32)),
            "explainable_variance": (voxel, explainable_variance(bold)),
        }
    )


def _by_run(bold: np.ndarray, rng: np.random.Generator, runs: np.ndarray) -> np.ndarray:
    """Phases randomised within each run."""
    other = np.empty_like(bold)
    for run in np.unique(runs):
        other[:, runs == run] = phase_randomised(bold[:, runs == run], rng)
    return other
