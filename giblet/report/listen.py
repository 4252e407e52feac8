"""The same seconds of film on every path, to hear and to see side by side."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from giblet.report.players import player_uri
from giblet.report.spectrograms import outline, spectrogram_levels, spectrogram_png
from giblet.report.tables import COLUMNS, PATHS, column_label, in_order, path_label
from giblet.timing import count_samples, samples_duration

PLAYER_SECONDS = 60.0
ONLY, BEGINNING = "only segment", "beginning"


@dataclass(frozen=True)
class Exhibit:
    """One sound: its name, a player's data URI, a spectrogram's data URI, an outline (SVG path)."""

    label: str
    sound: str
    picture: str
    outline: str


@dataclass(frozen=True)
class Moment:
    """Some seconds of held-out sound in all its forms, the original first."""

    name: str
    begin: float
    seconds: float
    exhibits: list[Exhibit]


def listening(
    sounds: Mapping[str, Mapping[str, np.ndarray]],
    sample_rate: float,
    chosen: Mapping[str, tuple[int, int]],
    simulated: bool,
) -> list[Moment]:
    """The ``chosen`` segments (name → first sample, end), then the first ``PLAYER_SECONDS``, if
    that is not one of them.

    ``sounds``: path → column → (n_samples,), all equally long, at ``sample_rate`` Hz.
    """
    forms = _forms(sounds, simulated)
    if not forms:
        return []
    n_samples = len(forms[0][1])
    stretches: dict[tuple[int, int], list[str]] = {}
    for name, stretch in chosen.items():
        stretches.setdefault(stretch, []).append(name)
    named = {s: " and ".join(names) + " segment" for s, names in stretches.items()}
    if len(chosen) > 1 and len(named) == 1:
        named = dict.fromkeys(named, ONLY)
    named.setdefault((0, min(n_samples, count_samples(PLAYER_SECONDS, sample_rate))), BEGINNING)
    return [_moment(name, s, forms, sample_rate) for s, name in named.items()]


def what_is_heard(moments: list[Moment]) -> str:
    """Which seconds those are, in the order of ``moments``; empty where there are none."""
    names, said = [moment.name for moment in moments], []
    if ONLY in names:
        said = [f"the only segment that has a STOI ({moments[0].seconds:.3g} s)"]
    elif any(name.endswith("segment") for name in names):
        said = ["the worst, the median and the best segment by STOI of the column stimulus"]
    if names[-1:] == [BEGINNING]:
        said.append(f"the first {moments[-1].seconds:.3g} s")
    return ", then ".join(said)


def _forms(sounds: Mapping, simulated: bool) -> list[tuple[str, np.ndarray]]:
    """Label and sound, column by column and path by path; the original, being the same, once."""
    columns = in_order([c for by_column in sounds.values() for c in by_column], COLUMNS)
    forms = [
        (_form_label(path, column, simulated), sounds[path][column])
        for column in columns
        for path in in_order(sounds, PATHS)
        if column in sounds[path] and column != "original"
    ]
    originals = [by_column["original"] for by_column in sounds.values()]
    return [("original", wave) for wave in originals[:1]] + forms


def _form_label(path: str, column: str, simulated: bool) -> str:
    """
    >>> _form_label("mel", "brain", simulated=True), _form_label("mel", "codec", simulated=True)
    ('mel: brain (simulated)', 'mel + Griffin-Lim')
    """
    name = path_label(path, column)
    return name if column == "codec" else f"{name}: {column_label(column, simulated)}"


def _moment(
    name: str, stretch: tuple[int, int], forms: list[tuple[str, np.ndarray]], sample_rate: float
) -> Moment:
    begin, end = stretch
    heard = [(label, wave[begin:end]) for label, wave in forms]
    levels = [spectrogram_levels(wave, sample_rate) for _, wave in heard]
    loudest, highest = levels[0].max(), np.abs(heard[0][1]).max()
    exhibits = [
        Exhibit(
            label,
            player_uri(wave, sample_rate),
            spectrogram_png(level, loudest),
            outline(wave, highest),
        )
        for (label, wave), level in zip(heard, levels, strict=True)
    ]
    place = (samples_duration(n, sample_rate) for n in (begin, end - begin))
    return Moment(name, *place, exhibits)
