"""Figures as SVG in data URIs, in light and dark colours; the same input gives the same bytes."""

import base64
import io
import re
from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from giblet.audio.feature_types import FEATURE_TYPES
from giblet.audio.metrics.table import FEATURES, METRICS, metric_of
from giblet.report.tables import COLUMNS, FEATURE_LABELS, column_label, feature_label, in_order

PALETTE = ("#1b82c5", "#D55E00", "#CC79A7", "#E69F00")  # Okabe & Ito, for the colour-blind
COLOURS = dict(zip(FEATURE_TYPES, PALETTE, strict=False))
OTHER_COLOUR = "#009E73"
NULL = "brain_shuffled"

INK = "#123456"  # stands for the page's text colour, which a dark page changes
_INK_CSS = ":root{--ink:#24292f}@media(prefers-color-scheme:dark){:root{--ink:#d7dce2}}"
_STYLE = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 10,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "svg.fonttype": "none",
    "svg.hashsalt": "giblet",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
}


def score_figures(scores: pd.DataFrame, simulated: bool) -> list[tuple[str, str]]:
    """For each metric but bitrates and p-values: its heading, and dots with intervals (SVG URI).

    ``scores`` has ``path column metric value low high n n_failed``; feature types share a panel.
    """
    figures = []
    for name in in_order(scores["metric"], METRICS):
        metric = metric_of(name)
        if metric.applies_to == FEATURES or metric.is_p:
            continue
        part = scores[scores["metric"] == name]
        columns = in_order(part["column"], COLUMNS)
        labels = [column_label(c, simulated) for c in columns]
        size = (4.4, 0.9 + 0.42 * len(columns))
        picture = svg_uri(size, _draw_dots, name, part, columns, labels)
        figures.append((metric.heading, picture))
    return figures


def _draw_dots(axes: Axes, name: str, part: pd.DataFrame, columns: list[str], labels: list[str]):
    """Dots with intervals: a group per column, a dot per feature type, in the order of the tables.

    A band as wide as the interval of shuffled BOLD; a line at chance.
    """
    feature_types, metric = in_order(part["path"], FEATURE_LABELS), metric_of(name)
    height = 0.7 / len(feature_types)
    for i, one in enumerate(feature_types):
        rows = part[part["path"] == one].set_index("column").reindex(columns)
        y = np.arange(len(columns)) + (i - (len(feature_types) - 1) / 2) * height
        axes.plot(rows["value"], y, "o", color=_colour(one), label=feature_label(one))
        axes.hlines(y, rows["low"], rows["high"], color=_colour(one), linewidth=2)
        if NULL in columns and np.isfinite(rows.loc[NULL, ["low", "high"]].astype(float)).all():
            axes.axvspan(*rows.loc[NULL, ["low", "high"]], color=_colour(one), alpha=0.12)
        for missing in y[rows["value"].isna() & rows["n"].notna()]:
            place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
            axes.annotate("–", (0, missing), (4, 0), va="center", **place)
    if metric.chance is not None:
        axes.axvline(metric.chance, color=INK, linewidth=0.8, linestyle="--")
    axes.set_yticks(np.arange(len(columns)), labels)
    axes.set_ylim(len(columns) - 0.5, -0.5)
    axes.set_xlabel(f"{metric.heading}: {metric.reading}" if metric.reading else metric.heading)
    axes.figure.legend(*axes.get_legend_handles_labels(), loc="outside upper right", ncols=2)


def history_figures(history: dict[str, pd.DataFrame]) -> list[tuple[str, str]]:
    """For each quantity that training logged: its name, and its curves (SVG data URI).

    ``history`` maps a feature type to the table that Lightning's CSVLogger wrote: ``epoch`` (from
    0; drawn from 1, as the log counts) and columns ``train/...`` (dashed) and ``validation/...``
    (solid), NaN where nothing was logged. The name says where training has no curve.
    """
    columns = [c for table in history.values() for c in table if c.startswith(("train/", "valid"))]
    quantities = in_order([c.split("/", 1)[1] for c in columns], ["loss"])
    alone = {
        name: "" if f"train/{name}" in columns else " (validation only)" for name in quantities
    }
    return [(n + alone[n], svg_uri((4.4, 2.6), _draw_curves, n, history)) for n in quantities]


def _draw_curves(axes: Axes, quantity: str, history: dict[str, pd.DataFrame]):
    for one in in_order(history, FEATURE_LABELS):
        for phase, line in (("train", "--"), ("validation", "-")):
            column = f"{phase}/{quantity}"
            if column in history[one]:
                curve = history[one][["epoch", column]].dropna()
                label = f"{feature_label(one)}, {phase}"
                style = {"color": _colour(one), "linestyle": line, "marker": ".", "markersize": 4}
                axes.plot(curve["epoch"] + 1, curve[column], label=label, **style)
    axes.set_xlabel("epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)


def _colour(feature_type: str) -> str:
    return COLOURS.get(feature_type, OTHER_COLOUR)


def svg_uri(size: tuple[float, float], draw: Callable[..., None], *what) -> str:
    """``draw(axes, *what)`` on axes of ``size`` (inches), without dates, in the page's ink."""
    target = io.StringIO()
    with rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained", facecolor="none")
        axes = figure.subplots()
        axes.set_facecolor("none")
        draw(axes, *what)
        metadata = {"Date": None, "Creator": None}
        figure.savefig(target, format="svg", metadata=metadata, dpi=150, facecolor="none")
    svg = re.sub(r' d="[^"]*"', _shortened, target.getvalue()).replace(INK, "var(--ink)")
    svg = svg.replace('<style type="text/css">', f'<style type="text/css">{_INK_CSS}', 1)
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode("ascii")


def _shortened(outline: re.Match) -> str:
    """An outline in tenths of a point: enough for a screen, and a brain has many."""
    return re.sub(r"(\.\d)\d+", r"\1", outline[0])
