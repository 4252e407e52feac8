"""One map of the brain and its best regions beside the noise ceiling, for the first screen."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from giblet.report.brain_figures import map_figure
from giblet.report.extras import Extras
from giblet.report.pictures import Picture
from giblet.report.scan_quality import (
    MEASURES,
    ONE,
    SOUND,
    WHOLE_BRAIN,
    BrainResults,
    has_places,
    of_subjects,
    passes,
    places_of,
    why_not_drawn,
)
from giblet.report.tables import number

N_REGIONS = 4


@dataclass(frozen=True)
class RegionRow:
    """A region's mean r and noise ceiling, as printed, and their places on an axis of 0 to 100.

    Of the map of inter-subject correlation, which is the ceiling, ``ceiling`` is empty. Places are
    None where there is no number. ``below``: a value below 0, where its place is. ``subjects``:
    places of single subjects.
    """

    name: str
    value: str
    ceiling: str
    place: float | None
    tick: float | None
    below: bool = False
    subjects: tuple[float, ...] = ()


@dataclass(frozen=True)
class Glance:
    """A map (None where there is none, and ``why``), and rows of regions.

    ``header``: of the values, and of the ceiling, if there is one. ``end``: r at the axis' end.
    ``warning``: that the map is above chance nowhere, empty otherwise.
    """

    title: str
    picture: Picture | None
    why: str
    header: list[str] = field(default_factory=list)
    regions: list[RegionRow] = field(default_factory=list)
    end: str = ""
    warning: str = ""


def glance(
    brain: BrainResults, extras: Extras, feature_types: Iterable[str], simulated: bool
) -> Glance | None:
    """The map of r of BOLD predicted from sound; of inter-subject correlation where that is
    missing. None where neither was computed.

    ``feature_types``: of the page, the first that has an r is shown.
    """
    wanted = [*(f"r_{one}" for one in feature_types), "isc"]
    names = [name for name in wanted if name in brain.quality]
    if not names:
        return None
    name = names[0]
    kind = " (simulated)" if simulated else ""
    title = (
        f"Inter-subject correlation (ISC){kind}"
        if name == "isc"
        else (f"Where {SOUND.label} predicts BOLD{kind}: r on held-out seconds")
    )
    why = "the coordinates of the parcels are unknown"
    if has_places(brain):
        why = why_not_drawn(brain, name)
    picture = None if why else map_figure(brain, name, simulated, ("left", "top", "right"))
    warning = ""
    if not passes(brain, name):
        one, of = ONE[places_of(brain.quality)], "ISC" if name == "isc" else "r"
        warning = f"No {one} is shown to be above chance: this map shows no reliable {of}."
    return Glance(title, picture, why, *_regions(extras, name, names), warning)


def _regions(extras: Extras, name: str, names: list[str]) -> tuple[list[str], list[RegionRow], str]:
    """The regions with the highest mean of the map's measure, beside their noise ceiling.

    The ceiling is its lower bound, r with the mean of the other subjects: their ISC.
    """
    table = extras.regions
    label, ceiling = MEASURES[name][0], MEASURES["isc"][0]
    if table is None or label not in table:
        return [], [], ""
    has_ceiling = name != "isc" and "isc" in names and ceiling in table
    rows = table[table["Region"] != WHOLE_BRAIN].sort_values(label, ascending=False)[:N_REGIONS]
    r = rows[label].to_numpy(dtype=float)
    limit = rows[ceiling].to_numpy(dtype=float) if has_ceiling else np.full(len(rows), np.nan)
    single = [of_subjects(table, label, str(region)) for region in rows["Region"]]
    end = max([0.1, *(x for x in (*r, *limit, *chain(*single)) if np.isfinite(x))])
    shown = [
        RegionRow(
            str(region),
            number(own, 2),
            number(most, 2) if has_ceiling else "",
            _place(own, end),
            _place(most, end),
            bool(own < 0),
            tuple(float(np.clip(100 * value / end, 0, 100)) for value in subjects),
        )
        for region, own, most, subjects in zip(rows["Region"], r, limit, single, strict=True)
    ]
    header = ["ISC"] if name == "isc" else [f"r, {SOUND.label}"]
    return header + ["noise ceiling"] * has_ceiling, shown, number(end, 2)


def _place(value: float, end: float) -> float | None:
    """Per cent of the way from 0 to ``end``; None for a value that is none.

    >>> _place(0.1, 0.4), _place(-0.1, 0.4), _place(float("nan"), 0.4)
    (25.0, 0.0, None)
    """
    return float(np.clip(100 * value / end, 0, 100)) if np.isfinite(value) else None
