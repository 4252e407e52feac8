"""Files of compressed sound: a short head, packed codes, a checksum.

All numbers are little-endian. The head: ``gblc``, version (1 byte), bits of a code (1), codebooks
(2), frames (4), samples (8), the codec's revision (8), length of the codec's name (2), its name
in UTF-8. Then the codes, frame after frame of the first codebook, then of the next, each code its
lowest bit first, bits filled from each byte's highest on; CRC-32 of all before (4).
"""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from giblet.audio.quantized_mel import bits_for, pack_bits, unpack_bits
from giblet.errors import GibletError
from giblet.io.checksums import damaged

MAGIC = b"gblc"
VERSION = 1
_HEAD = struct.Struct("<4sBBHIQ8sH")
_SUM = struct.Struct("<I")


@dataclass(frozen=True, eq=False)
class CompressedSound:
    """Codes (n_codebooks, n_frames) of ``n_samples`` of sound, and the codec that decodes them.

    ``revision`` is 16 hexadecimal digits, as codecs of ``load_codec`` have it.
    """

    codec: str
    revision: str
    codebook_size: int
    n_samples: int
    codes: np.ndarray


def to_bytes(sound: CompressedSound) -> bytes:
    """The content of a file: the codes, and 34 bytes and the codec's name beside them.

    >>> codes = np.zeros((8, 75), dtype=np.int32)
    >>> sound = CompressedSound("bundled", "0" * 16, 1024, 24000, codes)
    >>> len(to_bytes(sound)) - 750
    41
    """
    n_bits, name = bits_for(sound.codebook_size), sound.codec.encode()
    revision = bytes.fromhex(sound.revision)
    sizes = (*sound.codes.shape, sound.n_samples)
    head = _HEAD.pack(MAGIC, VERSION, n_bits, *sizes, revision, len(name)) + name
    content = head + pack_bits(sound.codes, n_bits)
    return content + _SUM.pack(zlib.crc32(content))


def from_bytes(content: bytes, path: str | Path) -> CompressedSound:
    """What `to_bytes` wrote; ``path`` is for messages. The codebook size is a power of two.

    Raises GibletError for a file of a newer giblet, and for one that was cut or changed.
    """
    if len(content) > len(MAGIC) and content[len(MAGIC)] > VERSION:
        raise GibletError(
            f"{path}: made by a newer giblet (codes of version {content[len(MAGIC)]}, not "
            f"{VERSION}): upgrade giblet"
        )
    body, end = content[: -_SUM.size], content[-_SUM.size :]
    if len(body) < _HEAD.size or _SUM.pack(zlib.crc32(body)) != end:
        raise damaged(path)
    _, _, n_bits, n_codebooks, n_frames, n_samples, revision, n_name = _HEAD.unpack_from(body)
    begin = _HEAD.size + n_name
    try:
        name = body[_HEAD.size : begin].decode()
        codes = unpack_bits(body[begin:], n_bits, (n_codebooks, n_frames))
    except ValueError as error:
        raise damaged(path) from error
    return CompressedSound(name, revision.hex(), 1 << n_bits, n_samples, codes)


def is_compressed(content: bytes) -> bool:
    """Whether a file begins as `to_bytes` writes it; files of older versions are netCDF.

    >>> is_compressed(b"gblc..."), is_compressed(b"HDF...")
    (True, False)
    """
    return content.startswith(MAGIC)
