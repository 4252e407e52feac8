"""Film and scan meet by their timestamps, and what the timestamps do not explain is an error."""

import numpy as np
import pytest
import xarray as xr

from giblet.alignment.sync import match_scans, match_volumes, move_run
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


def test_runs_named_differently():
    runs = [("sub-01", "run-1", times(0, 10)), ("sub-02", "run-2", times(0, 10))]
    with pytest.raises(GibletError, match="rename the runs alike"):
        match_scans(make_scans(runs), T_R, n_trs=10)


def test_nothing_in_common():
    runs = [("sub-01", "run-1", times(0, 10)), ("sub-02", "run-1", times(12, 10))]
    with pytest.raises(GibletError, match="no TR of the film was scanned in every subject"):
        match_scans(make_scans(runs), T_R, n_trs=30)


def test_a_moved_run_shows_the_same_trs_in_other_volumes():
    film_time = times(-4, 30)  # 4 volumes before the film, 20 in it, 6 after
    in_film = (film_time >= 0) & (film_time < 20 * T_R)
    for lag in (-3.0, 0.0, 2.0, 6.0):
        moved, inside = move_run(film_time, in_film, T_R, lag)
        np.testing.assert_allclose(moved, film_time - lag)
        np.testing.assert_array_equal(inside, (moved >= 0) & (moved < 20 * T_R))
