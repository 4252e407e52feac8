"""Sound of people's files. Sources are issues and pull requests on GitHub, unless they say more."""

import re
import struct
import tracemalloc
from time import process_time

import numpy as np
import pytest
import soundfile
from real_inputs.cases import Case, check, parametrized
from real_inputs.sound_files import (
    RATE,
    SECONDS,
    clicks_and_tone,
    film,
    is_like,
    is_sound,
    joined,
    loudest,
    one_after_the_other,
    recording,
    wave,
)

from giblet.audio.files import read_sound
from giblet.commands.doctor.data_sizes import measure
from giblet.config.config import parse_config

av = pytest.importorskip("av")


def jittering(milliseconds):
    """Timestamps as by a recorder's clock, off by up to so much."""
    offsets = np.random.default_rng(1).uniform(-milliseconds, milliseconds, 1000) / 1e3
    return lambda time, k: time + offsets[k]


def leaping(seconds, packet, only=False):
    """Timestamps that leap by ``seconds`` at a packet, and stay there unless ``only`` it leaps."""
    return lambda time, k: time + seconds * (k == packet if only else k >= packet)


def clicks_at(*times):
    """Check that clicks are at these times (s), to 6 ms."""

    def right(sound):
        for time in times:
            assert loudest(sound, time) == pytest.approx(time, abs=0.006)

    return right


def has_seconds(seconds):
    """Check of the duration."""

    def right(sound):
        assert len(sound) / RATE == pytest.approx(seconds, abs=1e-3)

    return right


def bursts(path, rate, **options):
    """Noise in bursts beside a tone: many changes of block size in Vorbis."""
    t = np.arange(6 * rate) / rate
    noise = np.random.default_rng(0).standard_normal(len(t))
    sound = 0.1 * noise * (np.sin(2 * np.pi * 3 * t) > 0.6) + 0.05 * np.sin(880 * np.pi * t)
    soundfile.write(path, sound.astype(np.float32), rate, **options)
    return path


def read_by_soundfile(path):
    return soundfile.read(path, dtype="float32")[0]


def dvd(path):
    noise = 0.1 * np.random.default_rng(0).standard_normal(48000 * 20)
    return film(path, "ac3", sound=noise, video="mpeg2video", bit_rate=192000, format="vob")


XSTUDIO = "AcademySoftwareFoundation/xstudio 345; pytorch/torchcodec 731"
DVD = "HandBrake/HandBrake 105; beandog/dvd_info 5; pytorch/torchcodec 1610"
JITTER = "skmcgrail/rust-ac-ffmpeg 32; kixelated/moq 2387; Genymobile/scrcpy 6128"
WALL_CLOCK = "raspberrypi/picamera2 1274"
JUMPS = "eluv-io/avpipe 44; xbmc/xbmc 1509"
JOINED = "Vanilagy/mediabunny 382; JamesHeinrich/getID3 272"
CHAINED = "ruuda/lewton 18; zaps166/QMPlay2 94"
RUN_IN = "giblet's own measurements"

