"""Video frames of a film by TR, on the same clock as its sound."""

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from giblet.errors import GibletError
from giblet.film.container import (
    decoded_frames,
    film_start,
    open_film,
    stream_packets,
)
from giblet.film.joined import LONGEST_GAP
from giblet.film.video_tracks import choose_video, video_choice
from giblet.timing import TOLERANCE, check_t_r, tr_moments, whole_trs

logger = logging.getLogger(__name__)

_N_REORDERED = 12  # packets; B-frames stand fewer packets before those that they follow
_N_AHEAD = 3  # frames whose timestamps confirm a frame's
_ALONE = Fraction(1, 25)  # s: a frame in a file that has neither its duration nor a rate


@dataclass(frozen=True)
class Shown:
    """A video frame as it is stored, and the film times (s) at which it begins and ends.

    ``pixel_aspect`` is the width of a stored pixel over its height.
    """

    stored: "av.VideoFrame"
    begin: float
    end: float
    pixel_aspect: float

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the upright frame in square pixels; no stored pixel is lost."""
        wide = max(self.pixel_aspect, 1.0)
        height = round(self.stored.height * wide / self.pixel_aspect)
        width = round(self.stored.width * wide)
        return (width, height) if _turn(self.stored)[0] else (height, width)

    def scaled(self, height: int, width: int) -> np.ndarray:
        """Upright (height, width, 3) uint8 sRGB, each pixel the mean of those that it covers.

        Both fields of an interlaced frame count.
        """
        swapped, down, right = _turn(self.stored)
        size = (height, width) if swapped else (width, height)  # width first
        progressive = _progressive(self.stored)
        picture = progressive.reformat(*size, format="rgb24", interpolation="AREA").to_ndarray()
        upright = picture.swapaxes(0, 1) if swapped else picture
        return np.ascontiguousarray(upright[::down, ::right])


# a film's file, or frames in the order of a film's time
Pictures = str | Path | Iterable[Shown]


def shown_pictures(film: Pictures) -> Iterator[Shown]:
    """Every video frame of a film in turn, the last until it ends; frames as they are.

    Raises
    ------
    GibletError
        No such file, not a media file, no video, no frame with a timestamp or that can be decoded.
        Logged as a warning: the choice among several video tracks.
    """
    if not isinstance(film, str | Path):
        yield from film
        return
    path = film
    with open_film(path) as container:
        stream = _needed_picture_stream(container, path)
        if choice := video_choice(container, path):
            logger.warning("%s: %s", path, choice)
        aspect = float(stream.sample_aspect_ratio or 1)
        pictures = _timed_pictures(container, stream, path)
        for (picture, begin), (_, end) in pairwise(pictures):
            yield Shown(picture, begin, end, aspect)


def has_pictures(path: str | Path) -> bool:
    """Whether a file has video; cover art does not count.

    Raises GibletError where FFmpeg can decode none of its video tracks.
    """
    with open_film(path) as film:
        return choose_video(film, path) is not None


def pictures_duration(path: str | Path) -> float:
    """Film time (s) at which the last frame ends, by the timestamps in the file.

    Raises GibletError for a file without video.
    """
    with open_film(path) as film:
        stream = _needed_picture_stream(film, path)
        packets = (p for p in stream_packets(film, stream, path) if _is_shown(p))
        times = [(p.pts * stream.time_base, _time_shown(p, stream)) for p in packets]
        if not times:
            raise GibletError(f"{path}: no frame in its video track (zero length)")
        times = _without_leaps([(float(begin), float(shown)) for begin, shown in times])
        begins = sorted([float(film_start(film)), *(begin for begin, _ in times)])
        _check_gaps(begins, path)
        return max(begin + shown for begin, shown in times) - begins[0]


def _without_leaps(times: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Begin and length (s) of packets, in their order, without single ones stamped far ahead.

    B-frames run back by a few packets. A packet later than all of the next dozen is wrong.
    """
    return [
        time
        for i, time in enumerate(times)
        if len(times) - i <= _N_REORDERED
        or time[0] <= max(begin for begin, _ in times[i + 1 : i + 1 + _N_REORDERED])
    ]


def _check_gaps(begins: list[float], path: str | Path) -> None:
    """GibletError where ascending timestamps (s) leap: no film pauses for hours."""
    for before, after in pairwise(begins):
        if after - before > LONGEST_GAP:
            problem = f"the timestamps of its video frames jump by {after - before:.0f} s"
            starts_late = before == begins[0]
            raise GibletError(f"{path}: {problem}. {stamps_advice(path, starts_late)}")


