"""Video tracks of a film: their description, and the choice of the one to read.

Of the tracks that move and that FFmpeg can decode, the first marked as default, else the first.
Cover art does not move: tracks that are flagged as such, and tracks of one frame, as converters
write covers that they find in a file.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from giblet.errors import GibletError
from giblet.film.container import moving_pictures, open_film

if TYPE_CHECKING:
    import av

# codecs of covers that no flag marks; of others a single track is the film
_OF_COVERS = {"mjpeg", "png", "bmp", "gif", "webp", "tiff", "jpeg2000", "jpegxl", "theora"}
_MOST_PACKETS = 10_000  # of the file's beginning, in which a second frame must come


def choose_video(film, path: str | Path) -> "av.VideoStream | None":
    """The video track of an open film to read; None where nothing moves.

    Raises GibletError where FFmpeg can decode none of the tracks that move.
    """
    moving = _moving(film, path)
    able = [stream for stream in moving if _is_decodable(stream)]
    if moving and not able:
        raise GibletError(
            f"{path}: FFmpeg can decode no video track; there is {_listed(moving)}. Convert it to "
            "H.264 with the program that made it"
        )
    return min(able, key=_order, default=None)


def video_choice(film, path: str | Path) -> str:
    """One line on the choice among several video tracks; empty where there is one at most."""
    moving, chosen = _moving(film, path), choose_video(film, path)
    if chosen is None or len(moving) < 2:
        return ""
    line = f"reads video track {_number(chosen)} of {len(moving)}: {_listed(moving)}"
    others = [stream for stream in moving if stream is not chosen and _is_decodable(stream)]
    if not others:
        return line
    copied = f"-map 0:v:{_number(others[0]) - 1} -map 0:a -c copy new{Path(path).suffix}"
    return f"{line}. To read another, copy it: ffmpeg -i {Path(path).name} {copied}"


def _order(stream) -> tuple[bool, int]:
    from av.stream import Disposition

    return not stream.disposition & Disposition.default, stream.index


def _is_decodable(stream) -> bool:
    return stream.codec_context is not None


def _number(stream) -> int:
    """Number among the file's video tracks, from 1, as FFmpeg counts them from 0."""
    return stream.container.streams.video.index(stream) + 1


def _listed(streams: Sequence) -> str:
    return ", ".join(f"{_number(stream)} ({_described(stream)})" for stream in streams)


def _described(stream) -> str:
    if not _is_decodable(stream):
        return "FFmpeg cannot decode it"
    context, title = stream.codec_context, stream.metadata.get("title", "")
    facts = (context.codec.canonical_name, f"{context.width}x{context.height}", title)
    return ", ".join(filter(None, facts))


def _moving(film, path: str | Path) -> list:
    """Video tracks with more than one frame."""
    streams = moving_pictures(film)
    if len(streams) < 2 and not any(map(_is_like_cover, streams)):
        return streams
    stills = _of_one_frame(path, [stream.index for stream in streams])
    return [stream for stream in streams if stream.index not in stills]


def _is_like_cover(stream) -> bool:
    return _is_decodable(stream) and stream.codec_context.name in _OF_COVERS


def _of_one_frame(path: str | Path, indices: Sequence[int]) -> set[int]:
    """Those of the streams that have one frame at most, by the beginning of the file."""
    n_frames: Counter[int] = Counter()
    with open_film(path) as film:
        for n_packets, packet in enumerate(film.demux()):
            n_frames[packet.stream_index] += bool(packet.size)
            if all(n_frames[index] > 1 for index in indices) or n_packets > _MOST_PACKETS:
                break
    return {index for index in indices if n_frames[index] <= 1}
