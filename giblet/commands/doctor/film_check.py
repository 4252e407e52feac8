"""The film before the run: its length by the header, and its first seconds as a run reads them."""

import logging
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from giblet.config.config import Config
from giblet.errors import GibletError
from giblet.report.run_messages import is_note

_SOUND_SECONDS, _VIDEO_SECONDS = 2.0, 1.0  # of reading
LONGEST_FILM = 24 * 3600  # s
_LONGEST_OPENING = 3.0  # s
NO_FILM = "NO FILM: {}. Without it no sound is encoded, decoded or heard: text and scans alone"
_RATE = 8000  # Hz: levels are measured before the sound is resampled


def length_of_film(config: Config, lines: list[str]) -> float | None:
    """Seconds by the header alone; None where it has none, or without a film.

    Lines have warnings of the film's beginning. GibletError where a run could not read that.
    """
    from giblet.film.container import (
        OutOfTime,
        film_start,
        header_seconds,
        open_film,
        time_limit,
    )
    from giblet.film.tracks import choose_tracks, sound_tracks, track_text
    from giblet.film.video import stamps_advice
    from giblet.music.midi import read_midi
    from giblet.music.synth import sound_seconds

    if not config.has_film:
        lines.append(NO_FILM.format("film is none; set it to a film or an audio file"))
        return None
    if config.has_stimuli:
        return _stimuli_seconds(config, lines)
    path = film_file(config)
    if config.is_music_demo:
        seconds = sound_seconds(read_midi(path))
        lines.append(f"film: {path}, {seconds:.0f} s, from which render_music makes the sound")
        return seconds
    try:
        with time_limit(_LONGEST_OPENING), open_film(path) as film:
            seconds = header_seconds(film, path)
            tracks = sound_tracks(film)
            chosen = choose_tracks(film, config.audio_track, path)
            starts = [s.start_time * s.time_base for s in film.streams if s.start_time]
            starts_late = max(starts, default=0) - film_start(film) > LONGEST_FILM
    except OutOfTime:
        raise GibletError(
            f"{path}: FFmpeg searches it for more than {_LONGEST_OPENING:g} s. Is its download "
            "complete? Files that wait for their content are full of zeros"
        ) from None
    if seconds > LONGEST_FILM:
        raise GibletError(
            f"{path}: its header gives {seconds / 3600:.4g} hours. Is a track stamped by the time "
            f"of day? {stamps_advice(path, starts_late)}"
        )
    length = f"{seconds:.0f} s" if seconds else "whose header has no length: no estimates"
    lines.append(f"film: {path}, {length}; sound track {track_text(chosen, tracks)}")
    lines += map(warned, reading_warnings(path, config.audio_track))
    return seconds or None


def _stimuli_seconds(config: Config, lines: list[str]) -> float:
    """Seconds of the film of all stimuli, by the headers of their files."""
    from giblet.audio.stimuli import header_clock

    clock = header_clock(config.stimuli, config.t_r, config.events.rest_seconds)
    shortest, longest = clock.durations.min(), clock.durations.max()
    lines.append(
        f"stimuli: {config.stimuli}, {len(clock.names)} of {shortest:.4g} to {longest:.4g} s"
    )
    return clock.at(clock.n_film_trs)


def sound_mb(config: Config, seconds: float) -> float:
    """Size of the files of the film, or of the stimuli."""
    from giblet.audio.stimuli import list_stimuli
    from giblet.music.synth import SAMPLE_RATE
    from giblet.timing import count_samples

    if config.is_music_demo:
        return 2 * count_samples(seconds, SAMPLE_RATE) / 1e6  # of 16 bit, not rendered yet
    files = [film_file(config)]
    if config.has_stimuli:
        files = list(dict.fromkeys(s.file for s in list_stimuli(config.stimuli)))
    return sum(file.stat().st_size for file in files) / 1e6


def film_file(config: Config) -> Path:
    """Its file; of the music demo the score, which is there before its sound."""
    from giblet.demo import film_path, music_path

    if config.is_music_demo:
        return music_path()
    return film_path() if config.is_demo else Path(config.film)


def warned(message: str) -> str:
    """``message`` as one of the doctor's lines."""
    return f"    {'note' if is_note(message) else 'WARNING'}: {message}"


def reading_warnings(path: Path, track: int | str | None) -> list[str]:
    """Warnings that a run would give of what can be read of a film in 3 s.

    ``track``: the config's ``audio_track``. Raises GibletError where a run would.
    """
    from giblet.audio.files import sound_blocks

    with _collected() as warnings:
        _read_for(_SOUND_SECONDS, sound_blocks(path, _RATE, track=track))
        _read_for(_VIDEO_SECONDS, _video_frames(path))
    return warnings


def _video_frames(path: Path) -> Generator:
    from giblet.film.video import has_pictures, shown_pictures

    if has_pictures(path):
        yield from shown_pictures(path)


def _read_for(seconds: float, parts: Generator) -> None:
    """Read for so long; twice as long where FFmpeg searches a damaged file for the next part."""
    from giblet.film.container import OutOfTime, time_limit

    until = time.monotonic() + seconds
    with suppress(OutOfTime), time_limit(2 * seconds):
        for _ in parts:
            if time.monotonic() > until:
                parts.close()
                return


@contextmanager
def _collected() -> Iterator[list[str]]:
    """Warnings of giblet's loggers, which are not printed; each once."""
    logger, warnings = logging.getLogger("giblet"), []
    propagates, logger.propagate = logger.propagate, False
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: warnings.append(record.getMessage())
    logger.addHandler(handler)
    try:
        yield warnings
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagates
        warnings[:] = dict.fromkeys(warnings)
