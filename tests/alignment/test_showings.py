"""The table of the seconds of film that each run showed."""

import numpy as np
import xarray as xr

from giblet.alignment.showings import shown_by_run, shown_seconds

T_R = 2.0


def scans(*runs):
    """Of (subject, run, film time of its first volume, volumes, of them in the film)."""
    coords = {name: [] for name in ("subject", "run", "film_time", "in_film", "film_start")}
    for subject, run, begin, n_volumes, n_shown in runs:
        coords["subject"] += [subject] * n_volumes
        coords["run"] += [run] * n_volumes
        coords["film_time"] += list(begin + T_R * np.arange(n_volumes))
        coords["in_film"] += [k < n_shown for k in range(n_volumes)]
        coords["film_start"] += [begin] * n_volumes
    return xr.Dataset(coords={name: ("volume", values) for name, values in coords.items()})


def test_each_run_has_its_seconds():
    runs = ("sub-01", "run-1", 0.5, 12, 10), ("sub-01", "run-2", 20.5, 5, 5)
    runs += ("sub-02", "run-1", 0.5, 12, 10), ("sub-02", "run-2", 20.5, 5, 4)
    shown = shown_seconds(scans(*runs), T_R)
    rows = [("sub-01", "run-1", 0.0, 20.0, 10), ("sub-01", "run-2", 20.0, 30.0, 5)]
    rows += [("sub-02", "run-1", 0.0, 20.0, 10), ("sub-02", "run-2", 20.0, 28.0, 4)]
    assert [tuple(row) for row in shown.itertuples(index=False)] == rows
    by_run = shown_by_run(shown)
    assert by_run["subjects"].tolist() == ["all 2", "sub-02", "sub-01"]
    assert by_run["n_subjects"].tolist() == [2, 1, 1]
    assert by_run["end"].tolist() == [20.0, 28.0, 30.0]


def test_seconds_before_the_film_are_not_shown():
    shown = shown_seconds(scans(("sub-01", "run-1", -3.5, 6, 6)), T_R)
    assert shown[["begin", "end", "n_volumes"]].values.tolist() == [[0.0, 8.0, 4]]
    assert shown_by_run(shown)["subjects"].tolist() == ["sub-01"]


def test_of_no_film_the_table_is_empty():
    shown = shown_seconds(scans(("sub-01", "run-1", 0.5, 6, 0)), T_R)
    assert shown.empty
    assert shown_by_run(shown).empty
