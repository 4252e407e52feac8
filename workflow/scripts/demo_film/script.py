"""The text of the bundled film: scenes, their parts, and who says what."""

import re
from dataclasses import dataclass, field

from giblet.errors import GibletError

KINDS = ("speech", "speech+music", "music", "effects")


@dataclass
class Line:
    """One spoken sentence."""

    voice: str
    text: str


@dataclass
class Part:
    """Some seconds of a scene with one kind of sound; ``weight`` shares out what speech leaves."""

    kind: str
    effects: list[str]
    weight: float
    lines: list[Line] = field(default_factory=list)


@dataclass
class Scene:
    """Scenes last equally long; ``picture`` names a palette, the rest the music."""

    title: str
    picture: str
    scale: str
    tempo: float
    melody: str
    chords: str
    parts: list[Part] = field(default_factory=list)


def read_scenes(text: str) -> list[Scene]:
    """Scenes of a film in the notation that ``narration.txt`` explains in its first lines.

    Raises
    ------
    GibletError
        A line that is not in that notation; the message gives its number.

    >>> text = '''== Rain | rain | C major | 90 | flute | harp
    ... -- speech
    ... nora: It rains.
    ... -- effects rain thunder 0.5'''
    >>> scene = read_scenes(text)[0]
    >>> scene.parts[0].lines
    [Line(voice='nora', text='It rains.')]
    >>> scene.parts[1].effects, scene.parts[1].weight
    (['rain', 'thunder'], 0.5)
    """
    scenes = []
    for number, row in enumerate(text.splitlines(), start=1):
        try:
            if row.startswith("== "):
                scenes.append(_scene(row[3:]))
            elif row.startswith("-- "):
                scenes[-1].parts.append(_part(row[3:]))
            elif row.strip() and not row.startswith("#"):
                voice, sentence = row.split(": ", maxsplit=1)
                scenes[-1].parts[-1].lines.append(Line(voice, sentence.strip()))
        except (ValueError, IndexError):
            raise GibletError(
                f"narration, line {number}: {row!r} is not a scene (== ...), a part (-- ...) "
                "or a sentence (voice: ...)"
            ) from None
    return scenes


def _scene(row: str) -> Scene:
    title, picture, scale, tempo, melody, chords = (cell.strip() for cell in row.split("|"))
    return Scene(title, picture, scale, float(tempo), melody, chords)


def _part(row: str) -> Part:
    kind, *rest = row.split()
    if kind not in KINDS:
        raise ValueError(kind)
    weights = [word for word in rest if re.fullmatch(r"\d+(\.\d+)?", word)]
    effects = [word for word in rest if word not in weights]
    return Part(kind, effects, float(weights[0]) if weights else 0.0)
