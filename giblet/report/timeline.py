"""What was there when: parts, runs, words and movement along the film."""

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from giblet.report.figures import INK, OTHER_COLOUR, svg_uri
from giblet.report.tables import in_order
from giblet.timing import tr_onsets, volumes_to_trs

PART_COLOURS = {"train": "#1b82c5", "validation": "#E69F00", "test": "#D55E00", "gap": "#9aa5b1"}


def timeline_table(aligned: xr.Dataset) -> pd.DataFrame:
    """A row a TR: ``start`` and ``end`` (s of film), ``part``, ``run``, and ``words`` where any."""
    columns = {
        "start": aligned["start_time"].values,
        "end": aligned["end_time"].values,
        "part": aligned["part"].values.astype(str),
        "run": aligned["run"].values.astype(str),
    }
    if "n_words" in aligned:
        columns["words"] = aligned["n_words"].values
    return pd.DataFrame(columns)


def missing_volumes(scans: xr.Dataset) -> pd.DataFrame:
    """The TRs of film of which somebody has no volume: ``start``, ``end`` (s), ``n_missing``.

    ``scans``: what ``giblet.bold.load_bids`` has along ``volume``. Volumes are missing where they
    were dropped, being not steady, and where nobody took them; up to the last TR that somebody has.
    """
    trs = volumes_to_trs(scans["film_time"].values, float(scans.attrs["t_r"]))
    subjects, who = np.unique(scans["subject"].values.astype(str), return_inverse=True)
    inside = scans["in_film"].values & (trs >= 0)
    n_trs = int(trs[inside].max(initial=-1)) + 1
    present = np.zeros((len(subjects), n_trs), dtype=bool)
    present[who[inside], trs[inside]] = True
    edges = tr_onsets(n_trs + 1, float(scans.attrs["t_r"]))
    columns = {"start": edges[:-1], "end": edges[1:], "n_missing": (~present).sum(axis=0)}
    return pd.DataFrame(columns).query("n_missing > 0")


def timeline_figure(table: pd.DataFrame, missing: pd.DataFrame | None = None) -> str:
    """The film from left to right, as SVG data URI: parts, runs, words per TR, missing volumes."""
    return svg_uri((9.0, 2.2), _draw, table, missing)


def _draw(axes: Axes, table: pd.DataFrame, missing: pd.DataFrame | None) -> None:
    lanes = ["part", *(["run"] if table["run"].nunique() > 1 else [])]
    for lane, column in enumerate(lanes):
        for k, name in enumerate(in_order(table[column], PART_COLOURS)):
            rows = table[table[column] == name]
            colour = PART_COLOURS.get(name, OTHER_COLOUR)
            spans = list(zip(rows["start"], rows["end"] - rows["start"], strict=True))
            alpha = 1.0 if name in PART_COLOURS else (0.45 if k % 2 else 0.9)
            label = name if column == "part" else None
            axes.broken_barh(spans, (-lane - 0.4, 0.8), facecolors=colour, alpha=alpha, label=label)
    if "words" in table:
        middle, most = (table["start"] + table["end"]) / 2, max(float(table["words"].max()), 1.0)
        height = 0.8 * table["words"] / most
        width = (table["end"] - table["start"]).median()
        axes.bar(middle, height, width, bottom=-len(lanes) - 0.4, color=INK)
        lanes.append("words")
    if missing is not None and len(missing):
        spans = list(zip(missing["start"], missing["end"] - missing["start"], strict=True))
        place = (-len(lanes) - 0.4, 0.8)
        axes.broken_barh(spans, place, facecolors=OTHER_COLOUR, label="volumes missing")
        lanes.append("missing")
    axes.set_yticks(-np.arange(len(lanes)), lanes)
    axes.set_ylim(-len(lanes) + 0.5, 0.5)
    axes.set_xlabel("seconds of film")
    axes.figure.legend(*axes.get_legend_handles_labels(), loc="outside upper right", ncols=4)


def missing_sentence(missing: pd.DataFrame) -> str:
    """The same in words; nothing where no volume is missing.

    >>> missing_sentence(pd.DataFrame({"start": [0.0], "end": [1.5], "n_missing": [2]}))
    'Volumes are missing in 1 TRs, of up to 2 subjects: dropped as not steady, or not taken.'
    """
    if missing.empty:
        return ""
    return (
        f"Volumes are missing in {len(missing)} TRs, of up to {missing['n_missing'].max()} "
        "subjects: dropped as not steady, or not taken."
    )


def timeline_sentence(table: pd.DataFrame) -> str:
    """The same in words.

    >>> timeline_sentence(pd.DataFrame({"start": [0.0], "end": [2.0], "part": ["test"],
    ...                                 "run": ["a"], "words": [0.0]}))
    '1 TRs from 0.0 to 2.0 s of film: 1 test; 1 run; words in 0 TRs.'
    """
    counts = table["part"].value_counts()
    parts = ", ".join(f"{counts[name]} {name}" for name in in_order(counts.index, PART_COLOURS))
    runs = table["run"].nunique()
    words = "; no words were given"
    if "words" in table:
        words = f"; words in {int((table['words'] > 0).sum())} TRs"
    return (
        f"{len(table)} TRs from {table['start'].min():.1f} to {table['end'].max():.1f} s of film: "
        f"{parts}; {runs} run{'s' if runs > 1 else ''}{words}."
    )