STAMPS = [
    Case(
        "Ogg Vorbis with transients",
        lambda folder: recording(folder / "a.ogg", subtype="VORBIS"),
        is_sound(length=0.003, clicks=1e-4, tone=0.3),
        XSTUDIO,
    ),
    Case(
        "Ogg Vorbis with transients at 44.1 kHz",
        lambda folder: recording(folder / "a.ogg", 44100, "VORBIS"),
        is_sound(length=0.003, clicks=1e-4, tone=0.3),
        XSTUDIO,
    ),
    *(
        Case(
            f"packets' stamps jitter by {jitter} ms",
            lambda folder, jitter=jitter: film(
                folder / "a.mkv", "aac", begin=0.05, video="mpeg4", stamp=jittering(jitter)
            ),
            is_sound(late=0.05, clicks=0.006),
            JITTER,
        )
        for jitter in (2, 4, 6, 10)
    ),
    *(
        Case(
            f"stamps run {speed} times as fast as the sound",
            lambda folder, speed=speed: film(
                folder / "a.mkv", "aac", stamp=lambda time, k: speed * time
            ),
            clicks_at(0.5 * speed, 1.0 * speed),
            "FFMS/ffms2 216",
            warning=r"\d more (overlaps|gaps)",
        )
        for speed in (0.97, 1.03, 1.05)
    ),
    Case(
        "stamps drift by 0.2 %",
        lambda folder: film(folder / "a.mkv", "aac", stamp=lambda time, k: 0.998 * time),
        is_sound(clicks=0.006, tone=4.0),
        "FFMS/ffms2 216",
        warning="0.005 s of sound left out",
    ),
    *(
        Case(
            f"one packet stamped {1000 * seconds:.0f} ms off",
            lambda folder, seconds=seconds: film(
                folder / "a.mkv", "aac", stamp=leaping(seconds, 50, only=True)
            ),
            is_sound(),
            DVD,
        )
        for seconds in (0.02, -0.02)
    ),
    Case(
        "lost packets",
        lambda folder: film(folder / "a.mkv", "pcm_s16le", RATE, keep=lambda k: k not in (80, 81)),
        is_sound(clicks=1e-4),
        JUMPS,
        warning=r"0\.08\d s without sound at 3\.41 s",
    ),
    Case(
        "a pause of 20 minutes in the stamps",
        lambda folder: film(folder / "a.mkv", "aac", stamp=leaping(1200.0, 170)),
        is_sound(1200 + SECONDS),
        JUMPS,
        warning=r"1200\.000 s without sound at 3\.6",
    ),
    Case(
        "a leap of 26 hours in the stamps",
        lambda folder: film(folder / "a.mkv", "aac", stamp=leaping(26 * 3600.0, 100)),
        r"a\.mkv: the sound's timestamps jump from 2\.11 s to 93602\.11 s.*asetpts",
        JUMPS,
    ),
    *(
        Case(
            f"the last packet alone is stamped {hours} hours late",
            lambda folder, hours=hours: film(
                folder / "a.mkv", "aac", stamp=leaping(3600.0 * hours, 188)
            ),
            is_sound(),
            JUMPS,
            warning=r"its last timestamp \(\d+\.99 s\) is not used: the sound ends at 3\.99 s",
        )
        for hours in (1, 26)
    ),
    Case(
        "sound stamped by the time of day, pictures from 0",
        lambda folder: film(
            folder / "a.mkv", "aac", video="mpeg4", stamp=lambda time, k: time + 1.7e9
        ),
        r"timestamps jump from 0\.00 s to 1700000000\.00 s.*asetpts",
        WALL_CLOCK,
    ),
    Case(
        "sound alone, stamped by the time of day",
        lambda folder: film(folder / "a.mkv", "aac", stamp=lambda time, k: time + 1.7e9),
        is_sound(clicks=1e-3),
        WALL_CLOCK,
    ),
    Case(
        "an overlap of 50 ms where a broadcast was spliced",
        lambda folder: joined(
            folder / "a.ts",
            film(folder / "1.ts", "mp2"),
            film(folder / "2.ts", "mp2", begin=SECONDS + 0.008 - 0.05),
        ),
        is_sound(2 * SECONDS - 0.05, late=0.010, again_at=SECONDS - 0.052),
        JUMPS,
        warning=r"0\.060 s of sound left out at 4\.0\d s",
    ),
]

