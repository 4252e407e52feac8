"""Runs of many stimuli: which volume is of which TR, repeats, regressors, parts and scores."""

import re
import time

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings, strategies as st

from giblet.alignment.aligned import align, film_data, split_match
from giblet.alignment.dataset import windows
from giblet.alignment.hrf import HRF_SECONDS, convolve_hrf
from giblet.alignment.pieces import last_by_share, spread_by_share
from giblet.alignment.regressors import regress
from giblet.alignment.stimuli import ONE_RUN
from giblet.alignment.stimulus_features import begun_trs
from giblet.alignment.stimulus_folds import shown_at, stimulus_groups
from giblet.alignment.sync import match_scans
from giblet.brain.runs import Presented
from giblet.brain.stimulus_clock import StimulusClock
from giblet.config.sections import SplitConfig
from giblet.errors import GibletError
from giblet.evaluation.decoding import lagged
from giblet.evaluation.encoding_folds import ridge_folds
from giblet.evaluation.quality import brain_quality
from giblet.stats.ridge import fit_ridge

TRS = (0.72, 0.8, 1.0, 1.49, 1.5, 2.0, 2.2)


def make_scans(clock, runs, bold=None, start_time=0.0, **attrs):
    """Scans of ``runs``: (subject, run, n_volumes, [(onset, stimulus), ...]) each."""
    volumes, events = [], []
    for subject, run, n_volumes, shown in runs:
        onsets, stimuli = map(np.array, zip(*shown, strict=True))
        table = pd.DataFrame({"onset": onsets.astype(float), "stimulus": stimuli})
        table["duration"] = clock.durations[stimuli]
        table["stim_onset"] = clock.begins[stimuli]
        scan_time = start_time + np.arange(n_volumes) * clock.t_r
        times = Presented(clock, table, scan_time).film_times()
        names = ("film_time", "in_film", "film_start")
        columns = dict(zip(names, times, strict=True)) | {"scan_time": scan_time}
        volumes.append(pd.DataFrame(columns).assign(subject=subject, run=run))
        events.append(table.assign(subject=subject, run=run))
    volumes, events = pd.concat(volumes), pd.concat(events)
    coords = {name: ("volume", volumes[name].tolist()) for name in volumes}
    names = ("subject", "run", "onset", "duration", "stimulus")
    coords |= {f"event_{name}": ("event", events[name].tolist()) for name in names}
    bold = np.zeros((len(volumes), 1)) if bold is None else bold
    return xr.Dataset(
        {"bold": (("volume", "parcel"), bold.astype(np.float32))},
        coords | clock.coordinates(),
        {"t_r": clock.t_r, "source": "made here", **attrs},
    )


def runs_of(orders, n_volumes, step, first=0.0):
    """One run a subject: stimuli in its order, ``step`` s apart."""
    return [
        (f"sub-{s}", "run-1", n_volumes, [(first + step * n, k) for n, k in enumerate(order)])
        for s, order in enumerate(orders)
    ]


# ---- which volume is of which TR -----------------------------------------------------------------


@settings(deadline=None, max_examples=80)
@given(
    t_r=st.sampled_from(TRS),
    durations=st.lists(st.floats(3.0, 14.0), min_size=2, max_size=5),
    silences=st.lists(st.sampled_from([0.0, 0.3, 1.5, 4.01, 12.0]), min_size=5, max_size=5),
    first=st.floats(0.0, 9.0),
    order=st.permutations([0, 1, 2, 3, 4]),
)
def test_each_tr_of_a_stimulus_is_scanned_within_it(t_r, durations, silences, first, order):
    clock = StimulusClock.lay_out([f"s{n}" for n in range(len(durations))], durations, t_r)
    shown, onset = [], first
    for k in [*(k for k in order if k < len(durations)), 0]:  # one comes twice
        shown.append((onset, k))
        onset += clock.durations[k] + silences[k]
    scans = make_scans(clock, [("sub-1", "run-1", int(onset / t_r) + 3, shown)])
    match = match_scans(scans, t_r, clock.n_film_trs)
    presented = dict(enumerate(shown))
    scan_time, moments = scans["scan_time"].values, []
    for repeat in match.repeats[0]:
        for tr, k, volume in zip(match.trs, match.stimulus, repeat, strict=True):
            if volume < 0:
                continue
            own = [scan_time[volume] - on for on, j in presented.values() if j == k]
            within = [t for t in own if -1e-6 <= t < clock.durations[k]]
            assert len(within) == 1  # it was on then
            moments.append(within[0] - (tr - clock.first_trs[k]) * t_r)
    moments = np.array(moments)
    middle = np.median(moments)
    assert (np.abs(moments - middle) <= t_r).all()
    # no stimulus lacks more than the TR at its beginning or end
    n_seen = np.bincount(match.stimulus, minlength=len(clock.names))
    assert (n_seen >= clock.n_trs - 1).all()
    assert (np.diff(match.trs) > 0).all()


@pytest.mark.parametrize("t_r", TRS)
def test_onsets_at_any_moment_lose_no_tr(t_r):
    """The middle of the TR is the shared moment: a volume is of the TR in which it was taken."""
    n = 24
    clock = StimulusClock.lay_out([f"s{k}" for k in range(n)], np.full(n, 7 * t_r), t_r)
    rng = np.random.default_rng(1)
    onsets = np.arange(n) * 9 * t_r + rng.uniform(0, t_r, n)
    scans = make_scans(
        clock, [("sub-1", "run-1", n * 9 + 2, [*zip(onsets, range(n), strict=True)])]
    )
    match = match_scans(scans, t_r, clock.n_film_trs)
    assert np.bincount(match.stimulus).tolist() == [7] * n
    since = scans["scan_time"].values[match.volumes[0]] - onsets[match.stimulus]
    assert np.array_equal(np.floor(since / t_r), match.trs - clock.first_trs[match.stimulus])
    assert any("from one moment of the TR" in line for line in match.warnings)


