"""Opening films and sound files, and no other file: playlists, which name others, are refused.

FFmpeg is given the bytes of one file, never its name, which it would read as a protocol where it
has a colon in it, and no protocol by which it could open more.
"""

import io
import logging
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from giblet.errors import GibletError
from giblet.film.edit_list import check_edits
from giblet.film.joined import continued
from giblet.film.mp3_header import mp3_seconds
from giblet.film.wave_header import wave_data
from giblet.io.paths import check_file

if TYPE_CHECKING:
    import av

logger = logging.getLogger(__name__)

# formats with one index or header for the whole file: joined byte by byte, only the first is read
_MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
_ONE_TIMELINE = {_MP4, "matroska,webm"}
_TAGGED_END = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")
_RAW = {
    "aac",
    "ac3",
    "eac3",
    "dts",
    "dtshd",
    "truehd",
    "mlp",
    "loas",
    "latm",
    "amr",
    "amrnb",
    "amrwb",
}
_RAW |= {"adx", "ac4", "gsm", "g722", "g729", "aptx", "sbc", "h264", "hevc", "mpegvideo", "m4v"}
_NO_HEADER = re.compile("alaw|mulaw|vidc|aptx|aptx_hd|dfpwm|[su]8|[suf](16|24|32|64)[bl]e")
_HEADERLESS = {".al": "alaw", ".ul": "mulaw", ".sw": "s16le", ".sb": "s8", ".ub": "u8"}
_NAME_OTHERS = {"hls", "applehttp", "concat", "dash", "webm_dash_manifest", "imf", "sdp", "vobsub"}
# where the first 5 s do not describe a sound track: µs and bytes of the file's beginning
_LONG_PROBE = {"analyzeduration": "600000000", "probesize": "200000000"}
_read_until: ContextVar[float] = ContextVar("_read_until", default=float("inf"))


class OutOfTime(Exception):
    """The time for reading, as `time_limit` sets it, is over."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Films that are opened within raise `OutOfTime` after so much time, whatever they hold."""
    token = _read_until.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _read_until.reset(token)


class _File(io.FileIO):
    """A file of which ``zeros``, positions of a few bytes, are read as 0.

    It raises `OutOfTime` once when it is read too late, and then is at its end: FFmpeg searches
    damaged files whole.
    """

    _is_over = False

    def __init__(self, path: str | Path, zeros: range) -> None:
        super().__init__(path)
        self._zeros = zeros

    def read(self, size: int = -1, /) -> bytes:
        if self._is_over:
            return b""
        if time.monotonic() > _read_until.get():
            self._is_over = True
            raise OutOfTime
        begin = self.tell() if self._zeros else 0
        content = super().read(size)
        if begin < self._zeros.stop:
            content = bytearray(content)
            for at in self._zeros:
                if 0 <= at - begin < len(content):
                    content[at - begin] = 0
        return bytes(content)


@contextmanager
def open_film(path: str | Path) -> Iterator["av.container.InputContainer"]:
    """Open the container of a film or sound file; GibletError for any other file."""
    import av

    check_file(path, "a film")
    if not Path(path).stat().st_size:
        raise GibletError(f"{path}: the file is empty")
    with ExitStack() as opened:
        try:
            file = opened.enter_context(_file(path))
            options = _this_file_alone()
            film = opened.enter_context(av.open(file, options=options))
            if any(map(_is_undescribed, film.streams.audio)):  # it begins later than FFmpeg looks
                file = opened.enter_context(_file(path))
                film = opened.enter_context(av.open(file, options=options | _LONG_PROBE))
        except PermissionError:
            raise GibletError(f"{path}: you have no permission to read it (chmod +r)") from None
        except (av.error.FFmpegError, OSError) as error:
            raise GibletError(
                f"{path}: cannot be read as a film or a sound ({error.strerror}). "
                "Is it a media file, complete, and no playlist?"
            ) from None
        _check_header(film, path)
        if film.format.name == _MP4:
            check_edits(path)
        yield film


def _check_header(film, path: str | Path) -> None:
    """GibletError for samples without a header, of which FFmpeg guesses rate and channels."""
    kind = guessed = film.format.name
    if is_raw(film):  # A-law of silence looks like GSM
        kind = _HEADERLESS.get(Path(path).suffix.lower(), guessed)
    if _NO_HEADER.fullmatch(kind):
        name = Path(path).name
        raise GibletError(
            f"{path}: samples without a header, as its name says; their rate is not known (FFmpeg "
            f"would take it for {guessed} of {film.streams.audio[0].rate} Hz, mono). Convert it "
            f"with its own: ffmpeg -f {kind} -ar RATE -ac CHANNELS -i {name} new.flac"
        )


