"""The main result in three sentences: what is left after the codec, the bottleneck, the brain."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from giblet.alignment.lag import NO_SOUND
from giblet.audio.feature_types import FEATURE_TYPES
from giblet.audio.metrics.table import metric_of
from giblet.report.brains import SIMULATED, bold_name, brains
from giblet.report.systems import feature_label
from giblet.report.tables import is_lowest_p, number, why_unscored
from giblet.report.verdict import LARGEST_P, p_equals, verdict

NAMES = {"stoi": "STOI", "pesq_wb": "PESQ"}
FEW_SEGMENTS = 10
NO_FILM = (
    "No film was given, so this page has no codec, no bottleneck, no decoding and no players: only "
    "words and scans."
)
CLIPS, P_VALUE = "identification_10way", "identification_10way_p"
BY_SOUND = "identification_sound_10way"


class Answer(NamedTuple):
    """A question, one sentence of numbers, and further lines."""

    name: str
    sentence: str
    lines: tuple[str, ...] = ()


def answer(
    scores: pd.DataFrame,
    facts: dict,
    of_scans: str = "",
    baselines: pd.DataFrame | None = None,
) -> list[Answer]:
    """Three questions, each with one sentence of numbers, which names numbers that are missing.

    The brain has lines of `giblet.report.verdict.verdict`.

    Parameters
    ----------
    scores : table with ``path column metric value low high n n_failed``
    facts : ``film``, ``simulated``, ``has_bold`` (bool), and ``settings`` (a Config) if known
    of_scans : the answer where there is no film
    baselines : of `giblet.evaluation.moments.difference_rows`; old results have none
    """
    if facts["film"] is None:
        return [Answer("The sound", NO_FILM), Answer("The brain", of_scans)]
    cells = scores.set_index(["path", "column", "metric"])
    codec = _of_sound(cells, "codec")
    bottleneck = _of_sound(cells, "stimulus", already=codec)
    ways = " or ".join(f"{one.label} ({one.vocoder})" for one in FEATURE_TYPES.values())
    return [
        Answer("Without the model", f"Sound to {ways} and back: {codec}"),
        Answer("The bottleneck", f"Sound through the model's bottleneck: {bottleneck}"),
        Answer("The brain", _from_brain(cells, facts), tuple(_verdict(cells, facts, baselines))),
    ]


def few_segments(scores: pd.DataFrame) -> str:
    """A warning where few segments of sound were scored; empty where there are enough."""
    of_sound = scores[scores["column"].isin(("codec", "stimulus")) & (scores["metric"] == "stoi")]
    n = (of_sound["n"] + of_sound["n_failed"]).min()
    if not n < FEW_SEGMENTS:
        return ""
    segments = "1 segment" if n == 1 else f"{n:.0f} segments"
    why = "there is no interval from one" if n == 1 else "intervals from so few are wide and rough"
    return (
        f"Only {segments} of sound could be held out: {why}. More sound, or a larger "
        "splits.test, gives more."
    )


def _of_sound(cells: pd.DataFrame, column: str, already: str = "") -> str:
    """STOI and PESQ of a column, by feature type; a missing value only if not in ``already``."""
    scored = _scored(cells, column, "stoi")
    if not scored:
        return "not scored."
    values = [_values(cells, scored, column, metric) for metric in NAMES]
    missing = [text for metric in NAMES for text in _missing(cells, scored, column, metric)]
    unscored = [feature_label(name) for name in FEATURE_TYPES if name not in scored]
    missing += [f"{' and '.join(unscored)}: not scored"] if unscored else []
    return "; ".join([*filter(None, values), *(m for m in missing if m not in already)]) + "."


def _values(cells: pd.DataFrame, feature_types: list[str], column: str, metric: str) -> str:
    """A metric of every feature type that has it, and its maximum; empty where none has it."""
    values = [
        f"{_value(cells, one, column, metric)} ({_name(cells, one, column, metric)})"
        for one in feature_types
        if np.isfinite(_number(cells, (one, column, metric)))
    ]
    largest = metric_of(metric).best
    return f"{NAMES[metric]} {' and '.join(values)} (max {largest:g})" if values else ""


def _missing(cells: pd.DataFrame, feature_types: list[str], column: str, metric: str) -> list[str]:
    """Why feature types have no value of a metric; once, if it is the same for all of them."""
    why = {
        one: why_unscored(cells, (one, column, metric))
        for one in feature_types
        if (one, column, metric) in cells.index
        and not np.isfinite(_number(cells, (one, column, metric)))
    }
    same = len(why) == len(feature_types) and len(set(why.values())) == 1
    named = (
        {"": next(iter(why.values()))}
        if same
        else {f" of {feature_label(one)}": text for one, text in why.items()}
    )
    return [f"no {NAMES[metric]}{of}{': ' if text else ''}{text}" for of, text in named.items()]


def _name(cells: pd.DataFrame, feature_type: str, column: str, metric: str) -> str:
    """A feature type, with its bitrate where it is named first."""
    kbps = _number(cells, (feature_type, column, "kbit_per_s"))
    has_rate = metric == "stoi" and np.isfinite(kbps)
    name = feature_label(feature_type)
    return f"{name}, {number(kbps, 1)} kbit/s" if has_rate else name


def _verdict(cells: pd.DataFrame, facts: dict, baselines: pd.DataFrame | None) -> list[str]:
    """The comparison with the null, where clips were to be identified."""
    if not facts["has_bold"]:
        return []
    scored = _scored(cells, "brain", CLIPS)
    return verdict(baselines, [one for one in scored if (one, "brain", "stoi") in cells.index])


def _from_brain(cells: pd.DataFrame, facts: dict) -> str:
    """Clips identified by the bottleneck and by sound."""
    if not facts["has_bold"]:
        return "No scan was given, so there is no result for the brain."
    kind = bold_name(facts)
    kind += " (computed, not measured)" * (brains(facts) == SIMULATED)
    scored = _scored(cells, "brain", CLIPS)
    if not scored:
        return f"From {kind}: clips were not identified; this needs ten that are held out."
    kind = kind[0].upper() + kind[1:]
    shown = [one for one in scored if _number(cells, (one, "brain", P_VALUE)) < LARGEST_P]
    others = [one for one in scored if one not in shown]
    by = ", by the whole bottleneck, in"
    n_draws = _n_permutations(facts)
    parts = []
    if shown:
        parts = [f"{kind} identifies one of 10 clips{by} {_clips(cells, shown, n_draws)}"]
    if others:
        start = f"{kind} does not identify one of 10 clips above chance"
        start = "not above chance" if shown else start
        parts.append(f"{start}: {_clips(cells, others, n_draws)}")
    return f"{'; '.join(parts)}; chance is 10 %{_by_sound(cells)}."


def _n_permutations(facts: dict) -> float:
    """Orders of the clips behind p; without the settings infinity, so that no p is the lowest."""
    settings = facts.get("settings")
    return np.inf if settings is None else settings.decoding.n_permutations


def _clips(cells: pd.DataFrame, feature_types: list[str], n_draws: float) -> str:
    """Share of clips identified, its interval and p, by feature type."""
    shares = []
    for one in feature_types:
        p = _number(cells, (one, "brain", P_VALUE))
        text = p_equals(p, p, n_draws) if np.isfinite(p) else "p unknown"
        shares.append(f"{_percent(cells, one, CLIPS)} ({feature_label(one)}, {text})")
    return f"{' and '.join(shares)} of cases"


def _by_sound(cells: pd.DataFrame) -> str:
    """Clips identified by the decoded sound; empty where that was not scored."""
    shares = [
        f"{_percent(cells, one, BY_SOUND)} ({feature_label(one)})"
        for one in _scored(cells, "brain", BY_SOUND)
        if np.isfinite(_number(cells, (one, "brain", BY_SOUND)))
    ]
    return f"; by the decoded sound alone {' and '.join(shares)}" if shares else ""


def _percent(cells: pd.DataFrame, feature_type: str, metric: str) -> str:
    """A share of the column brain, with its interval where there is one."""
    row = cells.loc[feature_type, "brain", metric]
    value, low, high = (number(100 * row[k], 0) for k in ("value", "low", "high"))
    return f"{value} %" + (f" [{low}, {high}]" if "–" not in (low, high) else "")


def _scored(cells: pd.DataFrame, column: str, metric: str) -> list[str]:
    return [name for name in FEATURE_TYPES if (name, column, metric) in cells.index]


def _number(cells: pd.DataFrame, key: tuple[str, str, str]) -> float:
    return float(cells.loc[key, "value"]) if key in cells.index else np.nan


def _value(cells: pd.DataFrame, feature_type: str, column: str, metric: str) -> str:
    """A score, with its interval where there is one."""
    row, decimals = cells.loc[feature_type, column, metric], metric_of(metric).decimals
    value, low, high = (number(row[k], decimals) for k in ("value", "low", "high"))
    return f"{value} [{low}, {high}]" if "–" not in (low, high) else value


def lag_sentence(quality: xr.Dataset) -> str:
    """The lag of the scans behind the film, its interval and p, and the shift that was applied.

    >>> lag_sentence(xr.Dataset({"lag": np.nan}, attrs={"lag_note": "no sound"}))
    'The lag between sound and scan is unknown: no sound. The scans were not shifted.'
    """
    applied = float(quality.attrs.get("lag_applied", 0.0))
    shift = (
        f"The scans were shifted by {number(applied, 2)} s before this (scan.lag_seconds)."
        if applied
        else "The scans were not shifted."
    )
    if "lag" not in quality or not np.isfinite(quality["lag"]):
        reason = quality.attrs.get("lag_note", "it was not estimated")
        return f"The lag between sound and scan is unknown: {reason}. {shift}"
    seconds, low, high = (number(quality[k].item(), 2) for k in ("lag", "lag_low", "lag_high"))
    p, n_shifts = quality["lag_p"].item(), quality.attrs.get("lag_shifts")
    sign = "≤" if n_shifts is not None and is_lowest_p(p, n_shifts) else "="
    draws = "circular shifts" if n_shifts is None else f"{n_shifts:,} circular shifts"
    by_chance = f"p {sign} {p:.2g} that sound and BOLD fit so well by chance, {draws}"
    value = f"lag {seconds} s [{low}, {high}]"
    if not quality["lag_reliable"].item():
        text = f"The lag of the scans behind the film is not reliable, do not use it: {value}"
    elif quality["lag_low"].item() <= 0 <= quality["lag_high"].item():
        text = f"The scans are aligned with the film: {value}"
    else:
        way = "late" if quality["lag"].item() > 0 else "early"
        text = f"The scans are {number(abs(quality['lag'].item()), 2)} s {way}: {value}"
    return f"{text} ({by_chance}). {shift}"


def unknown_lag(quality: xr.Dataset) -> list[str]:
    """A warning where the lag could not be tested; none for a film without sound.

    >>> unknown_lag(xr.Dataset({"lag": np.nan}, attrs={"lag_note": "80 volumes are too few"}))
    ["not checked whether the scans follow the film's sound: 80 volumes are too few"]
    """
    reason = quality.attrs.get("lag_note", NO_SOUND)
    if reason == NO_SOUND or ("lag" in quality and np.isfinite(quality["lag"])):
        return []
    return [f"not checked whether the scans follow the film's sound: {reason}"]


def no_discoveries_sentence(
    names: list[str], places: str, n_tested: int, n_shifts: int | None
) -> str:
    """A caution on the bands ``names`` that predict BOLD on average, but nowhere at q < .05.

    Empty without such bands. ``n_shifts``: nulls of each of ``n_tested`` places; None: unknown.

    >>> print(no_discoveries_sentence(["sound"], "voxels", 3666, 5000))
    Low power: none of 3,666 voxels has q < .05 (sound), which does not mean that nothing is \
