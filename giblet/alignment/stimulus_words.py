"""Words of many stimuli on the film that they make together."""

from collections import Counter
from functools import partial

import numpy as np
import pandas as pd

from giblet.brain.stimulus_clock import StimulusClock
from giblet.errors import GibletError, each
from giblet.film.annotations import read_annotations
from giblet.timing import TOLERANCE

_MOST = 3  # files whose warnings are listed in full


def stimulus_words(clock: StimulusClock, **options) -> pd.DataFrame:
    """Rows ``onset``, ``duration`` (s of the film of all stimuli) and ``text``, by onset.

    Each file of words is on the clock of its stimulus' file; a row is cut where the excerpt begins
    and ends, and left out where it lies outside. ``options`` as of ``read_annotations``.
    ``.attrs["warnings"]``: those of the first three files that have any, and how many more have.

    Raises
    ------
    GibletError
        As ``read_annotations``; no stimulus has words; no row lies within its stimulus.
    """
    with_words = [k for k, path in enumerate(clock.annotations) if path]
    if not with_words:
        raise GibletError("no stimulus has annotations: put them beside its file, under its name")
    files = list(dict.fromkeys(clock.annotations[k] for k in with_words))
    read = each(partial(_read, options=options), files)
    tables = dict(zip(files, read, strict=True))
    counts: Counter[str] = Counter()
    parts = []
    for k in with_words:
        file = clock.annotations[k]
        part = _excerpt(tables[file], float(clock.starts[k]), float(clock.durations[k]))
        counts[file] += len(part)
        parts.append(part.assign(onset=part["onset"] + clock.begins[k]))
    if not sum(counts.values()):
        raise GibletError(
            f"no row of the annotations of {len(files)} stimuli or files lies within its stimulus: "
            "are their times in seconds? For milliseconds set words.unit_seconds: 0.001"
        )
    words = pd.concat(parts).sort_values("onset", kind="stable", ignore_index=True)
    words.attrs["warnings"] = _warnings(clock, tables, counts)
    return words


def _excerpt(rows: pd.DataFrame, start: float, duration: float) -> pd.DataFrame:
    """The rows of ``duration`` s from ``start`` (s) on, at times since then.

    Of a row that is cut those words stay that lie within, spread evenly over it.
    """
    begin, length = rows["onset"] - start, rows["duration"]
    onset, end = begin.clip(lower=0), (begin + length).clip(upper=duration)
    inside = (begin < duration - TOLERANCE) & ((end > TOLERANCE) | (begin >= 0))
    cut = inside & (end - onset < length - TOLERANCE)
    text = rows["text"].copy()
    for row in text.index[cut]:
        words = text[row].split()
        middles = begin[row] + length[row] * (np.arange(len(words)) + 0.5) / len(words)
        stay = (middles >= 0) & (middles < duration)
        text[row] = " ".join(word for word, here in zip(words, stay, strict=True) if here)
    part = pd.DataFrame({"onset": onset, "duration": end - onset, "text": text})
    return part[inside & (text != "")]


def _read(file: str, options: dict) -> pd.DataFrame:
    try:
        return read_annotations(file, **options)
    except GibletError as error:
        raise GibletError(
            f"{error} (beside a stimulus; annotations: none leaves the words of all out)"
        ) from None


def _warnings(clock: StimulusClock, tables: dict, counts: Counter) -> list[str]:
    lines = []
    warned = [file for file, rows in tables.items() if rows.attrs["warnings"]]
    for file in warned[:_MOST]:
        lines += tables[file].attrs["warnings"]
    if len(warned) > _MOST:
        lines.append(f"words: {len(warned) - _MOST} more files of stimuli have warnings")
    ends: dict[str, float] = {}  # of all of a file that stimuli are of
    for file, start, duration in zip(clock.annotations, clock.starts, clock.durations, strict=True):
        ends[file] = max(ends.get(file, 0.0), float(start + duration))
    late = [
        file for file, rows in tables.items() if (rows["onset"] >= ends[file] + clock.t_r).any()
    ]
    if late:
        lines.append(
            f"words: rows of {len(late)} files begin after their stimuli end, the first of "
            f"{late[0]}; they are left out"
        )
    if empty := [file for file in tables if not counts[file]]:
        lines.append(f"words: no row of {len(empty)} files lies within their stimuli ({empty[0]})")
    if without := sum(not path for path in clock.annotations):
        lines.append(f"words: {without} of {len(clock.names)} stimuli have no annotations")
    return lines
