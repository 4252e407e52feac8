"""Images of voxels: opening and checking them, reading BOLD in a mask, means of parcels."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import xarray as xr

from giblet.brain.atlases import volume_atlas
from giblet.brain.grids import EQUAL_GRID, LARGEST_SHIFT, grid_shift, resample
from giblet.brain.image_headers import (
    check_header,
    check_packed,
    header_t_r,
    header_warnings,
    time_axis,
)
from giblet.brain.parcels import parcel_means
from giblet.brain.stored_range import is_int16
from giblet.errors import GibletError
from giblet.io.paths import check_file, check_own

_CIFTI = re.compile(r"\.[dp][a-z]+\.nii$")  # .dtseries.nii and its like
_WHOLE = 1e-3  # masks that were scaled are as near as this to whole numbers
_GRID_AT_ONCE = 8_000_000  # voxels of the grid: 64 MB as float64


@contextmanager
def reading_image(path: Path) -> Iterator[None]:
    """Turn every error in reading an image into a GibletError that names the file."""
    try:
        yield
    except GibletError:
        raise
    except Exception as error:  # of nibabel, zlib, expat, and of headers that nobody foresaw
        reason = " ".join(str(error).split()) or type(error).__name__
        raise GibletError(f"{path}: not a readable image ({reason})") from error


def open_image(path: Path, **options):
    """An image whose voxels are not read yet; ``options`` are those of ``nibabel.load``.

    Raises GibletError for another file, and for a header that the file contradicts.
    """
    import nibabel
    from nibabel.openers import ImageOpener

    if not check_file(path, "an image").stat().st_size:
        raise GibletError(f"{path}: not a readable image (empty, 0 bytes): fetch or make it again")
    check_packed(path)
    with reading_image(path):
        if ".gii" in path.suffixes:  # unpacked first: nibabel then opens no file that it names
            with ImageOpener(path) as file:
                return _surface(file.read(), path)
        _check_other_files(path)
        image = nibabel.load(path, **options)
        if isinstance(image, nibabel.Cifti2Image) and not _CIFTI.search(path.name):
            raise GibletError(
                f"{path}: holds greyordinates (CIFTI), which its name must state: name it "
                ".dtseries.nii, or .ptseries.nii if they are parcels"
            )
        if path.name.endswith((".nii", ".nii.gz")):
            check_header(image, path)
    return image


def _surface(content: bytes, path: Path):
    from nibabel.gifti import GiftiImage
    from nibabel.gifti.parse_gifti_fast import GiftiParseError

    try:
        return GiftiImage.from_bytes(content)
    except GiftiParseError as error:
        if "ExternalFileBinary" not in str(error):
            raise
        raise GibletError(
            f"{path}: its numbers lie in another file; save it with them in it (GZipBase64Binary)"
        ) from None


def _check_other_files(path: Path) -> None:
    """Files that belong to an image (.img of a .hdr) are files; HDF5 (MINC) refers to no other."""
    import h5py
    from nibabel import all_image_classes
    from nibabel.filebasedimages import ImageFileError

    named = set()
    for kind in all_image_classes:
        with suppress(ImageFileError):
            named |= {Path(h.filename) for h in kind.filespec_to_file_map(path).values()}
    for other in sorted(named - {path}):
        if other.exists():
            check_file(other)
    if h5py.is_hdf5(path):
        with h5py.File(path) as file:
            check_own(file, path)


def open_volume(path: Path):
    """An image of one number per voxel, as masks and labels are; GibletError for any other.

    Axes of length 1 behind the third are left out.
    """
    from nibabel.funcs import squeeze_image

    image = open_image(path)
    shape: tuple[int, ...] = getattr(image, "shape", ())  # a surface has none
    if len(shape) < 3 or set(shape[3:]) - {1}:
        raise GibletError(
            f"{path}: must be one volume of voxels, but has {len(shape)} dimensions {shape}"
            + "; save one of its volumes (fslroi)" * (len(shape) > 3)
        )
    with reading_image(path):
        return image if len(shape) == 3 else squeeze_image(image)


@dataclass(frozen=True)
class ImageRecording:
    """A run of BOLD in an image (i, j, k, volume); a `giblet.brain.recording.Recording`.

    ``shape`` (n_i, n_j, n_k) and ``affine`` (4, 4) are the grid of its voxels. ``header_t_r``: the
    TR (s) in its header, None where there is none. ``warnings``: of what the header lacks.
    """

    path: Path
    n_volumes: int
    shape: tuple[int, ...]
    affine: np.ndarray
    mask_file: Path
    time_axis: int = 3
    header_t_r: float | None = None
    warnings: tuple[str, ...] = ()
    is_int16: bool = False
    is_quick = False  # to be read as a whole

    @classmethod
    def open(cls, path: Path, mask_file: Path) -> "ImageRecording":
        image = open_image(path)
        shape: tuple[int, ...] = getattr(image, "shape", ())  # a surface has none
        axis = time_axis(shape, path)
        with reading_image(path):
            header, affine = image.header, image.affine
            t_r = header_t_r(header, axis)
            warnings = tuple(header_warnings(header, t_r, path.name))
            scale = (getattr(image.dataobj, name, None) for name in ("slope", "inter"))
            short = is_int16(header.get_data_dtype(), *scale)
        return cls(path, shape[axis], shape[:3], affine, mask_file, axis, t_r, warnings, short)

    @property
    def n_columns(self) -> int:
        return math.prod(self.shape)

    @staticmethod
    def shared_columns(recordings: Sequence["ImageRecording"]) -> "Voxels":
        """Voxels in the masks of all recordings.

        Raises
        ------
        GibletError
            An unreadable file, an image or mask on another grid than the first, nothing in common.
        """
        first = recordings[0]
        mask, warnings = np.ones(first.shape, dtype=bool), []
        for recording in recordings:
            stored = open_volume(recording.mask_file)
            brain = _turned(stored, recording)
            if brain is not stored:
                warnings.append(
                    f"{recording.mask_file.name}: its axes are in another order or direction than "
                    f"those of {recording.path.name}: turned"
                )
            shift, of_mask = grid_shift(recording, first), grid_shift(brain, first)
            if max(shift, of_mask) > LARGEST_SHIFT:
                raise GibletError(
                    f"{recording.path}: its image or mask has another grid (shape or affine) "
                    f"than {first.path.name}; resample them to one"
                )
            if shift > EQUAL_GRID:
                warnings.append(
                    f"{recording.path.name}: its voxels are up to {shift:.2g} of a voxel off those "
                    f"of {first.path.name}: resampled onto them"
                )
            elif of_mask > EQUAL_GRID:
                warnings.append(
                    f"{recording.path.name}: its mask is up to {of_mask:.2g} of a voxel off the "
                    f"voxels of {first.path.name}: each is taken by the nearest voxel of the mask"
                )
            with reading_image(recording.mask_file):
                values = np.asanyarray(brain.dataobj)
            mask &= values > 0
            if values.dtype.kind == "f" and (np.abs(values - np.rint(values)) > _WHOLE).any():
                warnings.append(
                    f"{recording.mask_file.name}: holds fractions, as a map of probabilities does: "
                    f"all {(values > 0).sum()} voxels above 0 are taken"
                )
            if not mask.any():
                raise GibletError(
                    f"{recording.mask_file}: mask empty: "
                    "no voxel is in the brain in all runs so far"
                )
        return Voxels(mask, first.affine, tuple(warnings))

    def blocks(self, columns: "Voxels | Parcels") -> Iterator[np.ndarray]:
        """All volumes, (n, n_columns) of ``columns.dtype``, from first to last, some at a time.

        In this order a ``.gz`` is unpacked once. Of an image on another grid than that of
        ``columns``, resampled. GibletError where the file breaks off.
        """
        places = columns.places_in(self)
        image = open_image(self.path, keep_file_open=True)  # else unpacked again for each block
        n_at_once = max(1, _GRID_AT_ONCE // math.prod(self.shape))
        for start in range(0, self.n_volumes, n_at_once):
            with reading_image(self.path):
                block = np.asarray(image.dataobj[self._volumes(start, start + n_at_once)])
            yield columns.pick(block, places)

    def _volumes(self, start: int, stop: int) -> tuple:
        """What selects volumes: all of three axes, 0 of others of length 1."""
        return (*[slice(None)] * 3, *[0] * (self.time_axis - 3), slice(start, stop), ...)


@dataclass(frozen=True)
class Voxels:
    """Columns that are voxels: of ``mask`` (i, j, k) bool, in the order of ``np.argwhere(mask)``.

    ``affine`` (4, 4) leads from voxels to mm. ``warnings``: of grids that differ a little.
    """

    mask: np.ndarray
    affine: np.ndarray
    warnings: tuple[str, ...] = ()
    dimension = "voxel"
    noun = "voxels"
    dtype = np.float32

    def __len__(self) -> int:
        return int(self.mask.sum())

    def keep(self, kept: np.ndarray) -> "Voxels":
        """Those that ``kept`` (n_voxels,) bool selects."""
        mask = self.mask.copy()
        mask[self.mask] = kept
        return replace(self, mask=mask)

    def parcels(self, parcellation: str | Path) -> "Parcels":
        """Means over the labels of an image in MNI space, or of an atlas by name; GibletError for
        none in the mask."""
        source = volume_atlas(parcellation)
        atlas, warnings = read_labels(source.path, self.mask, self.affine)
        return Parcels(self, atlas, source.names, (*self.warnings, *warnings))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the grid."""
        return self.mask.shape

    def places_in(self, recording: ImageRecording) -> np.ndarray | None:
        """The voxels' indices on the grid of a recording, (n_voxels, 3), not whole; None where it
        has this grid."""
        from nibabel.affines import apply_affine

        if grid_shift(recording, self) <= EQUAL_GRID:
            return None
        return apply_affine(np.linalg.inv(recording.affine) @ self.affine, np.argwhere(self.mask))

    def pick(self, block: np.ndarray, places: np.ndarray | None = None) -> np.ndarray:
        """Volumes (i, j, k, n_volumes) → (n_volumes, n_voxels) float32.

        ``places``: as of `places_in`.
        """
        if places is not None:
            return resample(block, places)
        volumes = block.reshape(self.mask.size, -1, order="F").T  # no copy: files are in this order
        return np.take(volumes, self._in_file, axis=1).astype(np.float32, copy=False)

    @cached_property
    def _in_file(self) -> np.ndarray:
        return np.ravel_multi_index(np.nonzero(self.mask), self.mask.shape, order="F")

    def coordinates(self) -> xr.Dataset:
        """The mask, and x, y, z (mm) along ``voxel``."""
        return _with_axes(self.grid(), "voxel", self.centres())

    def grid(self) -> xr.Dataset:
        """The mask and its affine."""
        affine = self.affine.ravel().tolist()
        return xr.Dataset({"mask": (("i", "j", "k"), self.mask)}, attrs={"affine": affine})

    def centres(self) -> np.ndarray:
        """Of the voxels, (n_voxels, 3) mm."""
        from nibabel.affines import apply_affine

        return apply_affine(self.affine, np.argwhere(self.mask))


