"""The figure and the tables of levels, of SIMULATED scores."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from giblet.evaluation.level_scores import COLUMNS, SCORES
from giblet.report.extras import Extras
from giblet.report.level_figure import level_figure, level_section
from giblet.report.material import Material
from giblet.report.page import render_page
from giblet.report.sections import sections_of
from giblet.stats.level_encoding import RELIABLE

SPACES = {"sound": ("mel", "latents"), "codebook": "123", "sound_model": ("layer_4", "layer_8")}
SPACES |= {"film": ("video", "text", "n_words")}


@pytest.fixture
def levels():
    return level_table()


def level_table():
    """Two regions; codebook 2 has the largest r, and 3 the largest unique variance."""
    rows = []
    for region, (space, names) in product((RELIABLE, "A1"), SPACES.items()):
        for place, name in enumerate(names):
            row = {"region": region, "space": space, "level": name, "n_subjects": 4}
            row |= {"ceiling": 0.5, "ceiling_share": 0.6, "n_voxels": 9}
            for score in SCORES:
                value = 0.3 - 0.1 * (place != 1) if score == "r" else 0.1 * place
                ends = {"low": value - 0.05, "high": value + 0.05, "p": 0.04}
                ends |= {"null_low": -0.02, "null_high": 0.02}
                row |= {score: value} | {f"{score}_{end}": one for end, one in ends.items()}
            rows.append(row)
    return pd.DataFrame(rows).reindex(columns=COLUMNS)


def test_every_level_is_drawn_once_with_its_numbers(levels, tmp_path):
    picture = level_figure(levels, simulated=True)
    assert "simulated" in picture.title
    assert len(picture.table) == len(levels)
    assert picture.table.groupby("region")["level"].apply(list).loc["A1"] == [
        *("mel", "latents"),
        *"123",
        *("layer_4", "layer_8"),
        *("video", "text", "n_words"),
    ]
    picture.save(tmp_path)
    assert (tmp_path / "levels_183mm.svg").stat().st_size > 1000
    assert level_figure(None, simulated=False) is None


def test_single_subjects_are_dots_beside_their_mean(levels):
    note = level_figure(levels, simulated=False).note
    assert "single subjects" not in note  # a table of an older giblet
    for score in SCORES:
        levels[f"{score}_by_subject"] = "0.1 0.2 0.3"
    picture = level_figure(levels, simulated=False)
    assert "single subjects" in picture.note
    axes = Figure().subplots()
    figure = axes.figure
    picture.draw(axes)
    for panel in figure.axes:
        dots = [line for line in panel.lines if list(line.get_ydata()) == [0.1, 0.2, 0.3]]
        assert len(dots) == 10  # levels of the voxels of highest ISC


def test_the_section_names_the_peaks(levels):
    material = Material(pd.DataFrame(), {}, 24000, {}, {"film": "f", "simulated": True},
                        extras=Extras(levels=levels))  # fmt: skip
    assert "levels" in {section.anchor for section in sections_of(material)}
    content = level_section(material)
    peaks, whole = content["tables"]
    assert "simulated" in content["heading"]
    assert "simulated" in peaks.caption
    row = next(one for one in peaks.rows if one[:2] == ["A1", "codebook alone"])
    assert row[2:] == ["2", "0.300 [0.250, 0.350], p 0.040", "0.60", "3", "0.2000 [0.1500, 0.2500]"]
    assert [one[:2] for one in whole.rows[:2]] == [
        ["voxels of highest ISC", "mel"],
        ["voxels of highest ISC", "latents"],
    ]
    shown = [one[1] for one in whole.rows if one[0] == "A1"]
    assert shown == ["mel", "latents", "video", "words", "number of words"]


def test_without_a_null_or_a_ceiling_there_is_a_figure(levels):
    levels.loc[:, ["ceiling", "ceiling_share", "unique", "r_null_low", "r_null_high"]] = np.nan
    assert level_figure(levels, simulated=False).uri.startswith("data:image/svg")


def test_the_page_has_the_section_with_its_figure(levels):
    names = ["path", "column", "metric", "value", "low", "high", "n", "n_failed"]
    facts = {"dataset": "d", "film": "f", "codec": "c", "bandwidth_kbps": 6.0, "t_r": 1.5}
    facts |= {"warnings": [], "simulated": True, "has_bold": True, "config": ""}
    extras = Extras(levels=levels, figures="figures")
    html = render_page(pd.DataFrame(columns=names), {}, 24000, {}, facts, extras=extras)
    assert '<h2 id="levels">Which level of the sound? (simulated brains)</h2>' in html
    assert 'href="figures/levels_89mm.pdf"' in html
    assert "The brains are simulated." in html
