"""Pictures of many stimuli on the film that they make together."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from giblet.brain.stimulus_clock import StimulusClock
from giblet.film.video import Shown, has_pictures, shown_pictures
from giblet.timing import TOLERANCE


class StimulusPictures:
    """Frames of all stimuli in turn, at the film's times; nothing is on screen in silence.

    Each stimulus has the frames of its excerpt. Excerpts of one file that follow each other in it
    are read in one pass.
    """

    def __init__(self, clock: StimulusClock):
        self.clock = clock

    @cached_property
    def shown(self) -> np.ndarray:
        """Whether each stimulus has pictures, (n_stimuli,) bool; cover art does not count."""
        of_file = {file: has_pictures(Path(file)) for file in dict.fromkeys(self.clock.files)}
        return np.array([of_file[file] for file in self.clock.files])

    def __iter__(self) -> Iterator[Shown]:
        for k, pictures in self.each():
            begin = float(self.clock.begins[k])
            for picture in pictures:
                yield replace(picture, begin=picture.begin + begin, end=picture.end + begin)

    def each(self) -> Iterator[tuple[int, Iterator[Shown]]]:
        """Of each stimulus with pictures its index and its frames, at seconds since it began."""
        clock, reader = self.clock, _Reader()
        with closing(reader):
            for k in np.flatnonzero(self.shown).tolist():
                yield k, _excerpt(reader, clock, k)

    def warnings(self, seen: np.ndarray) -> list[str]:
        """Lines about stimuli without pictures, and about those that end before their sound.

        ``seen`` (n_trs, n_frames) bool, as from ``giblet.film.video.extract_frames``.
        """
        names, lines = np.array(self.clock.names), []
        if n := int((~self.shown).sum()):
            lines.append(
                f"video: {n} of {len(names)} stimuli have none, and are black "
                f"({listed(names[~self.shown])})"
            )
        of_tr = self.clock.stimulus_of_trs(len(seen))
        black = np.unique(of_tr[~seen.all(axis=1) & np.isin(of_tr, np.flatnonzero(self.shown))])
        if len(black):
            lines.append(
                f"video: no frame during parts of {len(black)} stimuli, which are "
                f"black there ({listed(names[black])})"
            )
        return lines


def _excerpt(reader: "_Reader", clock: StimulusClock, stimulus: int) -> Iterator[Shown]:
    """Frames of one stimulus, at seconds since it began."""
    start, length = float(clock.starts[stimulus]), float(clock.durations[stimulus])
    for picture in reader.read(clock.files[stimulus], start, start + length):
        begin, end = max(picture.begin - start, 0.0), min(picture.end - start, length)
        yield replace(picture, begin=begin, end=end)


class _Reader:
    """Frames of parts of files; a part that is behind the one before goes on with its frames."""

    def __init__(self) -> None:
        self.file: str | None = None
        self.frames: Iterator[Shown] = iter(())
        self.last: Shown | None = None

    def read(self, file: str, start: float, end: float) -> Iterator[Shown]:
        """Frames that are on screen between ``start`` and ``end`` (s of the file)."""
        if file != self.file or self.last is None or self.last.begin > start:
            self.close()
            self.file, self.frames = file, shown_pictures(Path(file))
            self.last = next(self.frames, None)
        while self.last is not None and self.last.begin < end - TOLERANCE:
            if self.last.end > start + TOLERANCE:
                yield self.last
            if self.last.end > end + TOLERANCE:
                return  # the next part may need it, too
            self.last = next(self.frames, None)

    def close(self) -> None:
        if hasattr(self.frames, "close"):
            self.frames.close()
        self.file, self.last = None, None


def listed(names: np.ndarray, most: int = 3) -> str:
    """The first of ``names``, and the number of the others.

    >>> listed(np.array(["rain", "wind", "hum", "bell", "dog"]))
    'rain, wind, hum and 2 more'
    """
    more = f" and {len(names) - most} more" * (len(names) > most)
    return f"{', '.join(map(str, names[:most]))}{more}"
