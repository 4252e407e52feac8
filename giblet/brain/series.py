"""Series that are not in an image of voxels: tables, surfaces, greyordinates; a row per volume."""

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from giblet.brain.images import open_image, reading_image
from giblet.errors import GibletError
from giblet.io.paths import check_file, check_own
from giblet.io.tables import load_table

_QUICK = 50_000_000  # bytes


@dataclass(frozen=True)
class SeriesRecording:
    """A run of BOLD in a table or surface; a `giblet.brain.recording.Recording`.

    ``series`` (n_volumes, n_names): of a file that is read whole; None: read for each pass.
    """

    path: Path
    n_volumes: int
    names: list[str]
    series: np.ndarray | None
    header_t_r: float | None = None
    warnings: tuple[str, ...] = ()

    @classmethod
    def open(cls, path: Path) -> "SeriesRecording":
        series, names = open_series(path)
        in_memory = series if type(series) is np.ndarray else None  # no memory map
        return cls(path, series.shape[0], names, in_memory)

    @property
    def is_quick(self) -> bool:
        return self.path.stat().st_size <= _QUICK

    @staticmethod
    def shared_columns(recordings: Sequence["SeriesRecording"]) -> "NamedColumns":
        """Those of the first; GibletError where another has other names."""
        first = recordings[0]
        for other in recordings[1:]:
            if other.names != first.names:
                raise GibletError(
                    f"{other.path}: other columns than {first.path.name} "
                    f"({len(other.names)} and {len(first.names)}): "
                    "parcels must be the same in every run"
                )
        return NamedColumns(first.path, first.names, np.ones(len(first.names), dtype=bool))

    def blocks(self, columns: "NamedColumns") -> Iterator[np.ndarray]:
        """One block: all volumes, (n_volumes, n_columns) float32."""
        series = read_series(self.path)[0] if self.series is None else self.series
        yield series[:, columns.kept]


@dataclass(frozen=True)
class NamedColumns:
    """Columns of tables and surfaces: of ``names``, those that are ``kept`` (n_names,) bool.

    ``path``: the first file with these names.
    """

    path: Path
    names: list[str]
    kept: np.ndarray
    warnings: tuple[str, ...] = ()
    dimension = "parcel"
    dtype = np.float32

    def __len__(self) -> int:
        return int(self.kept.sum())

    def keep(self, kept: np.ndarray) -> "NamedColumns":
        """Those that ``kept`` (n_columns,) bool selects."""
        of_file = self.kept.copy()
        of_file[self.kept] = kept
        return replace(self, kept=of_file)

    def parcels(self, parcellation: Path) -> "NamedColumns":
        """Raises GibletError: there are no voxels."""
        raise GibletError(f"{parcellation}: parcels are made of voxels; {self.path.name} has none")

    def coordinates(self) -> xr.Dataset:
        """Names along ``parcel``."""
        return xr.Dataset(coords={"parcel": [self.names[n] for n in np.flatnonzero(self.kept)]})


def read_series(path: Path) -> tuple[np.ndarray, list[str]]:
    """A table, surface or greyordinates: ((n_volumes, n_columns) float32, names of columns).

    Raises GibletError for a file that is missing, unreadable or without numbers.
    """
    series, names = open_series(path)
    return _numbers(path, lambda: np.asarray(series, dtype=np.float32)), names


def open_series(path: Path) -> tuple[Any, list[str]]:
    """As `read_series`, but values stay on the disk where the format allows it (.npy, .h5, CIFTI).

    The first is an array, or can be converted into one; ``shape`` is (n_volumes, n_columns).
    """
    check_file(path)
    read = next((FORMATS[ending] for ending in FORMATS if path.name.endswith(ending)), _table)
    values, names = read(path)
    if len(values.shape) != 2 or 0 in values.shape or values.dtype.kind not in "fiu":
        raise GibletError(f"{path}: needs numbers (volumes × parcels), holds {values.shape}")
    numbered = (sys.intern(str(n)) for n in range(values.shape[1]))  # one copy for all files
    return values, names or list(numbered)


def is_series(path: Path) -> bool:
    """Whether a file's name has an ending of `FORMATS`; any other may be a table, too."""
    return path.name.endswith(tuple(FORMATS))


def _numbers(path: Path, read) -> Any:
    """The result of ``read()``; its errors become one GibletError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # numpy's, of a file without numbers
            return read()
    except (OSError, ValueError, EOFError, KeyError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise GibletError(f"{path}: no readable numbers in it ({reason})") from None


def _numpy(path: Path) -> tuple[Any, list[str]]:
    return _numbers(path, lambda: np.lib.format.open_memmap(path, mode="r")), []


def _hdf5(path: Path) -> tuple[Any, list[str]]:
    return _numbers(path, lambda: _only_dataset(path)), []


def _only_dataset(path: Path):
    """The one two-dimensional array in an HDF5 file, not read yet."""
    import h5py

    datasets, file = [], h5py.File(path)  # it closes with the last that is in it
    check_own(file, path)
    file.visititems(lambda name, item: datasets.append(item) if hasattr(item, "shape") else None)
    tables = [item for item in datasets if item.ndim == 2]
    if len(tables) != 1:
        raise ValueError(f"{len(tables)} tables in it; one is needed")
    return tables[0]


def _text(path: Path) -> tuple[np.ndarray, list[str]]:
    return _numbers(path, lambda: np.loadtxt(path, dtype=np.float32, ndmin=2)), []


def _table(path: Path) -> tuple[np.ndarray, list[str]]:
    """A .tsv or .csv, with names in its first line or without."""
    table = load_table(path, header=None, dtype=str)
    header = pd.to_numeric(table.iloc[0], errors="coerce").isna().all()
    names = table.iloc[0].tolist() if header else list(map(str, table.columns))
    table = table.iloc[int(header) :].set_axis(names, axis="columns")
    values = table.apply(pd.to_numeric, errors="coerce")
    not_numbers = values.isna() & table.notna()
    if not_numbers.any(axis=None):
        raise GibletError(f"{path}: column {not_numbers.any().idxmax()} holds words, not numbers")
    return values.to_numpy(np.float32), list(map(str, names))


def _surface(path: Path) -> tuple[np.ndarray, list[str]]:
    """A GIfTI file, one array per volume: (n_volumes, n_vertices)."""
    image = open_image(path)
    with reading_image(path):
        return np.stack([array.data for array in image.darrays]).astype(np.float32), []


def _dense(path: Path) -> tuple[Any, list[str]]:
    """CIFTI series of greyordinates, which have no names."""
    return _cifti(path)[0], []


def _parcellated(path: Path) -> tuple[Any, list[str]]:
    """CIFTI series of parcels, and their names."""
    values, parcels = _cifti(path)
    return values, list(map(str, getattr(parcels, "name", [])))


def _cifti(path: Path) -> tuple[Any, Any]:
    """Series (n_volumes, n_columns), not read yet; the axis that describes its columns."""
    image = open_image(path)
    with reading_image(path):
        return image.dataobj, image.header.get_axis(1)


FORMATS: dict[str, Callable[[Path], tuple[Any, list[str]]]] = {
    ".dtseries.nii": _dense,
    ".ptseries.nii": _parcellated,
    ".gii": _surface,
    ".npy": _numpy,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".txt": _text,
}  # by the ending of the file's name; all others are read as tables
