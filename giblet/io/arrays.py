"""Files of arrays and tables: labelled, with their history, never half written."""

import errno
import json
import math
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from giblet.errors import GibletError, refused_reading
from giblet.io.atomic import replacing
from giblet.io.checksums import FORMAT_VERSION, Damaged, check_seal, check_version, damaged, seal
from giblet.io.paths import check_file, check_own
from giblet.io.schema import check_finite, check_names, check_values
from giblet.log import log_warnings

if TYPE_CHECKING:
    import xarray as xr


def _check_room(path: Path, n_bytes: int) -> None:
    """OSError where the disk has no room: HDF5 would break off, and the process die with it."""
    if shutil.disk_usage(Path(path).parent).free < n_bytes:
        raise OSError(errno.ENOSPC, f"no space left on device ({n_bytes:,} bytes)", str(path))


_FORMAT = "giblet_format"  # a file's attribute; files from before have none


def save_arrays(
    arrays: "xr.Dataset", path: str | Path, logged_before: Collection[str] = ()
) -> None:
    """Write an array set as one netCDF file, with giblet's version in its attributes, and a seal.

    Attributes that netCDF cannot hold (dict, None) are written as JSON. ``warnings`` among them
    are logged, but for those ``logged_before``, with the arrays that these were made of.
    """
    with replacing(path) as temporary:
        _to_netcdf(arrays, temporary, "w", logged_before)
        seal(temporary)


def append_arrays(arrays: "xr.Dataset", path: str | Path) -> None:
    """As `save_arrays`, into the file of a `new_variable`, in its place."""
    _to_netcdf(arrays, path, mode="a")
    seal(path, _checked_chunks(path))


def _to_netcdf(arrays: "xr.Dataset", path: str | Path, mode: str, logged_before=()) -> None:
    log_warnings(arrays.attrs, logged_before)
    attrs = {key: _plain(value) for key, value in arrays.attrs.items()}
    attrs |= {"giblet_version": version("giblet"), _FORMAT: FORMAT_VERSION}
    _check_room(path, arrays.nbytes)
    arrays.assign_attrs(attrs).to_netcdf(path, mode=mode, engine="h5netcdf")


@contextmanager
def new_variable(path: Path, name: str, sizes: dict[str, int], chunks: tuple[int, ...]) -> Iterator:
    """A float32 variable of a new netCDF file, to be filled slice by slice; ``sizes`` by dim.

    Each chunk has its own checksum, so that partial reads need not read all.
    """
    import h5netcdf

    _check_room(path, 4 * math.prod(sizes.values()))
    with h5netcdf.File(path, "w") as file:
        file.dimensions = sizes
        options = {"dtype": np.float32, "fillvalue": np.nan, "fletcher32": True}
        yield file.create_variable(name, tuple(sizes), chunks=chunks, **options)


def _checked_chunks(path: str | Path) -> list[tuple[int, int]]:
    """Byte ranges [start, stop) of the chunks that HDF5 checks as it reads them."""
    import h5py

    ranges = []
    with h5py.File(path, "r") as file:
        for values in filter(lambda v: getattr(v, "fletcher32", False), file.values()):
            infos = (values.id.get_chunk_info(n) for n in range(values.id.get_num_chunks()))
            ranges += [(i.byte_offset, i.byte_offset + i.size) for i in infos]
    return sorted(ranges)


def _plain(value):
    """An attribute as netCDF can hold it."""
    value = value.tolist() if isinstance(value, np.generic | np.ndarray) else value
    holds = isinstance(value, str | int | float) and not isinstance(value, bool)
    return value if holds else json.dumps(value)


def load_arrays(path: str | Path, *names: str, or_nothing: bool = False) -> "xr.Dataset":
    """Read an array set into memory; ``names`` as `open_arrays` has them.

    Raises GibletError if it is not as it was written, or holds something else.
    """
    with open_arrays(path, *names, or_nothing=or_nothing) as arrays:
        try:
            arrays.load()
        except MemoryError:
            raise
        except Exception as error:
            raise (refused_reading(error, path) or damaged(path)) from error
    check_finite(arrays, path)
    return arrays


@contextmanager
def open_arrays(path: str | Path, *names: str, or_nothing: bool = False) -> Iterator["xr.Dataset"]:
    """An array set whose values are read when they are sliced, while the context lasts.

    For readers that go block by block: ``arrays["bold"][:, start:stop].to_numpy()``.

    Parameters
    ----------
    names
        Variables, dimensions and attributes that it must hold, those of ``giblet.io.schema``;
        of ``"video or text"`` one. With ``or_nothing``, no variable at all will do, too.

    Raises
    ------
    GibletError
        Not as it was written, parts of it lie in other files, or it holds something else.
    """
    import xarray as xr

    check_file(path)
    try:
        sealed, format_version = check_seal(path) is not None, _format_of(path)
        check_version(format_version, path)
        if format_version and not sealed:
            raise damaged(path)
        arrays = xr.open_dataset(path, engine="h5netcdf", cache=False)
    except GibletError:
        raise
    except Exception as error:
        if refused := refused_reading(error, path):
            raise refused from error
        message = f"{path}: not a readable netCDF file ({error})"
        raise Damaged(message, path, "If giblet wrote it, delete it and run again") from error
    with arrays:
        arrays.attrs.pop(_FORMAT, None)
        if arrays.data_vars or not or_nothing:
            check_names(arrays, path, names)
        try:
            check_values(arrays, path)
            yield arrays
        except OSError as error:
            if "filter returned failure during read" in str(error):  # a chunk's checksum
                raise damaged(path) from error
            if error.filename is None and (refused := refused_reading(error, path)):
                raise refused from error
            raise


def _format_of(path: str | Path) -> object:
    """A file's format version; GibletError if parts of it are in other files."""
    import h5py

    with h5py.File(path, "r") as file:
        check_own(file, path)
        return np.atleast_1d(dict(file.attrs).get(_FORMAT, 0)).tolist()[0]
