"""Many stimuli on one clock, and the events that present them."""

import time
import unicodedata
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from giblet.brain.stimulus_clock import StimulusClock
from giblet.brain.stimulus_events import read_stimulus_events
from giblet.config.name_template import template_columns
from giblet.errors import GibletError

TRS = (0.72, 0.8, 1.0, 1.49, 1.5, 2.0, 2.2)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(TRS), st.lists(st.floats(2.3, 40), min_size=1, max_size=12))
def test_stimuli_begin_with_a_tr_and_more_than_one_of_silence_follows(t_r, durations):
    names = [f"s{n}" for n in range(len(durations))]
    clock = StimulusClock.lay_out(names, durations, t_r)
    assert np.allclose(clock.begins / t_r, clock.first_trs, atol=1e-6)
    ends = clock.begins + durations
    silence = np.append(clock.begins[1:], clock.n_film_trs * t_r) - ends
    assert (silence >= t_r + 0.2 - 1e-6).all()
    assert (silence < 2 * t_r + 0.2).all()  # and not more than is needed
    of_tr = clock.stimulus_of_trs()
    edges = np.arange(len(of_tr) + 1) * t_r
    for tr, k in enumerate(of_tr):
        holds = (clock.begins <= edges[tr] + 1e-6) & (edges[tr + 1] <= ends + 1e-6)
        assert holds.any() == (k >= 0)
        assert k < 0 or holds[k]


def test_the_clock_is_the_same_after_saving(tmp_path):
    from giblet.io.tables import save_table

    clock = StimulusClock.lay_out(["001", "b.c"], [15.0, 3.3], 1.49)
    save_table(clock.table(), tmp_path / "clock.tsv")
    again = StimulusClock.read(tmp_path / "clock.tsv", 1.49)
    assert again.names == clock.names
    assert (again.first_trs == clock.first_trs).all()
    with pytest.raises(GibletError, match="another t_r than 2 s"):
        StimulusClock.read(tmp_path / "clock.tsv", 2.0)


def test_a_thousand_stimuli_cost_ten_times_a_hundred():
    def seconds(n):
        names = [f"s{k}" for k in range(n)]
        begin = time.process_time()
        for _ in range(5):
            clock = StimulusClock.lay_out(names, np.full(n, 15.0), 1.5)
            clock.stimulus_of_trs()
            [clock.find(name) for name in names]
        return time.process_time() - begin

    seconds(10)
    assert seconds(1000) < 40 * seconds(100) + 0.05  # quadratic: a hundredfold


def table(tmp_path, rows, columns=("onset", "duration", "stim_file")):
    pd.DataFrame(rows, columns=columns).to_csv(
        path := tmp_path / "events.tsv", sep="\t", index=False, na_rep="n/a"
    )
    return path


CLOCK = StimulusClock.lay_out(["pop.00032", "rain"], [15.0, 6.0], 1.5)


def read_as(path, template):
    return read_stimulus_events(path, replace(CLOCK, template=template))


def test_events_name_files_and_other_rows_are_left_out(tmp_path):
    rows = [(20, 6, "stimuli/rain.wav"), (3, 16, "pop.00032"), (9, 1, None), (60, 7, "rain")]
    events = read_stimulus_events(table(tmp_path, rows), CLOCK)
    assert events["onset"].tolist() == [3, 20, 60]
    assert events["stimulus"].tolist() == [0, 1, 1]
    assert events["duration"].tolist() == [15, 6, 6]
    assert events["stim_onset"].tolist() == [0, CLOCK.begins[1], CLOCK.begins[1]]


def test_rows_without_a_duration_that_repeat_a_stimulus_are_no_presentations(tmp_path):
    """BIDS tables repeat stim_file in rows of responses."""
    rows = [(0, 6, "rain"), (4, 0, "rain"), (9, 15, "pop.00032"), (13, None, "pop.00032")]
    events = read_stimulus_events(table(tmp_path, rows), CLOCK)
    assert events["onset"].tolist() == [0, 9]
    assert events["duration"].tolist() == [6, 15]
    (line,) = events.attrs["warnings"]
    assert "2 rows with duration 0 or n/a are left out, the first row 2" in line
    events = read_stimulus_events(table(tmp_path, [(0, 0, "rain"), (9, 15, "pop.00032")]), CLOCK)
    assert events["duration"].tolist() == [6, 15]
    assert "duration is 0 or n/a in 1 rows, the first is row 1" in events.attrs["warnings"][0]


def test_logged_onsets_that_overlap_by_less_than_a_tenth_of_a_second_cut_the_first(tmp_path):
    rows = [(0.0012, 6, "rain"), (6.0007, 15, "pop.00032"), (20.93, 6, "rain"), (40, 6, "rain")]
    events = read_stimulus_events(table(tmp_path, rows), CLOCK)
    np.testing.assert_allclose(events["duration"], [5.9995, 14.9293, 6, 6])
    (line,) = events.attrs["warnings"]
    assert "2 stimuli end up to 70.7 ms after the next one's onset" in line
    with pytest.raises(GibletError, match="two stimuli at once"):
        read_stimulus_events(table(tmp_path, [(0, 6, "rain"), (5.85, 6, "rain")]), CLOCK)
    with pytest.raises(GibletError, match="two stimuli at once"):
        read_stimulus_events(table(tmp_path, [(1, 6, "rain"), (1, 6, "rain")]), CLOCK)


def test_events_that_last_into_the_next_are_reported_though_their_stimuli_are_shorter(tmp_path):
    rows = [(7.5, 15, "pop.00032"), (0, 12, "rain"), (40, 20, "rain"), (60.05, 6, "rain")]
    events = read_stimulus_events(table(tmp_path, rows), CLOCK)
    assert events["duration"].tolist() == [6, 15, 6, 6]
    (line,) = events.attrs["warnings"]
    assert "1 events last into the next one, the first is row 2" in line


