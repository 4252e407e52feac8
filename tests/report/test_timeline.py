"""Volumes that were dropped, or never taken, stand in the timeline."""

from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from giblet.report.timeline import (
    film_place,
    missing_volumes,
    scanned_table,
    span_text,
    time_axis,
    timeline_figure,
    timeline_sentence,
    timeline_table,
    training_sentence,
)

T_R = 1.5


def scans(times, dropped):
    """Two people who see a film of ten TRs; of the second, volumes ``dropped`` are not there."""
    kept = np.delete(np.arange(len(times)), dropped)
    film_time = np.concatenate([times, times[kept]])
    subject = ["sub-01"] * len(times) + ["sub-02"] * len(kept)
    along = {"film_time": film_time, "in_film": film_time >= 0, "subject": subject}
    return xr.Dataset(coords={k: ("volume", v) for k, v in along.items()}, attrs={"t_r": T_R})


@pytest.mark.parametrize("first", [0.0, -2 * T_R])  # the scan may begin before the film
def test_a_dropped_volume_is_missing_in_its_tr(first):
    times = first + 0.2 + T_R * np.arange(round(10 - first / T_R))
    assert missing_volumes(scans(times, [])).empty
    dropped = np.flatnonzero((times // T_R == 0) | (times // T_R == 4))
    found = missing_volumes(scans(times, dropped))
    assert found["start"].tolist() == [0.0, 4 * T_R]
    assert found["end"].tolist() == [T_R, 5 * T_R]
    assert found["n_missing"].tolist() == [1, 1]


def test_it_is_drawn_where_there_is_one():
    found = missing_volumes(scans(0.2 + T_R * np.arange(10), [3]))
    table = pd.DataFrame({"start": [0.0], "end": [T_R], "part": ["test"], "run": ["a"]})
    drawn = [
        unquote(timeline_figure(table, missing).uri.split(",", 1)[1])
        for missing in (found, found[:0], None)
    ]
    assert ["volumes missing" in svg for svg in drawn] == [True, False, False]
    assert drawn[1] == drawn[2]


def test_without_a_film_the_scanned_seconds_are_reported():
    times = 0.2 + T_R * np.arange(10)
    film_time = np.concatenate([times[2:5], times[3:8]])
    run = ["a"] * 3 + ["b"] * 5
    along = {"film_time": film_time, "in_film": film_time > 0, "run": run}
    brains = xr.Dataset(coords={k: ("volume", v) for k, v in along.items()}, attrs={"t_r": T_R})
    table = scanned_table(brains, np.array([9, 9, 0, 1, 2]))
    assert table["start"].tolist() == [T_R * k for k in range(2, 8)]
    assert table["words"].tolist() == [0, 1, 2, 0, 0, 0]
    said = "6 TRs from 3.0 to 12.0 s of film; 2 runs; words in 2 TRs."
    assert timeline_sentence(table) == said
    assert timeline_figure(table).uri.startswith("data:image/svg+xml")


def test_onsets_some_milliseconds_before_an_edge_are_in_the_same_tr_everywhere():
    both = scans(T_R * np.arange(10), [9])
    jitter = np.repeat([-0.002, 0.002], [10, 9])
    both = both.assign_coords(
        film_time=both["film_time"] + jitter,
        in_film=("volume", np.ones(19, dtype=bool)),
        run=("volume", ["a"] * 19),
    )
    assert scanned_table(both)["start"].tolist() == [T_R * k for k in range(10)]
    assert missing_volumes(both)["start"].tolist() == [9 * T_R]


def test_a_film_without_words_says_so_and_scans_alone_leave_it_to_the_warnings():
    """Ridge may have been asked of none although some were given."""
    table = pd.DataFrame({"start": [0.0], "end": [T_R], "run": ["a"]})
    film = table.assign(part="test")
    assert timeline_sentence(film).endswith("; 1 run; no words were given.")
    assert timeline_sentence(film.assign(words=3.0)).endswith("; 1 run; words in 1 TRs.")
    assert timeline_sentence(table).endswith("; 1 run.")


def test_times_of_many_stimuli_are_those_of_each():
    """Test TRs are those of two stimuli, apart in the film of all."""
    trs = np.array([0, 1, 2, 10, 11, 12, 13, 20, 21])
    stimulus = np.array(["dog"] * 3 + ["rain"] * 4 + ["wind"] * 2)
    part = np.where(stimulus == "dog", "train", "test")
    columns = {"start_time": T_R * trs, "end_time": T_R * (trs + 1), "part": part}
    columns |= {"run": np.repeat("a", 9)}
    coords = {"tr": trs, "stimulus": ("tr", stimulus)}
    aligned = xr.Dataset({k: ("tr", v) for k, v in columns.items()}, coords)
    table = timeline_table(aligned)
    begins = np.where(stimulus == "rain", 8, np.where(stimulus == "wind", 20, 0))  # TRs
    late = timeline_table(aligned.assign_coords(stimulus_begin=("tr", T_R * begins)))
    assert film_place(late, 0.0) == ", from 0:03 of stimulus rain"  # two TRs were not scanned
    assert film_place(table, 2 * T_R) == f", from 0:0{int(2 * T_R)} of stimulus rain"
    assert film_place(table, 4 * T_R) == ", from 0:00 of stimulus wind"
    ticks, axis = time_axis(table, T_R, 2 * T_R)
    assert axis == "stimulus rain"
    assert ticks[0][0] == "0:02"
    assert span_text(table, 0.0, 4 * T_R).endswith(" of stimulus rain")
    assert time_axis(table, 3 * T_R, 2 * T_R)[1] == "held-out sound"  # of both
    assert timeline_sentence(table).startswith("9 TRs of 3 stimuli: ")
    assert training_sentence(table, "stimuli").startswith("Stimuli in training: 3 TRs")
    assert "film" not in timeline_sentence(table) + training_sentence(table)
