"""The score of held-out music in every column: piano rolls, players, and tables of its scores."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from giblet.music.note_metrics import LATENTS, NOTES, SCORE_METRICS, SOUND
from giblet.music.notes import Notes
from giblet.report.extras import MusicResults, TextTable, rest_note
from giblet.report.listen import player_uri
from giblet.report.material import Material
from giblet.report.score_regions import band_table, lesion_tables, score_bands
from giblet.report.systems import SYSTEMS
from giblet.report.tables import in_order, number
from giblet.report.timeline import time_axis

ROLL_SECONDS = 30.0  # shown and played
MOST_PIECES = 20  # two rows each
COLUMNS = {
    "original": "The score",
    "score": "As tokens (ceiling)",
    "score_latent": "Through its own latents",
    "score_brain": SYSTEMS["brain"].label,
    "score_brain_shuffled": SYSTEMS["brain_shuffled"].label,
    "score_prior": "Null: latents drawn from the prior",
    "score_other": "Null: other passages",
}
MAIN = ("original", "score", "score_latent", "score_brain")
BY_PIECE = ("score_brain", "score_brain_shuffled")
READ_OUT = "bottleneck"  # the level where no music model gave latents
_MARGIN = 2  # semitones of margin in a picture
ALPHA = 0.05


@dataclass(frozen=True)
class Roll:
    """A piano roll: its name, SVG paths of its notes and of the score's, and a player."""

    label: str
    notes: str
    score: str
    sound: str


@dataclass(frozen=True)
class Rolls:
    """Piano rolls of the same seconds, ``n_pitches`` high.

    ``pitches``, ``ticks``: names and places in percent along the axes. ``axis``: what time is of.
    """

    seconds: float
    n_pitches: int
    pitches: list[tuple[str, float]]
    ticks: list[tuple[str, float]]
    axis: str
    main: list[Roll]
    nulls: list[Roll]


def has_score(material: Material) -> bool:
    """Whether there is anything by a score: a reconstruction, feature spaces, or lesions."""
    extras = material.extras
    return bool(
        extras.music is not None
        or score_bands(material.brain)
        or lesion_tables(extras, material.simulated)
    )


def score_section(material: Material) -> dict:
    """Variables of the section, where `has_score`."""
    music, simulated = material.extras.music, material.simulated
    kind = " (simulated brains)" if simulated and material.facts["has_bold"] else ""
    atlas, brain, timeline = material.extras.atlas, material.brain, material.extras.timeline
    return {
        "heading": f"Score{kind}",
        "rolls": None if music is None else piano_rolls(music, simulated, timeline),
        "tables": [] if music is None else _all_tables(music, simulated),
        "finding": "" if music is None else level_sentence(music.scores, simulated),
        "has_latents": music is not None and READ_OUT not in set(music.scores["level"]),
        "bands": None if brain is None else band_table(brain, atlas, simulated),
        "has_regions": bool(atlas),
        "lesions": lesion_tables(material.extras, simulated),
    }


def piano_rolls(
    music: MusicResults, simulated: bool, timeline: pd.DataFrame | None = None
) -> Rolls:
    """The first ``ROLL_SECONDS`` of every column, with the score's notes behind.

    ``timeline`` as of `giblet.report.timeline.time_axis`.
    """
    end, shown = shown_notes(music)
    columns = list(shown)
    pitches = np.concatenate([notes.pitch for notes in shown.values()])
    lowest, highest = int(pitches.min()) - _MARGIN, int(pitches.max()) + _MARGIN
    behind = note_path(shown["original"], highest)
    rolls = {
        column: Roll(
            label(column, simulated),
            note_path(shown[column], highest),
            "" if column == "original" else behind,
            player_uri(music.sounds[column], music.sample_rate, end),
        )
        for column in columns
    }
    return Rolls(
        end,
        highest - lowest + 1,
        octave_marks(lowest, highest),
        *time_axis(timeline, 0.0, end),
        [rolls[column] for column in columns if column in MAIN],
        [rolls[column] for column in columns if column not in MAIN],
    )


def shown_notes(music: MusicResults) -> tuple[float, dict[str, Notes]]:
    """Seconds shown, at most ``ROLL_SECONDS``, and the notes of each column in them."""
    end = min(ROLL_SECONDS, max(notes.end for notes in music.notes.values()))
    columns = in_order(music.notes, COLUMNS)
    return end, {column: music.notes[column].between(0.0, end) for column in columns}


def octave_marks(lowest: int, highest: int) -> list[tuple[str, float]]:
    """Every C from ``lowest`` to ``highest`` (MIDI pitch), and its place in percent of the height.

    >>> octave_marks(58, 67)
    [('C4', 25.0)]
    """
    n = highest - lowest + 1
    pitches = [pitch for pitch in range(lowest, highest + 1) if pitch % 12 == 0]
    return [(f"C{p // 12 - 1}", round(100 * (p - lowest + 0.5) / n, 2)) for p in pitches]


def note_path(notes: Notes, highest: int) -> str:
    """Notes as an SVG path of rectangles: seconds to the right, a unit a semitone downwards.

    >>> note_path(Notes(np.zeros(1), np.ones(1), np.array([60]), np.array([80])), 62)
    'M0 2h1v1h-1z'
    """
    columns = zip(notes.onset, notes.duration, notes.pitch, strict=True)
    return "".join(
        f"M{round(onset, 3):g} {highest - pitch}h{round(length, 3):g}v1h-{round(length, 3):g}z"
        for onset, length, pitch in columns
    )


