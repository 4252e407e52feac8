"""The null distribution of identification: the same clips, with their order permuted."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

PERCENTILES = np.arange(101)
PERMUTED = ["path", "column", "metric", "observed", "p", "n_permutations", "percentile", "value"]


def null_rows(
    observed: Mapping[tuple[str, str], np.ndarray], nulls: Mapping[tuple[str, str], np.ndarray]
) -> Iterator[dict]:
    """A row per column, metric and percentile (0 to 100) of the null, ``value``.

    Parameters
    ----------
    observed : (column, metric) → scores (n_subjects, n_moments); ``observed`` is their mean
    nulls : (column, metric) → the same mean under each permutation, (n_permutations,)

    ``p`` is one-sided: the share of permutations, the observed order included, that score as high.
    Where nothing is decoded, and scores are NaN, there is no row.

    >>> rows = list(null_rows({("brain", "m"): np.array([[1.0, 0.0]])},
    ...                       {("brain", "m"): np.array([0.0, 0.5, 0.25])}))
    >>> rows[50]["value"], rows[0]["observed"], rows[0]["p"]
    (0.25, 0.5, 0.5)
    """
    for key, null in nulls.items():
        column, metric = key
        if not np.isfinite(null).any() or not np.isfinite(observed[key]).any():
            continue
        mean = float(np.nanmean(observed[key]))
        p = (1 + int((~(null < mean - 1e-12)).sum())) / (1 + len(null))
        same = {"column": column, "metric": metric, "observed": mean, "p": p}
        same["n_permutations"] = len(null)
        values = np.nanpercentile(null, PERCENTILES)
        for percentile, value in zip(PERCENTILES.tolist(), values.tolist(), strict=True):
            yield same | {"percentile": percentile, "value": value}


def null_table(path: str, rows: list[dict]) -> pd.DataFrame:
    """Rows of `null_rows` as a table with the columns ``PERMUTED``."""
    return pd.DataFrame(rows).assign(path=path).reindex(columns=PERMUTED)
