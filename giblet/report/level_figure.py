"""Which level of the sound, or of words, the brain follows: a figure, and a table of regions."""

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from giblet.io.tables import split_values
from giblet.report.brain_figures import short
from giblet.report.extras import TextTable
from giblet.report.material import Material
from giblet.report.pictures import Picture, ink
from giblet.report.tables import in_order, number
from giblet.stats.level_encoding import RELIABLE, peak_levels

MOST_REGIONS = 3  # drawn beside the voxels that agree most
MOST_LABELS = 40  # of levels
SPACES = {
    "sound": "whole sound",
    "codebook": "codebook alone",
    "cumulated": "codebooks up to",
    "kind": "kind of codebook",
    "sound_model": "layers of the sound model",
    "picture_model": "layers of the picture model",
    "word_model": "spaces of the word model",
    "film": "pictures and words",
    "score": "music's score",
}
_OF_SOUND = ("sound", "codebook", "cumulated", "kind", "sound_model")
_NAMES = {"text": "words", "n_words": "number of words"}  # of levels
_VALUE, _REGIONS = "#1b82c5", ("#D55E00", "#CC79A7", "#009E73")
_PANELS = {"r": "r", "unique": "unique\nvariance", "identification_10way": "10-way\nidentification"}


def level_figure(levels: pd.DataFrame | None, simulated: bool) -> Picture | None:
    """Levels from left to right; above each other r, unique variance and identification.

    ``levels``: table of `giblet.evaluation.level_scores.level_profile`; None gives None.
    """
    if levels is None or levels.empty:
        return None
    regions = _drawn_regions(levels)
    table = _placed(levels[levels["region"].isin([RELIABLE, *regions])])
    title = f"Which level of the {_stimulus(levels)} the brain follows"
    title += " (simulated brains)" * simulated
    n = int(levels["n_subjects"].max())
    note = (
        f"Held-out TRs, {region_label(RELIABLE)}: mean over {n} subjects, 95 % interval over "
        "subjects (Student's t). Grey bands: 95 % of circular shifts by 16 s or more; dashes: "
        "noise ceiling; dots: chance. Unique variance: R² of all levels of a space minus that of "
        "all others. Neighbouring levels are alike: read the peak as plus or minus one level."
    )
    if regions:
        note += " Dots in other colours: the regions of highest r."
    if any(len(split_values(cell)) > 1 for cell in table.get("r_by_subject", [])):
        note += " Small dots beside a value: single subjects."
    size = (6.4, 5.2)
    draw = partial(draw_levels, table=table, regions=regions)
    return Picture("levels", title, draw, size, table.drop(columns="place"), note)


def _stimulus(levels: pd.DataFrame) -> str:
    """What the levels are of: without a film there are words alone.

    >>> _stimulus(pd.DataFrame({"space": ["film", "word_model"]}))
    'words'
    """
    return "sound" if levels["space"].isin(_OF_SOUND).any() else "words"


def _drawn_regions(levels: pd.DataFrame) -> list[str]:
    """Regions with the highest mean r."""
    means = levels[levels["region"] != RELIABLE].groupby("region", sort=False)["r"].mean()
    return means.nlargest(MOST_REGIONS).index.tolist()


def _placed(levels: pd.DataFrame) -> pd.DataFrame:
    """``levels`` in the order of the figure, with ``place`` on its axis: a gap between spaces."""
    spaces = in_order(levels["space"], SPACES)
    pairs = levels[["space", "level"]].drop_duplicates()
    places, here = {}, 0.0
    for space in spaces:
        for level in pairs.loc[pairs["space"] == space, "level"]:
            places[space, level] = here
            here += 1
        here += 1
    keys = zip(levels["space"], levels["level"], strict=True)
    placed = levels.assign(place=[places[key] for key in keys])
    return placed.sort_values(["region", "place"], kind="stable")


def draw_levels(axes: Axes, table: pd.DataFrame, regions: list[str]) -> None:
    """``table``: rows of a profile with ``place``; ``regions``: drawn beside `RELIABLE`."""
    figure = axes.figure
    axes.remove()
    panels = figure.subplots(len(_PANELS), 1, sharex=True, height_ratios=(1.6, 1, 1))
    own = table[table["region"] == RELIABLE]
    for panel, (score, label) in zip(panels, _PANELS.items(), strict=True):
        panel.set_facecolor("none")
        panel.set_ylabel(label)
        for _space, part in own.groupby("space", sort=False):
            _draw_space(panel, part, score)
        for region, colour in zip(regions, _REGIONS, strict=False):
            rows = table[table["region"] == region]
            style = {"color": colour, "markersize": 2.5, "label": short(region_label(region))}
            panel.plot(rows["place"], rows[score], "o", **style)
        chance = 0.1 if score.startswith("identification") else 0.0
        panel.axhline(chance, color=ink(), linewidth=0.6, linestyle=":")
    if own["ceiling"].notna().any():
        style = {"color": ink(), "linewidth": 0.8, "linestyle": "--", "label": "noise ceiling"}
        panels[0].axhline(own["ceiling"].iloc[0], **style)
    _label_levels(panels[0], panels[-1], own)
    handles, labels = panels[0].get_legend_handles_labels()
    of_label = dict(zip(labels, handles, strict=True))
    figure.legend(of_label.values(), of_label, loc="outside upper right", ncols=3)