def test_onsets_that_differ_by_milliseconds_do_not_come_a_tr_apart():
    clock = StimulusClock.lay_out(["a", "b", "c"], [15.0, 15.0, 15.0], 1.5)
    shown = [(0.0, 0), (15.002, 1), (29.998, 2), (45.001, 0)]
    match = match_scans(make_scans(clock, [("sub-1", "run-1", 41, shown)]), 1.5, clock.n_film_trs)
    assert match.volumes[0].tolist()[:10] == list(range(10))
    of_b = match.volumes[0][match.stimulus == 1]
    assert of_b.tolist() == list(range(11, 20))  # its first volume was taken 2 ms before it
    assert match.volumes[0][match.stimulus == 2].tolist() == list(range(20, 30))
    assert match.repeats[0, 1][match.stimulus == 0].tolist() == [-1, *range(31, 40)]


def test_subjects_with_other_orders_have_their_own_volumes():
    clock = StimulusClock.lay_out(["a", "b", "c"], [6.0, 6.0, 7.4], 1.5)
    scans = make_scans(clock, runs_of([[0, 1, 2], [2, 1, 0]], 20, 9.0))
    match = match_scans(scans, 1.5, clock.n_film_trs)
    assert match.stimulus.tolist() == [0] * 4 + [1] * 4 + [2] * 4  # 7.4 s hold four whole TRs
    assert match.volumes[0].tolist() == [0, 1, 2, 3, 6, 7, 8, 9, 12, 13, 14, 15]
    assert match.volumes[1].tolist() == [32, 33, 34, 35, 26, 27, 28, 29, 20, 21, 22, 23]
    assert set(match.runs) == {"run-1"}


def test_what_one_person_was_not_shown_is_used_in_nobody():
    clock = StimulusClock.lay_out(["a", "b", "c"], [6.0, 6.0, 6.0], 1.5)
    match = match_scans(make_scans(clock, runs_of([[0, 1, 2], [2, 0]], 20, 9.0)), 1.5, 99)
    assert match.stimulus.tolist() == [0] * 4 + [2] * 4
    assert (match.volumes >= 0).all()
    assert any(line.startswith("b not used: not scanned in everyone") for line in match.warnings)


def test_stimuli_in_other_runs_of_other_people_are_in_one_run():
    clock = StimulusClock.lay_out(["a", "b"], [6.0, 6.0], 1.5)
    runs = [
        *[("sub-1", f"run-{k + 1}", 6, [(0.0, k)]) for k in range(2)],
        *[("sub-2", f"run-{k + 1}", 6, [(0.0, 1 - k)]) for k in range(2)],
    ]
    assert set(match_scans(make_scans(clock, runs), 1.5, 20).runs) == {"run-1", "run-2"}
    runs[2:] = [("sub-2", "run-1", 14, [(0.0, 0), (9.0, 1)])]
    assert set(match_scans(make_scans(clock, runs), 1.5, 20).runs) == {ONE_RUN}


def test_repeats_are_averaged_on_request_and_the_first_is_used_else():
    clock = StimulusClock.lay_out(["a", "b"], [6.0, 6.0], 1.5)
    runs = runs_of([[0, 1, 0, 0]], 30, 9.0)
    bold = np.arange(30.0)[:, None]
    first = match_scans(make_scans(clock, runs, bold), 1.5, clock.n_film_trs)
    assert first.take(bold)[0, :, 0].tolist() == [0, 1, 2, 3, 6, 7, 8, 9]
    mean = match_scans(make_scans(clock, runs, bold, average_repeats=1), 1.5, clock.n_film_trs)
    expected = [(0 + 12 + 18) / 3 + n for n in range(4)]
    assert mean.take(bold)[0, :, 0].tolist() == [*expected, 6, 7, 8, 9]
    assert "1 of 2 stimuli were presented 3 times or fewer: the mean" in mean.warnings[0]


# ---- regressors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["spm", "glover", "fir", "none"])
@pytest.mark.parametrize("t_r", [0.72, 1.5, 2.2])
def test_regressors_are_those_of_the_runs_own_sound(model, t_r):
    """As if what was heard in the run, silence included, were one film."""
    clock = StimulusClock.lay_out(["a", "b", "c"], [6.6, 8.8, 13.2], t_r)
    rate = 100 / t_r
    shown = [(4.4, 2), (17.6, 0), (29.92, 1), (40.7, 0)]  # the first two follow each other
    shown = [(round(onset * rate) / rate, k) for onset, k in shown]
    scans = make_scans(clock, [("sub-1", "run-1", 60, shown)], start_time=0.3137)
    rng = np.random.default_rng(0)
    values = rng.uniform(0, 1, (clock.n_film_trs * 100, 2))  # silence has values, too
    heard = np.zeros((round(200 * rate), 2))
    for onset, k in shown:
        begin, n = round(clock.begins[k] * rate), int(np.ceil(clock.durations[k] * rate - 1e-4))
        at = round(onset * rate)
        heard[at : at + n] += values[begin : begin + n]
    lags = (2.2, 5.0) if model == "fir" else ()
    times = scans["scan_time"].values
    expected = convolve_hrf(heard, rate, times, model, lags=lags, width=t_r)
    regressors = regress(values, rate, scans, t_r, model, lags)
    assert np.abs(regressors - expected).max() < 1e-5


