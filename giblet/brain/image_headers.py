"""Headers of images: what contradicts the file, the axis of volumes, the TR."""

import math
from pathlib import Path

import numpy as np

from giblet.errors import GibletError

_DEFLATE = 1032  # the most that gzip packs into a byte
_MILLISECONDS = 100.0  # a TR from here on must be in them, whatever its unit
_NO_TIMES = ("hz", "ppm", "rads")  # units of a fourth axis
BEGIN = (
    "{}: its first volume is at {:g} s by its header, which is not used: where volumes were cut "
    "off, give n_dropped"
)
_SECONDS = {"msec": 1e-3, "usec": 1e-6}  # in a unit of time of NIfTI


def check_packed(path: Path) -> None:
    """GibletError where a NIfTI or GIfTI file is packed by gzip and its name says otherwise, or
    not."""
    if not path.name.endswith((".nii", ".nii.gz", ".gii", ".gii.gz")):
        return
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    if packed != path.name.endswith(".gz"):
        name = f"{path.name}.gz" if packed else path.name.removesuffix(".gz")
        what = "is packed by gzip" if packed else "is not packed by gzip"
        unpack = " and unpack it (gunzip)" if packed and ".gii" in path.name else ""
        raise GibletError(f"{path}: not a readable image (it {what}): rename it to {name}{unpack}")


def check_header(image, path: Path) -> None:
    """Raise ValueError unless voxels are numbers, fit into the file and have coordinates."""
    dtype, packed = image.get_data_dtype(), _DEFLATE if path.name.endswith(".gz") else 1
    if dtype.kind not in "fiu":
        raise ValueError(f"its voxels are no real numbers but {dtype}")
    n_bytes = math.prod(image.shape) * dtype.itemsize
    if min(image.shape, default=0) < 1 or n_bytes > packed * path.stat().st_size:
        raise ValueError(f"its header claims {image.shape} voxels, which are not in it")
    affine = getattr(image, "affine", np.eye(4))  # greyordinates have none
    if not np.isfinite(affine).all() or not np.linalg.det(affine):
        raise ValueError("its affine says of no voxel where it lies")


def time_axis(shape: tuple[int, ...], path: Path) -> int:
    """The axis of volumes in an image of BOLD: the fourth, or the one that is longer than 1."""
    longer = [axis for axis in range(3, len(shape)) if shape[axis] > 1]
    if len(shape) < 4 or len(longer) > 1:
        advice = "; merge the volumes of a run into one file (fslmerge -t)" * (len(shape) == 3)
        raise GibletError(
            f"{path}: BOLD must have 4 dimensions, this image has {len(shape)} {shape}{advice}"
        )
    return longer[0] if longer else 3


def header_t_r(header, axis: int) -> float | None:
    """The TR (s) that a header states; None where it has none."""
    zooms = header.get_zooms()
    units = header.get_xyzt_units()[1] if hasattr(header, "get_xyzt_units") else "sec"
    stated = float(zooms[axis]) if len(zooms) > axis and units not in _NO_TIMES else 0.0
    stated *= _SECONDS.get(units, 1e-3 if stated >= _MILLISECONDS else 1.0)
    return stated if 1e-3 < stated < math.inf else None


def header_warnings(header, t_r: float | None, file: str) -> list[str]:
    """Of a NIfTI header: voxels that lie nowhere, in another unit than mm, or a scan that does not
    begin at 0 s.

    ``t_r`` (s) is the header's. A first volume within the first TR is one whose slice timing was
    corrected.
    """
    fields = set(getattr(header, "keys", list)())
    if not {"sform_code", "qform_code", "toffset", "xyzt_units"} <= fields:
        return []
    warnings = []
    if not header["sform_code"] and not header["qform_code"]:
        warnings.append(
            f"{file}: its header does not say where voxels lie (sform and qform 0): coordinates "
            "are a guess"
        )
    of_space, of_time = header.get_xyzt_units()
    if of_space in ("meter", "micron"):
        warnings.append(f"{file}: its header gives places in {of_space}s; they are read as mm")
    begin = float(header["toffset"]) * _SECONDS.get(of_time, 1.0)
    if math.isfinite(begin) and t_r and abs(begin) >= t_r and of_time not in _NO_TIMES:
        warnings.append(BEGIN.format(file, begin))
    return warnings
