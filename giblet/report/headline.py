"""The result in one sentence, beneath the ladder, and the line of facts above it."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from giblet.audio.metrics.table import metric_of
from giblet.report.ladder import BESIDE_BRAIN, UNITS, unit_of
from giblet.report.permutation_figure import null_of, p_sentence
from giblet.report.systems import FEATURE_LABELS, MATCHED, label_within
from giblet.report.tables import in_order, number


def headline(
    scores: pd.DataFrame, facts: Mapping, permutations: pd.DataFrame | None = None
) -> tuple[str, str]:
    """What the brain's sound, and what coded sound keeps, each in a sentence; empty if unknown.

    ``scores``: table with ``path column metric value``. Of the first feature type.
    ``permutations`` of `giblet.evaluation.permuted_clips.null_table`: the sentence then has a p.
    """
    names = [name for name in in_order(scores["path"], FEATURE_LABELS) if name != MATCHED]
    if not names:
        return "", ""
    part = scores[scores["path"] == names[0]]
    values = part.set_index(["column", "metric"])["value"].to_dict()
    test = null_of(permutations, names[0], "brain", unit_of(values))
    return _of_brain(values, facts, p_sentence(test)), _of_sound(values)


def _of_brain(values: Mapping, facts: Mapping, p: str) -> str:
    if not facts["has_bold"]:
        return "No scan was given, so there is no result for the brain."
    unit = unit_of(values)
    kind = "simulated BOLD" if facts["simulated"] else "BOLD"
    if unit not in UNITS:
        return (
            f"From {kind}, clips were not identified: this needs two or more that are held out, "
            f"so a longer film.{_stoi(values)}"
        )
    metric = metric_of(unit)
    others = [f"chance {100 * metric.chance:.0f} %"]
    for column in BESIDE_BRAIN:
        value, name = values.get((column, unit), np.nan), label_within(column)
        others += [f"{name} {number(100 * value, 0)} %"] if np.isfinite(value) else []
    share = number(100 * values["brain", unit], 0)
    return (
        f"From {kind}, the decoded sound picks the right clip out of {metric.n_way} in {share} % "
        f"of cases ({', '.join(others)}{f'; {p}' if p else ''}).{_stoi(values)}"
    )


def _stoi(values: Mapping) -> str:
    """The intelligibility of the decoded sound beside that of the null."""
    brain, null = (values.get((c, "stoi"), np.nan) for c in ("brain", "brain_shuffled"))
    if not np.isfinite(brain):
        return ""
    beside = f", from shuffled BOLD {number(null, 2)}" if np.isfinite(null) else ""
    return f" Its intelligibility (STOI, at most 1) is {number(brain, 2)}{beside}."


def _of_sound(values: Mapping) -> str:
    """
    >>> _of_sound({("codec", "stoi"): 0.842, ("stimulus", "stoi"): 0.742})
    'Codec or vocoder alone: STOI 0.84; through the model: STOI 0.74.'
    """
    steps = (("codec", "codec or vocoder alone"), ("stimulus", label_within("stimulus")))
    parts = [
        f"{name}: STOI {number(values[column, 'stoi'], 2)}"
        for column, name in steps
        if np.isfinite(values.get((column, "stoi"), np.nan))
    ]
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def facts_line(facts: Mapping) -> list[str]:
    """Short facts of the page's head: subjects, held-out TRs, codec."""
    n_subjects, n_test = len(facts.get("subjects", [])), facts.get("parts", {}).get("test", 0)
    line = [f"Dataset {facts['dataset']}"]
    if n_subjects:
        line.append(f"{n_subjects} subject{'s' if n_subjects > 1 else ''}")
    if n_test:
        line.append(f"{n_test} held-out TRs ({n_test * facts['t_r']:.0f} s)")
    if "codec" in facts:
        line.append(f"codec: {facts['codec']}, {facts['bandwidth_kbps']:g} kbit/s")
    return line
