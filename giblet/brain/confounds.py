"""Confounds tables of fMRIPrep: the columns to regress out, and their missing values."""

import inspect
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from giblet.brain.runs import displacement
from giblet.errors import GibletError
from giblet.io.paths import check_file
from giblet.io.tables import load_table

_MOST_LEADING = 2  # rows: a second derivative has as many n/a


def fill_leading(values: np.ndarray, path: Path, names: Sequence[str]) -> np.ndarray:
    """Confounds (n_volumes, n_names) float, n/a (NaN) of the first two rows filled from below.

    fMRIPrep has no derivative and no displacement of a first volume; nilearn fills them alike.

    Raises
    ------
    GibletError
        Any other value is n/a or infinite; the message names the file and the column.

    >>> fill_leading(np.array([[np.nan], [0.5], [0.2]]), Path("x.tsv"), ["csf"]).ravel().tolist()
    [0.5, 0.5, 0.2]
    """
    values = np.array(values, dtype=float).reshape(len(values), len(names))
    finite = np.isfinite(values)
    first = np.argmax(finite, axis=0)  # 0 in a column without any, too
    for column in np.flatnonzero((first > 0) & (first <= _MOST_LEADING)).tolist():
        values[: first[column], column] = values[first[column], column]
    missing = ~np.isfinite(values)
    if missing.any():
        worst = int(np.argmax(missing.sum(axis=0)))
        n = int(missing[:, worst].sum())
        which = "every volume" if n == len(values) else f"{n} of {len(values)} volumes"
        raise GibletError(
            f"{path}: n/a among the confounds: column {names[worst]}, {which}; "
            "correct the table, or take other confounds (scan.confounds, scan.confound_strategy)"
        )
    return values


def read_confounds(
    path: Path, names: Sequence[str], n_scanned: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mask of steady volumes (n_scanned,) bool, and of these the columns ``names``
    (n_volumes, n_names) and the framewise displacement (n_volumes,).

    Raises
    ------
    GibletError
        Another number of rows, a column that is missing, or n/a in one.
    """
    table = load_table(path)
    if len(table) != n_scanned:
        raise GibletError(f"{path}: {len(table)} rows, but the scan has {n_scanned} volumes")
    missing = [name for name in names if name not in table]
    if missing:
        raise GibletError(f"{path}: no confound column {', '.join(missing)}")
    steady = ~table.filter(regex="^non_steady_state_outlier").any(axis=1).to_numpy()
    _check_steady(steady, path)
    values = table[list(names)].apply(pd.to_numeric, errors="coerce")[steady].to_numpy(float)
    return steady, fill_leading(values, path, names), displacement(table, path)[steady]


def _check_steady(steady: np.ndarray, path: Path) -> None:
    """GibletError unless the first volumes alone, and not all, are no ``steady`` ones."""
    marked = np.flatnonzero(~steady)
    if len(marked) == len(steady):
        raise GibletError(
            f"{path}: non_steady_state_outlier columns mark every volume; correct the table"
        )
    if len(marked) and marked[-1] >= len(marked):
        raise GibletError(
            f"{path}: non_steady_state_outlier columns mark volume {marked[-1]} (the first is 0), "
            "which comes after steady ones; giblet drops the first volumes alone: correct the "
            "table, or leave later volumes out by scrub (scan.confound_strategy)"
        )


def by_strategy(
    path: Path, strategy: Sequence[str], steady: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The confounds (n_volumes, n_confounds) of ``steady`` volumes (n_scanned,) that nilearn's
    ``load_confounds`` takes from a table, and the volumes that it keeps, (n_scanned,) bool.

    ``scrub`` leaves volumes out: framewise displacement above 0.5 mm, standardised DVARS above 1.5,
    and stretches of fewer than five volumes between those, nilearn's defaults. ``ica_aroma`` stands
    for the components of motion.

    Raises
    ------
    GibletError
        Columns of the strategy are missing, or n/a.
    """
    from nilearn.interfaces.fmriprep import load_confounds
    from nilearn.interfaces.fmriprep.load_confounds import (
        _check_strategy,
        _load_single_confounds_file,
    )

    # load_confounds takes the image's path and finds tables beside it alone, under fewer names
    defaults = {k: p.default for k, p in inspect.signature(load_confounds).parameters.items()}
    options = {k: v for k, v in defaults.items() if k not in ("img_files", "strategy", "demean")}
    if (sidecar := path.with_suffix(".json")).exists():
        check_file(sidecar)
    try:
        _check_strategy(strategy)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # all scrubbed: the caller reports it
            sample_mask, table = _load_single_confounds_file(
                str(path), tuple(strategy), False, str(sidecar), **options | {"ica_aroma": "basic"}
            )
    except Exception as error:  # nilearn takes the JSON beside the table as it is
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise GibletError(f"{path}: no confounds by {', '.join(strategy)} ({reason})") from None
    kept = np.ones(len(steady), dtype=bool) if sample_mask is None else np.zeros(len(steady), bool)
    kept[slice(None) if sample_mask is None else sample_mask] = True
    used = table.apply(pd.to_numeric, errors="coerce").to_numpy(float)[steady]
    return fill_leading(used, path, list(table)), kept
