"""Maps in blocks of voxels and parts of nulls. Oracle: the whole array at once."""

import numpy as np
import pytest
import xarray as xr

from giblet.brain.neighbours import grid_edges
from giblet.evaluation.group_maps import group_maps
from giblet.evaluation.ridge_maps import ridge_maps
from giblet.stats.encoding_maps import ClockGroup, held_out_folds, linear_maps

SHAPE = (4, 3, 3)
N_VOXELS = 36


@pytest.fixture
def parts(rng):
    """BOLD of three people (the first voxels follow a band), groups, folds."""
    bands = {name: rng.standard_normal((120, n)) for name, n in (("a", 3), ("b", 5), ("c", 2))}
    bold = rng.standard_normal((3, 120, N_VOXELS))
    bold[:, :, :6] += bands["a"][:, :1]
    bold[1, :, 4] = np.nan
    groups = [ClockGroup([0, 2], bands), ClockGroup([1], {n: b[::-1] for n, b in bands.items()})]
    return bold.astype(np.float32), groups, held_out_folds(np.repeat([0, 1], 60), 5)


@pytest.mark.parametrize("n_most", [1, 2**27], ids=["map by map", "all maps"])
@pytest.mark.parametrize("selected", [np.arange(N_VOXELS), np.arange(3, 30, 2)])
def test_blocks_and_parts_equal_the_whole(parts, monkeypatch, n_most, selected):
    monkeypatch.setattr("giblet.evaluation.ridge_maps.MOST_NULL_VALUES", n_most)
    bold, groups, folds = parts
    options = {"n_shifts": 60, "n_iter": 3, "n_shift_maps": 40, "by_fold": True, "seed": 3}
    edges, reads = grid_edges(np.ones(SHAPE, bool)), []

    def read(columns):
        reads.append(columns)
        return bold[..., columns]

    maps, of_group = ridge_maps(
        read,
        np.array_split(selected, 3),
        groups,
        folds,
        n_voxels=N_VOXELS,
        on_mesh=False,
        edges=edges,
        **options,
    )
    whole = linear_maps(bold[..., selected], groups, folds, **options)
    nulls = {n[:-6]: whole[n].values for n in map(str, whole) if n.endswith("_nulls")}
    whole = whole.drop_vars([f"{name}_nulls" for name in nulls])
    assert list(nulls) == ["r_all", "r_a", "r_b", "r_c"]
    assert list(maps) == list(whole)
    for name in whole:
        # voxel by voxel: matrix products of other widths round differently
        np.testing.assert_allclose(maps[name][..., selected], whole[name], atol=2e-5, err_msg=name)
    placed = whole.assign_coords(voxel=selected).reindex(voxel=np.arange(N_VOXELS))
    expected = group_maps(placed.drop_vars("voxel"), nulls, edges, selected)
    assert set(of_group) == set(expected)
    for name, (_dims, p) in expected.items():
        np.testing.assert_allclose(of_group[name][1], p, atol=1 / 40, err_msg=name)
    assert np.isfinite(of_group["r_a_p_tfce"][1]).sum() >= len(selected) - 1
    assert len(reads) == (3 if n_most > 1 else 12)


def test_without_nulls_there_is_no_corrected_p(parts):
    bold, groups, folds = parts
    maps, of_group = ridge_maps(
        lambda columns: bold[..., columns],
        [np.arange(N_VOXELS)],
        groups,
        folds,
        n_voxels=N_VOXELS,
        on_mesh=False,
        edges=grid_edges(np.ones(SHAPE, bool)),
        n_shifts=20,
        n_iter=2,
    )
    assert of_group == {}
    assert np.isfinite(maps["r_a_p"]).any()
    assert isinstance(maps, xr.Dataset)
