"""Speech, music and effects for tests: real recordings where they are, else the demo film's."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import soundfile

from giblet.audio.files import sound_blocks
from giblet.demo import film_path
from giblet.timing import count_samples

RATE = 24000  # Hz
# seconds of the demo film in which one kind of sound is alone; several spans are joined
CUTS = {
    "speech/narrator.flac": [(8.62, 16.9), (4.92, 8.55)],
    "speech/nora.flac": [(62.78, 66.3), (66.39, 69.6)],
    "speech/kitchen.flac": [(38.5, 44.75)],
    "music/strings.flac": [(17.2, 24.3)],
    "music/flute.flac": [(45.2, 50.6)],
    "effects/clock.flac": [(0.1, 4.6)],
    "effects/rain.flac": [(58.8, 62.3)],
}
_RECORDED_VOICE = "speech/librispeech_3436_172162_0000.flac"
_DEMO_VOICE = "speech/narrator.flac"


def cut_demo_film(folder: Path) -> None:
    """Write the sounds of ``CUTS`` into ``folder``: 24 kHz, mono, 16 bit."""
    last = max(end for spans in CUTS.values() for _, end in spans)
    blocks = sound_blocks(film_path(), RATE, block_seconds=10.0)
    film = np.concatenate(list(islice(blocks, int(last // 10) + 2)))
    for name, spans in CUTS.items():
        edges = [tuple(count_samples(seconds, RATE) for seconds in span) for span in spans]
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, np.concatenate([film[a:b] for a, b in edges]), RATE)


@pytest.fixture(scope="session")
def sounds(request, tmp_path_factory):
    """Folder with sound files by kind: ``speech``, ``music`` and ``effects``, all at 24 kHz."""
    try:
        return request.getfixturevalue("shared") / "audio" / "validation"
    except pytest.skip.Exception:
        folder = tmp_path_factory.mktemp("demo_sounds")
        cut_demo_film(folder)
        return folder


@pytest.fixture(scope="session")
def voice_file(sounds):
    """Sound file of one clear voice, at least 11 s at 24 kHz."""
    recorded = sounds / _RECORDED_VOICE
    return recorded if recorded.is_file() else sounds / _DEMO_VOICE
