"""The timeline of the film, or of many stimuli: parts, runs, words and missing volumes."""

from functools import partial

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from giblet.alignment.showings import volume_trs
from giblet.brain.stimulus_clock import StimulusClock
from giblet.report.figures import OTHER_COLOUR
from giblet.report.pictures import Picture, ink
from giblet.report.tables import in_order
from giblet.timing import tr_onsets

TICK_SECONDS, MOST_TICKS = (2, 5, 10, 15, 30, 60), 5
MISSING_COLOUR = "#CC79A7"
PART_COLOURS = {"train": "#1b82c5", "validation": "#E69F00", "test": "#D55E00", "gap": "#9aa5b1"}


def timeline_table(aligned: xr.Dataset) -> pd.DataFrame:
    """A row per TR: ``start`` and ``end`` (s of film), ``part``, ``run``, ``words`` where any.

    Of many stimuli also ``stimulus``, the name of each TR's, and ``begin``, where it begins; in
    older files where its first TR is.
    """
    columns = {
        "start": aligned["start_time"].values,
        "end": aligned["end_time"].values,
        "part": aligned["part"].values.astype(str),
        "run": aligned["run"].values.astype(str),
    }
    if "n_words" in aligned:
        columns["words"] = aligned["n_words"].values
    table = pd.DataFrame(columns)
    if "stimulus" not in aligned.coords:
        return table
    table["stimulus"] = aligned["stimulus"].values.astype(str)
    if "stimulus_begin" in aligned.coords:
        return table.assign(begin=aligned["stimulus_begin"].values)
    return table.assign(begin=table.groupby("stimulus")["start"].transform("min"))


def film_place(timeline: pd.DataFrame | None, second: float, noun: str = "film") -> str:
    """The position in the film of a second of the held-out sound; empty where it is unknown.

    ``timeline``: of `timeline_table`; ``noun``: what the film is called. Held-out sound is that of
    test TRs, one after the other.

    >>> rows = [(0.0, 60.0, "train"), (60.0, 70.0, "test"), (90.0, 100.0, "test")]
    >>> timeline = pd.DataFrame(rows, columns=["start", "end", "part"])
    >>> film_place(timeline, 0.0), film_place(timeline, 12.0), film_place(None, 3.0)
    (', from 1:00 of the film', ', from 1:32 of the film', '')
    >>> film_place(timeline, 0.0, "stimuli")
    ', from 1:00 of the stimuli'
    """
    place = film_second(timeline, second)
    if timeline is None or not np.isfinite(place):
        return ""
    begin, axis = _origin_of_axis(timeline, place, noun)
    return f", from {clock_time(place - begin + 1e-6)} of {_with_article(axis, noun)}"


def _origin_of_axis(timeline: pd.DataFrame, place: float, noun: str) -> tuple[float, str]:
    """Of a second of the film the second 0 of its axis, and the axis' name.

    >>> rows = [(6.0, 8.0, "rain", 6.0), (8.0, 10.0, "rain", 6.0)]
    >>> timeline = pd.DataFrame(rows, columns=["start", "end", "stimulus", "begin"])
    >>> _origin_of_axis(timeline, 9.0, "stimuli"), _origin_of_axis(timeline[["start"]], 9.0, "film")
    ((6.0, 'stimulus rain'), (0.0, 'film'))
    """
    if "stimulus" not in timeline:
        return 0.0, noun
    row = timeline[timeline["start"] <= place + 1e-6].iloc[-1]
    return float(row["begin"]), f"stimulus {row['stimulus']}"


def _with_article(axis: str, noun: str) -> str:
    return f"{'the ' * (axis == noun)}{axis}"


def film_second(timeline: pd.DataFrame | None, second: float) -> float:
    """The second of the film of a second of the held-out sound; NaN where it is unknown.

    >>> timeline = pd.DataFrame([(60.0, 70.0, "test")], columns=["start", "end", "part"])
    >>> film_second(timeline, 2.5), film_second(timeline, 12.0), film_second(None, 3.0)
    (62.5, nan, nan)
    """
    if timeline is None or "part" not in timeline:
        return np.nan
    held_out = timeline[timeline["part"] == "test"]
    ends = (held_out["end"] - held_out["start"]).cumsum().to_numpy()
    row = int(np.searchsorted(ends, second, side="right"))
    if row == len(ends):
        return np.nan
    return float(held_out["end"].to_numpy()[row] - (ends[row] - second))


def clock_time(seconds: float) -> str:
    """Minutes and whole seconds.

    >>> clock_time(92.5)
    '1:32'
    """
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"


