"""Make the bundled music: ``python workflow/scripts/make_demo_music.py LIEDER [folder]``.

``LIEDER``: the songs of Robert Franz's op. 1 and op. 10 as MIDI under OpenScore's names, converted
from https://github.com/OpenScore/Lieder at bca122458de6 (CC0 1.0) by partitura 1.9.0, without
repeats. Writes ``demo_music.mid``, eight of them one after another, and ``known_songs.mid``, ten
others, which the simulated listeners know.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from giblet.demo import known_songs_path, music_path
from giblet.errors import GibletError
from giblet.music.midi import read_midi, write_midi
from giblet.music.notes import Beats, Notes

# op. 1, nos. 1, 3, 4, 5, 6, 9, 11, 12
PLAYED = [
    "lc5660573",
    "lc5660581",
    "lc5798936",
    "lc5660558",
    "lc5667967",
    "lc5800627",
    "lc5801791",
    "lc5801830",
]
# op. 1, nos. 2, 7, 8, 10; op. 10, nos. 1 to 6
KNOWN = [
    "lc5660578",
    "lc5799023",
    "lc5800427",
    "lc5801742",
    "lc6806626",
    "lc6808938",
    "lc6826058",
    "lc6826157",
    "lc6827644",
    "lc6829065",
]
_PAUSE_SECONDS = 2.0  # of silence after a song


def one_after_another(songs: Sequence[Notes]) -> Notes:
    """One piece of several, each at its own tempo, with silence between them."""
    begins = np.cumsum([0.0, *(song.end + _PAUSE_SECONDS for song in songs[:-1])])
    beats = _joined_beats([song.beats for song in songs], begins)
    placed = zip(songs, begins, strict=True)
    onset = np.concatenate([song.onset + begin for song, begin in placed])
    others = ("duration", "pitch", "velocity")
    columns = (np.concatenate([getattr(song, name) for song in songs]) for name in others)
    return Notes.from_unsorted(onset, *columns, beats=beats)


def _joined_beats(beats: Sequence[Beats | None], begins: np.ndarray) -> Beats:
    """Beats of each song up to the next one's first."""
    parts = []
    for own, begin, end in zip(beats, begins, [*begins[1:], np.inf], strict=True):
        if own is None:
            raise GibletError("a song has no beats")
        seconds = own.seconds + begin
        kept = (seconds >= begin) & (seconds < end - _PAUSE_SECONDS / 2)
        parts.append((seconds[kept], own.in_bar[kept], own.per_bar[kept]))
    return Beats(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def make_music(lieder: Path, folder: Path) -> None:
    """Write the music and the known songs into ``folder``."""
    for path, names in ((music_path(), PLAYED), (known_songs_path(), KNOWN)):
        songs = [read_midi(lieder / f"{name}.mid") for name in names]
        write_midi(one_after_another(songs), folder / path.name)


def main() -> int:
    """Make the music in the folder named on the command line; 1 when it cannot be made."""
    parser = argparse.ArgumentParser(prog="make_demo_music.py", description=__doc__)
    parser.add_argument("lieder", type=Path)
    parser.add_argument("folder", type=Path, nargs="?", default=music_path().parent)
    arguments = parser.parse_args()
    try:
        make_music(arguments.lieder, arguments.folder)
    except GibletError as error:
        print(f"giblet: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
