"""What the page's ladder needs of a run, read without the rest of the page."""

from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from giblet.audio.feature_types import FEATURE_TYPES
from giblet.config.config import Config
from giblet.errors import GibletError
from giblet.io.arrays import open_arrays
from giblet.io.schema import ALIGNED
from giblet.io.tables import load_table
from giblet.report.extras import Extras
from giblet.report.ladder import STEPS
from giblet.report.material import Material
from giblet.report.results import SAMPLE_RATE, SCORES, film_facts, film_sounds, known_scores
from giblet.report.run_record import brains_of
from giblet.report.segments import Scores, score_segments
from giblet.report.timeline import timeline_table


def ladder_material(run: Any, feature_type: str) -> Material:
    """The material of `giblet.report.ladder.ladder` of one feature type.

    ``run``: `giblet.notebook.results.Results`. Its segments are those by which the page chooses,
    so all feature types show one moment.
    """
    sounds = film_sounds(run.sound_folder(feature_type), STEPS)
    settings = _settings(run)
    facts: dict = {"simulated": run.is_simulated, "subjects": [], "settings": settings}
    if settings is not None and settings.scan.null:
        facts["brains"] = brains_of(run.folder, settings)
    timeline = None
    if (aligned := run.aligned_file) is not None:
        with open_arrays(aligned, *ALIGNED) as arrays:
            facts |= film_facts(arrays)
            timeline = timeline_table(arrays)
    facts["has_bold"] = facts["simulated"] or "brain" in sounds
    extras = Extras(
        segments=_segments(run),
        timeline=timeline,
        by_subject=_table(run.folder / "subjects" / f"{feature_type}.tsv"),
        permutations=_table(run.folder / "permutations" / f"{feature_type}.tsv"),
    )
    scores = run.scores if run.has_scores else pd.DataFrame(columns=SCORES)
    return Material(scores, {feature_type: sounds}, SAMPLE_RATE, {}, facts, None, extras)


def _segments(run: Any) -> Scores:
    """Of the sound through the model, of the first feature type that has it."""
    for one in FEATURE_TYPES:
        folder = run.folder / "audio" / one
        if (folder / "stimulus.wav").is_file():
            sounds = film_sounds(folder, ("original", "stimulus"))
            known = known_scores(folder, one, sounds["original"])
            return score_segments({one: sounds}, SAMPLE_RATE, {one: known})
    return {}


def _settings(run: Any) -> Config | None:
    """None where no settings are known, or they are of another giblet."""
    try:
        return Config.model_validate(run.record["config"])
    except (GibletError, KeyError, ValidationError):
        return None


def _table(file: Path) -> pd.DataFrame | None:
    return load_table(file) if file.is_file() else None
