"""Which region follows which feature space of the score, and what is lost with a region."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from giblet.report.extras import Extras, brain_tables
from giblet.report.material import Material
from giblet.report.page import _environment, _rendered
from giblet.report.scan_quality import BrainResults
from giblet.report.score_regions import band_table, lesion_tables
from giblet.report.sections import SECTIONS, sections_of

REGIONS = {"tonal": [0, 1], "auditory": [2, 3], "silent": [4], "unread": [5], "both": [6, 7]}
ATLAS = {name: np.isin(np.arange(8), voxels) for name, voxels in REGIONS.items()}
FACTS = {"film": "f", "simulated": True, "has_bold": True}
NAN = np.nan


@pytest.fixture
def brain():
    """Two subjects; a voxel of each band's region, one that no model read, and noise."""
    values = {
        "unique_score_harmony": [0.2, 0.4, -0.1, 0, -0.1, NAN, 0.1, 0.1],
        "unique_mel": [0, 0, 0.5, 0.3, -0.2, NAN, 0, 0],
        "unique_score_notes": [0.1, 0.1, 0, 0, -0.3, NAN, 0, 0],
    }
    maps = {
        name: (("subject", "voxel"), np.array([one, 2 * np.array(one)]))
        for name, one in values.items()
    }
    maps |= {"unique_mel_p_max": ("voxel", np.full(8, 0.5)), "isc": maps["unique_mel"]}
    quality = xr.Dataset(maps, {"subject": ["sub-01", "sub-02"]})
    return BrainResults(quality, pd.DataFrame(), xr.Dataset())


def test_regions_stand_with_the_band_that_they_follow(brain):
    table = band_table(brain, ATLAS, simulated=True)
    assert table.caption == "Unique variance by region, R² of held-out TRs (simulated brains)"
    assert table.header[2:5] == ["notes that begin and sound", "key and chords", "sound (mel)"]
    rows = {row[0]: row[1:] for row in table.rows}
    assert list(rows) == ["tonal", "both", "silent", "auditory", "whole brain"]
    assert rows["tonal"][:5] == ["2", "0.150", "0.450", "0.000", "key and chords"]
    assert rows["tonal"][5:] == ["2 of 2", "0.300 to 0.600"]
    assert rows["auditory"][-3:] == ["sound (mel)", "2 of 2", "0.400 to 0.800"]
    assert rows["silent"][-3:] == ["none", "", ""]  # all below 0
    assert rows["whole brain"][0] == "7"  # that have a value
    assert all(len(row) == len(table.header) for row in table.rows)


def test_a_band_that_one_subject_alone_follows_is_counted(brain):
    other = brain.quality.copy(deep=True)
    other["unique_mel"][1, :2] = 1.1
    row = band_table(BrainResults(other, brain.summary, brain.space), ATLAS, False).rows[-2]
    assert row[0] == "tonal"
    assert row[-3:] == ["sound (mel)", "1 of 2", "0.000 to 1.100"]


def test_without_bands_of_a_score_there_is_no_table(brain):
    others = brain.quality.drop_vars(["unique_score_harmony", "unique_score_notes"])
    assert band_table(BrainResults(others, brain.summary, brain.space), ATLAS, False) is None


def test_without_an_atlas_there_is_the_whole_brain(brain):
    (row,) = band_table(brain, {}, simulated=False).rows
    assert row[0] == "whole brain"


INTERVAL = {"change": -0.1, "low": -0.2, "high": NAN, "n_voxels": 3}
LESIONS = [
    ("tonal", "silenced", "note_f1", 0.1, 0.2, NAN),
    ("tonal", "random", "note_f1", 0.19, 0.2, NAN),
    ("tonal", "silenced", "latent_r", 0.3, 0.5, "fine"),
    ("tonal", "silenced", "latent_r", 0.0, 0.4, "global"),
    ("tonal", "silenced", "stoi", 0.1, 0.2, NAN),
]


@pytest.fixture
def lesions():
    names = ["region", "mode", "metric", "value", "intact", "level"]
    return pd.DataFrame(LESIONS, columns=names).assign(**INTERVAL | {"high": -0.05})


def test_lesions_of_the_score_have_their_own_tables(lesions):
    notes, levels = lesion_tables(Extras(lesions={"mel": lesions}), simulated=True)
    assert notes.caption == "Lesions: regions zeroed, notes of mel (simulated brains)"
    assert notes.rows[0][:2] == ["intact", "0.20"]
    assert notes.rows[1][:2] == ["tonal, zeroed", "0.10; −0.10 [−0.20, −0.05]"]
    assert notes.rows[2][0] == "tonal, as many at random"
    assert [row[0] for row in levels.rows] == [
        *("fine: intact", "fine: tonal, zeroed", "global: intact", "global: tonal, zeroed")
    ]
    (others,) = brain_tables(Extras(lesions={"mel": lesions}), simulated=True)
    assert [row[2] for row in others.rows] == ["STOI"]


def test_tables_of_lesions_without_a_score_are_as_before(lesions):
    older = lesions[lesions["metric"] == "stoi"].drop(columns="level")
    assert lesion_tables(Extras(lesions={"mel": older}), simulated=True) == []


def test_the_section_is_there_for_bands_and_for_lesions(brain, lesions):
    (section,) = (one for one in SECTIONS if one.anchor == "score")
    scores = pd.DataFrame({"column": [], "path": []})
    assert section not in sections_of(Material(scores, {}, 8000, {}, FACTS))
    extras = Extras(lesions={"mel": lesions}, atlas=ATLAS)
    material = Material(scores, {}, 8000, {}, FACTS, brain, extras)
    for one in (material, Material(scores, {}, 8000, {}, FACTS, None, extras)):
        assert section in sections_of(one)
    _, heading, html = _rendered(_environment(), section, material)
    assert heading == "Score (simulated brains)"
    assert html.count("<table>") == 3
    assert "Piano roll" not in html
    named = Material(scores, {}, 8000, {}, FACTS, brain, Extras())
    assert "No regions are named" in _rendered(_environment(), section, named)[2]