def _file(path: str | Path) -> io.RawIOBase | io.BufferedReader:
    """The file as FFmpeg shall read it: a ``.wav`` of more than 4 GiB to its end.

    Its header holds no such size. Where that is 0, FFmpeg does not search the samples for the
    chunks behind them, which takes minutes where they are silent.
    """
    data = wave_data(path)
    zeros = range(data.begin - 4, data.begin) if data and data.wrapped else range(0)
    limited = _read_until.get() < float("inf")
    return _File(path, zeros) if zeros or limited else open(path, "rb")


def _is_undescribed(stream) -> bool:
    """Whether a sound track has a decoder, but neither channels nor a rate."""
    context = stream.codec_context
    return context is not None and not (context.layout.nb_channels and context.sample_rate)


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


def header_duration(film, stream, path: str | Path) -> float | None:
    """Film time (s) at which a stream ends by its header; None if only bit rates tell.

    FFmpeg estimates the length of raw streams by the bit rate of their beginning. Matroska has it
    in a tag, as hh:mm:ss.
    """
    if is_estimated(film, path) or _counts_packets(film, stream):
        return None
    if film.format.name == "mp3":
        return header_seconds(film, path)
    if stream.duration is None:
        tag = _TAGGED_END.fullmatch(stream.metadata.get("DURATION", ""))
        if tag is None:
            return None
        hours, minutes, seconds = map(float, tag.groups())
        return (hours * 60 + minutes) * 60 + seconds - float(film_start(film))
    end = ((stream.start_time or 0) + stream.duration) * stream.time_base
    return float(end - film_start(film))


def _counts_packets(film, stream) -> bool:
    """Whether FFmpeg takes a length in packets, or of another codec, for one in samples."""
    plain = stream.codec_context.name.startswith("pcm")
    return film.format.name in ("aiff", "w64") and not plain


def is_raw(film) -> bool:
    """Whether a file has neither timestamps nor a length: FFmpeg makes them up."""
    return film.format.name in _RAW


def is_estimated(film, path: str | Path) -> bool:
    """Whether the durations that FFmpeg gives are estimated by a bit rate."""
    if film.format.name == "mp3":
        return mp3_seconds(path, film.streams.audio[0].rate) is None
    return is_raw(film)


def header_seconds(film, path: str | Path) -> float:
    """Seconds of a film by its header; 0 if only bit rates tell."""
    if is_estimated(film, path):
        return 0.0
    if film.format.name == "mp3":
        return mp3_seconds(path, film.streams.audio[0].rate) or 0.0
    return (film.duration or 0) / 1e6


def stream_packets(film, stream, path: str | Path) -> Iterator["av.Packet"]:
    """Packets of a stream; where the timestamps of a film start again, they are continued.

    Those of a file that is sound alone are as they are stored.
    """
    streams = [*moving_pictures(film), *film.streams.audio]
    is_alone = len(streams) == 1 and stream.type == "audio"
    if is_alone or film.format.name in _ONE_TIMELINE:
        yield from film.demux(stream)
        return
    for packet in continued(film.demux(streams), float(film_start(film)), str(path)):
        if packet.stream_index == stream.index:
            yield packet


def moving_pictures(film) -> list["av.VideoStream"]:
    """The video streams of a film; cover art does not count."""
    import av

    cover = av.stream.Disposition.attached_pic
    return [stream for stream in film.streams.video if not stream.disposition & cover]


def decoded_frames(film, stream, path: str | Path) -> Iterator["av.frame.Frame"]:
    """Frames of a stream in order of presentation; broken ones are left out, and logged."""
    import av

    n_broken = 0
    try:
        for packet in stream_packets(film, stream, path):
            if not packet.size and packet.dts is not None:  # it carries nothing but changed headers
                continue
            try:
                yield from packet.decode()
            except av.error.InvalidDataError:
                n_broken += 1
    except av.error.PatchWelcomeError:  # chained Ogg whose parts have other settings
        raise GibletError(
            f"{path}: FFmpeg cannot read on within its {stream.type}, where its settings change, "
            "as in joined files. Join its parts with FFmpeg: ffmpeg -i PART1 -i PART2 "
            "-filter_complex concat=n=2:v=0:a=1 new.flac"
        ) from None
    except (av.error.FFmpegError, OSError) as error:
        logger.warning("%s: reading of the %s stopped: %s", path, stream.type, error.strerror)
    finally:  # also where the rest is not wanted
        if n_broken:
            logger.warning("%s: %d packets of %s are broken, left out", path, n_broken, stream.type)