PARTS = [
    Case(
        "MPEG-TS with pictures, joined byte by byte",
        lambda folder: joined(
            folder / "a.ts", *2 * [film(folder / "1.ts", "mp2", video="mpeg2video")]
        ),
        is_sound(2 * SECONDS, late=0.010, again_at=SECONDS + 0.008),
        CHAINED,
        warning=r"timestamps start again at 4\.\d\d s",
    ),
    Case(
        "MPEG-TS of sound alone, joined byte by byte",
        lambda folder: joined(folder / "a.ts", *2 * [film(folder / "1.ts", "mp2")]),
        is_sound(2 * SECONDS, late=0.010, again_at=SECONDS + 0.008),
        CHAINED,
        warning=r"timestamps start again at 4\.01 s",
    ),
    Case(
        "parts of a DVD, joined byte by byte",
        lambda folder: joined(
            folder / "a.vob",
            *2 * [film(folder / "1.vob", "ac3", video="mpeg2video", format="vob")],
        ),
        is_sound(2 * SECONDS, late=0.005, again_at=SECONDS + 0.035, clicks=0.01),
        CHAINED,
        warning=r"timestamps start again at 4\.0",
    ),
    Case(
        "chained Ogg Opus, as radio is recorded",
        lambda folder: joined(
            folder / "a.opus",
            *2 * [recording(folder / "1.opus", subtype="OPUS", format="OGG")],
        ),
        is_sound(2 * SECONDS, again_at=SECONDS),
        CHAINED,
        warning=r"timestamps start again at 4\.0",
    ),
    Case(
        "chained Ogg FLAC",
        lambda folder: joined(folder / "a.oga", *2 * [film(folder / "1.oga", "flac")]),
        is_sound(2 * SECONDS, again_at=SECONDS),
        CHAINED,
        warning="timestamps start again",
    ),
    Case(
        "chained Ogg Vorbis",  # FFmpeg keeps the padding of the first part: 12 ms
        lambda folder: joined(
            folder / "a.ogg", *2 * [recording(folder / "1.ogg", subtype="VORBIS")]
        ),
        is_sound(2 * SECONDS, again_at=SECONDS, clicks=0.015, tone=0.3),
        CHAINED,
        warning="start again|overlap",
    ),
    Case(
        "chained Ogg Vorbis of two sample rates",
        lambda folder: joined(
            folder / "a.ogg",
            recording(folder / "1.ogg", 48000, "VORBIS"),
            recording(folder / "2.ogg", 44100, "VORBIS"),
        ),
        r"a\.ogg: FFmpeg cannot read on.*concat=n=2:v=0:a=1 new.flac",
        CHAINED,
    ),
    Case(
        "MP3 of 48 and of 44.1 kHz, joined",
        lambda folder: joined(
            folder / "a.mp3",
            recording(folder / "1.mp3", 48000, format="MP3"),
            recording(folder / "2.mp3", 44100, format="MP3"),
        ),
        is_sound(2 * SECONDS, again_at=SECONDS + 0.04, clicks=0.04, tone=0.3),
        JOINED,
    ),
    Case(
        "raw AAC of 48 and of 32 kHz, joined",
        lambda folder: joined(
            folder / "a.aac",
            film(folder / "1.aac", "aac", 48000),
            film(folder / "2.aac", "aac", 32000),
        ),
        is_sound(2 * SECONDS, late=0.021, again_at=SECONDS + 0.03, clicks=0.04),
        JOINED,
    ),
    Case(
        "MP3 joined, the first part's Xing header counts its own frames",
        lambda folder: joined(
            folder / "a.mp3", *2 * [film(folder / "1.mp3", "libmp3lame", bit_rate=320000)]
        ),
        is_sound(2 * SECONDS, again_at=SECONDS + 0.056),
        "richardr1126/openreader 129; MusicPlayerDaemon/MPD 1200",
        warning="broken",  # the second part's Xing header: 24 ms of silence
    ),
]

