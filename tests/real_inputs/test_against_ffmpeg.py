"""Sound of everything that FFmpeg can write, as giblet reads it and as FFmpeg decodes it.

Every file format × every encoder of sound in it that the FFmpeg within PyAV has. The other side
is FFmpeg's decoder: all frames one after the other, from the first timestamp on.
"""

import io
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from giblet.audio.files import read_sound
from giblet.errors import GibletError

av = pytest.importorskip("av")

SECONDS = 1.0
# FFmpeg's own Vorbis is experimental; it has no encoder of Theora
OPTIONS = {"vorbis": {"strict": "experimental"}}
RATES = (48000, 44100, 8000)  # the first that a codec and a format take
LIKE_DB, LIKE_SECONDS = 60, 1e-3

# Devices, networks, playlists, checksums, text: no file with sound
NO_SOUND_FILE = re.compile(
    "alsa|oss|fbdev|video4linux2,v4l2|rtp|rtsp|rtp_mpegts|sap|whip|hls|dash|hds|smoothstreaming|"
    "segment|stream_segment,ssegment|tee|fifo|null|crc|md5|hash|.*crc|.*hash|framemd5|ffmetadata|"
    "webm_dash_manifest|webm_chunk|mkvtimestamp_v2|data|rcwt|mpjpeg|image2|image2pipe|rawvideo|spdif"
)

# Every FFmpeg writes these, so at least one codec of each is compared
QUICK = {"aiff", "flac", "matroska", "mp3", "mp4", "mpegts", "ogg", "wav"}
COMMON = QUICK | {"adts", "asf", "avi", "caf", "flv", "mov", "vob", "webm"}

# (format, codec), "*" for any: why it cannot be compared, or what differs and by how much
EXCEPTIONS = {
    (name, "pcm_s16be"): "MPEG-PS has LPCM alone: FFmpeg writes this without its header, and reads "
    "noise; 2 ms longer by the timestamps"
    for name in ("dvd", "mpeg", "svcd", "vcd", "vob")
} | {
    (
        "avi",
        "vorbis",
    ): "AVI has no time stamps for packets of Vorbis: FFmpeg writes them nine times "
    "as far apart as the sound, and silence is put between (with a warning)"
}


@dataclass(frozen=True)
class Written:
    format: str
    codec: str

    @property
    def exception(self) -> str | None:
        names = ((self.format, self.codec), (self.format, "*"), ("*", self.codec))
        return next((EXCEPTIONS[name] for name in names if name in EXCEPTIONS), None)


def encoders() -> dict[str, object]:
    """Encoders of sound, the first by name of each codec."""
    found = {}
    for name in sorted(av.codecs_available):
        try:
            codec = av.Codec(name, "w")
        except ValueError:
            continue
        if codec.type == "audio" and name != "anull":
            found.setdefault(codec.canonical_name, codec)
    return found


def formats() -> list[str]:
    """Formats that can have sound."""
    names = []
    for name in sorted(av.formats_available):
        if NO_SOUND_FILE.fullmatch(name):
            continue
        try:
            with av.open(io.BytesIO(), "w", format=name) as out:
                default = out.default_audio_codec
        except (av.error.FFmpegError, ValueError, OSError):
            continue
        if default and default != "none":
            names.append(name)
    return names


@cache
def sound(rate: int) -> np.ndarray:
    """Noise whose level changes, with two clicks, (n_samples,) in [-1, 1]."""
    t = np.arange(round(SECONDS * rate)) / rate
    noise = np.random.default_rng(0).standard_normal(len(t))
    smooth = np.convolve(noise, np.ones(8) / 8, "same")
    sound = 0.2 * smooth * (1 + np.sin(2 * np.pi * 3 * t)) / 2
    for time in (0.4, 1.1):
        sound += 0.5 * np.exp(-(((t - time) / 5e-4) ** 2))
    return np.clip(sound, -1, 1)


def write(path: Path, written: Written, encoder) -> bool:
    """Whether FFmpeg can write this codec into this format."""
    able = encoder.audio_rates or RATES
    for rate in [rate for rate in RATES if rate in able] or able[:1]:
        for layout in ("mono", "stereo"):
            path.unlink(missing_ok=True)
            try:
                _write(path, written, encoder, rate, layout)
            except av.error.FFmpegError:
                continue
            except (ValueError, OSError):  # the format does not take the codec
                return False
            return path.stat().st_size > 0
    return False


def _write(path: Path, written: Written, encoder, rate: int, layout: str) -> None:
    # most that cannot be written fail here; PyAV would not close their files
    with av.open(io.BytesIO(), "w", format=written.format) as out:
        out.add_stream(
            encoder.name, rate=rate, layout=layout, options=OPTIONS.get(encoder.name, {})
        )
        out.start_encoding()
    with av.open(str(path), "w", format=written.format) as out:
        stream = out.add_stream(
            encoder.name, rate=rate, layout=layout, options=OPTIONS.get(encoder.name, {})
        )
        out.start_encoding()
        n_channels = stream.layout.nb_channels
        samples = np.tile(sound(rate).astype(np.float32), (n_channels, 1))
        size = stream.codec_context.frame_size or 1024
        resampler = av.AudioResampler(stream.format, layout, rate, frame_size=size)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))


def decoded(path: Path) -> tuple[np.ndarray, int]:
    """Frames one after the other, mono, from film time 0 on, and their rate."""
    with av.open(str(path)) as file:
        stream = file.streams.audio[0]
        packets = (p for p in file.demux(stream) if p.size or p.dts is None)
        frames = [frame for packet in packets for frame in packet.decode()]
        start = float(Fraction(file.start_time or 0, 1_000_000))
        rate = frames[0].sample_rate
        begin = 0.0 if frames[0].pts is None else max(frames[0].time - start, 0)
        resampler = av.AudioResampler("fltp")
        pieces = [np.zeros(round(begin * rate))]
        for frame in frames:
            frame.pts = None
            pieces += [each.to_ndarray().mean(axis=0) for each in resampler.resample(frame)]
    return np.concatenate(pieces), rate


def difference(path: Path) -> str | None:
    """What differs; "" if nothing does, None if FFmpeg cannot read what it wrote."""
    try:
        expected, rate = decoded(path)
    except (av.error.FFmpegError, IndexError):
        return None
    try:
        got = read_sound(path, rate)
    except GibletError as error:
        return f"refused: {error}"
    n = min(len(got), len(expected))
    noise = np.square(got[:n] - expected[:n]).sum()
    like_db = 10 * np.log10(np.square(expected[:n]).sum() / max(noise, 1e-20))
    seconds = (len(got) - len(expected)) / rate
    if like_db >= LIKE_DB and abs(seconds) <= LIKE_SECONDS:
        return ""
    return f"{like_db:.1f} dB, {1e3 * seconds:+.1f} ms long"


ENCODERS = encoders()


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in formats()],
)
def test_sound_is_read_as_ffmpeg_decodes_it(tmp_path, name):
    differences = {}
    for codec, encoder in ENCODERS.items():
        written, path = Written(name, codec), tmp_path / f"{codec}.file"
        if not written.exception and write(path, written, encoder):
            differences[codec] = difference(path)
    assert not {codec: text for codec, text in differences.items() if text}
    assert "" in differences.values() or name not in COMMON