def span_text(
    timeline: pd.DataFrame | None, start: float, seconds: float, noun: str = "film"
) -> str:
    """Which seconds these are: of the film, a stimulus, or the held-out sound, as in `time_axis`.

    >>> span_text(None, 16.0, 8.0)
    '0:16 to 0:24 of held-out sound'
    >>> timeline = pd.DataFrame([(60.0, 70.0, "test")], columns=["start", "end", "part"])
    >>> span_text(timeline, 0.0, 8.0, "stimuli")
    '1:00 to 1:08 of the stimuli'
    """
    origin, axis = _origin(timeline, start, seconds, noun)
    ends = clock_time(origin + 1e-6), clock_time(origin + seconds + 1e-6)
    return f"{' to '.join(ends)} of {_with_article(axis, noun)}"


def _origin(
    timeline: pd.DataFrame | None, start: float, seconds: float, noun: str
) -> tuple[float, str]:
    """The first second on the time axis, and the axis' name."""
    first, last = (film_second(timeline, s) for s in (start, start + seconds - 1e-6))
    if timeline is None or not abs(last - first - seconds) < 1e-3:  # also with NaN
        return start, "held-out sound"
    begin, axis = _origin_of_axis(timeline, first, noun)
    return first - begin, axis


def time_axis(
    timeline: pd.DataFrame | None, start: float, seconds: float, noun: str = "film"
) -> tuple[list[tuple[str, float]], str]:
    """Ticks (text, place in percent) of the time axis and its name.

    Minutes and seconds of film (``noun``), or of one of many stimuli; of held-out sound where
    ``timeline``, of `timeline_table`, is None or has a jump in these seconds.

    >>> time_axis(None, 16.0, 4.0)
    ([('0:16', 0.0), ('0:18', 50.0), ('0:20', 100.0)], 'held-out sound')
    """
    origin, axis = _origin(timeline, start, seconds, noun)
    step = next((s for s in TICK_SECONDS if seconds / s <= MOST_TICKS), TICK_SECONDS[-1])
    first, last = origin / step - 1e-6, (origin + seconds) / step + 1e-6
    ticks = step * np.arange(np.ceil(first), np.floor(last) + 1)
    return [(clock_time(t), round(100 * (t - origin) / seconds, 2)) for t in ticks.tolist()], axis


def scanned_table(scans: xr.Dataset, n_words: np.ndarray | None = None) -> pd.DataFrame:
    """The same of scans without a film: a row per TR in which any subject was scanned, no ``part``.

    ``scans``: as for `missing_volumes`. ``n_words`` (n_trs,): of the TRs from 0 s on.
    """
    trs = volume_trs(scans, float(scans.attrs["t_r"]))
    inside = scans["in_film"].values & (trs >= 0)
    trs, first = np.unique(trs[inside], return_index=True)
    edges = tr_onsets(int(trs.max(initial=-1)) + 2, float(scans.attrs["t_r"]))
    columns = {"start": edges[trs], "end": edges[trs + 1]}
    columns["run"] = scans["run"].values.astype(str)[inside][first]
    if n_words is not None:
        columns["words"] = pd.Series(n_words).reindex(trs, fill_value=0).values
    return pd.DataFrame(columns)


def missing_volumes(scans: xr.Dataset) -> pd.DataFrame:
    """The TRs of film in which a subject has no volume: ``start``, ``end`` (s), ``n_missing``.

    ``scans``: coordinates of ``giblet.brain.load_bids`` along ``volume``. Volumes are missing where
    they were dropped as not steady or not recorded; up to the last TR that any subject has.
    """
    trs = volume_trs(scans, float(scans.attrs["t_r"]))
    subjects, who = np.unique(scans["subject"].values.astype(str), return_inverse=True)
    inside = scans["in_film"].values & (trs >= 0)
    n_trs = int(trs[inside].max(initial=-1)) + 1
    present = np.zeros((len(subjects), n_trs), dtype=bool)
    present[who[inside], trs[inside]] = True
    if (clock := StimulusClock.of_scans(scans)) is not None:  # silence was not presented
        present |= clock.stimulus_of_trs(n_trs) < 0
    edges = tr_onsets(n_trs + 1, float(scans.attrs["t_r"]))
    columns = {"start": edges[:-1], "end": edges[1:], "n_missing": (~present).sum(axis=0)}
    return pd.DataFrame(columns).query("n_missing > 0")


def timeline_figure(
    table: pd.DataFrame,
    missing: pd.DataFrame | None = None,
    title: str = "Timeline",
    noun: str = "film",
) -> Picture:
    """The film from left to right: parts, runs, words per TR, missing volumes."""
    draw = partial(_draw, table=table, missing=missing, noun=noun)
    return Picture("timeline", title, draw, (9.0, 2.2), table, timeline_sentence(table, noun))


