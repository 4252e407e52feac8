"""The clock at any repetition time and any frame rate; exact fractions are the oracle."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st

from giblet.timing import TrClock, count_samples, trs_for, whole_trs

settings.register_profile("giblet", deadline=None, derandomize=True)
settings.load_profile("giblet")

NOISE = Fraction(2, 10**6)  # frames: nearer than this to a whole number is that number
T_RS = st.floats(0.02, 10, exclude_min=True, exclude_max=True)
RATES = st.floats(0.2, 1000)  # frames/s
N_TRS = st.integers(0, 3000)


def clock_of(t_r, rate, framing):
    assume(Fraction(t_r) * Fraction(rate) >= 1)
    return TrClock(t_r, rate, framing)


@given(T_RS, RATES, N_TRS)
def test_native_edges_are_those_of_exact_fractions(t_r, rate, n_trs):
    edges = clock_of(t_r, rate, "native").edges(n_trs)
    exact = [i * Fraction(t_r) * Fraction(rate) for i in range(n_trs + 1)]
    assert all(
        floor(x) <= e <= floor(x + NOISE) for e, x in zip(edges.tolist(), exact, strict=True)
    )


@given(T_RS, RATES, N_TRS)
def test_tr_synchronous_edges_are_multiples(t_r, rate, n_trs):
    clock = clock_of(t_r, rate, "tr_synchronous")
    exact = Fraction(t_r) * Fraction(rate)
    assert abs(clock.frames_per_tr - exact) <= Fraction(1, 2) + NOISE
    assert clock.frames_per_tr - exact < Fraction(1, 2)  # of two equally near the lower
    assert clock.edges(n_trs).tolist() == [i * clock.frames_per_tr for i in range(n_trs + 1)]


@given(T_RS, RATES, N_TRS, st.sampled_from(["native", "tr_synchronous"]))
def test_frames_never_drift_from_the_clock_by_more_than_one(t_r, rate, n_trs, framing):
    clock = clock_of(t_r, rate, framing)
    edges = clock.edges(n_trs)
    drift = edges / clock.film_frame_rate() - np.arange(n_trs + 1) * t_r  # s
    assert np.abs(drift * clock.film_frame_rate()).max() <= 1 + 1e-5
    widths = clock.widths(n_trs)
    assert widths.sum() == edges[-1]
    assert set(widths) <= {clock.frames_per_tr, clock.frames_per_tr - (framing == "native")}


@given(T_RS, RATES, st.integers(0, 300), st.integers(0, 300))
def test_widths_of_a_part_are_those_of_the_film(t_r, rate, first_tr, n_trs):
    clock = clock_of(t_r, rate, "native")
    film = clock.widths(first_tr + n_trs).tolist()
    assert clock.widths(n_trs, first_tr).tolist() == film[first_tr:]


@given(T_RS, RATES, st.integers(1, 300), st.sampled_from(["native", "tr_synchronous"]))
def test_frames_begin_in_their_tr(t_r, rate, n_trs, framing):
    clock = clock_of(t_r, rate, framing)
    frame = 1 / clock.film_frame_rate()
    assume(clock.edges(n_trs)[-1] < 10**6)
    times = clock.frame_times(n_trs) - frame / 2
    onsets = np.repeat(np.arange(n_trs) * t_r, clock.widths(n_trs))
    assert (times >= onsets - frame).all()
    assert (times < onsets + t_r + 1e-6 * frame).all()


@given(T_RS, st.sampled_from([(24000, 320), (24000, 256), (44100, 512), (2400, 32)]), N_TRS)
def test_resampled_sound_fills_tr_synchronous_trs_to_the_sample(t_r, codec, n_trs):
    sample_rate, hop_length = codec
    clock = clock_of(t_r, sample_rate / hop_length, "tr_synchronous")
    samples = count_samples(clock.duration(n_trs), clock.encoding_rate_hz(sample_rate))
    assert samples == n_trs * clock.frames_per_tr * hop_length


@given(T_RS, N_TRS)
def test_whole_trs_and_their_duration_are_inverse_at_any_t_r(t_r, n_trs):
    duration = TrClock(t_r, 100.0).duration(n_trs)
    assert whole_trs(duration, t_r) == trs_for(duration, t_r) == n_trs


@given(st.floats() | st.floats(0, 100), st.floats() | st.sampled_from([np.nan, np.inf, 0.0]))
def test_any_two_numbers_make_a_clock_or_a_clear_refusal(t_r, rate):
    try:
        clock, refusal = TrClock(t_r, rate, "native"), ""
    except ValueError as error:
        clock, refusal = None, str(error)
    if clock:
        assert 0 < t_r <= 60
        assert clock.frames_per_tr >= 1
    else:
        assert "t_r" in refusal or "frame rate" in refusal


@pytest.mark.parametrize("rate", [0, -75, float("nan"), float("inf")])
def test_a_frame_rate_that_cannot_be_is_refused(rate):
    with pytest.raises(ValueError, match=r"a frame rate must be a positive number of Hz"):
        TrClock(1.5, rate)


def test_a_tr_of_exactly_one_frame_is_no_shorter_than_one():
    assert 1 / 49 * 49 < 1  # in floats
    assert TrClock(1 / 49, 49).frames_per_tr == 1


def test_trs_are_counted_from_zero_on():
    with pytest.raises(ValueError, match="counted from 0 on, got -1 of them from 0 on"):
        TrClock(1.5, 75).widths(-1)
    with pytest.raises(ValueError, match="counted from 0 on, got 5 of them from -2 on"):
        TrClock(1.5, 75).widths(5, first_tr=-2)
