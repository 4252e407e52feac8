"""Edit lists of MP4 and MOV, as phones, QuickTime and ``ffmpeg -ss -c copy`` write them."""

import struct

import numpy as np
import pytest
from real_inputs.cases import Case, check, parametrized
from real_inputs.sound_files import RATE, is_sound, level_db, loudest
from real_inputs.video_files import Track, grey_film, is_film, seen

from giblet.audio.files import read_sound

av = pytest.importorskip("av")

DELAY = 1024 / 48000  # s, of AAC
SOURCE = "mltframework/mlt 835; HandBrake/HandBrake 568; cases/sound.md: cuts inside"
TRACK = Track(options=(("bf", "0"), ("g", "1000")))
GAP = r"a\.mp4: its edit list has a gap behind a stretch of film.*Export it again"
SPEED = r"a\.mp4: its edit list plays parts at another speed"


def box(name, content):
    return struct.pack(">I4s", 8 + len(content), name) + content


def boxes(content):
    at = 0
    while at < len(content):
        size, name = struct.unpack(">I4s", content[at : at + 8])
        yield name, content[at + 8 : at + size]
        at += size


def edited(folder, sound=None, video=None, speed=1.0, long=False):
    """A film of 4 s whose tracks are ``edits``: seconds, and where in the media (None: empty).

    ``long``: in 64 bits.
    """
    path = grey_film(folder / "a.mp4", TRACK)
    parts = []
    for name, content in boxes(path.read_bytes()):
        if name == b"moov":
            scale = struct.unpack(">I", content[content.index(b"mvhd") + 16 :][:4])[0]
            content = b"".join(
                box(inner, with_edits(track, scale, sound, video, speed, long))
                if inner == b"trak"
                else box(inner, track)
                for inner, track in boxes(content)
            )
        parts.append(box(name, content))
    path.write_bytes(b"".join(parts))
    return path


def with_edits(track, scale, sound, video, speed, long):
    ticks = struct.unpack(">I", track[track.index(b"mdhd") + 16 :][:4])[0]
    is_audio = b"soun" in track
    edits = sound if is_audio else video
    if edits is None:
        return track
    delay = DELAY if is_audio else 0.0
    entries = b"".join(
        struct.pack(
            ">QqI" if long else ">IiI",
            round(seconds * scale),
            -1 if begin is None else round((begin + delay) * ticks),
            round(speed * 2**16),
        )
        for seconds, begin in edits
    )
    elst = box(b"elst", struct.pack(">B3xI", long, len(edits)) + entries)
    new = b""
    for name, content in boxes(track):
        if name != b"edts":
            new += box(name, content)
        if name == b"tkhd":
            new += box(b"edts", elst)
    return new


def both(folder, edits, **options):
    return edited(folder, edits, edits, **options)


def has_clicks(*times, tone=None, seconds, tolerance=1e-3):
    """Where clicks are heard, and the tone from when to when (s)."""

    def right(sound):
        assert len(sound) / RATE == pytest.approx(seconds, abs=0.025)
        for time in times:
            assert loudest(sound, time) == pytest.approx(time, abs=tolerance)
        if tone:
            first, last = (round(time * RATE) for time in tone)
            assert level_db(sound[first:last]) == pytest.approx(-20, abs=0.1)
            assert level_db(sound[first - RATE // 10 : first - RATE // 20]) < -60
        assert (np.abs(sound) > 0.4).sum() < 60 * len(times)

    return right


SOUND = [
    Case(
        "both tracks begin with a pause: the clock begins behind it",
        lambda folder: both(folder, [(0.5, None), (4.0, 0.0)]),
        is_sound(),
        SOURCE,
    ),
    Case(
        "the sound alone begins with a pause",
        lambda folder: edited(folder, sound=[(0.5, None), (4.0, 0.0)]),
        has_clicks(1.0, 1.5, tone=(2.05, 3.4), seconds=4.5),
        SOURCE,
    ),
    Case(
        "a pause in two entries",
        lambda folder: edited(folder, sound=[(0.25, None), (0.25, None), (4.0, 0.0)]),
        has_clicks(1.0, 1.5, tone=(2.05, 3.4), seconds=4.5),
        SOURCE,
    ),
    Case(
        "beginning and end are cut away",
        lambda folder: both(folder, [(2.6, 0.4)], long=True),
        has_clicks(0.1, 0.6, tone=(1.15, 2.5), seconds=2.6),
        SOURCE,
    ),
    Case(
        "a stretch inside is cut away: what follows is up to a packet early",
        lambda folder: both(folder, [(0.8, 0.0), (2.0, 1.2)]),
        has_clicks(0.5, tone=(1.125, 2.5), seconds=2.8),
        SOURCE,
        warning=r"0\.011 s of sound left out at 0\.81 s",
    ),
    Case(
        "a stretch that is played twice",
        lambda folder: both(folder, [(0.8, 0.0), (3.0, 0.0)]),
        has_clicks(0.5, 1.3, 1.8, tone=(2.35, 3.7), seconds=3.8),
        SOURCE,
        warning=r"0\.011 s of sound left out at 0\.81 s",
    ),
    Case(
        "a pause inside",
        lambda folder: both(folder, [(0.8, 0.0), (1.0, None), (3.0, 0.8)]),
        GAP,
        "FFmpeg: libavformat/mov.c takes only first edits as empty",
    ),
    Case(
        "a pause at the end",
        lambda folder: both(folder, [(3.0, 0.0), (1.0, None)]),
        GAP,
        "FFmpeg: libavformat/mov.c takes only first edits as empty",
    ),
    Case(
        "a stretch in slow motion",
        lambda folder: both(folder, [(4.0, 0.0)], speed=0.5),
        SPEED,
        "ISO 14496-12, media_rate; FFmpeg ignores it",
    ),
]


@parametrized(SOUND)
def test_sound_by_edit_lists(case, tmp_path, caplog):
    check(case, lambda path: read_sound(path, RATE), tmp_path, caplog)


def has_frames(*numbers, late=0.0):
    return lambda shown: is_film(numbers, [0.04 * k + late for k in range(len(numbers))])(shown)


VIDEO = [
    Case(
        "both tracks begin with a pause: the clock begins behind it",
        lambda folder: both(folder, [(0.5, None), (4.0, 0.0)]),
        has_frames(*range(100)),
        SOURCE,
    ),
    Case(
        "the video alone begins with a pause",
        lambda folder: edited(folder, video=[(0.48, None), (4.0, 0.0)]),
        has_frames(*range(100), late=0.48),
        SOURCE,
    ),
    Case(
        "beginning and end are cut away",
        lambda folder: both(folder, [(2.6, 0.4)]),
        has_frames(*range(10, 75)),
        SOURCE,
    ),
    Case(
        "a stretch inside is cut away",
        lambda folder: both(folder, [(0.8, 0.0), (2.0, 1.2)], long=True),
        has_frames(*range(20), *range(30, 80)),
        SOURCE,
    ),
    Case(
        "a stretch that is played twice",
        lambda folder: both(folder, [(0.8, 0.0), (3.0, 0.0)]),
        has_frames(*range(20), *range(75)),
        SOURCE,
    ),
    Case(
        "a pause inside",
        lambda folder: both(folder, [(0.8, 0.0), (1.0, None), (3.0, 0.8)]),
        GAP,
        "FFmpeg: libavformat/mov.c takes only first edits as empty",
    ),
]


@parametrized(VIDEO)
def test_video_by_edit_lists(case, tmp_path, caplog):
    check(case, seen, tmp_path, caplog)
