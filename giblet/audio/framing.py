"""Streams of frames into TRs and back, losing nothing."""

import numpy as np

from giblet.timing import TrClock

NO_FRAME = -1  # code slots without a frame; 0 is a valid code


def group_trs(stream: np.ndarray, clock: TrClock, n_trs: int) -> np.ndarray:
    """Cut a stream (n_rows, n_frames) into TRs (n_trs, n_rows, frames_per_tr).

    Slots that a TR does not fill are -1 in integer streams (codes) and NaN in float ones.

    Raises
    ------
    TypeError
        Neither floats nor signed integers: slots without a frame could not be marked.
    ValueError
        Fewer frames than ``n_trs`` need; frames that look like slots without one.

    >>> codes = np.arange(675, dtype=np.int32).reshape(3, 225)
    >>> native = group_trs(codes, TrClock(1.5, 75, framing="native"), n_trs=2)
    >>> native.shape, native[0, 0, -2:].tolist(), native[1, 0, -1].item()
    ((2, 3, 113), [111, -1], 224)
    """
    widths = clock.widths(n_trs)
    n_frames = int(widths.sum())
    _check_stream(stream, n_trs, n_frames)
    filled = np.arange(clock.frames_per_tr) < widths[:, None]  # (n_trs, frames_per_tr)
    empty = NO_FRAME if stream.dtype.kind == "i" else np.nan
    grouped = np.full((n_trs, len(stream), clock.frames_per_tr), empty, dtype=stream.dtype)
    grouped.swapaxes(0, 1)[:, filled] = stream[:, :n_frames]
    return grouped


def ungroup_trs(grouped: np.ndarray, clock: TrClock, first_tr: int = 0) -> np.ndarray:
    """Join TRs (n_trs, n_rows, frames_per_tr) to the stream (n_rows, n_frames) they came from.

    In native framing, slots marked by ``group_trs`` say how wide each TR is, in whatever order the
    TRs come. Where none is marked (predicted codes fill every slot; or a few TRs that were
    full), the clock says it, and ``first_tr`` must be the film's TR that comes first.

    Raises
    ------
    ValueError
        Another number of dimensions, or of slots per TR than the clock gives.

    >>> clock = TrClock(1.5, 75, framing="native")
    >>> codes = np.arange(675, dtype=np.int32).reshape(3, 225)
    >>> bool((ungroup_trs(group_trs(codes, clock, n_trs=2), clock) == codes).all())
    True
    >>> ungroup_trs(np.zeros((2, 8, 113)), clock, first_tr=1).shape  # 113 + 112 frames
    (8, 225)
    """
    if grouped.ndim != 3:
        raise ValueError(f"features must be (n_trs, n_rows, frames_per_tr), got {grouped.shape}")
    n_trs, _n_rows, n_slots = grouped.shape
    if n_slots != clock.frames_per_tr:
        raise ValueError(
            f"features have {n_slots} frames per TR, but at t_r {clock.t_r} s and "
            f"{clock.frame_rate:g} frames/s ({clock.framing}) a TR has {clock.frames_per_tr}"
        )
    is_short = _is_mark(grouped[..., -1]).all(axis=1)  # (n_trs,)
    is_marked = clock.framing == "native" and is_short.any()
    widths = n_slots - is_short if is_marked else clock.widths(n_trs, first_tr)
    return grouped.swapaxes(0, 1)[:, np.arange(n_slots) < widths[:, None]]


def _is_mark(frames: np.ndarray) -> np.ndarray:
    """Mask of the slots of ``frames`` that hold no frame."""
    return np.isnan(frames) if frames.dtype.kind == "f" else frames == NO_FRAME


def _check_stream(stream: np.ndarray, n_trs: int, n_frames: int) -> None:
    """Refuse a stream that cannot be cut, or would not come back as it was."""
    if stream.dtype.kind not in "if":
        raise TypeError(f"a stream must hold signed integers or floats, got {stream.dtype}")
    if stream.ndim != 2:
        raise ValueError(f"a stream must have shape (n_rows, n_frames), got {stream.shape}")
    if stream.shape[1] < n_frames:
        raise ValueError(f"{n_trs} TRs need {n_frames} frames, the stream has {stream.shape[1]}")
    if _is_mark(stream[:, :n_frames]).any():
        raise ValueError(f"the stream holds {NO_FRAME} or NaN: they mark slots without a frame")
