"""The first reading of the scans: which subjects and columns vary and will be read."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from giblet.brain.atlases import template_warnings
from giblet.brain.bids_files import parse_name
from giblet.brain.recording import Columns, shared_columns
from giblet.brain.runs import BoldRun
from giblet.brain.stored_range import LIMITS, StoredRange
from giblet.errors import GibletError
from giblet.log import progress

CONSTANT = "{}: constant in some run, left out"  # a subject
_NAMED = 5  # columns in a message
_MANY = 10  # columns that are not all equal in two volumes by chance
_MARKS = np.float32([-99999, -9999, -999, 1e20, 9.96921e36])  # of missing values; netCDF's last


@dataclass(frozen=True)
class Scans:
    """Selection that is read: ``columns`` of ``runs``, from which constant ones are left out."""

    runs: list[BoldRun]
    columns: Columns
    source: Path
    warnings: list[str]

    @property
    def sizes(self) -> dict[str, int]:
        """Of ``bold``, by dimension."""
        n_volumes = sum(run.n_volumes for run in self.runs)
        return {"volume": n_volumes, self.columns.dimension: len(self.columns)}


def survey(runs: list[BoldRun], source: Path, parcellation: str | Path | None = None) -> Scans:
    """Read every run once, and leave out constant subjects and columns.

    Raises
    ------
    GibletError
        Images beside tables, tables of different columns, different grids, an empty common mask,
        an unreadable file, NaN in the BOLD, nothing that varies; a parcellation of tables, or one
        outside the mask.
    """
    shared = shared_columns([run.recording for run in runs], source)
    looked_at = progress(runs, "looking at scans", "runs")
    varying, copies, of_ranges = zip(
        *(varying_columns(run, shared) for run in looked_at), strict=True
    )
    constant = constant_subjects(runs, [bool(varies.any()) for varies in varying], source)
    warnings = [CONSTANT.format(name) for name in constant]
    left = [n for n, run in enumerate(runs) if run.subject not in constant]
    runs, kept = [runs[n] for n in left], np.all([varying[n] for n in left], axis=0)
    if not kept.any():
        raise GibletError(f"{source}: every voxel is constant in some run; look at the images")
    warnings += [warning for run in runs for warning in run.warnings]
    for n, run in zip(left, runs, strict=True):
        warnings += _copied(run, copies[n], len(shared)) + of_ranges[n] + few_degrees(run)
    if not kept.all():
        why = "constant" if shared.noun == "voxels" else "constant or n/a"
        warnings.append(f"{listed(~kept, shared)}, {why} in some run, were left out")
    varied = shared.keep(kept)
    columns = varied if parcellation is None else varied.parcels(parcellation)
    if parcellation is not None:
        space = parse_name(runs[0].path).entities.get("space")
        warnings += template_warnings(parcellation, space)
    return Scans(runs, columns, source, [*warnings, *columns.warnings])


def varying_columns(run: BoldRun, columns: Columns) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Masks of columns that are not constant in the steady volumes, (n_columns,) bool, and of
    volumes that are copies of the one before, (n_volumes,) bool; warnings of 16-bit integers that
    were too small, and of values that mark missing ones elsewhere.

    A column without any value (NaN in every volume) does not vary either. Raises GibletError for
    columns with some NaN, and for infinite values.
    """
    low, high = np.inf, -np.inf
    empty = np.ones(len(columns), dtype=bool)
    copies, before = [], np.full(len(columns), np.nan)
    stored = StoredRange(len(columns)) if run.recording.is_int16 else None
    for block in run.blocks(columns):
        copies += [_is_copy(*pair) for pair in pairwise([before, *block])]
        before = block[-1]
        lowest = block.min(axis=0)  # NaN where there is one
        highest = block.max(axis=0)
        if stored is not None:
            stored.add(block, lowest, highest)
        low, high = np.minimum(low, lowest), np.maximum(high, highest)
        empty &= np.isnan(lowest)
        if empty.any():
            empty[empty] = np.isnan(block[:, empty]).all(axis=0)
    broken = ~(np.isfinite(low) & np.isfinite(high))
    if (broken & ~empty).any():
        raise GibletError(
            f"{run.path}: NaN in the BOLD of {broken.sum()} voxels or parcels"
            f"{_names(broken & ~empty, columns)}; preprocess it again, with censored volumes "
            "interpolated if it has such"
        )
    of_range = [] if stored is None else _range_warnings(run, columns, stored, low, high)
    of_range += _mark_warnings(run, columns, low, high)
    return np.greater(high, low), np.array(copies), of_range


