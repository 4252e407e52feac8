"""Many sounds as one film: a folder or table of stimuli, joined with silence between them."""

import filecmp
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from os.path import normpath
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from giblet.audio.blocks import resampled
from giblet.audio.files import read_sound
from giblet.brain.stimulus_clock import StimulusClock, composed
from giblet.errors import GibletError, each, missing_path, nearest_name
from giblet.film.container import open_film
from giblet.film.tracks import choose_tracks
from giblet.io.atomic import replacing
from giblet.io.paths import once_per_file
from giblet.io.tables import is_table, load_table
from giblet.log import progress
from giblet.timing import count_samples, samples_duration

if TYPE_CHECKING:
    import soundfile

_COLUMNS = ("name", "file", "start", "duration", "annotations", "score", "score_offset")
WORDS = (".textgrid", ".srt", ".vtt", ".tsv", ".csv")  # beside a stimulus; the first that is there
SCORES = (".mid", ".midi", ".musicxml")  # likewise
_OTHERS = (
    ".db",
    ".ini",
    ".json",
    ".txt",
    ".md",
    ".xlsx",
    ".pdf",
    ".py",
    ".m",
    ".zip",
    ".ctm",
    ".stm",
    ".mxl",
)
_NO_SOUNDS = (*_OTHERS, *WORDS, *SCORES)
_SHORTER = 0.1  # s by which a file may end before its excerpt: the padding of codecs
_WAV_BYTES = 2**32 - 2**16  # of samples in a file that is no RF64


@dataclass(frozen=True)
class Stimulus:
    """An excerpt of a file from its second ``start`` on; ``duration`` None: to its end.

    ``annotations`` and ``score`` are files of its words and notes, on the file's clock, but that
    the score's second 0 is second ``score_offset`` of the file.
    """

    name: str
    file: Path
    start: float = 0.0
    duration: float | None = None
    annotations: Path | None = None
    score: Path | None = None
    score_offset: float = 0.0


def list_stimuli(source: str | Path) -> list[Stimulus]:
    """The stimuli of a folder, each named as its file is without ending, or of a table.

    In a table (.tsv or .csv) ``file`` lies relative to it; ``name`` is that of the file without
    ending, ``start`` 0 s and ``duration`` to the file's end where they are n/a or no such column is
    there. ``annotations`` and ``score`` of a stimulus are those that the table names, else what
    lies beside its file under its name, with an ending of `WORDS` and of `SCORES`.
    ``score_offset`` is 0 s where it is n/a.

    Raises
    ------
    GibletError
        A file or column is missing, a column is unknown, a time is no number of seconds, no sound
        is named, or two have one name.
    """
    source = Path(source)
    if source.is_dir():
        files = sorted(p for p in source.rglob("[!.]*.*") if p.is_file())
        files = [p for p in files if p.suffix.lower() not in _NO_SOUNDS]
        stimuli = [Stimulus(path.stem, path) for path in files]
        stimuli = _with_companions(stimuli)
    elif is_table(source):
        stimuli = _of_table(source)
    else:
        missing = "" if source.exists() else f" ({missing_path(str(source))})"
        raise GibletError(f"{source}: stimuli are a folder of sounds, or a .tsv or .csv{missing}")
    if not stimuli:
        raise GibletError(f"{source}: no stimuli in it")
    names = pd.Series([stimulus.name for stimulus in stimuli])
    if names.duplicated().any():
        twice = names[names.duplicated()].iloc[0]
        raise GibletError(
            f"{source}: two stimuli are named {twice}; give each a name (column name)"
        )
    return stimuli


def _of_table(path: Path) -> list[Stimulus]:
    texts = dict.fromkeys(("name", "file", "annotations", "score"), str)
    table = load_table(path, dtype=texts).dropna(how="all")
    for name in table:
        if name not in _COLUMNS:
            advice = nearest_name(str(name), _COLUMNS)
            raise GibletError(
                f"{path}: unknown column {name}{advice}; valid: {', '.join(_COLUMNS)}"
            )
    if "file" not in table or table["file"].isna().any():
        raise GibletError(f"{path}: every stimulus needs a file, in a column of this name")
    none = pd.Series([None] * len(table), table.index)
    starts, durations, offsets = (
        _times(table, name, path) for name in ("start", "duration", "score_offset")
    )
    starts, offsets = np.nan_to_num(starts), np.nan_to_num(offsets)
    files, words, scores = (
        _files(table.get(name, none), path) for name in ("file", "annotations", "score")
    )
    stimuli = []
    for n, (file, name) in enumerate(zip(files, table.get("name", none), strict=True)):
        assert file is not None  # checked above
        named = file.stem if pd.isna(name) else str(name).strip()
        start, offset = float(starts[n]), float(offsets[n])
        duration = None if np.isnan(durations[n]) else float(durations[n])
        stimuli.append(Stimulus(named, file, start, duration, words[n], scores[n], offset))
    return _with_companions(stimuli)


