"""Pictures of a film: the frames shown during each TR, on the same clock as its sound."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from giblet.audio.files import decoded_frames, film_start, open_film
from giblet.checks import GibletError
from giblet.timing import check_t_r, tr_moments, whole_trs

_EPSILON = 1e-6  # s: float noise below this never changes the frame that is shown


def extract_frames(
    path: str | Path,
    t_r: float,
    n_trs: int | None = None,
    n_frames: int = 1,
    height: int = 90,
    width: int = 160,
) -> tuple[np.ndarray, np.ndarray]:
    """The pictures on screen at ``n_frames`` evenly spaced moments of each TR.

    Moment ``k`` of TR ``i`` is film time ``(i + (k + 0.5) / n_frames) * t_r``: with one frame a
    TR, its middle. The picture is the last one whose timestamp is not later, so variable frame
    rates are right. It is scaled to ``width`` × ``height`` whatever its aspect ratio.

    Parameters
    ----------
    t_r : seconds.
    n_trs : number of TRs; by default the whole TRs that the pictures last.

    Returns
    -------
    frames : (n_trs, n_frames, height, width, 3) uint8, sRGB; zeros where nothing was seen.
    seen : (n_trs, n_frames) bool, False before the first picture and after the last has ended.

    Raises
    ------
    GibletError
        No such file, not a media file, no pictures, or pictures shorter than one TR.
    """
    check_t_r(t_r)
    if n_trs is None:
        n_trs = _whole_trs_of_pictures(path, t_r)
    moments = tr_moments(n_trs, t_r, n_frames)
    frames = np.zeros((len(moments), height, width, 3), dtype=np.uint8)
    seen = np.zeros(len(moments), dtype=bool)
    for picture, begin, end in _shown_pictures(path):
        first, last = np.searchsorted(moments, [begin - _EPSILON, end - _EPSILON])
        if first < last:
            frames[first:last] = _scaled(picture, height, width)
            seen[first:last] = True
        if last == len(moments):
            break
    return frames.reshape(n_trs, n_frames, height, width, 3), seen.reshape(n_trs, n_frames)


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


def _whole_trs_of_pictures(path: str | Path, t_r: float) -> int:
    duration = pictures_duration(path)
    n_trs = whole_trs(duration, t_r)
    if not n_trs:
        raise GibletError(f"{path}: its pictures last {duration:.2f} s, less than a TR ({t_r} s)")
    return n_trs


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


def _time_shown(part, stream):
    """Seconds (exact fraction) for which a packet or frame is shown, if nothing follows it."""
    return part.duration * stream.time_base if part.duration else 1 / stream.average_rate


def _shown_pictures(path: str | Path) -> Iterator[tuple[object, float, float]]:
    """Every picture with the film times (s) from and until which it is on screen."""
    with open_film(path) as film:
        stream = _needed_picture_stream(film, path)
        pictures = _timed_pictures(film, stream, path)
        for (picture, begin), (_, end) in pairwise(pictures):
            yield picture, begin, end


def _timed_pictures(film, stream, path) -> Iterator[tuple[object, float]]:
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


def _scaled(picture, height: int, width: int) -> np.ndarray:
    """Picture as (height, width, 3) uint8, each pixel the mean of those that it covers."""
    scaled = picture.reformat(width, height, format="rgb24", interpolation="AREA")
    return scaled.to_ndarray()
