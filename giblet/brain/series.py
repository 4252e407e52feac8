"""Series that are no image of voxels: tables, surfaces, greyordinates; a row per volume."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from giblet.brain.images import open_image, reading_image
from giblet.errors import GibletError
from giblet.io.paths import check_file, check_own
from giblet.io.tables import load_table


def read_series(path: Path) -> tuple[np.ndarray, list[str]]:
    """A table, surface or greyordinates: ((n_volumes, n_columns) float32, names of columns)."""
    series, names = open_series(path)
    return _plain(path, lambda: np.asarray(series, dtype=np.float32)), names


def open_series(path: Path) -> tuple[Any, list[str]]:
    """As `read_series`, but what can be left on the disk (.npy, .h5, CIFTI) is.

    An array, or what gives one; ``shape`` is (n_volumes, n_columns).
    """
    check_file(path)
    if path.name.endswith((".dtseries.nii", ".ptseries.nii", ".gii")):
        values, names = _grayordinates(path)
    elif path.suffix == ".npy":
        values, names = _plain(path, lambda: np.lib.format.open_memmap(path, mode="r")), []
    elif path.suffix in (".h5", ".hdf5"):
        values, names = _plain(path, lambda: _only_dataset(path)), []
    elif path.suffix == ".txt":
        values, names = _plain(path, lambda: np.loadtxt(path, dtype=np.float32, ndmin=2)), []
    else:
        values, names = _table(path)
    if len(values.shape) != 2 or 0 in values.shape or values.dtype.kind not in "fiu":
        raise GibletError(f"{path}: needs numbers (volumes × parcels), holds {values.shape}")
    return values, names or [str(n) for n in range(values.shape[1])]


def _plain(path: Path, read) -> np.ndarray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # numpy's, of a file without numbers
            return read()
    except (OSError, ValueError, EOFError, KeyError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise GibletError(f"{path}: no readable numbers in it ({reason})") from None


def _only_dataset(path: Path):
    """The one two-dimensional array in an HDF5 file, not read yet."""
    import h5py

    found, file = [], h5py.File(path)  # it closes with the last that is in it
    check_own(file, path)
    file.visititems(lambda name, item: found.append(item) if hasattr(item, "shape") else None)
    tables = [item for item in found if item.ndim == 2]
    if len(tables) != 1:
        raise ValueError(f"{len(tables)} tables in it; one is needed")
    return tables[0]


def _table(path: Path) -> tuple[np.ndarray, list[str]]:
    """A .tsv or .csv, with names in its first line or without."""
    table = load_table(path, header=None, dtype=str)
    header = pd.to_numeric(table.iloc[0], errors="coerce").isna().all()
    names = table.iloc[0].tolist() if header else list(map(str, table.columns))
    table = table.iloc[int(header) :].set_axis(names, axis="columns")
    values = table.apply(pd.to_numeric, errors="coerce")
    words = values.isna() & table.notna()
    if words.any(axis=None):
        raise GibletError(f"{path}: column {words.any().idxmax()} holds words, not numbers")
    return values.to_numpy(np.float32), list(map(str, names))


def _grayordinates(path: Path) -> tuple[Any, list[str]]:
    """GIfTI or CIFTI series, (n_volumes, n_vertices); names of parcels where it has such."""
    image = open_image(path)
    with reading_image(path):
        if path.name.endswith(".gii"):
            return np.stack([array.data for array in image.darrays]).astype(np.float32), []
        axis = image.header.get_axis(1)
        names = list(map(str, getattr(axis, "name", []))) if ".ptseries." in path.name else []
        return image.dataobj, names
