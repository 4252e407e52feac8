"""Pictures of a film as a viewer sees them: upright, in their proportions, each with its times."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from giblet.checks import GibletError
from giblet.media import decoded_frames, film_start, open_film

if TYPE_CHECKING:
    import av

_ALONE = Fraction(1, 25)  # s: a picture in a file that tells neither its duration nor a rate


@dataclass(frozen=True)
class Shown:
    """A picture as it is stored, and the film times (s) from and until which it is on screen.

    ``pixel_aspect`` is the width of a stored pixel over its height.
    """

    stored: "av.VideoFrame"
    begin: float
    end: float
    pixel_aspect: float

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the upright picture in square pixels; none of its own is lost."""
        wide = max(self.pixel_aspect, 1.0)
        height = round(self.stored.height * wide / self.pixel_aspect)
        width = round(self.stored.width * wide)
        return (width, height) if _turn(self.stored)[0] else (height, width)

    def scaled(self, height: int, width: int) -> np.ndarray:
        """Upright (height, width, 3) uint8 sRGB, each pixel the mean of those that it covers.

        Both fields of an interlaced picture count.
        """
        lies, down, right = _turn(self.stored)
        size = (height, width) if lies else (width, height)  # width first
        woven = _woven(self.stored)
        picture = woven.reformat(*size, format="rgb24", interpolation="AREA").to_ndarray()
        upright = picture.swapaxes(0, 1) if lies else picture
        return np.ascontiguousarray(upright[::down, ::right])


def shown_pictures(path: str | Path) -> Iterator[Shown]:
    """Every picture of a film in turn, the last until it ends.

    Raises
    ------
    GibletError
        No such file, not a media file, no pictures, none with a timestamp or that can be decoded.
    """
    with open_film(path) as film:
        stream = _needed_picture_stream(film, path)
        aspect = float(stream.sample_aspect_ratio or 1)
        pictures = _timed_pictures(film, stream, path)
        for (picture, begin), (_, end) in pairwise(pictures):
            yield Shown(picture, begin, end, aspect)


def has_pictures(path: str | Path) -> bool:
    """Whether a file has moving pictures; the cover of a record is none."""
    with open_film(path) as film:
        return _picture_stream(film) is not None


def pictures_duration(path: str | Path) -> float:
    """Film time (s) at which the last picture ends, by the timestamps in the file.

    Raises GibletError where there are no pictures.
    """
    with open_film(path) as film:
        stream = _needed_picture_stream(film, path)
        packets = (packet for packet in film.demux(stream) if packet.pts is not None)
        ends = [packet.pts * stream.time_base + _time_shown(packet, stream) for packet in packets]
        if not ends:
            raise GibletError(f"{path}: no picture in its video track (zero length)")
        return float(max(ends) - film_start(film))


def _turn(stored: "av.VideoFrame") -> tuple[bool, int, int]:
    """What makes a stored picture upright: swap its axes? Then steps (1 or -1) down and right.

    The file's display matrix [[a, b, u], [c, d, v], [x, y, w]] shows the stored pixel (x, y) at
    (a x + c y, b x + d y), y downwards (ISO 14496-12, 6.2.2). Slants are ignored.
    """
    matrix = stored.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False, 1, 1
    a, b, _, c, d = np.frombuffer(matrix, dtype=np.int32)[:5].tolist()
    lies = abs(b) > abs(a)
    right, down = (c, b) if lies else (a, d)
    return lies, -1 if down < 0 else 1, -1 if right < 0 else 1


def _woven(stored: "av.VideoFrame") -> "av.VideoFrame":
    """An interlaced picture as one of rows in turn; FFmpeg would scale each of its fields alone."""
    from av import VideoFrame

    if not stored.interlaced_frame:
        return stored
    return VideoFrame.from_ndarray(stored.to_ndarray(format="rgb24"))


def _picture_stream(film):
    import av

    cover = av.stream.Disposition.attached_pic
    moving = [stream for stream in film.streams.video if not stream.disposition & cover]
    return moving[0] if moving else None


def _needed_picture_stream(film, path):
    stream = _picture_stream(film)
    if stream is None:
        raise GibletError(f"{path}: has no pictures")
    return stream


def _time_shown(part, stream) -> Fraction:
    """Seconds (exact fraction) for which a packet or frame is shown, if nothing follows it."""
    if part.duration:
        return part.duration * stream.time_base
    rate = stream.average_rate or stream.guessed_rate
    return 1 / rate if rate else _ALONE


def _timed_pictures(film, stream, path) -> Iterator[tuple["av.VideoFrame | None", float]]:
    """Pictures with the time (s) at which each appears; after the last, None with its end."""
    picture = None
    for picture in decoded_frames(film, stream, path):
        if picture.pts is None:
            raise GibletError(
                f"{path}: its pictures have no timestamps. Copy it into an mp4 first."
            )
        yield picture, float(picture.pts * stream.time_base - film_start(film))
    if picture is None:
        raise GibletError(f"{path}: none of its pictures can be decoded")
    end = picture.pts * stream.time_base + _time_shown(picture, stream)
    yield None, float(end - film_start(film))
