"""Variance partitioning: shares of BOLD that modalities explain alone and together."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from giblet.stats.cross_validation import held_out_scores


def variance_partition(
    features: Mapping[str, np.ndarray], bold: np.ndarray, runs: np.ndarray, gap_trs: int, **search
) -> dict[str, np.ndarray]:
    """Share of variance that each modality explains alone, and that they explain together.

    ``features``: modality → (n_trs, n_features), two or three; the rest as in `held_out_scores`,
    which is run for every combination of modalities.

    Returns
    -------
    "audio", "audio+text", ... → share of BOLD's variance (n_voxels,) that exactly these modalities
    explain; they add up to the R² of all. Overfitting can make a share negative.
    """
    r2 = {
        names: held_out_scores([features[n] for n in names], bold, runs, gap_trs, **search)[1]
        for size in range(1, len(features) + 1)
        for names in combinations(features, size)
    }
    return {"+".join(names): share for names, share in shares(r2).items()}


def shares(r2: Mapping[tuple[str, ...], np.ndarray]) -> dict[tuple[str, ...], np.ndarray]:
    """R² of every combination of modalities → the share that exactly this combination explains.

    Inclusion and exclusion (de Heer et al. 2017): the modalities within a set explain R²(all) minus
    R²(all but the set); minus the shares of smaller sets, the set's own share is left.

    >>> shares({("a",): 0.5, ("b",): 0.25, ("a", "b"): 0.625})
    {('a',): 0.375, ('b',): 0.125, ('a', 'b'): 0.125}
    """
    everything = max(r2, key=len)
    exact: dict[tuple[str, ...], np.ndarray] = {}
    for names in sorted(r2, key=len):
        others = tuple(n for n in everything if n not in names)
        smaller = sum(share for subset, share in exact.items() if set(subset) < set(names))
        exact[names] = r2[everything] - r2.get(others, 0.0) - smaller
    return exact
