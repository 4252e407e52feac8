"""Ways to damage a file: its bytes, its text, what its header claims, what lies in its place."""

import gzip
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffdb0043") + bytes(range(256))
Damage = Callable[[Path], object]


def of_bytes(seed: int) -> Iterator[tuple[str, Damage]]:
    """Cut, flipped, emptied and replaced; ``seed`` chooses which bits."""
    for share in (0.0, 0.003, 0.1, 0.5, 0.9):
        yield f"cut to {share:g}", lambda path, s=share: _cut(path, s)
    yield "last byte cut", lambda path: path.write_bytes(path.read_bytes()[:-1])
    for n, (within, bits) in enumerate([(64, 1), (64, 3), (400, 4), (2000, 6), (None, 20)]):
        yield (
            f"{bits} bits flipped in {within or 'all'}",
            lambda path, n=n, w=within, b=bits: _flip(path, [seed, n], w, b),
        )
    yield "a third zeroed", _zero
    yield "a JPEG", lambda path: path.write_bytes(JPEG)
    yield "an HTML page", lambda path: path.write_text("<html><body>404 not found</body></html>\n")


def _cut(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def _flip(path: Path, seed: list[int], within: int | None, n_bits: int) -> None:
    content = np.frombuffer(path.read_bytes(), np.uint8).copy()
    rng = np.random.default_rng([*seed, *path.name.encode()])
    places = rng.integers(0, min(within or len(content), len(content)), n_bits)
    np.bitwise_xor.at(content, places, (1 << rng.integers(0, 8, n_bits)).astype(np.uint8))
    path.write_bytes(content.tobytes())


def _zero(path: Path) -> None:
    content = bytearray(path.read_bytes())
    third = len(content) // 3
    content[third : 2 * third] = bytes(third)
    path.write_bytes(content)


def of_text() -> Iterator[tuple[str, Damage]]:
    """Other encodings, and characters that text seldom has."""
    yield "UTF-8 mark", lambda path: path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    for name in ("utf-16", "utf-16-le", "utf-32", "utf-7"):
        yield name, lambda path, name=name: path.write_bytes(path.read_text().encode(name))
    yield "latin-1", lambda path: path.write_bytes(path.read_bytes() + b"\n\xe9t\xe9\n")
    yield "lone surrogate", lambda path: _insert(path, b"\xed\xa0\x80")
    yield "overlong slash", lambda path: _insert(path, b"\xc0\xaf")
    yield "NUL", lambda path: _insert(path, b"\0")
    yield "right to left", lambda path: _insert(path, "\u202e\u05d0\u202c".encode())
    yield "line separator", lambda path: _insert(path, "\u2028\x85".encode())
    yield "escape sequence", lambda path: _insert(path, b"\x1b[2J\x07")
    yield "Mac line ends", lambda path: path.write_bytes(path.read_bytes().replace(b"\n", b"\r"))
    yield "one long line", lambda path: path.write_bytes(path.read_bytes() + b"x" * 2_000_000)
    yield "many brackets", lambda path: path.write_bytes(b"[" * 100_000)
    yield "many braces", lambda path: path.write_bytes(b'{"a":' * 20_000)
    yield "a number", lambda path: path.write_text("1")
    yield "null", lambda path: path.write_text("null")
    yield "a list", lambda path: path.write_text("[1, 2]")
    yield "quotation marks", lambda path: path.write_bytes(path.read_bytes() + b'\n"\n"" "')


def _insert(path: Path, what: bytes) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + what + content[len(content) // 2 :])


def in_its_place() -> Iterator[tuple[str, Damage]]:
    """What is no file: a folder, a pipe, a device, links that lead nowhere."""
    yield "missing", Path.unlink
    yield "a folder", lambda path: (path.unlink(), path.mkdir())
    yield "a pipe", lambda path: (path.unlink(), os.mkfifo(path))
    yield "a device", lambda path: (path.unlink(), path.symlink_to("/dev/zero"))
    yield "a link to itself", lambda path: (path.unlink(), path.symlink_to(path))
    yield "a link to nothing", lambda path: (path.unlink(), path.symlink_to("/no/such/file"))


# ---- NIfTI ---------------------------------------------------------------------------------------


def nifti_headers() -> Iterator[tuple[str, Damage]]:
    """What a header of 348 bytes may claim (offsets: nifti1.h)."""
    huge = (4, 30000, 30000, 30000, 30000)
    for label, place, values in (
        ("30000^4 voxels", 40, struct.pack("<5h", *huge)),
        ("30000^3 voxels", 40, struct.pack("<5h", 3, *huge[1:4], 1)),
        ("negative size", 40, struct.pack("<5h", 4, -4, 4, 3, 60)),
        ("no volumes", 40, struct.pack("<5h", 4, 4, 4, 3, 0)),
        ("no voxels", 40, struct.pack("<5h", 4, 0, 4, 3, 60)),
        ("9 dimensions", 40, struct.pack("<h", 9)),
        ("2 dimensions", 40, struct.pack("<h", 2)),
        ("NaN pixdim", 76, struct.pack("<5f", *[np.nan] * 5)),
        ("negative pixdim", 76, struct.pack("<5f", -1, -2, -2, -2, -1.5)),
        ("zero pixdim", 76, struct.pack("<5f", 0, 0, 0, 0, 0)),
        ("unknown type", 70, struct.pack("<2h", 12345, 16)),
        ("complex voxels", 70, struct.pack("<2h", 32, 64)),
        ("colours", 70, struct.pack("<2h", 128, 24)),
        ("NaN slope", 112, struct.pack("<2f", np.nan, np.inf)),
        ("infinite slope", 112, struct.pack("<2f", np.inf, 0)),
        ("data before the header", 108, struct.pack("<f", -1e9)),
        ("data far away", 108, struct.pack("<f", 1e30)),
        ("data at NaN", 108, struct.pack("<f", np.nan)),
        ("NaN affine", 280, struct.pack("<12f", *[np.nan] * 12)),
        ("flat affine", 280, struct.pack("<12f", *[0] * 12)),
        ("other magic", 344, b"abcd"),
        ("other header size", 0, struct.pack("<i", 540)),
        ("endless extension", 348, b"\1\0\0\0" + struct.pack("<2i", 2**30, 6)),
    ):
        yield label, lambda path, p=place, v=values: _patch_image(path, p, v)


def _patch_image(path: Path, place: int, values: bytes) -> None:
    packed = path.name.endswith(".gz")
    content = bytearray(gzip.decompress(path.read_bytes()) if packed else path.read_bytes())
    content[place : place + len(values)] = values
    path.write_bytes(gzip.compress(bytes(content), 1) if packed else bytes(content))


# ---- sound ---------------------------------------------------------------------------------------


def wav_headers() -> Iterator[tuple[str, Damage]]:
    """What the header of a .wav file may claim (offsets of the 44-byte form)."""
    for label, place, values in (
        ("4 GB", 40, struct.pack("<I", 0xFFFFFFFF)),
        ("no rate", 24, struct.pack("<I", 0)),
        ("a rate of 1 Hz", 24, struct.pack("<I", 1)),
        ("a rate of 1 GHz", 24, struct.pack("<I", 10**9)),
        ("a rate above 2^31", 24, struct.pack("<I", 2**32 - 1)),
        ("no channels", 22, struct.pack("<H", 0)),
        ("65535 channels", 22, struct.pack("<H", 65535)),
        ("no bits", 34, struct.pack("<H", 0)),
        ("blocks of nothing", 32, struct.pack("<H", 0)),
        ("another format", 20, struct.pack("<H", 0x55)),
        ("float format", 20, struct.pack("<H", 3)),
    ):
        yield label, lambda path, p=place, v=values: _patch(_plain_wav(path), p, v)
    yield "NaN samples", lambda path: _float_wav(path, np.nan)
    yield "infinite samples", lambda path: _float_wav(path, np.inf)
    yield "huge samples", lambda path: _float_wav(path, 3e38)


def _plain_wav(path: Path) -> Path:
    import soundfile

    soundfile.write(path, np.sin(np.arange(32000) / 3) / 4, 8000, subtype="PCM_16")
    return path


def _float_wav(path: Path, value: float) -> None:
    import soundfile

    samples = np.sin(np.arange(32000, dtype=np.float32))
    samples[20000:] = value
    soundfile.write(path, samples, 8000, subtype="FLOAT")


def _patch(path: Path, place: int, values: bytes) -> None:
    content = bytearray(path.read_bytes())
    content[place : place + len(values)] = values
    path.write_bytes(content)


# ---- safetensors, arrays, workbooks --------------------------------------------------------------


def safetensors_headers() -> Iterator[tuple[str, Damage]]:
    """A header's length (8 bytes) and its JSON."""
    for label, length in (("2^60", 2**60), ("2^63", 2**63), ("0", 0), ("2^31", 2**31)):
        yield (
            f"a header of {label} bytes",
            lambda path, n=length: _patch(path, 0, struct.pack("<Q", n)),
        )
    vast = b'{"w":{"dtype":"F32","shape":[1000000,1000000],"data_offsets":[0,4000000000000]}}'
    for label, header in (
        ("a vast tensor", vast),
        ("offsets that overlap", vast.replace(b"[0,4", b"[9,4")),
        ("a shape below 0", vast.replace(b"[1000000,", b"[-1000000,")),
        ("an unknown type", vast.replace(b"F32", b"X99")),
        ("no tensors", b"{}"),
        ("no JSON", b"[" * 5000),
    ):
        yield label, lambda path, h=header: path.write_bytes(struct.pack("<Q", len(h)) + h)


def vast_netcdf(path: Path) -> None:
    """A variable of 10^12 numbers, none of which is there: the file is small, and in order."""
    import h5netcdf

    with h5netcdf.File(path, "a") as file:
        name = next(iter(file.variables))
        sizes = {"vast_a": 10**6, "vast_b": 10**6}
        file.dimensions.update(sizes)
        file.create_variable("more", tuple(sizes), dtype=np.float32, chunks=(1000, 1000))
        assert name


def bomb_workbook(path: Path) -> None:
    """A sheet of 3 GB zeros, which take 3 MB as zip."""
    import zipfile

    with zipfile.ZipFile(path) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    sheet = next(name for name in parts if name.endswith("sheet1.xml"))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as book:
        for name, content in parts.items():
            if name != sheet:
                book.writestr(name, content)
        with book.open(sheet, "w", force_zip64=True) as stream:
            start = parts[sheet].index(b"<sheetData>") + len(b"<sheetData>")
            stream.write(parts[sheet][:start])
            rows = b"<row><c><v>0</v></c></row>" * 400_000  # 10 MB
            for _ in range(60):
                stream.write(rows)
            stream.write(parts[sheet][start:])
