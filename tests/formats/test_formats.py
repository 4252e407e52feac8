"""Files of every version that giblet has written can be read; a new version adds its sample."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from giblet.autoencoder.autoencoder import Autoencoder
from giblet.io.arrays import load_arrays, save_arrays
from giblet.io.checksums import FORMAT_VERSION, check_seal
from giblet.io.tables import load_json

FOLDER = Path(__file__).parent
VERSIONS = range(FORMAT_VERSION + 1)


def sample(version):
    return FOLDER / f"version-{version}"


def test_there_is_a_sample_of_each_version():
    assert {file.name for file in FOLDER.glob("version-*")} == {sample(v).name for v in VERSIONS}


@pytest.mark.parametrize("version", VERSIONS)
def test_arrays_are_read(version):
    arrays = load_arrays(sample(version) / "arrays.nc")
    np.testing.assert_array_equal(arrays["stream"], np.arange(12).reshape(2, 6))
    assert arrays.attrs.keys() == {"t_r", "film", "giblet_version"}
    assert (check_seal(sample(version) / "arrays.nc") is None) == (version == 0)


@pytest.mark.parametrize("version", VERSIONS)
def test_models_are_read(version):
    model = Autoencoder.from_pretrained(sample(version) / "model")
    assert model.facts == {"seed": 7}
    assert load_json(sample(version) / "model" / "config.json").get("format_version", 0) == version


def test_every_version_reads_as_the_same_model():
    states = [Autoencoder.from_pretrained(sample(v) / "model").state_dict() for v in VERSIONS]
    for state in states:
        assert all((state[name] == values).all() for name, values in states[0].items())


def test_codes_from_before_the_seals_are_read(tmp_path):
    """Features tell the version of their own layout, which says nothing of the file's."""
    codes = xr.Dataset({"stream": (("row", "frame"), np.zeros((8, 6), dtype=np.int32))})
    facts = {"format_version": 1, "encoding_mode": "encodec"}
    codes.assign_attrs(facts).to_netcdf(tmp_path / "codes.nc", engine="h5netcdf")
    assert load_arrays(tmp_path / "codes.nc").attrs == facts
    save_arrays(codes.assign_attrs(facts), tmp_path / "codes.nc")
    again = load_arrays(tmp_path / "codes.nc")
    assert again.attrs == facts | {"giblet_version": again.attrs["giblet_version"]}
