"""Video of people's films. Sources are issues and pull requests on GitHub, unless they say more."""

import pytest
from real_inputs.cases import Case, check, parametrized

av = pytest.importorskip("av")

from real_inputs.sound_files import film, joined  # noqa: E402
from real_inputs.video_files import (  # noqa: E402
    COVER,
    FINE,
    NO_GROUPS,
    QUIET,
    Track,
    cut,
    grey_film,
    image_bytes,
    is_film,
    of_unknown_codec,
    seen,
    without_index,
)

from giblet.film.video import has_pictures  # noqa: E402

TWO = r"reads video track {} of 2: 1 \(h264, 64x48\), 2 \(h264, 64x48\)\. .* -map 0:v:{} -map 0:a"
SPATIAL = "sturmen/SpatialMediaKit 13; FireRedTeam/FireRed-OpenStoryline 91"
UNFLAGGED = "mpv-player/mpv 8561, 10440, 13380; rigaya/NVEnc 221"
PASSES = "cases/sound.md, passes"
DIVX = "superuser404notfound/AetherEngine 516; PyAV-Org/PyAV 534; zoriya/Kyoo 602"
OTHER = Track(greys=[50] * 100)
STILL = Track("mjpeg", [50], pix_fmt="yuvj420p", flags=0)
FEW_KEYFRAMES = Track(options=(("g", "12"), ("bf", "2")))


def stamped(milliseconds):
    return Track("ffv1", stamps=milliseconds, pix_fmt="bgr0")


STEADY = [40 * k for k in range(100)]

TRACKS = [
    Case(
        "two video tracks in MP4, both enabled",
        lambda folder: grey_film(folder / "a.mp4", Track(), OTHER),
        is_film(),
        SPATIAL,
        warning=TWO.format(1, 1),
    ),
    Case(
        "two video tracks in Matroska, the second is the default",
        lambda folder: grey_film(
            folder / "a.mkv", Track(greys=[50] * 100, flags=0), Track(), default_mode="passthrough"
        ),
        is_film(),
        "iina/iina 3410",
        warning=TWO.format(2, 0),
    ),
    Case(
        "the only video track is of a codec that FFmpeg lacks",
        lambda folder: of_unknown_codec(grey_film(folder / "a.mp4")),
        r"a\.mp4: FFmpeg can decode no video track; there is 1 \(FFmpeg cannot decode it\)",
        "alexheretic/ab-av1 351",
    ),
    Case(
        "the first video track is of a codec that FFmpeg lacks",
        lambda folder: of_unknown_codec(grey_film(folder / "a.mp4", Track(), Track())),
        is_film(),
        "alexheretic/ab-av1 351",
        warning=r"2 of 2: 1 \(FFmpeg cannot decode it\), 2 \(h264, 64x48\)$",
    ),
    *(
        Case(
            f"a cover as an ordinary video track, the first of {ending}",
            lambda folder, ending=ending: grey_film(folder / f"a.{ending}", STILL, Track()),
            is_film(),
            UNFLAGGED,
        )
        for ending in ("mkv", "mov")
    ),
    Case(
        "a cover as an ordinary video track, the first of AVI",
        lambda folder: grey_film(
            folder / "a.avi", STILL, Track("mpeg4", options=FINE), sound="pcm_s16le"
        ),
        is_film(),
        UNFLAGGED,
    ),
    Case(
        "a cover as an ordinary video track, the last",
        lambda folder: grey_film(folder / "a.mkv", Track(), STILL),
        is_film(),
        UNFLAGGED,
    ),
    Case(
        "a cover that is flagged as such before the film",
        lambda folder: grey_film(
            folder / "a.mp4", Track("mjpeg", [50], pix_fmt="yuvj420p", flags=COVER), Track()
        ),
        is_film(),
        "quodlibet/mutagen 661; UltraStar-Deluxe/USDX 948",
    ),
    Case(
        "an image attached to Matroska",
        lambda folder: grey_film(
            folder / "a.mkv", attachment=("cover.png", "image/png", image_bytes())
        ),
        is_film(),
        "mbunkus/mkvtoolnix 1280; mpv-player/mpv 10440",
    ),
    Case(
        "a font attached to Matroska",
        lambda folder: grey_film(
            folder / "a.mkv",
            attachment=("a.ttf", "application/x-truetype-font", b"\0\1\0\0" + bytes(300)),
        ),
        is_film(),
        PASSES,
    ),
    Case(
        "a track of a time code that starts at an hour",
        lambda folder: grey_film(folder / "a.mov", timecode="01:00:00:00"),
        is_film(),
        "DaVinci Resolve's mov",
    ),
]

