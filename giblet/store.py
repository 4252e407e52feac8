"""Files of arrays and tables: labelled, with their history, never half written."""

import errno
import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from giblet.checks import GibletError

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary name beside ``path`` to write to; renamed to it only if all goes well."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        with _blaming(path, temporary):
            yield temporary
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """A temporary folder to fill; it takes the place of ``path`` only if all goes well."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.mkdir()
    try:
        with _blaming(path, temporary):
            yield temporary
            shutil.rmtree(path, ignore_errors=True)
            os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _blaming(path: Path, temporary: Path) -> Iterator[None]:
    """An OSError names ``path`` where it names nothing, or the temporary place.

    HDF5 and libsndfile tell of one as a RuntimeError.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None or str(error.filename).startswith(str(temporary)):
            error.filename, error.filename2 = str(path), None
        raise
    except RuntimeError as error:
        told = re.search(r"\berrno = (\d+)", str(error))
        if told is None and type(error).__name__ != "LibsndfileError":
            raise
        code = int(told[1]) if told else errno.EIO
        raise OSError(code, os.strerror(code), str(path)) from error


def _check_room(path: Path, n_bytes: int) -> None:
    """OSError where the disk has no room: HDF5 would break off, and the process die with it."""
    if shutil.disk_usage(Path(path).parent).free < n_bytes:
        raise OSError(errno.ENOSPC, f"no space left on device ({n_bytes:,} bytes)", str(path))


SEPARATORS = {".tsv": "\t", ".csv": ","}  # of tables


def fingerprint(*paths: str | Path) -> str:
    """SHA-256 over the contents of files, in order; folders count by their files, sorted."""
    digest = hashlib.sha256()
    for path in map(Path, paths):
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            with open(file, "rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]


def save_arrays(arrays: "xr.Dataset", path: str | Path) -> None:
    """Write an array set as one netCDF file, with giblet's version in its attributes.

    Attributes that netCDF cannot hold (dict, None) are written as JSON.
    """
    with replacing(path) as temporary:
        _to_netcdf(arrays, temporary, mode="w")


def append_arrays(arrays: "xr.Dataset", path: str | Path) -> None:
    """As `save_arrays`, into a netCDF file that holds other variables, in its place."""
    _to_netcdf(arrays, path, mode="a")


def _to_netcdf(arrays: "xr.Dataset", path: str | Path, mode: str) -> None:
    attrs = {key: _plain(value) for key, value in arrays.attrs.items()}
    arrays = arrays.assign_attrs(attrs | {"giblet_version": version("giblet")})
    _check_room(path, arrays.nbytes)
    arrays.to_netcdf(path, mode=mode, engine="h5netcdf")


@contextmanager
def new_variable(path: Path, name: str, sizes: dict[str, int], chunks: tuple[int, ...]) -> Iterator:
    """A float32 variable of a new netCDF file, to be filled slice by slice; ``sizes`` by dim."""
    import h5netcdf

    _check_room(path, 4 * math.prod(sizes.values()))
    with h5netcdf.File(path, "w") as file:
        file.dimensions = sizes
        options = {"dtype": np.float32, "fillvalue": np.nan}
        yield file.create_variable(name, tuple(sizes), chunks=chunks, **options)


def _plain(value):
    """An attribute as netCDF can hold it."""
    value = value.item() if isinstance(value, np.generic) else value
    holds = isinstance(value, str | int | float) and not isinstance(value, bool)
    return value if holds else json.dumps(value)


def load_arrays(path: str | Path) -> "xr.Dataset":
    """Read an array set into memory."""
    with open_arrays(path) as arrays:
        try:
            return arrays.load()
        except Exception as error:
            raise GibletError(f"{path}: not a readable netCDF file ({error})") from error


@contextmanager
def open_arrays(path: str | Path) -> Iterator["xr.Dataset"]:
    """An array set whose values are read when they are sliced, while the context lasts.

    For readers that go block by block: ``arrays["bold"][:, start:stop].to_numpy()``. Raises
    GibletError as `load_arrays` does.
    """
    import xarray as xr

    try:
        arrays = xr.open_dataset(path, engine="h5netcdf", cache=False)
    except FileNotFoundError:
        raise GibletError(f"{path}: no such file") from None
    except Exception as error:
        raise GibletError(f"{path}: not a readable netCDF file ({error})") from error
    with arrays:
        yield arrays


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
    try:
        return pd.read_csv(path, na_values=["n/a", ""], **options)
    except FileNotFoundError:
        raise GibletError(f"{path}: no such file") from None
    except (ValueError, UnicodeDecodeError) as error:
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
    """Read a JSON file."""
    try:
        return json.loads(Path(path).read_text())
    except FileNotFoundError:
        raise GibletError(f"{path}: no such file") from None
    except ValueError as error:
        raise GibletError(f"{path}: not valid JSON ({error})") from error


def load_yaml(path: str | Path) -> dict:
    """Read a YAML file of settings."""
    import yaml

    try:
        return yaml.safe_load(Path(path).read_text()) or {}
    except FileNotFoundError:
        raise GibletError(f"{path}: no such file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise GibletError(f"{path}: not valid YAML ({str(error).splitlines()[0]})") from error
