"""Series that are not in an image of voxels: tables, surfaces, greyordinates; a row per volume."""

import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from giblet.brain.image_headers import BEGIN
from giblet.brain.images import open_image, reading_image
from giblet.brain.stored_range import is_int16
from giblet.brain.text_series import (
    index_question,
    numbers_rows,
    read_text_series,
    text_ending,
)
from giblet.errors import GibletError
from giblet.io.paths import check_file, check_own

_QUICK = 50_000_000  # bytes
_LONGEST_T_R = 50  # s
_NO_SERIES = (1008, 1009, 2002)  # NIfTI's intents of points, triangles and numbers of vertices


@dataclass(frozen=True)
class SeriesOptions:
    """How to read a file where its content does not say so; None: by its content.

    dataset : path in an HDF5 file
    header : whether the first row of a text file has names
    index_column : whether the first column of a table numbers the rows and is left out
    """

    dataset: str | None = None
    header: bool | None = None
    index_column: bool | None = None


class Series(NamedTuple):
    """``values`` (n_volumes, n_columns), not read yet where the format allows it; names of the
    columns ([]: none); the repetition time (s) of the header, None where it has none; the time (s)
    of the first volume by the header."""

    values: Any
    names: list[str]
    t_r: float | None = None
    begin: float = 0.0


@dataclass(frozen=True)
class SeriesRecording:
    """A run of BOLD in a table or surface; a `giblet.brain.recording.Recording`.

    ``series`` (n_volumes, n_names): of a file that is read whole; None: read for each pass.
    ``header_t_r``: the file's own repetition time (s), None where it has none.
    """

    path: Path
    n_volumes: int
    names: list[str]
    series: np.ndarray | None
    options: SeriesOptions = SeriesOptions()
    header_t_r: float | None = None
    warnings: tuple[str, ...] = ()
    is_int16: bool = False

    @classmethod
    def open(cls, path: Path, options: SeriesOptions | None = None) -> "SeriesRecording":
        options = options or SeriesOptions()
        series, names, t_r, begin = _opened(path, options)
        in_memory = series if type(series) is np.ndarray else None  # no memory map
        warnings = () if abs(begin) < 1e-3 else (BEGIN.format(path.name, begin),)
        scale = (getattr(series, name, None) for name in ("slope", "inter"))
        short = is_int16(series.dtype, *scale)
        return cls(path, series.shape[0], names, in_memory, options, t_r, warnings, short)

    @property
    def n_columns(self) -> int:
        return len(self.names)

    @property
    def is_quick(self) -> bool:
        return self.path.stat().st_size <= _QUICK

    @staticmethod
    def shared_columns(recordings: Sequence["SeriesRecording"]) -> "NamedColumns":
        """Those of the first, with a warning of names that are there twice.

        GibletError where another has other names.
        """
        first = recordings[0]
        for other in recordings[1:]:
            if other.names != first.names and not _same_names(other.names, first.names):
                missing = sorted(set(first.names) ^ set(other.names))
                example = f": {missing[0]} is in one of them" if missing else ""
                raise GibletError(
                    f"{other.path}: other columns than {first.path.name} "
                    f"({len(other.names)} and {len(first.names)}{example}); "
                    "parcels must be the same in every run"
                )
        kept = np.ones(len(first.names), dtype=bool)
        return NamedColumns(first.path, first.names, kept, _twice(first.path, first.names))

    def blocks(self, columns: "NamedColumns") -> Iterator[np.ndarray]:
        """One block: all volumes, (n_volumes, n_columns) float32; columns of one name are one."""
        series = self.series
        if series is None:
            series = read_series(self.path, self.options)[0]
        if self.names == columns.names:
            yield series[:, columns.kept]
        else:
            position = {name: n for n, name in enumerate(self.names)}
            yield series[:, [position[columns.names[n]] for n in np.flatnonzero(columns.kept)]]


def _twice(path: Path, names: list[str]) -> tuple[str, ...]:
    """A warning of ``names`` of which a file has several columns, if it has such."""
    if not (repeated := [name for name, n in Counter(names).items() if n > 1]):
        return ()
    some = ", ".join(repeated[:5]) + ", …" * (len(repeated) > 5)
    return (
        f"{path.name}: {len(repeated)} names stand above more than one column ({some}): each "
        "column is a parcel, but a region of that name is all of them together; rename them if "
        "they are different places",
    )


