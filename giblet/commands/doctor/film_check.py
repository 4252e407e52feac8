"""The beginning of a film's sound and video, read by the run's own readers for a few seconds."""

import logging
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SOUND_SECONDS, _VIDEO_SECONDS = 2.0, 1.0  # of reading
_RATE = 8000  # Hz: levels are measured before the sound is resampled


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
