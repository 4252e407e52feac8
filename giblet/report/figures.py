"""Figures of scores and of training."""

import re
import textwrap
from collections.abc import Mapping
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from giblet.audio.feature_types import FEATURE_TYPES
from giblet.audio.metrics.metric import Metric
from giblet.audio.metrics.table import FEATURES, METRICS, metric_of
from giblet.report.pictures import Picture, ink
from giblet.report.systems import FEATURE_LABELS, SYSTEMS, feature_label, system_label
from giblet.report.tables import in_order, is_repeated

PALETTE = ("#1b82c5", "#D55E00", "#CC79A7", "#E69F00")  # Okabe & Ito, for the colour-blind
COLOURS = dict(zip(FEATURE_TYPES, PALETTE, strict=False))
OTHER_COLOUR = "#009E73"
NULL = "brain_shuffled"
BY_SOUND = ("identification_sound_10way", "identification_sound_2way")
RING_RISE = 0.4  # of the height of a row: rings stay apart from the dot of their mean
SYSTEM_LETTERS = 24  # in a line beside an axis
LABEL_LETTERS = 28  # in a line under an axis, of a figure 89 mm wide
CURVES = {  # quantity that training logs: its name
    "loss": "weighted sum of all losses",
    "audio": "sound, as features",
    "codes": "sound, as codes",
    "sound": "sound, as it is heard",
    "video": "video",
    "text": "words",
    "score": "notes",
    "bold": "BOLD",
    "kl": "KL of the bottleneck",
}
UNITS_OF_CURVES = {"loss": "weighted sum", "kl": "nats", "sound": "loss; 1: silence"}
RELATIVE = "loss; 1: training mean"
PHASES = {"train": "training", "validation": "validation"}


def score_figures(
    scores: pd.DataFrame, simulated: bool, by_subject: pd.DataFrame | None = None
) -> list[Picture]:
    """Dots with intervals, for each metric but bitrates and p-values.

    ``scores`` has ``path column metric value low high n n_failed``; feature types share a panel.
    ``by_subject`` has ``path column metric subject value``: small rings.
    """
    empty = pd.DataFrame(columns=["path", "column", "metric", "subject", "value"])
    by_subject = empty if by_subject is None else by_subject
    figures = []
    for name in in_order(scores["metric"], METRICS):
        metric = metric_of(name)
        if metric.applies_to == FEATURES or metric.is_p:
            continue
        part = scores[(scores["metric"] == name) & ~is_repeated(scores)]
        columns, types = in_order(part["column"], SYSTEMS), part["path"].unique()
        one_type = str(types[0]) if len(types) == 1 else None
        names = [system_label(c, simulated, one_type if c == "codec" else None) for c in columns]
        labels = [textwrap.fill(name, SYSTEM_LETTERS) for name in names]
        size = (4.4, 0.9 + 0.42 * len(columns))
        rings = by_subject[by_subject["metric"] == name]
        draw = partial(_draw_dots, name=name, part=part, columns=columns, labels=labels)
        draw = partial(draw, rings=rings)
        note = _note(part, metric, simulated, bool(len(rings)))
        table = pd.concat([part, rings]) if len(rings) else part
        picture = Picture(f"score_{name}", metric.heading, draw, size, table, note)
        figures.append(picture)
    return figures


def _note(part: pd.DataFrame, metric: Metric, simulated: bool, with_rings: bool) -> str:
    """What the marks of a figure are; the range of n, of scores that have a value."""
    counted = part.loc[part["value"].notna(), "n"]
    low, high = counted.min(), counted.max()
    counts = f"{low:.0f}" if low == high else f"{low:.0f} to {high:.0f}"
    over = f"over {counts} {metric.counted or 'moments'}" if len(counted) else "(no values)"
    parts = [f"Value and 95 % bootstrap interval {over}"]
    parts += ["band: interval of shuffled BOLD"] * (NULL in part["column"].values)
    parts += ["dashed: chance"] * (metric.chance is not None)
    parts += ["rings: single subjects"] * with_rings
    simulation = " Brain and encoding scores come from SIMULATED brains." * simulated
    return f"{'; '.join(parts)}.{simulation}"


def shown_first(figures: list[Picture]) -> list[Picture]:
    """Of `score_figures`: STOI, log-mel distance, and clips identified by sound, of ten or two."""
    by_name = {one.name: one for one in figures}
    by_sound = [f"score_{name}" for name in BY_SOUND if f"score_{name}" in by_name][:1]
    names = ["score_stoi", "score_log_mel_db", *by_sound]
    return [by_name[name] for name in names if name in by_name]


