"""The answer in three sentences: what survives the codec, the bottleneck and the brain."""

import numpy as np
import pandas as pd
import xarray as xr

from giblet.report.tables import metric_of, number, why_unscored

PATHS = {"encodec": "codes", "mel": "mel"}  # as reconstruct scores them
BEST = {"stoi": ("STOI", "1"), "pesq_wb": ("PESQ", "4.64")}
LARGEST_P = 0.05
FEW_SEGMENTS = 10
NO_FILM = (
    "No film was given, so nothing is said of its sound: no codec, no bottleneck, no decoding, no "
    "players. Words and scans alone are here."
)
CLIPS, P_VALUE, NULL = "identification_10way", "identification_10way_p", "brain_shuffled"
BY_SOUND = "identification_sound_10way"


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
    codec = _heard(known, "codec")
    bottleneck = _heard(known, "stimulus", said_before=codec)
    return [
        ("The codec", f"Sound to codes, or to mel, and back: {codec}"),
        ("The bottleneck", f"Sound through the model's bottleneck: {bottleneck}"),
        ("The brain", _from_brain(known, facts)),
    ]


def few_segments(scores: pd.DataFrame) -> str:
    """A warning where few segments of sound were scored; empty where there are enough."""
    of_sound = scores[scores["column"].isin(("codec", "stimulus")) & (scores["metric"] == "stoi")]
    n = (of_sound["n"] + of_sound["n_failed"]).min()
    if not n < FEW_SEGMENTS:
        return ""
    segments = "1 segment" if n == 1 else f"{n:.0f} segments"
    wide = "of one there is no interval" if n == 1 else "intervals from so few are wide, and rough"
    return (
        f"Only {segments} of sound could be held out: {wide}. A longer film, or a larger "
        "splits.test, gives more."
    )


def _heard(known: pd.DataFrame, column: str, said_before: str = "") -> str:
    """STOI and PESQ of a column, path by path; what is missing only if not ``said_before``."""
    paths = _paths(known, column, "stoi")
    if not paths:
        return "not scored."
    said = [_best(known, paths, column, metric) for metric in ("stoi", "pesq_wb")]
    missing = [*_missing(known, paths, column, "stoi"), *_missing(known, paths, column, "pesq_wb")]
    unscored = [label for path, label in PATHS.items() if path not in paths]
    missing += [f"{' and '.join(unscored)}: not scored"] if unscored else []
    return "; ".join([*filter(None, said), *(m for m in missing if m not in said_before)]) + "."


def _best(known: pd.DataFrame, paths: list[str], column: str, metric: str) -> str:
    """A metric on every path that has it, and its largest value; empty where none has it."""
    told = [
        f"{_value(known, path, column, metric)} ({_name(known, path, column, metric)})"
        for path in paths
        if np.isfinite(_number(known, (path, column, metric)))
    ]
    name, largest = BEST[metric]
    return f"{name} {' and '.join(told)}, of at most {largest}" if told else ""


def _missing(known: pd.DataFrame, paths: list[str], column: str, metric: str) -> list[str]:
    """Why paths have no value of a metric: once, if it is the same on all of them."""
    why = {
        path: why_unscored(known, (path, column, metric))
        for path in paths
        if (path, column, metric) in known.index
        and not np.isfinite(_number(known, (path, column, metric)))
    }
    of_all = len(why) == len(paths) and len(set(why.values())) == 1
    named = (
        {"": next(iter(why.values()))} if of_all else {f" of {PATHS[k]}": v for k, v in why.items()}
    )
    return [f"no {BEST[metric][0]}{of}{': ' if said else ''}{said}" for of, said in named.items()]


def _name(known: pd.DataFrame, path: str, column: str, metric: str) -> str:
    """A path, with its rate where it is named first."""
    kbps = _number(known, (path, column, "kbit_per_s"))
    has_rate = metric == "stoi" and np.isfinite(kbps)
    return f"{PATHS[path]}, {number(kbps, 1)} kbit/s" if has_rate else PATHS[path]


def _from_brain(known: pd.DataFrame, facts: dict) -> str:
    """Clips identified, by the bottleneck and by sound; if that is better than its null's."""
    if not facts["has_bold"]:
        return "No scan was given, so nothing can be said of the brain."
    kind = "simulated BOLD (computed, not measured)" if facts["simulated"] else "BOLD"
    paths = _paths(known, "brain", CLIPS)
    if not paths:
        return f"From {kind}: clips were not identified, for which it takes ten that are held out."
    kind = kind[0].upper() + kind[1:]
    shown = [path for path in paths if _number(known, (path, "brain", P_VALUE)) < LARGEST_P]
    others = [path for path in paths if path not in shown]
    by = ", by the whole bottleneck, in"
    said = [f"{kind} tells which of 10 clips was on{by} {_clips(known, shown)}"] if shown else []
    if others:
        asked = f"{kind} is not shown to tell which of 10 clips was on"
        asked = "not shown to be more than chance" if shown else asked
        said.append(f"{asked}: {_clips(known, others)}")
    return f"{'; '.join(said)}; chance is 10 %{_by_sound(known)}{_sound(known, paths)}."


def _clips(known: pd.DataFrame, paths: list[str]) -> str:
    """Share of clips identified, its interval and p, path by path."""
    told = []
    for path in paths:
        p = _number(known, (path, "brain", P_VALUE))
        said = f"p = {number(p, metric_of(P_VALUE).decimals)}" if np.isfinite(p) else "p unknown"
        told.append(f"{_percent(known, path, CLIPS)} ({PATHS[path]}, {said})")
    return f"{' and '.join(told)} of cases"