LENGTHS = [
    Case(
        "a wav that holds more than its wrapped size says",
        lambda folder: wave(folder / "a.wav", says=2 * RATE * 1),
        has_seconds(1.0),
        "breakfastquay/rubberband 101; bastibe/python-soundfile 228",
        warning=r"gives 1\.00 s of sound, but 3\.00 s more",
    ),
    Case(
        "a wav that was cut short",
        lambda folder: wave(folder / "a.wav", says=2 * RATE * 60),
        is_sound(length=1e-4),
        "librosa/librosa 686",
        warning=r"ends at 4\.00 s, its header says 60\.00 s",
    ),
    *(
        Case(
            f"a wav whose size is not known ({says:#x})",
            lambda folder, says=says: wave(folder / "a.wav", says=says),
            is_sound(length=1e-4),
            source,
        )
        for says, source in (
            (0xFFFFFFFF, "Borewit/music-metadata 707; mackron/dr_libs 252; ruuda/hound 39"),
            (0, "Borewit/music-metadata 707"),
            (0x7FFFF000, "jamulussoftware/jamulus 542 (SoX's mark of an unknown length)"),
        )
    ),
    Case(
        "a wav with a chunk before its format",
        lambda folder: wave(folder / "a.wav", before=b"LIST" + struct.pack("<I", 4) + b"INFO"),
        is_sound(length=1e-4),
        "pdeljanov/Symphonia 425; librosa/librosa 1087",
    ),
    Case(
        "a wav with a chunk behind its samples",
        lambda folder: wave(folder / "a.wav", after=b"LIST" + struct.pack("<I", 4) + b"INFO"),
        is_sound(length=1e-4),
        "pdeljanov/Symphonia 425",
    ),
    Case(
        "a wav with rubbish behind its samples",
        lambda folder: wave(folder / "a.wav", after=bytes(range(256))),
        is_sound(length=1e-4),
        "iluvcapra/wavinfo 3",
    ),
    Case(
        "a wav whose format has four bytes too many",
        lambda folder: wave(folder / "a.wav", fmt_tail=bytes(4)),
        is_sound(length=1e-4),
        "librosa/librosa 1019",
    ),
    Case(
        "a wav with half a sample at its end",
        lambda folder: wave(folder / "a.wav", says=int(SECONDS * 2 * RATE) + 1, after=b"\1"),
        is_sound(length=1e-4),
        "librosa/librosa 749",
    ),
    Case(
        "raw AAC, quiet and then loud",
        lambda folder: film(
            folder / "a.aac",
            "aac",
            sound=np.append(np.zeros(48000 * 6, np.float32), clicks_and_tone(48000)),
        ),
        is_sound(skip=6.0, late=0.021),
        "librosa/librosa 686",
    ),
]

SNDFILE = [
    ("wav", "PCM_U8"),
    ("wav", "PCM_16"),
    ("wav", "PCM_24"),
    ("wav", "PCM_32"),
    ("wav", "FLOAT"),
    ("wav", "DOUBLE"),
    ("wav", "ULAW"),
    ("wav", "ALAW"),
    ("wav", "IMA_ADPCM"),
    ("wav", "MS_ADPCM"),
    ("rf64", "PCM_16"),
    ("w64", "PCM_16"),
    ("wavex", "PCM_24"),
    ("aiff", "PCM_16"),
    ("aiff", "PCM_24"),
    ("au", "PCM_16"),
    ("caf", "PCM_16"),
    ("caf", "ALAC_16"),
    ("voc", "PCM_16"),
    ("ircam", "PCM_16"),
    ("flac", "PCM_16"),
    ("flac", "PCM_24"),
]
FORMATS = [
    Case(
        f"{kind} {subtype} by libsndfile",
        lambda folder, kind=kind, subtype=subtype: recording(
            folder / f"a.{kind}", RATE, subtype, format=kind.upper()
        ),
        is_sound(length=0.09, clicks=1e-4, tone=0.2),
        "librosa/librosa 749; pdeljanov/Symphonia 425; iluvcapra/wavinfo 3",
    )
    for kind, subtype in SNDFILE
]
FORMATS += [
    Case(
        f"{rate} Hz",
        lambda folder, rate=rate: recording(folder / "a.wav", rate),
        is_sound(clicks=1e-3 if rate < 8000 else 1e-4, tone=0.3),
        "librosa/librosa 1080",
    )
    for rate in (4000, 5500, 8000, 11025, 16000, 96000, 192000, 384000)
]
FORMATS += [
    Case(
        f"{n_channels} channels, one with sound",
        lambda folder, n=n_channels: _channels(folder / "a.wav", n),
        is_sound(tone_db=-20 - 20 * np.log10(n_channels)),
        "pytorch/torchcodec 1145, 1166",
    )
    for n_channels in (2, 16, 64)
]


