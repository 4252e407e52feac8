"""The quality of the scans in the report: a table, maps, and sentences on them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
import xarray as xr

from giblet.audio.feature_types import FEATURE_TYPES
from giblet.brain.cortex import vertex_counts
from giblet.brain.nifti import brain_affine, brain_volume
from giblet.brain.projection import space_caution
from giblet.film.modalities import MODALITIES
from giblet.music.score_trs import SPACES
from giblet.report.brain_maps import brain_view, why_no_map
from giblet.report.sentences import lag_sentence, no_discoveries_sentence, r2_sentence
from giblet.report.surface_maps import (
    VIEW_NOTE,
    drawn_mesh,
    maps_note,
    on_drawn_mesh,
    surface_view,
    why_no_mesh,
)
from giblet.report.tables import in_order, number
from giblet.stats.fold_intervals import fold_interval

LARGEST_Q = 0.05
SMALLEST_MEAN = 0.0005  # of r over voxels: below, it is printed as 0.000
MOST_REGIONS = 30  # of many parcels
MOST_LAYERS = 100  # of a pretrained model
MOST_MAPS = 8  # on the page; others are drawn in the folder of figures alone
WHOLE_BRAIN = "whole brain"
IN_REGIONS = ("isc", "r_")
SOUND = MODALITIES["audio"]  # the modality that has feature types
BANDS = (
    {one.name: f"{SOUND.label} ({one.label})" for one in FEATURE_TYPES.values()}
    | {one.name: one.label for one in MODALITIES.values() if one is not SOUND}
    | {"n_words": "number of words", "all": "all together"}
    | {f"score_{space}": f"score, {label}" for space, (label, _) in SPACES.items()}
    | {"word_model_prediction": "surprisal of words", "word_model_form": "form of words"}
    | {"word_model_vectors": "word vectors"}
    | {f"sound_model_layer_{n}": f"sound model, layer {n}" for n in range(MOST_LAYERS)}
    | {f"picture_model_layer_{n}": f"picture model, layer {n}" for n in range(MOST_LAYERS)}
    | {f"word_model_layer_{n}": f"language model, layer {n}" for n in range(MOST_LAYERS)}
)  # the main ones first: the page draws the first `MOST_MAPS` maps
RIDGE_READING = "of BOLD predicted in held-out blocks; chance 0, best 1"
# metric: label, how it is read, decimals
MEASURES = {
    "isc": ("Inter-subject correlation", "with the mean of the others; chance 0, best 1", 3),
    "ceiling_lower": ("Noise ceiling, lower bound", "r with the mean of the others", 3),
    "ceiling_upper": (
        "Noise ceiling, upper bound",
        "r with the group mean including self (1/√n = {alone} by chance)",
        3,
    ),
    "explainable_variance": ("Explainable variance", "share that subjects have in common", 3),
    "repeat_variance": ("Repeated variance", "share that repeats when a stimulus does", 3),
    "ceiling_single": ("Noise ceiling, one presentation", "largest r of a model with it", 3),
    "ceiling_repeats": ("Noise ceiling, mean of repeats", "largest r of a model with it", 3),
    "tsnr": ("Temporal SNR", "mean over standard deviation, before cleaning", 1),
    "framewise_displacement": ("Framewise displacement (mm)", "mean over volumes, 0 is best", 2),
    "moving_share": ("Moving volumes", "share with more than 0.5 mm framewise displacement", 3),
} | {f"r_{name}": (f"Ridge r: {label}", RIDGE_READING, 3) for name, label in BANDS.items()}
MEASURES["r_text"] = (
    MEASURES["r_text"][0],
    f"{RIDGE_READING}; hashed words (text_model) carry spelling, not meaning",
    3,
)


def measure_label(name: str) -> str:
    """A measure in words.

    >>> measure_label("isc"), measure_label("unique_n_words"), measure_label("r2_all")
    ('Inter-subject correlation', 'Unique variance: number of words', 'Ridge R²: all together')
    """
    if name in MEASURES:
        return MEASURES[name][0]
    for start, label in (("unique_", "Unique variance"), ("r2_", "Ridge R²")):
        if name.startswith(start):
            band = name.removeprefix(start)
            return f"{label}: {BANDS.get(band, band)}"
    return name


@dataclass(frozen=True)
class BrainResults:
    """The files of ``brain_quality``, and the coordinates of its voxels.

    quality : array set of ``giblet.evaluation.quality.brain_quality``
    summary : table of ``giblet.evaluation.quality.summary_table``
    space : the array set of ``giblet.brain.bold.load_bids`` without the series
    """

    quality: xr.Dataset
    summary: pd.DataFrame
    space: xr.Dataset

    @cached_property
    def means(self) -> dict[str, np.ndarray]:
        """What `subject_mean` has computed."""
        return {}


_MAPS_NOTE = (
    "Maximum along each line of sight, in the MNI brain. Left, back, right, top; L, R: left and "
    "right."
)
_VIEW_NOTE = (
    "Click or drag to move the slices, or use keys: arrows for left, right, front and back, page "
    "up and down for up and down, with shift five steps. The values of the maps above, on the MNI "
    "brain: those above a tenth of a map's largest. The maps above are for print."
)


@dataclass(frozen=True)
class BrainSection:
    """Content of the page's section on the scans.

    header, rows : a table; rows are label, reading, one text per name in ``header``
    lag : a sentence
    cautions : sentences on how not to read the table
    view : a viewer of the first map (label, HTML), if there is any
    view_maps : labels of the maps that the viewer shows
    further_maps : labels of those that the page does not draw
    no_maps : measures with coordinates but nothing to draw, and why
    answer : the table in one sentence
    on_surface : whether maps and view are of the cortex as a surface
    maps_note, view_note : how maps and view are read
    places : what was measured: voxels, parcels or vertices
    """

    header: list[str]
    rows: list[tuple[str, str, list[str]]]
    lag: str
    cautions: list[str]
    answer: str
    view: tuple[str, str] | None = None
    view_maps: list[str] = field(default_factory=list)
    further_maps: list[str] = field(default_factory=list)
    no_maps: list[str] = field(default_factory=list)
    on_surface: bool = False
    maps_note: str = _MAPS_NOTE
    view_note: str = _VIEW_NOTE
    places: str = "voxels"


def brain_section(results: BrainResults, n_shifts: int | None = None) -> BrainSection:
    """The section on the scans; without a view where coordinates of voxels are unknown.

    ``n_shifts``: nulls of ridge (``quality.n_shifts``), if known.
    """
    quality, summary = results.quality, results.summary
    rows = [_row(name, quality, summary) for name in MEASURES if name in quality]
    on_surface, view = vertex_counts(results.space.attrs) is not None, None
    names = main_maps(results)
    further = [MEASURES[name][0] for name in drawn_maps(results) if name not in names]
    if names:
        view = MEASURES[names[0]][0], _view(results, [subject_mean(results, n) for n in names])
    undetected, n_tested = _undetected(quality, summary)
    power = no_discoveries_sentence(undetected, places_of(quality), n_tested, n_shifts)
    cautions = list(filter(None, (power, r2_sentence(summary))))
    sentences = lag_sentence(quality), cautions, _answer(rows, quality)
    whys = {MEASURES[name][0]: why_not_drawn(results, name) for name in mapped(results)}
    no_maps = [f"{label}: {why}" for label, why in whys.items() if why]
    of_voxels = " ".join(filter(None, (_MAPS_NOTE, space_caution(results.space)))), _VIEW_NOTE
    notes = (maps_note(results.space), VIEW_NOTE) if on_surface else of_voxels
    of_view = [MEASURES[name][0] for name in (names[:1] if on_surface else names)]
    shown = (view, of_view, further, no_maps, on_surface, *notes, places_of(quality))
    return BrainSection(_header(quality), rows, *sentences, *shown)


def _view(results: BrainResults, maps: list[np.ndarray]) -> str:
    """A viewer of maps (n_voxels,), as an HTML page; of the cortex of the first alone."""
    space = results.space
    if vertex_counts(space.attrs) is not None:
        return surface_view(*on_drawn_mesh(maps[0], space), drawn_mesh(space))
    return brain_view([brain_volume(values, space) for values in maps], brain_affine(space))


def _header(quality: xr.Dataset) -> list[str]:
    places = places_of(quality)
    spread = [
        "Mean",
        "Lowest to highest subject",
        f"95th percentile of {places}",
    ]
    folds = [f"95 % interval over {n} folds"] if (n := quality.sizes.get("fold")) else []
    return [*spread, f"{places.capitalize()} at q < .05", *folds]


ONE = {"voxels": "voxel", "parcels": "parcel", "vertices": "vertex"}


def places_of(quality: xr.Dataset) -> str:
    """The name of what was measured: voxels, parcels or vertices; of a single one see `ONE`."""
    if "parcel" in quality.coords:
        return "parcels"
    return "vertices" if "vertex" in quality.coords else "voxels"


def _answer(rows: list[tuple[str, str, list[str]]], quality: xr.Dataset) -> str:
    """ISC and every ridge r, in the order of the table."""
    places = places_of(quality)
    values = [
        f"{label} {cells[0]}" + (f" (q < .05 in {cells[3]} of the {places})" if cells[3] else "")
        for label, _, cells in rows
        if label == MEASURES["isc"][0] or label.startswith("Ridge")
    ]
    if not values:
        return "neither inter-subject correlation nor ridge could be computed."
    n_places, n_subjects = (quality.sizes[k] for k in ("voxel", "subject"))
    of = f"means over {n_places:,} {places} and {n_subjects} subjects; chance is 0"
    return f"{'; '.join(values)} ({of})."


def _row(name: str, quality: xr.Dataset, summary: pd.DataFrame) -> tuple[str, str, list[str]]:
    label, reading, decimals = MEASURES[name]
    reading = reading.format(alone=number(quality.sizes["subject"] ** -0.5, 2))
    rows = summary[summary["metric"] == name]
    ends = [number(end, decimals) for end in (rows["mean"].min(), rows["mean"].max())]
    return (
        label,
        reading,
        [
            number(rows["mean"].mean(), decimals),
            " to ".join(ends) if len(rows) > 1 and rows["mean"].notna().any() else "",
            number(rows["p95"].mean(), decimals) if (rows["n"] > 1).any() else "",
            _significant(quality, name),
            *([_over_folds(quality, name, decimals)] if "fold" in quality.dims else []),
        ],
    )


def _over_folds(quality: xr.Dataset, name: str, decimals: int) -> str:
    """The interval of a measure's mean over folds; empty where it has none."""
    if f"fold_{name}" not in quality:
        return ""
    ends = fold_interval(quality[f"fold_{name}"].values)
    return " to ".join(number(float(end), decimals) for end in ends)


