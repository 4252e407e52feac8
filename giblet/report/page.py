"""The report: one HTML page that contains its sounds and figures and needs no network."""

import base64
import hashlib
import re

import numpy as np
import pandas as pd

from giblet.film.modalities import MODALITIES
from giblet.report.brains import BADGES, CAUTIONS, brains
from giblet.report.extras import Extras
from giblet.report.headline import facts_line
from giblet.report.material import Material
from giblet.report.page_text import isolated, template_environment
from giblet.report.run_messages import warnings_and_notes
from giblet.report.scan_quality import BrainResults, BrainSection
from giblet.report.sections import navigation, sections_of
from giblet.report.systems import MATCHED, question_of, stimulus_name, stimulus_noun
from giblet.report.trial import trial_text


def render_page(
    scores: pd.DataFrame,
    sounds: dict[str, dict[str, np.ndarray]],
    sample_rate: float,
    history: dict[str, pd.DataFrame],
    facts: dict,
    brain: BrainResults | None = None,
    extras: Extras | None = None,
) -> str:
    """The whole report as one HTML page, the same bytes for the same input.

    Parameters
    ----------
    scores : table with ``path column metric value low high n n_failed``; NaN is printed as "–"
    sounds : feature type → column → (n_samples,) float, all equally long, at ``sample_rate`` Hz;
        each feature type has an ``original``. The page has the worst, median and best segment, if
        ``extras`` has segments, and the first 60 s.
    history : feature type → table of Lightning's CSVLogger (``epoch train/... validation/...``)
    facts : ``dataset``, ``film`` (names; no film: None), ``simulated``, ``has_bold`` (bool),
        ``brains`` (`giblet.report.brains.brains`), ``warnings`` (list of str), ``config`` (text),
        ``t_r``, of a film ``codec``, ``bandwidth_kbps``, and any other facts for the provenance, by
        name: numbers, text, or dicts and lists of them
    brain : quality of the scans, where there are scans
    extras : optional material

    Raises
    ------
    ValueError
        Sounds of unequal length, a feature type without original, a brain column without a scan,
        a score that occurs twice.
    KeyError
        A required fact is missing.
    """
    material = Material(scores, sounds, sample_rate, history, facts, brain, extras or Extras())
    return page_of(material)


def page_of(material: Material) -> str:
    """The page of a material; arguments and errors are those of `render_page`."""
    facts = material.facts
    _check(material.scores, material.sounds, facts)
    environment = _environment()
    names = ("own_scale", "player", "listen", "ladder", "maps", "save", "copy")
    script = "".join(environment.get_template(f"{one}.js.jinja").render() for one in names)
    sections, kind = sections_of(material), brains(facts)
    words = MODALITIES["text"].label in facts.get("modalities", [])
    return environment.get_template("page.html.jinja").render(
        facts=facts,
        title=_title(facts),
        name=_name(facts),
        trial=trial_text(facts),
        bold_badge=BADGES.get(kind, ""),
        bold_caution=CAUTIONS.get(kind, ""),
        n_warnings=len(warnings_and_notes(facts["warnings"])[0]),
        has_words=words,
        has_sounds=any(name != MATCHED for name in material.sounds),
        facts_line=facts_line(facts),
        script=script,
        script_hashes=_script_hashes(script, material.brain_section),
        places=navigation(sections),
        sections=[_rendered(environment, section, material) for section in sections],
    )


def _rendered(environment, section, material: Material) -> tuple[str, str, str]:
    """Anchor, heading and HTML of a section."""
    content = {"heading": section.title} | section.content(material)
    shared = {"facts": material.facts, "figures": material.extras.figures}
    shared |= {"noun": stimulus_noun(material.facts), "name": _name(material.facts)}
    shared["brains"] = brains(material.facts)
    body = environment.get_template(section.template).render(**shared, **content)
    return section.anchor, content["heading"], body


def _name(facts: dict) -> str:
    """Of the film; empty where there is none."""
    return stimulus_name(facts) if facts["film"] else ""


def _title(facts: dict) -> str:
    name, dataset = _name(facts), isolated(facts["dataset"])
    return f"{isolated(name)} ({dataset})" if name else dataset


def _script_hashes(script: str, brain: BrainSection | None) -> list[str]:
    """Hashes for the policy of the page: its script and the slice viewer may run, no other."""
    view = brain.view[1] if brain and brain.view else ""
    scripts = [script, *re.findall(r"<script[^>]*>(.*?)</script>", view, re.DOTALL)]
    digests = [hashlib.sha256(one.encode()).digest() for one in scripts]
    return [f"'sha256-{base64.b64encode(digest).decode('ascii')}'" for digest in digests]


def _check(scores: pd.DataFrame, sounds: dict, facts: dict) -> None:
    lengths = {len(waveform) for columns in sounds.values() for waveform in columns.values()}
    if len(lengths) > 1:
        raise ValueError(f"sounds must be equally long, got {sorted(lengths)} samples")
    for feature_type, columns in sounds.items():
        if "original" not in columns:
            raise ValueError(f"sounds[{feature_type!r}] has no original, only {list(columns)}")
    shown = [*scores["column"], *(c for columns in sounds.values() for c in columns)]
    from_brain = sorted({c for c in shown if question_of(c) != "sound"})
    if from_brain and not facts["has_bold"]:
        raise ValueError(f"facts say there was no scan, yet there is {', '.join(from_brain)}")


def _environment():
    return template_environment("giblet.report", trim_blocks=True, lstrip_blocks=True)
