"""The null distribution of identification: a histogram per test, with the observed value."""

import textwrap
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from giblet.audio.metrics.table import METRICS, metric_of
from giblet.report.extras import TextTable
from giblet.report.pictures import Picture, ink
from giblet.report.systems import FEATURE_LABELS, SYSTEMS, feature_label, system_label
from giblet.report.tables import in_order, is_lowest_p, number, p_text

SHOWN = ("brain", "brain_group")
N_BINS = 40
LABEL_LETTERS = 11  # in a line beside the axis
_VALUE = "#1b82c5"


def null_of(permutations: pd.DataFrame | None, path: str, column: str, metric: str) -> pd.DataFrame:
    """Rows of one test, by percentile; none where it is unknown."""
    if permutations is None:
        return pd.DataFrame(columns=["percentile", "value", "observed", "p", "n_permutations"])
    here = (permutations["path"] == path) & (permutations["column"] == column)
    rows = permutations[here & (permutations["metric"] == metric)]
    return rows.sort_values("percentile")


def null_range(rows: pd.DataFrame) -> tuple[float, float]:
    """2.5 and 97.5 % of the null of a test (`null_of`); NaN where it is unknown.

    >>> table = pd.DataFrame({"percentile": range(101), "value": np.arange(101) / 100})
    >>> null_range(table)
    (0.025, 0.975)
    """
    if rows.empty:
        return np.nan, np.nan
    low, high = np.interp([2.5, 97.5], rows["percentile"], rows["value"])
    return round(float(low), 6), round(float(high), 6)


def p_sentence(rows: pd.DataFrame) -> str:
    """p and the number of permutations of a test (`null_of`); empty where it is unknown.

    >>> p_sentence(pd.DataFrame({"p": [0.001], "n_permutations": [999]}))
    'p ≤ 0.001 of 999 permutations of the clips'
    """
    if rows.empty:
        return ""
    p, n = float(rows["p"].iloc[0]), int(rows["n_permutations"].iloc[0])
    sign = "≤" if is_lowest_p(p, n) else "="
    return f"p {sign} {number(p, 3)} of {n:,} permutations of the clips"


def permutation_figure(permutations: pd.DataFrame | None, simulated: bool) -> Picture | None:
    """A row per test: the null as a histogram, the observed value as a dot; None without tests."""
    tests = _tests(permutations, simulated)
    if permutations is None or not tests:
        return None
    title = "Identification and its null distribution" + " (simulated brains)" * simulated
    n = int(permutations["n_permutations"].max())
    note = (
        f"Grey: share of clips identified in {n:,} permutations of their order, the same for all "
        "subjects (mean over subjects); dot: observed; dotted: chance."
    )
    shown = pd.concat([rows for _, rows in tests])
    n_titles = len({name[:2] for name, _ in tests})
    size = (6.4, 0.9 + 0.45 * len(tests) + 0.3 * n_titles)
    draw = partial(draw_nulls, tests=tests, simulated=simulated)
    return Picture("permutations", title, draw, size, shown, note)


def _tests(
    permutations: pd.DataFrame | None, simulated: bool
) -> list[tuple[tuple[str, str, str], pd.DataFrame]]:
    """Feature type, metric and system in words, and rows by percentile of each test."""
    if permutations is None:
        return []
    table = permutations[permutations["column"].isin(SHOWN)]
    return [
        (
            (feature_label(path), metric_of(metric).label, system_label(column, simulated)),
            null_of(table, path, column, metric),
        )
        for path in in_order(table["path"], FEATURE_LABELS)
        for metric in in_order(table["metric"], METRICS)
        for column in in_order(table["column"], SYSTEMS)
        if len(null_of(table, path, column, metric))
    ]


def draw_nulls(
    axes: Axes, tests: list[tuple[tuple[str, str, str], pd.DataFrame]], simulated: bool
) -> None:
    """A histogram and a dot per test, the first at the top; a title per feature type and metric."""
    edges = np.linspace(0, 1, N_BINS + 1)
    bottom, title, places = 0.0, "", []
    for (path, metric, column), table in tests:
        own_title = f"{path}: {metric[0].lower()}{metric[1:]}"
        if own_title != title:
            title, bottom = own_title, bottom - 0.6
            axes.annotate(title[0].upper() + title[1:], (0, bottom), (4, 0),
                          textcoords="offset points")  # fmt: skip
        bottom -= 1
        places.append((bottom + 0.3, textwrap.fill(_short(column), LABEL_LETTERS)))
        levels = np.arange(0, 100.05, 0.1)  # evenly from the distribution function
        draws = np.interp(levels, table["percentile"], table["value"])
        height = np.histogram(draws, edges)[0].astype(float)
        height *= 0.75 / height.max()
        axes.stairs(bottom + height, edges, baseline=bottom, fill=True, color=ink(), alpha=0.3)
        chance = metric_of(str(table["metric"].iloc[0])).chance
        if chance is not None:
            axes.vlines(chance, bottom, bottom + 0.8, color=ink(), linewidth=0.8, linestyle=":")
        observed = float(table["observed"].iloc[0])
        axes.vlines(observed, bottom, bottom + 0.55, color=_VALUE, linewidth=1.5)
        axes.plot(observed, bottom + 0.55, "o", color=_VALUE, clip_on=False)
        p = p_text(table["p"].iloc[0], table["n_permutations"].iloc[0], 3)
        text = f"p {p}" if p.startswith("≤") else f"p = {p}"
        axes.annotate(text, (1, bottom + 0.3), (6, 0), textcoords="offset points",
                      va="center", annotation_clip=False)  # fmt: skip
    axes.set_yticks(*zip(*places, strict=True))
    axes.tick_params(axis="y", length=0)
    axes.set_xticks(np.linspace(0, 1, 5))
    label = "share of clips identified" + " (simulated brains)" * simulated
    axes.set(xlim=(0, 1), ylim=(bottom - 0.1, 0.1), xlabel=label)


def _short(system: str) -> str:
    """The end of a system's label, which the axis says the rest of.

    >>> _short("From BOLD, subjects together (simulated)"), _short("From BOLD (simulated)")
    ('subjects together', 'From BOLD')
    """
    return system.removesuffix(" (simulated)").split(", ")[-1]


def permutation_table(permutations: pd.DataFrame | None, simulated: bool) -> TextTable | None:
    """Observed value, the null's mean and 95 %, and p of every test; None without tests."""
    tests = _tests(permutations, simulated)
    if not tests:
        return None
    rows = []
    for (path, metric, column), table in tests:
        low, high = null_range(table)
        p, n = table["p"].iloc[0], table["n_permutations"].iloc[0]
        cells = [path, column, number(table["observed"].iloc[0], 3)]
        cells += [number(np.interp(50, table["percentile"], table["value"]), 3)]
        cells += [f"{number(low, 3)} to {number(high, 3)}", p_text(p, n)]
        rows.append([metric, *cells])
    caption = "Observed values and their nulls" + " (simulated brains)" * simulated
    header = ["Metric", "Features", "System", "Observed", "Null: median", "Null: 95 %", "p"]
    return TextTable(caption, header, rows)
