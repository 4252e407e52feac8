"""Frames into TRs and back: nothing lost, nothing made up, no drift."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from giblet.audio.framing import NO_FRAME, group_trs, ungroup_trs
from giblet.timing import TrClock

T_RS = [0.72, 0.8, 1.0, 1.49, 1.5, 2.0, 2.5]
FRAMINGS = ["native", "tr_synchronous"]
n_trs_and_rows = {"n_trs": st.integers(1, 40), "n_rows": st.integers(1, 9)}


def numbered(n_rows, n_frames):
    """A stream in which no two frames are alike."""
    return np.arange(n_rows * n_frames, dtype=np.int32).reshape(n_rows, n_frames)


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("t_r", T_RS)
@given(**n_trs_and_rows, extra=st.integers(0, 300))
def test_codes_come_back_as_they_were(t_r, framing, n_trs, n_rows, extra):
    clock = TrClock(t_r, 75.0, framing)
    n_frames = clock.edges(n_trs)[-1]
    stream = numbered(n_rows, n_frames + extra)
    grouped = group_trs(stream, clock, n_trs)
    assert grouped.shape == (n_trs, n_rows, clock.frames_per_tr)
    assert grouped.dtype == stream.dtype
    np.testing.assert_array_equal(ungroup_trs(grouped, clock), stream[:, :n_frames])


@pytest.mark.parametrize("t_r", T_RS)
@given(**n_trs_and_rows)
def test_only_the_last_slot_may_be_without_a_frame(t_r, n_trs, n_rows):
    clock = TrClock(t_r, 75.0, "native")
    grouped = group_trs(numbered(n_rows, clock.edges(n_trs)[-1]), clock, n_trs)
    empty = grouped == NO_FRAME
    assert not empty[..., :-1].any()
    widths = np.diff(clock.edges(n_trs))
    np.testing.assert_array_equal(empty[..., -1].all(axis=1), widths < clock.frames_per_tr)


@pytest.mark.parametrize("t_r", T_RS)
def test_tr_synchronous_framing_fills_every_slot(t_r):
    clock = TrClock(t_r, 75.0)
    grouped = group_trs(numbered(8, clock.edges(920)[-1]), clock, 920)
    assert (grouped != NO_FRAME).all()
    assert grouped.shape[-1] == int(Fraction(str(t_r)) * 75)


@pytest.mark.parametrize("t_r", T_RS)
def test_native_framing_does_not_drift(t_r):
    """Every TR begins at the frame that its own onset falls in, also the 920th. In fractions."""
    edges = TrClock(t_r, 75.0, "native").edges(920)
    exact = [int(Fraction(str(t_r)) * 75 * i) for i in range(921)]
    np.testing.assert_array_equal(edges, exact)


def test_taking_112_frames_a_tr_of_the_native_stream_would_lose_6_seconds():
    n_frames = TrClock(1.5, 75.0, "native").edges(920)[-1]
    assert n_frames == 103500
    assert (n_frames - 920 * 112) / 75.0 == pytest.approx(6.13, abs=0.01)


@pytest.mark.parametrize("t_r", [0.72, 0.8, 1.0, 2.0])
def test_the_two_framings_agree_where_frames_fit(t_r):
    native, synchronous = (TrClock(t_r, 75.0, framing) for framing in FRAMINGS)
    assert native.frames_per_tr == synchronous.frames_per_tr
    assert synchronous.encoding_rate_hz(24000) == pytest.approx(24000, rel=1e-12)
    np.testing.assert_array_equal(native.edges(920), synchronous.edges(920))


def test_amounts_without_a_frame_are_nan_not_a_number(rng):
    clock = TrClock(1.5, 75.0, "native")
    grouped = group_trs(rng.standard_normal((4, 225)), clock, 2)
    assert np.isnan(grouped[0, :, -1]).all()
    assert np.isfinite(grouped[0, :, :-1]).all()
    assert np.isfinite(grouped[1]).all()


def test_a_stream_that_is_too_short_is_refused():
    with pytest.raises(ValueError, match="3 TRs need 336 frames, the stream has 335"):
        group_trs(numbered(8, 335), TrClock(1.5, 75.0), 3)


def test_frames_of_another_clock_are_refused():
    with pytest.raises(ValueError, match=r"112 frames per TR.*has 113"):
        ungroup_trs(np.zeros((2, 8, 112), dtype=np.int32), TrClock(1.5, 75.0, "native"))