predicted there. The lowest p is 1/5,001 (shifts of BOLD): a single voxel with it has q = 0.73, \
and q < .05 needs 15 of them. Regions and the map show where r is high; parcels or longer scans \
have more power.
    """
    if not names:
        return ""
    floor = "" if n_shifts is None else _lowest_q(places, n_tested, n_shifts)
    return (
        f"Low power: none of {n_tested:,} {places} has q < .05 ({', '.join(names)}), which does "
        f"not mean that nothing is predicted there.{floor} Regions and the map show where r is "
        "high; parcels or longer scans have more power."
    )


def _lowest_q(places: str, n_tested: int, n_shifts: int) -> str:
    """The lowest p, and what it means for q by Benjamini and Hochberg's procedure."""
    alone = n_tested / (1 + n_shifts)
    place = {"vertices": "vertex"}.get(places, places.removesuffix("s"))
    enough = int(alone / LARGEST_P) + 1
    needed = f", and q < .05 needs {enough} of them" if enough > 1 else ""
    return (
        f" The lowest p is 1/{1 + n_shifts:,} (shifts of BOLD): a single {place} with it has "
        f"q = {number(min(alone, 1.0), 2 if alone >= 0.01 else 4)}{needed}."
    )


def r2_sentence(summary: pd.DataFrame) -> str:
    """A caution where means of R², which has no lower bound, are far below their medians.

    >>> rows = [("r2_all", -249.1, -1.5), ("r2_text", 0.1, 0.1)]
    >>> r2_sentence(pd.DataFrame(rows, columns=["metric", "mean", "median"]))
    'R² has no lower bound: where ridge predicts far too much, a few values pull its mean down. \
r2_all: mean −249.1, median −1.50. Read the median, or r.'
    """
    r2 = summary[summary["metric"].str.startswith(("r2_", "unique_"))]
    means = r2.groupby("metric", sort=False)[["mean", "median"]].agg(
        {"mean": "mean", "median": "median"}
    )
    means = means[means["mean"] < -1]
    if means.empty:
        return ""
    values = [
        f"{row.Index}: mean {number(row.mean, 1)}, median {number(row.median, 2)}"
        for row in means.itertuples()
    ]
    return (
        "R² has no lower bound: where ridge predicts far too much, a few values pull its mean "
        "down. "
        f"{'; '.join(values)}. Read the median, or r."
    )
