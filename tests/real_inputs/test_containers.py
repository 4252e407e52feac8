"""Sound in the containers and codecs of phones, recorders, broadcasts and discs.

Sources are issues and pull requests on GitHub, unless they say more.
"""

import struct

import numpy as np
import pytest
import soundfile
from real_inputs.cases import Case, check, parametrized
from real_inputs.sound_files import (
    CLICKS,
    RATE,
    clicks_and_tone,
    encoded,
    film,
    is_sound,
    joined,
    loudest,
    recording,
    wave,
)
from real_inputs.video_files import (
    COVER,
    FINE,
    Track,
    cut,
    grey_film,
    image_bytes,
    without_index,
)

from giblet.audio.files import read_sound

av = pytest.importorskip("av")

PASSES = "cases/sound.md, passes"
WRAP = "xbmc/xbmc 1509; video-dev/hls.js 6892"
DISCS = "beandog/dvd_info 5; HandBrake/HandBrake 105"
OLD_MUXER = "cases/sound.md, failure 17: Matroska by FFmpeg before version 6"
DRC = "FFMS/ffms2 386; xbmc/xbmc 6820; L-SMASH 5"
GROUPS = Track(options=(("g", "25"), ("bf", "0")))
AVI = Track("mpeg4", options=FINE)
DATA = (clicks_and_tone(RATE) * 32767).astype("<i2").tobytes()
FORMAT = struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
EXTENDED = bytes.fromhex("0100000000001000800000aa00389b71")  # PCM
UNKNOWN = 0xFFFFFFFF  # a size that is elsewhere


