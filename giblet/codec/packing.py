"""Codes as bits, with nothing between them."""

import numpy as np

from giblet.checks import GibletError, check_codes


def code_bits(codebook_size: int) -> int:
    """Bits that one code takes.

    >>> code_bits(1024)
    10
    """
    return (codebook_size - 1).bit_length()


def pack_codes(codes: np.ndarray, n_bits: int) -> bytes:
    """Codes (n_codebooks, n_frames), all from 0 on, as ``n_bits`` each.

    >>> len(pack_codes(np.zeros((8, 75), dtype=np.int32), n_bits=10))  # a second at 6 kbps
    750
    """
    codes = check_codes(codes, codebook_size=2**n_bits)
    if codes.size and codes.min() < 0:
        raise ValueError("codes hold -1 (no frame): ungroup them from their TRs first")
    return np.packbits((codes[..., None] >> np.arange(n_bits)) & 1).tobytes()


def unpack_codes(packed: bytes, n_bits: int, shape: tuple[int, int]) -> np.ndarray:
    """The codes (n_codebooks, n_frames) int32 that ``pack_codes`` packed.

    Raises GibletError where there are fewer or more bytes than ``shape`` takes.
    """
    n_bytes = -(-shape[0] * shape[1] * n_bits // 8)
    if len(packed) != n_bytes:
        raise GibletError(f"codes {shape} of {n_bits} bits take {n_bytes} bytes, not {len(packed)}")
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=shape[0] * shape[1] * n_bits)
    return (bits.reshape(*shape, n_bits) @ (1 << np.arange(n_bits))).astype(np.int32)
