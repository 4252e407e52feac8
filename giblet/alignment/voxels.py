"""BOLD of more voxels than memory holds: read in blocks; the voxels with the highest ISC."""

from collections.abc import Iterator, Mapping

import numpy as np
import xarray as xr

from giblet.alignment.dataset import zscore_bold
from giblet.alignment.own_runs import scaled_volumes
from giblet.alignment.sync import Match
from giblet.config.sections import DecodingConfig
from giblet.errors import GibletError, nearest_name
from giblet.log import progress
from giblet.stats.intersubject import isc

Regions = Mapping[str, np.ndarray]  # region → (n_voxels,) bool
BLOCK_VALUES = 2**25  # of BOLD in memory at once: 128 MB, and some ten times that for the work


def voxel_blocks(
    scans: xr.Dataset, match: Match, scale_by: np.ndarray, block_values: int = BLOCK_VALUES
) -> Iterator[np.ndarray]:
    """BOLD z-scored by run, (n_subjects, n_trs, n_block) each, until all voxels have come.

    ``scans`` as ``giblet.brain.bold.load_bids`` gives them, or ``giblet.io.arrays.open_arrays``;
    ``scale_by`` (n_trs,) bool as in `zscore_bold`; ``block_values``: n_volumes × voxels of a block.
    """
    blocks = list(_column_blocks(scans, block_values))
    for columns in progress(blocks, "reading BOLD", "blocks of voxels"):
        bold = match.take(scaled_volumes(scans["bold"][:, columns].values, match, scale_by))
        yield zscore_bold(bold, match.runs, scale_by)[0]


def shared_response(bold: np.ndarray) -> np.ndarray:
    """Mean leave-one-out ISC of each voxel, (n_voxels,); -1 where it is undefined.

    ``bold`` (n_subjects, n_trs, n_voxels) of two subjects or more.
    """
    return np.nan_to_num(isc(bold).mean(axis=0), nan=-1.0)


def most_shared(response: np.ndarray, n_voxels: int) -> np.ndarray:
    """Indices (n_voxels,) of the largest values of ``response``, the largest first."""
    return np.argsort(-response, kind="stable")[:n_voxels]


def n_kept(n_columns: int, n_subjects: int, max_voxels: int | None) -> int:
    """The number of columns that `voxels_to_keep` selects."""
    if max_voxels is None or n_subjects == 1:
        return n_columns
    return min(n_columns, max_voxels)


def voxels_to_keep(
    scans: xr.Dataset,
    match: Match,
    is_train: np.ndarray,
    max_voxels: int | None,
    block_values: int = BLOCK_VALUES,
) -> np.ndarray:
    """Columns of BOLD to use, (n_kept,) in their order: those with the highest ISC.

    ISC is computed on training TRs (``is_train``, (n_trs,) bool) alone. All where there are no more
    than ``max_voxels``, and where there is one subject.
    """
    n_columns = scans["bold"].shape[1]
    if max_voxels is None or n_kept(n_columns, len(match.subjects), max_voxels) == n_columns:
        return np.arange(n_columns)
    blocks = voxel_blocks(scans, match, is_train, block_values)
    response = np.concatenate([shared_response(block[:, is_train]) for block in blocks])
    return np.sort(most_shared(response, max_voxels))


def read_columns(
    scans: xr.Dataset,
    match: Match,
    columns: np.ndarray,
    scale_by: np.ndarray,
    block_values: int = BLOCK_VALUES,
) -> np.ndarray:
    """BOLD of some columns, (n_subjects, n_trs, n_columns).

    Of a film as it is. Of many stimuli scaled by `scaled_volumes`, by the TRs ``scale_by`` (n_trs,)
    bool.
    """
    values = np.empty((*match.volumes.shape, len(columns)), dtype=scans["bold"].dtype)
    for block in _column_blocks(scans, block_values):
        wanted = (columns >= block.start) & (columns < block.stop)
        if wanted.any():
            part = scans["bold"][:, block].values[:, columns[wanted] - block.start]
            values[..., wanted] = match.take(scaled_volumes(part, match, scale_by))
    return values


def _column_blocks(scans: xr.Dataset, block_values: int) -> Iterator[slice]:
    n_volumes, n_columns = scans["bold"].shape
    width = max(1, block_values // n_volumes)
    for start in range(0, n_columns, width):
        yield slice(start, min(start + width, n_columns))


def reliable_voxels(bold: np.ndarray, share: float = 0.05) -> np.ndarray:
    """The ``share`` of voxels with the highest inter-subject correlation, (n_chosen,) indices.

    By leave-one-out ISC, mean over subjects; with one subject all voxels. ``bold`` (n_subjects,
    n_trs, n_voxels): only of training TRs, or the choice would use the test part.
    """
    n_subjects, _n_trs, n_voxels = bold.shape
    if n_subjects < 2:
        return np.arange(n_voxels)
    return most_shared(shared_response(bold), max(1, round(share * n_voxels)))


def voxels_to_read(
    bold: np.ndarray, decoding: DecodingConfig, regions: Regions | None = None
) -> np.ndarray:
    """The voxels to decode from, (n_chosen,) indices.

    All of ``decoding.region``; without one, the voxels of the whole brain with the highest ISC.
    ``bold`` (n_subjects, n_trs, n_voxels) of training TRs. GibletError for an unknown region.
    """
    if decoding.region is None:
        return reliable_voxels(bold, decoding.voxel_share)
    return np.flatnonzero(chosen_region(decoding.region, regions or {}))


def chosen_region(name: str, regions: Regions) -> np.ndarray:
    """The mask (n_voxels,) bool of one of ``regions``; GibletError for an unknown name."""
    if name not in regions:
        names = ", ".join(regions) or "none"
        raise GibletError(
            f"decoding.region: no region {name}{nearest_name(name, list(regions))}; known: {names}"
        )
    return regions[name]
