"""Attributes and times of arrays that others wrote are looked at before they are used."""

import numpy as np
import pytest
import xarray as xr

from giblet.errors import GibletError
from giblet.io.arrays import load_arrays, open_arrays, save_arrays

GOOD = {
    "t_r": 1.5,
    "n_trs": 4,
    "frame_rate": 75.0,
    "bandwidth_kbps": 0.0,  # of mel
    "codec": "bundled",
    "warnings": ["sub-01 moved"],
    "volume_offset": -0.3,
    "unknown": [-1],
}


@pytest.fixture
def scans():
    clock = {"film_time": ("volume", np.array([-1.5, 0.0, 1.5]))}
    return xr.Dataset({"bold": (("volume", "parcel"), np.eye(3))}, clock, GOOD)


def test_what_giblet_writes_is_read(scans, tmp_path):
    save_arrays(scans, tmp_path / "x.nc")
    assert load_arrays(tmp_path / "x.nc")["film_time"].values.tolist() == [-1.5, 0.0, 1.5]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("t_r", -1.5, "must be seconds, above 0 and up to 60, is -1.5"),
        ("t_r", np.nan, "is nan"),
        ("t_r", 1e9, "up to 60"),
        ("t_r", "soon", "is 'soon'"),
        ("n_trs", -5, "must be a whole number from 0 on, is -5"),
        ("n_trs", 1.5, "is 1.5"),
        ("n_trs", "x", "is 'x'"),
        ("frame_rate", np.inf, "is inf"),
        ("bandwidth_kbps", "six", "is 'six'"),
        ("codec", 3, "must be text, is 3"),
        ("warnings", "not json", "must be a list of texts in JSON, is 'not json'"),
        ("warnings", "5", "is '5'"),
        ("warnings", "[1]", r"is '\[1\]'"),
        ("warnings", "[" * 100_000, "is '"),
        ("volume_offset", np.nan, "is nan"),
    ],
)
def test_wrong_attributes_are_refused(scans, tmp_path, name, value, said):
    scans.attrs.pop("warnings")
    scans.assign_attrs({name: value, "unknown": 1}).to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    with (
        pytest.raises(GibletError, match=rf"x.nc: {name} .*{said}") as raised,
        open_arrays(tmp_path / "x.nc"),
    ):
        pass
    assert len(str(raised.value)) < 300 + len(str(tmp_path))


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (("volume", [0.0, np.nan, 3.0]), "finite numbers"),
        (("volume", [0.0, 1.5, -np.inf]), "finite numbers"),
        (("volume", ["0", "1.5", "3"]), "must be floats along volume, is "),
        (("moment", [0.0, 1.5]), "must be floats along volume, is "),
    ],
)
def test_wrong_times_are_refused(scans, tmp_path, times, said):
    save_arrays(scans.assign_coords(film_time=times), tmp_path / "x.nc")
    with (
        pytest.raises(GibletError, match=rf"x.nc: film_time .*{said}"),
        open_arrays(tmp_path / "x.nc"),
    ):
        pass


@pytest.mark.parametrize(
    ("name", "dims", "values", "said"),
    [
        (
            "audio",
            ("tr", "row", "frame"),
            np.full((2, 1, 1), "x"),
            "numbers along tr row frame, is '<U1 along tr row frame'",
        ),
        ("audio", ("tr", "row"), np.zeros((2, 1)), "is 'float64 along tr row'"),
        (
            "video",
            ("tr", "picture", "height", "width"),
            np.zeros((2, 1, 1, 1)),
            "bytes .*is 'float64",
        ),
        ("text", ("tr", "feature"), np.full((2, 1), np.nan), "finite numbers"),
        ("regressors", ("feature", "volume"), np.zeros((2, 1)), "along feature volume"),
        ("run", ("tr",), np.zeros(2), "text along volume or tr, is 'float64 along tr'"),
    ],
)
def test_wrong_variables_are_refused(tmp_path, name, dims, values, said):
    save_arrays(xr.Dataset({name: (dims, values)}), tmp_path / "x.nc")
    with pytest.raises(GibletError, match=rf"x.nc: {name} must be .*{said}"):
        load_arrays(tmp_path / "x.nc")


def test_sound_is_missing_only_where_a_tr_has_no_frame(tmp_path):
    sound = np.ones((2, 3, 4), dtype=np.float32)
    sound[1, :, 3] = np.nan
    for n_frames in (3, 4):
        arrays = {"audio": (("tr", "row", "frame"), sound), "n_frames": ("tr", [4, n_frames])}
        save_arrays(xr.Dataset(arrays), tmp_path / f"{n_frames}.nc")
    np.testing.assert_array_equal(load_arrays(tmp_path / "3.nc")["audio"], sound)
    with pytest.raises(GibletError, match=r"4.nc: audio must be finite in every frame"):
        load_arrays(tmp_path / "4.nc")


def test_attributes_that_are_arrays_are_written_as_lists(tmp_path):
    save_arrays(xr.Dataset(attrs={"unknown": np.array([1.0, 2.0])}), tmp_path / "x.nc")
    assert load_arrays(tmp_path / "x.nc").attrs["unknown"] == "[1.0, 2.0]"
