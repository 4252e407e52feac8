"""The clock neither drifts nor loses frames; exact fractions are the oracle."""

from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import circmean

from giblet.brain.events import film_times
from giblet.timing import (
    TrClock,
    acquisition_times,
    check_t_r,
    code_frame_edges,
    count_samples,
    nearest_trs,
    offset_in_tr,
    on_edges,
    sample_edges,
    sample_times,
    signed_difference,
    tr_begin,
    tr_moments,
    tr_onsets,
    trs_for,
    volumes_to_trs,
    whole_trs,
)

settings.register_profile("giblet", deadline=None, derandomize=True)
settings.load_profile("giblet")

MILLISECONDS = st.integers(200, 5000)  # a TR, as scanners are set
FRAME_RATES = st.sampled_from([50, 75, 86, 93.75, 150])
N_TRS = st.integers(1, 3000)


@given(MILLISECONDS, FRAME_RATES, N_TRS)
def test_edges_are_those_of_exact_fractions(t_r_ms, frame_rate, n_trs):
    edges = code_frame_edges(n_trs, t_r_ms / 1000, frame_rate)
    exact = [floor(i * Fraction(t_r_ms, 1000) * Fraction(frame_rate)) for i in range(n_trs + 1)]
    assert edges.tolist() == exact


def test_cutting_112_frames_from_each_tr_would_lose_six_seconds():
    n_trs = 920
    edges = code_frame_edges(n_trs, 1.5, 75)
    assert edges[-1] / 75 == n_trs * 1.5
    assert (edges[-1] - n_trs * 112) / 75 == pytest.approx(6.1, abs=0.05)


@given(MILLISECONDS, FRAME_RATES, N_TRS)
def test_tr_synchronous_trs_are_equal_and_nothing_is_lost(t_r_ms, frame_rate, n_trs):
    clock = TrClock(t_r_ms / 1000, frame_rate)
    assert (np.diff(clock.edges(n_trs)) == clock.frames_per_tr).all()
    exact = Fraction(t_r_ms, 1000) * Fraction(frame_rate)
    assert clock.frames_per_tr == max(1, ceil(exact - Fraction(1, 2)))  # the nearest
    assert clock.bend == pytest.approx(float(exact / clock.frames_per_tr - 1), abs=1e-9)
    samples = clock.encoding_rate_hz(24000) * clock.duration(n_trs)  # before the codec
    np.testing.assert_allclose(samples * frame_rate / 24000, n_trs * clock.frames_per_tr)


@pytest.mark.parametrize(
    ("t_r", "frame_rate", "framing", "n_frames", "bend"),
    [
        (1.5, 75, "tr_synchronous", 112, 0.0045),  # of two equally near the lower, as ever
        (1.49, 75, "tr_synchronous", 112, -0.0022),
        (1.5, 12.5, "native", 19, 0),  # Mimi: 18.75 frames
        (2.0, 12.5, "tr_synchronous", 25, 0),
        (0.72, 75, "tr_synchronous", 54, 0),
        (1.5, 24000 / 2048, "native", 18, 0),
    ],
)
def test_native_where_the_sound_would_be_bent(t_r, frame_rate, framing, n_frames, bend):
    clock = TrClock.choose(t_r, frame_rate)
    assert (clock.framing, clock.frames_per_tr) == (framing, n_frames)
    assert clock.bend == pytest.approx(bend, abs=1e-4)
    assert TrClock.choose(t_r, frame_rate, "tr_synchronous").framing == "tr_synchronous"


def test_bend_is_what_the_codec_hears():
    """A tone's frequency, measured in sound that is resampled for the codec."""
    clock = TrClock(1.5, 12.5)
    rate = clock.encoding_rate_hz(24000)  # played at 24 kHz, it is faster by the bend
    assert 24000 / rate - 1 == pytest.approx(clock.bend)
    assert clock.bend == pytest.approx(18.75 / 19 - 1)
    assert TrClock(1.5, 12.5, n_frames=18).bend == pytest.approx(18.75 / 18 - 1)


def test_files_from_before_are_framed_as_they_were():
    facts = {"t_r": 1.5, "frame_rate": 12.5, "framing": "tr_synchronous"}
    assert TrClock.from_facts(facts).frames_per_tr == 18
    assert TrClock.from_facts(facts | {"frames_per_tr": 19}) == TrClock(1.5, 12.5, n_frames=19)
    native = TrClock.from_facts(facts | {"framing": "native", "frames_per_tr": 19})
    assert native == TrClock(1.5, 12.5, "native")
    for wrong in (0, 17, 20, 10**12):
        with pytest.raises(ValueError, match=r"frames cannot stand for a TR's 18\.75"):
            TrClock.from_facts(facts | {"frames_per_tr": wrong})


