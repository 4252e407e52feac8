"""One map of the brain and its best regions, for the first screen."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from giblet.report.brain_figures import map_figure
from giblet.report.extras import Extras
from giblet.report.pictures import Picture
from giblet.report.scan_quality import (
    MEASURES,
    SOUND,
    WHOLE_BRAIN,
    BrainResults,
    has_places,
    why_not_drawn,
)
from giblet.report.tables import number

N_REGIONS = 4
SHORT = {"isc": "ISC"}


@dataclass(frozen=True)
class Glance:
    """A map (None where there is none, and ``why``), and rows of regions."""

    title: str
    picture: Picture | None
    why: str
    header: list[str] = field(default_factory=list)
    regions: list[list[str]] = field(default_factory=list)


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
    return Glance(title, picture, why, *_regions(extras, name, names))


def _regions(extras: Extras, name: str, names: list[str]) -> tuple[list[str], list[list[str]]]:
    """The regions with the highest mean of the map's measure, and their ISC."""
    table = extras.regions
    label = MEASURES[name][0]
    if table is None or label not in table:
        return [], []
    shown = [one for one in dict.fromkeys([name, "isc"]) if one in names]
    rows = table[table["Region"] != WHOLE_BRAIN].sort_values(label, ascending=False)[:N_REGIONS]
    cells = [
        [str(row["Region"]), *(number(row[MEASURES[one][0]], 2) for one in shown)]
        for _, row in rows.iterrows()
    ]
    return ["Region", *(SHORT.get(one, f"r, {SOUND.label}") for one in shown)], cells
