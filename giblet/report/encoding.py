"""Accuracy of predicted BOLD, beside the noise ceiling."""

import numpy as np
import pandas as pd

from giblet.report.extras import TextTable
from giblet.report.systems import FEATURE_LABELS, feature_label
from giblet.report.tables import in_order, number

MODELS = {
    "encoding": "through the bottleneck",
    "encoding_ridge": "ridge regression",
    "encoding_banded": "banded ridge",
}
CEILING = "noise_ceiling"
RELIABLE, EVERYWHERE = "bold_r_reliable", "bold_r"


NO_CEILING, NOT_ABOVE = "n/a: no ceiling shown", "n/a: r not above 0"


def encoding_table(
    scores: pd.DataFrame, places: str, simulated: bool, shared: bool = True
) -> TextTable | None:
    """Held-out r of each model in reliable voxels, its share of the ceiling, and r in all voxels.

    ``scores``: table with ``path column metric value low high``; ``places``: what voxels are
    called. None where no noise ceiling was scored: old results, or one subject, of whom all voxels
    count as reliable. ``shared``: whether inter-subject correlation is shown anywhere, as
    `giblet.report.scan_quality.passes` says. Without it, or where the interval of the ceiling is
    not above 0, no share is printed; nor where r is not above 0.
    """
    cells = scores.set_index(["path", "column", "metric"])
    paths = in_order(scores["path"], FEATURE_LABELS)
    paths = [one for one in paths if (one, CEILING, RELIABLE) in cells.index]
    if not paths:
        return None
    rows = [
        _row(cells, path, column, f"{feature_label(path)}: {name}", shared)
        for path in paths
        for column, name in MODELS.items()
        if (path, column, RELIABLE) in cells.index
    ]
    rows.append(_row(cells, paths[0], CEILING, "noise ceiling, lower bound", shared))
    caption = (
        f"Prediction of BOLD of held-out TRs{' (simulated)' * simulated}. Reliable "
        f"{places}: the 5 % with the highest inter-subject correlation in training TRs. "
        "95 % intervals over subjects"
    )
    header = ["Model", f"r, reliable {places}", "Share of the ceiling", f"r, all {places}"]
    return TextTable(caption, header, rows)


def _row(cells: pd.DataFrame, path: str, column: str, name: str, shared: bool) -> list[str]:
    value = cells.loc[(path, column, RELIABLE), "value"]
    ceiling, low = cells.loc[(path, CEILING, RELIABLE), ["value", "low"]].astype(float)
    if not shared or not ceiling > 0 or low <= 0:
        percent = NO_CEILING
    else:
        percent = f"{number(100 * value / ceiling, 0)} %" if value > 0 else NOT_ABOVE
    reliable, everywhere = (_value(cells.loc[(path, column, m)]) for m in (RELIABLE, EVERYWHERE))
    return [name, reliable, "" if column == CEILING else percent, everywhere]


def _value(row: pd.Series) -> str:
    """A score, with its interval where there is one."""
    value, low, high = (number(row[k], 3) for k in ("value", "low", "high"))
    return (
        value if np.isnan(row[["low", "high"]].astype(float)).any() else f"{value} [{low}, {high}]"
    )
