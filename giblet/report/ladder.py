"""The ladder: the same seconds of film as they are, coded, through the model, and from BOLD.

Each step is a spectrogram strip that plays its sound, with one number in a unit that all share.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from giblet.audio.metrics.identify import clip_length
from giblet.audio.metrics.scores import SEGMENT_SECONDS
from giblet.audio.metrics.table import metric_of
from giblet.report.brains import NOISE, SIMULATED, brains
from giblet.report.decoded import Finding, finding, too_few
from giblet.report.listen import player_uri
from giblet.report.material import Material
from giblet.report.permutation_figure import null_of, null_range
from giblet.report.segments import moments
from giblet.report.strips import (
    RANGE_DB,
    colour_bar_image,
    frequency_marks,
    gain_text,
    level_gains,
    own_shades,
    strip_image,
    strip_levels,
)
from giblet.report.systems import (
    FEATURE_LABELS,
    MATCHED,
    REFERENCE,
    SYSTEMS,
    label_within,
    stimulus_noun,
    system_label,
)
from giblet.report.tables import in_order, number
from giblet.report.timeline import span_text, time_axis
from giblet.timing import count_samples, samples_duration

STEPS = ("original", "codec", "stimulus", "brain")
UNITS = ("identification_sound_10way", "identification_sound_2way")  # the first that brain has
WITHOUT_BRAIN = "stoi"
BESIDE_BRAIN = ("brain_shuffled", "nearest_clip")


@dataclass(frozen=True)
class Score:
    """A number with its interval: as text, and as places from 0 to 100 on the unit's scale.

    ``low``, ``high``: NaN without an interval. ``marks``: name, text and place of what the number
    is compared with. ``subjects``: places of single subjects, where they are known. ``null``: 2.5
    and 97.5 % of permutations of the clips, NaN where there are none. ``why``: why no decoding is
    shown, empty elsewhere; ``few``: the number is of too few clips to be shown.
    """

    text: str
    interval: str
    place: float
    low: float
    high: float
    marks: list[tuple[str, str, float]]
    subjects: tuple[float, ...] = ()
    null: tuple[float, float] = (np.nan, np.nan)
    why: str = ""
    few: bool = False


@dataclass(frozen=True)
class Strip:
    """A step: its name, a gloss, the gain in dB, data URIs of picture and sound, and its score.

    ``levels``: dB of the picture, (n_bands, n_frames). ``own``: the ends of its own colour scale,
    as shades of the picture; ``own_range``: the same in words, see `own_shades`.
    """

    name: str
    gloss: str
    gain: str
    picture: str
    sound: str
    score: Score | None
    levels: np.ndarray
    own: str
    own_range: str


@dataclass(frozen=True)
class Ladder:
    """Strips of one moment, what their number is, and their axes.

    ``ticks``: text and place in percent of the time axis; ``axis`` names it. ``chance``: place of
    chance on the unit's scale, NaN where it has none. ``span``: which seconds, ``choice``: why
    these.
    """

    title: str
    seconds: float
    unit: str
    chance: float
    chance_text: str
    strips: list[Strip]
    ticks: list[tuple[str, float]]
    axis: str
    frequencies: list[tuple[str, float]]
    colour_bar: str
    range_db: float
    sample_rate: float
    span: str
    choice: str

    @property
    def source(self) -> str:
        """What the seconds are of, in a heading."""
        return "held-out film" if self.axis == "film" else "held-out sound"

    @property
    def heard(self) -> str:
        """The gloss of the strip from BOLD, which names the subject; empty without it."""
        glosses = (s.gloss for s in self.strips if s.name == SYSTEMS["brain"].label)
        return next(glosses, "")


def ladder(material: Material, moment: tuple[int, int] | None = None) -> Ladder | None:
    """The steps that ``material`` has sounds of, in its median segment; None without sounds.

    The median segment is that by STOI of what comes through the model; without scores of segments
    the first 8 s. ``moment``: first sample and end of others.
    """
    names = [name for name in in_order(material.sounds, FEATURE_LABELS) if name != MATCHED]
    if not names:
        return None
    one, rate = names[0], material.sample_rate
    begin, end, which, choice = (*moment, "", "") if moment else _segment(material)
    columns = [column for column in STEPS if column in material.sounds[one]]
    waves = [material.sounds[one][column][begin:end] for column in columns]
    gains = level_gains(waves)
    waves = [gain * wave for gain, wave in zip(gains, waves, strict=True)]
    levels = [strip_levels(wave, rate) for wave in waves]
    cells = material.scores[material.scores["path"] == one].set_index(["column", "metric"])
    unit = unit_of(cells["value"].to_dict())
    strips = [
        Strip(
            *step_name(one, column, material.facts),
            gain_text(gain / gains[0]),
            strip_image(level, levels[0].max()),
            player_uri(wave, rate),
            _score(
                cells,
                column,
                unit,
                _by_subject(material, one, column, unit),
                _null(material, one, column, unit),
                _finding(material, one, column, unit),
            ),
            level,
            *own_shades(level, levels[0].max()),
        )
        for column, gain, wave, level in zip(columns, gains, waves, levels, strict=True)
    ]
    chance = metric_of(unit).chance
    seconds, start = (samples_duration(n, rate) for n in (end - begin, begin))
    where = material.extras.timeline, start, seconds, stimulus_noun(material.facts)
    (ticks, axis), span = time_axis(*where), span_text(*where)
    return Ladder(
        title=f"{which}{seconds:.3g} s",
        seconds=seconds,
        unit=unit_text(unit, material.facts),
        chance=np.nan if chance is None else 100 * chance,
        chance_text="" if chance is None else f"{100 * chance:.0f} %",
        strips=strips,
        ticks=ticks,
        axis=axis,
        frequencies=frequency_marks(rate),
        colour_bar=colour_bar_image(),
        range_db=RANGE_DB,
        sample_rate=rate,
        span=span,
        choice=choice,
    )


def _segment(material: Material) -> tuple[int, int, str, str]:
    chosen = moments(material.extras.segments, material.n_samples, material.sample_rate)
    if "median" in chosen:
        choice = f"the median segment by STOI of {SYSTEMS['stimulus'].label}"
        return *chosen["median"], "The median ", choice
    n_samples = count_samples(SEGMENT_SECONDS, material.sample_rate)
    return 0, min(n_samples, material.n_samples), "The first ", ""


def unit_of(values: Mapping[tuple[str, str], float]) -> str:
    """The metric of all numbers: identification by sound if the brain has it, otherwise STOI.

    ``values``: (column, metric) → value.

    >>> unit_of({("brain", "identification_sound_10way"): 0.4}), unit_of({("codec", "stoi"): 0.8})
    ('identification_sound_10way', 'stoi')
    """
    known = (unit for unit in UNITS if np.isfinite(values.get(("brain", unit), np.nan)))
    return next(known, WITHOUT_BRAIN)


def unit_text(unit: str, facts: Mapping) -> str:
    """The unit in words."""
    metric = metric_of(unit)
    if not metric.n_way:
        return f"{metric.label}, {metric.reading}"
    settings = facts.get("settings")
    seconds = ""
    if settings is not None:
        seconds = f"{clip_length(settings.decoding.clip_seconds, settings.t_r):g}-s "
    return f"right {seconds}clip picked out of {metric.n_way} by its sound"


def step_name(feature_type: str, column: str, facts: Mapping) -> tuple[str, str]:
    """The name of a step and a gloss.

    >>> step_name("encodec", "codec", {"bandwidth_kbps": 6.0})
    ('Codec', 'at 6 kbit/s and back')
    >>> step_name("encodec", "original", {"has_bold": False})
    ('Original', 'the sound itself')
    >>> facts = {"simulated": True, "has_bold": True, "subjects": ["sub-01", "sub-02"]}
    >>> step_name("mel", "brain", facts)
    ('From BOLD', 'simulated, sub-01')
    """
    label = system_label(column, False, feature_type if column == "codec" else REFERENCE)
    if column == "codec":
        is_codec = feature_type == REFERENCE and "bandwidth_kbps" in facts
        return label, f"at {facts['bandwidth_kbps']:g} kbit/s and back" if is_codec else "no model"
    if column in ("original", "stimulus"):
        return label, SYSTEMS[column].about
    who = [*facts.get("subjects", [])[:1]]
    kind = brains(facts)
    return label, ", ".join([kind] * (kind in (SIMULATED, NOISE)) + who)


def _by_subject(material: Material, path: str, column: str, unit: str) -> tuple[float, ...]:
    """Places of single subjects; none where they are unknown, or there is one."""
    table = material.extras.by_subject
    if table is None:
        return ()
    here = (table["path"] == path) & (table["column"] == column) & (table["metric"] == unit)
    values = 100 * table.loc[here, "value"].dropna()
    return tuple(values.tolist()) if len(values) > 1 else ()


def _null(material: Material, path: str, column: str, unit: str) -> tuple[float, float]:
    """Places of 95 % of permutations of the clips."""
    low, high = null_range(null_of(material.extras.permutations, path, column, unit))
    return 100 * low, 100 * high


def _finding(material: Material, path: str, column: str, unit: str) -> Finding:
    """Whether decoding is shown; of other columns only whether there are too few clips."""
    scores, extras = material.scores, material.extras
    if unit not in UNITS:
        return Finding()
    if column == "brain":
        return finding(scores, path, unit, extras.permutations, extras.baselines)
    here = (scores["path"] == path) & (scores["column"] == column) & (scores["metric"] == unit)
    why = too_few(scores.loc[here, "n"].min())
    return Finding(bool(why), why)


def _score(
    cells: pd.DataFrame,
    column: str,
    unit: str,
    subjects: tuple[float, ...],
    null: tuple[float, float],
    decoded: Finding,
) -> Score | None:
    """The score of a column; the brain's with those of a null and of retrieval."""
    if not np.isfinite(_value(cells, column, unit)):
        return None
    row = cells.loc[column, unit]
    value, low, high = (100 * float(row[k]) for k in ("value", "low", "high"))
    has_interval = np.isfinite(low) and np.isfinite(high)
    marks = [
        (
            label_within(other),
            _text(_value(cells, other, unit), unit),
            100 * _value(cells, other, unit),
        )
        for other in BESIDE_BRAIN
        if column == "brain" and np.isfinite(_value(cells, other, unit))
    ]
    is_share = metric_of(unit).n_way > 0
    ends = [_text(end / 100, unit).removesuffix(" %") for end in (low, high)]
    interval = f"[{ends[0]}, {ends[1]}]" if has_interval and (low < high or not is_share) else ""
    places = (value, low, high) if has_interval else (value, np.nan, np.nan)
    text = _text(value / 100, unit)
    return Score(text, interval, *places, marks, subjects, null, decoded.why, decoded.few)


def _value(cells: pd.DataFrame, column: str, unit: str) -> float:
    return float(cells.loc[(column, unit), "value"]) if (column, unit) in cells.index else np.nan


def _text(value: float, unit: str) -> str:
    """Shares in percent, others with two decimals."""
    return f"{number(100 * value, 0)} %" if metric_of(unit).n_way else number(value, 2)
