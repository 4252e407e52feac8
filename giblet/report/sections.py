"""The list of sections of the page, in order.

A new section is a module with a function that takes the material and gives the variables of a
template, and its entry in `SECTIONS`. The page, its navigation and the tests read this list.
"""

from collections.abc import Callable
from dataclasses import dataclass

from giblet.report.anchored_prior import prior_section, with_prior
from giblet.report.calibration import calibration_section, with_calibration
from giblet.report.cited_works import references
from giblet.report.clusters import cluster_notes, cluster_text
from giblet.report.compare import (
    baseline_tables,
    compared_with_null,
    comparison_tables,
    difference_table,
    lower_is_better,
)
from giblet.report.downloads import downloads
from giblet.report.encoding import encoding_table
from giblet.report.extras import brain_tables, shown_table, times_table, trained, training_tables
from giblet.report.figure_table import FIGURES
from giblet.report.figures import shown_first
from giblet.report.glance import Glance, glance
from giblet.report.headline import behind_headline, headline
from giblet.report.ladder import ladder
from giblet.report.ladder_figure import ladder_figure
from giblet.report.level_figure import level_section
from giblet.report.listen import listening, moments_text
from giblet.report.material import Material
from giblet.report.methods import methods_of
from giblet.report.metric_agreement import agreement_table
from giblet.report.peaks import peak_tables
from giblet.report.permutation_figure import permutation_table
from giblet.report.projected_maps import projection_note
from giblet.report.provenance import provenance
from giblet.report.run_messages import shortened, warnings_and_notes
from giblet.report.scan_quality import MOST_MAPS, passes, places_of
from giblet.report.score import has_score, score_section
from giblet.report.searchlight import searchlight_section, with_searchlight
from giblet.report.segments import moments, paired_differences
from giblet.report.sentences import answer, few_segments
from giblet.report.strips import RANGE_DB, colour_bar_image, frequency_marks
from giblet.report.systems import FEATURE_LABELS, feature_label, stimulus_noun, system_label
from giblet.report.tables import in_order, score_tables
from giblet.report.timeline import (
    film_place,
    missing_sentence,
    time_axis,
    timeline_sentence,
    training_sentence,
)
from giblet.report.trial import trial_seconds


def always(material: Material) -> bool:
    """Every page has the section."""
    return True


def with_film(material: Material) -> bool:
    """Pages about a film have the section."""
    return material.has_film


def with_scans(material: Material) -> bool:
    """Pages with the quality of scans have the section."""
    return material.brain is not None


def with_levels(material: Material) -> bool:
    """Pages with a profile of levels have the section."""
    return material.extras.levels is not None and not material.extras.levels.empty


@dataclass(frozen=True)
class Section:
    """One section of the page.

    anchor, title
        Of its heading and in the navigation.
    template
        File in this package, without the heading.
    content
        Material → variables of the template, besides ``facts``; ``heading`` replaces the title.
    condition
        Whether a page with such material has the section.
    parts
        Anchors and titles within the section that are in the navigation too.
    """

    anchor: str
    title: str
    template: str
    content: Callable[[Material], dict]
    condition: Callable[[Material], bool] = always
    parts: tuple[tuple[str, str], ...] = ()


def _answer(material: Material) -> dict:
    section, facts, extras = material.brain_section, material.facts, material.extras
    steps = ladder(material)
    sentence, of_sound = (
        headline(material.scores, facts, extras.permutations, extras.baselines)
        if material.has_film
        else ("", "")
    )
    answers = answer(
        material.scores, facts, "" if section is None else section.answer, extras.baselines
    )
    if material.has_film and facts["has_bold"]:
        tests = behind_headline(material.scores, extras.permutations, extras.baselines)
        answers[-1] = answers[-1]._replace(lines=(*tests, *answers[-1].lines))
    return {
        "heading": "Result" if material.has_film else "Main results of the scans",
        "ladder": steps,
        "printed": ladder_figure(steps) if steps else None,
        "scans": None if material.brain is None else _glance(material),
        "headline": sentence,
        "of_sound": of_sound,
        "answer": answers,
        "few_segments": few_segments(material.scores),
    }


def _score(material: Material) -> dict:
    return score_section(material) | {"printed_rolls": FIGURES["piano_rolls"](material)}


def _glance(material: Material) -> Glance | None:
    feature_types = in_order(material.sounds, FEATURE_LABELS)
    return glance(material.brain, material.extras, feature_types, material.simulated)


def _scores(material: Material) -> dict:
    scores, extras, simulated = material.scores, material.extras, material.simulated
    segments, seed = extras.segments, material.facts.get("seed", 0)
    differences = paired_differences(segments, seed) if segments else None
    compared = compared_with_null(extras.baselines)
    first, *others = in_order(scores["path"], FEATURE_LABELS) or [""]
    comparison = comparison_tables(scores, extras.matched, simulated, compared)
    figures = FIGURES["scores"](material)
    shown = shown_first(figures)
    folded = {one.name for one in figures} - {one.name for one in shown}
    return {
        "comparison": comparison[:1],
        "other_comparison": comparison[1:],
        "first_figures": shown,
        "differences": difference_table(differences, simulated),
        "lower_is_better": lower_is_better(),
        "baselines": baseline_tables(extras.baselines, [first], simulated),
        "other_baselines": baseline_tables(extras.baselines, others, simulated),
        "permutation_figures": FIGURES["permutations"](material),
        "permutations": permutation_table(extras.permutations, simulated),
        "agreement": agreement_table(segments),
        "tables": score_tables(scores, simulated, compared),
        "score_figures": [one for one in figures if one.name in folded],
    }


