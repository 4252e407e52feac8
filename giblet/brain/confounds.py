"""Confounds tables of fMRIPrep: missing values."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from giblet.errors import GibletError

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
    for column in np.flatnonzero((first > 0) & (first <= _MOST_LEADING)):
        values[: first[column], column] = values[first[column], column]
    missing = ~np.isfinite(values)
    if missing.any():
        column = int(np.argmax(missing.any(axis=0)))
        n = int(missing[:, column].sum())
        which = "every volume" if n == len(values) else f"{n} of {len(values)} volumes"
        raise GibletError(
            f"{path}: n/a among the confounds: column {names[column]}, {which}; "
            "correct the table, or take other confounds (scan.confounds, scan.confound_strategy)"
        )
    return values
