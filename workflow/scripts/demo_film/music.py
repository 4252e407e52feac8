"""Simple tunes for the bundled film: chords and a melody, played by harmonic instruments."""

from dataclasses import dataclass

import numpy as np
from scipy.signal import sosfilt

from demo_film.effects import bandpass
from demo_film.script import Scene
from giblet.timing import count_samples, nyquist_hz, sample_times

_STEPS = {
    "major": [0, 2, 4, 5, 7, 9, 11],
    "minor": [0, 2, 3, 5, 7, 8, 10],
    "dorian": [0, 2, 3, 5, 7, 9, 10],
}
_NOTES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_PROGRESSIONS = [[0, 5, 3, 4], [0, 3, 4, 0], [0, 4, 5, 3], [0, 2, 3, 4]]  # degrees, one a bar
_RHYTHMS = [[1, 1, 1, 1], [1.5, 0.5, 1, 1], [2, 1, 1], [0.5, 0.5, 1, 2], [1, 0.5, 0.5, 2]]  # beats


@dataclass(frozen=True)
class Instrument:
    """``partials``: frequency ratios and amplitudes. ``decay`` in s; 0 holds the note."""

    partials: tuple[tuple[float, float], ...]
    attack: float
    decay: float
    vibrato: float = 0.0


def _harmonics(*amplitudes: float) -> tuple[tuple[float, float], ...]:
    return tuple((k, a) for k, a in enumerate(amplitudes, start=1) if a)


INSTRUMENTS = {
    "piano": Instrument(_harmonics(1, 0.6, 0.35, 0.25, 0.15, 0.1, 0.06), 0.005, 0.7),
    "harp": Instrument(_harmonics(1, 0.35, 0.2, 0.08, 0.04), 0.004, 0.45),
    "music box": Instrument(((1, 1), (2, 0.2), (3.01, 0.3), (5.4, 0.15)), 0.002, 0.6),
    "flute": Instrument(_harmonics(1, 0.25, 0.1, 0.04), 0.06, 0, vibrato=0.006),
    "clarinet": Instrument(_harmonics(1, 0.05, 0.6, 0.05, 0.35, 0, 0.15), 0.04, 0, vibrato=0.003),
    "organ": Instrument(_harmonics(1, 0.8, 0.2, 0.5, 0, 0.1, 0, 0.25), 0.03, 0),
    "strings": Instrument(
        _harmonics(1, 0.5, 0.33, 0.25, 0.2, 0.17, 0.14, 0.12), 0.12, 0, vibrato=0.005
    ),
}


def frequency_hz(scale: str, degree: int) -> float:
    """Pitch of a scale's ``degree``: 0 is its first note in the octave of middle C.

    >>> round(frequency_hz("A minor", 7), 3)
    880.0
    """
    root, mode = scale.split()
    octave, step = divmod(degree, 7)
    midi_note = 60 + _NOTES[root] + 12 * octave + _STEPS[mode][step]
    return 440.0 * 2 ** ((midi_note - 69) / 12)


def play(instrument: Instrument, pitch_hz: float, duration: float, sample_rate: int) -> np.ndarray:
    """One note, (n_samples,); it sounds a little longer than ``duration`` and dies away."""
    release = 0.15
    t = sample_times(duration + release, sample_rate)
    wobble = instrument.vibrato * np.sin(2 * np.pi * 5.2 * t) / (2 * np.pi * 5.2)
    note = sum(
        amplitude * np.sin(2 * np.pi * pitch_hz * ratio * (t + wobble))
        for ratio, amplitude in instrument.partials
        if pitch_hz * ratio < 0.9 * nyquist_hz(sample_rate)
    )
    envelope = np.minimum(t / instrument.attack, 1) * np.clip((t[-1] - t) / release, 0, 1)
    if instrument.decay:
        envelope = envelope * np.exp(-t / instrument.decay)
    return note * envelope


def compose(
    scene: Scene, duration: float, sample_rate: int, rng: np.random.Generator
) -> np.ndarray:
    """Music in the scale, tempo and instruments of a ``Scene``, (n_samples,) of rms 1."""
    music = np.zeros(count_samples(duration + 4, sample_rate))
    beat = 60 / scene.tempo
    progression = rng.choice(_PROGRESSIONS)
    for bar in range(int(duration / (4 * beat)) + 1):
        chord = int(progression[bar % 4])
        for onset, beats, degree, instrument, loudness in _bar(scene, chord, rng):
            note = play(
                INSTRUMENTS[instrument],
                frequency_hz(scene.scale, degree),
                beats * beat,
                sample_rate,
            )
            start = count_samples((4 * bar + onset) * beat, sample_rate)
            room = max(len(music) - start, 0)
            music[start : start + len(note)] += loudness * note[:room]
    music = sosfilt(bandpass(60, 9000, sample_rate), music[: count_samples(duration, sample_rate)])
    return music / music.std()


def _bar(scene: Scene, chord: int, rng: np.random.Generator):
    """Notes of one bar: (onset in beats, length in beats, degree, instrument, loudness)."""
    yield 0, 3.8, chord - 14, scene.chords, 0.5
    for onset in (0, 2):
        for third in (0, 2, 4):
            yield onset, 1.9, chord + third - 7, scene.chords, 0.3
    onset, degree = 0.0, chord + int(rng.choice([2, 4, 7]))
    for beats in _RHYTHMS[rng.integers(len(_RHYTHMS))]:
        yield onset, beats * 0.95, degree, scene.melody, 0.7 + 0.3 * rng.random()
        onset, degree = onset + beats, degree + int(rng.choice([-2, -1, 1, 2]))
