"""The record of what a model was trained on, in its ``config.json``, and checks of it.

``trained_on`` holds fingerprints of files as ``sounds``; of a film also its fingerprint as ``film``
and, by part, its TRs as ranges ``[first, last]``.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from giblet.errors import GibletError
from giblet.io.checksums import fingerprint

SEEN = ("train", "validation")  # parts whose TRs training reads
Record = Mapping[str, Any]


def film_record(aligned: xr.Dataset) -> dict[str, Any]:
    """The record of a model of a film, from the arrays of ``sync_align``."""
    part, trs = aligned["part"].values.astype(str), aligned["tr"].values
    ranges = {name: tr_ranges(trs[part == name]) for name in SEEN}
    return {"film": str(aligned.attrs.get("input", "unknown")), "sounds": []} | ranges


def sounds_record(folders: Iterable[Path]) -> dict[str, Any]:
    """The record of a model of sounds alone: fingerprints of all files below ``folders``."""
    files = (f for folder in folders for f in Path(folder).rglob("[!.]*.*") if f.is_file())
    return {"sounds": sorted({fingerprint(file) for file in files})}


def tr_ranges(trs: np.ndarray) -> list[list[int]]:
    """TRs (n_trs,) in order as ranges of first and last.

    >>> tr_ranges(np.array([0, 1, 2, 7, 8]))
    [[0, 2], [7, 8]]
    """
    stretches = np.split(trs, np.flatnonzero(np.diff(trs) != 1) + 1)
    return [[int(stretch[0]), int(stretch[-1])] for stretch in stretches if len(stretch)]


def inside(trs: np.ndarray, ranges: Iterable[Sequence[int]]) -> np.ndarray:
    """Which TRs (n_trs,) are in one of ``ranges`` of first and last: (n_trs,) bool.

    >>> inside(np.array([1, 4, 8]), [[7, 9], [0, 2], [1, 3]]).tolist()
    [True, False, True]
    """
    ordered = np.array(sorted(ranges), dtype=int).reshape(-1, 2)
    if not len(ordered):
        return np.zeros(len(trs), dtype=bool)
    last = np.maximum.accumulate(ordered[:, 1])
    at = np.searchsorted(ordered[:, 0], trs, side="right") - 1
    return (at >= 0) & (trs <= last[at])


def check_record(record: Record, film: str, test: np.ndarray) -> None:
    """Check that a model was not trained on what it is tested on.

    ``film``: fingerprint; ``test``: its test TRs (n_test,). Models of older versions have no
    record, and pass. Raises GibletError.

    >>> check_record({"film": "ab", "train": [[0, 9]]}, "ab", np.arange(8, 12))
    Traceback (most recent call last):
        ...
    giblet.errors.GibletError: the model was trained on 2 of 4 test TRs, the first is TR 8; train \
it again with these splits
    """
    check_sounds(record, film)
    if record.get("film") != film:
        return
    ranges = [span for part in SEEN for span in record.get(part, [])]
    seen = test[inside(test, ranges)]
    if len(seen):
        raise GibletError(
            f"the model was trained on {len(seen)} of {len(test)} test TRs, the first is TR "
            f"{seen[0]}; train it again with these splits"
        )


def check_sounds(record: Record, film: str) -> None:
    """Check that the film, a fingerprint, is not among a record's sounds. Raises GibletError."""
    if film in record.get("sounds", ()):
        raise GibletError(
            "the model was pretrained on this film, its test part too; pretrain without it, or set "
            "model.start_from"
        )
