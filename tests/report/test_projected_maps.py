"""Surface views of voxels: what they show, and where there are none."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.figure import Figure
from nibabel.affines import apply_affine

from giblet.evaluation.quality import summary_table
from giblet.report.brain_figures import map_figures
from giblet.report.projected_maps import projected_figures, projection_note
from giblet.report.scan_quality import BrainResults, brain_section
from giblet.report.surface_maps import draw_surface

N = 10_242
SIDES = ("left", "left", "right", "right")  # of the views, from left to right


def results(maps, affine):
    """One subject's ``maps`` (i, j, k) by name; names with _q are false discovery rates."""
    mask = np.ones(next(iter(maps.values())).shape, dtype=bool)
    space = xr.Dataset({"mask": (("i", "j", "k"), mask)}, attrs={"affine": affine.ravel().tolist()})
    columns = {
        name: ("voxel", values[mask])
        if name.endswith("_q")
        else (("subject", "voxel"), values[mask][None])
        for name, values in maps.items()
    }
    lags = dict.fromkeys(("lag", "lag_low", "lag_high", "lag_p"), np.nan) | {"lag_reliable": 0.0}
    attrs = {"lag_applied": 0.0, "lag_note": "", "warnings": "[]"}
    quality = xr.Dataset(columns | lags, {"subject": ["sub-01"]}, attrs)
    return BrainResults(quality, summary_table(quality), space)


@pytest.fixture
def brain():
    """Sound is found in the left temporal lobe alone; ISC is the same everywhere."""
    affine = np.diag([6.0, 6.0, 6.0, 1.0])
    affine[:3, 3] = -93, -129, -75
    shape = (32, 40, 36)
    x, y, z = apply_affine(affine, np.argwhere(np.ones(shape))).T.reshape(3, *shape)
    place = (x < -40) & (y > -50) & (y < 10) & (z > -20) & (z < 20)
    maps = {
        "isc": np.full(shape, 0.1),
        "r_encodec": np.where(place, 0.3, -0.01),
        "r_encodec_q": np.where(place, 0.01, 0.9),
        "r_text": np.full(shape, 0.6),
        "r_video": np.full(shape, -0.2),
    }
    return results(maps, affine)


def painted(picture):
    """The number of orange pixels in each of the four views."""
    figure = Figure(figsize=picture.size)
    picture.draw(figure.subplots())
    views = [image.get_array() for axes in figure.axes for image in axes.images]
    assert len(views) == 4
    return [int((view[..., 0] > 60.0 + view[..., 2]).sum()) for view in views]


def test_signal_in_one_hemisphere_paints_that_one_alone(brain):
    pictures = {one.name: one for one in projected_figures(brain, simulated=True)}
    lateral, medial, *right = painted(pictures["surface_r_encodec"])
    assert lateral > 1000
    assert lateral > 10 * medial
    assert right == [0, 0]
    assert min(painted(pictures["surface_isc"])) > 1000


@pytest.mark.parametrize("side", ["left", "right"])
def test_views_are_labelled_by_their_hemisphere(side):
    hot, cold = np.ones(N), np.full(N, np.nan)
    sides = (hot, cold) if side == "left" else (cold, hot)
    figure = Figure(figsize=(6.4, 1.4))
    draw_surface(figure.subplots(), *sides, largest=1.0, label="r")
    views = [image.get_array() for axes in figure.axes for image in axes.images]
    orange = [bool((view[..., 0] > 60.0 + view[..., 2]).any()) for view in views]
    assert orange == [one == side for one in SIDES]
    texts = [text.get_text() for text in figure.texts]
    assert texts == ["left, lateral", "left, medial", "right, medial", "right, lateral"]


def test_voxels_at_a_low_q_have_an_outline(brain):
    left, right = np.zeros(N), np.zeros(N)
    left[:] = 0.5
    inside = np.zeros(N, dtype=bool)
    inside[:40] = True  # vertices of fsaverage3: none has a neighbour among them
    draw = partial(draw_surface, left=left, right=right, largest=1.0, label="r")

    def black(outlined):
        figure = Figure(figsize=(6.4, 1.4))
        draw(figure.subplots(), outlined=outlined)
        views = [image.get_array() for axes in figure.axes for image in axes.images]
        return [int(((view[..., :3] < 20).all(-1) & (view[..., 3] > 200)).sum()) for view in views]

    assert black(None) == black((inside, inside)) == [0, 0, 0, 0]
    from nilearn.datasets import load_fsaverage

    places = load_fsaverage("fsaverage5")["pial"].parts["left"].coordinates
    behind = places[:, 1] < -60
    lateral, medial, *others = black((behind, np.zeros(N, dtype=bool)))
    assert min(lateral, medial) > 50
    assert others == [0, 0]
    notes = {one.name: one.note for one in projected_figures(brain, simulated=False)}
    assert "Outlined: q < 0.05" in notes["surface_r_encodec"]
    assert "Outlined" not in notes["surface_isc"]


