"""Small whole numbers as bits, with nothing between them."""

import numpy as np


def bits_for(n_values: int) -> int:
    """Bits that one of ``n_values`` takes.

    >>> bits_for(1024)
    10
    """
    return (n_values - 1).bit_length()


def pack_bits(numbers: np.ndarray, n_bits: int) -> bytes:
    """Whole numbers from 0 on, any shape, as ``n_bits`` each: what a file has to hold.

    Raises ValueError for a number that does not fit.

    >>> len(pack_bits(np.zeros((8, 75), dtype=np.int32), n_bits=10))  # codes, a second at 6 kbps
    750
    """
    if numbers.size and not 0 <= numbers.min() <= numbers.max() < 2**n_bits:
        raise ValueError(
            f"numbers must lie in [0, {2**n_bits - 1}], got {numbers.min()} to {numbers.max()}"
        )
    return np.packbits((numbers.astype(np.int64)[..., None] >> np.arange(n_bits)) & 1).tobytes()


def unpack_bits(packed: bytes, n_bits: int, shape: tuple[int, ...]) -> np.ndarray:
    """The numbers of ``shape``, int32, that `pack_bits` packed.

    Raises ValueError where ``packed`` is not as long as ``shape`` asks.
    """
    n_numbers = int(np.prod(shape))
    n_bytes = -(-n_numbers * n_bits // 8)
    if len(packed) != n_bytes:
        raise ValueError(f"{shape} of {n_bits} bits take {n_bytes} bytes, not {len(packed)}")
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=n_numbers * n_bits)
    return (bits.reshape(*shape, n_bits) @ (1 << np.arange(n_bits))).astype(np.int32)
