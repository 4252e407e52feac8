"""The report: one HTML page that holds its sounds and pictures and needs no network."""

import base64
import hashlib
import re

import numpy as np
import pandas as pd

from giblet.report.compare import CODECS, DECODING, comparison_tables, difference_tables, ours
from giblet.report.extras import Extras, brain_tables, times_table, trained, training_tables
from giblet.report.figures import history_figures, score_figures
from giblet.report.listen import band_ticks, listening, what_is_heard
from giblet.report.methods import methods_text, references
from giblet.report.scan_quality import BrainResults, BrainSection, brain_section
from giblet.report.segments import moments, paired_differences
from giblet.report.sentences import answer, few_segments
from giblet.report.tables import question_of, score_tables
from giblet.report.timeline import (
    film_place,
    missing_sentence,
    timeline_figure,
    timeline_sentence,
)
from giblet.timing import nyquist_hz

_TOLD_APART = ("dataset", "film", "simulated", "has_bold", "warnings", "config", "settings")
_FACT_LABELS = {
    "t_r": "TR (s)",
    "n_trs": "TRs of film",
    "codec": "Codec",
    "codec_revision": "Codec revision",
    "bandwidth_kbps": "Bandwidth (kbit/s)",
    "framing": "Framing",
    "modalities": "Modalities",
    "bold_source": "Source of BOLD",
    "subjects": "Subjects",
    "versions": "Versions",
    "seed": "Seed",
    "parts": "TRs by part",
    "film_fingerprint": "Film (SHA-256, first 16 digits)",
    "words_fingerprint": "Words (SHA-256, first 16 digits)",
    "scan_fingerprint": "Scans (SHA-256, first 16 digits)",
    "git_commit": "Commit of giblet",
}


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
    sounds : path → column → (n_samples,) float, all equally long, at ``sample_rate`` Hz; each path
        has an ``original``. The page has the worst, median and best segment, if ``extras`` has
        segments, and the first 60 s.
    history : path → table of Lightning's CSVLogger (``epoch train/... validation/...``)
    facts : ``dataset``, ``film`` (names; no film: None), ``simulated``, ``has_bold`` (bool),
        ``warnings`` (list of str), ``config`` (text), ``t_r``, of a film ``codec``,
        ``bandwidth_kbps``, and whatever else belongs into the list of facts, by name: numbers,
        text, or dicts and lists of them
    brain : how good the scans are, where there was one
    extras : what else there is

    Raises
    ------
    ValueError
        Sounds of unequal length, a path without original, a brain without a scan, a score twice.
    KeyError
        A fact that must be there is missing.
    """
    _check(scores, sounds, facts)
    simulated, extras = facts["simulated"], extras or Extras()
    n_samples = max((len(w) for columns in sounds.values() for w in columns.values()), default=0)
    chosen = moments(extras.segments, n_samples, sample_rate)
    heard = listening(sounds, sample_rate, chosen, simulated)
    environment = _environment()
    script = environment.get_template("listen.js.jinja").render()
    section = None if brain is None else brain_section(brain)
    return environment.get_template("page.html.jinja").render(
        facts=facts,
        script=script,
        script_hashes=_script_hashes(script, section),
        places=_places(facts, section),
        answer=answer(scores, facts, "" if section is None else section.answer),
        few_segments=few_segments(scores),
        comparison=comparison_tables(scores, extras.matched, simulated),
        differences=difference_tables(_differences(extras, facts), simulated),
        published=[*ours(scores), *CODECS],
        published_decoding=DECODING,
        tables=score_tables(scores, simulated),
        score_figures=score_figures(scores, simulated),
        moments=heard,
        film_places=[film_place(extras.timeline, moment.begin) for moment in heard],
        what_is_heard=what_is_heard(heard),
        ticks=band_ticks(nyquist_hz(sample_rate)),
        brain=section,
        brain_tables=brain_tables(extras, simulated),
        lesions_known=bool(extras.lesions),
        history_figures=history_figures(history),
        trained=trained(extras, history),
        training_tables=training_tables(extras),
        **_data_section(extras),
        times=times_table(extras),
        methods=(methods := methods_text(facts, extras.models)),
        references=references(methods),
        provenance=_provenance(facts),
    )


def _places(facts: dict, brain: BrainSection | None) -> list[tuple[str, str]]:
    """Sections that the page has, as anchors and names to jump to."""
    heard = [("compare", "Mel and codes"), ("listen", "Listen")] if facts["film"] else []
    scanned = [] if brain is None else [("brain", "Brain")]
    trained = [("training", "Training")] if facts["film"] else []
    ends = [("data", "Data"), ("warnings", "Warnings"), ("facts", "Where this comes from")]
    return [*heard, *scanned, *trained, *ends, ("methods", "For a methods section")]


def _differences(extras: Extras, facts: dict) -> pd.DataFrame | None:
    return paired_differences(extras.segments, facts.get("seed", 0)) if extras.segments else None


def _data_section(extras: Extras) -> dict:
    if extras.timeline is None:
        return {"timeline": None, "timeline_said": ""}
    table, missing = extras.timeline, extras.missing
    said = [timeline_sentence(table)] + ([] if missing is None else [missing_sentence(missing)])
    figure = timeline_figure(table, missing)
    return {"timeline": figure, "timeline_said": " ".join(filter(None, said))}


def _script_hashes(script: str, brain: BrainSection | None) -> list[str]:
    """What the page's policy names its scripts by, and those of its view: no other script runs."""
    view = brain.view[1] if brain and brain.view else ""
    scripts = [script, *re.findall(r"<script[^>]*>(.*?)</script>", view, re.DOTALL)]
    digests = [hashlib.sha256(one.encode()).digest() for one in scripts]
    return [f"'sha256-{base64.b64encode(digest).decode('ascii')}'" for digest in digests]


def _check(scores: pd.DataFrame, sounds: dict, facts: dict) -> None:
    lengths = {len(waveform) for columns in sounds.values() for waveform in columns.values()}
    if len(lengths) > 1:
        raise ValueError(f"sounds must be equally long, got {sorted(lengths)} samples")
    for path, columns in sounds.items():
        if "original" not in columns:
            raise ValueError(f"sounds[{path!r}] has no original, only {list(columns)}")
    shown = [*scores["column"], *(c for columns in sounds.values() for c in columns)]
    from_brain = sorted({c for c in shown if question_of(c) != "sound"})
    if from_brain and not facts["has_bold"]:
        raise ValueError(f"facts say there was no scan, yet there is {', '.join(from_brain)}")


def _environment():
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("giblet.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _provenance(facts: dict) -> list[tuple[str, str]]:
    """Label and text of every fact that the page does not tell elsewhere."""
    return [
        (_FACT_LABELS.get(name, name.replace("_", " ")), _fact_text(fact))
        for name, fact in facts.items()
        if name not in _TOLD_APART
    ]


def _fact_text(fact) -> str:
    """
    >>> _fact_text({"torch": "2.13.0", "giblet": "0.1.0"}), _fact_text(None)
    ('torch 2.13.0, giblet 0.1.0', '–')
    >>> _fact_text(["01", "02"]), _fact_text([])
    ('01, 02', '–')
    """
    if isinstance(fact, dict):
        return ", ".join(f"{name} {_fact_text(part)}" for name, part in fact.items())
    if isinstance(fact, list):
        return ", ".join(map(_fact_text, fact)) or "–"
    return "–" if fact is None else str(fact)
