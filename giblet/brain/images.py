"""Images of voxels: opening and checking them, reading BOLD in a mask, means of parcels."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import xarray as xr

from giblet.errors import GibletError
from giblet.io.paths import check_file, check_own

_DEFLATE = 1032  # the most that gzip packs into a byte
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

    check_file(path, "an image")
    with reading_image(path):
        if ".gii" in path.suffixes:  # unpacked first: nibabel then opens no file that it names
            with ImageOpener(path) as file:
                return _surface(file.read(), path)
        _check_other_files(path)
        image = nibabel.load(path, **options)
        if path.name.endswith((".nii", ".nii.gz")):
            _check_header(image, path)
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


def _check_header(image, path: Path) -> None:
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


def open_volume(path: Path):
    """An image of one number per voxel, as masks and labels are; GibletError for any other."""
    image = open_image(path)
    if (n := len(getattr(image, "shape", ()))) != 3:  # a surface has none
        raise GibletError(f"{path}: must be one volume of voxels, but has {n} dimensions")
    return image


@dataclass(frozen=True)
class ImageRecording:
    """A run of BOLD in an image (i, j, k, volume); a `giblet.brain.recording.Recording`.

    ``shape`` (n_i, n_j, n_k) and ``affine`` (4, 4) are the grid of its voxels.
    """

    path: Path
    n_volumes: int
    shape: tuple[int, ...]
    affine: np.ndarray
    mask_file: Path
    is_quick = False  # to be read as a whole

    @classmethod
    def open(cls, path: Path, mask_file: Path) -> "ImageRecording":
        image = open_image(path)
        shape: tuple[int, ...] = getattr(image, "shape", ())  # a surface has none
        if len(shape) != 4:
            raise GibletError(f"{path}: BOLD must have 4 dimensions, this image has {len(shape)}")
        return cls(path, shape[3], shape[:3], image.affine, mask_file)

    @staticmethod
    def shared_columns(recordings: Sequence["ImageRecording"]) -> "Voxels":
        """Voxels in the masks of all recordings.

        Raises
        ------
        GibletError
            An unreadable file, an image or mask on another grid than the first, nothing in common.
        """
        first = recordings[0]
        mask = np.ones(first.shape, dtype=bool)
        for recording in recordings:
            brain = open_volume(recording.mask_file)
            for grid in (recording, brain):
                same = grid.shape == first.shape
                if not same or not np.allclose(grid.affine, first.affine, atol=1e-3):
                    raise GibletError(
                        f"{recording.path}: its image or mask has another grid (shape or affine) "
                        f"than {first.path.name}; resample them to one"
                    )
            with reading_image(recording.mask_file):
                mask &= np.asanyarray(brain.dataobj) > 0
            if not mask.any():
                raise GibletError(
                    f"{recording.mask_file}: mask empty: "
                    "no voxel is in the brain in all runs so far"
                )
        return Voxels(mask, first.affine)

    def blocks(self, columns: "Voxels | Parcels") -> Iterator[np.ndarray]:
        """All volumes, (n, n_columns) of ``columns.dtype``, from first to last, some at a time.

        In this order a ``.gz`` is unpacked once. GibletError where the file breaks off.
        """
        image = open_image(self.path, keep_file_open=True)  # else unpacked again for each block
        n_at_once = max(1, _GRID_AT_ONCE // math.prod(self.shape))
        for start in range(0, self.n_volumes, n_at_once):
            with reading_image(self.path):
                block = np.asarray(image.dataobj[..., start : start + n_at_once])
            yield columns.pick(block)


@dataclass(frozen=True)
class Voxels:
    """Columns that are voxels: of ``mask`` (i, j, k) bool, in the order of ``np.argwhere(mask)``.

    ``affine`` (4, 4) leads from voxels to mm.
    """

    mask: np.ndarray
    affine: np.ndarray
    dimension = "voxel"
    dtype = np.float32

    def __len__(self) -> int:
        return int(self.mask.sum())

    def keep(self, kept: np.ndarray) -> "Voxels":
        """Those that ``kept`` (n_voxels,) bool selects."""
        mask = self.mask.copy()
        mask[self.mask] = kept
        return replace(self, mask=mask)

    def parcels(self, parcellation: Path) -> "Parcels":
        """Means over the labels of an image in MNI space; GibletError for none in the mask."""
        return Parcels(self, read_labels(parcellation, self.mask, self.affine))

    def pick(self, block: np.ndarray) -> np.ndarray:
        """Volumes (i, j, k, n_volumes) → (n_volumes, n_voxels) float32."""
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

    ``atlas`` is 0 outside the voxels' mask.
    """

    voxels: Voxels
    atlas: np.ndarray
    dimension = "parcel"
    dtype = np.float64

    def __len__(self) -> int:
        return len(self._names)

    def pick(self, block: np.ndarray) -> np.ndarray:
        """Volumes (i, j, k, n_volumes) → (n_volumes, n_parcels) float64."""
        return parcel_means(self.voxels.pick(block), self._labels)

    @cached_property
    def _labels(self) -> np.ndarray:  # (n_voxels,)
        return self.atlas[self.voxels.mask]

    @cached_property
    def _names(self) -> np.ndarray:
        return np.unique(self._labels[self._labels > 0])

    def coordinates(self) -> xr.Dataset:
        """The mask, the atlas as ``labels``; labels and mean x, y, z (mm) along ``parcel``."""
        arrays = self.voxels.grid()
        arrays["labels"] = ("i", "j", "k"), self.atlas
        centres = parcel_means(self.voxels.centres().T, self._labels).T
        return _with_axes(arrays.assign_coords(parcel=self._names), "parcel", centres)


def _with_axes(arrays: xr.Dataset, dimension: str, centres: np.ndarray) -> xr.Dataset:
    axes = {axis: (dimension, centres[:, n], {"units": "mm"}) for n, axis in enumerate("xyz")}
    return arrays.assign_coords(axes)


def read_labels(path: Path, mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """A parcellation (i, j, k) int on the grid of ``mask``, nearest labels, 0 outside the mask.

    Raises GibletError for an unreadable image, and where no label lies in the mask.
    """
    from nibabel import Nifti1Image
    from nilearn.image import resample_to_img

    grid = Nifti1Image(mask.astype(np.uint8), affine)
    with reading_image(path):
        atlas = resample_to_img(open_volume(path), grid, interpolation="nearest")
    labels = np.where(mask, np.asanyarray(atlas.dataobj).round().astype(int), 0)
    if not labels.any():
        raise GibletError(f"{path}: no label lies in the brain mask; is it in MNI space?")
    return labels


def parcel_means(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean over the voxels of each label above 0: (..., n_voxels) → (..., n_parcels) float64.

    ``labels`` (n_voxels,); parcels are in the order of their labels.

    >>> parcel_means(np.array([[1.0, 2.0, 6.0, 9.0]]), np.array([7, 2, 2, 0])).tolist()
    [[4.0, 1.0]]
    """
    inside = labels > 0
    _, parcel, sizes = np.unique(labels[inside], return_inverse=True, return_counts=True)
    rows = values[..., inside].reshape(-1, inside.sum())
    sums = np.stack([np.bincount(parcel, weights=row) for row in rows])
    return (sums / sizes).reshape(*values.shape[:-1], len(sizes))