def stamps_advice(path: str | Path, starts_late: bool) -> str:
    """How to write a film with better timestamps: one whose video or sound starts hours late, or
    one that jumps by hours on its way, where only counting helps."""
    name = Path(path).name
    if starts_late:
        how, video, sound = "start at 0", "PTS-STARTPTS", "PTS-STARTPTS"
    else:
        how, video, sound = "count its frames", "N/FRAME_RATE/TB", "N/SR/TB"
    return (
        f"Write it with timestamps that {how}: "
        f"ffmpeg -i {name} -vf setpts={video} -af asetpts={sound} new.mkv"
    )


def _turn(stored: "av.VideoFrame") -> tuple[bool, int, int]:
    """Turn of a stored frame to upright: whether axes swap, then steps (1 or -1) down and right.

    The file's display matrix [[a, b, u], [c, d, v], [x, y, w]] shows the stored pixel (x, y) at
    (a x + c y, b x + d y), y downwards (ISO 14496-12, 6.2.2). Slants are ignored.
    """
    matrix = stored.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False, 1, 1
    a, b, _, c, d = np.frombuffer(matrix, dtype=np.int32)[:5].tolist()
    swapped = abs(b) > abs(a)
    right, down = (c, b) if swapped else (a, d)
    return swapped, -1 if down < 0 else 1, -1 if right < 0 else 1


def _progressive(stored: "av.VideoFrame") -> "av.VideoFrame":
    """An interlaced frame as a progressive one; FFmpeg would scale each of its fields alone."""
    from av import VideoFrame

    if not stored.interlaced_frame:
        return stored
    return VideoFrame.from_ndarray(stored.to_ndarray(format="rgb24"))


def _needed_picture_stream(film, path):
    stream = choose_video(film, path)
    if stream is None:
        raise GibletError(f"{path}: has no video")
    return stream


def _is_shown(packet) -> bool:
    """Not so those that an edit list leaves out: decoders need them for others."""
    return packet.pts is not None and not packet.is_discard


def _time_shown(part, stream) -> Fraction:
    """Seconds (exact fraction) for which a packet or frame is shown, if nothing follows it."""
    if part.duration:
        return part.duration * stream.time_base
    rate = stream.average_rate or stream.guessed_rate
    return 1 / rate if rate else _ALONE


def _timed_pictures(film, stream, path) -> Iterator[tuple["av.VideoFrame | None", float]]:
    """Frames with the time (s) at which each appears; after the last, None with its end."""
    pictures, end = decoded_frames(film, stream, path), None
    if film.format.name == "avi":
        pictures = _as_decoded(pictures)
    for picture in _in_order(pictures, path):
        yield picture, float(picture.pts * stream.time_base - film_start(film))
        end = picture.pts * stream.time_base + _time_shown(picture, stream)
    if end is None:
        raise GibletError(f"{path}: none of its video frames can be decoded")
    yield None, float(end - film_start(film))


def _as_decoded(pictures: Iterator["av.VideoFrame"]) -> Iterator["av.VideoFrame"]:
    """Frames of an AVI, stamped in the order in which the decoder returns them.

    It has stamps of decoding alone; where B-frames follow each other FFmpeg guesses others wrong.
    """
    last = None
    for picture in pictures:
        if picture.dts is not None:
            picture.pts = last = picture.dts
        elif last is not None:  # those that the decoder held at the end
            picture.pts = last = last + max(picture.duration or 1, 1)
        yield picture


def _in_order(pictures: Iterator["av.VideoFrame"], path) -> Iterator["av.VideoFrame"]:
    """Frames whose timestamps ascend; single ones that the next three contradict are left out."""
    ahead: deque = deque()
    last, n_wrong = None, 0
    try:
        while True:
            ahead.extend(islice(pictures, _N_AHEAD + 1 - len(ahead)))
            if not ahead:
                break
            if any(picture.pts is None for picture in ahead):
                raise GibletError(
                    f"{path}: its video frames have no timestamps. Write it with its frame rate: "
                    f"ffmpeg -r RATE -i {Path(path).name} new.mp4"
                )
            picture = ahead.popleft()
            n_later = sum(picture.pts > other.pts for other in ahead)
            if n_later > len(ahead) / 2 or (last is not None and picture.pts < last):
                n_wrong += 1
                continue
            last = picture.pts
            yield picture
    finally:  # also where the rest is not wanted
        if n_wrong:
            logger.warning("%s: %d video frames have wrong timestamps, left out", path, n_wrong)