def _channels(path, n_channels):
    sound = np.zeros((round(SECONDS * RATE), n_channels), np.float32)
    sound[:, 0] = clicks_and_tone(RATE)
    soundfile.write(path, sound, RATE)
    return path


LATE = [  # file, codec, options, s by which the sound comes late
    ("a.mp4", "aac", {}, 0.0, "Vanilagy/mediabunny 444"),
    ("a.mov", "aac", {}, 0.0, "HandBrake/HandBrake 568"),
    ("a.mkv", "aac", {}, 0.0, "VoidXH/Cavern 93"),
    ("a.mp4", "alac", {}, 0.0, "nu774/qaac 53"),
    ("a.mp4", "flac", {"strict": "-2"}, 0.0, "nu774/qaac 53"),
    ("a.oga", "flac", {}, 0.0, CHAINED),
    ("a.nut", "flac", {}, 0.0, RUN_IN),
    ("a.wv", "wavpack", {}, 0.0, "pytorch/torchcodec 1145"),
    ("a.tta", "tta", {}, 0.0, "stseelig/libttaR 8"),
    ("a.ogg", "libopus", {}, 0.0, "essentia 1531; janus-gateway 515"),
    ("a.mkv", "libopus", {}, 0.0, "essentia 1531; janus-gateway 515"),
    ("a.mp4", "libopus", {}, 0.0, "essentia 1531; janus-gateway 515"),
    ("a.mp3", "libmp3lame", {}, 0.0, "pytorch/audio 1500; beetbox/audioread 105"),
    ("a.mkv", "ac3", {}, 0.0, "VoidXH/Cavern 93"),
    ("a.mp3", "libmp3lame", {"write_xing": "0"}, 0.023, "MTG/essentia 686"),
    ("a.aac", "aac", {}, 0.0213, "Vanilagy/mediabunny 199"),
    ("a.ts", "aac", {}, 0.0213, "video-dev/hls.js 623"),
    ("a.ts", "mp2", {}, 0.010, "xbmc/xbmc 1509; video-dev/hls.js 6892"),
    ("a.ts", "ac3", {}, 0.0053, "VoidXH/Cavern 6"),
    ("a.ts", "eac3", {}, 0.0053, "VoidXH/Cavern 6"),
    ("a.ts", "libopus", {}, 0.0065, RUN_IN),
    ("a.avi", "libmp3lame", {}, 0.023, RUN_IN),
    ("a.flv", "aac", {}, 0.0213, RUN_IN),
    ("a.wma", "wmav2", {"format": "asf"}, 0.0427, RUN_IN),
    ("a.mp4", "aac", {"movflags": "frag_keyframe+empty_moov"}, 0.0213, "gpac/gpac 2283"),
]
DELAYS = [
    Case(
        f"{codec} in {name[2:]}{' ' if options else ''}{' '.join(options)}",
        lambda folder, name=name, codec=codec, options=options: film(
            folder / name, codec, bit_rate=128000, **options
        ),
        is_sound(late=late, clicks=1e-3, tone=0.8),
        source,
    )
    for name, codec, options, late, source in LATE
]
PLACES = [
    Case(
        "sound half a second later than the pictures",
        lambda folder: film(folder / "a.mkv", "flac", begin=0.5, video="mpeg4"),
        is_sound(skip=0.5),
        "gacopl/dvmkv2mp4 4",
    ),
    Case(
        "sound alone that starts at a second",
        lambda folder: film(folder / "a.mka", "flac", begin=1.0),
        is_sound(),
        "gacopl/dvmkv2mp4 4",
    ),
    Case(
        "pictures half a second later than the sound",
        lambda folder: film(folder / "a.mp4", "aac", video="mpeg4", video_begin=0.5),
        is_sound(),
        "mltframework/mlt 835",
    ),
]