@given(MILLISECONDS, FRAME_RATES, N_TRS)
def test_native_trs_fit_their_slots(t_r_ms, frame_rate, n_trs):
    clock = TrClock(t_r_ms / 1000, frame_rate, framing="native")
    widths = np.diff(clock.edges(n_trs))
    assert set(widths) <= {clock.frames_per_tr, clock.frames_per_tr - 1}
    assert clock.encoding_rate_hz(24000) == 24000


@pytest.mark.parametrize("t_r", [1.0, 2.0, 0.72, 0.8])
def test_framings_agree_where_frames_fit(t_r):
    synchronous, native = TrClock(t_r, 75), TrClock(t_r, 75, "native")
    assert synchronous.frames_per_tr == native.frames_per_tr == round(t_r * 75)
    assert synchronous.encoding_rate_hz(24000) == pytest.approx(24000, rel=1e-12)
    np.testing.assert_array_equal(synchronous.edges(1000), native.edges(1000))


@pytest.mark.parametrize("framing", ["tr_synchronous", "native"])
def test_every_frame_lies_in_its_tr(framing):
    clock = TrClock(1.5, 75, framing)
    times, edges = clock.frame_times(40), clock.edges(40)
    assert len(times) == edges[-1]
    in_tr = np.repeat(np.arange(40), np.diff(edges))
    half_a_frame = 0.5 / clock.film_frame_rate()
    assert (times >= in_tr * 1.5).all()
    assert (times <= (in_tr + 1) * 1.5 + half_a_frame).all()


@given(MILLISECONDS, N_TRS)
def test_whole_trs_and_their_duration_are_inverse(t_r_ms, n_trs):
    t_r = t_r_ms / 1000
    duration = tr_onsets(n_trs + 1, t_r)[-1]
    assert whole_trs(duration, t_r) == trs_for(duration, t_r) == n_trs
    assert whole_trs(duration + t_r / 2, t_r) == n_trs
    assert trs_for(duration + t_r / 2, t_r) == n_trs + 1


@given(MILLISECONDS, N_TRS, st.floats(0, 0.99))
def test_volumes_belong_to_the_trs_in_which_they_were_taken(t_r_ms, n_trs, share):
    t_r = t_r_ms / 1000
    times = acquisition_times(n_trs, t_r, start_time=share * t_r)
    assert volumes_to_trs(times, t_r).tolist() == list(range(n_trs))
    assert offset_in_tr(times, t_r) == pytest.approx(share * t_r, abs=1e-6)
    assert tr_begin(times[-1], t_r) == pytest.approx((n_trs - 1) * t_r)


def test_moments_are_in_the_middle_of_their_share_of_the_tr():
    np.testing.assert_allclose(tr_moments(3, 1.5), [0.75, 2.25, 3.75])
    moments = tr_moments(100, 1.5, 3).reshape(100, 3)
    np.testing.assert_allclose(moments.mean(axis=1), tr_onsets(100, 1.5) + 0.75)
    np.testing.assert_allclose(np.diff(moments.ravel()), 0.5)


@given(st.integers(1, 10**7), st.sampled_from([16000, 22050, 24000, 44100]))
def test_samples_are_counted_as_they_lie(n_samples, rate):
    duration = n_samples / rate
    assert count_samples(duration, rate) == n_samples


def test_sample_times_begin_at_zero_and_end_before_the_end():
    np.testing.assert_array_equal(sample_times(1.5, 24000), sample_edges(36000, 24000)[:-1])


@pytest.mark.parametrize("t_r", [0, -1.5, float("nan"), float("inf"), 1500])
def test_a_repetition_time_that_cannot_be_is_refused(t_r):
    with pytest.raises(ValueError, match="t_r"):
        check_t_r(t_r)
    with pytest.raises(ValueError, match="t_r"):
        TrClock(t_r, 75)


@pytest.mark.parametrize("frame_rate", [0, -75, float("nan"), float("inf"), 1e300])
def test_a_frame_rate_that_cannot_be_is_refused(frame_rate):
    """Found by tests/fuzz/guided.py: TRs of infinitely many frames."""
    with pytest.raises(ValueError, match="frame rate must be"):
        TrClock(1.5, frame_rate)


def test_milliseconds_are_guessed():
    with pytest.raises(ValueError, match="milliseconds"):
        check_t_r(1500)


def test_a_tr_shorter_than_a_frame_is_refused():
    with pytest.raises(ValueError, match="shorter than one frame"):
        TrClock(0.01, 75)


def test_there_are_two_framings():
    with pytest.raises(ValueError, match="tr_synchronous or native, got 'stretch'"):
        TrClock(1.5, 75, "stretch")


@pytest.mark.parametrize("framing", ["native", "tr_synchronous"])
def test_trs_inside_the_film_are_as_wide_as_in_the_whole(framing):
    clock = TrClock(1.49, 75, framing)
    whole = clock.widths(40)
    for first_tr in (0, 1, 7):
        np.testing.assert_array_equal(clock.widths(9, first_tr), whole[first_tr : first_tr + 9])


