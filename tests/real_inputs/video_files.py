"""Films whose frames tell their number: grey, two levels brighter each."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from real_inputs.sound_files import clicks_and_tone, encoded

from giblet.film.video import pictures_duration, shown_pictures

GREY, N_FRAMES, SECONDS = 2, 100, 0.04  # levels a frame; frames; s of each
HEIGHT, WIDTH = 48, 64
DEFAULT = av.stream.Disposition.default
COVER = av.stream.Disposition.attached_pic
NO_GROUPS = {"g": "1000", "bf": "0"}
QUIET = {"x265-params": "log-level=none"}
FINE = (("qmin", "1"), ("qmax", "1"))  # of MPEG-1, 2 and 4


@dataclass(frozen=True)
class Track:
    """A video track: ``greys`` of its frames, ``stamps`` (ms) of them or 25 a second."""

    codec: str = "libx264"
    greys: Iterable[int] = range(N_FRAMES)
    stamps: Sequence[int] | None = None
    pix_fmt: str = "yuv420p"
    size: tuple[int, int] = (WIDTH, HEIGHT)
    flags: int = DEFAULT
    options: tuple[tuple[str, str], ...] = ()
    rotation: int = 0


def grey(level: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> np.ndarray:
    return np.full((*size[::-1], 3), level * GREY, np.uint8)


def grey_film(
    path: Path,
    *tracks: Track,
    sound: str | None = "aac",
    keep: Callable[[int], bool] = lambda k: True,
    stamp: Callable[[float, int], float] | None = None,
    attachment: tuple[str, str, bytes] | None = None,
    timecode: str = "",
    format: str | None = None,
    **options: str,
) -> Path:
    """Film with the known sound in its first sound track.

    ``keep(k)`` and ``stamp(time, k)``: of the video's packet ``k``, whether it is written, and its
    timestamp (s), not before its own; ``attachment``: name, type and content; ``timecode`` gets
    a track of its own in MOV.
    """
    with av.open(str(path), "w", format=format, options=options) as out:
        streams = [_video(out, track) for track in tracks or (Track(),)]
        heard = out.add_stream(sound, rate=48000, layout="stereo") if sound else None
        if timecode:
            streams[0].metadata["timecode"] = timecode
        if attachment:
            out.add_attachment(*attachment)
        packets: list[tuple[Fraction, av.Packet]] = []  # when it is written
        for stream, track in zip(streams, tracks or (Track(),), strict=True):
            shown = [_timed(packet) for packet in _shown(stream, track)]
            for k, (_, packet) in enumerate(shown):
                if stamp:
                    ticks = round(stamp(float(packet.pts * packet.time_base), k) / packet.time_base)
                    packet.pts = ticks
                    packet.dts = ticks if ticks > 1e9 else packet.dts
            packets += [each for k, each in enumerate(shown) if keep(k)]
        if heard:
            packets += map(_timed, encoded(heard, clicks_and_tone(48000), 48000))
        for _, packet in sorted(packets, key=lambda each: each[0]):
            out.mux(packet)
    return path


def _timed(packet) -> tuple[Fraction, av.Packet]:
    return packet.dts * packet.time_base, packet


def _video(out, track: Track):
    width, height = track.size
    stream = out.add_stream(
        track.codec,
        rate=25,
        width=width,
        height=height,
        pix_fmt=track.pix_fmt,
        options=dict(track.options),
    )
    stream.disposition = track.flags
    if track.stamps is not None:
        stream.codec_context.time_base = Fraction(1, 1000)
    if track.rotation:
        stream.set_display_rotation(track.rotation)
    return stream


def _shown(stream, track: Track):
    for k, level in enumerate(track.greys):
        frame = av.VideoFrame.from_ndarray(grey(level, track.size), format="rgb24")
        frame.pts = k if track.stamps is None else track.stamps[k]
        frame.time_base = Fraction(1, 25 if track.stamps is None else 1000)
        yield from stream.encode(frame)
    yield from stream.encode(None)


@dataclass(frozen=True)
class Seen:
    """Numbers of the frames of a film, the film times (s) at which they begin, and its length."""

    numbers: np.ndarray
    begins: np.ndarray
    seconds: float
    size: tuple[int, int]


def seen(path: Path) -> Seen:
    shown = list(shown_pictures(path))
    numbers = [round(picture.scaled(4, 4).mean() / GREY) for picture in shown]
    begins = [picture.begin for picture in shown]
    return Seen(np.array(numbers), np.array(begins), pictures_duration(path), shown[0].size)


def is_film(
    numbers: Sequence[int] = range(N_FRAMES),
    begins: Sequence[float] | None = None,
    late: float = 0.0,
    seconds: float | None = None,
    size: tuple[int, int] = (HEIGHT, WIDTH),
) -> Callable[[Seen], None]:
    """Check that all frames are there, each at its time, ``late`` by so much (s)."""
    if begins is None:
        begins = [number * SECONDS for number in numbers]

    def right(film: Seen) -> None:
        assert len(film.numbers) == len(numbers)
        assert np.abs(film.numbers - np.array(numbers)).max() <= 1  # levels of lossy codecs
        np.testing.assert_allclose(film.begins, np.array(begins) + late, atol=2e-3)
        assert film.size == size
        end = begins[-1] + late + SECONDS if seconds is None else seconds
        assert abs(film.seconds - end) < 0.05

    return right


def without_index(path: Path) -> Path:
    """An AVI without its index."""
    content = path.read_bytes()
    rest = content[8 : content.rindex(b"idx1")]
    path.write_bytes(b"RIFF" + len(rest).to_bytes(4, "little") + rest)
    return path


def cut(path: Path, share: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: round(len(content) * share)])
    return path


def of_unknown_codec(path: Path, number: int = 1) -> Path:
    """An MP4 whose video track ``number`` has a codec that FFmpeg lacks."""
    content = path.read_bytes()
    parts = content.split(b"avc1")  # the first is among the file's brands
    parts[number] += b"zzz1"
    path.write_bytes(
        b"".join(p if k in (number, len(parts) - 1) else p + b"avc1" for k, p in enumerate(parts))
    )
    return path


def image_bytes() -> bytes:
    """A grey PNG."""
    context = av.CodecContext.create("png", "w")
    context.width, context.height, context.pix_fmt = WIDTH, HEIGHT, "rgb24"
    context.time_base = Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(grey(50), format="rgb24")
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])
