"""Threshold-free cluster enhancement on any graph of neighbours: voxels of a grid, a mesh."""

import numpy as np

GRID_POWERS = (0.5, 2.0)  # of extent and height, in volumes (Smith & Nichols 2009)
MESH_POWERS = (1.0, 2.0)  # on surfaces, as PALM takes them (Winkler et al. 2014)


def tfce(
    heights: np.ndarray, edges: np.ndarray, powers: tuple[float, float] = GRID_POWERS
) -> np.ndarray:
    """∫ e(h)^E h^H dh from 0 to each place's height; 0 where the height is not above 0.

    e(h) is the size of the connected places of at least height h around the place, E and H are
    ``powers`` (Smith & Nichols 2009). The integral is exact: between the heights at which clusters
    merge their sizes are constant.

    ``heights`` (n_places,), ``edges`` (n_edges, 2) int, pairs of neighbours → (n_places,) float64.

    >>> tfce(np.array([1.0, 3.0, -1.0]), np.array([[0, 1], [1, 2]]), (1.0, 1.0)).tolist()
    [1.0, 5.0, 0.0]
    """
    enhanced = np.zeros(len(heights))
    above = np.flatnonzero(np.nan_to_num(heights) > 0)
    if not len(above):
        return enhanced
    own = np.asarray(heights, dtype=np.float64)[above]
    births, sizes, parents = _cluster_tree(own, _among(edges, above, len(heights)))
    extent, height = powers
    integral = births ** (height + 1) / (height + 1)
    below = np.where(parents >= 0, integral[parents], 0.0)
    parts = (sizes**extent * (integral - below)).tolist()
    parent = parents.tolist()
    for node in range(len(parts) - 1, -1, -1):  # parents come after their children
        if parent[node] >= 0:
            parts[node] += parts[parent[node]]
    enhanced[above] = parts[: len(above)]
    return enhanced


def _among(edges: np.ndarray, chosen: np.ndarray, n_places: int) -> np.ndarray:
    """``edges`` between ``chosen`` places (indices), numbered within these."""
    number = np.full(n_places, -1)
    number[chosen] = np.arange(len(chosen))
    inside = number[edges]
    return inside[(inside >= 0).all(axis=1)]


def _cluster_tree(
    heights: np.ndarray, edges: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Births, sizes and parents of clusters: every place, and every union of two of them.

    A cluster exists from its birth (the height of a place, or that at which two clusters meet)
    down to its parent's birth; -1 is no parent.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import minimum_spanning_tree

    n = len(heights)
    lower = heights[edges].min(axis=1)
    cost = (lower.max(initial=0.0) - lower) + 1.0  # 0 would be no edge
    tree = minimum_spanning_tree(coo_matrix((cost, edges.T), shape=(n, n)).tocsr()).tocoo()
    meet = np.minimum(heights[tree.row], heights[tree.col])
    order = np.argsort(-meet, kind="stable")
    ones, others = tree.row[order].tolist(), tree.col[order].tolist()
    top = list(range(n))  # towards the cluster that a place is in now
    parents, sizes = [-1] * (n + len(order)), [1] * n
    top += range(n, n + len(order))
    for node, (one, other) in enumerate(zip(ones, others, strict=True), start=n):
        while top[one] != one:
            top[one] = top[top[one]]
            one = top[one]
        while top[other] != other:
            top[other] = top[top[other]]
            other = top[other]
        top[one] = top[other] = parents[one] = parents[other] = node
        sizes.append(sizes[one] + sizes[other])
    births = np.concatenate([heights, meet[order]])
    return births, np.array(sizes, dtype=np.float64), np.array(parents)
