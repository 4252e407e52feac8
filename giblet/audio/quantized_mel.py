"""Mel at a codec's bitrate: fewer bands and frames, dB rounded to a few levels.

Uncompressed mel spends 60 times the bits of a codec. To compare like with like, `matched_settings`
gives a mel spectrogram that fits a budget in kbit/s, `quantize_mel` rounds it, and `pack_levels`
shows how many bytes it really takes.
"""

from dataclasses import dataclass

import numpy as np

from giblet.audio.mel import MelSettings
from giblet.io.validation import check_features
from giblet.timing import count_samples, samples_duration

_HOP_SECONDS = {0.0: 0.032, 5.0: 0.064 / 3, 10.0: 0.016}  # from that many kbps on, as measured
_LOWEST, _HIGHEST = 0.75, 64.0  # kbps: 6 and 256 mel bands


@dataclass(frozen=True)
class QuantizerSettings:
    """Uniform levels: level ``k`` of ``2 ** n_bits`` stands for ``low_db + k * step_db``.

    >>> QuantizerSettings(n_bits=3, low_db=-30.0, high_db=40.0).step_db
    10.0
    """

    n_bits: int = 4
    low_db: float = -60.0  # relative to power 1 in one band
    high_db: float = 30.0

    def __post_init__(self):
        if not 1 <= self.n_bits <= 8:
            raise ValueError(f"n_bits must be 1 to 8, got {self.n_bits}")
        if not (np.isfinite([self.low_db, self.high_db]).all() and self.low_db < self.high_db):
            raise ValueError(f"low_db must be below high_db, got {self.low_db} and {self.high_db}")

    @property
    def n_levels(self) -> int:
        """Number of levels."""
        return 2**self.n_bits

    @property
    def step_db(self) -> float:
        """From one level to the next, dB."""
        return (self.high_db - self.low_db) / (self.n_levels - 1)


def bands_within(kbps: float, n_bits: int, hop_length: int, sample_rate: float) -> int:
    """Most mel bands of ``n_bits`` each that fit ``kbps``, a frame every ``hop_length`` samples.

    >>> bands_within(6.0, n_bits=3, hop_length=512, sample_rate=24000)
    42
    """
    bits_per_frame = 1000 * kbps * samples_duration(hop_length, sample_rate)
    return int(bits_per_frame / n_bits + 1e-6)


def matched_settings(
    kbps: float, sample_rate: int = 24000
) -> tuple[MelSettings, QuantizerSettings]:
    """Mel and quantiser that spend at most ``kbps``, chosen by their scores on speech.

    Values of 4 bits, windows of two hops, and as many bands as fit: ``notes/mel.md`` has the
    measurements. A TR-synchronous ``AudioProcessor`` spends up to one frame per TR less.

    Raises
    ------
    ValueError
        A bitrate that leaves fewer than 6 bands, or more than 256.

    >>> mel, quantizer = matched_settings(6.0)
    >>> mel.n_mels, mel.n_fft, mel.hop_length, quantizer.n_bits
    (32, 1024, 512, 4)
    """
    if not _LOWEST <= kbps <= _HIGHEST:
        raise ValueError(f"kbps must be {_LOWEST:g} to {_HIGHEST:g}, 6 to 256 bands, got {kbps}")
    quantizer = QuantizerSettings()
    hop = _HOP_SECONDS[max(from_kbps for from_kbps in _HOP_SECONDS if from_kbps <= kbps)]
    hop_length = count_samples(hop, sample_rate)
    n_mels = bands_within(kbps, quantizer.n_bits, hop_length, sample_rate)
    return MelSettings(sample_rate, n_mels, 2 * hop_length, hop_length), quantizer


def quantize_mel(mel: np.ndarray, quantizer: QuantizerSettings) -> np.ndarray:
    """Mel power in dB, any shape, to the nearest levels: uint8 in [0, n_levels), same shape.

    Values beyond ``low_db`` and ``high_db`` take the level at the end. Unsigned on purpose:
    EnCodec codes are int32, and neither passes for the other.

    Raises
    ------
    TypeError, ValueError
        Integers; no values; NaN or infinite values.

    >>> quantize_mel(np.array([-99.0, -54.0, 99.0]), QuantizerSettings()).tolist()
    [0, 1, 15]
    """
    mel = check_features(mel, "mel")
    if not mel.size:
        raise ValueError(f"mel has no values, its shape is {mel.shape}")
    levels = np.rint((mel.astype(np.float64) - quantizer.low_db) / quantizer.step_db)
    return np.clip(levels, 0, quantizer.n_levels - 1).astype(np.uint8)


def dequantize_mel(levels: np.ndarray, quantizer: QuantizerSettings) -> np.ndarray:
    """Levels of `quantize_mel` to mel power in dB, float32, same shape.

    Within the range each value is at most half a step from what was quantised.

    Raises
    ------
    TypeError
        Not unsigned integers: codes and floats are no levels.
    ValueError
        A level that the quantiser does not have.
    """
    levels = _check_levels(levels, quantizer.n_bits)
    return (quantizer.low_db + levels * quantizer.step_db).astype(np.float32)


def pack_levels(levels: np.ndarray, n_bits: int) -> bytes:
    """Levels, any shape, as ``n_bits`` each with nothing between: what a file has to hold.

    >>> len(pack_levels(np.array([[7, 0, 1, 2], [3, 4, 5, 6]], dtype=np.uint8), n_bits=3))
    3
    """
    return pack_bits(_check_levels(levels, n_bits), n_bits)


def unpack_levels(packed: bytes, n_bits: int, shape: tuple[int, ...]) -> np.ndarray:
    """The uint8 levels of ``shape`` that `pack_levels` packed.

    Raises ValueError where ``packed`` is not as long as ``shape`` asks.
    """
    return unpack_bits(packed, n_bits, shape).astype(np.uint8)


def _check_levels(levels: np.ndarray, n_bits: int) -> np.ndarray:
    levels = np.asarray(levels)
    if not np.issubdtype(levels.dtype, np.unsignedinteger):
        raise TypeError(
            f"levels must be unsigned integers, got {levels.dtype}: "
            "EnCodec codes go to the codec, mel in dB to quantize_mel"
        )
    if levels.size and levels.max() >= 2**n_bits:
        raise ValueError(f"levels must lie in [0, {2**n_bits - 1}], got up to {levels.max()}")
    return levels.astype(np.uint8)


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
