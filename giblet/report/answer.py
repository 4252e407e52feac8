"""The answer in three sentences: what survives the codec, the bottleneck and the brain."""

import numpy as np
import pandas as pd

from giblet.report.tables import metric_of, number, why_unscored

PATHS = {"encodec": "codes", "mel": "mel"}  # as reconstruct scores them
LARGEST_P = 0.05
FEW_SEGMENTS = 10
NO_FILM = (
    "No film was given, so nothing is said of its sound: no codec, no bottleneck, no decoding, no "
    "players. Words and scans alone are here."
)
CLIPS, P_VALUE, NULL = "identification_10way", "identification_10way_p", "brain_shuffled"


def answer(scores: pd.DataFrame, facts: dict, of_scans: str = "") -> list[tuple[str, str]]:
    """What was asked, and one sentence of numbers; it says so where a number is missing.

    Parameters
    ----------
    scores : table with ``path column metric value low high n n_failed``
    facts : ``film``, ``simulated``, ``has_bold`` (bool)
    of_scans : the answer where there is no film
    """
    if facts["film"] is None:
        return [("The sound", NO_FILM), ("The brain", of_scans)]
    known = scores.set_index(["path", "column", "metric"])
    return [
        ("The codec", _heard(known, "codec", "Sound to codes, or to mel, and back")),
        ("The bottleneck", _heard(known, "stimulus", "Sound through the model's bottleneck")),
        ("The brain", _from_brain(known, facts)),
    ]


def few_segments(scores: pd.DataFrame) -> str:
    """A warning where few segments of sound were scored; empty where there are enough."""
    of_sound = scores[scores["column"].isin(("codec", "stimulus")) & (scores["metric"] == "stoi")]
    n = (of_sound["n"] + of_sound["n_failed"]).min()
    if not n < FEW_SEGMENTS:
        return ""
    segments = "1 segment" if n == 1 else f"{n:.0f} segments"
    return (
        f"Only {segments} of sound could be held out: intervals from so few are wide, and rough "
        "themselves. A longer film, or a larger splits.test, gives more."
    )


def _heard(known: pd.DataFrame, column: str, what: str) -> str:
    """STOI and PESQ of a column, path by path."""
    paths = _paths(known, column, "stoi")
    if not paths:
        return f"{what}: not scored."
    said = [
        f"{PATHS[path]}{_rate(known, path, column)} with STOI "
        f"{_value(known, path, column, 'stoi')} and PESQ {_value(known, path, column, 'pesq_wb')}"
        for path in paths
    ]
    missing = [label for path, label in PATHS.items() if path not in paths]
    absent = f"; {' and '.join(missing)}: not scored" if missing else ""
    return f"{what}: {', '.join(said)}{absent} (of 1 and 4.64 at best)."


def _from_brain(known: pd.DataFrame, facts: dict) -> str:
    """Clips identified beside chance, null and p, and the sound beside that of its null."""
    if not facts["has_bold"]:
        return "No scan was given, so nothing can be said of the brain."
    kind = "simulated BOLD (computed, not measured)" if facts["simulated"] else "BOLD"
    paths = _paths(known, "brain", CLIPS)
    if not paths:
        return f"From {kind}: clips were not identified, for which it takes ten that are held out."
    said = "; ".join(f"{PATHS[path]}: {_identified(known, path)}" for path in paths)
    return f"From {kind}, the right one of 10 clips is found by chance 0.1 of the time; {said}."


def _identified(known: pd.DataFrame, path: str) -> str:
    p = _number(known, (path, "brain", P_VALUE))
    told = f"p = {number(p, metric_of(P_VALUE).decimals)}" if np.isfinite(p) else "p unknown"
    more = "more than chance" if p < LARGEST_P else "not shown to be more than chance"
    return (
        f"{_value(known, path, 'brain', CLIPS)}, with BOLD of other moments "
        f"{_value(known, path, NULL, CLIPS)}, {told}, which is {more}; the sound itself has STOI "
        f"{_value(known, path, 'brain', 'stoi')}, that of other moments "
        f"{_value(known, path, NULL, 'stoi')}"
    )


def _paths(known: pd.DataFrame, column: str, metric: str) -> list[str]:
    return [path for path in PATHS if (path, column, metric) in known.index]


def _rate(known: pd.DataFrame, path: str, column: str) -> str:
    kbps = _number(known, (path, column, "kbit_per_s"))
    return f" ({number(kbps, 1)} kbit/s)" if np.isfinite(kbps) else ""


def _number(known: pd.DataFrame, key: tuple[str, str, str]) -> float:
    return float(known.loc[key, "value"]) if key in known.index else np.nan


def _value(known: pd.DataFrame, path: str, column: str, metric: str) -> str:
    """A score with its interval, "unknown" where there is none."""
    key, decimals = (path, column, metric), metric_of(metric).decimals
    if not np.isfinite(_number(known, key)):
        why = why_unscored(known, key) if key in known.index else ""
        return f"unknown ({why})" if why else "unknown"
    value, low, high = (number(known.loc[key, k], decimals) for k in ("value", "low", "high"))
    return f"{value} [{low}, {high}]" if "–" not in (low, high) else value