def extract_frames(
    film: Pictures,
    t_r: float,
    n_trs: int | None = None,
    n_frames: int = 1,
    height: int = 90,
    width: int = 160,
) -> tuple[np.ndarray, np.ndarray]:
    """Video frames on screen at ``n_frames`` evenly spaced moments of each TR.

    Moment ``k`` of TR ``i`` is film time ``(i + (k + 0.5) / n_frames) * t_r``: with one frame a
    TR, its middle. The frame is the last one whose timestamp is not later, so variable frame
    rates are handled. It is turned upright and scaled to ``width`` × ``height`` whatever its aspect
    ratio.

    Parameters
    ----------
    t_r : seconds.
    n_trs : number of TRs; by default the whole TRs of the video, which is then a file.

    Returns
    -------
    frames : (n_trs, n_frames, height, width, 3) uint8, sRGB; zeros where there is no frame.
    seen : (n_trs, n_frames) bool, False before the first frame and after the last has ended.

    Raises
    ------
    GibletError
        No such file, not a media file, no video, or a video shorter than one TR.
    """
    if n_trs is None and isinstance(film, str | Path):
        n_trs = trs_of_pictures(film, t_r)
    if n_trs is None:
        raise ValueError("n_trs: needed for frames without a file")
    moments = tr_moments(n_trs, check_t_r(t_r), n_frames)
    frames = np.zeros((len(moments), height, width, 3), dtype=np.uint8)
    seen = np.zeros(len(moments), dtype=bool)
    for here, picture in pictures_at(film, moments):
        frames[here] = picture.scaled(height, width)
        seen[here] = True
    return frames.reshape(n_trs, n_frames, height, width, 3), seen.reshape(n_trs, n_frames)


def pictures_at(film: Pictures, moments: np.ndarray) -> Iterator[tuple[slice, Shown]]:
    """Each frame that is on screen at some of ``moments`` (n_moments,) s of film, and at which.

    Moments must ascend. Raises GibletError as `giblet.film.video.shown_pictures` does.
    """
    for picture in shown_pictures(film):
        first, last = np.searchsorted(moments, [picture.begin - TOLERANCE, picture.end - TOLERANCE])
        if first < last:
            yield slice(first, last), picture
        if last == len(moments):
            return


def trs_of_pictures(path: str | Path, t_r: float) -> int:
    """Number of whole TRs of the video. GibletError for a video shorter than one."""
    duration = pictures_duration(path)
    n_trs = whole_trs(duration, check_t_r(t_r))
    if not n_trs:
        raise GibletError(f"{path}: its video lasts {duration:.2f} s, less than a TR ({t_r} s)")
    return n_trs


def unseen_warnings(seen: np.ndarray, sound_seconds: float, t_r: float) -> list[str]:
    """Warnings of parts of the film without video; an empty list if there are none.

    Parameters
    ----------
    seen : (n_trs, n_frames) bool, as from `extract_frames`.
    sound_seconds : how long the sound lasts (s), 0 where there is none.

    >>> seen = np.array([[False], [True], [True]])
    >>> for line in unseen_warnings(seen, sound_seconds=9.0, t_r=1.5): print(line)
    video: no frame at 1 of 3 time points; they are black, and not seen
    video: ends before the sound; 3 TRs of sound have none
    """
    lines = []
    if not seen.all():
        lines.append(
            f"video: no frame at {(~seen).sum()} of {seen.size} time points; they are black, and "
            "not seen"
        )
    if (missing := whole_trs(sound_seconds, t_r) - len(seen)) > 0:
        lines.append(f"video: ends before the sound; {missing} TRs of sound have none")
    return lines


if TYPE_CHECKING:
    import av


def block_colours(frames: np.ndarray, block: int = 10) -> np.ndarray:
    """Mean colour of blocks: (n_trs, n_frames, height, width, 3) → (n_trs * n_frames, n_features).

    Features that an HRF may blur, in [0, 1]; edges that fill no block are left out.

    >>> block_colours(np.full((4, 2, 90, 160, 3), 255, dtype=np.uint8)).shape
    (8, 432)
    """
    n_trs, n_frames, height, width, _rgb = frames.shape
    down, across = height // block, width // block
    cut = frames[:, :, : down * block, : across * block]
    cut = cut.reshape(n_trs * n_frames, down, block, across, block, 3)
    return (cut.mean(axis=(2, 4)) / 255).reshape(n_trs * n_frames, -1).astype(np.float32)
