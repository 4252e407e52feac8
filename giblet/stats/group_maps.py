"""Maps of several people against chance, corrected over all places: max-T and TFCE."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from giblet.stats.tfce import GRID_POWERS, tfce


@dataclass(frozen=True)
class GroupMap:
    """A map of a group and its p-values, all (n_places,), NaN where somebody has no value.

    statistic : of the mean over people, in standard deviations of all maps (its nulls and itself)
        from their mean
    p_max : chance of as high a statistic anywhere (family-wise error)
    p_tfce : the same of the statistic's TFCE; None without neighbours
    n_nulls : of the distributions, the map itself included
    """

    statistic: np.ndarray
    p_max: np.ndarray
    p_tfce: np.ndarray | None
    n_nulls: int


def null_maps(
    observed: np.ndarray,
    nulls: np.ndarray,
    edges: np.ndarray | None = None,
    powers: tuple[float, float] = GRID_POWERS,
    places: np.ndarray | None = None,
) -> GroupMap:
    """Whether a group's map is above its nulls, each place in standard deviations of all of them.

    Mean and deviation are of the nulls and the observed map together, so that by chance all are
    exchangeable. With those of the nulls alone the observed map, the only one that is not among
    them, has heavier tails: of 2,000 places and 200 nulls .11 of noise had any place at p < .05.

    Nulls are whole maps of the group, which keep what people share. Of the mean leave-one-out ISC
    they are those of `giblet.stats.intersubject.isc_nulls`, of ridge those of
    `giblet.stats.fold_nulls`. Flips of the signs of people's maps would be too
    liberal: ISCs share people, and people share responses to the film, with which a prediction
    correlates by chance in all of them.

    ``observed`` (n_places,), ``nulls`` (n_nulls, n_tested) of the ``places`` (n_tested,), indices
    in rising order; None: of all → `GroupMap`.
    """
    tested = np.arange(len(observed)) if places is None else places
    middle, spread = _moments(observed[tested], nulls)
    valid = spread > 0  # not where it is NaN
    middle, spread = middle[valid], spread[valid]
    known = np.zeros(len(observed), dtype=bool)
    known[tested[valid]] = True
    near = None if edges is None else _inside(edges, known)
    statistic = (observed[known] - middle) / spread
    maps = ((null[valid] - middle) / spread for null in nulls)
    return _spread(_corrected(statistic, maps, near, powers), known)


_PLACES_AT_ONCE = 4096


def _moments(observed: np.ndarray, nulls: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation over all maps, (n_places,) float64 each; NaN where one of them has NaN, or
    nulls do not differ.

    In blocks of places: the nulls of a whole brain in float64 would be most of the memory.
    """
    parts = [slice(k, k + _PLACES_AT_ONCE) for k in range(0, nulls.shape[1], _PLACES_AT_ONCE)]
    middle, spread = np.full((2, nulls.shape[1]), np.nan)
    for part in parts:
        maps = np.vstack([observed[part], nulls[:, part]]).astype(np.float64)
        differ = maps[1:].std(axis=0) > 0  # not where there is NaN
        maps[:, ~(differ & np.isfinite(maps).all(axis=0))] = np.nan
        middle[part], spread[part] = maps.mean(axis=0), maps.std(axis=0)
    return middle, spread


def cluster_numbers(inside: np.ndarray, edges: np.ndarray | None) -> np.ndarray:
    """Number of the cluster of each place ``inside`` (n_places,) bool, from 1, 0 outside.

    Without neighbours each place is a cluster.

    >>> inside = np.array([True, True, False, True])
    >>> cluster_numbers(inside, np.array([[0, 1], [1, 2], [2, 3]])).tolist()
    [1, 1, 0, 2]
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    numbers = np.zeros(len(inside), dtype=int)
    n = int(inside.sum())
    if edges is None:
        numbers[inside] = np.arange(1, n + 1)
        return numbers
    near = _inside(edges, inside)
    graph = coo_matrix((np.ones(len(near)), near.T), shape=(n, n))
    numbers[inside] = connected_components(graph, directed=False)[1] + 1
    return numbers


def _inside(edges: np.ndarray, known: np.ndarray) -> np.ndarray:
    """``edges`` between places that are ``known``, numbered within these."""
    number = np.cumsum(known) - 1
    return number[edges[known[edges].all(axis=1)]]


def _corrected(
    statistic: np.ndarray,
    nulls: Iterable[np.ndarray],
    edges: np.ndarray | None,
    powers: tuple[float, float],
) -> GroupMap:
    enhanced = None if edges is None else tfce(statistic, edges, powers)
    highest, highest_tfce = [statistic.max(initial=-np.inf)], [_largest(enhanced)]
    for null in nulls:
        highest.append(null.max(initial=-np.inf))
        if edges is not None:
            highest_tfce.append(tfce(null, edges, powers).max(initial=0.0))
    p_tfce = None if enhanced is None else _share_as_high(enhanced, np.array(highest_tfce))
    return GroupMap(statistic, _share_as_high(statistic, np.array(highest)), p_tfce, len(highest))


def _largest(enhanced: np.ndarray | None) -> float:
    return 0.0 if enhanced is None else float(enhanced.max(initial=0.0))


def _share_as_high(values: np.ndarray, highest: np.ndarray) -> np.ndarray:
    """Share of ``highest`` (n_nulls,) that reach each of ``values``; ties count."""
    ordered = np.sort(highest)
    margin = 1e-5 * np.abs(values)  # maps are float32
    reached = len(ordered) - np.searchsorted(ordered, values - margin, side="left")
    return reached / len(ordered)


def _spread(group: GroupMap, known: np.ndarray) -> GroupMap:
    """``group``, of ``known`` places alone, over all of them."""

    def over_all(values: np.ndarray) -> np.ndarray:
        whole = np.full(len(known), np.nan)
        whole[known] = values
        return whole

    p_tfce = None if group.p_tfce is None else over_all(group.p_tfce)
    return GroupMap(over_all(group.statistic), over_all(group.p_max), p_tfce, group.n_nulls)