@pytest.mark.parametrize(("model", "lags"), [("spm", ()), ("fir", (0.0, 1.5, 4.5, 6.0))])
@pytest.mark.parametrize("start_time", [0.0, 0.75, 1.45])
def test_no_lag_crosses_into_another_stimulus_unless_asked(model, lags, start_time):
    """Identities: of one event alone, of their sum, and of one film of all in their order."""
    clock = StimulusClock.lay_out(["a", "b", "c"], [6.0, 4.5, 7.5], 1.5)
    values = np.random.default_rng(0).normal(0, 1, (clock.n_film_trs, 2))
    shown, n = [(0.0, 1), (4.5, 0), (16.5, 2), (24.0, 1)], 40

    def regressors(events, **attrs):
        scans = make_scans(clock, [("sub-1", "run-1", n, events)], start_time=start_time, **attrs)
        return regress(values, 1 / 1.5, scans, 1.5, model, lags)

    alone = [regressors([event]) for event in shown]
    apart = regressors(shown, carry_over=0)
    together = regressors(shown, carry_over=1)
    late = 1 if start_time > 1.4 else 0  # volumes just before an onset are of what begins there
    first = [round(onset / 1.5) - late for onset, _ in shown]
    for event, begin, end in zip(alone, first, [*first[1:], n], strict=True):
        own = slice(max(begin, 0), end)
        np.testing.assert_allclose(apart[own], event[own], atol=1e-6)
    np.testing.assert_allclose(together, np.sum(alone, axis=0), atol=1e-5)
    assert np.abs(together - apart).max() > 0.1
    film, here = np.zeros((n, 2)), {k: slice(clock.first_trs[k], None) for k in range(3)}
    for onset, k in shown:
        own = values[here[k]][: clock.n_trs[k]]
        film[round(onset / 1.5) : round(onset / 1.5) + len(own)] = own
    one = convolve_hrf(film, 1 / 1.5, start_time + np.arange(n) * 1.5, model, lags=lags, width=1.5)
    np.testing.assert_allclose(together, one, atol=1e-5)


@pytest.mark.parametrize(("duration", "n_begun"), [(2.9, 2), (5.0, 3), (4.0, 2), (2.1, 2)])
@pytest.mark.parametrize("carry_over", [0, 1])
def test_the_last_tr_of_a_stimulus_counts_where_it_is_begun(duration, n_begun, carry_over):
    """Words and notes of a TR that a stimulus does not fill have their response, too."""
    clock = StimulusClock.lay_out(["a", "b"], [duration] * 2, t_r=2.0)
    scans = make_scans(clock, [("sub-1", "run-1", 30, [(4.0, 0), (40.0, 1)])])
    scans.attrs["carry_over"] = carry_over
    words = np.zeros((clock.n_film_trs, 1))
    words[:n_begun] = 1
    ours = regress(words, 0.5, scans, 2.0, "spm")
    on_scan = np.zeros((30, 1))
    on_scan[2 : 2 + n_begun] = 1
    theirs = convolve_hrf(on_scan, 0.5, np.arange(30) * 2.0, "spm", width=2.0)
    np.testing.assert_allclose(ours[:20], theirs[:20], atol=1e-6)


def test_stimuli_that_follow_each_other_without_carry_over_are_warned_of():
    clock = StimulusClock.lay_out(["a", "b"], [12.0, 12.0], 1.5)
    runs = runs_of([(0, 1), (1, 0)], 40, 13.5)
    lines = match_scans(make_scans(clock, runs, carry_over=0), 1.5, 20).warnings
    assert lines == [
        "2 of 4 presentations begin within 12 s of the one before: BOLD still has its response, "
        "regressors do not (events.carry_over: true)"
    ]
    assert not match_scans(make_scans(clock, runs, carry_over=1), 1.5, 20).warnings
    far = runs_of([(0, 1), (1, 0)], 40, 27.0)
    assert not match_scans(make_scans(clock, far, carry_over=0), 1.5, 20).warnings


def test_what_was_heard_before_the_first_volume_has_its_response():
    """Ten volumes were cut off: the first sound is in none of the scans, but its response is."""
    clock = StimulusClock.lay_out(["a", "b"], [15.0, 15.0], 1.5)
    shown = [(0.0, 0), (15.0, 1)]
    whole = make_scans(clock, [("sub-1", "run-1", 25, shown)])
    cut = make_scans(clock, [("sub-1", "run-1", 15, shown)], start_time=15.0)
    values = np.ones((clock.n_film_trs, 1))
    regressors = [regress(values, 1 / 1.5, scans, 1.5, "spm") for scans in (whole, cut)]
    assert np.allclose(regressors[0][10:], regressors[1])
    assert regressors[1][0] > 0.5


