"""Checks of arrays: codes, features, waveforms."""

from numbers import Real

import numpy as np

_SLOWEST_HZ = 1000


def check_codes(codes: np.ndarray, n_codebooks: int | None = None, codebook_size: int = 1024):
    """``codes`` (..., n_codebooks, n_frames) integers in [-1, codebook_size), or an error.

    Raises
    ------
    TypeError
        Not integers: codes are labels, not features.
    ValueError
        Out of range, or another number of codebooks. -1 means "no frame".

    >>> check_codes(np.zeros((3, 8, 112), dtype=np.int32), n_codebooks=8).shape
    (3, 8, 112)
    """
    codes = without_mask(codes, "codes")
    if codes.dtype.kind not in "iu":
        raise TypeError(
            f"codes must be integers, got {codes.dtype}: a code is a label. "
            "Latents are floats; mel features belong to use_encodec=False."
        )
    if codes.ndim < 2 or (n_codebooks is not None and codes.shape[-2] != n_codebooks):
        raise ValueError(
            f"codes must have shape (..., {n_codebooks or 'n_codebooks'}, n_frames), "
            f"got {codes.shape}"
        )
    if codes.size and (codes.min() < -1 or codes.max() >= codebook_size):
        raise ValueError(
            f"codes must lie in [0, {codebook_size - 1}] (-1 = no frame), "
            f"got {codes.min()} to {codes.max()}"
        )
    return codes


def check_features(features: np.ndarray, name: str = "features") -> np.ndarray:
    """``features`` as floats that are all finite, or an error.

    Raises
    ------
    TypeError
        Integers: they may be code indices, which are labels.
    ValueError
        NaN or infinite values; the message says where the first one is.
    """
    features = without_mask(features, name)
    if not np.issubdtype(features.dtype, np.floating):
        raise TypeError(
            f"{name} must be float, got {features.dtype}: an HRF smooths features, "
            "and code indices are labels. Dequantise the codes first."
        )
    bad = ~np.isfinite(features)
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{name} has {bad.sum()} NaN or infinite values, the first at {first}")
    return features


def check_sample_rate(sample_rate: float) -> int:
    """``sample_rate`` (Hz) as a whole number of at least 1,000, or ValueError.

    >>> check_sample_rate(24000.0)
    24000
    """
    is_number = isinstance(sample_rate, Real) and not isinstance(sample_rate, bool)
    in_range = is_number and _SLOWEST_HZ <= sample_rate < np.inf
    if not in_range or sample_rate != round(sample_rate):
        raise ValueError(
            f"sample_rate must be a whole number of Hz, {_SLOWEST_HZ} or more, got {sample_rate!r}"
        )
    return int(sample_rate)


def check_waveform(waveform: np.ndarray, name: str = "waveform") -> np.ndarray:
    """``waveform`` (n_samples,) of finite floats with at least one sample, or ValueError."""
    waveform = without_mask(waveform, name)
    if not np.issubdtype(waveform.dtype, np.floating):
        raise TypeError(f"{name} must be float in [-1, 1], got {waveform.dtype}")
    if not np.isfinite(waveform).all():
        raise ValueError(f"{name} has {(~np.isfinite(waveform)).sum()} NaN or infinite samples")
    if waveform.ndim != 1 or not len(waveform):
        stereo = ": average its channels first" if waveform.ndim == 2 else ""
        raise ValueError(f"{name} must have shape (n_samples,), got {waveform.shape}{stereo}")
    return waveform


def without_mask(values, name: str) -> np.ndarray:
    """``values`` as an array; ValueError where some are masked, since their numbers mean nothing.

    >>> without_mask(np.ma.array([1.0, 2.0], mask=False), "bold").tolist()
    [1.0, 2.0]
    """
    if np.ma.is_masked(values):
        raise ValueError(
            f"{name} has {np.ma.count_masked(values)} masked values: they must be filled"
        )
    return np.asarray(values)
