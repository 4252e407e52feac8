"""Where in the brain, on the page: figures, a table, and what they show."""

import nibabel
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.figure import Figure

from giblet.report.extras import Extras, brain_tables
from giblet.report.figure_table import FIGURES
from giblet.report.material import Material
from giblet.report.page import _environment, _rendered
from giblet.report.scan_quality import BrainResults
from giblet.report.searchlight import finding, searchlight_text
from giblet.report.sections import SECTIONS, sections_of

FACTS = {"film": "film.mp4", "simulated": True, "has_bold": True}
SCORES = pd.DataFrame({"column": [], "path": []})


@pytest.fixture
def table():
    return searchlight_table()


def searchlight_table():
    """Two regions and three spheres, at voxels 0, 1, 2 of those that are read."""
    rows = [
        (kind, place, voxel, 20, column, value, value - 0.1, value + 0.1, p / 2, p, n)
        for column in ("brain", "brain_group")
        for kind, place, voxel, value, p, n in (
            ("region", "auditory", -1, 0.6, 0.001, 2),
            ("region", "visual", -1, 0.12, 0.4, 2),
            ("sphere", "0", 0, 0.5, 0.001, 3),
            ("sphere", "1", 1, 0.05, 0.9, 3),
            ("sphere", "2", 2, 0.3, 0.04, 3),
        )
    ]
    names = ["kind", "place", "voxel", "n_voxels", "column", "value", "low", "high", "p", "p_max"]
    return pd.DataFrame(rows, columns=[*names, "n_places"])


def brain():
    mask = np.zeros((4, 4, 4), dtype=bool)
    mask[1, 1] = True
    affine = nibabel.affines.from_matvec(np.diag([20.0] * 3), [-20, -20, -20])
    space = xr.Dataset({"mask": (("i", "j", "k"), mask)}, attrs={"affine": affine.ravel().tolist()})
    space = space.assign_coords(voxel=np.arange(4))
    quality = xr.Dataset({"isc": (("subject", "voxel"), np.full((2, 4), 0.1))})
    for axis in "xyz":
        quality = quality.assign_coords({axis: ("voxel", np.zeros(4))})
    return BrainResults(quality, pd.DataFrame({"metric": []}), space)


def test_the_section_is_there_where_the_rule_was_run(table):
    (section,) = (one for one in SECTIONS if one.anchor == "where")
    extras = Extras(searchlight=table, kept=np.array([0, 1, 3]))
    material = Material(SCORES, {}, 24000, {}, FACTS, None, extras)
    without = Material(SCORES, {}, 24000, {}, FACTS)
    assert section in sections_of(material)
    assert section not in sections_of(without)
    assert FIGURES["searchlight"](without) == []
    _, heading, html = _rendered(_environment(), section, material)
    assert heading == "Where in the brain (simulated brains)"
    assert html.count("<img") == 1
    assert "The brains are simulated." in html
    (picture,) = FIGURES["searchlight"](material)
    assert "simulated" in picture.title
    assert "family-wise over 2 regions" in picture.note


def test_the_map_has_spheres_at_their_voxels_of_the_scan(table):
    extras = Extras(searchlight=table, kept=np.array([0, 1, 3]))
    material = Material(SCORES, {}, 24000, {}, FACTS, brain(), extras)
    _, picture = FIGURES["searchlight"](material)
    volume = picture.draw.keywords["volume"]
    np.testing.assert_allclose(np.nan_to_num(volume[1, 1]), [0.4, -0.05, 0, 0.2], atol=1e-6)
    np.testing.assert_array_equal(picture.draw.keywords["outlined"][1, 1], [1, 0, 0, 1])
    assert "2 of 3 with p < .05" in picture.note
    assert picture.uri.startswith("data:image/svg")


def test_single_subjects_are_dots_beside_their_mean(table):
    table["by_subject"] = np.where(table["column"] == "brain", "0.5 0.7 n/a", "")
    table.loc[table["kind"] == "sphere", "by_subject"] = np.nan
    material = Material(SCORES, {}, 24000, {}, FACTS, None, Extras(searchlight=table))
    (picture,) = FIGURES["searchlight"](material)
    assert "single subjects" in picture.note
    axes = Figure().subplots()
    picture.draw(axes)
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert len(dots) == 2  # regions of the brain; the group has no single subjects
    np.testing.assert_array_equal(dots[0].get_xdata(), [0.5, 0.7, np.nan])


def test_the_table_and_the_sentence(table):
    text = searchlight_text(table)
    one, group = text.rows[:2]
    assert one[:3] == ["region auditory", "subjects one by one, mean", "20"]
    assert one[3:] == ["0.600 [0.500, 0.700]", "0.0005", "0.0010", "2"]
    assert group[1] == "all subjects together"
    assert len(text.rows) == 10
    assert finding(table) == (
        "Above chance at p < .05, corrected for their number: 1 of 2 regions; the best is "
        "auditory. "
        "Above chance at p < .05, corrected for their number: 2 of 3 spheres."
    )


def test_the_table_of_lesions_names_the_decoder():
    row = {"region": "a", "mode": "silenced", "metric": "stoi", "value": 0.1, "intact": 0.2}
    row |= {"change": -0.1, "low": -0.2, "high": 0.0, "n_voxels": 3}
    old, group = pd.DataFrame([row]), pd.DataFrame([row | {"decoder": "group"}])
    (before,) = brain_tables(Extras(lesions={"mel": old}), simulated=False)
    (together,) = brain_tables(Extras(lesions={"mel": group}), simulated=False)
    assert before.caption.startswith("Lesions: regions zeroed, ")
    assert "all subjects decoded together" in together.caption