def test_costs_grow_with_the_number_of_stimuli():
    """Runs of 40: a thousand stimuli cost ten times a hundred, not a hundred times."""

    def seconds(n):
        clock = StimulusClock.lay_out([f"s{k}" for k in range(n)], np.full(n, 15.0), 1.5)
        runs = [
            ("sub-1", f"run-{r}", 400, [(15.0 * k, 40 * r + k) for k in range(40)])
            for r in range(n // 40)
        ]
        scans, values = make_scans(clock, runs), np.ones((clock.n_film_trs, 4))
        begin = time.process_time()
        match_scans(scans, 1.5, clock.n_film_trs)
        regress(values, 1 / 1.5, scans, 1.5, "spm")
        return time.process_time() - begin

    seconds(40)
    assert seconds(1000) < 25 * seconds(120)  # 8 times as many


# ---- parts ---------------------------------------------------------------------------------------

CLOCK = StimulusClock.lay_out([f"s{k}" for k in range(10)], np.full(10, 15.0), 1.5)


def parts_of(scans, **splits):
    match = match_scans(scans, 1.5, CLOCK.n_film_trs)
    part = split_match(scans, match, 1.5, SplitConfig(**splits))
    return {name: set(part[match.stimulus == k]) for k, name in enumerate(CLOCK.names)}


def two_runs():
    """Stimuli 0 to 7 in one run, 8 and 9 in another; the order differs between people."""
    return [
        run
        for s, order in enumerate([range(8), range(7, -1, -1)])
        for run in (
            (f"sub-{s}", "run-1", 90, [(15.0 * n, k) for n, k in enumerate(order)]),
            (f"sub-{s}", "run-2", 50, [(15.0 * n, k) for n, k in enumerate([8, 9, 8])]),
        )
    ]


def test_parts_hold_whole_stimuli_and_the_gap_lies_in_a_run():
    scans = make_scans(CLOCK, two_runs())
    parts = parts_of(scans, test_runs=["run-2"], validation=0.125, gap_seconds=0)
    assert [parts[f"s{k}"] for k in (8, 9)] == [{"test"}] * 2
    assert parts["s3"] == {"validation"}
    assert all(parts[f"s{k}"] == {"train"} for k in range(8) if k != 3)
    parts = parts_of(scans, test_runs=["run-2"], validation=0.125, gap_seconds=15)
    assert parts["s2"] == parts["s4"] == {"gap"}  # beside s3 in both; the test run has none
    assert parts["s1"] == parts["s5"] == {"train"}
    parts = parts_of(scans, test_stimuli=["s3", "s8"], validation_stimuli=["s5"], gap_seconds=3)
    assert parts["s3"] == parts["s8"] == {"test"}
    assert parts["s5"] == {"validation"}
    assert parts["s4"] == parts["s2"] == {"train", "gap"}


def test_validation_keeps_its_distance_from_the_test():
    scans = make_scans(CLOCK, two_runs())
    named = {"test_stimuli": ["s3"], "validation_stimuli": ["s4"]}
    assert parts_of(scans, **named, gap_seconds=6)["s4"] == {"validation", "gap"}
    assert parts_of(scans, **named, gap_seconds=0)["s4"] == {"validation"}


@pytest.mark.parametrize("average", [0, 1])
def test_where_repeats_are_averaged_each_keeps_its_distance(average):
    """Stimulus 0 is shown again beside the one that is tested."""
    scans = make_scans(CLOCK, runs_of([[*range(10), 0]], 170, 15.0), average_repeats=average)
    named = {"test_stimuli": ["s9"], "validation_stimuli": ["s5"]}
    parts = parts_of(scans, **named, gap_seconds=6)
    assert parts["s0"] == ({"train", "gap"} if average else {"train"})


def test_without_names_stimuli_are_held_out_that_are_spread_over_the_table():
    """A folder is sorted by name: its last stimuli may be of a genre that nothing else is of."""
    parts = parts_of(make_scans(CLOCK, two_runs()), gap_seconds=0)
    assert [name for name, part in parts.items() if part == {"test"}] == ["s2", "s7"]
    assert [name for name, part in parts.items() if part == {"validation"}] == ["s5"]


@settings(deadline=None, max_examples=40)
@given(
    n_trs=st.lists(st.integers(1, 12), min_size=4, max_size=40),
    share=st.sampled_from([0.1, 0.2, 0.5]),
)
def test_a_share_is_spread_evenly_whatever_lengths_stimuli_have(n_trs, share):
    labels = np.repeat(np.arange(len(n_trs)), n_trs)
    chosen = spread_by_share(labels, np.arange(len(n_trs)), share)
    assert len(chosen) >= 1
    is_chosen = np.isin(labels, chosen)
    if len(chosen) > 1:  # of one, the share may be smaller than any
        assert abs(is_chosen.sum() - share * len(labels)) <= max(n_trs)
        behind = np.cumsum(is_chosen) - share * np.arange(1, len(labels) + 1)
        assert np.abs(behind).max() <= max(n_trs)
    equal = spread_by_share(np.arange(len(n_trs)), np.arange(len(n_trs)), share)
    last = last_by_share(np.arange(len(n_trs)), np.arange(len(n_trs)), share)
    assert len(equal) == len(last)


def test_where_gaps_around_spread_stimuli_leave_little_the_last_are_held_out():
    """All in the order of the table, in one run: each test stimulus has a gap on both sides."""
    clock = StimulusClock.lay_out([f"s{k:02}" for k in range(40)], [15.0] * 40, 1.5)
    scans = make_scans(clock, runs_of([range(40)] * 2, 405, 15.0))
    match, lines = match_scans(scans, 1.5, clock.n_film_trs), []
    part = split_match(scans, match, 1.5, SplitConfig(gap_seconds=20), lines=lines)
    assert (part[match.stimulus >= 32] == "test").all()
    assert "test" not in part[match.stimulus < 32]
    assert "stimuli that are held out by share are the last of the table" in lines[0]
    lines.clear()
    split_match(scans, match, 1.5, SplitConfig(gap_seconds=0), lines=lines)
    assert not lines


def test_excerpts_that_share_seconds_are_held_out_together():
    files, starts = list("abcdefgghi"), [0.0] * 7 + [5.0, 0.0, 0.0]
    clock = StimulusClock.lay_out(CLOCK.names, CLOCK.durations, 1.5, files=files, starts=starts)
    scans = make_scans(clock, two_runs())
    match = match_scans(scans, 1.5, clock.n_film_trs)
    part = split_match(scans, match, 1.5, SplitConfig(gap_seconds=0))
    assert set(part[match.stimulus == 6]) == set(part[match.stimulus == 7])
    assert set(part) == {"train", "validation", "test"}
    named = {"test_stimuli": ["s0"], "validation_stimuli": ["s7"], "gap_seconds": 0}
    with pytest.raises(GibletError, match="validation stimulus s7 also trains, in s6: both are of"):
        split_match(scans, match, 1.5, SplitConfig(**named))


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"test_stimuli": ["s11"]}, "splits.test_stimuli: no stimulus s11; did you mean s1"),
        ({"test_runs": ["run-3"]}, "splits.test_runs: no run run-3 in the scan; did you mean"),
        (
            {"test_stimuli": ["s1"], "validation_stimuli": ["s*"]},
            "stimulus s1 is to test and to validate",
        ),
        ({"test_stimuli": ["s*"]}, "too few TRs of stimuli"),
        ({"test_runs": ["run-2"], "gap_seconds": 200}, "too few TRs of stimuli: 20 to test"),
    ],
)
def test_parts_that_cannot_be(splits, message):
    with pytest.raises(GibletError, match=message) as caught:
        parts_of(make_scans(CLOCK, two_runs()), **splits)
    assert "\n" not in str(caught.value)


def test_a_test_stimulus_that_also_trains_is_refused():
    runs = [*two_runs(), ("sub-1", "run-3", 20, [(0.0, 9)])]
    with pytest.raises(GibletError, match="stimulus s9 of these runs is in run-3, too"):
        parts_of(make_scans(CLOCK, runs), test_runs=["run-2"])


