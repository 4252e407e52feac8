"""Quality of a scan: temporal signal-to-noise ratio and head motion."""

import numpy as np

from giblet.stats.pearson import FLAT

_HEAD_RADIUS = 50.0  # mm, of Power et al. (2012)


def tsnr(bold: np.ndarray, *, block_parcels: int = 1024) -> np.ndarray:
    """Temporal signal-to-noise ratio: mean over standard deviation, in time.

    ``bold`` (..., n_trs, n_parcels) in scanner units → (..., n_parcels); NaN where constant.

    Raises
    ------
    ValueError
        BOLD without its mean, as z-scoring and confound regression leave it.

    >>> tsnr(np.array([[99.0], [101.0]])).tolist()
    [100.0]
    """
    ratios = []
    for start in range(0, bold.shape[-1], block_parcels):
        part = np.asarray(bold[..., start : start + block_parcels], dtype=np.float64)
        mean, deviation = part.mean(axis=-2), part.std(axis=-2)
        varies = deviation > FLAT * np.abs(mean)
        ratios.append(np.divide(mean, deviation, out=np.full_like(mean, np.nan), where=varies))
    ratio = np.concatenate(ratios, axis=-1)
    if np.isfinite(ratio).any() and np.nanmedian(np.abs(ratio)) < 1e-3:
        raise ValueError("tsnr wants BOLD in scanner units: this has no mean. Do not z-score it")
    return ratio


def framewise_displacement(motion: np.ndarray) -> np.ndarray:
    """Framewise displacement in mm (Power et al. 2012): (n_volumes,), NaN first.

    The sum of the six absolute differences, rotations as arcs on a sphere of 50 mm.

    Parameters
    ----------
    motion : (n_volumes, 6)
        Translations x, y, z in mm, then rotations in radians, as SPM and fMRIPrep write them.

    Raises
    ------
    ValueError
        Another shape; an infinite value; rotations beyond a quarter turn, which must be degrees.

    >>> framewise_displacement(np.array([[0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0.01, 0]])).tolist()
    [nan, 1.5]
    """
    motion = np.asarray(motion, dtype=np.float64)
    if motion.ndim != 2 or motion.shape[1] != 6:
        raise ValueError(f"motion must have shape (n_volumes, 6), got {motion.shape}")
    if np.isinf(motion).any():
        raise ValueError("motion holds an infinite value")
    if (np.abs(motion[:, 3:]) > np.pi / 2).any():
        raise ValueError(
            "rotations (motion columns 4 to 6) must be radians: these look like degrees"
        )
    steps = np.abs(np.diff(motion, axis=0, prepend=np.nan))
    return steps[:, :3].sum(axis=1) + _HEAD_RADIUS * steps[:, 3:].sum(axis=1)
