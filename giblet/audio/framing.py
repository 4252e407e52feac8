"""Streams of frames into TRs and back, losing nothing."""

from itertools import pairwise

import numpy as np

from giblet.timing import TrClock

NO_FRAME = -1  # code slots without a frame; 0 is a valid code


def group_trs(stream: np.ndarray, clock: TrClock, n_trs: int) -> np.ndarray:
    """Cut a stream (n_rows, n_frames) into TRs (n_trs, n_rows, frames_per_tr).

    Slots that a TR does not fill are -1 in integer streams (codes) and NaN in float ones.

    Raises
    ------
    ValueError
        Fewer frames than ``n_trs`` need.

    >>> codes = np.arange(675, dtype=np.int32).reshape(3, 225)
    >>> native = group_trs(codes, TrClock(1.5, 75, framing="native"), n_trs=2)
    >>> native.shape, native[0, 0, -2:].tolist(), native[1, 0, -1].item()
    ((2, 3, 113), [111, -1], 224)
    """
    edges = clock.edges(n_trs)
    if stream.shape[-1] < edges[-1]:
        raise ValueError(f"{n_trs} TRs need {edges[-1]} frames, the stream has {stream.shape[-1]}")
    empty = NO_FRAME if np.issubdtype(stream.dtype, np.integer) else np.nan
    grouped = np.full((n_trs, stream.shape[0], clock.frames_per_tr), empty, dtype=stream.dtype)
    for i, (start, stop) in enumerate(pairwise(edges)):
        grouped[i, :, : stop - start] = stream[:, start:stop]
    return grouped


def ungroup_trs(grouped: np.ndarray, clock: TrClock) -> np.ndarray:
    """Join TRs (n_trs, n_rows, frames_per_tr) to the stream (n_rows, n_frames) they came from.

    Raises
    ------
    ValueError
        Another number of slots per TR than the clock gives.

    >>> clock = TrClock(1.5, 75, framing="native")
    >>> codes = np.arange(675, dtype=np.int32).reshape(3, 225)
    >>> bool((ungroup_trs(group_trs(codes, clock, n_trs=2), clock) == codes).all())
    True
    """
    n_trs, _n_rows, n_slots = grouped.shape
    if n_slots != clock.frames_per_tr:
        raise ValueError(
            f"features have {n_slots} frames per TR, but at t_r {clock.t_r} s and "
            f"{clock.frame_rate:g} frames/s ({clock.framing}) a TR has {clock.frames_per_tr}"
        )
    is_short = (grouped[..., -1] == NO_FRAME).all(axis=1)  # (n_trs,), marked by group_trs
    # unmarked (predicted codes, mel): the TRs count as the film's first
    widths = n_slots - is_short if is_short.any() else np.diff(clock.edges(n_trs))
    frames = [tr[:, :width] for tr, width in zip(grouped, widths, strict=True)]
    return np.concatenate(frames, axis=-1)
