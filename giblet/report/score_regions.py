"""The score by region: the feature spaces that a region follows, and what is lost without it."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from giblet.music.note_metrics import LATENTS, NOTES, SCORE_METRICS
from giblet.music.score_trs import SPACES
from giblet.report.extras import Extras, TextTable
from giblet.report.page_text import isolated
from giblet.report.scan_quality import (
    BANDS,
    MOST_REGIONS,
    WHOLE_BRAIN,
    BrainResults,
    mean_of,
    places_of,
)
from giblet.report.systems import FEATURE_LABELS, feature_label
from giblet.report.tables import in_order, number

UNIQUE = "unique_"
OF_SCORE = [f"score_{space}" for space in SPACES]
_INTACT = "intact"
_SILENCED = {"silenced": "zeroed", "alone": "all else zeroed", "random": "as many at random"}


def score_bands(brain: BrainResults | None) -> list[str]:
    """Bands of ridge regression with unique variance, those of the score first; without such none.

    Layers of audio and language models are bands, too.
    """
    if brain is None:
        return []
    names = [str(name) for name in brain.quality if str(name).startswith(UNIQUE)]
    bands = [name.removeprefix(UNIQUE) for name in names if "subject" in brain.quality[name].dims]
    return in_order(bands, OF_SCORE) if set(OF_SCORE) & set(bands) else []


def band_table(
    brain: BrainResults, atlas: Mapping[str, np.ndarray], simulated: bool
) -> TextTable | None:
    """Unique variance of every band by region, and the largest; None without bands.

    Of the largest band also the number of subjects in whom it is the largest, and its range over
    subjects. The ``MOST_REGIONS`` regions with most are shown; those of one band stand together.
    The whole brain is last. ``atlas``: region → (n_voxels,) bool.
    """
    if not (bands := score_bands(brain)):
        return None
    quality = brain.quality
    every = np.ones(quality[UNIQUE + bands[0]].shape[-1], bool)
    rows = [_region(quality, bands, name, inside) for name, inside in atlas.items()]
    rows = [row for row in rows if row["n"]]
    rows = sorted(rows, key=lambda row: -row["most"])[:MOST_REGIONS]
    rows.sort(key=lambda row: row["band"])  # keeps the order within a band
    rows.append(_region(quality, bands, WHOLE_BRAIN, every))
    places = places_of(quality)
    counted = [] if places == "parcels" else [places]
    header = [
        "Region",
        *counted,
        *map(_label, bands),
        *("Largest", "In subjects", "Range over subjects"),
    ]
    texts = [
        [row["region"], *([number(row["n"], 0)] * len(counted))]
        + [number(value, 3) for value in row["values"]]
        + ([_label(bands[row["band"]]), *row["subjects"]] if row["most"] > 0 else ["none", "", ""])
        for row in rows
    ]
    kind = " (simulated brains)" if simulated else ""
    return TextTable(f"Unique variance by region, R² of held-out TRs{kind}", header, texts)


def _region(quality: xr.Dataset, bands: list[str], region: str, inside: np.ndarray) -> dict:
    maps = [quality[UNIQUE + band].values[:, inside] for band in bands]  # (n_subjects, n_inside)
    values = [mean_of(one) for one in maps]
    band = int(np.nanargmax(values)) if np.isfinite(values).any() else 0
    by_subject = np.array([[mean_of(one) for one in subjects] for subjects in maps])
    own = by_subject[band]
    return {
        "region": region,
        "n": int(np.isfinite(maps[0]).any(axis=0).sum()),
        "values": values,
        "band": band,
        "most": values[band],
        "subjects": [
            f"{(own >= by_subject.max(axis=0)).sum()} of {len(own)}",
            f"{number(own.min(), 3)} to {number(own.max(), 3)}",
        ],
    }


def _label(band: str) -> str:
    """A band as a heading; ``score, `` is what the section is about.

    >>> _label("score_metre"), _label("mel")
    ('beat and bar', 'sound (mel)')
    """
    return BANDS.get(band, band).removeprefix("score, ")


def lesion_tables(extras: Extras, simulated: bool) -> list[TextTable]:
    """The score after lesions: a row a region and mode, of notes and of the levels."""
    kind, tables = " (simulated brains)" if simulated else "", []
    for one in in_order(extras.lesions, FEATURE_LABELS):
        table = extras.lesions[one].assign(level=extras.lesions[one].get("level", ""))
        table = table.fillna({"level": ""})
        for what, of in (("notes", NOTES), ("levels", LATENTS)):
            names = [name for name, metric in SCORE_METRICS.items() if metric.applies_to == of]
            part = table[table["metric"].isin(names)]
            if len(part):
                caption = f"Lesions: regions zeroed, {what} of {feature_label(one)}{kind}"
                header = ["", *(SCORE_METRICS[name].label for name in names)]
                tables.append(TextTable(caption, header, _changes(part, names)))
    return tables


def _changes(part: pd.DataFrame, names: list[str]) -> list[list[str]]:
    """Of each level the intact brain, then value, change and its interval after each lesion."""
    rows = []
    for level, same in part.groupby("level", sort=False):
        prefix = f"{level}: " if level else ""
        intact = same.drop_duplicates("metric").set_index("metric")["intact"]
        rows.append([prefix + _INTACT, *(number(intact.get(name, np.nan), 2) for name in names)])
        for (region, mode), lesion in same.groupby(["region", "mode"], sort=False):
            cells = lesion.set_index("metric")
            label = f"{prefix}{isolated(region)}, {_SILENCED.get(mode, mode)}"
            rows.append([label, *(_cell(cells, name) for name in names)])
    return rows


def _cell(cells: pd.DataFrame, name: str) -> str:
    """Value, change and its interval, if there is one."""
    if name not in cells.index:
        return ""
    row = cells.loc[name]
    value, change, low, high = (number(row[k], 2) for k in ("value", "change", "low", "high"))
    interval = f" [{low}, {high}]" if np.isfinite(row["low"]) else ""
    return f"{value}; {change}{interval}"
