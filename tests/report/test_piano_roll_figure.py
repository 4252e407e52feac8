"""Piano rolls for print: every note is drawn and in the table, and the page links to the files."""

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from music.pieces import broken_chords

from giblet.report.extras import Extras, MusicResults
from giblet.report.material import Material
from giblet.report.page import _environment, _rendered
from giblet.report.piano_roll_figure import piano_roll_figures, pitch_ticks
from giblet.report.pictures import save_pictures
from giblet.report.sections import SECTIONS

RATE = 8000
SYSTEMS = {
    "original": "The score",
    "score_latent": "Through its own latents",
    "score_brain": "From BOLD (simulated)",
}
NAMES = ["path", "column", "level", "metric", "value", "low", "high", "n", "n_failed", "p"]


def material(columns, simulated=True):
    """Forty seconds of notes in each column, and silence."""
    notes = {column: broken_chords(k, n_bars=20) for k, column in enumerate(columns)}
    sounds = {column: np.zeros(40 * RATE, np.float32) for column in columns}
    row = ("mel", columns[-1], "", "note_f1", 0.25, 0.2, 0.3, 12, 0, 0.01)
    music = MusicResults(notes, sounds, RATE, pd.DataFrame([row], columns=NAMES))
    facts = {"film": "f", "simulated": simulated, "has_bold": "score_brain" in columns}
    extras = Extras(music=music, figures="figures")
    return Material(pd.DataFrame({"column": [], "path": []}), {}, RATE, {}, facts, None, extras)


@pytest.fixture(scope="module")
def shown():
    """With a column that is not in the figure."""
    return material(["original", "score", "score_latent", "score_brain"])


def test_the_table_has_every_note_of_the_seconds_that_are_shown(shown):
    (picture,) = piano_roll_figures(shown)
    assert list(picture.table) == ["system", "onset", "duration", "pitch", "velocity"]
    assert list(picture.table["system"].unique()) == list(SYSTEMS.values())
    for column, system in SYSTEMS.items():
        rows, notes = picture.table[picture.table["system"] == system], shown.extras.music.notes
        inside = notes[column].onset < 30
        np.testing.assert_allclose(rows["onset"], notes[column].onset[inside])
        np.testing.assert_array_equal(rows["pitch"], notes[column].pitch[inside])
        np.testing.assert_array_equal(rows["velocity"], notes[column].velocity[inside])
        ends = np.minimum((notes[column].onset + notes[column].duration)[inside], 30)
        np.testing.assert_allclose(rows["onset"] + rows["duration"], ends)


def test_each_roll_draws_the_notes_of_its_system_over_those_of_the_score(shown):
    (picture,) = piano_roll_figures(shown)
    figure = Figure()
    picture.draw(figure.subplots())
    by_system = dict(list(picture.table.groupby("system")))
    assert [panel.get_title(loc="left") for panel in figure.axes] == list(SYSTEMS.values())
    for panel in figure.axes:
        system = panel.get_title(loc="left")
        drawn = [[path.get_extents() for path in one.get_paths()] for one in panel.collections]
        expected = [by_system[name] for name in dict.fromkeys(["The score", system])]
        for boxes, rows in zip(drawn, expected, strict=True):
            np.testing.assert_allclose([box.x0 for box in boxes], rows["onset"])
            np.testing.assert_allclose([box.width for box in boxes], rows["duration"])
            middle = [(box.y0 + box.y1) / 2 for box in boxes]
            np.testing.assert_allclose(middle, rows["pitch"])
        low, high = panel.get_ylim()
        assert low < picture.table["pitch"].min() <= picture.table["pitch"].max() < high
        assert panel.get_xlim() == (0, 30)


@pytest.mark.parametrize("limits", [(21.5, 108.5), (40, 60), (61.5, 70)])
def test_pitches_have_the_names_of_pretty_midi(limits):
    pretty_midi = pytest.importorskip("pretty_midi")
    ticks = pitch_ticks(*limits)
    assert [name for name, _ in ticks] == [pretty_midi.note_number_to_name(n) for _, n in ticks]
    assert all(limits[0] <= pitch <= limits[1] for _, pitch in ticks)
    assert len(ticks) >= 2


def test_simulated_brains_are_named(shown):
    (picture,) = piano_roll_figures(shown)
    assert picture.title.endswith("(simulated brains)")
    assert picture.note.endswith("The brains are SIMULATED.")
    (real,) = piano_roll_figures(material(list(SYSTEMS), simulated=False))
    assert "simulated" not in f"{real.title} {real.note} {list(real.table['system'])}".lower()
    (without,) = piano_roll_figures(material(["original", "score_latent"]))
    assert "simulated" not in f"{without.title} {without.note}".lower()


def test_the_page_links_to_the_files_beside_the_rolls(shown, tmp_path):
    (section,) = (one for one in SECTIONS if one.anchor == "score")
    html = _rendered(_environment(), section, shown)[2]
    save_pictures(piano_roll_figures(shown), tmp_path)
    written = {file.name for file in tmp_path.glob("piano_rolls*")}
    assert len(written) == 5
    assert set(re.findall(r'href="figures/([^"]+)"', html)) == written
    assert html.index("</section>") < html.index("piano_rolls_89mm.svg") < html.index("<table")


def test_without_a_score_there_is_no_figure(shown):
    bare = Material(shown.scores, {}, RATE, {}, shown.facts)
    assert piano_roll_figures(bare) == []


def test_a_reconstruction_without_notes_is_an_empty_roll(shown):
    music = shown.extras.music
    silent = {**music.notes, "score_brain": music.notes["score_brain"].between(90, 91)}
    extras = Extras(music=MusicResults(silent, music.sounds, RATE, music.scores))
    (picture,) = piano_roll_figures(Material(shown.scores, {}, RATE, {}, shown.facts, None, extras))
    assert "From BOLD (simulated)" not in set(picture.table["system"])
    assert "From BOLD (simulated)" in picture.uri
