"""Sound files with odd headers, zeros in place of content, or sound that begins late."""

import os
import struct
import time

import numpy as np
import pytest
import soundfile
from real_inputs.cases import Case, check, parametrized
from real_inputs.sound_files import (
    RATE,
    clicks_and_tone,
    encoded,
    film,
    is_sound,
    joined,
    pictures,
    recording,
    wave,
)
from real_inputs.video_files import cut

from giblet.audio.files import read_sound
from giblet.commands.doctor.data_sizes import measure
from giblet.config.config import parse_config

av = pytest.importorskip("av")

ZEROS = "qbittorrent/qBittorrent: files that wait for their content; aria2 falloc"
LATE = "FFmpeg trac 8044 class: Could not find codec parameters, probesize"
SECOND = "a second file follows in it, and is not read"
CUT = r"the file is cut short: [\d,]+ bytes"
SIZES = "libsndfile/libsndfile: WAV, RF64 and W64 headers of aborted recordings"


def has_seconds(seconds):
    def right(sound):
        assert len(sound) / RATE == pytest.approx(seconds, abs=0.1)

    return right


def late_film(path, codec):
    """Pictures of 12 s, and sound from the eighth second on: later than FFmpeg looks."""
    with av.open(str(path), "w") as out:
        shown = out.add_stream("mpeg2video", rate=25, width=64, height=48, pix_fmt="yuv420p")
        heard = out.add_stream(codec, rate=48000, layout="stereo")
        packets = [*pictures(shown, 12), *encoded(heard, clicks_and_tone(48000), 48000, 8.0)]
        for packet in sorted(packets, key=lambda each: each.dts * each.time_base):
            out.mux(packet)
    return path


def patched(path, at, content):
    whole = bytearray(path.read_bytes())
    whole[at : at + len(content)] = content
    path.write_bytes(whole)
    return path


def with_byte_rate(path, per_second):
    return patched(path, 28, struct.pack("<I", per_second))


