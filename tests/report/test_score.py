"""The section of the score: rolls of the same seconds, tables with nulls, and what is claimed."""

import re

import numpy as np
import pandas as pd
import pytest
from music.pieces import broken_chords

from giblet.report.extras import Extras, MusicResults
from giblet.report.material import Material
from giblet.report.page import _environment, _rendered
from giblet.report.score import level_sentence, note_path, piano_rolls, score_tables
from giblet.report.sections import SECTIONS, sections_of

RATE = 8000
FACTS = {"film": "f", "simulated": True, "has_bold": True}
NAMES = ["column", "level", "metric", "value", "low", "high", "n", "n_failed", "chance", "p"]
TEN = "latent_identification_10way"
NAN = float("nan")
ROWS = [
    ("score", "", "note_f1", 0.99, 0.98, 1, 12, 0, NAN, NAN),
    ("score_brain", "", "note_f1", 0.25, 0.2, 0.3, 12, 0, NAN, 0.0123),
    ("score_brain_shuffled", "", "note_f1", 0.05, 0.04, 0.06, 12, 0, NAN, NAN),
    ("score_brain", "", "sound_identification_10way", 0.4, 0.3, 0.5, 12, 0, 0.1, 0.001),
    ("score_latent", "local", TEN, 1, 1, 1, 12, 0, 0.1, 0.001),
    ("score_brain", "local", TEN, 0.5, 0.4, 0.6, 12, 0, 0.1, 0.002),
    ("score_brain", "fine", TEN, 0.12, 0.1, 0.2, 12, 0, 0.1, 0.3),
    ("score_brain", "global", TEN, 0.9, 0.8, 1, 12, 0, 0.1, NAN),
]


@pytest.fixture
def music(rng):
    columns = ("original", "score", "score_brain", "score_brain_shuffled")
    notes = {column: broken_chords(k, n_bars=20) for k, column in enumerate(columns)}
    sounds = {c: (0.1 * rng.standard_normal(40 * RATE)).astype(np.float32) for c in columns}
    return MusicResults(notes, sounds, RATE, pd.DataFrame(ROWS, columns=NAMES).assign(path="mel"))


def test_rolls_are_of_the_same_seconds_and_pitches(music):
    rolls = piano_rolls(music, simulated=True)
    assert rolls.seconds == 30
    names = [roll.label for roll in rolls.main + rolls.nulls]
    assert names[2:] == ["from BOLD (simulated)", "null: BOLD of other moments (simulated)"]
    pitches = np.concatenate([n.between(0, 30).pitch for n in music.notes.values()])
    assert rolls.n_pitches == np.ptp(pitches) + 5
    middle_c = 100 * (60 - (pitches.min() - 2) + 0.5) / rolls.n_pitches
    assert dict(rolls.pitches)["C4"] == pytest.approx(middle_c, abs=0.01)
    assert (rolls.ticks[0], rolls.ticks[-1]) == (("0:00", 0), ("0:30", 100))
    for roll in rolls.main + rolls.nulls:
        cells = np.array(re.findall(r"M(\S+) (\S+?)h(\S+?)v", roll.notes), float)
        assert cells[:, 0].min() == 0 <= cells[:, 1].min()
        assert (cells[:, 0] + cells[:, 2]).max() <= 30.001
        assert cells[:, 1].max() < rolls.n_pitches
    original, *others = rolls.main + rolls.nulls
    assert original.score == ""
    assert all(roll.score == original.notes != roll.notes for roll in others)


def test_higher_notes_are_higher():
    notes = broken_chords(0, n_bars=1)
    tops = [float(y) for y in re.findall(r"M\S+ (\d+)h", note_path(notes, 100))]
    np.testing.assert_array_equal(100 - np.array(tops), notes.pitch)


def test_tables_have_nulls_chance_and_p(music):
    of_notes, of_sound, levels = score_tables(music.scores, simulated=True)
    cells = {row[0]: dict(zip(of_notes.header, row, strict=True)) for row in of_notes.rows}
    brain = cells["from BOLD (simulated)"]
    assert brain["Note F1 (50 ms)"] == "0.25 [0.20, 0.30], p 0.0123"
    assert brain["Same key"] == ""
    assert cells["null: BOLD of other moments (simulated)"]["Note F1 (50 ms)"].startswith("0.05")
    assert cells["chance"]["Note F1 (50 ms)"] == ""  # the nulls say it
    assert of_sound.rows[-1] == ["chance", "0.50", "0.10"]
    assert of_sound.rows[0] == ["from BOLD (simulated)", "", "0.40 [0.30, 0.50], p 0.0010"]
    assert [row[0] for row in levels.rows] == [
        "local: through its own latents",
        "local: from BOLD (simulated)",
        "fine: from BOLD (simulated)",
        "global: from BOLD (simulated)",
        "chance",
    ]


def test_only_what_was_tested_is_claimed(music):
    text = level_sentence(music.scores, simulated=True)
    assert text == (
        "Decoded from the simulated brains and identified among ten (chance 10 %): local (50 % of "
        "clips, p = 0.0020). Not tested, as a value holds for several clips: global. By the sound "
        "of the decoded notes clips are identified among ten (40 %, p = 0.0010)."
    )
    weak = music.scores.replace({"p": {0.001: 0.2}})
    assert "clips are not shown to be identified" in level_sentence(weak, simulated=True)
    nothing = music.scores[music.scores["level"] != "local"]
    assert level_sentence(nothing, simulated=False).startswith(
        "No level of the latents decoded from the brain is identified among ten above chance."
    )
    without = music.scores[~music.scores["column"].str.contains("brain")]
    assert level_sentence(without, simulated=False) == ""


def test_the_section_is_there_where_a_score_was_reconstructed(music):
    (section,) = (one for one in SECTIONS if one.anchor == "score")
    scores = pd.DataFrame({"column": [], "path": []})
    with_music = Material(scores, {}, RATE, {}, FACTS, None, Extras(music=music))
    assert section in sections_of(with_music)
    assert section not in sections_of(Material(scores, {}, RATE, {}, FACTS))
    _, heading, html = _rendered(_environment(), section, with_music)
    assert heading == "Score (simulated brains)"
    assert html.count('<svg class="roll"') == html.count("<audio") == 4
    assert "decoded as latents of a music model" in html
    no_latents = music.scores.replace({"level": {"local": "bottleneck"}})
    changed = MusicResults(music.notes, music.sounds, RATE, no_latents)
    html = _rendered(
        _environment(), section, Material(scores, {}, RATE, {}, FACTS, None, Extras(music=changed))
    )[2]
    assert "reads out as a piano roll" in " ".join(html.split())