def _significant(quality: xr.Dataset, name: str) -> str:
    """Share of voxels at q < .05 among those that have a q; empty where none was computed."""
    if f"{name}_q" not in quality:
        return ""
    q = quality[f"{name}_q"].values
    tested = q[np.isfinite(q)]
    if not len(tested):
        return number(np.nan, 1)
    percent = 100 * (tested < LARGEST_Q).mean()
    return "none" if percent == 0 else "< 0.1 %" if percent < 0.05 else f"{percent:.1f} %"


def _undetected(quality: xr.Dataset, summary: pd.DataFrame) -> tuple[list[str], int]:
    """Bands whose mean r is above 0 while no voxel has q < .05; the number of voxels tested."""
    means, names, n_tested = summary.groupby("metric")["mean"].mean(), [], 0
    for name in (one for one in MEASURES if one.startswith("r_") and f"{one}_q" in quality):
        q = quality[f"{name}_q"].values
        n_tested = max(n_tested, int(np.isfinite(q).sum()))
        has_q = np.isfinite(q).any() and not (q < LARGEST_Q).any()
        if has_q and means.get(name, np.nan) >= SMALLEST_MEAN:
            names.append(MEASURES[name][0].removeprefix("Ridge r: "))
    return names, n_tested


def shown_regions(quality: xr.Dataset, regions: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """One row per region: its voxels, and means over them and subjects of ISC, ceiling and r.

    ``regions``: (n_voxels,) bool by name. Those with the highest ISC or first r come first, at
    most ``MOST_REGIONS``, and ``WHOLE_BRAIN`` last. Of parcels voxels are not counted. Its attrs
    have ``by_subject``: label of a measure → region → mean of each subject.
    """
    shown = [name for name in MEASURES if name in quality and name.startswith(IN_REGIONS)]
    rows = [
        {"Region": region}
        | ({} if places_of(quality) == "parcels" else {places_of(quality): int(inside.sum())})
        | {MEASURES[name][0]: mean_of(quality[name].values[..., inside]) for name in shown}
        for region, inside in regions.items()
    ]
    table = pd.DataFrame(rows)
    if not shown or table.empty:
        return table
    table = table.sort_values(MEASURES[shown[0]][0], ascending=False)
    last = table["Region"] == WHOLE_BRAIN
    table = pd.concat([table[~last][:MOST_REGIONS], table[last]])
    table.attrs["by_subject"] = {
        MEASURES[name][0]: {
            one: [mean_of(values) for values in quality[name].values[..., regions[one]]]
            for one in table["Region"]
        }
        for name in shown
        if "subject" in quality[name].dims
    }
    return table


def of_subjects(table: pd.DataFrame, label: str, region: str) -> list[float]:
    """Means of single subjects, of a table of `shown_regions`; empty where there are not two."""
    means = table.attrs.get("by_subject", {}).get(label, {}).get(region, [])
    known = [value for value in means if np.isfinite(value)]
    return known if len(known) > 1 else []


def region_rows(table: pd.DataFrame) -> list[list[str]]:
    """The rows of `shown_regions` as printed: mean, and the lowest and highest subject."""
    rows = []
    for row in table.to_dict("records"):
        cells = [row.pop("Region")]
        for label, value in row.items():
            ends = of_subjects(table, str(label), cells[0])
            spread = f" ({number(min(ends), 3)} to {number(max(ends), 3)})" if ends else ""
            cells.append(number(value, 0 if label in ONE else 3) + spread)
        rows.append(cells)
    return rows


def spread_note(rows: list[list[str]]) -> str:
    """What brackets in `region_rows` are; empty where there are none."""
    has_spread = any("(" in cell for row in rows for cell in row[1:])
    return "; in brackets: lowest to highest subject" if has_spread else ""


def mean_of(values: np.ndarray) -> float:
    """The mean of all values that there are; NaN where there is none."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else np.nan


def has_places(results: BrainResults) -> bool:
    """Whether the place of each voxel, parcel or vertex is known."""
    return "mask" in results.space or vertex_counts(results.space.attrs) is not None


def mapped(results: BrainResults) -> list[str]:
    """The measures that have a map: ISC, then every r; none where coordinates are unknown."""
    if not has_places(results):
        return []
    names = in_order([n for n in MEASURES if n == "isc" or n.startswith("r_")], ["isc"])
    return [name for name in names if name in results.quality]


def drawn_maps(results: BrainResults) -> list[str]:
    """The measures that have a map with values above 0, the main ones first."""
    return [name for name in mapped(results) if not why_not_drawn(results, name)]


def passes(results: BrainResults, name: str) -> bool:
    """Whether a map is above chance anywhere, at q < .05 or family-wise; True if it was not tested.

    A map that passes nowhere is drawn in blue-grey.
    """
    tests = [results.quality.get(f"{name}_{test}") for test in ("q", "p_max")]
    tested = [test.values for test in tests if test is not None and np.isfinite(test).any()]
    return not tested or any(bool((test < LARGEST_Q).any()) for test in tested)


def main_maps(results: BrainResults) -> list[str]:
    """Those of `drawn_maps` that the page draws, in a viewer and on the cortex too."""
    return drawn_maps(results)[:MOST_MAPS]


def subject_mean(results: BrainResults, name: str) -> np.ndarray:
    """The mean over subjects of a measure, (n_voxels,)."""
    if name not in results.means:
        results.means[name] = results.quality[name].mean("subject").values
    return results.means[name]


def why_not_drawn(results: BrainResults, name: str) -> str:
    """The reason why a measure has no map; empty where it has one."""
    return why_no_mesh(results.space) or why_no_map(subject_mean(results, name))
