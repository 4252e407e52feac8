"""The list of figures, from which both the page and the folder of figures are made.

A new figure is a function from the material to pictures, and its entry in `FIGURES`.
"""

from collections.abc import Callable

from giblet.report.anchored_prior import prior_figures
from giblet.report.brain_figures import map_figures, motion_figure, read_figure, subject_figure
from giblet.report.calibration import calibration_figures
from giblet.report.figures import history_figures, score_figures
from giblet.report.ladder import ladder
from giblet.report.ladder_figure import ladder_figure
from giblet.report.lag_figure import lag_figure
from giblet.report.level_figure import level_figure
from giblet.report.material import Material
from giblet.report.permutation_figure import permutation_figure
from giblet.report.piano_roll_figure import piano_roll_figures
from giblet.report.pictures import Picture
from giblet.report.searchlight import searchlight_figures
from giblet.report.slice_figures import slice_figures
from giblet.report.systems import stimulus_noun
from giblet.report.timeline import timeline_figure


def _ladder(material: Material) -> list[Picture]:
    steps = ladder(material)
    return [] if steps is None else [ladder_figure(steps)]


def _maps(material: Material) -> list[Picture]:
    return [] if material.brain is None else map_figures(material.brain, material.simulated)


def _slices(material: Material) -> list[Picture]:
    return [] if material.brain is None else slice_figures(material.brain, material.simulated)


def _surface(material: Material) -> list[Picture]:
    return material.surface_views


def _read(material: Material) -> list[Picture]:
    read = material.facts.get("voxels_read")
    if material.brain is None or read is None:
        return []
    return _known(read_figure(material.brain, read, material.simulated))


def _alignment(material: Material) -> list[Picture]:
    return _known(material.brain and lag_figure(material.brain.quality, material.simulated))


def _subjects(material: Material) -> list[Picture]:
    return _known(material.brain and subject_figure(material.brain, material.simulated))


def _motion(material: Material) -> list[Picture]:
    return _known(material.brain and motion_figure(material.brain, material.simulated))


def _levels(material: Material) -> list[Picture]:
    return _known(level_figure(material.extras.levels, material.simulated))


def _scores(material: Material) -> list[Picture]:
    return score_figures(material.scores, material.simulated, material.extras.by_subject)


def _permutations(material: Material) -> list[Picture]:
    return _known(permutation_figure(material.extras.permutations, material.simulated))


def _training(material: Material) -> list[Picture]:
    models = material.extras.models.items()
    best = {
        one: model["best_epoch"] for one, model in models if model.get("best_epoch") is not None
    }
    return history_figures(material.history, material.simulated, best)


def _timeline(material: Material) -> list[Picture]:
    table, missing = material.extras.timeline, material.extras.missing
    if table is None:
        return []
    noun = stimulus_noun(material.facts)
    title = f"The {noun} from the first to the last second"
    if not material.has_film:
        title = "What was scanned"
    title += " (runs of simulated scans)" * material.simulated
    return [timeline_figure(table, missing, title, noun)]


def _known(picture: Picture | None) -> list[Picture]:
    return [picture] if picture else []


FIGURES: dict[str, Callable[[Material], list[Picture]]] = {
    "ladder": _ladder,
    "piano_rolls": piano_roll_figures,
    "alignment": _alignment,
    "maps": _maps,
    "slices": _slices,
    "surface": _surface,
    "read": _read,
    "subjects": _subjects,
    "motion": _motion,
    "levels": _levels,
    "calibration": calibration_figures,
    "anchored_prior": prior_figures,
    "searchlight": searchlight_figures,
    "scores": _scores,
    "permutations": _permutations,
    "timeline": _timeline,
    "training": _training,
}


def pictures_of(material: Material) -> list[Picture]:
    """Every figure that ``material`` has."""
    return [picture for make in FIGURES.values() for picture in make(material)]
