"""Maps on nilearn's fsaverage5: places, words, and pages that need no network."""

from dataclasses import replace
from functools import partial
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from nilearn.datasets import load_fsaverage
from nilearn.surface.surface import compute_adjacency_matrix
from surface_files import T_R, hemispheres, series, with_tables

from giblet.brain.neighbours import neighbours
from giblet.commands.model import report
from giblet.commands.scans import brain_quality, load_bold
from giblet.config.config import parse_config
from giblet.evaluation.quality import summary_table
from giblet.report.brain_figures import WHOLE, map_figures
from giblet.report.pictures import Picture
from giblet.report.scan_quality import BrainResults, brain_section
from giblet.report.surface_maps import draw_surface, on_drawn_mesh

N = 10_242


def scans_on(surface, n):
    """All vertices of both hemispheres but the first of the left one."""
    coords = {
        "hemisphere": ("voxel", np.repeat(["L", "R"], [n - 1, n])),
        "vertex": ("voxel", np.concatenate([np.arange(1, n), np.arange(n)])),
    }
    return xr.Dataset(coords=coords, attrs={"surface": surface, "n_vertices": f"[{n}, {n}]"})


def results_on(space):
    isc = np.linspace(-0.1, 0.4, space.sizes["voxel"])
    quality = xr.Dataset(
        {"isc": (("subject", "voxel"), np.stack([isc, isc]))},
        dict(space.coords) | {"subject": ["sub-01", "sub-02"]},
        {"lag_applied": 0.0, "warnings": "[]"},
    ).assign(lag=np.nan, lag_low=np.nan, lag_high=np.nan, lag_p=np.nan, lag_reliable=0.0)
    return BrainResults(quality.assign_attrs(lag_note=""), summary_table(quality), space)


def test_vertices_have_their_places():
    space = scans_on("fsaverage6", 40_962)  # denser: the first of its vertices are fsaverage5's
    values = np.arange(space.sizes["voxel"], dtype=float)
    left, right = on_drawn_mesh(values, space)
    assert left.shape == right.shape == (N,)
    assert np.isnan(left[0])
    assert left[1:4].tolist() == [0, 1, 2]
    assert right[0] == 40_961


def test_parcels_have_theirs():
    labels = np.zeros(2 * N, dtype=int)
    labels[5], labels[N + 7] = 3, 4
    space = xr.Dataset(
        {"vertex_labels": ("mesh_vertex", labels)},
        {"parcel": ["A", "B"], "parcel_label": ("parcel", [3, 4])},
        {"surface": "fsaverage5", "n_vertices": [N, N]},
    )
    left, right = on_drawn_mesh(np.array([0.25, 0.5]), space)
    assert (left[5], right[7]) == (0.25, 0.5)
    assert np.isfinite([left, right]).sum() == 2


def test_neighbours_are_nilearns_edges():
    space = scans_on("fsaverage5", N)
    edges = neighbours(space)
    mesh = load_fsaverage("fsaverage5")["pial"].parts
    graphs = [compute_adjacency_matrix(mesh[side]) for side in ("left", "right")]
    lost = graphs[0][0].nnz  # edges of the vertex that is left out
    assert len(edges) == sum(graph.nnz for graph in graphs) // 2 - lost
    one, other = edges[len(edges) // 3]
    assert graphs[0][one + 1, other + 1] == 1


def test_there_are_maps_and_a_view_without_network():
    results = results_on(scans_on("fsaverage5", N))
    section, (picture,) = brain_section(results), map_figures(results, simulated=False)
    also, page = section.view
    assert picture.title == also == "Inter-subject correlation"
    assert section.on_surface
    assert "fsaverage5" in section.maps_note
    svg = unquote(picture.uri.split(",", 1)[1])
    assert all(f"{side}, lateral" in svg for side in ("left", "right"))
    assert "Plotly" in page
    assert "<script src" not in page
    assert "vertices" in section.answer
    assert picture.table[["hemisphere", "vertex"]].iloc[0].tolist() == ["L", 1]


def test_vertices_at_a_low_q_are_outlined():
    results = results_on(scans_on("fsaverage5", N))
    q = np.linspace(1, 0, results.space.sizes["voxel"])
    quality = results.quality.assign(isc_q=("voxel", q))
    (picture,) = map_figures(replace(results, quality=quality), simulated=False)
    assert f"Outlined: {(q < 0.05).sum():,} vertices at q < 0.05" in picture.note
    outlined = [side.sum() for side in picture.draw.keywords["outlined"]]
    assert outlined == [0, (q < 0.05).sum()]


def test_the_right_hemisphere_is_on_the_right():
    hot, cold = np.ones(N), np.full(N, np.nan)
    pictures = []
    for sides in ((hot, cold), (cold, hot)):
        draw = partial(draw_surface, left=sides[0], right=sides[1], largest=1.0, label="r")
        pictures.append(Picture("map", "", draw, WHOLE, pd.DataFrame()).uri)
    assert pictures[0] != pictures[1]


def test_a_mesh_that_nilearn_does_not_have_is_said():
    results = results_on(scans_on("fsLR", 32_492))
    section = brain_section(results)
    assert map_figures(results, simulated=False) == []
    assert section.view is None
    (reason,) = section.no_maps
    assert reason.startswith(
        "Inter-subject correlation: no mesh of fsLR comes with nilearn. For maps, name one "
        "(scan.mesh: …_hemi-L_midthickness.surf.gii), or read fMRIPrep's fsaverage5 files"
    )


def test_a_denser_mesh_says_what_is_drawn():
    results = results_on(scans_on("fsaverage6", 40_962))
    section, (picture,) = brain_section(results), map_figures(results, simulated=False)
    assert "Of 40,962 vertices of fsaverage6 in each hemisphere the 10,242" in section.maps_note
    assert section.no_maps == []
    assert len(picture.table) == 2 * 40_962 - 1
    assert len(section.view[1]) < 4e6  # as of fsaverage5


def test_a_mesh_of_another_density_than_its_name_is_not_drawn():
    section = brain_section(results_on(scans_on("fsaverage5", 12_000)))
    (line,) = section.no_maps
    assert "no mesh of fsaverage5 with 12,000 + 12,000 vertices comes with nilearn" in line


@pytest.mark.slow
def test_a_page_of_scans_on_a_surface(tmp_path):
    """From three people's BIDS files to the whole page; noise, so that nothing is significant."""
    whole = {f"{side}{k}": series(side, k, n_vertices=N) for side in "LR" for k in range(3)}
    folder = with_tables(tmp_path / "bids", hemispheres(**whole), subjects=("01", "02", "03"))
    settings = {"film": "none", "dataset": "d", "t_r": T_R, "bold": str(folder)}
    settings |= {"scan": {"space": "fsaverage5"}, "annotations": "none"}
    config = parse_config(settings | {"quality": {"n_permutations": 9}})
    bold, quality = tmp_path / "bold.nc", tmp_path / "brain_quality.nc"
    load_bold(folder, bold, config)
    brain_quality(bold, quality, tmp_path / "brain_quality.tsv", config)
    report(tmp_path, tmp_path / "report.html", config, figures=tmp_path / "figures")
    page = (tmp_path / "report.html").read_text()
    assert "surface that turns" in page
    assert "No vertex at q" in page
    assert page.count("Peaks of inter-subject correlation") >= 1
    table = pd.read_csv(tmp_path / "figures" / "map_isc.csv")
    assert list(table)[:2] == ["hemisphere", "vertex"]
    assert len(table) == 2 * N - 1