def _same_names(some: list[str], others: list[str]) -> bool:
    """Whether these are the same names, each once, in any order."""
    return len(set(some)) == len(some) == len(others) and set(some) == set(others)


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
    noun = "parcels"
    dtype = np.float32

    def __len__(self) -> int:
        return int(self.kept.sum())

    def keep(self, kept: np.ndarray) -> "NamedColumns":
        """Those that ``kept`` (n_columns,) bool selects."""
        of_file = self.kept.copy()
        of_file[self.kept] = kept
        return replace(self, kept=of_file)

    def parcels(self, parcellation: str | Path) -> "NamedColumns":
        """Raises GibletError: there are no voxels."""
        raise GibletError(f"{parcellation}: parcels are made of voxels; {self.path.name} has none")

    def coordinates(self) -> xr.Dataset:
        """Names along ``parcel``."""
        return xr.Dataset(coords={"parcel": [self.names[n] for n in np.flatnonzero(self.kept)]})


def read_series(path: Path, options: SeriesOptions | None = None) -> tuple[np.ndarray, list[str]]:
    """A table, surface or greyordinates: ((n_volumes, n_columns) float32, names of columns).

    Raises GibletError for a file that is missing, unreadable or without numbers.
    """
    series, names = open_series(path, options)
    return _numbers(path, lambda: np.asarray(series, dtype=np.float32)), names


def open_series(path: Path, options: SeriesOptions | None = None) -> tuple[Any, list[str]]:
    """As `read_series`, but values stay on the disk where the format allows it (.npy, .h5, CIFTI).

    The first is an array, or can be converted into one; ``shape`` is (n_volumes, n_columns).
    """
    return _opened(path, options or SeriesOptions())[:2]


def _opened(path: Path, options: SeriesOptions) -> Series:
    check_file(path)
    name = path.name.lower()
    read = next((FORMATS[ending] for ending in FORMATS if name.endswith(ending)), _text)
    if options.dataset is not None and read is not _hdf5:
        raise GibletError(f"{path}: has no dataset {options.dataset}: it is no HDF5 file (.h5)")
    if options.header is not None and read is not _text:
        raise GibletError(f"{path}: has no header: the column header is for text files")
    if options.index_column and read not in (_text, _numpy, _hdf5):
        raise GibletError(
            f"{path}: has no index: the column index_column is for text files, .npy and .h5"
        )
    values, names, t_r, begin = read(path, options)
    if len(values.shape) != 2 or 0 in values.shape or values.dtype.kind not in "fiu":
        raise GibletError(f"{path}: needs numbers (volumes × parcels), holds {values.shape}")
    numbered = (sys.intern(str(n)) for n in range(values.shape[1]))  # one copy for all files
    return Series(values, names or list(numbered), t_r, begin)


def read_confound_series(
    path: Path, n_rows: Sequence[int], wanted: Sequence[str] = ()
) -> tuple[np.ndarray, list[str]]:
    """As `read_series`, of a table of confounds that has one of ``n_rows`` numbers of volumes.

    Without an unnamed column of row numbers; a column that rises evenly may be a confound. With
    names ``wanted``, of a text file only these.
    """
    if text_ending(check_file(path)) is None:
        return read_series(path, SeriesOptions(index_column=False))
    values, names = read_text_series(path, n_rows=n_rows, wanted=wanted)
    return values, names or list(map(str, range(values.shape[1])))


def is_series(path: Path) -> bool:
    """Whether a file's name has an ending of `FORMATS`; any other may be a table, too."""
    return path.name.lower().endswith(tuple(FORMATS))


