"""One map of the brain and its best regions, for the first screen."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from giblet.brain.cortex import vertex_counts
from giblet.brain.nifti import brain_affine, brain_volume
from giblet.report.brain_maps import brain_map, why_no_map
from giblet.report.extras import Extras
from giblet.report.scan_quality import MEASURES, SOUND, WHOLE_BRAIN, BrainResults
from giblet.report.surface_maps import on_fsaverage5, surface_map, why_no_mesh
from giblet.report.tables import number

N_REGIONS = 4
SHORT = {"isc": "ISC"}


@dataclass(frozen=True)
class Glance:
    """A map (SVG data URI; empty where there is none, and ``why``), and rows of regions."""

    title: str
    picture: str
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
    picture, why = _picture(brain, name)
    return Glance(title, picture, why, *_regions(extras, name, names))


def _picture(brain: BrainResults, name: str) -> tuple[str, str]:
    values = brain.quality[name].mean("subject").values
    if vertex_counts(brain.space.attrs) is not None:
        if why := why_no_mesh(brain.space) or why_no_map(values):
            return "", why
        return surface_map(*on_fsaverage5(values, brain.space), (4.8, 1.55)), ""
    volume = brain_volume(values, brain.space)
    if volume is None:
        return "", "the coordinates of the parcels are unknown"
    if why := why_no_map(values):
        return "", why
    affine = brain_affine(brain.space)
    return brain_map(volume, affine, ("left", "top", "right"), (4.8, 1.55)), ""


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
