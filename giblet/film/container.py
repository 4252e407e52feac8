"""Opening films and sound files, and no other file: playlists, which name others, are refused.

FFmpeg is given the bytes of one file, never its name, which it would read as a protocol where it
has a colon in it, and no protocol by which it could open more.
"""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from giblet.errors import GibletError
from giblet.io.paths import check_file

if TYPE_CHECKING:
    import av

logger = logging.getLogger(__name__)

_NAME_OTHERS = {"hls", "applehttp", "concat", "dash", "webm_dash_manifest", "imf", "sdp", "vobsub"}


@contextmanager
def open_film(path: str | Path) -> Iterator["av.container.InputContainer"]:
    """Open the container of a film or sound file; GibletError for any other file."""
    import av

    check_file(path, "a film")
    with ExitStack() as opened:
        try:
            file = opened.enter_context(open(path, "rb"))
            film = opened.enter_context(av.open(file, options=_this_file_alone()))
        except PermissionError:
            raise GibletError(f"{path}: you have no permission to read it (chmod +r)") from None
        except (av.error.FFmpegError, OSError) as error:
            raise GibletError(
                f"{path}: cannot be read as a film or a sound ({error.strerror}). "
                "Is it a media file, complete, and no playlist?"
            ) from None
        yield film


def _this_file_alone() -> dict[str, str]:
    """FFmpeg's options: no protocols (there is none called none), and no format of playlists.

    Without protocols a playlist cannot be followed; without its format it is not tried again and
    again for seconds.
    """
    import av

    formats = {name for name in av.formats_available if not _NAME_OTHERS & {*name.split(",")}}
    return {"protocol_whitelist": "none", "format_whitelist": ",".join(sorted(formats))}


def film_start(film: "av.container.InputContainer") -> Fraction:
    """Timestamp (s) at which the container starts: zero of the film's clock."""
    return Fraction(film.start_time or 0, 1_000_000)


def decoded_frames(film, stream, path: str | Path) -> Iterator["av.frame.Frame"]:
    """Frames of a stream in order of presentation; broken ones are left out, and logged."""
    import av

    n_broken = 0
    try:
        for packet in film.demux(stream):
            try:
                yield from packet.decode()
            except av.error.InvalidDataError:
                n_broken += 1
    except (av.error.FFmpegError, OSError) as error:
        logger.warning("%s: reading of the %s stopped: %s", path, stream.type, error.strerror)
    if n_broken:
        logger.warning("%s: %d packets of %s are broken, left out", path, n_broken, stream.type)
