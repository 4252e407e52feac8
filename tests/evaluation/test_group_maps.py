"""Corrected p-values and the table of clusters. Oracle: planted clusters."""

import numpy as np
import pytest
import xarray as xr

from giblet.brain.neighbours import neighbours
from giblet.evaluation.group_maps import cluster_table, group_maps, nulls_of_blocks

MASK = np.ones((4, 4, 3), bool)
SPACE = xr.Dataset({"mask": (("i", "j", "k"), MASK)})
PLACES = np.argwhere(MASK)


@pytest.fixture
def quality(rng):
    """Nine people with a score in one corner of the brain, and another without any."""
    scores = rng.normal(0, 0.05, (9, len(PLACES)))
    planted = (PLACES[:, 0] < 2) & (PLACES[:, 1] < 2)
    scores[:, planted] += 0.2
    arrays = {
        "r_audio": (("subject", "voxel"), scores),
        "r_text": (("subject", "voxel"), rng.normal(0, 0.05, scores.shape)),
        "r_audio_p": ("voxel", np.ones(len(PLACES))),
    }
    coords = {axis: ("voxel", PLACES[:, n] * 2.0) for n, axis in enumerate("xyz")}
    return xr.Dataset(arrays, coords | {"subject": [f"sub-{n}" for n in range(9)]})


@pytest.fixture
def nulls(rng):
    """Of the mean over nine people, by name."""
    shape = (511, len(PLACES))
    return {name: rng.normal(0, 0.05 / 3, shape) for name in ("r_audio", "r_text")}


def test_a_planted_cluster_is_a_row(quality, nulls):
    edges = neighbours(SPACE)
    maps = group_maps(quality, nulls, edges)
    assert set(maps) == {f"{m}_p_{c}" for m in ("r_audio", "r_text") for c in ("max", "tfce")}
    table = cluster_table(quality.assign(maps), edges)
    row = table[table["metric"] == "r_audio"].iloc[0]
    assert row["correction"] == "TFCE"
    assert 10 <= row["n_places"] <= 14  # 12 were planted
    assert row["p"] == pytest.approx(1 / 512)
    assert max(row["x"], row["y"]) <= 2
    assert "r_text" not in set(table["metric"])


def test_parcels_are_clusters_of_their_own(quality, nulls):
    names = [f"area {n}" for n in range(len(PLACES))]
    parcels = quality.drop_vars([*"xyz"]).assign_coords(parcel=("voxel", names))
    maps = group_maps(parcels, nulls, neighbours(parcels))
    assert all(name.endswith("_p_max") for name in maps)
    table = cluster_table(parcels.assign(maps), None)
    assert len(table) >= 10
    assert (table["n_places"] == 1).all()
    planted = {name for name, place in zip(names, PLACES, strict=True) if max(place[:2]) < 2}
    assert len(set(table["parcel"]) - planted) <= 1


def test_of_tested_places_alone_there_are_p(quality, nulls):
    tested = np.arange(0, len(PLACES), 2)
    few = {name: values[:, tested] for name, values in nulls.items()}
    p = group_maps(quality, few, neighbours(SPACE), tested)["r_audio_p_tfce"][1]
    assert np.isfinite(p).nonzero()[0].tolist() == tested.tolist()


def test_nulls_leave_their_blocks():
    both = ("null", "voxel")
    blocks = [
        xr.Dataset({"r_all": ("voxel", np.zeros(n)), "r_all_nulls": (both, np.full((3, n), n))})
        for n in (2, 1)
    ]
    nulls, without = nulls_of_blocks(blocks, 3)
    assert nulls["r_all"].tolist() == [[2, 2, 1]] * 3
    assert [list(block) for block in without] == [["r_all"]] * 2


def test_isc_is_the_mean_over_those_who_have_it(quality, rng):
    few = quality.isel(subject=slice(4)).rename(r_audio="isc").drop_vars("r_text")
    few["isc"][1, 7] = np.nan
    nulls = {"isc": rng.normal(0, 0.025, (99, len(PLACES)))}
    maps = group_maps(few, nulls, neighbours(SPACE))
    assert set(maps) == {"isc_p_max", "isc_p_tfce"}
    assert np.isfinite(maps["isc_p_max"][1]).all()
    assert (maps["isc_p_max"][1] < 0.05).sum() in range(10, 15)
