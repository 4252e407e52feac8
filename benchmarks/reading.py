"""Speed of reading films and recordings: CPU seconds per minute of sound.

    python benchmarks/reading.py FILE [FILE …] [--rate 24000] [--repeats 5]

``read`` is a file's sound at ``--rate`` and ``measure`` only the duration; ``decode`` is FFmpeg
alone (frames discarded), the floor. CPU seconds of this process, the best of ``--repeats``.
"""

import argparse
import time
from pathlib import Path

import av

from giblet.audio.files import read_sound, sound_duration


def decode(path: Path) -> None:
    """Decode all frames of the sound track and discard them."""
    with av.open(str(path)) as film:
        for _frame in film.decode(audio=0):
            pass


def best_seconds(work, repeats: int) -> float:
    """Shortest CPU time of ``work`` (s)."""
    found = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def main() -> None:
    """Print one row per file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--rate", type=float, default=24000.0)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(
        f"{'file':<46}{'minutes':>8}{'decode':>9}{'measure':>9}{'read':>9}  s per minute of sound"
    )
    for file in options.files:
        minutes = sound_duration(file) / 60
        works = (
            lambda f=file: decode(f),
            lambda f=file: sound_duration(f),
            lambda f=file: read_sound(f, options.rate),
        )
        cells = [best_seconds(work, options.repeats) / minutes for work in works]
        print(f"{file.name[:45]:<46}{minutes:>8.2f}" + "".join(f"{c:>9.4f}" for c in cells))


if __name__ == "__main__":
    main()