@pytest.mark.parametrize("name", ["none", "NA", "null", "nan"])
def test_a_stimulus_may_be_named_none(tmp_path, name):
    path = table(tmp_path, [(0, 6, "rain"), (9, 6, name), (18, 6, None)])
    clock = StimulusClock.lay_out(["rain", name], [6.0, 6.0], t_r=1.5)
    assert read_stimulus_events(path, clock)["stimulus"].tolist() == [0, 1]
    assert read_stimulus_events(path, CLOCK)["stimulus"].tolist() == [1]  # no such stimulus


def test_the_end_of_a_name_is_no_ending(tmp_path):
    """pop.00032 without its file is another stimulus than pop; 1.0 is how pandas writes 1."""
    clock = StimulusClock.lay_out(
        ["pop", "1", "hum.x2"], [6.0] * 3, t_r=1.5, files=["pop", "1", "b"]
    )
    assert [clock.find(name) for name in ("pop.WAV", "a/pop.mp3", "1.0", "hum.x2")] == [0, 0, 1, 2]
    for name in ("pop.00032", "pop.2", "1.5"):
        with pytest.raises(GibletError, match=f"no stimulus '{name}'"):
            clock.find(name)


def test_names_are_compared_as_they_look():
    """macOS stores letters with accents as two characters (NFD)."""
    stored, typed = (unicodedata.normalize(form, "über") for form in ("NFD", "NFC"))
    assert StimulusClock.lay_out([stored], [6.0], t_r=1.5).find(f"{typed}.wav") == 0
    assert StimulusClock.lay_out([typed], [6.0], t_r=1.5).find(f"{stored}.wav") == 0


def test_a_stimulus_from_its_middle_on_is_refused(tmp_path):
    columns = ("onset", "duration", "stim_file", "stim_onset")
    path = table(tmp_path, [(0, 15, "rain", 0), (20, 15, "rain", None)], columns)
    assert read_as(path, "{stim_file}")["onset"].tolist() == [0, 20]
    path = table(tmp_path, [(0, 15, "rain", 0), (20, 15, "rain", 2.5)], columns)
    with pytest.raises(GibletError, match=r"row 2: stim_onset is 2\.5: make a part of a stimulus"):
        read_as(path, "{stim_file}")


def test_a_template_makes_names_of_quoted_cells(tmp_path):
    columns = ("onset", "duration", "genre", "track")
    path = table(tmp_path, [(0, 15, "'pop'", 32)], columns)
    assert read_as(path, "{genre}.{track:0>5}")["stimulus"].tolist() == [0]
    with pytest.raises(GibletError, match=r"row 1: no stimulus 'pop.32'; did you mean pop.00032"):
        read_as(path, "{genre}.{track}")
    with pytest.raises(GibletError, match="no column genres; did you mean genre"):
        read_as(path, "{genres}")


@pytest.mark.parametrize("template", ["pop", "{}", "{0}", "{a.b}", "{a:d}", "{a"])
def test_templates_that_are_none(template):
    with pytest.raises(ValueError, match=r"in braces|filled|no template"):
        template_columns(template)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(0, 15, "wind")], r"row 1: no stimulus 'wind'; add it to stimuli, or write n/a"),
        ([(0, 5.8, "rain")], r"row 1: stimulus rain lasts 6 s, longer than its event \(5.8 s\)"),
        ([(0, 15, "pop.00032"), (14, 6, "rain")], r"two stimuli at once at 14 s: pop.00032 \(row"),
        ([("x", 6, "rain")], "onset is no number of seconds in row 1"),
        ([(None, 6, "rain")], "row 1: onset must be seconds"),
        ([(0, -6, "rain")], "row 1: duration must be seconds"),
        ([(0, 6, None)], "no row names a stimulus"),
    ],
)
def test_events_that_cannot_be(tmp_path, rows, message):
    with pytest.raises(GibletError, match=message) as caught:
        read_stimulus_events(table(tmp_path, rows), CLOCK)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("names", "durations", "message"),
    [
        (["a"], [1.4], r"stimulus a: lasts 1.4 s, less than one TR \(1.5 s\)"),
        (["a", "a"], [3, 3], "stimulus a: two have this name"),
        ([], [], "there are none"),
    ],
)
def test_stimuli_that_cannot_be(names, durations, message):
    with pytest.raises(GibletError, match=message):
        StimulusClock.lay_out(names, durations, 1.5)


def test_the_events_of_ds003720(shared):
    """Excerpts by genre, track and start, in quotes; every run of two people."""
    folder = shared / "real" / "OpenNeuroDatasets+ds003720"
    files = sorted(folder.glob("sub-*/func/*_events.tsv"))
    if not files:
        pytest.skip("the events of ds003720 are not there")
    tables = [pd.read_csv(file, sep="\t", dtype=str) for file in files]
    rows = pd.concat(tables)
    names = rows["genre"].str.strip("'") + "." + rows["track"].str.zfill(5) + "_" + rows["start"]
    names = names.drop_duplicates().tolist()
    clock = StimulusClock.lay_out(names, np.full(len(names), 15.0), 1.5)
    clock = replace(clock, template="{genre}.{track:0>5}_{start}")
    of_test = set()
    for file in files:
        events = read_stimulus_events(file, clock)
        assert len(events) == 41
        assert events["onset"].tolist() == [15.0 * n for n in range(41)]
        if "task-Test" in file.name:
            counts = events["stimulus"].value_counts()
            assert sorted(counts) == [4] * 9 + [5]
            of_test |= {*events["stimulus"]}
    assert len(names) == 540
    assert len(of_test) == 60