def _by_sound(known: pd.DataFrame) -> str:
    """The same by the sound that was decoded; empty where that was not asked."""
    told = [
        f"{_percent(known, path, BY_SOUND)} ({PATHS[path]})"
        for path in _paths(known, "brain", BY_SOUND)
        if np.isfinite(_number(known, (path, "brain", BY_SOUND)))
    ]
    return f"; by the decoded sound alone {' and '.join(told)}" if told else ""


def _percent(known: pd.DataFrame, path: str, metric: str) -> str:
    """A share of the brain's, with its interval where there is one."""
    row = known.loc[path, "brain", metric]
    value, low, high = (number(100 * row[k], 0) for k in ("value", "low", "high"))
    return f"{value} %" + (f" [{low}, {high}]" if "–" not in (low, high) else "")


def _sound(known: pd.DataFrame, paths: list[str]) -> str:
    """STOI beside that of the null; better only where the two intervals lie apart."""
    if not (paths := [path for path in paths if (path, "brain", "stoi") in known.index]):
        return ""
    better = [path for path in paths if _apart(known, path)]
    said = ", ".join(
        f"of {PATHS[path]} {_plain(known, path, 'brain')} against {_plain(known, path, NULL)}"
        for path in paths
    )
    shown = "" if better else "not shown to be "
    alone = f" by {PATHS[better[0]]} alone" if 0 < len(better) < len(paths) else ""
    return (
        f"; the sound decoded from it is {shown}better{alone} than that of other moments "
        f"(STOI {said})"
    )


def _apart(known: pd.DataFrame, path: str) -> bool:
    """Whether the lowest end of the brain's STOI is above the highest of its null."""
    brain, null = (path, "brain", "stoi"), (path, NULL, "stoi")
    return null in known.index and bool(known.loc[brain, "low"] > known.loc[null, "high"])


def _plain(known: pd.DataFrame, path: str, column: str) -> str:
    """A STOI without its interval."""
    stoi = _number(known, (path, column, "stoi"))
    return number(stoi, metric_of("stoi").decimals) if np.isfinite(stoi) else "unknown"


def _paths(known: pd.DataFrame, column: str, metric: str) -> list[str]:
    return [path for path in PATHS if (path, column, metric) in known.index]


def _number(known: pd.DataFrame, key: tuple[str, str, str]) -> float:
    return float(known.loc[key, "value"]) if key in known.index else np.nan


def _value(known: pd.DataFrame, path: str, column: str, metric: str) -> str:
    """A score, with its interval where there is one."""
    row, decimals = known.loc[path, column, metric], metric_of(metric).decimals
    value, low, high = (number(row[k], decimals) for k in ("value", "low", "high"))
    return f"{value} [{low}, {high}]" if "–" not in (low, high) else value


def lag_sentence(quality: xr.Dataset) -> str:
    """How late the scans are, with what certainty, and what was done about it.

    >>> lag_sentence(xr.Dataset({"lag": np.nan}, attrs={"lag_note": "no sound"}))
    'The lag between film and scan could not be told: no sound. The scans were not moved.'
    """
    applied = float(quality.attrs.get("lag_applied", 0.0))
    moved = (
        f"The scans were moved by {number(applied, 2)} s before this (scan.lag_seconds)."
        if applied
        else "The scans were not moved."
    )
    if "lag" not in quality or not np.isfinite(quality["lag"]):
        reason = quality.attrs.get("lag_note", "none was sought")
        return f"The lag between film and scan could not be told: {reason}. {moved}"
    seconds, low, high = (number(quality[k].item(), 2) for k in ("lag", "lag_low", "lag_high"))
    kind = "reliable" if quality["lag_reliable"].item() else "not reliable, do not use it"
    none = quality["lag_low"].item() <= 0 <= quality["lag_high"].item()
    return (
        f"The scans lag behind the film by {seconds} s (95 %: {low} to {high} s"
        f"{', which holds 0' if none else ''}; p = {quality['lag_p'].item():.2g} of so good a fit "
        f"of other moments; {kind}). {moved}"
    )


def none_found_sentence(rows: list[tuple[str, str, list[str]]], places: str) -> str:
    """What a share of 0 says, where ridge found something on average; empty where there is none."""
    found = [
        label.removeprefix("Ridge r: ")
        for label, _, (mean, _, _, share) in rows
        if label.startswith("Ridge") and share == "0.0 %" and not mean.startswith(("−", "0.000"))
    ]
    return found and (
        f"0.0 % of {places} at q < .05 ({', '.join(found)}) is no proof that nothing is predicted "
        f"there: in few TRs no p falls low enough for one among many {places}. Regions and the "
        "map say where r lies; parcels, or longer scans, find more."
    )


def r2_sentence(summary: pd.DataFrame) -> str:
    """A warning where means of R², which knows no lowest value, are far below their medians.

    >>> rows = [("r2_all", -249.1, -1.5), ("r2_text", 0.1, 0.1)]
    >>> r2_sentence(pd.DataFrame(rows, columns=["metric", "mean", "median"]))
    'R² has no lowest value: where ridge predicts far too much, a few values pull its mean down. \
r2_all: mean −249.1, median −1.50. Read the median, or r.'
    """
    r2 = summary[summary["metric"].str.startswith(("r2_", "unique_"))]
    found = r2.groupby("metric", sort=False)[["mean", "median"]].agg(
        {"mean": "mean", "median": "median"}
    )
    found = found[found["mean"] < -1]
    if found.empty:
        return ""
    told = [
        f"{row.Index}: mean {number(row.mean, 1)}, median {number(row.median, 2)}"
        for row in found.itertuples()
    ]
    return (
        "R² has no lowest value: where ridge predicts far too much, a few values pull its mean "
        "down. "
        f"{'; '.join(told)}. Read the median, or r."
    )
