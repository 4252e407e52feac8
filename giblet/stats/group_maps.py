"""Maps of several people against chance, corrected over all places: max-T and TFCE."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from giblet.stats.tfce import GRID_POWERS, tfce

_FLIPS_AT_ONCE = 64


@dataclass(frozen=True)
class GroupMap:
    """A map of a group and its p-values, all (n_places,), NaN where somebody has no value.

    statistic : t of the mean over people, or of ISC the mean over its standard deviation by chance
    p_max : chance of as high a statistic anywhere (family-wise error)
    p_tfce : the same of the statistic's TFCE; None without neighbours
    n_nulls : of the distributions, the map itself included
    """

    statistic: np.ndarray
    p_max: np.ndarray
    p_tfce: np.ndarray | None
    n_nulls: int


def sign_patterns(n_people: int, n_most: int, seed: int = 0) -> np.ndarray:
    """Signs (n_patterns, n_people) int8 of people, the first all +1; every pattern where there are
    ``n_most`` or fewer, else as many random ones.

    >>> sign_patterns(2, 10).tolist()
    [[1, 1], [1, -1], [-1, 1], [-1, -1]]
    """
    if 2**n_people <= n_most:
        numbers = np.arange(2**n_people)[:, None]
        bits = (numbers >> np.arange(n_people)[::-1]) & 1
    else:
        bits = np.random.default_rng(seed).integers(2, size=(n_most, n_people))
        bits[0] = 0
    return (1 - 2 * bits).astype(np.int8)


def sign_flip_maps(
    values: np.ndarray,
    edges: np.ndarray | None = None,
    n_flips: int = 1000,
    seed: int = 0,
    powers: tuple[float, float] = GRID_POWERS,
) -> GroupMap:
    """Whether the mean over people is above 0, by flipping the signs of whole people's maps.

    p is the share of sign patterns, the true one included, whose maximum over places is as high.
    People must be independent and their values symmetric around 0 by chance, so it is for scores of
    a fit to each person, not for leave-one-out ISC, whose values share people: see `null_maps`.

    ``values`` (n_people, n_places), ``edges`` (n_edges, 2): pairs of neighbouring places; None: no
    TFCE. ``powers``: of `giblet.stats.tfce.tfce`.
    """
    known = np.isfinite(values).all(axis=0)
    own = np.asarray(values[:, known], dtype=np.float64)
    near = None if edges is None else _inside(edges, known)
    signs = sign_patterns(len(own), n_flips, seed)
    maps = (
        t
        for start in range(0, len(signs), _FLIPS_AT_ONCE)
        for t in _t_of_flips(own, signs[start : start + _FLIPS_AT_ONCE])
    )
    statistic = next(maps)
    return _spread(_corrected(statistic, maps, near, powers), known)


def null_maps(
    observed: np.ndarray,
    nulls: np.ndarray,
    edges: np.ndarray | None = None,
    powers: tuple[float, float] = GRID_POWERS,
) -> GroupMap:
    """Whether a group's map is above its nulls, each over its own standard deviation by chance.

    For the mean leave-one-out ISC with the nulls of `giblet.stats.intersubject.isc_nulls`: their
    series are independent of each other, as the null hypothesis says, whole maps at a time.

    ``observed`` (n_places,), ``nulls`` (n_nulls, n_places) → `GroupMap`.
    """
    known = np.isfinite(observed) & np.isfinite(nulls).all(axis=0)
    spread = nulls[:, known].std(axis=0, dtype=np.float64)
    known[np.flatnonzero(known)[spread <= 0]] = False
    spread = spread[spread > 0]
    near = None if edges is None else _inside(edges, known)
    statistic = observed[known] / spread
    maps = (null[known] / spread for null in nulls)
    return _spread(_corrected(statistic, maps, near, powers), known)


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


def _t_of_flips(values: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """t of the mean over people under each pattern: (n_patterns, n_places).

    The sum of squares is the same under all.
    """
    n = len(values)
    means = signs.astype(np.float64) @ values / n
    squares = np.einsum("pv,pv->v", values, values) / n
    errors = np.sqrt(np.maximum(squares - means**2, 0) / (n - 1))
    return np.divide(means, errors, out=np.zeros_like(means), where=errors > 1e-12)


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
    margin = 1e-9 * np.abs(values)
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