def test_a_test_stimulus_whose_seconds_also_train_is_refused():
    files = [f"file {k}" for k in range(9)] + ["file 3"]

    def clock(start):
        starts = [*[0.0] * 9, start]
        return StimulusClock.lay_out(CLOCK.names, CLOCK.durations.tolist(), 1.5, files, starts)

    with pytest.raises(
        GibletError, match="test stimulus s9 also trains, in s3: both are of file 3"
    ):
        parts_of(make_scans(clock(14.0), two_runs()), test_runs=["run-2"], gap_seconds=0)
    parts_of(make_scans(clock(15.0), two_runs()), test_runs=["run-2"], gap_seconds=0)


# ---- aligned, lags, scores -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def heard():
    """Features of ten stimuli, and brains that hear them: a shared response, and noise."""
    rng = np.random.default_rng(3)
    features = rng.normal(size=(CLOCK.n_film_trs, 2)).astype(np.float32)
    runs = [
        (f"sub-{s}", f"run-{r}", 60, [(15.0 * n, k) for n, k in enumerate(order[::step])])
        for s, step in enumerate([1, -1])
        for r, order in enumerate([range(4), range(4, 7), range(7, 10)])
    ]
    scans = make_scans(CLOCK, runs)
    regressors = regress(features, 1 / 1.5, scans, 1.5, "spm")
    signal = regressors @ np.array([[1.0, 0.0], [0.0, 0.0]])
    bold = 3 * signal + rng.normal(0, signal[:, :1].std(), signal.shape)
    scans["bold"] = (("volume", "parcel"), bold.astype(np.float32))
    film = xr.Dataset(
        {"audio": (("tr", "row", "frame"), features[:, :, None])},
        attrs={"t_r": 1.5, "encoding_mode": "mel"},
    )
    blurred = xr.Dataset({"regressors": (("volume", "feature"), regressors)})
    blurred.attrs.update(n_trs=CLOCK.n_film_trs, hrf_model="spm", fir_lags_seconds=[])
    return film, scans, blurred


def test_lags_do_not_reach_into_another_stimulus(heard):
    film, scans, blurred = heard
    aligned = align([film], scans, [blurred], 1.5, SplitConfig(gap_seconds=0))
    assert aligned["stimulus"].values.tolist() == np.repeat(CLOCK.names, 10).tolist()
    data = film_data(aligned)
    assert len(set(data.run)) == 10  # one label a stimulus, though parts touch
    later = lagged(np.arange(1.0, 101.0)[:, None], data.run, range(3, 4))[:, 0]
    assert (later.reshape(10, 10)[:, 7:] == 0).all()
    assert (later.reshape(10, 10)[:, :7] > 0).all()
    assert {len(stretch) for stretch in data.stretches("train")} == {10}


@pytest.mark.parametrize("carry_over", [0, 1])
def test_regressors_carry_over_and_the_models_windows_do_not(heard, carry_over):
    """The blurred inputs of the model (`hrf_placement: inputs`) are those of the regressors."""
    film, scans, _ = heard
    scans = scans.assign_attrs(carry_over=carry_over)
    values = np.zeros((CLOCK.n_film_trs, 1), dtype=np.float32)
    values[CLOCK.first_trs[0] : CLOCK.first_trs[0] + 10] = 1  # s0 alone; s1 follows in both
    regressors = regress(values, 1 / 1.5, scans, 1.5, "spm")
    blurred = xr.Dataset({"regressors": (("volume", "feature"), regressors)})
    aligned = align([film], scans, [blurred], 1.5, SplitConfig(gap_seconds=0))
    data = film_data(aligned, blurred=True)
    heard_first, after = aligned["stimulus"].values == "s0", aligned["stimulus"].values == "s1"
    response = aligned["regressors"].values[0, :, 0]  # sub-0: s1 comes after s0
    assert np.abs(response[heard_first]).max() > 0.5
    assert (np.abs(response[after]).max() > 0.3) == bool(carry_over)
    rest = data.film["blurred"][~heard_first, 0]
    assert (rest.max() - rest.min() > 0.1).item() == bool(carry_over)
    assert not set(data.run[heard_first]) & set(data.run[after])
    (window,) = [w for w in windows(data, "train", 40, 20) if w[0] == 0]
    assert len(window) == 10


def test_a_test_stimulus_of_music_that_also_trains_is_warned_of(heard):
    film, scans, blurred = heard
    splits = SplitConfig(test_stimuli=["s8", "s9"], validation_stimuli=["s7"], gap_seconds=0)
    music = np.array([0, 1, 2, 3, 4, 5, 6, 0, 8, 3])

    def lines(music):
        aligned = align([film], scans, [blurred], 1.5, splits, music=music)
        return [line for line in aligned.attrs["warnings"] if "score" in line]

    assert lines(music) == [
        "1 test stimuli have the score of stimuli that train: s9 (of s3); name both in "
        "splits.test_stimuli, or neither"
    ]
    music[3] = 7  # s9 alone has it: nothing of it trains
    assert lines(music) == lines(None) == []
    music[7] = 3  # s7 validates, and does not train
    assert lines(music) == []


def test_the_share_that_repeats_is_that_of_the_signal():
    rng = np.random.default_rng(5)
    runs = runs_of([[0, 1, 2, 3] * 4], 170, 15.0)
    scans = make_scans(CLOCK, runs, rng.normal(size=(170, 3)))
    of_tr = np.tile(rng.normal(size=(40, 1)), (4, 1))
    scans["bold"].values[:160, 1:] += of_tr  # half of the variance
    scans["bold"].values[:160, 2:] += 3 * of_tr  # 16 of 17
    quality = brain_quality(scans, {}, 1.5)
    share = quality["repeat_variance"].values[0]
    assert np.abs(share - [0, 0.5, 16 / 17]).max() < 0.15
    assert "isc" not in quality