def tagged(path, before=b"", after=b""):
    path.write_bytes(before + path.read_bytes() + after)
    return path


ID3 = b"ID3\3\0\0\0\0\0\x0a" + bytes(10)
APE = b"APETAGEX" + struct.pack("<IIII", 2000, 32, 0, 0) + bytes(8)
TAGS = [
    Case(
        "two ID3 tags and rubbish before an MP3",
        lambda folder: tagged(film(folder / "a.mp3", "libmp3lame"), ID3 + ID3 + bytes(184)),
        is_sound(late=0.023, clicks=1e-3, tone=0.6),
        "JamesHeinrich/getID3 209",
    ),
    Case(
        "ID3v1 behind an MP3",
        lambda folder: tagged(film(folder / "a.mp3", "libmp3lame"), after=b"TAG" + bytes(125)),
        is_sound(clicks=1e-3, tone=0.6),
        "pytorch/audio 1500",
    ),
    Case(
        "an APE tag behind an MP3",
        lambda folder: tagged(film(folder / "a.mp3", "libmp3lame"), after=APE),
        is_sound(clicks=1e-3, tone=0.6),
        "clementine-player/Clementine 337",
    ),
    Case(
        "an APE tag behind an MP4",
        lambda folder: tagged(film(folder / "a.m4a", "aac"), after=APE),
        is_sound(),
        "taglib/taglib 1187",
    ),
    Case(
        "ID3 before TTA",
        lambda folder: tagged(film(folder / "a.tta", "tta"), ID3),
        is_sound(),
        "stseelig/libttaR 8",
    ),
    Case(
        "ID3 before raw AAC",
        lambda folder: tagged(film(folder / "a.aac", "aac"), ID3),
        is_sound(late=0.0213, clicks=1e-3),
        "cdgriffith/puremagic 122",
    ),
]
CASES = [*STAMPS, *PARTS, *LENGTHS, *FORMATS, *DELAYS, *PLACES, *TAGS]

LIKE_OTHERS = [
    Case(
        "Ogg Vorbis at 24 kHz",
        lambda folder: bursts(folder / "a.ogg", 24000, subtype="VORBIS"),
        is_like(read_by_soundfile, 90),
        XSTUDIO,
    ),
    Case(
        "AC-3 of a DVD",
        lambda folder: dvd(folder / "a.vob"),
        is_like(one_after_the_other, 90),
        DVD,
    ),
]


@parametrized(CASES)
def test_sound(case, tmp_path, caplog):
    check(case, lambda path: read_sound(path, RATE), tmp_path, caplog)


@parametrized(LIKE_OTHERS)
def test_sound_like_another_decoders(case, tmp_path, caplog):
    def read(path):
        with av.open(str(path)) as file:
            rate = file.streams.audio[0].rate
        return path, read_sound(path, rate)

    check(case, read, tmp_path, caplog)


DOCTOR = [
    (
        lambda folder: film(folder / "a.mkv", "aac", stamp=leaping(26 * 3600.0, 100)),
        r"26 hours.*setpts=N/FRAME_RATE/TB -af asetpts=N/SR/TB",
    ),
    (
        lambda folder: film(
            folder / "a.mkv", "aac", video="mpeg4", stamp=lambda time, k: time + 1.7e9
        ),
        r"4\.722e\+05 hours.*setpts=PTS-STARTPTS",
    ),
    (lambda folder: film(folder / "a.aac", "aac"), "header has no length"),
]


@pytest.mark.parametrize(("make", "line"), DOCTOR)
def test_the_doctor_answers_soon_whatever_a_header_says(tmp_path, make, line):
    """raspberrypi/picamera2 1274: a film of 472,000 hours took all memory."""
    config = parse_config({"film": str(make(tmp_path)), "annotations": "none", "bold": "none"})
    measure(config)  # imports
    begin = process_time()
    tracemalloc.start()
    _, lines, problems = measure(config)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert process_time() - begin < 10
    assert peak < 2e8  # bytes
    assert re.search(line, " ".join([*lines, *problems]))