CODECS = [
    Case(
        f"{track.codec}, {track.pix_fmt} in {ending}",
        lambda folder, ending=ending, track=track, sound=sound: grey_film(
            folder / f"a.{ending}", track, sound=sound
        ),
        is_film(size=size, late=0.01 if sound == "mp2" else 0),  # its encoder begins before 0
        source,
    )
    for ending, track, sound, size, source in [
        ("mp4", Track("libx265", options=tuple(QUIET.items())), "aac", (48, 64), PASSES),
        (
            "mp4",
            Track("libx265", pix_fmt="yuv420p10le", options=tuple(QUIET.items())),
            "aac",
            (48, 64),
            PASSES,
        ),
        ("mp4", Track("libsvtav1", size=(64, 64)), "aac", (64, 64), "yt-dlp's mp4 with AV1"),
        ("webm", Track("libvpx-vp9"), "libopus", (48, 64), "yt-dlp's webm"),
        ("mov", Track("prores_ks", pix_fmt="yuv422p10le"), "pcm_s24le", (48, 64), "DaVinci's mov"),
        ("avi", Track("mjpeg", pix_fmt="yuvj420p"), "pcm_s16le", (48, 64), "cameras' avi"),
        ("dv", Track("dvvideo", size=(720, 576)), "pcm_s16le", (576, 768), PASSES),
        ("mpg", Track("mpeg1video", options=FINE), "mp2", (48, 64), "Video CDs"),
    ]
]

ORDER = [
    Case(
        "H.264 with B-frames in AVI",
        lambda folder: grey_film(folder / "a.avi", sound="pcm_s16le"),
        is_film(late=0.08),  # as FFmpeg shows it: AVI cannot tell the encoder's two frames
        DIVX,
    ),
    Case(
        "MPEG-4 with B-frames in AVI",
        lambda folder: grey_film(
            folder / "a.avi", Track("mpeg4", options=(*FINE, ("bf", "2"))), sound="pcm_s16le"
        ),
        is_film(late=0.04),
        DIVX,
    ),
    Case(
        "interlaced H.264",
        lambda folder: grey_film(
            folder / "a.mkv",
            Track(options=(("flags", "+ildct+ilme"), ("x264-params", "interlaced=1:tff=1"))),
        ),
        is_film(),
        "camcorders' AVCHD",
    ),
    Case(
        "a film that starts without a key frame",
        lambda folder: grey_film(folder / "a.mkv", FEW_KEYFRAMES, keep=lambda k: k >= 5),
        is_film(range(12, 100)),
        "mpv-player/mpv 8876; recordings of broadcasts",
    ),
    Case(
        "frames lost by the recorder",
        lambda folder: grey_film(
            folder / "a.mkv", Track(options=tuple(NO_GROUPS.items())), keep=lambda k: k < 40
        ),
        is_film(range(40)),
        "obsproject/obs-studio: dropped frames",
    ),
]

STAMPS = [
    Case(
        "a variable frame rate, as phones and screen recorders have it",
        lambda folder: grey_film(
            folder / "a.mp4", Track(stamps=[0, 5, 10, 500, *range(600, 3480, 30)])
        ),
        is_film(begins=[t / 1000 for t in [0, 5, 10, 500, *range(600, 3480, 30)]], seconds=3.48),
        "zoom and QuickTime screen recordings",
    ),
    Case(
        "two frames with one stamp",
        lambda folder: grey_film(
            folder / "a.mkv", stamped([40 * (k - (k == 50)) for k in range(100)])
        ),
        is_film(begins=[0.04 * (k - (k == 50)) for k in range(100)]),
        "HandBrake/HandBrake 105 class",
    ),
    Case(
        "pictures that begin a second after the sound",
        lambda folder: grey_film(folder / "a.mp4", Track(stamps=[1000 + t for t in STEADY])),
        is_film(late=1.0),
        "mltframework/mlt 835",
    ),
    Case(
        "pictures that end a second before the sound",
        lambda folder: grey_film(folder / "a.mp4", Track(greys=range(75))),
        is_film(range(75)),
        PASSES,
    ),
    Case(
        "one frame stamped a second late",
        lambda folder: grey_film(
            folder / "a.mkv", stamped(STEADY), stamp=lambda time, k: time + 1.0 * (k == 50)
        ),
        is_film([k for k in range(100) if k != 50]),
        "skmcgrail/rust-ac-ffmpeg 32",
        warning="1 video frames have wrong timestamps, left out",
    ),
    Case(
        "stamps of frames that jitter by 15 ms",
        lambda folder: grey_film(
            folder / "a.mkv",
            stamped(STEADY),
            stamp=lambda time, k: time + (0.015 if k % 3 == 1 else 0.0),
        ),
        is_film(begins=[0.04 * k + (0.015 if k % 3 == 1 else 0.0) for k in range(100)]),
        "Genymobile/scrcpy 6128",
    ),
    Case(
        "a pause in the stamps of frames: the last frame stays",
        lambda folder: grey_film(
            folder / "a.mkv", stamped([t + 2000 * (t >= 2000) for t in STEADY])
        ),
        is_film(begins=[0.04 * k + 2 * (k >= 50) for k in range(100)]),
        "xbmc/xbmc 1509",
    ),
    Case(
        "pictures stamped by the time of day, sound from 0",
        lambda folder: grey_film(
            folder / "a.mkv", stamped(STEADY), stamp=lambda time, k: time + 1.7e9
        ),
        r"video frames jump by 1700000000 s.*setpts",
        "raspberrypi/picamera2 1274",
    ),
    Case(
        "H.264 without a container",
        lambda folder: grey_film(folder / "a.h264", sound=None, format="h264"),
        r"a\.h264: its video frames have no timestamps\. .*ffmpeg -r RATE -i a\.h264 new\.mp4",
        "raspberrypi/picamera2's .h264",
    ),
    *(
        Case(
            f"MPEG-TS whose stamps wrap at 33 bits {when}",
            lambda folder, begin=begin: film(
                folder / "a.ts", "mp2", video="mpeg2video", begin=begin, video_begin=begin
            ),
            lambda pictures: has_even_stamps(pictures),
            "xbmc/xbmc 1509; video-dev/hls.js 6892",
        )
        for when, begin in (("near the begin", 95443.2), ("in the middle", 95441.72))
    ),
]


