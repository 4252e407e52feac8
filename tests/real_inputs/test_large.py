"""Sound files of more than 4 GiB: sparse, so that they take no space; read near their end alone."""

import os
import struct
from contextlib import contextmanager

import pytest
from real_inputs.cases import Case, check, parametrized
from real_inputs.sound_files import RATE, SECONDS, clicks_and_tone, film, is_sound

from giblet.audio.files import read_sound
from giblet.commands.doctor.data_sizes import measure
from giblet.config.config import parse_config
from giblet.film.container import open_film

pytest.importorskip("av")
pytestmark = pytest.mark.slow

N_CHANNELS, HZ = 64, 48000  # 64-bit floats: 3 minutes are 4 GiB
ALIGN = 8 * N_CHANNELS
LARGE = 2**32
N_DATA = (LARGE // ALIGN + HZ) * ALIGN + round(SECONDS * HZ) * ALIGN
LENGTH = N_DATA / ALIGN / HZ  # s
FORMAT = struct.pack("<HHIIHH", 3, N_CHANNELS, HZ, HZ * ALIGN, ALIGN, 64)
UNKNOWN = 2**32 - 1
GUID = bytes.fromhex("f3acd3118cd100c04f8edb8a")
RIFF_GUID = bytes.fromhex("2e91cf11a5d628db04c10000")


def wav_head():
    """Sizes of 32 bits that wrapped."""
    sizes = [(N_DATA + more) % 2**32 for more in (36, 0)]
    chunks = b"WAVEfmt " + struct.pack("<I", 16) + FORMAT + b"data" + struct.pack("<I", sizes[1])
    return b"RIFF" + struct.pack("<I", sizes[0]) + chunks


def rf64_head(name=b"RF64"):
    sizes = struct.pack("<IQQQI", 28, N_DATA + 72, N_DATA, N_DATA // ALIGN, 0)
    chunks = b"ds64" + sizes + b"fmt " + struct.pack("<I", 16) + FORMAT
    return name + struct.pack("<I", UNKNOWN) + b"WAVE" + chunks + b"data\xff\xff\xff\xff"


def w64_head():
    chunks = b"wave" + GUID + b"fmt " + GUID + struct.pack("<Q", 24 + len(FORMAT)) + FORMAT
    chunks += b"data" + GUID + struct.pack("<Q", 24 + N_DATA)
    return b"riff" + RIFF_GUID + struct.pack("<Q", 24 + len(chunks) + N_DATA) + chunks


def caf_head():
    form = struct.pack(">d4sIIIII", HZ, b"lpcm", 3, ALIGN, 1, N_CHANNELS, 64)  # little-endian
    data = b"data" + struct.pack(">qI", N_DATA + 4, 0)
    return b"caff\0\1\0\0desc" + struct.pack(">q", len(form)) + form + data


def large(path, head):
    """Silence, and the known sound in the last 4 s."""
    sound = clicks_and_tone(HZ).astype("<f8").repeat(N_CHANNELS).tobytes()
    with open(path, "wb") as file:
        file.write(head)
        file.truncate(len(head) + N_DATA - len(sound))
        file.seek(0, 2)
        file.write(sound)
    assert os.stat(path).st_blocks * 512 < 2e8 < LARGE < os.stat(path).st_size
    return path


def large_mp4(path):
    """The content behind a hole of 4 GiB, with offsets of 64 bits."""
    content = film(path, "aac").read_bytes()
    at = content.index(b"mdat") - 4
    with open(path, "wb") as file:
        file.write(content[:at] + struct.pack(">I4sQ", 1, b"free", LARGE + 16))
        file.seek(LARGE, 1)
        file.write(moved_chunks(content[at:]))
    return path


def moved_chunks(content):
    """``stco`` becomes ``co64``, and all boxes around it larger."""
    at = content.index(b"stco") - 4
    size, _, _, n = struct.unpack(">I4sII", content[at : at + 16])
    offsets = struct.unpack(f">{n}I", content[at + 16 : at + size])
    table = struct.pack(f">{n}Q", *(offset + LARGE + 16 for offset in offsets))
    box = struct.pack(">I4sII", 16 + len(table), b"co64", 0, n) + table
    whole = bytearray(content[:at] + box + content[at + size :])
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        begin = content.index(name) - 4
        (old,) = struct.unpack(">I", content[begin : begin + 4])
        whole[begin : begin + 4] = struct.pack(">I", old + len(box) - size)
    return bytes(whole)


def ends_right(sound):
    assert len(sound) / RATE == pytest.approx(LENGTH, abs=1e-4)
    assert not sound[: round((LENGTH - SECONDS) * RATE) - RATE // 100].any()
    is_sound(length=1e-4)(sound[-round(SECONDS * RATE) :])


CASES = [
    Case(
        what,
        lambda folder, name=name, head=head: large(folder / name, head),
        ends_right,
        "rubberband 101, soundfile 228; EBU Tech 3306",
    )
    for what, name, head in [
        ("a .wav whose size wrapped, silent where it would end", "a.wav", wav_head()),
        ("RF64", "a.wav", rf64_head()),
        ("BW64", "a.wav", rf64_head(b"BW64")),
        ("W64", "a.w64", w64_head()),
        ("CAF", "a.caf", caf_head()),
    ]
]


@pytest.fixture(autouse=True)
def removed(tmp_path):
    """The files do not stay until pytest removes its folders."""
    yield
    for path in tmp_path.iterdir():
        path.unlink()


@pytest.fixture
def from_near_the_end(monkeypatch):
    """The reader's files are read from 5 s before their end on; what comes before is silent."""

    @contextmanager
    def opened(path):
        with open_film(path) as film:
            film.seek(round((LENGTH - 5) * 1e6))
            yield film

    monkeypatch.setattr("giblet.audio.files.open_film", opened)


@parametrized(CASES)
def test_the_end_of_a_large_file(case, tmp_path, caplog, from_near_the_end):
    check(case, lambda path: read_sound(path, RATE), tmp_path, caplog)


@parametrized(CASES)
def test_the_doctor_knows_its_length(case, tmp_path):
    path = case.make(tmp_path)
    config = parse_config({"film": str(path), "annotations": "none", "bold": "none"})
    _, lines, problems = measure(config)
    assert not problems
    assert f"{path}, {LENGTH:.0f} s; sound track pcm_f64le" in lines[0]


def test_an_mp4_whose_content_lies_behind_4_gib(tmp_path, caplog):
    is_sound()(read_sound(large_mp4(tmp_path / "a.mp4"), RATE))
    assert not caplog.records
