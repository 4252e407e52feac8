"""What is said of the scans beside their table: their lag, and how not to read the table."""

import numpy as np
import pandas as pd
import xarray as xr

from giblet.report.tables import number


def lag_sentence(quality: xr.Dataset) -> str:
    """How late the scans are, with what certainty, and what was done about it.

    >>> lag_sentence(xr.Dataset({"lag": np.nan}, attrs={"lag_note": "no sound"}))
    'The lag between film and scan could not be told: no sound. The scans were not moved.'
    """
    applied = float(quality.attrs.get("lag_applied", 0.0))
    moved = (
        f"The scans were moved by {number(applied, 2)} s before this (scan.lag_seconds)."
        if applied
        else "The scans were not moved."
    )
    if "lag" not in quality or not np.isfinite(quality["lag"]):
        reason = quality.attrs.get("lag_note", "none was sought")
        return f"The lag between film and scan could not be told: {reason}. {moved}"
    seconds, low, high = (number(quality[k].item(), 2) for k in ("lag", "lag_low", "lag_high"))
    kind = "reliable" if quality["lag_reliable"].item() else "not reliable, do not use it"
    none = quality["lag_low"].item() <= 0 <= quality["lag_high"].item()
    return (
        f"The scans lag behind the film by {seconds} s (95 %: {low} to {high} s"
        f"{', which holds 0' if none else ''}; p = {quality['lag_p'].item():.2g} of so good a fit "
        f"of other moments; {kind}). {moved}"
    )


def none_found_sentence(rows: list[tuple[str, str, list[str]]], places: str) -> str:
    """What a share of 0 says, where ridge found something on average; empty where there is none."""
    found = [
        label.removeprefix("Ridge r: ")
        for label, _, (mean, _, _, share) in rows
        if label.startswith("Ridge") and share == "0.0 %" and not mean.startswith(("−", "0.000"))
    ]
    return found and (
        f"0.0 % of {places} at q < .05 ({', '.join(found)}) is no proof that nothing is predicted "
        f"there: in few TRs no p falls low enough for one among many {places}. Regions and the "
        "map say where r lies; parcels, or longer scans, find more."
    )


def r2_sentence(summary: pd.DataFrame) -> str:
    """A warning where means of R², which knows no lowest value, are far below their medians.

    >>> rows = [("r2_all", -249.1, -1.5), ("r2_text", 0.1, 0.1)]
    >>> r2_sentence(pd.DataFrame(rows, columns=["metric", "mean", "median"]))
    'R² has no lowest value: where ridge predicts far too much, a few values pull its mean down. \
r2_all: mean −249.1, median −1.50. Read the median, or r.'
    """
    r2 = summary[summary["metric"].str.startswith(("r2_", "unique_"))]
    found = r2.groupby("metric", sort=False)[["mean", "median"]].agg(
        {"mean": "mean", "median": "median"}
    )
    found = found[found["mean"] < -1]
    if found.empty:
        return ""
    told = [
        f"{row.Index}: mean {number(row.mean, 1)}, median {number(row.median, 2)}"
        for row in found.itertuples()
    ]
    return (
        "R² has no lowest value: where ridge predicts far too much, a few values pull its mean "
        "down. "
        f"{'; '.join(told)}. Read the median, or r."
    )