def _listen(material: Material) -> dict:
    sounds, rate, extras = material.sounds, material.sample_rate, material.extras
    chosen = moments(extras.segments, material.n_samples, rate)
    shown = listening(sounds, rate, chosen, material.simulated)
    noun = stimulus_noun(material.facts)
    return {
        "moments": shown,
        "moments_text": moments_text(shown),
        "film_places": [film_place(extras.timeline, moment.begin, noun) for moment in shown],
        "axes": [time_axis(extras.timeline, one.begin, one.seconds, noun) for one in shown],
        "frequencies": frequency_marks(rate),
        "colour_bar": colour_bar_image(),
        "range_db": RANGE_DB,
    }


_BESIDE_MAPS = ("alignment", "read", "subjects", "motion")


def _brain(material: Material) -> dict:
    kind, extras = " (simulated)" if material.simulated else "", material.extras
    peaks = peak_tables(material.brain, extras.atlas, material.simulated, extras.atlas_name)
    places = places_of(material.brain.quality)
    clusters = filter(None, [cluster_text(extras.clusters, places, material.simulated)])
    return {
        "heading": f"Brain{kind}: quality of the scans",
        "brain": material.brain_section,
        "encoding": encoding_table(
            material.scores, places, material.simulated, passes(material.brain, "isc")
        ),
        "maps": FIGURES["maps"](material)[:MOST_MAPS],
        "slices": FIGURES["slices"](material),
        "surface_views": FIGURES["surface"](material),
        "surface_note": projection_note(material.brain),
        "others": [one for name in _BESIDE_MAPS for one in FIGURES[name](material)],
        "brain_tables": [*peaks, *clusters, *brain_tables(extras, material.simulated)],
        "cluster_notes": cluster_notes(extras.clusters, material.brain.quality),
        "atlas_note": extras.atlas_note if peaks else "",
        "has_lesions": bool(extras.lesions),
    }


def _training(material: Material) -> dict:
    noun = stimulus_noun(material.facts)
    return {
        "history_figures": FIGURES["training"](material),
        "trained": [
            *filter(None, [training_sentence(material.extras.timeline, noun)]),
            *trained(material.extras, material.history),
        ],
        "training_tables": training_tables(material.extras),
        "has_codebooks": material.extras.codebooks is not None,
    }


def _data(material: Material) -> dict:
    table, missing = material.extras.timeline, material.extras.missing
    warnings, notes = map(shortened, warnings_and_notes(material.facts["warnings"]))
    content = {"warnings": warnings, "notes": notes, "timelines": [], "timeline_text": ""}
    content["shown"] = shown_table(
        material.extras.shown, material.simulated, trial_seconds(material.facts)
    )
    if table is None:
        return content
    sentences = [
        timeline_sentence(table, stimulus_noun(material.facts)),
        "" if missing is None else missing_sentence(missing),
    ]
    text = " ".join(filter(None, sentences))
    return content | {"timelines": FIGURES["timeline"](material), "timeline_text": text}


def _methods(material: Material) -> dict:
    methods = methods_of(material)
    return {"methods": methods, "references": references(methods)}


def _downloads(material: Material) -> dict:
    simulated = material.simulated
    sounds = [
        (feature_label(one), [(system_label(name, simulated, one), link) for name, link in links])
        for one, links in material.extras.sound_links.items()
    ]
    return {"files": downloads(material), "links": material.extras.links, "sounds": sounds}


def _provenance(material: Material) -> dict:
    return {"provenance": provenance(material.facts), "times": times_table(material.extras)}


SECTIONS = (
    Section("answer", "Result", "result.html.jinja", _answer),
    Section("listen", "Listen", "listen.html.jinja", _listen, with_film),
    Section("score", "Score", "score.html.jinja", _score, has_score),
    Section("brain", "Brain", "brain.html.jinja", _brain, with_scans),
    Section(
        "where",
        "Where in the brain",
        "searchlight.html.jinja",
        searchlight_section,
        with_searchlight,
    ),
    Section("levels", "Levels", "levels.html.jinja", level_section, with_levels),
    Section(
        "calibration",
        "A new person",
        "calibration.html.jinja",
        calibration_section,
        with_calibration,
    ),
    Section("prior", "Prior", "anchored_prior.html.jinja", prior_section, with_prior),
    Section("compare", "Audio quality", "scores.html.jinja", _scores, with_film),
    Section("data", "Data", "data.html.jinja", _data, parts=(("warnings", "Warnings"),)),
    Section("methods", "Methods", "methods.html.jinja", _methods),
    Section("training", "Training", "training.html.jinja", _training, with_film),
    Section("facts", "Provenance", "provenance.html.jinja", _provenance),
    Section("downloads", "Downloads", "downloads.html.jinja", _downloads),
)


def sections_of(material: Material) -> list[Section]:
    """The sections that a page of ``material`` has."""
    return [section for section in SECTIONS if section.condition(material)]


def navigation(sections: list[Section]) -> list[tuple[str, str]]:
    """Anchors and titles of the links at the top of the page.

    >>> navigation([one for one in SECTIONS if one.anchor in ("answer", "data")])
    [('answer', 'Result'), ('data', 'Data'), ('warnings', 'Warnings')]
    """
    return [
        place for section in sections for place in ((section.anchor, section.title), *section.parts)
    ]