def test_they_have_the_range_of_the_glass_brains(brain):
    pictures = projected_figures(brain, simulated=True)
    maps = map_figures(brain, simulated=True)
    names = [one.name.removeprefix("map_") for one in maps]
    assert [one.name.removeprefix("surface_") for one in pictures] == names
    assert "r_video" not in names
    for view, glass in zip(pictures, maps, strict=True):
        assert view.draw.keywords["largest"] == glass.draw.keywords["largest"]
        assert view.draw.keywords["label"] == glass.draw.keywords["label"]
        assert view.title.endswith("projected to the surface (simulated)")
    assert "to 0.600, the range of all maps of r" in pictures[1].note


def test_the_table_has_the_vertices_that_are_drawn(brain):
    picture = next(
        one for one in projected_figures(brain, simulated=False) if one.name == "surface_r_encodec"
    )
    table = picture.table
    assert list(table) == ["hemisphere", "vertex", "r_encodec", "outlined"]
    assert table["r_encodec"].notna().all()
    assert set(table.loc[table["outlined"] == 1, "hemisphere"]) == {"L"}
    assert len(table) / (2 * N) == pytest.approx(0.97, abs=0.02)
    assert "97% of its vertices" in picture.note


def test_the_note_says_that_it_is_a_projection(brain):
    note = projection_note(brain)
    assert "projection" in note
    assert "Voxels of 6 mm mix" in note
    fine = BrainResults(brain.quality, brain.summary, brain.space.assign_attrs(space="T1w"))
    assert projection_note(fine) == "No surface views: the scans are in T1w, not in MNI space."
    assert projected_figures(fine, simulated=False) == []


def test_notes_of_maps_say_where_the_space_is_assumed_or_another(brain):
    """The caption in the folder of figures, the line above the maps, and that of surface views."""

    def notes(**attrs):
        space = brain.space.assign_attrs(attrs)
        one = BrainResults(brain.quality, brain.summary, space)
        return [map_figures(one, False)[0].note, brain_section(one).maps_note, projection_note(one)]

    assert all("MNI space is assumed" in note for note in notes())
    assert not any("assumed" in note for note in notes(space="MNI152NLin2009cAsym"))
    *maps, _ = notes(space="T1w")
    assert all("The scans are in T1w: their places do not fit" in note for note in maps)


def test_notes_of_parcels_call_them_parcels(brain):
    labels = np.zeros(brain.space["mask"].shape, dtype=int)
    labels[4:12, 10:25, 10:25], labels[20:28, 10:25, 10:25] = 1, 2
    space = brain.space.assign(labels=(("i", "j", "k"), labels)).assign_coords(parcel=[1, 2])
    quality = xr.Dataset(
        {"isc": (("subject", "voxel"), [[0.3, 0.1]]), "isc_q": ("voxel", [0.01, 0.9])},
        {"subject": ["sub-01"], "parcel": ("voxel", ["1", "2"])},
        brain.quality.attrs,
    )
    parcels = BrainResults(quality, summary_table(quality), space)
    note = projection_note(parcels)
    assert "tests and tables are of parcels" in note
    assert "no parcel with a value there" in note
    (picture,) = projected_figures(parcels, simulated=False)
    assert "Outlined: q < 0.05 in parcels." in picture.note
    assert "Outlined: 1 parcel at" in map_figures(parcels, simulated=False)[0].note


def test_scans_without_voxels_have_none(brain):
    nowhere = BrainResults(brain.quality, brain.summary, xr.Dataset())
    surface = xr.Dataset(attrs={"surface": "fsaverage5", "n_vertices": f"[{N}, {N}]"})
    for space in (nowhere.space, surface):
        one = BrainResults(brain.quality, brain.summary, space)
        assert projected_figures(one, simulated=False) == []
        assert projection_note(one) == ""


def test_a_page_keeps_small(brain):
    uris = [one.uri for one in projected_figures(brain, simulated=False)]
    assert all("image/webp" in uri for uri in uris)
    assert all("image/png" not in uri for uri in uris)
    assert max(map(len, uris)) < 50_000
    again = projected_figures(brain, simulated=False)[0].uri
    assert again == uris[0], "the same bytes"


def test_tables_are_written_as_csv(brain, tmp_path):
    picture = projected_figures(brain, simulated=False)[0]
    picture.save(tmp_path)
    assert len(pd.read_csv(tmp_path / "surface_isc.csv")) == len(picture.table)
    assert (tmp_path / "surface_isc_183mm.pdf").stat().st_size > 10_000
