"""The result in one sentence, beneath the ladder, and the line of facts above it."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from giblet.audio.metrics.table import metric_of
from giblet.report.brains import bold_name
from giblet.report.decoded import Finding, finding, paired_difference
from giblet.report.ladder import BESIDE_BRAIN, UNITS, unit_of
from giblet.report.page_text import isolated
from giblet.report.permutation_figure import null_of, p_sentence
from giblet.report.systems import (
    FEATURE_LABELS,
    MATCHED,
    RETRIEVAL,
    feature_label,
    label_within,
    system_label,
)
from giblet.report.tables import FEWEST, in_order, interval_text, number, short_p
from giblet.report.verdict import LARGEST_P, NULL, p_equals

_WITHIN = {column: label_within(column) for column in BESIDE_BRAIN}


def headline(
    scores: pd.DataFrame,
    facts: Mapping,
    permutations: pd.DataFrame | None = None,
    baselines: pd.DataFrame | None = None,
) -> tuple[str, str]:
    """What the brain's sound, and what coded sound keeps, each in a sentence; empty if unknown.
    Without a scan the first is of coded sound, and there is no second.

    ``scores``: table with ``path column metric value n n_failed``. Of the first feature type.
    ``permutations`` of `giblet.evaluation.permuted_clips.null_table`, ``baselines`` of
    `giblet.evaluation.moments.difference_rows`: they give p. STOI is named only where there is
    speech, or where that is unknown. Where no decoding is shown the sentence begins with that, see
    `giblet.report.decoded.finding`; of too few clips it has no share.
    """
    path = _first(scores)
    if not path:
        return "", ""
    values = _values(scores, path)
    test = null_of(permutations, path, "brain", unit_of(values))
    stoi = "" if speech_segments(scores, path) == 0 else _stoi(values, _of(baselines, path))
    if not facts["has_bold"]:
        return _of_sound(values, path), ""
    decoded = finding(scores, path, unit_of(values), permutations, baselines)
    of_brain = _of_brain(values, facts, test, _of(baselines, path), stoi, decoded)
    return of_brain, _of_sound(values, path)


def behind_headline(
    scores: pd.DataFrame,
    permutations: pd.DataFrame | None = None,
    baselines: pd.DataFrame | None = None,
) -> list[str]:
    """The tests behind the headline, a line each, and what its STOI is of; arguments as there."""
    path = _first(scores)
    if not path:
        return []
    unit = unit_of(_values(scores, path))
    if unit not in UNITS:
        return _what_stoi_is_of(scores, path)
    lines, paired = [], _of(baselines, path)
    name = f"Clips identified by sound ({feature_label(path)})"
    if p := p_sentence(null_of(permutations, path, "brain", unit)):
        decoded = finding(scores, path, unit, permutations, None)
        end = f"; {decoded.why}" if decoded.few else ", not shown" if decoded.why else ""
        lines.append(f"{name}, against chance: {p}{end}.")
    for baseline in (NULL, RETRIEVAL):
        if (row := _difference(paired, baseline, unit)) is not None:
            interval = interval_text(100 * row.low, 100 * row.high, row.n, 0)
            size = f"{number(100 * row.difference, 0)} points"
            size += f" ({interval})" if row.n < FEWEST else f" {interval}"
            shown = "" if row.p < LARGEST_P else ", not shown to differ"
            lines.append(
                f"{name}, minus those from {_WITHIN[baseline]}, paired by clip: {size}, "
                f"{p_equals(row.p, row.p, row.n_flips)}{shown}."
            )
    return lines + _what_stoi_is_of(scores, path)


def _what_stoi_is_of(scores: pd.DataFrame, path: str) -> list[str]:
    """How many segments are scored and have speech; none where that is unknown."""
    n, n_speech = _counted(scores, path, "stoi"), speech_segments(scores, path)
    if not n or n_speech is None:
        return []
    some = f"{n_speech or 'none'} of them at least half speech"
    return [f"STOI is a measure for speech, with a maximum of 1; here of {n} segments, {some}."]


def speech_segments(scores: pd.DataFrame, path: str) -> int | None:
    """How many segments are at least half speech: those that PESQ was asked for; None if unknown.

    >>> row = {"path": "mel", "column": "codec", "metric": "pesq_wb", "n": 7, "n_failed": 1}
    >>> speech_segments(pd.DataFrame([row]), "mel")
    8
    """
    return _counted(scores, path, "pesq_wb")


def _counted(scores: pd.DataFrame, path: str, metric: str) -> int | None:
    """Segments of coded sound that a metric scored, or failed to."""
    here = (scores["path"] == path) & (scores["column"] == "codec")
    rows = scores[here & (scores["metric"] == metric)]
    return None if rows.empty else int(rows[["n", "n_failed"]].iloc[0].sum())


def _first(scores: pd.DataFrame) -> str:
    """The feature type of the headline; empty where there is none."""
    names = [name for name in in_order(scores["path"], FEATURE_LABELS) if name != MATCHED]
    return names[0] if names else ""


def _values(scores: pd.DataFrame, path: str) -> dict:
    part = scores[scores["path"] == path]
    return part.set_index(["column", "metric"])["value"].to_dict()


def _of(baselines: pd.DataFrame | None, path: str) -> pd.DataFrame:
    if baselines is None:
        return pd.DataFrame(columns=["path"])
    return baselines[baselines["path"] == path]


def _of_brain(
    values: Mapping,
    facts: Mapping,
    test: pd.DataFrame,
    paired: pd.DataFrame,
    stoi: str,
    decoded: Finding,
) -> str:
    """``test``: of permutations, see `null_of`; ``stoi``: the sentence of it."""
    unit, kind = unit_of(values), bold_name(facts)
    if unit not in UNITS:
        return (
            f"From {kind}, clips were not identified: this needs two or more that are held out, "
            f"so more held-out sound.{stoi}"
        )
    if decoded.few:
        return f"{decoded.start.format(kind)}.{stoi}"
    metric = metric_of(unit)
    chance, beside = f"chance {100 * metric.chance:.0f} %", []
    against_null = _difference(paired, NULL, unit)
    if against_null is None and not test.empty and not decoded.why:
        row = test.iloc[0]
        chance += f", {short_p(row['p'], row['n_permutations'])}"
    for column in BESIDE_BRAIN:
        value = values.get((column, unit), np.nan)
        if np.isfinite(value):
            tested = _tested(_difference(paired, column, unit))
            beside.append(f"{_WITHIN[column]} {number(100 * value, 0)} %{tested}")
    share = number(100 * values["brain", unit], 0)
    compared = "; ".join([", ".join([chance, *beside[:1]]), *beside[1:]])
    picks = (
        f"the decoded sound picks the right clip out of {metric.n_way} in {share} % of cases "
        f"({compared})"
    )
    start = f"{decoded.start.format(kind)}: " if decoded.why else f"From {kind}, "
    return f"{start}{picks}.{stoi}"


def _tested(row) -> str:
    """The end of what the brain is compared with: p, or that no difference is shown."""
    if row is None:
        return ""
    return f", {short_p(row.p, row.n_flips)}" if row.p < LARGEST_P else ", not shown to differ"


def _difference(paired: pd.DataFrame, baseline: str, metric: str):
    """`paired_difference` of differences of one feature type."""
    path = "" if paired.empty else paired["path"].iloc[0]
    return paired_difference(paired, path, baseline, metric)


def _stoi(values: Mapping, paired: pd.DataFrame) -> str:
    """STOI of the decoded sound beside that of the null."""
    brain, null = (values.get((c, "stoi"), np.nan) for c in ("brain", NULL))
    if not np.isfinite(brain):
        return ""
    beside = f", shuffled {number(null, 2)}" if np.isfinite(null) else ""
    row = _difference(paired, NULL, "stoi")
    end = "" if row is None else ": no difference shown"
    if row is not None and row.p < LARGEST_P:
        end = f", {short_p(row.p, row.n_flips)}"
    return f" STOI {number(brain, 2)}{beside}{end}."


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
        line.append(f"codec: {isolated(facts['codec'])}, {facts['bandwidth_kbps']:g} kbit/s")
    return line