def _draw(axes: Axes, table: pd.DataFrame, missing: pd.DataFrame | None, noun: str) -> None:
    lanes = ["part"] if "part" in table else []
    lanes += ["run"] if not lanes or table["run"].nunique() > 1 else []
    for lane, column in enumerate(lanes):
        for k, name in enumerate(in_order(table[column], PART_COLOURS)):
            rows = table[table[column] == name]
            colour = PART_COLOURS.get(name, OTHER_COLOUR)
            alpha = 1.0 if name in PART_COLOURS else (0.45 if k % 2 else 0.9)
            label = name if column == "part" else None
            style = {"facecolors": colour, "alpha": alpha, "label": label}
            axes.broken_barh(spans(rows), (-lane - 0.4, 0.8), **style)
    if "words" in table:
        middle, most = (table["start"] + table["end"]) / 2, max(float(table["words"].max()), 1.0)
        height = 0.8 * table["words"] / most
        width = (table["end"] - table["start"]).median()
        axes.bar(middle, height, width, bottom=-len(lanes) - 0.4, color=ink())
        lanes.append("words")
    if missing is not None and len(missing):
        place = (-len(lanes) - 0.4, 0.8)
        axes.broken_barh(spans(missing), place, facecolors=MISSING_COLOUR, label="volumes missing")
        lanes.append("missing")
    axes.set_yticks(-np.arange(len(lanes)), lanes)
    axes.set_ylim(-len(lanes) + 0.5, 0.5)
    of_stimuli = "stimulus" in table
    axes.set_xlabel("seconds of all stimuli, joined" if of_stimuli else f"seconds of {noun}")
    axes.figure.legend(*axes.get_legend_handles_labels(), loc="outside upper right", ncols=4)


def spans(rows: pd.DataFrame) -> list[tuple[float, float]]:
    """Consecutive rows without a gap, joined: (first second, seconds) each.

    >>> spans(pd.DataFrame({"start": [0.0, 1.5, 6.0], "end": [1.5, 3.0, 7.5]}))
    [(0.0, 3.0), (6.0, 1.5)]
    """
    start, end = rows["start"].to_numpy(), rows["end"].to_numpy()
    first = np.flatnonzero(np.append(True, ~np.isclose(start[1:], end[:-1])))
    last = np.append(first[1:], len(rows)) - 1
    return list(zip(start[first].tolist(), (end[last] - start[first]).tolist(), strict=True))


def training_sentence(table: pd.DataFrame | None, noun: str = "film") -> str:
    """The amount of film (``noun``) in training and in validation; empty where it is unknown.

    >>> table = pd.DataFrame({"start": [0.0, 1.5], "end": [1.5, 3.0], "part": "train"})
    >>> training_sentence(table), training_sentence(None)
    ('Film in training: 2 TRs (3 s).', '')
    """
    if table is None or "part" not in table:
        return ""
    seconds = table["end"] - table["start"]
    parts = [
        f"in {name}: {inside.sum():,} TRs ({seconds[inside].sum():,.0f} s)"
        for part, name in (("train", "training"), ("validation", "validation"))
        if (inside := table["part"] == part).any()
    ]
    return f"{noun.capitalize()} {', '.join(parts)}." if parts else ""


def missing_sentence(missing: pd.DataFrame) -> str:
    """Missing volumes in a sentence; empty where none is missing.

    >>> missing_sentence(pd.DataFrame({"start": [0.0], "end": [1.5], "n_missing": [2]}))
    'Volumes are missing in 1 TRs, of up to 2 subjects: dropped as not steady, or not recorded.'
    """
    if missing.empty:
        return ""
    return (
        f"Volumes are missing in {len(missing)} TRs, of up to {missing['n_missing'].max()} "
        "subjects: dropped as not steady, or not recorded."
    )


def timeline_sentence(table: pd.DataFrame, noun: str = "film") -> str:
    """The timeline in a sentence.

    >>> timeline_sentence(pd.DataFrame({"start": [0.0], "end": [2.0], "part": ["test"],
    ...                                 "run": ["a"], "words": [0.0]}))
    '1 TRs from 0.0 to 2.0 s of film: 1 test (2 s); 1 run; words in 0 TRs.'
    """
    counts = table["part"].value_counts() if "part" in table else {}
    lasting = (
        (table["end"] - table["start"]).groupby(table["part"]).sum() if "part" in table else {}
    )
    parts = ", ".join(
        f"{counts[name]} {name} ({lasting[name]:,.0f} s)"
        for name in in_order(counts.keys(), PART_COLOURS)
    )
    parts = f": {parts}" if parts else ""
    runs = table["run"].nunique()
    words = "; no words were given" if parts else ""  # of scans alone, a warning says it
    if "words" in table:
        words = f"; words in {int((table['words'] > 0).sum())} TRs"
    where = f"from {table['start'].min():.1f} to {table['end'].max():.1f} s of {noun}"
    if "stimulus" in table:
        where = f"of {table['stimulus'].nunique()} stimuli"
    return f"{len(table)} TRs {where}{parts}; {runs} run{'s' if runs > 1 else ''}{words}."