def _draw_space(panel: Axes, part: pd.DataFrame, score: str) -> None:
    place = part["place"].to_numpy(float)
    edges = np.concatenate([place - 0.4, place + 0.4]).reshape(2, -1)
    for left, right, low, high in zip(
        *edges, part[f"{score}_null_low"], part[f"{score}_null_high"], strict=True
    ):
        panel.fill_between([left, right], low, high, color=ink(), alpha=0.15, linewidth=0)
    panel.vlines(place, part[f"{score}_low"], part[f"{score}_high"], color=_VALUE, linewidth=1.2)
    style = {"color": _VALUE, "linewidth": 0.8, "markersize": 4, "label": region_label(RELIABLE)}
    small = {"color": _VALUE, "alpha": 0.6, "markersize": 1.8}
    for x, cell in zip(place, part.get(f"{score}_by_subject", []), strict=False):
        if len(values := split_values(cell)) > 1:
            panel.plot(np.full(len(values), x + 0.2), values, "o", **small)
    panel.plot(place, part[score], "o-" if part["level"].str.isdigit().all() else "o", **style)


def _label_levels(first: Axes, panel: Axes, own: pd.DataFrame) -> None:
    """Ticks of levels below the last ``panel``, and the spaces above the first."""
    step = -(-len(own) // MOST_LABELS)
    named = ~own["level"].str.isdigit()
    counted = own["level"].where(~named, "1").astype(int) % step == 1 % step
    shown = own[named | counted]
    texts = shown["level"].replace(_NAMES).str.replace("layer_", "")
    panel.set_xticks(shown["place"], texts)
    for text, level in zip(panel.get_xticklabels(), texts, strict=True):
        text.set_rotation(0 if len(level) < 3 else 90)
    for space, part in own.groupby("space", sort=False):
        middle = (part["place"].min() + part["place"].max()) / 2
        where = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        label = SPACES.get(str(space), str(space)).replace(" ", "\n", 1)
        first.annotate(label, (middle, 1), (0, 4), ha="center", va="bottom", **where)


def region_label(region: str) -> str:
    """A region in words.

    >>> region_label("auditory"), region_label("reliable")
    ('auditory', 'voxels of highest ISC')
    """
    return "voxels of highest ISC" if region == RELIABLE else region


def level_name(level: str) -> str:
    """
    >>> level_name("layer_8"), level_name("latents"), level_name("n_words")
    ('layer 8', 'latents', 'number of words')
    """
    return _NAMES.get(level, level).replace("layer_", "layer ")


def level_section(material: Material) -> dict:
    """Variables of the section; ``material.extras.levels`` is there."""
    levels, simulated = material.extras.levels, material.simulated
    assert levels is not None
    kind = " (simulated brains)" if simulated else ""
    return {
        "heading": f"Which level of the {_stimulus(levels)}?" + kind,
        "has_sound": _stimulus(levels) == "sound",
        "picture": level_figure(levels, simulated),
        "tables": [_peaks(levels, kind), _whole(levels, kind)],
    }


def _peaks(levels: pd.DataFrame, kind: str) -> TextTable:
    """A row per region and space of several levels: those of largest r and unique variance."""
    unique = peak_levels(levels, "unique").set_index(["region", "space"])
    rows = []
    for row in peak_levels(levels).itertuples():
        cells = [SPACES.get(row.space, row.space), level_name(row.level), _score(row, "r", 3)]
        cells.append(number(row.ceiling_share, 2))
        key = (row.region, row.space)
        other = unique.loc[[key]].iloc[0] if key in unique.index else None
        named = "–" if other is None else level_name(other["level"])
        cells += [named, "–" if other is None else _cell(other, "unique", 4)]
        rows.append([region_label(row.region), *cells])
    caption = f"The level with the largest score{kind}; p: one-sided, not corrected for the levels"
    header = ["Region", "Space", "Largest r", "r", "Share of ceiling"]
    return TextTable(caption, [*header, "Largest unique variance", "Unique variance"], rows)


def _whole(levels: pd.DataFrame, kind: str) -> TextTable:
    """Mel, latents, bottleneck, video and words, region by region."""
    identified = [f"identification_{n}way" for n in (10, 2)]
    rows = []
    for row in levels[levels["space"].isin(["sound", "film"])].itertuples():
        cells = [region_label(row.region), level_name(row.level), _score(row, "r", 3)]
        cells.append(number(row.ceiling_share, 2))
        rows.append(cells + [_score(row, score, 3) for score in identified])
    header = ["Region", "Level", "r", "Share of ceiling", "10-way", "2-way"]
    caption = "The whole sound (mel, latents of all codebooks, bottleneck), pictures and words"
    return TextTable(caption + kind, header, rows)


def _score(row, score: str, decimals: int) -> str:
    return _cell(row._asdict(), score, decimals)


def _cell(row, score: str, decimals: int) -> str:
    """Value, interval over subjects, and p where there is one."""
    if not np.isfinite(row[score]):
        return "–"
    low, high = (number(row[f"{score}_{end}"], decimals) for end in ("low", "high"))
    interval = f" [{low}, {high}]" if np.isfinite(row[f"{score}_low"]) else ""
    p = f", p {number(row[f'{score}_p'], 3)}" if f"{score}_p" in row else ""
    return f"{number(row[score], decimals)}{interval}{p}"
