"""A new score is a function and an entry; a new section is a function and an entry."""

import re

import numpy as np
import pandas as pd
import pytest

from giblet.audio.metrics.scores import score_sound
from giblet.audio.metrics.table import HIGHER, METRICS, SOUND, Metric, per_pair
from giblet.report import sections
from giblet.report.extras import Extras
from giblet.report.methods import methods_text
from giblet.report.page import render_page
from giblet.report.sections import SECTIONS, Section
from giblet.report.segments import score_segments

RATE = 24000
FACTS = {"dataset": "d", "film": "f", "codec": "c", "bandwidth_kbps": 6.0, "t_r": 1.5}
FACTS |= {"warnings": [], "simulated": False, "has_bold": False, "config": ""}


@pytest.fixture
def sounds(rng):
    """Noise of two segments, and the same at half and at a quarter of its loudness."""
    original = (0.1 * rng.standard_normal(16 * RATE)).astype(np.float32)
    return {
        "encodec": {"original": original, "codec": 0.5 * original},
        "mel": {"original": original, "codec": 0.25 * original},
    }


def loudness_db(reference, estimate):
    return 20 * np.log10(estimate.waveform.std() / reference.waveform.std())


@pytest.mark.slow
def test_a_new_score_is_an_entry_of_the_table(sounds, monkeypatch):
    entry = Metric(
        name="loudness_db",
        label="Loudness",
        unit="dB",
        decimals=2,
        applies_to=SOUND,
        direction=HIGHER,
        function=per_pair(loudness_db),
        compared=True,
        method="loudness (Someone, 2030)",
    )
    monkeypatch.setitem(METRICS, entry.name, entry)
    original = sounds["mel"]["original"]
    scores = pd.concat(
        score_sound(original, columns["codec"], RATE, n_bootstrap=9).assign(path=name)
        for name, columns in sounds.items()
    ).assign(column="codec")
    quieter = scores.set_index(["path", "metric"])["value"].xs("loudness_db", level="metric")
    np.testing.assert_allclose(quieter[["encodec", "mel"]], [-6.02, -12.04], atol=0.01)
    extras = Extras(segments=score_segments(sounds, RATE))
    html = render_page(scores, sounds, RATE, {}, FACTS, extras=extras)
    tables = re.findall(r"<table class=.scores.>(.*?)</table>", html, re.DOTALL)
    found = []
    for table in tables:  # compared, and among all scores
        header = [name.split("<")[0] for name in re.findall(r'<th scope="col">(.*?)</th>', table)]
        if "Loudness (dB)" in header:
            place = header.index("Loudness (dB)")  # of the row's heading, too
            rows = re.findall(r'<tr><th scope="row">(.*?)</tr>', table, re.DOTALL)
            cells = [re.findall(r"<td.*?>(.*?)</td>", row) for row in rows]
            found.append([re.match(r"−[\d.]+", row[place - 1])[0] for row in cells])
    assert found == [["−6.02"], ["−12.04"], ["−6.02", "−12.04"]]
    (difference,) = re.findall(r'<th scope="row">Loudness \(dB\)</th><td>([\d.]+)</td>', html)
    assert difference == "6.02"
    assert " and loudness (Someone, 2030)" in methods_text(FACTS, {})


def test_a_new_section_is_an_entry_of_the_list(monkeypatch):
    def content(material):
        return {"answer": [("Toy", material.facts["toy"], ())], "few_segments": ""}

    def has_toy(material):
        return "toy" in material.facts

    toy = Section("toy", "All toys", "answer.html.jinja", content, has_toy)
    monkeypatch.setattr(sections, "SECTIONS", (*SECTIONS, toy))
    names = ["path", "column", "metric", "value", "low", "high", "n", "n_failed"]
    arguments = pd.DataFrame(columns=names), {}, RATE, {}
    html = render_page(*arguments, FACTS | {"toy": "wooden"})
    assert '<a href="#toy">All toys</a>' in html
    assert '<h2 id="toy">All toys</h2>' in html
    assert "<strong>Toy.</strong> wooden" in html
    assert "toy" not in render_page(*arguments, FACTS)
