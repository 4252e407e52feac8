"""Ridge maps of the whole brain, and their p corrected over it, in blocks of voxels."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import xarray as xr

from giblet.evaluation.group_maps import group_p
from giblet.stats.encoding_maps import (
    ClockGroup,
    Fold,
    ScoreMaps,
    fold_columns,
    has_r,
    map_name,
    mixture_scores,
    mixtures,
)

MOST_NULL_VALUES = 2**27  # of all maps in memory at once: 512 MB


def ridge_maps(
    read: Callable[[np.ndarray], np.ndarray],
    blocks: Sequence[np.ndarray],
    groups: Sequence[ClockGroup],
    folds: Sequence[Fold],
    *,
    n_voxels: int,
    on_mesh: bool,
    edges: np.ndarray | None,
    by_fold: bool = False,
    n_shift_maps: int = 0,
    **options,
) -> tuple[xr.Dataset, dict[str, tuple]]:
    """The maps of `giblet.stats.encoding_maps.linear_maps`, and p corrected over the brain.

    Nulls of the whole brain take most of the memory. So only some maps have theirs at a time, and
    for further ones BOLD is read again.

    Parameters
    ----------
    read
        Indices of voxels → BOLD z-scored by run, (n_subjects, n_trs, n_chosen).
    blocks
        Indices of the voxels that ridge is computed for, in rising order, in parts.
    n_voxels
        Of the whole brain.
    on_mesh
        They are vertices: TFCE has the powers of surfaces.
    edges : (n_edges, 2)
        Neighbours among all voxels; None: no TFCE.
    by_fold, n_shift_maps, options
        As of `linear_maps`.

    Returns
    -------
    maps
        Along ``voxel``, NaN where ridge was not computed.
    of_group
        ``<map>_p_max`` and ``<map>_p_tfce``; none without nulls.
    """
    names = list(groups[0].bands)
    columns, selected = fold_columns(groups, folds), np.concatenate(blocks)
    maps, of_group = [ScoreMaps(names, by_fold) for _ in blocks], {}
    most = MOST_NULL_VALUES // max(1, n_shift_maps * len(selected))
    options |= {"n_shift_maps": n_shift_maps}
    for some in _batches(mixtures(names), names, most):
        nulls: dict[str, np.ndarray] = {}
        end = 0
        for own, block in zip(maps, blocks, strict=True):
            bold, begin, end = read(block), end, end + len(block)
            for mixture in some:
                scores = mixture_scores(mixture, bold, groups, folds, columns, **options)
                own.add(mixture, scores)
                if scores.nulls is not None:
                    name, shape = map_name(mixture), (len(scores.nulls), len(selected))
                    if name not in nulls:
                        nulls[name] = np.empty(shape, dtype=np.float32)
                    nulls[name][:, begin:end] = scores.nulls
        for name in list(nulls):
            values = np.concatenate([own.of(name) for own in maps], axis=1)
            whole = np.full((len(values), n_voxels), np.nan, dtype=np.float32)
            whole[:, selected] = values
            of_group |= group_p(name, whole, nulls.pop(name), edges, on_mesh, selected)
    together = xr.concat([xr.Dataset(own.arrays()) for own in maps], "voxel")
    together = together.assign_coords(voxel=selected)
    return together.reindex(voxel=np.arange(n_voxels)).drop_vars("voxel"), of_group


def _batches(every: list[tuple], names: list[Any], n_most: int) -> Iterator[list[tuple]]:
    """Mixtures in their order, at most ``n_most`` with r (but one at least) in each part.

    >>> list(_batches(mixtures(["a", "b", "c"]), ["a", "b", "c"], 2))[1]
    [('b',), ('c',), ('b', 'c'), ('a', 'c'), ('a', 'b')]
    """
    part: list[tuple] = []
    for mixture in every:
        if has_r(mixture, names) and sum(has_r(m, names) for m in part) >= max(1, n_most):
            yield part
            part = []
        part.append(mixture)
    yield part
