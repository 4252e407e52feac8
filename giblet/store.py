"""Files of arrays and tables: labelled, with their history, never half written."""

import errno
import hashlib
import json
import math
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from giblet.checks import GibletError
from giblet.contents import check_finite, check_names, check_values
from giblet.hdf5 import check_own
from giblet.incoming import check_file, parse_yaml
from giblet.logbook import tell_warnings
from giblet.replacing import replacing
from giblet.sealing import FORMAT_VERSION, Damaged, check_seal, check_version, damaged, seal

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def _check_room(path: Path, n_bytes: int) -> None:
    """OSError where the disk has no room: HDF5 would break off, and the process die with it."""
    if shutil.disk_usage(Path(path).parent).free < n_bytes:
        raise OSError(errno.ENOSPC, f"no space left on device ({n_bytes:,} bytes)", str(path))


_FORMAT = "giblet_format"  # a file's attribute; files from before have none
SEPARATORS = {".tsv": "\t", ".csv": ","}  # of tables


def fingerprint(*paths: str | Path) -> str:
    """SHA-256 over the contents of files, in order; folders count by their files, sorted."""
    digest = hashlib.sha256()
    for path in map(Path, paths):
        files = (
            sorted(p for p in path.rglob("*") if p.is_file())
            if path.is_dir()
            else [check_file(path)]
        )
        for file in files:
            with open(file, "rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]


def save_arrays(arrays: "xr.Dataset", path: str | Path, known: Collection[str] = ()) -> None:
    """Write an array set as one netCDF file, with giblet's version in its attributes, and a seal.

    Attributes that netCDF cannot hold (dict, None) are written as JSON. ``warnings`` among them
    are told, but for those ``known`` from what the arrays were made of.
    """
    with replacing(path) as temporary:
        _to_netcdf(arrays, temporary, "w", known)
        seal(temporary)


def append_arrays(arrays: "xr.Dataset", path: str | Path) -> None:
    """As `save_arrays`, into the file of a `new_variable`, in its place."""
    _to_netcdf(arrays, path, mode="a")
    seal(path, _checked_chunks(path))


def _to_netcdf(arrays: "xr.Dataset", path: str | Path, mode: str, known=()) -> None:
    tell_warnings(arrays.attrs, known)
    attrs = {key: _plain(value) for key, value in arrays.attrs.items()}
    attrs |= {"giblet_version": version("giblet"), _FORMAT: FORMAT_VERSION}
    _check_room(path, arrays.nbytes)
    arrays.assign_attrs(attrs).to_netcdf(path, mode=mode, engine="h5netcdf")


@contextmanager
def new_variable(path: Path, name: str, sizes: dict[str, int], chunks: tuple[int, ...]) -> Iterator:
    """A float32 variable of a new netCDF file, to be filled slice by slice; ``sizes`` by dim.

    Each chunk has a checksum of its own, so that who needs some need not read all.
    """
    import h5netcdf

    _check_room(path, 4 * math.prod(sizes.values()))
    with h5netcdf.File(path, "w") as file:
        file.dimensions = sizes
        options = {"dtype": np.float32, "fillvalue": np.nan, "fletcher32": True}
        yield file.create_variable(name, tuple(sizes), chunks=chunks, **options)


def _checked_chunks(path: str | Path) -> list[tuple[int, int]]:
    """Where in a file the chunks are that HDF5 checks as it reads them, [start, stop) in bytes."""
    import h5py

    found = []
    with h5py.File(path, "r") as file:
        for values in filter(lambda v: getattr(v, "fletcher32", False), file.values()):
            infos = (values.id.get_chunk_info(n) for n in range(values.id.get_num_chunks()))
            found += [(i.byte_offset, i.byte_offset + i.size) for i in infos]
    return sorted(found)


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
            raise damaged(path) from error
    check_finite(arrays, path)
    return arrays


@contextmanager
def open_arrays(path: str | Path, *names: str, or_nothing: bool = False) -> Iterator["xr.Dataset"]:
    """An array set whose values are read when they are sliced, while the context lasts.

    For readers that go block by block: ``arrays["bold"][:, start:stop].to_numpy()``.

    Parameters
    ----------
    names
        Variables, dimensions and attributes that it must hold, those of ``giblet.contents``;
        of ``"video or text"`` one. With ``or_nothing``, no variable at all will do, too.

    Raises
    ------
    GibletError
        Not as it was written, parts of it lie in other files, or it holds something else.
    """
    import xarray as xr

    check_file(path)
    try:
        sealed, found = check_seal(path) is not None, _format_of(path)
        check_version(found, path)
        if found and not sealed:
            raise damaged(path)
        arrays = xr.open_dataset(path, engine="h5netcdf", cache=False)
    except GibletError:
        raise
    except Exception as error:
        said = f"{path}: not a readable netCDF file ({error})"
        raise Damaged(said, path, "If giblet wrote it, delete it and run again") from error
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
            raise


def _format_of(path: str | Path) -> object:
    """The format that a file tells, if it is whole in itself; h5netcdf would print errors."""
    import h5py

    with h5py.File(path, "r") as file:
        check_own(file, path)
        return np.atleast_1d(dict(file.attrs).get(_FORMAT, 0)).tolist()[0]


def save_table(table: "pd.DataFrame", path: str | Path) -> None:
    """Write a table as tab-separated values; missing values are ``n/a``, as in BIDS."""
    with replacing(path) as temporary:
        table.to_csv(temporary, sep="\t", index=False, na_rep="n/a", float_format="%.6g")


def load_table(path: str | Path, **options) -> "pd.DataFrame":
    """Read a table written as tab-separated (``.tsv``) or comma-separated (``.csv``) values.

    ``options`` as ``pandas.read_csv`` has them.
    """
    import pandas as pd

    path = Path(path)
    if (ending := path.suffix.lower()) not in SEPARATORS:
        raise GibletError(f"{path}: tables are .tsv or .csv, not {path.suffix or 'without ending'}")
    options = {"sep": SEPARATORS[ending], "keep_default_na": False} | options
    if b"\0" in check_file(path).read_bytes():  # no netCDF text could hold it
        raise GibletError(f"{path}: not text in UTF-8: it has a NUL in it")
    try:
        return pd.read_csv(path, na_values=["n/a", ""], **options)
    except (ValueError, OverflowError) as error:  # also of characters that are not UTF-8
        raise GibletError(f"{path}: not a readable table ({error})") from error


def gather_tables(folder: str | Path) -> "pd.DataFrame":
    """All ``.tsv`` tables in a folder, by name, as one; written to ``folder.tsv`` beside it."""
    import pandas as pd

    folder = Path(folder)
    table = pd.concat([load_table(p) for p in sorted(folder.glob("[!.]*.tsv"))], ignore_index=True)
    save_table(table, folder.with_suffix(".tsv"))
    return table


def save_json(content: dict, path: str | Path) -> None:
    """Write a JSON file, keys in order."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def load_json(path: str | Path) -> dict:
    """Read a JSON file that holds one object, ``{...}``."""
    check_file(path)
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise GibletError(f"{path}: not valid JSON ({error})") from error
    return _keyed(content, path)


def load_yaml(path: str | Path) -> dict:
    """Read a YAML file of settings."""
    import yaml

    check_file(path)
    try:
        content = parse_yaml(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError, OverflowError) as error:
        raise GibletError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from error
    return _keyed({} if content is None else content, path)


def _keyed(content: object, path: str | Path) -> dict:
    if not isinstance(content, dict):
        raise GibletError(f"{path}: needs keys and values, holds a {type(content).__name__}")
    return content
