"""Piano rolls for print: the score of held-out music and its reconstructions, one time axis."""

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

from giblet.music.notes import Notes
from giblet.report.material import Material
from giblet.report.pictures import Picture
from giblet.report.score import label, shown_notes
from giblet.report.systems import stimulus_noun
from giblet.report.tables import in_order
from giblet.report.timeline import span_text

PRINTED = ("original", "score_latent", "score_brain")  # columns of the results
NOTE_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_SCORE, _SCORE_BEHIND, _RECONSTRUCTED = "#C77F00", "#F5D08A", "#1b82c5"
_HEIGHT, _HEIGHT_BEHIND = 0.9, 1.8  # semitones: both are seen where they agree
_MARGIN = 1.5  # semitones above the highest and below the lowest note


def piano_roll_figures(material: Material) -> list[Picture]:
    """A roll each of the score, of its latents and of BOLD; none where no score is reconstructed.

    The table has ``system onset duration pitch velocity``: seconds from the first second shown,
    MIDI pitch and MIDI velocity.
    """
    music = material.extras.music
    if music is None:
        return []
    end, shown = shown_notes(music)
    shown = {name: shown[name] for name in in_order(shown, PRINTED) if name in PRINTED}
    rows = {label(name, material.simulated): notes for name, notes in shown.items()}
    simulated = material.simulated and "score_brain" in shown
    noun = stimulus_noun(material.facts)
    note = (
        f"The first {end:.0f} s of the held-out score, "
        f"{span_text(material.extras.timeline, 0.0, end, noun)}. Orange: notes of the score; "
        "blue: notes of each reconstruction. C4: middle C."
        + " Notes of the first subject." * ("score_brain" in shown)
        + " The brains are SIMULATED." * simulated
    )
    title = "Piano rolls of the held-out score" + " (simulated brains)" * simulated
    draw = partial(draw_rolls, rolls=rows, seconds=end)
    size = (6.4, 0.8 + 1.7 * len(rows))
    return [Picture("piano_rolls", title, draw, size, note_table(rows), note)]


def note_table(rolls: dict[str, Notes]) -> pd.DataFrame:
    """A row per note: ``system onset duration pitch velocity``.

    >>> one = Notes(np.zeros(1), np.ones(1), np.array([60]), np.array([80]))
    >>> note_table({"The score": one}).values.tolist()
    [['The score', 0.0, 1.0, 60, 80]]
    """
    columns = ("onset", "duration", "pitch", "velocity")
    parts = [
        pd.DataFrame({name: getattr(notes, name) for name in columns}).assign(system=system)
        for system, notes in rolls.items()
    ]
    return pd.concat(parts, ignore_index=True)[["system", *columns]]


def pitch_ticks(lowest: float, highest: float) -> list[tuple[str, int]]:
    """Names and MIDI numbers of every C; within less than two octaves of every C, E and G#.

    >>> pitch_ticks(47.5, 73)
    [('C3', 48), ('C4', 60), ('C5', 72)]
    >>> pitch_ticks(60.5, 69)
    [('E4', 64), ('G#4', 68)]
    """
    step = 12 if highest - lowest >= 24 else 4
    pitches = range(int(np.ceil(lowest / step)) * step, int(highest) + 1, step)
    return [(f"{NOTE_NAMES[pitch % 12]}{pitch // 12 - 1}", pitch) for pitch in pitches]


def draw_rolls(axes: Axes, rolls: dict[str, Notes], seconds: float) -> None:
    """One below the other, the first of which is the score; time and pitch axes are shared."""
    figure = axes.figure
    axes.remove()
    panels = figure.subplots(len(rolls), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    pitches = np.concatenate([notes.pitch for notes in rolls.values()])
    limits = float(pitches.min()) - _MARGIN, float(pitches.max()) + _MARGIN
    score = next(iter(rolls.values()))
    for panel, (system, notes) in zip(panels, rolls.items(), strict=True):
        panel.set_facecolor("none")
        if notes is score:
            _add_notes(panel, score, _SCORE, _HEIGHT)
        else:
            _add_notes(panel, score, _SCORE_BEHIND, _HEIGHT_BEHIND)
            _add_notes(panel, notes, _RECONSTRUCTED, _HEIGHT)
        panel.set_title(system, loc="left", size="medium")
    names, places = zip(*pitch_ticks(*limits), strict=True)
    panels[0].set_yticks(places, names)
    panels[0].set(xlim=(0, seconds), ylim=limits)
    panels[-1].set_xlabel("seconds")
    figure.supylabel("pitch", size="medium")


def _add_notes(axes: Axes, notes: Notes, colour: str, height: float) -> None:
    """A rectangle for each, ``height`` semitones high."""
    half = height / 2
    left, right = notes.onset, notes.onset + notes.duration
    below, above = notes.pitch - half, notes.pitch + half
    corners = [(left, below), (right, below), (right, above), (left, above)]
    outlines = np.stack([np.stack(corner, axis=1) for corner in corners], axis=1)
    axes.add_collection(PolyCollection(outlines, facecolors=colour, linewidths=0))
