"""Means over the voxels or vertices of parcels."""

import numpy as np


def parcel_means(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean over the voxels of each label above 0: (..., n_voxels) → (..., n_parcels) float64.

    ``labels`` (n_voxels,); parcels are in the order of their labels.

    >>> parcel_means(np.array([[1.0, 2.0, 6.0, 9.0]]), np.array([7, 2, 2, 0])).tolist()
    [[4.0, 1.0]]
    """
    inside = labels > 0
    _, parcel, sizes = np.unique(labels[inside], return_inverse=True, return_counts=True)
    rows = values[..., inside].reshape(-1, inside.sum())
    sums = np.stack([np.bincount(parcel, weights=row) for row in rows])
    return (sums / sizes).reshape(*values.shape[:-1], len(sizes))