def _numbers(path: Path, read) -> Any:
    """The result of ``read()``; its errors become one GibletError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # numpy's, of a file without numbers
            return read()
    except (OSError, ValueError, EOFError, KeyError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise GibletError(f"{path}: no readable numbers in it ({reason})") from None


def _array(path: Path, values: Any, options: SeriesOptions) -> Series:
    """An array from a file, without its first column where that has the numbers of rows."""
    if options.index_column:
        return Series(_numbers(path, lambda: np.asarray(values[:, 1:], dtype=np.float32)), [])
    if options.index_column is None and len(values.shape) == 2 and values.shape[1] > 1:
        first = _numbers(path, lambda: np.asarray(values[:, 0]))
        if first.dtype.kind in "fiu" and numbers_rows(first) and first[1] - first[0] == 1:
            raise GibletError(f"{path}: {index_question(first)}")
    return Series(values, [])


def _numpy(path: Path, options: SeriesOptions) -> Series:
    values = _numbers(path, lambda: np.lib.format.open_memmap(path, mode="r"))
    return _array(path, values, options)


def _hdf5(path: Path, options: SeriesOptions) -> Series:
    return _array(path, _numbers(path, lambda: _dataset(path, options.dataset)), options)


def _dataset(path: Path, name: str | None):
    """The two-dimensional array ``name`` in an HDF5 file, or the only one; not read yet."""
    import h5py

    datasets, file = {}, h5py.File(path)  # it closes with the last that is in it
    check_own(file, path)

    def gather(key: str, item) -> None:
        if hasattr(item, "shape"):
            datasets[key] = item

    file.visititems(gather)
    tables = {key: item for key, item in datasets.items() if item.ndim == 2}
    chosen = list(tables) if name is None else [key for key in tables if key == name.strip("/")]
    if len(chosen) != 1:
        listed = [f"{key} {item.shape}" for key, item in (tables or datasets).items()]
        more = f" and {len(listed) - 8} more" if len(listed) > 8 else ""
        advice = "name one in a column dataset of the table of runs"
        what = "tables in it" if name is None else f"tables in it, none is {name}"
        raise ValueError(f"{len(tables)} {what}: {', '.join(listed[:8])}{more}; {advice}")
    if "MATLAB_class" in tables[chosen[0]].attrs:
        raise ValueError("MATLAB wrote it, rows as columns; save it as .csv (writematrix)")
    return tables[chosen[0]]


def _text(path: Path, options: SeriesOptions) -> Series:
    if text_ending(path) is None:
        raise GibletError(
            f"{path}: cannot be read as a table; save it as .tsv, .csv, .txt, .npy or .h5, with a "
            "row per volume"
        )
    return Series(*read_text_series(path, options.header, options.index_column))


def _surface(path: Path, _options: SeriesOptions) -> Series:
    return read_surface(path)


def read_surface(path: Path) -> Series:
    """A GIfTI file: an array per volume, or one of (n_vertices, n_volumes).

    GibletError for an unreadable file, and for one that holds no series.
    """
    image = open_image(path)
    with reading_image(path):
        arrays = [array.data for array in image.darrays]
        others = any(array.intent in _NO_SERIES for array in image.darrays)
        if not arrays or others or any(a.shape != arrays[0].shape for a in arrays):
            raise GibletError(f"{path}: holds no series, but {_shapes(arrays)}")
        if len(arrays) == 1 and arrays[0].ndim == 2:
            values = np.ascontiguousarray(arrays[0].T, dtype=np.float32)
        else:
            values = np.stack(arrays, dtype=np.float32, casting="unsafe")
        return Series(values, [], _surface_t_r(image))


def _shapes(arrays: list[np.ndarray]) -> str:
    return "arrays of " + ", ".join(str(array.shape) for array in arrays[:3]) if arrays else "none"


def _surface_t_r(image) -> float | None:
    """``TimeStep`` (s), which Workbench writes in s and FreeSurfer in ms."""
    for holder in (image, *image.darrays[:1]):
        try:
            step = float(holder.meta["TimeStep"])
        except (KeyError, TypeError, ValueError):
            continue
        return step / 1000 if step > _LONGEST_T_R else step
    return None


def _dense(path: Path, _options: SeriesOptions) -> Series:
    """CIFTI series of greyordinates, which have no names."""
    values, _columns, t_r, begin = _cifti(path)
    return Series(values, [], t_r, begin)


def _parcellated(path: Path, _options: SeriesOptions) -> Series:
    """CIFTI series of parcels, and their names."""
    values, parcels, t_r, begin = _cifti(path)
    return Series(values, list(map(str, getattr(parcels, "name", []))), t_r, begin)


def read_greyordinates(path: Path) -> tuple[Series, Any]:
    """A dense CIFTI series, its values not read yet, and nibabel's BrainModelAxis of its columns.

    GibletError for an unreadable file, one that holds no series, and one of parcels.
    """
    values, columns, t_r, begin = _cifti(path)
    if not hasattr(columns, "nvertices") or not hasattr(columns, "vertex"):
        raise GibletError(f"{path}: holds parcels; name it in a table of runs")
    return Series(values, [], t_r, begin), columns


def _cifti(path: Path) -> tuple[Any, Any, float | None, float]:
    """Series (n_volumes, n_columns), not read yet; the axis of its columns; its step and first
    time (s)."""
    from nibabel.cifti2 import SeriesAxis

    image = open_image(path)
    with reading_image(path):
        axes = [image.header.get_axis(n) for n in range(image.ndim)]
        rows, columns = axes[0], axes[-1]
        if len(axes) != 2 or not isinstance(rows, SeriesAxis) or isinstance(columns, SeriesAxis):
            turned = isinstance(columns, SeriesAxis)
            raise GibletError(
                f"{path}: its rows are no volumes"
                + ("; turn it (wb_command -cifti-transpose)" if turned else ", it is no series")
            )
        if str(rows.unit).upper() != "SECOND":
            return image.dataobj, columns, None, 0.0
        return image.dataobj, columns, float(rows.step), float(rows.start)


FORMATS: dict[str, Callable[[Path, SeriesOptions], Series]] = {
    ".dtseries.nii": _dense,
    ".ptseries.nii": _parcellated,
    ".dscalar.nii": _dense,
    ".dlabel.nii": _dense,
    ".pscalar.nii": _parcellated,
    ".gii": _surface,
    ".gii.gz": _surface,
    ".npy": _numpy,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".hf5": _hdf5,
    ".txt": _text,
}  # by the ending of the file's name; all others are read as tables
