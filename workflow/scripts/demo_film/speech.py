"""Spoken sentences for the bundled film, by espeak-ng (a program, called as a subprocess)."""

import io
import subprocess
from dataclasses import dataclass

import numpy as np

from demo_film.script import Line
from giblet.errors import GibletError
from giblet.timing import count_samples

LEVEL = 0.1  # rms of a sentence: -20 dBFS
_EDGE = 0.02  # seconds kept before the first and after the last audible sample


@dataclass(frozen=True)
class Voice:
    """``name`` is espeak-ng's, ``pitch`` 0-99, ``speed`` in words per minute."""

    name: str
    pitch: int
    speed: int


VOICES = {
    "narrator": Voice("en-gb-x-rp", 42, 156),
    "storyteller": Voice("en-us+f4", 48, 160),
    "nora": Voice("en+f2", 66, 166),
    "grandmother": Voice("en-us+grandma", 40, 148),
    "baker": Voice("en-029", 55, 158),
    "miller": Voice("en-gb-scotland+m2", 30, 152),
    "shepherd": Voice("en-gb-scotland", 22, 148),
    "captain": Voice("en-us+m7", 28, 160),
    "uncle": Voice("en+m3", 36, 150),
}


def speak(line: Line, sample_rate: int) -> np.ndarray:
    """A sentence as sound: silence trimmed, -20 dBFS rms, a whole number of ms, (n_samples,).

    Raises
    ------
    GibletError
        espeak-ng is not installed, or refuses the voice.
    """
    import soxr

    sound, rate_hz = _espeak(line)
    sound = soxr.resample(sound, rate_hz, sample_rate)
    sound = _trim(sound, count_samples(_EDGE, sample_rate))
    sound = _level(sound, LEVEL)
    per_ms = count_samples(0.001, sample_rate)
    return np.pad(sound, (0, -len(sound) % per_ms))


def _espeak(line: Line) -> tuple[np.ndarray, int]:
    import soundfile

    voice = VOICES[line.voice]
    command = ["espeak-ng", "-v", voice.name, "-p", str(voice.pitch), "-s", str(voice.speed)]
    try:
        result = subprocess.run([*command, "--stdout", line.text], capture_output=True)
    except FileNotFoundError:
        raise GibletError(
            "espeak-ng is not installed: it speaks the narration when the demo film is remade. "
            "Install it (apt install espeak-ng), or use the film that comes with giblet."
        ) from None
    if result.returncode or not result.stdout:
        reason = result.stderr.decode(errors="replace").strip()
        raise GibletError(f"espeak-ng could not speak as {voice.name}: {reason}")
    return soundfile.read(io.BytesIO(result.stdout), dtype="float64")


def _trim(sound: np.ndarray, edge: int) -> np.ndarray:
    heard = np.flatnonzero(np.abs(sound) > 0.005)
    return sound[max(heard[0] - edge, 0) : heard[-1] + edge]


def _level(sound: np.ndarray, rms: float) -> np.ndarray:
    """Scale to ``rms``; round off the few peaks above 0.5 so that none passes 0.8."""
    sound = sound * (rms / sound.std())
    over = np.maximum(np.abs(sound) - 0.5, 0)
    return np.sign(sound) * (np.minimum(np.abs(sound), 0.5) + 0.3 * np.tanh(over / 0.3))
