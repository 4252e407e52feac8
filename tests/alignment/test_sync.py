"""Film and scan meet by their timestamps, and what the timestamps do not explain is an error."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from giblet.alignment.regressors import regress
from giblet.alignment.sync import match_runs, match_scans, match_volumes, move_run
from giblet.brain.events import film_times
from giblet.errors import GibletError

T_R = 1.5  # s


def make_scans(runs, t_r=T_R):
    """Scans of ``runs``: (subject, run, film times (s)) each, one voxel that counts volumes."""
    subject = np.concatenate([[s] * len(times) for s, _, times in runs])
    run = np.concatenate([[r] * len(times) for _, r, times in runs])
    film_time = np.concatenate([times for _, _, times in runs])
    return xr.Dataset(
        {"bold": (("volume", "voxel"), np.arange(len(subject), dtype=np.float32)[:, None])},
        coords={
            "subject": ("volume", subject),
            "run": ("volume", run),
            "film_time": ("volume", film_time),
            "in_film": ("volume", film_time >= 0),
        },
        attrs={"t_r": t_r, "warnings": [], "source": "simulated"},
    )


def times(first_tr, n_trs, offset=0.75):
    return (first_tr + np.arange(n_trs)) * T_R + offset


@pytest.mark.parametrize("offset", [0.0, 0.1, 0.75, 1.4])
@pytest.mark.parametrize("first_tr", [-4, 0, 7])
def test_every_tr_gets_the_volume_that_was_taken_in_it(first_tr, offset):
    film_time = times(first_tr, 20, offset)
    volumes = match_volumes(film_time, T_R, n_trs=30)
    for tr, volume in enumerate(volumes):
        taken = np.flatnonzero((film_time >= tr * T_R) & (film_time < (tr + 1) * T_R - 1e-9))
        assert volume == (taken[0] if len(taken) else -1)


def test_float_noise_does_not_move_a_volume():
    film_time = np.cumsum(np.full(3000, 0.1 * 15)) - 1.5  # 1.5 s apart, with rounding
    np.testing.assert_array_equal(match_volumes(film_time, T_R, 3000), np.arange(3000))


def test_scan_and_film_are_cropped_to_what_both_cover_never_stretched():
    scans = make_scans([("sub-01", "run-1", times(-3, 20)), ("sub-02", "run-1", times(2, 20))])
    match = match_scans(scans, T_R, n_trs=18)
    np.testing.assert_array_equal(match.trs, np.arange(2, 17))
    np.testing.assert_array_equal(match.volumes, [np.arange(5, 20), np.arange(20, 35)])
    assert match.subjects == ["sub-01", "sub-02"]
    assert match.offset == pytest.approx(0.75)


def test_two_runs_follow_each_other_on_the_films_clock():
    runs = [("sub-01", "run-1", times(0, 10)), ("sub-01", "run-2", times(14, 10))]
    match = match_scans(make_scans(runs), T_R, n_trs=40)
    np.testing.assert_array_equal(match.trs, [*range(10), *range(14, 24)])
    assert match.runs.tolist() == ["run-1"] * 10 + ["run-2"] * 10
    np.testing.assert_array_equal(match.volumes, np.arange(20)[None])


def test_volumes_before_the_film_count_for_nothing():
    scans = make_scans([("sub-01", "run-1", times(-3, 20))])
    scans["in_film"][:5] = False  # the first two TRs of the film were not to be looked at
    np.testing.assert_array_equal(match_scans(scans, T_R, n_trs=30).trs, np.arange(2, 17))


def test_the_offset_is_that_of_volumes_in_the_film():
    early = times(-30, 25, offset=0.2)  # more than those in the film, and sooner in their TRs
    scans = make_scans([("sub-01", "run-1", np.concatenate([early, times(0, 10)]))])
    assert match_scans(scans, T_R, n_trs=10).offset == pytest.approx(0.75)


def test_another_tr_in_the_config_than_in_the_scan():
    scans = make_scans([("sub-01", "run-1", times(0, 20))])
    with pytest.raises(GibletError, match=r"t_r is 2\.0 s in the config.*is 1\.5 s: set t_r: 1\.5"):
        match_scans(scans, 2.0, n_trs=20)


def test_a_dropped_volume():
    film_time = np.delete(times(0, 20), 7)
    with pytest.raises(GibletError, match=r"see film time 9\.75 s.*dropped volumes"):
        match_scans(make_scans([("sub-01", "run-1", film_time)]), T_R, n_trs=20)


def test_a_volume_written_twice():
    film_time = np.insert(times(0, 20), 7, times(0, 20)[7])
    with pytest.raises(GibletError, match=r"see film time 11\.25 s"):
        match_volumes(film_time, T_R, n_trs=20)


def test_timestamps_that_run_faster_than_the_tr():
    with pytest.raises(GibletError, match="RepetitionTime"):
        match_volumes(np.arange(400) * 1.49, T_R, n_trs=400)


def test_a_tr_seen_in_two_runs():
    runs = [("sub-01", "run-1", times(0, 10)), ("sub-01", "run-2", times(8, 10))]
    with pytest.raises(GibletError, match="sub-01 saw the same seconds of the film in two runs"):
        match_scans(make_scans(runs), T_R, n_trs=20)


def test_a_tr_seen_in_two_runs_is_an_error_where_it_was_scrubbed_too():
    scans = make_scans([("s", "run-1", times(0, 10)), ("s", "run-2", times(8, 10))])
    scrubbed = np.isin(np.arange(20), [8, 9])
    scans = scans.assign_coords(in_film=("volume", ~scrubbed), scrubbed=("volume", scrubbed))
    with pytest.raises(GibletError, match="saw the same seconds of the film in two runs"):
        match_scans(scans, T_R, n_trs=20)


@pytest.mark.parametrize(("scrubbed", "used"), [([], 9), ([9], 10), ([10], 9), ([9, 10], None)])
def test_of_two_volumes_in_one_tr_a_scrubbed_one_gives_way(scrubbed, used):
    """TR 9 is at the end of the first run and at the beginning of the second."""
    scans = make_scans([("s", "run-1", times(0, 10, 0.5)), ("s", "run-2", times(9, 10, 1.0))])
    scrubbed = np.isin(np.arange(20), scrubbed)
    scans = scans.assign_coords(in_film=("volume", ~scrubbed), scrubbed=("volume", scrubbed))
    match = match_scans(scans, T_R, n_trs=19)
    volumes = dict(zip(match.trs.tolist(), match.volumes[0].tolist(), strict=True))
    assert volumes.get(9) == used


def test_runs_may_have_other_names_in_other_people():
    """Counterbalanced: only which TRs go together matters."""
    runs = [
        ("sub-01", "run-1", times(0, 10)),
        ("sub-01", "run-2", times(10, 10)),
        ("sub-02", "run-2", times(0, 10)),
        ("sub-02", "run-1", times(10, 10)),
    ]
    match = match_scans(make_scans(runs), T_R, n_trs=20)
    assert match.runs.tolist() == ["run-1"] * 10 + ["run-2"] * 10
    np.testing.assert_array_equal(match.volumes[1], np.arange(20, 40))
    assert match.warnings == []


def test_a_boundary_in_anybodys_runs_is_one():
    runs = [
        ("sub-01", "run-1", times(0, 20)),
        ("sub-02", "run-1", times(0, 7)),
        ("sub-02", "run-2", times(7, 13)),
    ]
    match = match_scans(make_scans(runs), T_R, n_trs=20)
    assert match.runs.tolist() == ["run-1 (0-10.5 s)"] * 7 + ["run-1 (10.5-30 s)"] * 13
    assert match.showings.tolist() == [0] * 7 + [1] * 13


@pytest.mark.parametrize("n_apart", [1, 9, 10])
def test_people_who_are_briefly_in_different_runs_split_no_run(n_apart):
    runs = [
        ("sub-01", "run-1", times(0, 30 + n_apart)),
        ("sub-01", "run-2", times(30 + n_apart, 30)),
        ("sub-02", "run-1", times(0, 30)),
        ("sub-02", "run-2", times(30, 30 + n_apart)),
    ]
    match = match_scans(make_scans(runs), T_R, n_trs=100)
    if n_apart == 10:
        parts = ["run-1 (0-45 s)"] * 30 + ["run-1 (45-60 s)"] * 10
        assert match.runs.tolist() == [*parts, *["run-2"] * 30]
        assert match.warnings == []
    else:
        assert match.runs.tolist() == ["run-1"] * 30 + ["run-2"] * 30
        assert match.showings.tolist() == [0] * 30 + [1] * 30
        assert f"{n_apart} TRs left out where runs meet" in match.warnings[0]


@pytest.mark.parametrize("run", ["run-1", "run-2"])
def test_one_tr_shared_by_two_showings_gets_the_volume_nearest_to_the_others(run):
    """0.2 s is the moment of three scans of four; 0.9 s that of the last run."""
    runs = [(f"sub-0{n}", "run-1", times(0, 40, 0.2)) for n in (1, 2, 3)]
    late = times(19, 21, 0.9)
    label = {"run-1": ("run-2", "run-1"), "run-2": ("run-1", "run-2")}[run]
    runs += [("sub-04", label[0], times(0, 20, 0.2)), ("sub-04", label[1], late)]
    match = match_scans(make_scans(runs), T_R, n_trs=40)
    np.testing.assert_array_equal(match.trs, np.arange(40))
    at = match_scans(make_scans(runs), T_R, n_trs=40).volumes[3, 19]
    assert make_scans(runs)["film_time"].values[at] == pytest.approx(19 * T_R + 0.2)
    assert "1 of 5 runs are taken at another moment of the TR than 0.20 s" in match.warnings[0]
    assert f"0.70 s later (sub-04 {run})" in match.warnings[0]


def test_a_volume_nearest_to_a_moment_before_the_film_is_in_no_tr():
    """1.4 s is the moment of three scans of four; at 0.1 s the TR before is nearer."""
    runs = [(f"sub-0{n}", "run-1", times(0, 19, 1.4)) for n in (1, 2, 3)]
    runs += [("sub-04", "run-1", times(0, 19, 0.1))]  # its second volume is the first TR's
    match = match_scans(make_scans(runs), T_R, n_trs=20)
    np.testing.assert_array_equal(match.trs, np.arange(18))
    np.testing.assert_array_equal(match.volumes[3], 57 + np.arange(1, 19))
    last = match_scans(make_scans(runs), T_R, n_trs=19)  # TR 18 has no volume of sub-04
    np.testing.assert_array_equal(last.trs, np.arange(18))


def test_volumes_that_were_left_out_leave_holes_and_break_nothing():
    """Scrubbed volumes stay in the file and are not in the film."""
    scans = make_scans([("sub-01", "run-1", times(0, 20)), ("sub-02", "run-1", times(0, 20))])
    scans["in_film"][[5, 6, 31]] = False
    match = match_scans(scans, T_R, n_trs=20)
    assert match.trs.tolist() == [n for n in range(20) if n not in (5, 6, 11)]
    assert set(match.runs) == {"run-1"}
    assert set(match.showings.tolist()) == {0}


def test_scans_of_older_files_have_no_beginning_of_their_showings():
    """The film's clock runs back: it was shown again."""
    film_time = np.concatenate([times(0, 10), times(3, 10)])
    match = match_scans(make_scans([("sub-01", "run-1", film_time)]), T_R, n_trs=20)
    np.testing.assert_array_equal(match.trs, np.arange(13))
    np.testing.assert_array_equal(match.volumes[0], [*range(10), *range(17, 20)])
    assert "4.5 to 15.0 s (10.5 s) twice" in match.warnings[0]


