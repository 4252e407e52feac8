"""The null of identification on the page: the figure, the table, the ladder and the sentence."""

import numpy as np
import pandas as pd
import pytest
from test_ladder import BY_SOUND, FACTS, NAMES, ROWS, material

from giblet.evaluation.permuted_clips import null_rows, null_table
from giblet.report.extras import Extras
from giblet.report.headline import behind_headline, headline
from giblet.report.ladder import ladder
from giblet.report.page import _environment, _rendered
from giblet.report.permutation_figure import permutation_figure, permutation_table
from giblet.report.sections import SECTIONS


@pytest.fixture
def nulls():
    """Of 99 permutations none is as high as the brain, of those of retrieval all."""
    draws = np.linspace(0.02, 0.22, 99)
    observed = {("brain", BY_SOUND): np.array([[0.437]]), ("nearest_clip", BY_SOUND): np.zeros(1)}
    return null_table("encodec", list(null_rows(observed, dict.fromkeys(observed, draws))))


def test_the_table_and_the_figure_have_the_brain(nulls, tmp_path):
    (row,) = permutation_table(nulls, simulated=True).rows
    assert row == [
        "Identified by sound, 10-way",
        "codes",
        "From BOLD (simulated)",
        *("0.437", "0.120", "0.025 to 0.215", "≤ 0.0100"),
    ]
    picture = permutation_figure(nulls, simulated=True)
    assert "simulated" in picture.title
    assert len(picture.table) == 101
    picture.save(tmp_path)
    assert (tmp_path / "permutations_89mm.svg").stat().st_size > 1000
    for none in (None, nulls[:0]):
        assert permutation_figure(none, simulated=False) is None
        assert permutation_table(none, simulated=False) is None


def test_the_ladder_has_a_band_and_the_sentence_a_p(nulls, rng):
    one = material(rng)
    object.__setattr__(one, "extras", Extras(segments=one.extras.segments, permutations=nulls))
    *_, brain = ladder(one).strips
    assert brain.score.null == pytest.approx((2.5, 21.5), abs=0.1)
    assert np.isnan(ladder(one).strips[1].score.null).all()
    html = _rendered(_environment(), SECTIONS[0], one)[2]
    assert html.count('class="null"') == 1
    assert "grey band: 95 % of permutations" in html
    sentence, _ = headline(pd.DataFrame(ROWS, columns=NAMES), FACTS, nulls)
    assert "(chance 10 %, p ≤ 0.01, shuffled BOLD 8 %; retrieval 36 %)" in sentence
    (line,) = behind_headline(pd.DataFrame(ROWS, columns=NAMES), nulls)
    assert line.endswith(
        "sound (codes), against chance: p ≤ 0.010 of 99 permutations of the clips."
    )


def test_without_a_null_the_page_says_nothing_of_one(rng):
    html = _rendered(_environment(), SECTIONS[0], material(rng))[2]
    assert "permutations" not in html
