"""The calibration curve on the page: a figure, a table, and what they show."""

import pandas as pd
import pytest

from giblet.report.calibration import calibration_text, finding
from giblet.report.extras import Extras, brain_tables
from giblet.report.figure_table import FIGURES
from giblet.report.material import Material
from giblet.report.page import _environment, _rendered
from giblet.report.sections import SECTIONS, sections_of

FACTS = {"film": "film.mp4", "simulated": True, "has_bold": True}
SCORES = pd.DataFrame({"column": [], "path": []})


@pytest.fixture
def table():
    return calibration_table()


def calibration_table():
    """One person and the mean of all, two scores, 2 and 5 minutes; SIMULATED."""
    rows = [
        ("encodec", "srm", subject, minutes, metric, value, low, value / 2, 0.5, value / 0.5)
        for subject, plus in (("sub-01", 0.01), ("all", 0.0))
        for metric, low in (("identification_10way", 0.1), ("bold_r_reliable", 0.0))
        for minutes, value in ((2, 0.3 + plus), (5, 0.46 + plus))
    ]
    names = ["path", "alignment", "subject", "minutes", "metric", "value", "shuffled", "alone"]
    return pd.DataFrame(rows, columns=[*names, "full", "share"])


def test_the_section_is_there_where_the_rule_was_run(table):
    (section,) = (one for one in SECTIONS if one.anchor == "calibration")
    material = Material(SCORES, {}, 24000, {}, FACTS, None, Extras(calibration=table))
    without = Material(SCORES, {}, 24000, {}, FACTS)
    assert section in sections_of(material)
    assert section not in sections_of(without)
    assert FIGURES["calibration"](without) == []
    _, heading, html = _rendered(_environment(), section, material)
    assert heading == "A new person (simulated brains)"
    assert "scan.alignment: srm" in html
    assert html.count("<img") == 1
    assert "The brains are simulated." in html
    (picture,) = FIGURES["calibration"](material)
    assert "simulated" in picture.title
    pd.testing.assert_frame_equal(picture.table, table)


def test_the_table_has_means_over_people(table):
    text = calibration_text(table)
    assert text.rows[0] == [
        "2.0",
        "Clips identified, 10-way",
        *("0.300", "0.100", "0.150"),
        "0.500",
        "0.60",
    ]
    assert len(text.rows) == 4
    assert finding(table) == (
        "Clips identified, 10-way: 90 % of the full score above chance after 5 minutes. "
        "BOLD correlation r, reliable voxels: 90 % of the full score above chance after 5 minutes."
    )
    assert "never reached" in finding(table.assign(share=0.5))


def test_subjects_left_out_have_the_decoder_of_others_where_the_table_has_it():
    row = {"subject": "all", "metric": "identification_2way", "within": 0.7, "left_out": 0.6}
    row |= {"shuffled": 0.5, "difference": -0.1, "low": -0.2, "high": 0.0}
    old = pd.DataFrame([row])
    (table,) = brain_tables(Extras(left_out={"mel": old}), simulated=False)
    assert table.rows[0][-1] == "-0.100 [-0.200, 0.000]".replace("-", "−")
    new = old.assign(others=0.65, others_shuffled=0.49)
    (table,) = brain_tables(Extras(left_out={"mel": new}), simulated=False)
    assert table.header[-2:] == ["Decoder of others", "Of others, shuffled"]
    assert table.rows[0][-2:] == ["0.650", "0.490"]
