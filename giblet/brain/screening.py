"""The first reading of the scans: which subjects and columns vary and will be read."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from giblet.brain.recording import Columns, shared_columns
from giblet.brain.runs import BoldRun
from giblet.errors import GibletError
from giblet.log import progress

CONSTANT = "{}: constant in some run, left out"  # a subject


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
    varying = [varying_columns(run, shared) for run in progress(runs, "looking at scans", "runs")]
    constant = constant_subjects(runs, [bool(varies.any()) for varies in varying], source)
    warnings = [CONSTANT.format(name) for name in constant]
    left = [n for n, run in enumerate(runs) if run.subject not in constant]
    runs, kept = [runs[n] for n in left], np.all([varying[n] for n in left], axis=0)
    if not kept.any():
        raise GibletError(f"{source}: every voxel is constant in some run; look at the images")
    warnings += [warning for run in runs for warning in run.warnings]
    if not kept.all():
        warnings.append(f"{(~kept).sum()} voxels, constant in some run, were left out")
    varied = shared.keep(kept)
    columns = varied if parcellation is None else varied.parcels(Path(parcellation))
    return Scans(runs, columns, source, [*warnings, *columns.warnings])


def varying_columns(run: BoldRun, columns: Columns) -> np.ndarray:
    """Mask of columns that are not constant in the steady volumes, (n_columns,) bool.

    Raises GibletError for NaN and infinite values.
    """
    low, high = np.inf, -np.inf
    for block in run.blocks(columns):
        low, high = np.minimum(low, block.min(axis=0)), np.maximum(high, block.max(axis=0))
    broken = ~(np.isfinite(low) & np.isfinite(high))  # NaN stays NaN
    if broken.any():
        raise GibletError(
            f"{run.path}: NaN in the BOLD of {broken.sum()} voxels; preprocess it again"
        )
    return np.greater(high, low)


def constant_subjects(runs: list[BoldRun], varies: list[bool], source: Path) -> list[str]:
    """Subjects with a run in which nothing ``varies`` (one for each of ``runs``).

    Raises GibletError if that is everybody.
    """
    constant = {run.subject for run, any_does in zip(runs, varies, strict=True) if not any_does}
    if constant == {run.subject for run in runs}:
        raise GibletError(f"{source}: every voxel of some run is constant; look at the images")
    return sorted(constant)