def chunk(name, content):
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def broadcast_wave_64(folder):
    """EBU's BW64: the sizes stand in ds64."""
    path = folder / "a.wav"
    sizes = struct.pack("<QQQI", len(DATA) + 72, len(DATA), len(DATA) // 2, 0)
    data = b"data" + struct.pack("<I", UNKNOWN) + DATA
    body = b"WAVE" + chunk(b"ds64", sizes) + chunk(b"fmt ", FORMAT) + data
    path.write_bytes(b"BW64" + struct.pack("<I", UNKNOWN) + body)
    return path


def twenty_bits(folder):
    """20 valid bits in 24, the high ones."""
    values = (clicks_and_tone(RATE) * (2**19 - 1)).astype(np.int32) << 4
    data = values.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    form = struct.pack("<HHIIHHHHI", 0xFFFE, 1, RATE, 3 * RATE, 3, 24, 22, 20, 4) + EXTENDED
    body = b"WAVE" + chunk(b"fmt ", form) + chunk(b"data", data)
    (folder / "a.wav").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return folder / "a.wav"


def without_delay(path):
    """Matroska without the encoder's delay (CodecDelay becomes Void)."""
    content = path.read_bytes()
    at = content.index(b"\x56\xaa")
    size = content[at + 2] & 0x7F
    path.write_bytes(content[:at] + bytes([0xEC, 0x80 | (size + 1)]) + content[at + 2 :])
    return path


def quieter(packet, dynrng="11000000"):
    """An AC-3 packet, mono, with a dynamic range word (A/52, 7.7.1) of -12.04 dB in its frame.

    It is inserted into the first audio block; the frame's unused bits at its end become fewer.
    """
    bits = "".join(f"{byte:08b}" for byte in bytes(packet))
    at = 40 + 8 + 3 + 1 + 5  # sync, bsid and bsmod, acmod, lfeon, dialnorm
    for length in (8, 8, 7):  # compr, langcode, audprodie
        at += 1 + length * (bits[at] == "1")
    at += 2
    for _ in range(2):  # time codes or the extension in their place
        at += 1 + 14 * (bits[at] == "1")
    at += 1 + 2  # addbsie, blksw and dithflag of one channel
    assert bits[at] == "0"
    assert not int(bits[-17 - 8 : -17], 2)
    return int(bits[:at] + "1" + dynrng + bits[at + 1 : -17 - 8] + bits[-17:], 2).to_bytes(
        len(bits) // 8, "big"
    )


def with_dynamic_range(path):
    """AC-3 whose encoder asks for 12 dB less."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ac3", rate=48000, layout="mono")
        stream.bit_rate = 640_000
        for packet in encoded(stream, clicks_and_tone(48000), 48000):
            new = av.Packet(quieter(packet))
            new.stream, new.time_base = stream, packet.time_base
            new.pts, new.dts, new.duration = packet.pts, packet.dts, packet.duration
            out.mux(new)
    return path


def with_options(path, codec, rate, layout="mono", **options):
    """Sound of an encoder with ``options`` of its own."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate, layout=layout, options=options)
        for packet in encoded(stream, clicks_and_tone(rate), rate):
            out.mux(packet)
    return path


def changed(path, change):
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(content)
    return path


def without_length(content):
    """FLAC of a pipe: its header has no number of samples."""
    content[21] &= 0xF0
    content[22:26] = bytes(4)


def begins_like(seconds, late=0.0):
    """Check of a recording that ends early, after its clicks."""

    def right(sound):
        assert seconds - 0.1 < len(sound) / RATE < seconds + 0.1
        for click in CLICKS:
            assert loudest(sound, click + late) == pytest.approx(click + late, abs=5e-4)

    return right


COVERS = [
    Case(
        f"a cover in {ending}",
        lambda folder, ending=ending, sound=sound: grey_film(
            folder / f"a.{ending}",
            Track("mjpeg", [50], pix_fmt="yuvj420p", flags=COVER),
            sound=sound,
        ),
        is_sound(tone=0.6),
        "amule-org/amule 1075; UltraStar-Deluxe/USDX 948",
    )
    for ending, sound in [("mp3", "libmp3lame"), ("flac", "flac"), ("mp4", "aac")]
]
COVERS += [
    Case(
        f"Matroska with {what} attached",
        lambda folder, attachment=attachment: grey_film(folder / "a.mkv", attachment=attachment),
        is_sound(),
        PASSES,
    )
    for what, attachment in [
        ("a font", ("a.ttf", "application/x-truetype-font", b"\0\1\0\0" + bytes(300))),
        ("an image", ("cover.png", "image/png", image_bytes())),
    ]
]

RECORDERS = [
    Case(
        "AVI without its index",
        lambda folder: without_index(grey_film(folder / "a.avi", AVI, sound="pcm_s16le")),
        is_sound(),
        PASSES,
    ),
    Case(
        "AVI without its index, MP3",
        lambda folder: without_index(grey_film(folder / "a.avi", AVI, sound="libmp3lame")),
        is_sound(late=0.023, tone=0.6),
        PASSES,
    ),
    Case(
        "AVI cut short",
        lambda folder: cut(grey_film(folder / "a.avi", AVI, sound="pcm_s16le"), 0.6),
        begins_like(2.4),
        PASSES,
        warning=r"a\.avi: the file is cut short: [0-9,]+ bytes of it are missing",
    ),
    *(
        Case(
            f"an interrupted download of {ending}",
            lambda folder, ending=ending, codec=codec: cut(
                film(folder / f"a.{ending}", codec), 0.7
            ),
            begins_like(seconds, late),
            "librosa/librosa 686 class; aborted copies",
            warning=rf"a\.{ending}: the file is cut short: [0-9,]+ bytes of it are missing",
        )
        for ending, codec, seconds, late in [
            ("tta", "tta", 2.09, 0),
            ("au", "pcm_s16be", 2.8, 0),
            ("flv", "aac", 2.56, 1024 / 48000),
        ]
    ),
    Case(
        "an interrupted download of ogg",
        lambda folder: cut(film(folder / "a.ogg", "libopus", 48000, "mono"), 0.7),
        begins_like(2.0),
        "librosa/librosa 686 class; aborted copies",
        warning=r"a\.ogg: the file is cut short: [0-9,]+ bytes of it are missing",
    ),
    Case(
        "webm of a live recorder, without length and cues",
        lambda folder: grey_film(folder / "a.webm", Track("libvpx"), sound="libopus", live="1"),
        is_sound(tone=0.2),
        f"{PASSES}; browsers' MediaRecorder",
    ),
    Case(
        "Matroska of a live recorder",
        lambda folder: grey_film(folder / "a.mkv", live="1"),
        is_sound(),
        "obsproject/obs-studio 10608",
    ),
    Case(
        "Matroska whose recorder crashed: it has no length",
        lambda folder: cut(grey_film(folder / "a.mkv", live="1"), 0.7),
        begins_like(2.5),
        "obsproject/obs-studio 10608",
    ),
    *(
        Case(
            f"an interrupted download of {what}",
            lambda folder, what=what, track=track, sound=sound, options=options: cut(
                grey_film(folder / f"a.{what.split()[-1]}", track, sound=sound, **options), 0.7
            ),
            begins_like(seconds, late),
            "librosa/librosa 686 class; aborted copies",
            warning="the file is cut short: [0-9,]+ bytes of it are missing. Copy it again",
        )
        for what, track, sound, options, seconds, late in [
            ("mkv", Track(), "aac", {}, 2.5, 0),
            ("webm", Track("libvpx"), "libopus", {}, 2.41, 0),
            ("mp4", Track(), "aac", {"movflags": "faststart"}, 2.5, 0),
            (
                "fragmented mp4",
                GROUPS,
                "aac",
                {"movflags": "frag_keyframe+empty_moov"},
                2.52,
                0.0213,
            ),
        ]
    ),
    Case(
        "hybrid MP4: the first packet of sound lasts until the others begin",
        lambda folder: grey_film(folder / "a.mp4", movflags="hybrid_fragmented"),
        is_sound(4.08, late=0.08),  # as its pictures
        "obsproject/obs-studio 10608; onix-labs/onixlabs-media-player 58",
        warning=r"0\.05\d s without sound at 0\.02 s",
    ),
    Case(
        "fragmented MP4 that states delays",
        lambda folder: grey_film(folder / "a.mp4", movflags="frag_keyframe+delay_moov"),
        is_sound(),
        "gpac/gpac 2283",
    ),
    Case(
        "DASH's audio file, as downloaders keep it",
        lambda folder: film(
            folder / "a.m4a", "aac", format="mp4", movflags="dash+frag_keyframe+empty_moov"
        ),
        is_sound(late=0.0213, clicks=1e-3),
        "yt-dlp's m4a",
    ),
    Case(
        "MP4 without edit lists",
        lambda folder: film(folder / "a.mp4", "aac", use_editlist="0"),
        is_sound(late=0.0213, clicks=1e-3),
        "HandBrake/HandBrake 568",
    ),
    Case(
        "FLV of a live recorder, without length",
        lambda folder: grey_film(folder / "a.flv", Track("flv"), flvflags="no_duration_filesize"),
        is_sound(late=0.0213, clicks=1e-3),
        "nginx-rtmp and OBS recordings",
    ),
    Case(
        "MOV with a track of a time code that starts at an hour",
        lambda folder: grey_film(folder / "a.mov", sound="pcm_s24le", timecode="01:00:00:00"),
        is_sound(),
        "DaVinci Resolve's mov",
    ),
    Case(
        "cameras' PCM in MP4",
        lambda folder: film(folder / "a.mp4", "pcm_s16be", video="libx264"),
        is_sound(),
        "Sony's XAVC S",
    ),
    Case(
        "AMR in 3GP, as old phones write it",
        lambda folder: film(folder / "a.3gp", "libopencore_amrnb", 8000, "mono", video="mpeg4"),
        is_sound(tone_db=-31, clicks=1e-3, tone=2.0),  # a codec of voices, not of tones
        "phones' 3gp",
    ),
    Case(
        "a voice message",
        lambda folder: film(folder / "a.ogg", "libopus", 16000, "mono"),
        is_sound(),
        "messengers' ogg",
    ),
    Case(
        "a field recorder's wav with bext, iXML and cue chunks",
        lambda folder: wave(
            folder / "a.wav",
            before=chunk(b"bext", bytes(602)) + chunk(b"iXML", b"<BWFXML/>"),
            after=chunk(b"cue ", bytes(4)) + chunk(b"id3 ", b"ID3" + bytes(8)),
        ),
        is_sound(length=1e-4),
        "Zoom's and Sound Devices' wav; iluvcapra/wavinfo 3",
    ),
    Case("BW64", broadcast_wave_64, is_sound(length=1e-4), "iluvcapra/wavinfo 3"),
    Case("20 bits in 24", twenty_bits, is_sound(length=1e-4), "pdeljanov/Symphonia 425"),
    Case(
        "a wav called .mp3",
        lambda folder: recording(folder / "a.wav", RATE).rename(folder / "a.mp3"),
        is_sound(length=1e-4),
        "audioread 105 class",
    ),
]

BROADCASTS = [
    *(
        Case(
            f"MPEG-TS whose stamps wrap at 33 bits {when}",
            lambda folder, begin=begin: film(
                folder / "a.ts", "mp2", video="mpeg2video", begin=begin, video_begin=begin
            ),
            is_sound(late=0.010),
            WRAP,
        )
        for when, begin in (("near the begin", 95443.2), ("in the middle", 95441.72))
    ),
    Case(
        "MPEG-TS of sound alone whose stamps wrap",
        lambda folder: film(folder / "a.ts", "ac3", begin=95441.72),
        is_sound(late=0.0053, clicks=1e-3),
        WRAP,
    ),
    Case(
        "camcorders' .MTS",
        lambda folder: film(
            folder / "a.mts", "ac3", video="libx264", format="mpegts", mpegts_m2ts_mode="1"
        ),
        is_sound(late=0.0053, clicks=1e-3),
        "AVCHD camcorders",
    ),
    Case(
        "PCM of a Blu-ray",
        lambda folder: film(folder / "a.m2ts", "pcm_bluray", video="libx264", mpegts_m2ts_mode="1"),
        is_sound(),
        DISCS,
    ),
    *(
        Case(
            f"{codec} of a DVD at {rate} Hz",
            lambda folder, codec=codec, rate=rate: film(
                folder / "a.vob", codec, rate, video="mpeg2video", format="vob"
            ),
            is_sound(late=late, clicks=1e-3),
            DISCS,
        )
        for codec, rate, late in [
            ("ac3", 48000, 0.0053),
            ("ac3", 32000, 0.008),
            ("mp2", 48000, 0.010),
            ("pcm_dvd", 48000, 0.0),
        ]
    ),
    Case(
        "a broadcast spliced from 48 to 44.1 kHz",
        lambda folder: joined(
            folder / "a.ts",
            film(folder / "1.ts", "mp2", 48000),
            film(folder / "2.ts", "mp2", 44100, begin=4.03),
        ),
        is_sound(8.04, late=0.010, again_at=4.018, clicks=1e-3),
        "Vanilagy/mediabunny 382",
        warning=r"0\.011 s without sound at 4\.01 s",
    ),
    Case(
        "parts of 48 and 44.1 kHz, joined byte by byte",
        lambda folder: joined(
            folder / "a.ts",
            film(folder / "1.ts", "aac", 48000, video="mpeg2video"),
            film(folder / "2.ts", "aac", 44100, video="mpeg2video"),
        ),
        is_sound(8.05, late=0.0213, again_at=4.03, clicks=0.01),
        "Vanilagy/mediabunny 382",
        warning="timestamps start again at 4.03 s",
    ),
]

CODECS = [
    Case(
        f"GSM in {kind}, by libsndfile",
        lambda folder, kind=kind, name=name: recording(
            folder / name, 8000, "GSM610", format=kind.upper()
        ),
        is_sound(clicks=1e-3, tone=0.2),
        PASSES,
    )
    for kind, name in [("wav", "a.wav"), ("w64", "a.w64"), ("raw", "a.gsm")]
]
CODECS += [
    Case(
        f"{codec} in {name[2:]}",
        lambda folder, name=name, codec=codec, rate=rate, layout=layout, options=options: film(
            folder / name, codec, rate, layout, **options
        ),
        is_sound(late=late, clicks=1.5e-3, tone=0.6),
        source,
    )
    for name, codec, rate, layout, options, late, source in [
        ("a.g722", "g722", 16000, "mono", {}, 0.0014, PASSES),
        ("a.wav", "g722", 16000, "mono", {}, 0.0014, PASSES),
        ("a.rm", "ac3", 44100, "stereo", {}, 0.0058, f"{PASSES} (RealMedia)"),
        ("a.ra", "real_144", 8000, "mono", {"format": "rm"}, 0.020, f"{PASSES} (RealMedia)"),
        ("a.sox", "pcm_s32le", 48000, "stereo", {}, 0.0, PASSES),
        ("a.mov", "adpcm_ima_qt", 48000, "stereo", {}, 0.0, "QuickTime's IMA4"),
        ("a.m4b", "aac", 44100, "stereo", {"format": "ipod"}, 0.0, "audiobooks"),
        ("a.mkv", "flac", 48000, "stereo", {}, 0.0, PASSES),
    ]
]
CODECS += [
    Case(
        f"16 channels in {ending}",
        lambda folder, ending=ending, codec=codec: sixteen(folder / f"a.{ending}", codec),
        is_sound(),
        "pytorch/torchcodec 1145, 1166",
    )
    for ending, codec in [("tta", "tta"), ("caf", "pcm_s16le")]
]
CODECS += [
    Case(
        "MP3 by libsndfile",
        lambda folder: recording(folder / "a.mp3", 48000, format="MP3"),
        is_sound(tone=0.2),
        PASSES,
    ),
    Case(
        "Opus by libsndfile",
        lambda folder: recording(folder / "a.opus", 48000, "OPUS", format="OGG"),
        is_sound(),
        "MTG/essentia 1531; meetecho/janus-gateway 515",
    ),
    Case(
        "MP3 of variable bit rate",
        lambda folder: with_options(
            folder / "a.mp3", "libmp3lame", 44100, flags="+qscale", global_quality="472"
        ),
        is_sound(tone=0.2),
        "pytorch/audio 1500; beetbox/audioread 105",
    ),
    Case(
        "Opus that leaves out silence",
        lambda folder: with_options(
            folder / "a.ogg", "libopus", 48000, dtx="1", application="voip"
        ),
        is_sound(tone=0.2),
        "MTG/essentia 1531",
    ),
    Case(
        "FLAC of a pipe, without a length",
        lambda folder: changed(film(folder / "a.flac", "flac"), without_length),
        is_sound(length=1e-4),
        PASSES,
    ),
    Case(
        "FLAC behind an ID3 tag",
        lambda folder: changed(
            film(folder / "a.flac", "flac"),
            lambda content: content.__setitem__(slice(0, 0), b"ID3\3\0\0\0\0\0\x0a" + bytes(10)),
        ),
        is_sound(length=1e-4),
        PASSES,
    ),
    Case(
        "AAC in Matroska of an old muxer",
        lambda folder: without_delay(film(folder / "a.mkv", "aac")),
        is_sound(late=0.0213, clicks=1e-3),
        OLD_MUXER,
    ),
    Case(
        "MP3 in Matroska of an old muxer",
        lambda folder: without_delay(film(folder / "a.mkv", "libmp3lame")),
        is_sound(late=0.023, clicks=1e-3, tone=0.6),
        OLD_MUXER,
    ),
    *(
        Case(
            f"AC-3 with a dynamic range word of -12 dB, in {ending}",
            lambda folder, ending=ending: with_dynamic_range(folder / f"a.{ending}"),
            is_sound(tone_db=-32.04, late=late, clicks=1e-3),  # as FFmpeg's drc_scale 1
            DRC,
        )
        for ending, late in (("ac3", 0.0053), ("mkv", 0.0))
    ),
]

ENDS = [
    Case(
        "sound that ends a second before the pictures",
        lambda folder: grey_film(folder / "a.mp4", Track(greys=range(125))),
        is_sound(),
        PASSES,
    ),
    Case(
        "sound that begins 0.3 s before the pictures",
        lambda folder: film(folder / "a.mkv", "aac", video="mpeg4", video_begin=0.32),
        is_sound(),
        "mltframework/mlt 835",
    ),
    *(
        Case(
            f"two {ending} files joined byte by byte: the first is read",
            lambda folder, ending=ending, codec=codec: joined(
                folder / f"a.{ending}", *2 * [film(folder / f"1.{ending}", codec)]
            ),
            is_sound(late=late),
            "Vanilagy/mediabunny 382 class",
            warning=rf"a\.{ending}: a second file follows in it, and is not read\. Join files",
        )
        for ending, codec, late in [
            ("mp4", "aac", 0),
            ("wav", "pcm_s16le", 0),
            ("flv", "aac", 1024 / 48000),
            ("tta", "tta", 0),
        ]
    ),
    Case(
        "an empty file",
        lambda folder: cut(recording(folder / "a.flac"), 0),
        r"a\.flac: the file is empty$",
        "downloads of 0 bytes",
    ),
    Case(
        "a wav of 30 bytes",
        lambda folder: cut(recording(folder / "a.wav"), 30 / (44 + 2 * 4 * 48000)),
        r"a\.wav: cannot be read as a film or a sound",
        "aborted recordings",
    ),
    Case(
        "a film without sound",
        lambda folder: grey_film(folder / "a.mp4", sound=None),
        r"a\.mp4: has no sound track$",
        PASSES,
    ),
]


def sixteen(path, codec):
    """The known sound in all of 16 channels."""
    frames = np.tile(clicks_and_tone(RATE)[:, None], (1, 16))
    soundfile.write(path.with_suffix(".wav"), frames, RATE)
    with av.open(str(path.with_suffix(".wav"))) as file, av.open(str(path), "w") as out:
        layout = file.streams.audio[0].layout.name
        stream = out.add_stream(codec, rate=RATE, layout=layout)
        stream.codec_context.format = "s16"
        for frame in file.decode(audio=0):
            frame.pts = None
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


@parametrized([*COVERS, *RECORDERS, *BROADCASTS, *CODECS, *ENDS])
def test_sound_in_containers(case, tmp_path, caplog):
    check(case, lambda path: read_sound(path, RATE), tmp_path, caplog)
