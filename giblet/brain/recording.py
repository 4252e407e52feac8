"""One run of BOLD in a file of any kind: the interface, and the choice of the kind.

Images of voxels are in `giblet.brain.images`; tables, surfaces and greyordinates of a table of runs
are in `giblet.brain.series`, which lists their formats; those of BIDS in `giblet.brain.surfaces`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import xarray as xr

from giblet.brain.images import ImageRecording, open_image
from giblet.brain.series import SeriesOptions, SeriesRecording, is_series
from giblet.errors import GibletError

IMAGES = (".nii.gz", ".nii")


class Columns(Protocol):
    """The columns of ``bold`` that are read: voxels, parcels or named columns.

    dimension : theirs in files, "voxel" or "parcel"
    noun : what messages call them: voxels, vertices, parcels
    dtype : of the blocks that are read
    warnings : of what was left out or resampled
    """

    @property
    def dimension(self) -> str: ...

    @property
    def noun(self) -> str: ...

    @property
    def dtype(self) -> type: ...

    @property
    def warnings(self) -> Sequence[str]: ...

    def __len__(self) -> int: ...

    def coordinates(self) -> xr.Dataset:
        """Names or coordinates (mm) of the columns, as they are saved with ``bold``."""


class FileColumns(Columns, Protocol):
    """Columns that the files themselves have, of which some can be selected or averaged."""

    def keep(self, kept: np.ndarray) -> "FileColumns":
        """Those that ``kept`` (n_columns,) bool selects."""

    def parcels(self, parcellation: str | Path) -> Columns:
        """Means over the labels of an atlas, a file or a name; GibletError where that cannot be."""


class Recording(Protocol):
    """The series of one run, of which no values are read before `blocks`.

    n_volumes, n_columns : all that the file has; of images, voxels of the grid
    is_quick : whether all of it is read in about a second
    header_t_r : TR (s) that its header states, None where it has none
    warnings : of what the header lacks
    is_int16 : whether values are stored as 16-bit integers, unscaled
    """

    @property
    def path(self) -> Path: ...

    @property
    def n_volumes(self) -> int: ...

    @property
    def n_columns(self) -> int: ...

    @property
    def is_quick(self) -> bool: ...

    @property
    def is_int16(self) -> bool: ...

    @property
    def header_t_r(self) -> float | None: ...

    @property
    def warnings(self) -> Sequence[str]: ...

    @staticmethod
    def shared_columns(recordings: Sequence[Any]) -> FileColumns:
        """The columns that all ``recordings`` of this kind have; GibletError where they differ."""

    def blocks(self, columns: Any) -> Iterator[np.ndarray]:
        """All volumes in order, (n, n_columns) at a time; GibletError where the file breaks off.

        ``columns`` come from `shared_columns` of the same kind.
        """


def open_recording(
    path: Path, mask: Path | None = None, options: SeriesOptions | None = None
) -> Recording:
    """Open a file of BOLD; an image of voxels needs the file of its brain ``mask``.

    ``options`` are for all but images of voxels.

    Raises GibletError without one, for options of an image, and for a file that is missing,
    unreadable or of other dimensions.
    """
    if mask is not None:
        if given := [name for name, value in vars(options or SeriesOptions()).items() if value]:
            raise GibletError(
                f"{path}: with a mask it is an image of voxels, but {', '.join(given)} in the "
                "table of runs are for other files; leave them empty"
            )
        return ImageRecording.open(path, mask)
    if path.name.endswith(IMAGES) and not is_series(path):
        open_image(path)  # it may be none, or have a better cure
        raise GibletError(f"{path}: an image of voxels needs a mask: name it in a column mask")
    return SeriesRecording.open(path, options)


def shared_columns(recordings: Sequence[Recording], source: Path) -> FileColumns:
    """The columns that all recordings of a data set have.

    Raises
    ------
    GibletError
        Images beside tables, tables of different columns, different grids, an empty common mask.
    """
    if len({type(recording) for recording in recordings}) > 1:
        raise GibletError(f"{source}: images of voxels beside tables; load them apart")
    return recordings[0].shared_columns(recordings)
