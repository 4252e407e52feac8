"""The soundtrack of the bundled film: speech, music and effects laid out scene by scene.

Inside a scene every kind of sound stands alone somewhere, and speech also over soft music, so any
90 s of film hold the same mix.
"""

from dataclasses import dataclass

import numpy as np

from demo_film.effects import EFFECTS
from demo_film.music import compose
from demo_film.script import Part, Scene
from demo_film.speech import speak
from giblet.errors import GibletError
from giblet.timing import count_samples, samples_duration

SAMPLE_RATE = 24000  # Hz
SCENE_DURATION = 45.0  # seconds
MUSIC_LEVEL, SOFT_LEVEL, EFFECTS_LEVEL, ROOM_LEVEL = 0.09, 0.018, 0.07, 0.0003  # rms, full scale 1
_PEAK = 0.85  # nothing above it before compression
_FADE = 0.25  # seconds


@dataclass(frozen=True)
class Sentence:
    """A spoken sentence, ``onset`` and ``duration`` in seconds of the film."""

    onset: float
    duration: float
    text: str


@dataclass(frozen=True)
class Span:
    """A part with its place: ``sentences`` are (onset in s, sound (n_samples,), text)."""

    part: Part
    onset: float
    duration: float
    sentences: list


def soundtrack(scenes: list[Scene], seed: int) -> tuple[np.ndarray, list[Sentence]]:
    """Sound (n_samples,) float32 at ``SAMPLE_RATE`` and the sentences, in order.

    Each scene has random numbers of its own: it sounds the same whatever stands before it.
    """
    sounds, sentences = [], []
    for index, scene in enumerate(scenes):
        rng = np.random.default_rng([seed, index])
        spans = lay_out(scene, rng)
        sounds.append(mix(scene, spans, rng))
        start = index * SCENE_DURATION
        sentences += [
            Sentence(
                round(start + onset, 3), round(samples_duration(len(sound), SAMPLE_RATE), 3), text
            )
            for span in spans
            for onset, sound, text in span.sentences
        ]
    return np.concatenate(sounds), sentences


def lay_out(scene: Scene, rng: np.random.Generator) -> list[Span]:
    """Give each part its time: speech what it needs, music and effects what is left, by weight.

    Raises
    ------
    GibletError
        Speech leaves less than 8 s of the scene to music and effects.
    """
    spoken = [_sentences(part, rng) for part in scene.parts]
    left = SCENE_DURATION - sum(length for length, _ in spoken)
    if left < 8:
        raise GibletError(
            f"narration: scene {scene.title!r} is {8 - left:.1f} s too long: cut text"
        )
    total_weight = sum(part.weight for part in scene.parts)
    spans, onset = [], 0.0
    for part, (length, sentences) in zip(scene.parts, spoken, strict=True):
        duration = round(length + left * part.weight / total_weight, 3)
        placed = [(onset + start, sound, text) for start, sound, text in sentences]
        spans.append(Span(part, onset, duration, placed))
        onset = round(onset + duration, 3)
    return spans


def _sentences(part: Part, rng: np.random.Generator) -> tuple[float, list]:
    """Seconds that a part's speech takes, and (onset in the part, sound, text) of each sentence."""
    length, sentences = 0.0, []
    for line in part.lines:
        length = round(length + rng.uniform(0.3, 0.6), 3)
        sound = speak(line, SAMPLE_RATE)
        sentences.append((length, sound, line.text))
        length = round(length + samples_duration(len(sound), SAMPLE_RATE), 3)
    return (round(length + 0.3, 3), sentences) if sentences else (0.0, [])


def mix(scene: Scene, spans: list[Span], rng: np.random.Generator) -> np.ndarray:
    """Sound of one scene, (n_samples,) float32."""
    n_scene = count_samples(SCENE_DURATION, SAMPLE_RATE)
    sound = ROOM_LEVEL * rng.standard_normal(n_scene)
    sound += _music_gain(spans, n_scene) * compose(scene, SCENE_DURATION, SAMPLE_RATE, rng)
    for span in spans:
        if span.part.effects:
            _add(sound, span.onset, _effects(span, rng))
        for onset, spoken, _ in span.sentences:
            _add(sound, onset, spoken)
    return np.clip(sound, -_PEAK, _PEAK).astype(np.float32)


def _add(sound: np.ndarray, onset: float, piece: np.ndarray) -> None:
    start = count_samples(onset, SAMPLE_RATE)
    sound[start : start + len(piece)] += piece[: len(sound) - start]


def _music_gain(spans: list[Span], n_scene: int) -> np.ndarray:
    """Level of the music at every sample: full alone, soft under speech, none elsewhere."""
    levels = {"music": MUSIC_LEVEL, "speech+music": SOFT_LEVEL}
    gain = np.zeros(n_scene)
    for span in spans:
        piece = np.full(count_samples(span.duration, SAMPLE_RATE), levels.get(span.part.kind, 0.0))
        _add(gain, span.onset, piece * _edges(len(piece)))
    return gain


def _effects(span: Span, rng: np.random.Generator) -> np.ndarray:
    """Sum of a part's effects, each at the same level, faded in and out."""
    pieces = [EFFECTS[name](span.duration, SAMPLE_RATE, rng) for name in span.part.effects]
    level = EFFECTS_LEVEL / np.sqrt(len(pieces))
    sound = sum(level * piece / piece.std() for piece in pieces)
    peaks = np.tanh(sound / _PEAK) * _PEAK  # sharp knocks are rounded off
    return peaks * _edges(len(sound))


def _edges(n: int) -> np.ndarray:
    """Fade in and out over ``_FADE`` seconds, (n,)."""
    rise = np.arange(n) / count_samples(_FADE, SAMPLE_RATE)
    return np.clip(np.minimum(rise, rise[::-1]), 0, 1)
