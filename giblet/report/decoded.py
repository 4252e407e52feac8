"""Whether sound was shown to be decoded from BOLD: one decision for headline, ladder and tests."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from giblet.report.permutation_figure import null_of
from giblet.report.tables import FEWEST, short_p
from giblet.report.verdict import LARGEST_P, NULL

TOO_FEW = "too few to test"


@dataclass(frozen=True)
class Finding:
    """What the tests of identified clips show.

    ``few``: fewer than ``FEWEST`` clips are held out. ``why``: why no decoding is shown, short;
    ``start``: the same as the start of a sentence, ``{}`` is the name of BOLD. Both are empty where
    decoding is shown, or was not tested.
    """

    few: bool = False
    why: str = ""
    start: str = ""


def too_few(n: float) -> str:
    """A phrase where ``n`` clips are too few to test; empty where there are enough, or unknown.

    >>> too_few(2), too_few(1), too_few(5)
    ('2 clips are too few to test', '1 clip is too few to test', '')
    """
    if not n < FEWEST:
        return ""
    return f"1 clip is {TOO_FEW}" if n == 1 else f"{n:.0f} clips are {TOO_FEW}"


def finding(
    scores: pd.DataFrame,
    path: str,
    unit: str,
    permutations: pd.DataFrame | None,
    baselines: pd.DataFrame | None,
) -> Finding:
    """Of the brain's identification ``unit`` of a feature type: not shown where the clips are too
    few, p of permuted clips is .05 or more, or it is not shown to be above shuffled BOLD.

    ``scores``: table with ``path column metric value n``. ``permutations`` of
    `giblet.evaluation.permuted_clips.null_table`, ``baselines`` of
    `giblet.evaluation.moments.difference_rows`; without both, decoding was not tested.
    """
    here = (scores["path"] == path) & (scores["column"] == "brain") & (scores["metric"] == unit)
    n = scores.loc[here, "n"].min()
    if why := too_few(n):
        start = f"No sound was shown to be decoded from {{}}: {why}, {FEWEST} are needed"
        return Finding(True, why, start)
    test = null_of(permutations, path, "brain", unit)
    if not test.empty and test["p"].iloc[0] >= LARGEST_P:
        p = short_p(test["p"].iloc[0], test["n_permutations"].iloc[0])
        return Finding(
            why=f"not above chance, {p}", start=f"No sound was decoded from {{}} above chance ({p})"
        )
    row = paired_difference(baselines, path, NULL, unit)
    if row is not None and not (row.p < LARGEST_P and row.difference > 0):
        p = short_p(row.p, row.n_flips)
        return Finding(
            why=f"not above shuffled BOLD, {p}",
            start=f"No sound was decoded from {{}} better than from shuffled BOLD ({p})",
        )
    return Finding()


def paired_difference(baselines: pd.DataFrame | None, path: str, baseline: str, metric: str):
    """The row of a paired difference; None where there is none that was tested."""
    if baselines is None or "baseline" not in baselines:
        return None
    rows = baselines[(baselines["path"] == path) & (baselines["baseline"] == baseline)]
    rows = rows[(rows["metric"] == metric) & np.isfinite(rows["p"].astype(float))]
    return None if rows.empty else next(rows.itertuples())
