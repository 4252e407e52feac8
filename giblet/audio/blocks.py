"""Blocks of sound and codes: equal blocks, overlapping windows, another sample rate."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from giblet.io.validation import check_codes, check_waveform
from giblet.timing import count_samples


def equal_blocks(
    waveform: np.ndarray | Iterable[np.ndarray], n_samples: int
) -> Iterator[np.ndarray]:
    """Sound (n_samples,), or an iterable of such pieces, in blocks of ``n_samples`` float32.

    The last block may be shorter, but is never empty. Memory holds one block and one piece.

    Raises
    ------
    ValueError, TypeError
        No samples, NaN or infinite ones, more than one dimension, integers.

    >>> [block.tolist() for block in equal_blocks(np.arange(5.0), n_samples=2)]
    [[0.0, 1.0], [2.0, 3.0], [4.0]]
    """
    is_one = hasattr(waveform, "__array__")  # of NumPy, xarray, pandas, torch
    pieces = [np.asarray(waveform)] if is_one else waveform
    pending = np.empty(0, dtype=np.float32)
    for piece in pieces:
        piece = check_waveform(piece)
        for start in range(0, len(piece), n_samples):
            more = piece[start : start + n_samples].astype(np.float32)
            pending = np.concatenate([pending, more])
            while len(pending) > n_samples:  # one sample more: the last block is never empty
                yield pending[:n_samples]
                pending = pending[n_samples:]
    if not len(pending):
        raise ValueError("the sound has no samples")
    yield pending


def resampled(
    pieces: Iterable[tuple[np.ndarray, int]], sample_rate: float, block_seconds: float = 10.0
) -> Iterator[np.ndarray]:
    """Pieces (n_samples,) float32, each with its rate in Hz, at ``sample_rate`` Hz: blocks of about
    ``block_seconds`` s. The resampler (soxr, HQ) runs on across pieces of one rate.
    """
    import soxr

    resampler: Any = None
    resampled_from = 0  # Hz
    held: list[np.ndarray] = []
    n_held = 0
    for piece, rate in pieces:
        if rate != resampled_from:
            if resampler is not None:
                yield resampler.resample_chunk(_joined(held), last=True)
                held, n_held = [], 0
            resampler = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32")
            resampled_from = rate
        held.append(piece)
        n_held += len(piece)
        if n_held >= count_samples(block_seconds, rate):
            yield resampler.resample_chunk(_joined(held))
            held, n_held = [], 0
    yield resampler.resample_chunk(_joined(held), last=True)


def _joined(pieces: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([*pieces, np.zeros(0, dtype=np.float32)])


def overlapping(
    blocks: Iterable[np.ndarray], n_context: int
) -> Iterator[tuple[np.ndarray, int, int]]:
    """Each block (..., length) with up to ``n_context`` columns of its neighbours on either side.

    Yields (window, columns before the block, columns of the block). All blocks but the last are
    equally long.

    >>> [window.tolist() for window, _, _ in overlapping(np.split(np.arange(6), 3), n_context=1)]
    [[0, 1, 2], [1, 2, 3, 4], [3, 4, 5]]
    """
    held, begin, length = None, 0, 0  # what is held, where the next block begins in it
    for block in blocks:
        held = block if held is None else np.concatenate([held, block], axis=-1)
        length = length or block.shape[-1]
        while held.shape[-1] >= begin + length + n_context:
            yield held[..., : begin + length + n_context], begin, length
            drop = max(0, begin + length - n_context)
            held, begin = held[..., drop:], begin + length - drop
    while held is not None and begin < held.shape[-1]:
        n = min(length, held.shape[-1] - begin)
        yield held[..., : begin + n + n_context], begin, n
        begin += n


def check_stream(codes: np.ndarray, codebook_size: int, max_codebooks: int) -> np.ndarray:
    """``codes`` (n_codebooks, n_frames) that a codec can decode, or TypeError or ValueError."""
    codes = check_codes(codes, codebook_size=codebook_size)
    if codes.ndim != 2 or not codes.size:
        raise ValueError(f"codes must have shape (n_codebooks, n_frames), got {codes.shape}")
    if len(codes) > max_codebooks:
        raise ValueError(f"codes have {len(codes)} codebooks, this codec has {max_codebooks}")
    if codes.min() < 0:
        raise ValueError("codes hold -1 (no frame): ungroup them from their TRs first")
    return codes.astype(np.int64)
