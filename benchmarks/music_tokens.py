"""Speed of reading MIDI and of tokens, and the data's size: CPU time of one process, in one run.

    python benchmarks/music_tokens.py FOLDER [--files 40] [--repeats 3]

Reads ``--files`` of the MIDI files in FOLDER, spread evenly, with giblet and, where they are
installed, symusic, pretty_midi and mido (parse, and notes or messages in seconds); of each file
the best of ``--repeats``. Then turns their notes into tokens and back, all of them and in one
piece of an hour. At last counts pieces, notes and tokens of all files, by the folder's subfolders.
"""

import argparse
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from giblet.errors import GibletError
from giblet.music.midi import read_midi
from giblet.music.notes import Notes
from giblet.music.tokens import detokenize, tokenize


def best_seconds(work: Callable[[], object], repeats: int) -> float:
    """Shortest CPU time of ``work`` (s)."""
    found = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def with_symusic(path: Path) -> object:
    import symusic

    return [track.notes.numpy() for track in symusic.Score(path, ttype="second").tracks]


def with_pretty_midi(path: Path) -> object:
    import pretty_midi

    return pretty_midi.PrettyMIDI(str(path))


def with_mido(path: Path) -> object:
    import mido

    return list(mido.MidiFile(path))


READERS = {"symusic": with_symusic, "pretty_midi": with_pretty_midi, "mido": with_mido}


def compare_readers(files: list[Path], repeats: int) -> None:
    """Print milliseconds a file of each reader, and giblet's as a ratio to it."""
    readers: dict[str, Callable[[Path], object]] = {"giblet": read_midi}
    readers |= {name: reader for name, reader in READERS.items() if find_spec(name)}
    for reader in readers.values():
        reader(files[0])  # imports
    taken = dict.fromkeys(readers, 0.0)
    for path in files:
        for name, reader in readers.items():
            taken[name] += best_seconds(lambda r=reader, p=path: r(p), repeats)
    print(f"{'reader':<14}{'ms a file':>10}{'of giblet':>12}")
    for name, seconds in taken.items():
        print(f"{name:<14}{1e3 * seconds / len(files):>10.2f}{seconds / taken['giblet']:>12.2f}")


def measure_tokens(pieces: dict[str, list[Notes]], repeats: int) -> None:
    """Print tokens/s both ways."""
    print(f"\n{'notes':<14}{'tokens':>10}{'tokenize/s':>14}{'detokenize/s':>14}")
    for name, notes in pieces.items():
        tokens = [tokenize(piece) for piece in notes]
        n_tokens = sum(map(len, tokens))
        there = best_seconds(lambda notes=notes: [tokenize(n) for n in notes], repeats)
        back = best_seconds(lambda tokens=tokens: [detokenize(t) for t in tokens], repeats)
        print(f"{name:<14}{n_tokens:>10}{n_tokens / there:>14,.0f}{n_tokens / back:>14,.0f}")


def an_hour(n_notes: int = 100_000) -> Notes:
    """Random notes of an hour."""
    rng = np.random.default_rng(0)
    return Notes.from_unsorted(
        rng.uniform(0, 3600, n_notes),
        rng.uniform(0.05, 1, n_notes),
        rng.integers(30, 90, n_notes),
        rng.integers(1, 127, n_notes),
    )


def count_data(folder: Path, files: list[Path]) -> None:
    """Print pieces, notes, tokens, hours and the longest piece of each subfolder."""
    counts: dict[str, list[tuple[int, int, float]]] = {}
    for path in files:
        try:
            notes = read_midi(path)
        except GibletError as error:
            print(error)
            continue
        row = (len(notes), len(tokenize(notes)), notes.end - notes.onset[0])
        counts.setdefault(path.relative_to(folder).parts[0], []).append(row)
    print(f"\n{'part':<14}{'pieces':>8}{'notes':>10}{'tokens':>12}{'hours':>8}{'longest':>10}")
    for part, rows in sorted(counts.items()):
        n_notes, n_tokens, seconds = np.array(rows).T
        print(
            f"{part:<14}{len(rows):>8}{int(n_notes.sum()):>10}{int(n_tokens.sum()):>12}"
            f"{seconds.sum() / 3600:>8.1f}{int(n_tokens.max()):>10}"
        )


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    files = sorted(options.folder.rglob("*.mid"))
    some = files[:: max(1, len(files) // options.files)]
    compare_readers(some, options.repeats)
    pieces = {"files": [read_midi(path) for path in some], "an hour": [an_hour()]}
    measure_tokens(pieces, options.repeats)
    count_data(options.folder, files)


if __name__ == "__main__":
    main()