def test_the_share_is_of_what_was_repeated_and_its_ceiling_grows_with_repeats():
    """Two stimuli four times, the others once: TRs that were scanned once say nothing."""
    rng = np.random.default_rng(6)
    order = [*[0, 1] * 4, *range(2, 10)]
    scans = make_scans(CLOCK, runs_of([order], 170, 15.0), rng.normal(size=(170, 2)))
    scans["bold"].values[:80] += 2 * np.tile(rng.normal(size=(20, 2)), (4, 1))  # 4 of 5
    quality = brain_quality(scans, {}, 1.5)
    share = quality["repeat_variance"].values[0].astype(float)
    assert np.abs(share - 0.8).max() < 0.1
    assert quality["n_repeats"].values.tolist() == [4]
    ceilings = quality["ceiling_single"].values[0], quality["ceiling_repeats"].values[0]
    np.testing.assert_allclose(ceilings[0], np.sqrt(share), rtol=1e-5)
    np.testing.assert_allclose(ceilings[1], np.sqrt(4 * share / (1 + 3 * share)), rtol=1e-5)


def test_ridge_finds_what_each_heard_in_its_own_order(heard):
    _, scans, blurred = heard
    options = {"n_permutations": 20, "n_shifts": 50, "n_iter": 2}
    quality = brain_quality(scans, {"mel": blurred}, 1.5, **options)
    r = quality["r_mel"].values  # (subject, voxel)
    assert (r[:, 0] > 0.6).all()
    assert (np.abs(r[:, 1]) < 0.3).all()


def fold_parts(scans, n_folds, clock=CLOCK, music=None):
    match = match_scans(scans, 1.5, clock.n_film_trs)
    splits = SplitConfig(folds=n_folds, gap_seconds=6)
    for fold in range(1, n_folds + 1):
        part = split_match(scans, match, 1.5, splits, fold, music=music)
        yield part, {clock.names[k] for k in match.stimulus[part == "test"]}


def test_folds_are_of_whole_stimuli_in_the_order_in_which_they_were_shown():
    tested = [test for _part, test in fold_parts(make_scans(CLOCK, two_runs()), 3)]
    assert tested == [{"s0", "s1", "s2", "s3"}, {"s4", "s5", "s6"}, {"s7", "s8", "s9"}]


def test_folds_follow_the_numbers_of_runs_not_their_files():
    """As names without zeros sort: run-1, run-10, run-2, as files lie in a folder."""
    shown = {"run-1": [0, 1, 2], "run-10": [7, 8, 9], "run-2": [3, 4, 5, 6]}
    runs = [
        ("sub-0", run, 70, [(15.0 * n, k) for n, k in enumerate(stimuli)])
        for run, stimuli in shown.items()
    ]
    scans = make_scans(CLOCK, runs)
    tested = [test for _part, test in fold_parts(scans, 3)]
    assert tested == [{"s0", "s1", "s2", "s3"}, {"s4", "s5", "s6"}, {"s7", "s8", "s9"}]
    match = match_scans(scans, 1.5, CLOCK.n_film_trs)
    assert (np.diff(shown_at(scans, match.repeats)) > 0).all()


def test_excerpts_that_share_seconds_are_in_one_fold():
    files = {"files": ["film.wav"] * 6, "starts": [0.0, 40.0, 10.0, 60.0, 80.0, 100.0]}
    clock = StimulusClock.lay_out([*"abcdef"], np.full(6, 15.0), 1.5, **files)
    scans = make_scans(clock, runs_of([range(6)], 90, 15.0))
    tested = [test for _part, test in fold_parts(scans, 2, clock)]
    assert tested == [{"a", "b", "c", "d"}, {"e", "f"}]
    with pytest.raises(GibletError, match="share no seconds and no score: of 6 there are 5"):
        list(fold_parts(scans, 6, clock))