def _range_warnings(run: BoldRun, columns: Columns, stored: StoredRange, low, high) -> list[str]:
    """Of columns with the least and greatest values ``low`` and ``high`` (n_columns,)."""
    name, warnings = f"{run.subject} {run.name}", []
    wrapped = stored.wrapped(low, high)
    cut_off = stored.cut_off() & ~wrapped
    advice = "make the file again as float32"
    if wrapped.any():
        warnings.append(
            f"{name}: {listed(wrapped, columns)} jump by more than {LIMITS.max}: values above it "
            f"were stored as negative 16-bit integers; {advice}"
        )
    if cut_off.any():
        warnings.append(
            f"{name}: {listed(cut_off, columns)} are at a limit of 16-bit integers "
            f"({LIMITS.min} to {LIMITS.max}) in {int(stored.n_at_limit[cut_off].max())} volumes or "
            f"fewer: cut off there; {advice}"
        )
    return warnings


def _mark_warnings(run: BoldRun, columns: Columns, low, high) -> list[str]:
    """A warning of each mark of missing values that is a column's least or greatest value."""
    marked = [(mark, (low == mark) | (high == mark)) for mark in _MARKS]
    return [
        f"{run.subject} {run.name}: {listed(which, columns)} hold {mark:g} in some volume, which "
        "marks missing values in many files, and is read as BOLD. If it is one: leave these "
        "columns out, or interpolate those volumes"
        for mark, which in marked
        if which.any()
    ]


def _is_copy(before: np.ndarray, volume: np.ndarray) -> bool:
    """Whether two volumes (n_columns,) are equal; few differ, so some columns come first."""
    some = slice(None, None, max(1, len(volume) // 50))
    return np.array_equal(before[some], volume[some]) and np.array_equal(before, volume)


def _copied(run: BoldRun, copies: np.ndarray, n_columns: int) -> list[str]:
    """A warning where volumes of the film are ``copies`` (n_volumes,) bool of the one before.

    Of a few columns with whole numbers two volumes may be equal by chance.
    """
    which = np.flatnonzero(copies & run.in_film)
    if len(which) < (1 if n_columns >= _MANY else 3):
        return []
    return [
        f"{run.subject} {run.name}: {len(which)} volumes of the film are copies of the one before "
        f"(the first: {which[0]}): was the scan stopped? Shorten the duration to what was scanned"
    ]


def few_degrees(run: BoldRun) -> list[str]:
    """A warning of confounds that leave little of the BOLD, by their number alone."""
    n_kept = run.n_volumes if run.kept is None else int(run.kept.sum())
    n_confounds = run.nuisance.shape[1]
    if n_confounds <= n_kept / 2:
        return []
    return [
        f"{run.subject} {run.name}: {n_confounds} confounds of {n_kept} volumes: regressing them "
        "out leaves less than half of the BOLD's variance, whatever it is; choose some "
        "(scan.confounds)"
    ]


def listed(chosen: np.ndarray, columns: Columns) -> str:
    """ "2 voxels", or "2 parcels (A, B)" with the first names, of ``chosen`` (n_columns,) bool."""
    if columns.dimension == "voxel":
        return f"{chosen.sum()} {columns.noun}"
    return f"{chosen.sum()} parcels{_names(chosen, columns)}"


def _names(chosen: np.ndarray, columns: Columns) -> str:
    names = [] if columns.dimension == "voxel" else columns.coordinates()["parcel"].values[chosen]
    some = [str(name) for name in names[:_NAMED]] + ["…"] * (len(names) > _NAMED)
    return f" ({', '.join(some)})" if some else ""


def constant_subjects(runs: list[BoldRun], varies: list[bool], source: Path) -> list[str]:
    """Subjects with a run in which nothing ``varies`` (one for each of ``runs``).

    Raises GibletError if that is everybody.
    """
    constant = {run.subject for run, any_does in zip(runs, varies, strict=True) if not any_does}
    if constant == {run.subject for run in runs}:
        raise GibletError(f"{source}: every voxel of some run is constant; look at the images")
    return sorted(constant)
