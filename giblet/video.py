"""Pictures of a film by TR: the frames shown during each, on the same clock as its sound."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from giblet.checks import GibletError
from giblet.pictures import Shown, pictures_duration, shown_pictures
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
    rates are right. It is turned upright and scaled to ``width`` × ``height`` whatever its aspect
    ratio.

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
    if n_trs is None:
        n_trs = trs_of_pictures(path, t_r)
    moments = tr_moments(n_trs, check_t_r(t_r), n_frames)
    frames = np.zeros((len(moments), height, width, 3), dtype=np.uint8)
    seen = np.zeros(len(moments), dtype=bool)
    for here, picture in pictures_at(path, moments):
        frames[here] = picture.scaled(height, width)
        seen[here] = True
    return frames.reshape(n_trs, n_frames, height, width, 3), seen.reshape(n_trs, n_frames)


def pictures_at(path: str | Path, moments: np.ndarray) -> Iterator[tuple[slice, Shown]]:
    """Each picture that is on screen at some of ``moments`` (n_moments,) s of film, and at which.

    Moments must ascend. Raises GibletError as `giblet.pictures.shown_pictures` does.
    """
    for picture in shown_pictures(path):
        first, last = np.searchsorted(moments, [picture.begin - _EPSILON, picture.end - _EPSILON])
        if first < last:
            yield slice(first, last), picture
        if last == len(moments):
            return


def trs_of_pictures(path: str | Path, t_r: float) -> int:
    """Whole TRs that the pictures last. GibletError where there is none."""
    duration = pictures_duration(path)
    n_trs = whole_trs(duration, check_t_r(t_r))
    if not n_trs:
        raise GibletError(f"{path}: its pictures last {duration:.2f} s, less than a TR ({t_r} s)")
    return n_trs


def unseen_warnings(seen: np.ndarray, sound_seconds: float, t_r: float) -> list[str]:
    """What of the film has no pictures, in words; nothing to say, no lines.

    Parameters
    ----------
    seen : (n_trs, n_frames) bool, as from `extract_frames`.
    sound_seconds : how long the sound lasts (s), 0 where there is none.

    >>> seen = np.array([[False], [True], [True]])
    >>> for line in unseen_warnings(seen, sound_seconds=9.0, t_r=1.5): print(line)
    pictures: none is on screen at 1 of 3 moments; they are black there, and not seen
    pictures: they end before the sound; 3 TRs of sound have none
    """
    lines = []
    if not seen.all():
        lines.append(
            f"pictures: none is on screen at {(~seen).sum()} of {seen.size} moments; they are "
            "black there, and not seen"
        )
    if (missing := whole_trs(sound_seconds, t_r) - len(seen)) > 0:
        lines.append(f"pictures: they end before the sound; {missing} TRs of sound have none")
    return lines