def test_nothing_in_common():
    runs = [("sub-01", "run-1", times(0, 10)), ("sub-02", "run-1", times(12, 10))]
    with pytest.raises(GibletError, match="no TR of the film was scanned in every subject"):
        match_scans(make_scans(runs), T_R, n_trs=30)


def test_a_moved_run_shows_the_same_trs_in_other_volumes():
    film_time = times(-4, 30)  # 4 volumes before the film, 20 in it, 6 after
    in_film = (film_time >= 0) & (film_time < 20 * T_R)
    for lag in (-3.0, 0.0, 2.0, 6.0):
        moved, inside, _starts = move_run(film_time, in_film, np.zeros(30), T_R, lag)
        np.testing.assert_allclose(moved, film_time - lag)
        np.testing.assert_array_equal(inside, (moved >= 0) & (moved < 20 * T_R))


def test_a_lag_moves_each_showing():
    film_time = np.concatenate([times(-2, 14), times(40, 10)])
    start = np.repeat([0.0, 60.0], [14, 10])
    in_film = np.concatenate([np.arange(14) >= 2, np.arange(10) < 6])
    moved, inside, starts = move_run(film_time, in_film, start, T_R, 1.5)
    np.testing.assert_allclose(moved, film_time - 1.5)
    assert np.flatnonzero(inside).tolist() == [*range(3, 14), *range(15, 21)]
    np.testing.assert_array_equal(starts, start)