def _files(column: pd.Series, path: Path) -> list[Path | None]:
    """The files that a column of the table ``path`` names. GibletError for a missing one."""
    texts = [None if pd.isna(name) else str(name).strip() for name in column]
    files = [None if text is None else Path(normpath(path.parent / text)) for text in texts]
    for n, file in enumerate(files):
        if file is not None and not file.is_file():
            raise GibletError(f"{path}: row {n + 1}: {missing_path(str(file))}")
    return files


def _with_companions(stimuli: list[Stimulus]) -> list[Stimulus]:
    """``stimuli`` with the words and notes beside them, where they have no others."""
    folders = dict.fromkeys(stimulus.file.parent for stimulus in stimuli)
    beside: dict[tuple, Path] = {}
    for folder in folders:
        for path in sorted(folder.iterdir()):
            beside.setdefault((folder, composed(path.stem), path.suffix.lower()), path)

    def first(stimulus: Stimulus, endings: Iterable[str]) -> Path | None:
        stem = composed(stimulus.file.stem)
        keys = ((stimulus.file.parent, stem, ending) for ending in endings)
        return next((beside[key] for key in keys if key in beside), None)

    return [
        replace(s, annotations=s.annotations or first(s, WORDS), score=s.score or first(s, SCORES))
        for s in stimuli
    ]


def _times(table: pd.DataFrame, name: str, path: Path) -> np.ndarray:
    """A column of seconds (n_stimuli,), NaN where there is none. GibletError for others."""
    if name not in table:
        return np.full(len(table), np.nan)
    times = pd.to_numeric(table[name], errors="coerce").to_numpy(float)
    wrong = (np.isnan(times) & table[name].notna().to_numpy()) | np.isinf(times)
    wrong |= {"start": times < 0, "duration": times <= 0}.get(name, False)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise GibletError(f"{path}: row {row + 1}: {name} is {table[name].iloc[row]}, not seconds")
    return times


def join_stimuli(
    source: str | Path, sound: str | Path, t_r: float, rest: float = 0.0
) -> StimulusClock:
    """Write the stimuli of a folder or table as one mono sound (.wav), and return their clock.

    Each is followed by ``rest`` s of silence, and more to keep them apart. Samples are floats at
    the highest rate of the files. In memory is one file's sound at a time.

    Raises
    ------
    GibletError
        As `list_stimuli` and `giblet.audio.read_sound`; a stimulus is shorter than a TR, or its
        file ends before it does.
    """
    import soundfile

    stimuli = list_stimuli(source)
    rate = max(_rate(file) for file in dict.fromkeys(s.file for s in stimuli))
    read = lru_cache(maxsize=1)(read_sound)  # excerpts of one file follow each other
    durations, first_tr, n_written = [], 0, 0
    with (
        replacing(sound) as temporary,
        soundfile.SoundFile(temporary, "w", rate, 1, "FLOAT", format=_format(stimuli, rate)) as out,
    ):
        for stimulus in progress(stimuli, "joining stimuli", "sounds"):
            samples = _excerpt(stimulus, read(stimulus.file, rate), rate)
            durations.append(samples_duration(len(samples), rate))
            alone = StimulusClock.lay_out([stimulus.name], durations[-1:], t_r, rest=rest)
            out.write(samples)
            first_tr += alone.n_film_trs
            n_end = count_samples(alone.at(first_tr), rate)
            out.write(np.zeros(n_end - n_written - len(samples), dtype=np.float32))
            n_written = n_end
    return _clock(stimuli, durations, t_r, rest)


_BLOCK = 1 << 14  # bytes


