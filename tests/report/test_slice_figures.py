"""Axial slices of a map: which z, which side, and where there are none. Oracle: the affine."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from nibabel.affines import apply_affine

from giblet.evaluation.quality import summary_table
from giblet.report.brain_figures import map_figures
from giblet.report.brain_maps import COLOUR
from giblet.report.pictures import save_pictures
from giblet.report.scan_quality import BrainResults
from giblet.report.slice_figures import COLUMNS, ROWS, slice_figures, slice_heights

AFFINE = np.diag([-6.0, 6.0, 6.0, 1.0])  # i runs from right to left
AFFINE[:3, 3] = 93, -129, -63
SHAPE = (32, 40, 28)


@pytest.fixture
def places():
    """x, y, z of the voxels, mm."""
    return apply_affine(AFFINE, np.argwhere(np.ones(SHAPE))).T.reshape(3, *SHAPE)


def results(maps, **attrs):
    mask = np.ones(SHAPE, dtype=bool)
    attrs = {"affine": AFFINE.ravel().tolist(), "space": "MNI152NLin6Asym"} | attrs
    space = xr.Dataset({"mask": (("i", "j", "k"), mask)}, attrs=attrs)
    columns = {
        name: ("voxel", values.ravel())
        if name.endswith("_q")
        else (("subject", "voxel"), values.reshape(1, -1))
        for name, values in maps.items()
    }
    quality = xr.Dataset(columns, {"subject": ["sub-01"]}, {"lag_applied": 0.0, "warnings": "[]"})
    return BrainResults(quality, summary_table(quality), space)


@pytest.fixture
def left(places):
    """A cube in the left hemisphere, 0 to 30 mm above the origin."""
    x, y, z = places
    inside = (x < -20) & (x > -60) & (abs(y + 20) < 20) & (z >= 0) & (z <= 30)
    maps = {"isc": np.full(SHAPE, 0.2), "r_encodec": np.where(inside, 0.5, 0.0)}
    return results(maps | {"r_encodec_q": np.where(inside, 0.001, 0.9)})


def drawn(picture):
    figure = Figure(figsize=picture.size)
    picture.draw(figure.subplots())
    return figure


def orange(axes):
    """x in mm of the drawn values of a slice, (n,)."""
    image = axes.images[-1]
    shown = image.get_array()
    low, high, *_ = image.get_extent()
    x = np.linspace(low, high, shown.shape[1] * 2 + 1)[1::2]
    return x[np.nonzero(~np.ma.getmaskarray(shown) & (np.ma.filled(shown, 0) > 0.1))[1]]


def slices_of(figure):
    """z in mm → its axes, by the text below them."""
    axes = [one for one in figure.axes if len(one.images) > 1]
    texts = [one.texts[0].get_text() for one in axes]
    return {int(text.removeprefix("z = ").replace("\u2212", "-")): one
            for text, one in zip(texts, axes, strict=True)}  # fmt: skip


def test_a_cube_on_the_left_is_in_the_slices_through_it_on_the_left(left):
    (picture,) = slice_figures(left, simulated=True)
    assert picture.name == "slices_r_encodec"
    assert picture.title == "Ridge r: sound (codes), axial slices (simulated)"
    shown = slices_of(drawn(picture))
    assert list(shown) == sorted(shown)
    assert len(shown) == ROWS * COLUMNS
    through = [z for z in shown if 0 <= z <= 30]
    assert len(through) >= 2
    assert [z for z, axes in shown.items() if len(orange(axes))] == through
    for z in through:
        x = orange(shown[z])
        assert x.min() > -66
        assert x.max() < -14


def test_sides_range_threshold_and_space_are_printed(left):
    (picture,) = slice_figures(left, simulated=False)
    figure = drawn(picture)
    first = next(iter(slices_of(figure).values()))
    assert {"L", "R"} <= {text.get_text() for text in first.texts}
    by_text = {text.get_text(): text.get_position()[0] for text in first.texts}
    assert by_text["L"] < by_text["R"]
    assert figure.axes[-1].get_ylabel() == "held-out r,\nsound to BOLD"
    assert figure.axes[-1].get_ylim() == (0, 0.5)
    glass = next(one for one in map_figures(left, False) if one.name == "map_r_encodec")
    assert picture.note.endswith(glass.note)
    assert "z in mm" in picture.note
    assert "at q < 0.05" in picture.note
    bar = figure.axes[-1].collections[-1].get_cmap()
    assert bar(1.0)[:3] == pytest.approx(to_rgb(COLOUR))


def test_heights_are_even_and_within_the_voxels(places):
    known = abs(places[2]) < 40
    heights = slice_heights(known, AFFINE)
    z = places[2][known]
    assert z.min() < heights[0] < heights[-1] < z.max()
    steps = np.diff(heights)
    assert steps.max() - steps.min() <= 1


def test_there_are_none_for_another_space_or_without_values(places):
    values = {"r_encodec": np.full(SHAPE, 0.2)}
    assert len(slice_figures(results(values), False)) == 1
    assert slice_figures(results(values, space="T1w"), False) == []
    assert slice_figures(results({"r_encodec": np.full(SHAPE, -0.2)}), False) == []
    surface = results(values, surface="fsaverage5", n_vertices="[10242, 10242]")
    assert slice_figures(surface, False) == []


def test_they_are_files_like_the_other_figures_and_small_on_the_page(left, tmp_path):
    (picture,) = slice_figures(left, simulated=False)
    save_pictures([picture], tmp_path)
    assert {one.name for one in tmp_path.iterdir()} == {
        "captions.md",
        "slices_r_encodec.csv",
        *(f"slices_r_encodec_{mm}mm.{kind}" for mm in (89, 183) for kind in ("svg", "pdf")),
    }
    assert len(pd.read_csv(tmp_path / "slices_r_encodec.csv")) == np.prod(SHAPE)
    assert "Axial slices" in (tmp_path / "captions.md").read_text()
    assert len(picture.uri) < 150_000