@pytest.mark.parametrize("apart", [0.0, 0.02])
@pytest.mark.parametrize("lag", [-3.0, 1.5, 4.0])
def test_a_lag_tears_no_hole_where_the_film_is_in_several_rows(lag, apart):
    """Rows of 3 s, every other logged ``apart`` s late: as the film in one row."""
    scan = 0.75 + T_R * np.arange(60)
    row = np.array([np.arange(9, 69, 3), np.arange(0, 60, 3)])  # 20: onset, second of the film
    late = row[0] + apart * (np.arange(20) % 2)
    rows = film_times(scan, late, np.full(20, 3.0), row[1])
    one = film_times(scan, np.array([9.0]), np.array([60.0]), np.array([0.0]))
    of_rows, of_one = (move_run(*clock, T_R, lag) for clock in (rows, one))
    np.testing.assert_array_equal(of_rows[1], of_one[1])
    scans = [
        make_scans([("s", "1", clock[0])]).assign_coords(
            in_film=("volume", clock[1]), film_start=("volume", clock[2])
        )
        for clock in (of_rows, of_one)
    ]
    trs = [match_scans(each, T_R, 40).trs for each in scans]
    np.testing.assert_array_equal(*trs)
    values = np.random.default_rng(0).normal(size=(600, 1))
    several, single = (regress(values, 10.0, each, T_R, "spm") for each in scans)
    inside = of_one[1]
    np.testing.assert_allclose(several[inside], single[inside], atol=0.02 if apart else 1e-6)


def test_film_and_scans_are_checked_before_bold_is_read():
    runs = [SimpleRun("sub-01", "run-1", times(0, 10)), SimpleRun("sub-01", "run-2", times(2, 10))]
    with pytest.raises(GibletError, match=r"in two runs: 3\.0 to 15\.0 s"):
        match_runs(runs, T_R, 20)
    assert match_runs(runs[:1], T_R, 20).warnings == []


class SimpleRun:
    """The clock of one run."""

    presented = None

    def __init__(self, subject, name, film_time):
        self.t_r, self.subject, self.name, self.film_time = T_R, subject, name, film_time

    def volumes(self):
        columns = {"film_time": self.film_time, "in_film": True, "film_start": 0.0}
        return pd.DataFrame(columns).assign(subject=self.subject, run=self.name)
