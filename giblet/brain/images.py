"""Images of voxels: opened, masked, and read a few volumes at a time."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from giblet.errors import GibletError
from giblet.io.paths import check_file, check_own

_DEFLATE = 1032  # the most that gzip packs into a byte
_VOXELS_AT_ONCE = 8_000_000  # of the grid: 64 MB as float64


@contextmanager
def reading_image(path: Path) -> Iterator[None]:
    """Whatever goes wrong in reading an image is a GibletError that names the file."""
    try:
        yield
    except GibletError:
        raise
    except Exception as error:  # of nibabel, zlib, expat, and of headers that nobody foresaw
        said = " ".join(str(error).split()) or type(error).__name__
        raise GibletError(f"{path}: not a readable image ({said})") from error


def open_image(path: Path, **options):
    """An image whose voxels are not read yet; ``options`` as ``nibabel.load`` has them.

    GibletError where it is none, or its header claims what cannot be.
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
    """Beside an image (.img of a .hdr) lie files; one of HDF5 (MINC) holds all itself."""
    import h5py
    from nibabel import all_image_classes
    from nibabel.filebasedimages import ImageFileError

    for kind in all_image_classes:
        with suppress(ImageFileError):
            named = (Path(h.filename) for h in kind.filespec_to_file_map(path).values())
            for other in filter(Path.exists, named):
                check_file(other)
    if h5py.is_hdf5(path):
        with h5py.File(path) as file:
            check_own(file, path)


def _check_header(image, path: Path) -> None:
    """Voxels are numbers and fit into the file, and lie somewhere; else ValueError."""
    dtype, packed = image.get_data_dtype(), _DEFLATE if path.name.endswith(".gz") else 1
    if dtype.kind not in "fiu":
        raise ValueError(f"its voxels are no real numbers but {dtype}")
    n_bytes = math.prod(image.shape) * dtype.itemsize
    if min(image.shape, default=0) < 1 or n_bytes > packed * path.stat().st_size:
        raise ValueError(f"its header claims {image.shape} voxels, which are not in it")
    affine = getattr(image, "affine", np.eye(4))  # greyordinates have none
    if not np.isfinite(affine).all() or not np.linalg.det(affine):
        raise ValueError("its affine says of no voxel where it lies")


def _open_volume(path: Path):
    """An image of one number a voxel: a mask, labels; else GibletError."""
    image = open_image(path)
    if (n := len(getattr(image, "shape", ()))) != 3:  # a surface has none
        raise GibletError(f"{path}: must be one volume of voxels, but has {n} dimensions")
    return image


def common_mask(images: Iterable[tuple[Path, Path]]) -> tuple[np.ndarray, np.ndarray]:
    """Voxels in every brain mask (i, j, k) bool, and the affine (4, 4), of (image, mask) files.

    Raises
    ------
    GibletError
        An unreadable file, an image or mask on another grid than the first, nothing in common.
    """
    images = list(images)
    first = open_image(images[0][0])
    mask = np.ones(first.shape[:3], dtype=bool)
    for path, mask_path in images:
        for image in (open_image(path), brain := _open_volume(mask_path)):
            same = image.shape[:3] == mask.shape
            if not same or not np.allclose(image.affine, first.affine, atol=1e-3):
                raise GibletError(
                    f"{path}: its image or mask has another grid (shape or affine) than "
                    f"{images[0][0].name}; resample them to one"
                )
        with reading_image(mask_path):
            mask &= np.asanyarray(brain.dataobj) > 0
        if not mask.any():
            raise GibletError(
                f"{mask_path}: mask empty: no voxel is in the brain in all runs so far"
            )
    return mask, first.affine


def read_volumes(path: Path, mask: np.ndarray) -> Iterator[np.ndarray]:
    """Voxels of ``mask`` (i, j, k), (n_volumes, n_voxels) float32, some volumes at a time.

    From the first volume to the last, so that a ``.gz`` is unpacked once. Voxels are in the order
    of ``np.argwhere(mask)``. GibletError where the file breaks off.
    """
    voxels = np.ravel_multi_index(np.nonzero(mask), mask.shape, order="F")
    image = open_image(path, keep_file_open=True)  # else a .gz is unpacked from its start again
    n_at_once = max(1, _VOXELS_AT_ONCE // mask.size)
    for start in range(0, image.shape[3], n_at_once):
        with reading_image(path):
            block = np.asarray(image.dataobj[..., start : start + n_at_once])
        volumes = block.reshape(mask.size, -1, order="F").T  # no copy: files are in this order
        yield np.take(volumes, voxels, axis=1).astype(np.float32, copy=False)


def read_labels(path: Path, mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """A parcellation (i, j, k) int on the grid of ``mask``, nearest labels, 0 outside the mask."""
    from nibabel import Nifti1Image
    from nilearn.image import resample_to_img

    grid = Nifti1Image(mask.astype(np.uint8), affine)
    with reading_image(path):
        atlas = resample_to_img(_open_volume(path), grid, interpolation="nearest")
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