def _draw_dots(
    axes: Axes,
    name: str,
    part: pd.DataFrame,
    columns: list[str],
    labels: list[str],
    rings: pd.DataFrame,
) -> None:
    """Dots with intervals: a group per column, a dot per feature type, in the order of the tables.

    A band as wide as the interval of shuffled BOLD; a line at chance; ``rings`` for subjects,
    above the line of their mean.
    """
    feature_types, metric = in_order(part["path"], FEATURE_LABELS), metric_of(name)
    height = 0.7 / len(feature_types)
    for i, one in enumerate(feature_types):
        rows = part[part["path"] == one].set_index("column").reindex(columns)
        y = np.arange(len(columns)) + (i - (len(feature_types) - 1) / 2) * height
        axes.plot(rows["value"], y, "o", color=_colour(one), label=feature_label(one))
        for place, column in zip(y, columns, strict=True):
            single = rings[(rings["path"] == one) & (rings["column"] == column)]["value"]
            style = {"color": _colour(one), "fillstyle": "none", "markersize": 4}
            above = np.full(len(single), place - RING_RISE * height)
            axes.plot(single, above, "o", **style)
        axes.hlines(y, rows["low"], rows["high"], color=_colour(one), linewidth=2)
        if NULL in columns and np.isfinite(rows.loc[NULL, ["low", "high"]].astype(float)).all():
            axes.axvspan(*rows.loc[NULL, ["low", "high"]], color=_colour(one), alpha=0.12)
        for missing in y[rows["value"].isna() & rows["n"].notna()]:
            place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
            axes.annotate("–", (0, missing), (4, 0), va="center", **place)
    if metric.chance is not None:
        axes.axvline(metric.chance, color=ink(), linewidth=0.8, linestyle="--")
    axes.set_yticks(np.arange(len(columns)), labels)
    axes.set_ylim(len(columns) - 0.5, -0.5)
    lines = [*textwrap.wrap(metric.heading, LABEL_LETTERS), metric.reading]
    axes.set_xlabel("\n".join(filter(None, lines)))
    axes.figure.legend(*axes.get_legend_handles_labels(), loc="outside upper right", ncols=2)


def history_figures(
    history: Mapping[str, pd.DataFrame], simulated: bool, best: Mapping[str, int] | None = None
) -> list[Picture]:
    """Curves of each quantity that training logged, with a line at the epoch that was kept.

    ``history`` maps a feature type to the table that Lightning's CSVLogger wrote: ``epoch`` (from
    0; drawn from 1, as the log counts) and columns ``train/...`` (dashed) and ``validation/...``
    (solid), NaN where nothing was logged. The title has the quantity's name in words and in the
    log, and says where training has no curve.
    ``best``: feature type → epoch that was kept, from 0.
    """
    columns = [c for table in history.values() for c in table if c.startswith(("train/", "valid"))]
    quantities = in_order([c.split("/", 1)[1] for c in columns], ["loss"])
    alone = {name: "" if f"train/{name}" in columns else "; validation only" for name in quantities}
    titles = {name: f"{curve_label(name)}{alone[name]}" for name in quantities}
    return [_history_figure(n, titles[n], history, simulated, best or {}) for n in quantities]


def curve_label(quantity: str) -> str:
    """A quantity that training logs in words, with its name in the log.

    >>> curve_label("text"), curve_label("bold"), curve_label("smell")
    ('Words (text)', 'BOLD', 'smell')
    """
    if quantity not in CURVES:
        return quantity
    words = CURVES[quantity]
    in_log = "" if words.lower() == quantity else f" ({quantity})"
    return f"{words[0].upper()}{words[1:]}{in_log}"


def _history_figure(
    quantity: str,
    title: str,
    history: Mapping[str, pd.DataFrame],
    simulated: bool,
    best: Mapping[str, int],
) -> Picture:
    columns = ["epoch", f"train/{quantity}", f"validation/{quantity}"]
    parts = [
        table[[c for c in columns if c in table]].assign(feature_type=one)
        for one, table in history.items()
    ]
    draw = partial(_draw_curves, quantity=quantity, history=history, best=best)
    name = "training_" + re.sub(r"\W+", "_", quantity)
    kind = " (simulated)" if simulated and quantity.startswith("bold") else ""
    note = "By epoch; training dashed, validation solid; dotted: the best epoch, which was kept."
    return Picture(name, title + kind, draw, (4.4, 2.6), pd.concat(parts), note)


def _draw_curves(
    axes: Axes, quantity: str, history: Mapping[str, pd.DataFrame], best: Mapping[str, int]
) -> None:
    for one in in_order(history, FEATURE_LABELS):
        if one in best and any(column.endswith(f"/{quantity}") for column in history[one]):
            axes.axvline(best[one] + 1, color=_colour(one), linewidth=1, linestyle=":")
        for phase, line in zip(PHASES, ("--", "-"), strict=True):
            column = f"{phase}/{quantity}"
            if column in history[one]:
                curve = history[one][["epoch", column]].dropna()
                label = f"{feature_label(one)}, {PHASES[phase]}"
                style = {"color": _colour(one), "linestyle": line, "marker": "."}
                axes.plot(curve["epoch"] + 1, curve[column], label=label, **style)
    axes.set_xlabel("epoch")
    axes.set_ylabel(UNITS_OF_CURVES.get(quantity, RELATIVE))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)


def _colour(feature_type: str) -> str:
    return COLOURS.get(feature_type, OTHER_COLOUR)
