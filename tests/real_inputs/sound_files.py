"""Files with a known sound: two clicks and a tone, written in the ways that people's files are."""

import struct
from collections.abc import Callable
from fractions import Fraction
from itertools import count
from pathlib import Path

import av
import numpy as np
import soundfile

SECONDS, CLICKS = 4.0, (0.5, 1.0)  # s
TONE, TONE_DB = (1.5, 3.0), -20.0  # s; dB of full scale
RATE = 24000  # Hz at which sound is read


def clicks_and_tone(rate: int, seconds: float = SECONDS) -> np.ndarray:
    """Clicks of 2 ms at 0.5 and 1 s, 1 kHz of -20 dB from 1.5 to 3 s; (n_samples,) float32."""
    t = np.arange(round(rate * seconds)) / rate
    sound = 0.1 * np.sin(2 * np.pi * 1000 * t) * ((t >= TONE[0]) & (t < TONE[1]))
    for click in CLICKS:
        sound += 0.4 * (1 + np.cos(np.pi * np.clip((t - click) / 1e-3, -1, 1)))
    return sound.astype(np.float32)


def is_sound(
    seconds: float = SECONDS,
    length: float = 0.1,
    late: float = 0.0,
    clicks: float = 5e-4,
    tone_db: float = TONE_DB,
    tone: float = 0.1,
    again_at: float | None = None,
    skip: float = 0.0,
) -> Callable[[np.ndarray], None]:
    """Check of what was read: duration, clicks ``late`` by so much, level of the tone.

    ``length``, ``clicks`` (s) and ``tone`` (dB) are tolerances. ``again_at``: film time (s) at
    which the same sound comes a second time. ``skip``: seconds before it that are not looked at.
    """

    def right(sound: np.ndarray) -> None:
        sound = sound[round(skip * RATE) :]
        assert len(sound) / RATE == approx(seconds, length)
        for begin in (0.0,) if again_at is None else (0.0, again_at):
            for click in CLICKS:
                assert loudest(sound, begin + click + late) == approx(begin + click + late, clicks)
        assert level_db(sound[round((TONE[0] + 0.2) * RATE) : round((TONE[1] - 0.2) * RATE)]) == (
            approx(tone_db, tone)
        )

    return right


def approx(expected: float, tolerance: float):
    import pytest

    return pytest.approx(expected, abs=tolerance)


def loudest(sound: np.ndarray, near: float) -> float:
    """Time (s) of the loudest sample within 0.2 s of ``near``."""
    first = max(round((near - 0.2) * RATE), 0)
    return (first + np.abs(sound[first : round((near + 0.2) * RATE)]).argmax()) / RATE


def level_db(sound: np.ndarray) -> float:
    """Amplitude of 1 kHz in dB of full scale; phase leaps lower it."""
    turns = np.exp(-2j * np.pi * 1000 * np.arange(len(sound)) / RATE)
    return 20 * np.log10(2 * abs(np.mean(sound * turns)) + 1e-12)


def is_like(expected: Callable[[Path], np.ndarray], decibels: float):
    """Reader's input and check: sound equals another decoder's of the same file, in dB."""

    def right(read: tuple[Path, np.ndarray]) -> None:
        path, sound = read
        other = expected(path)
        n = min(len(sound), len(other))
        noise = np.square(sound[:n] - other[:n]).sum()
        assert 10 * np.log10(np.square(other[:n]).sum() / max(noise, 1e-20)) > decibels
        assert abs(len(sound) - len(other)) <= 0.001 * RATE

    return right


def encoded(stream, sound: np.ndarray, rate: int, first: float = 0.0):
    """Packets of ``sound`` (n_samples,), alike in all channels, from ``first`` s on."""
    size = stream.codec_context.frame_size or 1024
    pcm = np.tile((sound * 32767).astype(np.int16), (stream.layout.nb_channels, 1))
    for k in range(0, pcm.shape[1], size):
        piece = np.ascontiguousarray(pcm[:, k : k + size])
        frame = av.AudioFrame.from_ndarray(piece, format="s16p", layout=stream.layout.name)
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = round(first * rate) + k
        yield from stream.encode(frame)
    yield from stream.encode(None)


def pictures(stream, seconds: float, first: float = 0.0):
    """Packets of grey video, 25 frames a second."""
    for k in range(round(25 * seconds)):
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 100, np.uint8), format="rgb24")
        frame.pts, frame.time_base = k + round(25 * first), Fraction(1, 25)
        yield from stream.encode(frame)
    yield from stream.encode(None)


def film(
    path: Path,
    codec: str,
    rate: int = 48000,
    layout: str = "stereo",
    sound: np.ndarray | None = None,
    begin: float = 0.0,
    video: str | None = None,
    video_begin: float = 0.0,
    stamp: Callable[[float, int], float] | None = None,
    keep: Callable[[int], bool] = lambda k: True,
    bit_rate: int | None = None,
    format: str | None = None,
    **options: str,
) -> Path:
    """File with the known sound, and grey pictures if ``video`` names a codec.

    ``stamp(time, k)``: timestamp (s) of the sound's packet ``k`` that belongs at ``time``;
    ``keep(k)``: whether it is written.
    """
    sound = clicks_and_tone(rate) if sound is None else sound
    with av.open(str(path), "w", format=format, options=options) as out:
        packets = []
        if video:
            shown = out.add_stream(video, rate=25, width=64, height=48, pix_fmt="yuv420p")
        audio = out.add_stream(codec, rate=rate, layout=layout)
        if bit_rate:
            audio.bit_rate = bit_rate
        if video:
            packets += pictures(shown, len(sound) / rate, video_begin)
        numbers = count()
        for packet in encoded(audio, sound, rate, begin):
            k = next(numbers)
            if stamp:
                time = stamp(float(packet.pts * packet.time_base), k)
                packet.pts = packet.dts = round(time / packet.time_base)
            if keep(k):
                packets.append(packet)
        for packet in sorted(packets, key=lambda each: each.dts * each.time_base):
            out.mux(packet)
    return path


def recording(path: Path, rate: int = 48000, subtype: str | None = None, **options) -> Path:
    """Written by libsndfile."""
    soundfile.write(path, clicks_and_tone(rate), rate, subtype=subtype, **options)
    return path


def joined(path: Path, *parts: Path) -> Path:
    """Files one after the other, byte by byte."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def wave(
    path: Path,
    says: int | None = None,
    before: bytes = b"",
    after: bytes = b"",
    seconds: float = SECONDS,
    fmt_tail: bytes = b"",
) -> Path:
    """16-bit mono ``.wav`` of 24 kHz whose header says ``says`` bytes of samples."""
    data = (clicks_and_tone(RATE, seconds) * 32767).astype("<i2").tobytes()
    fmt = struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16) + fmt_tail
    says = len(data) if says is None else says
    body = before + struct.pack("<4sI", b"fmt ", len(fmt)) + fmt
    body += struct.pack("<4sI", b"data", says) + data + after
    path.write_bytes(struct.pack("<4sI4s", b"RIFF", min(4 + len(body), 2**32 - 1), b"WAVE") + body)
    return path


def one_after_the_other(path: Path) -> np.ndarray:
    """Decoded frames without regard to timestamps, mono; those of a file of 24 kHz."""
    with av.open(str(path)) as file:
        resampler = av.AudioResampler("fltp")
        pieces = []
        for frame in file.decode(audio=0):
            frame.pts = None
            pieces += [each.to_ndarray().mean(axis=0) for each in resampler.resample(frame)]
    return np.concatenate(pieces)