@dataclass(frozen=True)
class Parcels:
    """Columns that are means over voxels: of each label of ``atlas`` (i, j, k) int.

    ``atlas`` is 0 outside the voxels' mask. ``names`` of labels, {}: they have none. ``warnings``:
    of the grids, and of labels left out.
    """

    voxels: Voxels
    atlas: np.ndarray
    names: Mapping[int, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    dimension = "parcel"
    noun = "parcels"
    dtype = np.float64

    def __len__(self) -> int:
        return len(self._numbers)

    def places_in(self, recording: ImageRecording) -> np.ndarray | None:
        """`Voxels.places_in`."""
        return self.voxels.places_in(recording)

    def pick(self, block: np.ndarray, places: np.ndarray | None = None) -> np.ndarray:
        """Volumes (i, j, k, n_volumes) → (n_volumes, n_parcels) float64."""
        return parcel_means(self.voxels.pick(block, places), self._labels)

    @cached_property
    def _labels(self) -> np.ndarray:  # (n_voxels,)
        return self.atlas[self.voxels.mask]

    @cached_property
    def _numbers(self) -> np.ndarray:
        return np.unique(self._labels[self._labels > 0])

    def coordinates(self) -> xr.Dataset:
        """The mask, the atlas as ``labels``; names (else labels) and mean x, y, z (mm) along
        ``parcel``, and of names their labels as ``parcel_label``."""
        arrays = self.voxels.grid()
        arrays["labels"] = ("i", "j", "k"), self.atlas
        arrays = arrays.assign_coords(parcel=self._numbers)
        if self.names:
            named = [self.names.get(int(n), str(n)) for n in self._numbers]
            arrays = arrays.assign_coords(parcel=named, parcel_label=("parcel", self._numbers))
        centres = parcel_means(self.voxels.centres().T, self._labels).T
        return _with_axes(arrays, "parcel", centres)


def _turned(mask, grid: ImageRecording):
    """A mask's image with its axes in the order and the directions of those of ``grid``.

    LAS for RAS, for example; values and their places in mm stay.
    """
    from nibabel.orientations import io_orientation, ornt_transform

    if np.allclose(mask.affine[:3, :3], grid.affine[:3, :3], rtol=0.01):
        return mask
    turn = ornt_transform(io_orientation(mask.affine), io_orientation(grid.affine))
    return mask.as_reoriented(turn)


def _with_axes(arrays: xr.Dataset, dimension: str, centres: np.ndarray) -> xr.Dataset:
    axes = {axis: (dimension, centres[:, n], {"units": "mm"}) for n, axis in enumerate("xyz")}
    return arrays.assign_coords(axes)


def read_labels(path: Path, mask: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """A parcellation (i, j, k) int on the grid of ``mask``, nearest labels, 0 outside the mask.

    And a warning of labels that are nowhere in the mask. Raises GibletError for an unreadable
    image, and where no label lies in the mask.
    """
    from nibabel import Nifti1Image
    from nilearn.image import resample_to_img

    grid = Nifti1Image(mask.astype(np.uint8), affine)
    image = open_volume(path)
    with reading_image(path):
        atlas = resample_to_img(image, grid, interpolation="nearest")
        there = np.unique(_whole(np.asanyarray(image.dataobj)))
    labels = np.where(mask, _whole(np.asanyarray(atlas.dataobj)), 0)
    if not labels.any():
        raise GibletError(f"{path}: no label lies in the brain mask; is it in MNI space?")
    there = there[there > 0]
    lost = np.setdiff1d(there, labels)
    if not len(lost):
        return labels, []
    named = ", ".join(map(str, lost[:10].tolist())) + ", …" * (len(lost) > 10)
    return labels, [
        f"{path.name}: {len(lost)} of {len(there)} labels lie in no voxel of the scans and are "
        f"left out: {named}"
    ]


def _whole(labels: np.ndarray) -> np.ndarray:
    """Labels as int; NaN is 0."""
    return np.nan_to_num(labels).round().astype(int)