def has_even_stamps(pictures):
    assert len(pictures.begins) == 100
    assert pictures.begins[0] == pytest.approx(0.01, abs=2e-3)  # MP2 begins 10 ms earlier
    assert max(abs(pictures.begins[1:] - pictures.begins[:-1] - 0.04)) < 1e-3


DAMAGED = [
    Case(
        "AVI without its index",
        lambda folder: without_index(
            grey_film(folder / "a.avi", Track("mpeg4", options=FINE), sound="pcm_s16le")
        ),
        is_film(),
        PASSES,
    ),
    Case(
        "AVI cut short",
        lambda folder: cut(
            grey_film(folder / "a.avi", Track("mpeg4", options=FINE), sound="pcm_s16le"), 0.6
        ),
        lambda pictures: is_film(range(len(pictures.numbers)))(pictures),
        PASSES,
    ),
    Case(
        "a recorder's Matroska cut short",
        lambda folder: cut(grey_film(folder / "a.mkv"), 0.6),
        lambda pictures: is_film([*range(60), 61])(pictures),  # B-frames come last
        "obsproject/obs-studio: after a crash",
    ),
    Case(
        "webm of a live recorder, without length and cues",
        lambda folder: grey_film(folder / "a.webm", Track("libvpx"), sound="libopus", live="1"),
        is_film(),
        PASSES,
    ),
    Case(
        "an MP4 that its recorder did not finish",
        lambda folder: cut(grey_film(folder / "a.mp4"), 0.6),
        r"a\.mp4: cannot be read as a film or a sound .*complete",
        "phones that ran out of power",
    ),
    Case(
        "MPEG-TS joined byte by byte",
        lambda folder: joined(
            folder / "a.ts", *2 * [film(folder / "1.ts", "mp2", video="mpeg2video")]
        ),
        lambda pictures: twice(pictures),
        "ruuda/lewton 18; zaps166/QMPlay2 94",
        warning="timestamps start again",
    ),
]


def twice(pictures):
    assert len(pictures.begins) == 200
    assert pictures.begins[100] - pictures.begins[0] == pytest.approx(4.0, abs=0.05)


@parametrized([*TRACKS, *CODECS, *ORDER, *STAMPS, *DAMAGED])
def test_video(case, tmp_path, caplog):
    check(case, seen, tmp_path, caplog)


COVERS = [
    Case(
        f"a cover in {ending}",
        lambda folder, ending=ending, sound=sound, flags=flags: grey_film(
            folder / f"a.{ending}",
            Track("mjpeg", [50], pix_fmt="yuvj420p", flags=flags),
            sound=sound,
        ),
        lambda there: there is False or pytest.fail("a cover is no film"),
        "amule-org/amule 1075; Aleksoid1978/MPC-BE 1241",
    )
    for ending, sound, flags in [
        ("mp3", "libmp3lame", COVER),
        ("flac", "flac", COVER),
        ("mp4", "aac", COVER),
        ("mkv", "aac", 0),
        ("mov", "aac", 0),
    ]
]


@parametrized(COVERS)
def test_covers_are_no_video(case, tmp_path, caplog):
    check(case, has_pictures, tmp_path, caplog)