def test_the_first_frame_of_a_native_tr_begins_before_it():
    native = TrClock(1.5, 75, "native")
    # TR 1 begins at 1.5 s; its first frame, 112, at 112 / 75 s
    assert native.head_start(1) == pytest.approx(1.5 - 112 / 75)
    assert native.head_start(2) == 0
    assert TrClock(1.5, 75).head_start(1) == pytest.approx(0, abs=1e-12)


def test_volumes_before_the_film_have_negative_trs():
    times = np.array([-1.6, -0.1, 0.0, 1.4, 1.5, 2.9999999])
    assert volumes_to_trs(times, t_r=1.5).tolist() == [-2, -1, 0, 0, 1, 2]


T_RS = st.sampled_from(["0.72", "0.8", "1", "1.25", "1.49", "1.5", "2", "2.2", "3"])
MS = st.integers(0, 60_000)  # of an onset, as tables have it


@given(T_RS, MS, MS, st.integers(1, 400), st.integers(0, 3000))
def test_the_tr_of_a_volume_is_that_of_exact_fractions(t_r, onset, stim_onset, n_trs, start):
    exact = Fraction(t_r)
    begin, shown, late = (Fraction(x, 1000) for x in (onset, stim_onset, start))
    times = acquisition_times(n_trs + 50, float(t_r), start / 1000)
    event = (np.array([x]) for x in (onset / 1000, float(n_trs * exact), stim_onset / 1000))
    film_time, in_film, _ = film_times(times, *event)
    since = [late + i * exact - begin for i in range(len(times))]
    assert in_film.tolist() == [0 <= s < n_trs * exact for s in since]
    trs = [floor((s + shown) / exact) for s in since]
    assert volumes_to_trs(film_time, float(t_r)).tolist() == trs
    phase = (since[0] + shown) % exact
    assert offset_in_tr(film_time, float(t_r)) == pytest.approx(float(phase), abs=1e-6)
    assert nearest_trs(film_time, float(t_r), float(phase)).tolist() == trs


@pytest.mark.parametrize("t_r", ["0.72", "0.8", "1.49", "1.5"])
def test_no_volume_is_lost_at_either_end_of_a_film_on_the_grid(t_r):
    """1,600 films: four TRs, 400 onsets of whole TRs, as people write them."""
    times = acquisition_times(900, float(t_r))
    for first in range(400):
        onset, duration = float(first * Fraction(t_r)), float(450 * Fraction(t_r))
        _, in_film, _ = film_times(times, *(np.array([x]) for x in (onset, duration, 0.0)))
        assert np.flatnonzero(in_film)[[0, -1]].tolist() == [first, first + 449]
        assert in_film.sum() == 450


@given(T_RS, st.lists(st.integers(-4, 4), min_size=1, max_size=9), st.integers(0, 3000))
def test_phases_some_milliseconds_apart_have_a_median_among_them(t_r, jitter, middle):
    t_r, phases = float(t_r), (middle + np.array(jitter)) / 1000
    moment = offset_in_tr(np.mod(phases, t_r), t_r)
    away = [signed_difference(phase - moment, t_r) for phase in phases]
    assert max(map(abs, away)) <= 8e-3 + 1e-6
    assert 0 <= moment < t_r
    assert len(set(nearest_trs(phases - np.array(away), t_r, moment).tolist())) == 1


def test_half_a_tr_apart_is_on_one_side_whatever_the_noise():
    for noise in (-1e-9, 0, 1e-9):
        assert signed_difference(1.0 + noise, 2.0) == pytest.approx(-1.0)
        assert signed_difference(-1.0 + noise, 2.0) == pytest.approx(-1.0)
    assert offset_in_tr(np.array([0.0, 1.0]), 2.0) == 0.5


@given(T_RS, st.integers(0, 5000))
def test_times_on_an_edge_lie_on_it_whatever_the_noise(t_r, n):
    edge = float(n * Fraction(t_r))
    for noise in (-4e-7, 0, 4e-7):
        moved = on_edges(np.array([edge + noise, edge + 1e-3]), float(t_r))
        assert moved[0] == tr_onsets(n + 1, float(t_r))[-1]
        assert moved[1] == edge + 1e-3
        assert volumes_to_trs(np.array([edge + noise]), float(t_r)).tolist() == [n]
        assert tr_begin(edge + noise, float(t_r)) == tr_onsets(n + 1, float(t_r))[-1]


@given(T_RS, st.integers(0, 3000), st.integers(0, 150))
def test_the_median_of_two_phases_is_scipys_circular_mean(t_r, middle, apart):
    t_r = float(t_r)
    phases = np.mod([(middle - apart) / 1000, (middle + apart) / 1000], t_r)
    found, expected = offset_in_tr(phases, t_r), circmean(phases, high=t_r)
    assert signed_difference(found - expected, t_r) == pytest.approx(0, abs=2e-6)