def _first_of_copies(files: Iterable[Path]) -> dict[Path, Path]:
    """Each file and the first one of the same bytes, which is itself unless it is a copy."""
    alike: dict[tuple, list[Path]] = {}
    first = {}
    for file in dict.fromkeys(files):
        n_bytes = file.stat().st_size
        with open(file, "rb") as opened:
            begin = opened.read(_BLOCK)
            opened.seek(n_bytes // 2)
            others = alike.setdefault((n_bytes, begin, opened.read(_BLOCK)), [])
        same = (other for other in others if filecmp.cmp(file, other, shallow=False))
        first[file] = next(same, file)
        if first[file] == file:
            others.append(file)
    return first


def stimulus_sounds(
    sound: str | Path, clock: StimulusClock, sample_rate: float
) -> Iterator[tuple[int, Iterator[np.ndarray]]]:
    """Of each stimulus its index and its sound alone, as blocks of `giblet.audio.sound_blocks`.

    ``sound`` is what `join_stimuli` wrote. Each stimulus is resampled by itself to ``sample_rate``
    Hz, so its samples are those of a file of its own. Memory holds one block.

    Raises GibletError where the file is not of this clock.
    """
    import soundfile

    with soundfile.SoundFile(sound) as joined:
        rate = joined.samplerate
        for k, (begin, duration) in enumerate(zip(clock.begins, clock.durations, strict=True)):
            first, n_samples = (count_samples(float(s), rate) for s in (begin, duration))
            if first + n_samples > joined.frames:
                raise GibletError(f"{sound}: ends before stimulus {clock.names[k]}; make it again")
            yield k, resampled(_pieces(joined, first, n_samples), sample_rate)


def _pieces(
    joined: "soundfile.SoundFile", first: int, n_samples: int
) -> Iterator[tuple[np.ndarray, int]]:
    """``n_samples`` from number ``first`` on, second by second, with their rate."""
    joined.seek(first)
    blocks = joined.blocks(joined.samplerate, frames=n_samples, dtype="float32")
    return ((block, joined.samplerate) for block in blocks)


def _clock(
    stimuli: list[Stimulus], durations: list[float], t_r: float, rest: float
) -> StimulusClock:
    first = _first_of_copies(s.file for s in stimuli)
    return StimulusClock.lay_out(
        [s.name for s in stimuli],
        durations,
        t_r,
        [str(first[s.file]) for s in stimuli],
        [s.start for s in stimuli],
        [str(s.annotations or "") for s in stimuli],
        [str(s.score or "") for s in stimuli],
        [s.score_offset for s in stimuli],
        rest,
    )


def header_clock(source: str | Path, t_r: float, rest: float = 0.0) -> StimulusClock:
    """The clock of the stimuli of a folder or table by the headers of their files alone.

    Of files with the same bytes it names the first for all.

    Raises GibletError as `list_stimuli`, for a file that is no sound, and for a stimulus that is
    shorter than a TR.
    """
    stimuli = list_stimuli(source)
    durations = each(_header_duration, stimuli)
    return _clock(stimuli, durations, t_r, rest)


def _header_duration(stimulus: Stimulus) -> float:
    """s, by the header of its file where no table has it."""
    if stimulus.duration is not None:
        return stimulus.duration
    return _file_seconds(stimulus) - stimulus.start


def _rate(file: Path) -> int:
    """Hz of the sound track that is read."""
    with open_film(file) as film:
        return max(1, *(track.sample_rate for track in choose_tracks(film, None, file)))


def _format(stimuli: list[Stimulus], rate: int) -> str:
    """RF64 where a WAV file may be too small."""
    seconds = sum(_file_seconds(s) if s.duration is None else s.duration for s in stimuli)
    n_bytes = 4 * count_samples(4 * seconds, rate)  # with the silence between them
    return "RF64" if n_bytes > _WAV_BYTES else "WAV"


def _file_seconds(stimulus: Stimulus) -> float:
    """Length of a stimulus' file, by its header."""
    return _header_seconds(stimulus.file)


@once_per_file
def _header_seconds(file: Path) -> float:
    with open_film(file) as film:
        return float(film.duration or 0) / 1e6


def _excerpt(stimulus: Stimulus, sound: np.ndarray, rate: int) -> np.ndarray:
    """Samples of a stimulus, of its file's ``sound`` (n_samples,). GibletError where it ends."""
    begin = count_samples(stimulus.start, rate)
    if stimulus.duration is None and begin < len(sound):
        return sound[begin:]
    wanted = stimulus.duration or 0.0
    end = samples_duration(len(sound), rate)
    if stimulus.start >= end or stimulus.start + wanted > end + _SHORTER:
        raise GibletError(
            f"stimulus {stimulus.name}: {stimulus.file} ends at {end:.2f} s, before the excerpt's "
            f"{stimulus.start + wanted:g} s; correct start or duration"
        )
    return sound[begin : begin + count_samples(wanted, rate)]