def with_cover(path, n_bytes):
    """An ID3 tag with a picture of so many bytes before the file's own."""
    size = bytes(n_bytes >> shift & 0x7F for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\4\0\0" + size + bytes(n_bytes) + path.read_bytes())
    return path


def followed(path, tail):
    path.write_bytes(path.read_bytes() + tail)
    return path


def headerless(path):
    path.write_bytes((clicks_and_tone(8000) * 32767).astype("<i2").tobytes())
    return path


def sound_file(folder, ending, name="a", **options):
    kind = ending.upper()
    return recording(folder / f"{name}.{ending}", RATE, "PCM_16", format=kind, **options)


CASES = [
    Case(
        "an .mp3 with a cover of 2 MB, cut short",
        lambda folder: with_cover(cut(film(folder / "a.mp3", "libmp3lame"), 0.5), 2_000_000),
        has_seconds(2.0),
        "quodlibet/mutagen: large APIC frames",
        warning=r"a\.mp3: sound ends at .* its header says 4\.\d+ s",
    ),
    *(
        Case(
            f"{codec} in {kind}, whose length FFmpeg takes for another",
            lambda folder, codec=codec, kind=kind: recording(
                folder / f"a.{kind}", 8000, codec, format=kind.upper()
            ),
            has_seconds(seconds),
            "libsndfile's compressed kinds",
        )
        for codec, kind, seconds in [("GSM610", "aiff", 4), ("IMA_ADPCM", "w64", 4)]
    ),
    *(
        Case(
            f"sound that begins late: {codec} in .{ending}",
            lambda folder, ending=ending, codec=codec: late_film(folder / f"a.{ending}", codec),
            is_sound(skip=8.0),
            LATE,
        )
        for ending, codec in (("ts", "aac"), ("ts", "ac3"), ("mpg", "mp2"), ("vob", "ac3"))
    ),
    Case(
        "a .wav whose byte rate is a tenth of its own",
        lambda folder: with_byte_rate(wave(folder / "a.wav"), RATE // 5),
        is_sound(length=1e-4),
        "librosa/librosa 1019 class: byte rates that encoders get wrong",
    ),
    Case(
        "a .wav whose byte rate is 0, cut short",
        lambda folder: with_byte_rate(wave(folder / "a.wav", says=2 * RATE * 60), 0),
        is_sound(length=1e-4),
        "librosa/librosa 1019 class",
        warning=r"its header says 60\.00 s",
    ),
    Case(
        "a .wav with its high bytes first (RIFX)",
        lambda folder: sound_file(folder, "wav", endian="BIG"),
        r"a\.wav: .*\(RIFX\), which FFmpeg reads wrong.*sox a\.wav new\.flac",
        "FFmpeg: libavformat/wavdec.c reads RIFX as little-endian samples",
    ),
    Case(
        "a .wav with two data chunks",
        lambda folder: wave(folder / "a.wav", after=b"data" + struct.pack("<I", 8) + bytes(8)),
        r"samples are in two parts \(data chunks\)",
        "iluvcapra/wavinfo 3 class",
    ),
    *(
        Case(
            f"two files in one .{ending}",
            lambda folder, ending=ending: joined(
                folder / f"a.{ending}", *2 * [sound_file(folder, ending, "1")]
            ),
            is_sound(length=1e-4),
            "richardr1126/openreader 129",
            warning=SECOND,
        )
        for ending in ("aiff", "rf64", "w64")
    ),
    *(
        Case(
            f"a .{ending} cut short",
            lambda folder, ending=ending: cut(sound_file(folder, ending), 0.5),
            has_seconds(2.0),
            SIZES,
            warning=CUT,
        )
        for ending in ("caf", "w64")
    ),
    Case(
        "a .voc cut short",
        lambda folder: cut(sound_file(folder, "voc"), 0.5),
        has_seconds(2.0),
        SIZES,
        warning=CUT,
    ),
    *(
        Case(
            f"an .mp3 with {what} of 2 MB at its end",
            lambda folder, tail=tail: followed(film(folder / "a.mp3", "libmp3lame"), tail),
            is_sound(tone=0.6),
            "quodlibet/mutagen: APEv2 tags with covers; downloads padded with zeros",
            warning=warning,
        )
        for what, tail, warning in [
            ("a tag", b"APETAGEX" + bytes(2_000_000), ""),
            ("zeros", bytes(2_000_000), "1 packets of audio are broken, left out"),
        ]
    ),
    *(
        Case(
            f"samples without a header: .{ending}",
            lambda folder, ending=ending: headerless(folder / f"a.{ending}"),
            rf"samples without a header, .*\(FFmpeg would take it for {name} of 44100 Hz, mono\)"
            rf".*-f {name} -ar RATE -ac CHANNELS -i a\.{ending} new\.flac",
            "librosa/librosa 1071 class; telephony's .al and .ul are of 8 kHz",
        )
        for ending, name in [("al", "alaw"), ("ul", "mulaw"), ("sw", "s16le"), ("sb", "s8")]
    ),
    Case(
        "a .w64 whose size is 2^64 - 1",
        lambda folder: patched(sound_file(folder, "w64"), 16, bytes([255] * 8)),
        is_sound(length=1e-4),
        SIZES,
        warning=CUT,
    ),
    Case(
        "a .caf of a recorder, without a size",
        lambda folder: _unknown_size(sound_file(folder, "caf")),
        is_sound(length=1e-4),
        "Apple: Core Audio Format, a data chunk of size -1",
    ),
    Case(
        "an MP4 with a box of 2^64 - 1 bytes at its end",
        lambda folder: joined(
            folder / "a.m4a", film(folder / "1.m4a", "aac"), _box(folder / "box", 2**64 - 1)
        ),
        is_sound(),
        "gpac/gpac 2283 class",
        warning=CUT,
    ),
]


def _unknown_size(path):
    return patched(path, path.read_bytes().index(b"data") + 4, bytes([255] * 8))


def _box(path, size):
    path.write_bytes(struct.pack(">I4sQ", 1, b"free", size))
    return path


@parametrized(CASES)
def test_odd_sound(case, tmp_path, caplog):
    check(case, lambda path: read_sound(path, RATE), tmp_path, caplog)


@pytest.mark.parametrize(
    ("tail", "length"),
    [
        (b"APETAGEX" + bytes(2_000_000), ", 4 s;"),
        (bytes(2_000_000), ", 4 s;"),
        (np.random.default_rng(0).bytes(2_000_000), ", 4 s;"),
        (b"TAG" + bytes(125), ", 4 s;"),
        ("itself", "whose header has no length"),
    ],
    ids=["APE", "zeros", "noise", "ID3v1", "joined"],
)
def test_the_doctor_knows_the_length_of_an_mp3(tmp_path, tail, length):
    path = film(tmp_path / "a.mp3", "libmp3lame")
    followed(path, path.read_bytes() if tail == "itself" else tail)
    config = parse_config({"film": str(path), "annotations": "none", "bold": "none"})
    _, lines, _ = measure(config)
    assert length in lines[0]
    assert not any("cut short" in line for line in lines)


def test_libsndfile_reads_rifx_right(tmp_path):
    """So the advice holds for programs that use it; sox reads RIFX with code of its own."""
    path = sound_file(tmp_path, "wav", endian="BIG")
    assert path.read_bytes()[:4] == b"RIFX"
    np.testing.assert_allclose(soundfile.read(path)[0], clicks_and_tone(RATE), atol=1e-4)


HEADS = {
    "riff.wav": lambda top: b"RIFF\xff\xff\xff\x7fWAVE",
    "fmt.wav": lambda top: wave(top / "1.wav").read_bytes()[:36],
    "tag.mp3": lambda top: b"ID3\3\0\0\0\0\0\0",
    "begun.mkv": lambda top: film(top / "1.mkv", "aac").read_bytes(),
    "begun.flv": lambda top: film(top / "1.flv", "aac").read_bytes(),
    "begun.avi": lambda top: film(top / "1.avi", "pcm_s16le", video="mpeg4").read_bytes(),
    "begun.mp3": lambda top: film(top / "1.mp3", "libmp3lame").read_bytes(),
}


@pytest.mark.parametrize("name", HEADS)
def test_the_doctor_answers_soon_where_a_download_is_full_of_zeros(tmp_path, name):
    content, path = HEADS[name](tmp_path), tmp_path / name
    with open(path, "wb") as file:
        file.write(content)
        file.truncate(10**9)  # sparse
    assert os.stat(path).st_blocks < 10**4
    config = parse_config({"film": str(path), "annotations": "none", "bold": "none"})
    begin = time.monotonic()
    _, lines, problems = measure(config)
    assert time.monotonic() - begin < 10
    if name.startswith("begun"):
        assert any(str(path) in line for line in [*lines, *problems])
    else:
        assert any("searches it for more than 3 s. Is its download" in each for each in problems)
