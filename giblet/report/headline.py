"""The result in one sentence, beneath the ladder, and the line of facts above it."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from giblet.audio.metrics.table import metric_of
from giblet.report.ladder import BESIDE_BRAIN, UNITS, unit_of
from giblet.report.permutation_figure import null_of, p_sentence
from giblet.report.systems import FEATURE_LABELS, MATCHED, RETRIEVAL, label_within, system_label
from giblet.report.tables import in_order, number
from giblet.report.verdict import LARGEST_P, NULL, p_equals


def headline(
    scores: pd.DataFrame,
    facts: Mapping,
    permutations: pd.DataFrame | None = None,
    baselines: pd.DataFrame | None = None,
) -> tuple[str, str]:
    """What the brain's sound, and what coded sound keeps, each in a sentence; empty if unknown.

    ``scores``: table with ``path column metric value``. Of the first feature type.
    ``permutations`` of `giblet.evaluation.permuted_clips.null_table`: the sentence then has a p.
    ``baselines`` of `giblet.evaluation.moments.difference_rows`: it then has the differences to
    retrieval and of STOI to the null.
    """
    names = [name for name in in_order(scores["path"], FEATURE_LABELS) if name != MATCHED]
    if not names:
        return "", ""
    part = scores[scores["path"] == names[0]]
    values = part.set_index(["column", "metric"])["value"].to_dict()
    test = null_of(permutations, names[0], "brain", unit_of(values))
    paired = pd.DataFrame(columns=["path"]) if baselines is None else baselines
    paired = paired[paired["path"] == names[0]]
    return _of_brain(values, facts, p_sentence(test), paired), _of_sound(values, names[0])


def _of_brain(values: Mapping, facts: Mapping, p: str, paired: pd.DataFrame) -> str:
    if not facts["has_bold"]:
        return "No scan was given, so there is no result for the brain."
    unit = unit_of(values)
    kind = "simulated BOLD" if facts["simulated"] else "BOLD"
    if unit not in UNITS:
        return (
            f"From {kind}, clips were not identified: this needs two or more that are held out, "
            f"so a longer film.{_stoi(values, paired)}"
        )
    metric = metric_of(unit)
    others = [f"chance {100 * metric.chance:.0f} %"]
    for column in BESIDE_BRAIN:
        value, name = values.get((column, unit), np.nan), label_within(column)
        others += [f"{name} {number(100 * value, 0)} %"] if np.isfinite(value) else []
    share = number(100 * values["brain", unit], 0)
    tests = [p] if p else []
    if row := _difference(paired, NULL, unit):
        tests.append(
            f"against {label_within(NULL)}, paired by clip, {p_equals(row.p, row.p, row.n_flips)}"
        )
    compared = "; ".join([", ".join(others), *tests])
    return (
        f"From {kind}, the decoded sound picks the right clip out of {metric.n_way} in {share} % "
        f"of cases ({compared}).{_to_retrieval(paired, unit)}{_stoi(values, paired)}"
    )


def _to_retrieval(paired: pd.DataFrame, unit: str) -> str:
    """Whether decoding is better than retrieval; empty where they were not paired."""
    row = _difference(paired, RETRIEVAL, unit)
    if row is None:
        return ""
    shown = row.p < LARGEST_P
    verb = "is" if shown else "is not shown to be"
    worse = shown and row.difference < 0
    points, low, high = (number(100 * x, 0) for x in (row.difference, row.low, row.high))
    return (
        f" It {verb} {'worse' if worse else 'better'} than retrieval ({points} points "
        f"[{low}, {high}], {p_equals(row.p, row.p, row.n_flips)})."
    )


def _difference(paired: pd.DataFrame, baseline: str, metric: str):
    """The row of a paired difference; None where there is none that was tested."""
    if "baseline" not in paired:
        return None
    rows = paired[(paired["baseline"] == baseline) & (paired["metric"] == metric)]
    rows = rows[rows["p"].notna()]
    return None if rows.empty else next(rows.itertuples())


def _stoi(values: Mapping, paired: pd.DataFrame) -> str:
    """STOI of the decoded sound beside that of the null."""
    brain, null = (values.get((c, "stoi"), np.nan) for c in ("brain", NULL))
    if not np.isfinite(brain):
        return ""
    beside = f", from shuffled BOLD {number(null, 2)}" if np.isfinite(null) else ""
    row = _difference(paired, NULL, "stoi")
    unclear = row is not None and not row.p < LARGEST_P
    return (
        f" Its STOI (a measure made for speech; at most 1) is {number(brain, 2)}{beside}"
        f"{': no difference shown' if unclear else ''}."
    )


def _of_sound(values: Mapping, path: str) -> str:
    """
    >>> _of_sound({("codec", "stoi"): 0.842, ("stimulus", "stoi"): 0.742}, "encodec")
    'Codec alone: STOI 0.84; through the model: STOI 0.74.'
    >>> _of_sound({("codec", "stoi"): 0.942}, "mel")
    'Mel + Griffin-Lim alone: STOI 0.94.'
    """
    alone = f"{system_label('codec', False, path)} alone"
    steps = (("codec", alone), ("stimulus", label_within("stimulus")))
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