def test_recordings_of_one_score_are_in_one_fold():
    """s0 and s5 are of one score, s4 and s9 of another."""
    scans, music = make_scans(CLOCK, two_runs()), np.array([0, 1, 2, 3, 4, 0, 6, 7, 8, 4])
    tested = [test for _part, test in fold_parts(scans, 3, music=music)]
    assert tested == [{"s1", "s2", "s3"}, {"s0", "s5", "s6", "s7"}, {"s4", "s8", "s9"}]
    with pytest.raises(GibletError, match=r"9 folds need as many .*: of 10 there are 8"):
        list(fold_parts(scans, 9, music=music))


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_groups_are_those_of_a_brute_force_search(data):
    """Of a random table: whoever shares seconds or music with a member is a member."""
    n = data.draw(st.integers(1, 9))

    def column(values):
        return data.draw(st.lists(values, min_size=n, max_size=n))

    files, starts = column(st.sampled_from("ab")), column(st.integers(0, 40))
    lengths, music = column(st.integers(4, 20)), np.array(column(st.integers(0, 6)))
    columns = ([f"s{k}" for k in range(n)], np.array(lengths, float), 1.5, files, starts)
    clock = StimulusClock.lay_out(*columns)
    present = data.draw(st.permutations(range(n)).map(lambda k: k[: len(k) // 2 + 1]))
    stimulus, shown = np.repeat(present, 2), np.arange(2 * len(present))
    mixed = np.array(data.draw(st.permutations(range(len(shown)))))

    def share(j, k, music):
        latest, earliest = max(starts[j], starts[k]), min(starts[i] + lengths[i] for i in (j, k))
        same = music is not None and music[j] == music[k]
        return same or (files[j] == files[k] and latest < earliest)

    for known in (None, music):
        groups = stimulus_groups(shown[mixed], stimulus[mixed], clock, known)
        expected = [{k} for k in present]
        while True:
            pairs = [(a, b) for a in expected for b in expected if a is not b]
            joined = [(a, b) for a, b in pairs if any(share(j, k, known) for j in a for k in b)]
            if not joined:
                break
            a, b = joined[0]
            expected = [group for group in expected if group is not a and group is not b] + [a | b]
        expected.sort(key=lambda group: max(map(present.index, group)))
        assert [set(group) for group in groups] == expected
        assert all(sorted(group, key=present.index) == group for group in groups)


def test_the_first_presentation_is_that_of_the_first_run_by_number():
    runs = [("sub-0", f"run-{r}", 20, [(0.0, 0), (15.0, 1)]) for r in (10, 2)]
    scans = make_scans(CLOCK, runs)
    first = match_scans(scans, 1.5, CLOCK.n_film_trs).volumes
    assert set(scans["run"].values[first].ravel()) == {"run-2"}


# ---- folds of ridge ------------------------------------------------------------------------------

MANY = StimulusClock.lay_out([f"s{k}" for k in range(24)], np.full(24, 15.0), 1.5)


def folds_of(runs, clock=MANY, n_folds=1, music=None, **attrs):
    scans = make_scans(clock, runs, **attrs)
    match = match_scans(scans, 1.5, clock.n_film_trs)
    folds, warnings = ridge_folds(match, scans, 1.5, n_folds, music)
    return scans, match, folds, warnings


def check_folds(scans, match, folds):
    """No stimulus trains and is tested, and none that trains was scanned soon before or after."""
    time, subject, run = (scans[name].values for name in ("scan_time", "subject", "run"))
    pairs = [(fold.train, fold.test) for fold in folds]
    for train, test in pairs + [inner for fold in folds for inner in fold.inner]:
        assert len(train)
        assert not set(match.stimulus[train]) & set(match.stimulus[test])
        for a in match.volumes[:, train].ravel():
            tested = match.repeats[:, :, test].ravel()
            tested = tested[tested >= 0]
            here = tested[(subject[tested] == subject[a]) & (run[tested] == run[a])]
            assert not len(here) or np.abs(time[here] - time[a]).min() > HRF_SECONDS
    assert np.concatenate([fold.test for fold in folds]).tolist() != []
    tested = np.concatenate([fold.test for fold in folds])
    assert sorted(tested.tolist()) == list(range(len(match.trs)))


@pytest.mark.parametrize("n_folds", [1, 3])
def test_ridge_holds_out_whole_stimuli_of_one_run(n_folds):
    """In the order in which they were shown, which is not the film's."""
    order = np.random.default_rng(0).permutation(24)
    scans, match, folds, _ = folds_of(runs_of([order, order], 245, 15.0), n_folds=n_folds)
    assert len(folds) == (5 if n_folds == 1 else n_folds)
    check_folds(scans, match, folds)


def test_ridge_holds_out_whole_runs_where_people_share_them():
    runs = [
        (f"sub-{s}", f"run-{r}", 85, [(15.0 * n, k) for n, k in enumerate(order)])
        for s in range(2)
        for r in range(3)
        for order in [np.random.default_rng(s).permutation(8) + 8 * r]
    ]
    scans, match, folds, _ = folds_of(runs)
    assert [set(match.stimulus[fold.test]) for fold in folds] == [
        set(range(8)),
        set(range(8, 16)),
        set(range(16, 24)),
    ]
    check_folds(scans, match, folds)


def test_excerpts_that_share_seconds_are_in_one_fold_of_ridge_whatever_their_run():
    files = {"files": ["film.wav"] * 24, "starts": [*np.arange(12) * 20.0] * 2}
    clock = StimulusClock.lay_out([f"s{k}" for k in range(24)], np.full(24, 15.0), 1.5, **files)
    runs = [
        ("sub-0", f"run-{r}", 125, [(15.0 * n, 12 * r + n) for n in range(12)]) for r in range(2)
    ]
    scans, match, folds, _ = folds_of(runs, clock)
    assert folds
    check_folds(scans, match, folds)
    for fold in folds:
        assert not set(match.stimulus[fold.train] % 12) & set(match.stimulus[fold.test] % 12)


@pytest.mark.parametrize(("n_runs", "n_folds"), [(1, 1), (1, 3), (2, 1), (3, 3)])
def test_recordings_of_one_score_are_in_one_fold_of_ridge(n_runs, n_folds):
    """Each piece in two recordings, in other runs where there are several."""
    music, n_own = np.tile(np.arange(12), 2), 24 // n_runs
    runs = [
        ("sub-0", f"run-{r}", 10 * n_own + 5, [(15.0 * n, n_own * r + n) for n in range(n_own)])
        for r in range(n_runs)
    ]
    scans, match, folds, _ = folds_of(runs, n_folds=n_folds, music=music)
    assert len(folds) == (5 if n_folds == 1 else n_folds)
    check_folds(scans, match, folds)
    inner = [pair for fold in folds for pair in fold.inner]
    for train, test in [(fold.train, fold.test) for fold in folds] + inner:
        assert not set(music[match.stimulus[train]]) & set(music[match.stimulus[test]])


@pytest.mark.parametrize(
    ("n_music", "n_folds", "line"),
    [
        (1, 1, "2 folds need as many stimuli that share no seconds and no score: of 24 there is 1"),
        (2, 1, "2 folds need as many .*: of 12 that train there is 1"),
        (4, 5, "5 folds need as many .*: of 24 there are 4"),
    ],
)
def test_ridge_of_too_few_pieces_is_left_out(n_music, n_folds, line):
    runs = [("sub-0", f"run-{r}", 125, [(15.0 * n, 12 * r + n) for n in range(12)]) for r in (0, 1)]
    music = np.arange(24) * n_music // 24
    _, _, folds, (said,) = folds_of(runs, n_folds=n_folds, music=music)
    assert not folds
    assert re.fullmatch(f"ridge was left out: {line}", said)


def test_ridge_keeps_to_the_music_of_its_regressors(heard):
    """All ten are recordings of one score: nothing can be held out."""
    _, scans, blurred = heard
    options = {"n_permutations": 20, "n_shifts": 50, "n_iter": 2}
    one = blurred.assign_coords(stimulus_music=("stimulus", np.zeros(10, dtype=int)))
    quality = brain_quality(scans, {"mel": blurred, "score": one}, 1.5, **options)
    assert not [name for name in quality if str(name).startswith("r_")]
    (line,) = (line for line in quality.attrs["warnings"] if "ridge" in line)
    assert line.endswith("share no seconds and no score: of 10 there is 1")


def test_a_second_presentation_keeps_its_distance():
    """Stimulus 0 is shown again at the end, where it is tested with the others."""
    runs = runs_of([[*range(24), 0]], 255, 15.0)
    for average in (0, 1):
        scans, match, folds, _ = folds_of(runs, average_repeats=average)
        check_folds(scans, match, folds)
        assert 23 not in set(match.stimulus[folds[0].train])
        assert (0 in match.stimulus[folds[-1].train]) == (not average)  # its second counts, or not


def test_orders_that_leave_nothing_apart_have_no_ridge():
    orders = [np.random.default_rng(s).permutation(24) for s in range(6)]
    _, _, folds, (line,) = folds_of(runs_of(orders, 245, 15.0))
    assert not folds
    assert line.startswith("ridge was left out: too few TRs to hold some out")
    assert line.endswith("(as bold a table of one person's runs)")


# ---- silence after stimuli -----------------------------------------------------------------------


def short_sounds(rest, seconds=5.0, step=12.0):
    """SIMULATED: 40 short sounds with a feature each, and responses in two people."""
    clock = StimulusClock.lay_out([f"s{k:02}" for k in range(40)], [seconds] * 40, 1.5, rest=rest)
    scans = make_scans(clock, runs_of([range(40), range(40)], int(40 * step / 1.5) + 8, step))
    rng = np.random.default_rng(0)
    of_stimulus = rng.normal(size=(40, 2))
    film = np.zeros((clock.n_film_trs, 2))
    for k, first in enumerate(clock.first_trs):
        film[first : first + begun_trs(clock, k)] = of_stimulus[k]
    response = regress(film, 1 / 1.5, scans.assign_attrs(carry_over=1), 1.5, "spm")
    noise = rng.normal(size=(scans.sizes["volume"], 4))
    bold = response / response.std(axis=0) @ rng.normal(size=(2, 4)) + noise
    scans["bold"] = (("volume", "parcel"), bold.astype(np.float32))
    audio = xr.Dataset({"audio": (("tr", "row", "frame"), film[:, :, None])})
    audio.attrs.update(t_r=1.5, encoding_mode="mel")
    splits = SplitConfig(gap_seconds=0, test=0.25)
    blurred = xr.Dataset({"regressors": (("volume", "feature"), response)})
    return scans, align([audio], scans, [blurred], 1.5, splits), clock


@pytest.mark.parametrize("seconds", [2.0, 5.0])
def test_silence_after_short_sounds_lets_the_decoder_use_their_response(seconds):
    found = {}
    for rest in (0.0, 10.0):
        _, aligned, clock = short_sounds(rest, seconds)
        data = film_data(aligned)
        train, test = data.where("train"), data.where("test")
        code, own = aligned["audio"].values[:, :, 0], []
        for bold in data.bold.numpy():
            x = lagged(bold, data.run, range(2, 6))
            guess = fit_ridge(x[train], code[train]).predict(x[test])
            own += [correlate(guess[:, j], code[test, j]) for j in range(2)]
        found[rest] = np.mean(own)
        assert len(train) + len(test) <= clock.n_trs.sum()
    assert found[0.0] < 0.4 < 0.8 < found[10.0]


def correlate(one, other):
    return np.corrcoef(one, other)[0, 1] if one.std() > 1e-6 else 0.0


def test_silence_after_stimuli_is_neither_trained_on_nor_scored():
    """Sounds keep their parts and volumes; the rest ends where the next sound begins."""
    scans, with_rest, clock = short_sounds(10.0)
    _, without, short_clock = short_sounds(0.0)
    of_sound = clock.stimulus_of_trs(with_rest.sizes["tr"] * 9)[with_rest["tr"].values] >= 0
    assert (with_rest["part"].values[~of_sound] == "gap").all()
    for name in ("part", "stimulus", "run"):
        assert np.array_equal(with_rest[name].values[of_sound], without[name].values)
    assert np.array_equal(with_rest["bold"].values[:, of_sound], without["bold"].values)
    match = match_scans(scans, 1.5, clock.n_film_trs)
    assert np.array_equal(match.volumes[0], np.unique(match.volumes[0]))  # each volume once
    since = scans["scan_time"].values[match.volumes[0]] - 12.0 * match.stimulus
    assert since.min() == 0
    assert since.max() > 10  # of the 12 s between two onsets
    assert set(np.bincount(match.stimulus)) == {8, 10}  # the last one has 10 s of rest
    data = film_data(with_rest)
    later = lagged(data.bold[0].numpy(), data.run, range(4, 5))
    first = np.flatnonzero(np.diff(match.stimulus, prepend=-1))
    assert np.array_equal(later[first], data.bold[0].numpy()[first + 4])
    assert not any("shorter than the decoder" in line for line in match.warnings)
    lines = match_scans(short_sounds(0.0)[0], 1.5, short_clock.n_film_trs).warnings
    assert any(line.startswith("40 of 40 stimuli are shorter than the decoder") for line in lines)


@pytest.mark.parametrize("average", [0, 1])
def test_silence_is_of_the_showing_that_its_stimulus_is_of(average):
    """Two runs of the same stimuli; the next onset comes sooner in one, and not in all people's."""
    clock = StimulusClock.lay_out([f"s{k}" for k in range(6)], [5.0] * 6, 1.5, rest=10.0)
    runs = []
    for subject, steps in (("sub-1", (7.5, 15.0)), ("sub-2", (9.0, 13.5))):
        for run, step in zip(("run-1", "run-2"), steps, strict=True):
            runs.append((subject, run, 70, [(step * k, k) for k in range(6)]))
    scans = make_scans(clock, runs, average_repeats=average)
    match = match_scans(scans, 1.5, clock.n_film_trs)
    assert set(match.runs.tolist()) == {"run-1"}
    assert match.warnings[0].startswith("6 of 6 stimuli were presented 2 times or fewer")
    n_trs = np.bincount(match.stimulus)
    if average:
        assert (n_trs > 6).all()  # silence that one of the two runs has
    else:
        assert (scans["run"].values[match.volumes] == "run-1").all()
        assert n_trs[:-1].tolist() == [5] * 5  # up to the next onset in sub-1
