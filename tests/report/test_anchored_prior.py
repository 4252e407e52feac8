"""The prior on the page: its word follows from the points of the figure."""

import numpy as np
import pandas as pd
import pytest

from giblet.report.anchored_prior import points, word
from giblet.report.extras import Extras
from giblet.report.figure_table import FIGURES
from giblet.report.material import Material
from giblet.report.page import _environment, _rendered
from giblet.report.sections import SECTIONS

FACTS = {"film": "film.mp4", "simulated": True, "has_bold": True}
SCORES = pd.DataFrame({"column": [], "path": []})
NAMES = ["column", "strength", "metric", "value", "low", "high", "p", "n"]


def table(identified, novelty, p, column="brain"):
    """A curve at strengths 0, .5 and 1; the film's own sound has novelty .4."""
    rows = [("original", np.nan, "novelty", 0.4, 0.3, 0.5, np.nan, 36)]
    rows.append((column, np.nan, "identification_10way", 0.5, 0.4, 0.6, 0.001, 12))
    for strength, i, new, each in zip((0, 0.5, 1), identified, novelty, p, strict=True):
        rows.append((column, strength, "identification_sound_10way", i, 0.1, 0.9, each, 12))
        rows.append(
            ("brain_shuffled", strength, "identification_sound_10way", 0.1, 0, 0.2, np.nan, 12)
        )
        rows.append((column, strength, "novelty", new, 0, 0.5, np.nan, 36))
    return pd.DataFrame(rows, columns=NAMES).assign(path="encodec", bank="training TRs of the film")


@pytest.mark.parametrize(
    ("identified", "novelty", "p", "expected"),
    [
        ((0.5, 0.4, 0.3), (0, 0.1, 0.35), (0.001, 0.001, 0.001), "reconstructed"),
        ((0.5, 0.4, 0.1), (0, 0.1, 0.35), (0.001, 0.001, 0.5), "retrieved"),
        ((0.5, 0.4, 0.3), (0, 0.1, 0.19), (0.001, 0.001, 0.001), "retrieved"),
        ((0.2, 0.2, 0.2), (0, 0.1, 0.35), (0.03, 0.03, 0.5), "not above chance"),  # Holm
    ],
)
def test_the_word(identified, novelty, p, expected):
    assert word(table(identified, novelty, p), "brain")[0] == expected


def test_the_section_names_bank_word_and_what_is_simulated():
    curve = table((0.5, 0.4, 0.3), (0, 0.1, 0.35), (0.001, 0.001, 0.001))
    (section,) = (one for one in SECTIONS if one.anchor == "prior")
    material = Material(SCORES, {}, 24000, {}, FACTS, None, Extras(prior=curve))
    shown = section.content(material)
    assert section.condition(material)
    assert shown["bank"] == "training TRs of the film"
    assert shown["words"] == [("From BOLD", "reconstructed", "at strength 1")]
    assert "0.500 of clips are identified by sound" in shown["of_bottleneck"]
    assert len(shown["table"].rows) == 6
    (picture,) = FIGURES["anchored_prior"](material)
    assert picture.uri.startswith("data:image/svg")
    assert "SIMULATED" in picture.note
    _, heading, html = _rendered(_environment(), section, material)
    assert heading == "Retrieved or reconstructed (simulated brains)"
    assert "<strong>From BOLD: reconstructed</strong> at strength 1." in html
    assert "Bank: <bdi>training TRs of the film</bdi>." in html
    without = Material(SCORES, {}, 24000, {}, FACTS)
    assert not section.condition(without)
    assert FIGURES["anchored_prior"](without) == []


def test_a_shuffled_point_has_the_novelty_of_its_brain():
    shown = points(table((0.5, 0.4, 0.3), (0, 0.1, 0.35), (0.001, 0.001, 0.001)))
    by = shown.set_index(["column", "strength"])["novelty"]
    assert by["brain_shuffled", 1] == by["brain", 1] == 0.35
