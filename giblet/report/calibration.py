"""A new person's calibration curve: a figure, and a table of the means over people."""

import textwrap
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from giblet.audio.metrics.table import metric_of
from giblet.report.extras import TextTable
from giblet.report.material import Material
from giblet.report.pictures import Picture, ink
from giblet.report.tables import number

EVERYONE, GOAL = "all", 0.9
TITLE_LETTERS = 22  # in a line above a panel
SHOWN = ("identification_10way", "identification_2way", "bold_r_reliable")
LINES = {
    "value": ("models of others + these minutes", "#1b82c5", "o-"),
    "alone": ("models of these minutes alone", "#D55E00", "s-"),
    "shuffled": ("of others, shuffled", "#777777", "x:"),
}

_RING = {"color": LINES["value"][1], "fillstyle": "none", "markersize": 4, "markeredgewidth": 0.7}


def with_calibration(material: Material) -> bool:
    """Pages about results of the rule ``calibration`` have the section."""
    return material.extras.calibration is not None


def calibration_section(material: Material) -> dict:
    """Variables of the section; ``material.extras.calibration`` is there."""
    table = material.extras.calibration
    kind = " (simulated brains)" if material.simulated else ""
    return {
        "heading": f"A new person{kind}",
        "curves": calibration_figures(material),
        "table": calibration_text(table, kind),
        "alignment": str(table["alignment"].iloc[0]),
        "finding": finding(table),
    }


def calibration_figures(material: Material) -> list[Picture]:
    """The curve of each metric of ``SHOWN``, side by side; none without a table."""
    table = material.extras.calibration
    if table is None:
        return []
    title = "Minutes of a new person's data" + " (simulated)" * material.simulated
    note = (
        "Means over people, each of whom is new in turn. Dashed: models of all training minutes of "
        "the person; shuffled: what was predicted for other moments. Rings: single people."
        + " The brains are SIMULATED."
        * material.simulated
    )
    shown = [name for name in SHOWN if (table["metric"] == name).any()]
    draw = partial(_draw, table=table, shown=shown)
    return [Picture("calibration", title, draw, (2.6 * len(shown), 2.8), table, note)]


def _draw(axes: Axes, table: pd.DataFrame, shown: list[str]) -> None:
    figure = axes.figure
    axes.remove()
    panels = np.atleast_1d(figure.subplots(1, len(shown)))
    for panel, name in zip(panels, shown, strict=True):
        rows = table[table["metric"] == name].sort_values("minutes")
        single = rows[rows["subject"] != EVERYONE]
        panel.plot(single["minutes"], single["value"], "o", **_RING)
        rows = rows[rows["subject"] == EVERYONE]
        for column, (label, colour, style) in LINES.items():
            panel.plot(rows["minutes"], rows[column], style, color=colour, label=label)
        panel.axhline(rows["full"].iloc[0], color=ink(), linewidth=0.8, linestyle="--")
        panel.set(xlabel="minutes", title=textwrap.fill(metric_of(name).label, TITLE_LETTERS))
        panel.title.set_fontsize("medium")
        lowest = min(rows[list(LINES)].min(axis=None), single["value"].min() if len(single) else 0)
        panel.set_ylim(bottom=min(0.0, float(lowest)))
        panel.set_facecolor("none")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=1)


def calibration_text(table: pd.DataFrame, kind: str = "") -> TextTable:
    """Means over people: a row for each number of minutes and metric."""
    header = [
        "Minutes",
        "Metric",
        "With others",
        "Shuffled",
        "Alone",
        "Full",
        "Share of full above chance",
    ]
    rows = [
        [number(row.minutes, 1), metric_of(row.metric).heading]
        + [number(x, metric_of(row.metric).decimals) for x in (row.value, row.shuffled)]
        + [number(x, metric_of(row.metric).decimals) for x in (row.alone, row.full)]
        + [number(row.share, 2)]
        for row in table[table["subject"] == EVERYONE].itertuples()
    ]
    return TextTable(f"Scores after some minutes of a new person's data{kind}", header, rows)


def finding(table: pd.DataFrame) -> str:
    """The first minutes that give ``GOAL`` of the full score, a sentence a metric.

    >>> rows = {"subject": "all", "metric": "bold_r_reliable", "minutes": [2, 5],
    ...         "share": [0.5, 0.95]}
    >>> finding(pd.DataFrame(rows))
    'BOLD correlation r, reliable voxels: 90 % of the full score above chance after 5 minutes.'
    """
    means, sentences = table[table["subject"] == EVERYONE], []
    for name in SHOWN:
        rows = means[means["metric"] == name].sort_values("minutes")
        if rows.empty:
            continue
        if rows["share"].isna().all():
            sentences.append(f"{metric_of(name).label}: the full score is not above chance.")
            continue
        enough = rows.loc[rows["share"] >= GOAL, "minutes"]
        label = metric_of(name).label
        after = f"after {enough.iloc[0]:g} minutes" if len(enough) else "never reached"
        sentences.append(f"{label}: {100 * GOAL:.0f} % of the full score above chance {after}.")
    return " ".join([*sentences, *_scaled_by_all(means)])


def _scaled_by_all(means: pd.DataFrame) -> list[str]:
    """A sentence of the minutes in which the scale of a run is that of all training TRs."""
    if "scale" not in means or not (by_all := means[means["scale"] == "training"]).size:
        return []
    most = by_all["minutes"].max()
    return [
        f"Up to {most:g} minutes, some runs have fewer than 10 TRs in them and keep the scale of "
        "all the person's training TRs, which a new person would not have yet."
    ]