def label(column: str, simulated: bool) -> str:
    """The name of a column; of a simulated brain it says so.

    >>> label("score_brain", simulated=True)
    'From BOLD (simulated)'
    """
    from_brain = column.startswith("score_brain")
    return COLUMNS.get(column, column) + (" (simulated)" if simulated and from_brain else "")


def score_tables(scores: pd.DataFrame, simulated: bool) -> list[TextTable]:
    """Scores of notes, of their sound, and of the levels: a row a column of the results."""
    scores = scores.fillna({"level": ""})
    tables = []
    for caption, what in (
        ("Notes", NOTES),
        ("Rendered notes against the original sound", SOUND),
        ("Levels", LATENTS),
    ):
        names = [name for name, metric in SCORE_METRICS.items() if metric.applies_to == what]
        part = scores[scores["metric"].isin(names)]
        rows = [
            row
            for level in part["level"].unique()
            for row in _rows(part[part["level"] == level], names, simulated, level)
        ]
        header = ["", *(SCORE_METRICS[name].label for name in names)]
        tables += [TextTable(caption, header, [*rows, _chance(names)])] if rows else []
    return tables


def _all_tables(music: MusicResults, simulated: bool) -> list[TextTable]:
    tables = score_tables(music.scores, simulated)
    return tables + ([] if music.by_piece is None else [piece_table(music.by_piece, simulated)])


def piece_table(scores: pd.DataFrame, simulated: bool) -> TextTable:
    """What BOLD has of each held-out piece beside its null: two rows for each."""
    shown = [name for name in SCORE_METRICS if name in set(scores["metric"])]
    pieces = scores["piece"].unique()
    rows = [
        row
        for piece, part in scores[scores["piece"].isin(pieces[:MOST_PIECES])].groupby(
            "piece", sort=False
        )
        for row in _rows(part[part["column"].isin(BY_PIECE)], shown, simulated, str(piece))
    ]
    header = ["", *(SCORE_METRICS[name].label for name in shown)]
    caption = "Single pieces, 95 % intervals over their clips"
    caption += rest_note(len(pieces), MOST_PIECES, "reconstruct_score/*/by_piece.tsv")
    return TextTable(caption, header, [*rows, _chance(shown)])


def level_sentence(scores: pd.DataFrame, simulated: bool) -> str:
    """Levels that BOLD has: those whose clips are identified among ten, p < .05; and whether the
    rendered notes are."""
    brain = scores[scores["column"] == "score_brain"]
    rows = brain[brain["metric"] == "latent_identification_10way"]
    if rows.empty:
        return ""
    what = "the simulated brains" if simulated else "the brain"
    parts, unsure = [], []
    for row in rows.itertuples():
        if np.isfinite(row.p) and row.p < ALPHA and row.value > row.chance:
            parts.append(f"{row.level} ({100 * row.value:.0f} % of clips, p = {number(row.p, 4)})")
        if not np.isfinite(row.p):
            unsure.append(row.level)
    text = f"Decoded from {what} and identified among ten (chance 10 %): {', '.join(parts)}."
    if not parts:
        text = f"No level of the latents decoded from {what} is identified among ten above chance."
        if set(rows["level"]) == {READ_OUT}:
            text = f"The bottleneck decoded from {what} is not identified among ten above chance."
    if unsure:
        text += f" Not tested, as a value holds for several clips: {', '.join(unsure)}."
    return text + _by_sound(brain)


def _by_sound(brain: pd.DataFrame) -> str:
    """Whether clips are identified by the sound of the decoded notes."""
    rows = brain[brain["metric"] == "sound_identification_10way"]
    rows = rows[np.isfinite(rows["p"])]
    if rows.empty:
        return ""
    row = next(rows.itertuples())
    verb = "are" if row.p < ALPHA and row.value > row.chance else "are not shown to be"
    return (
        f" By the sound of the decoded notes clips {verb} identified among ten "
        f"({100 * row.value:.0f} %, p = {number(row.p, 4)})."
    )


def _rows(scores: pd.DataFrame, names: list[str], simulated: bool, level: str) -> list[list[str]]:
    cells, prefix = scores.set_index(["column", "metric"]), f"{level}: " if level else ""
    return [
        [prefix + label(column, simulated), *(_cell(cells, column, name) for name in names)]
        for column in in_order(scores["column"], COLUMNS)
    ]


def _chance(names: list[str]) -> list[str]:
    chances = [SCORE_METRICS[name].chance for name in names]
    return ["Chance", *("" if c is None else number(c, 2) for c in chances)]


def _cell(cells: pd.DataFrame, column: str, name: str) -> str:
    """Value, interval, and p where there is one."""
    if (column, name) not in cells.index:
        return ""
    row = cells.loc[(column, name)]
    value, low, high = (number(row[k], 2) for k in ("value", "low", "high"))
    text = f"{value} [{low}, {high}]" if np.isfinite(row["low"]) else value
    p = row.get("p", np.nan)  # single pieces have none
    return text + (f", p {number(p, 4)}" if np.isfinite(p) else "")
