"""Folders of MIDI files as pieces."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from giblet.errors import GibletError
from giblet.log import progress
from giblet.music.midi import read_midi
from giblet.music.notes import Notes

ENDINGS = (".mid", ".midi", ".kar", ".rmi")
_SHOWN = 3  # of the files left out, in a message


@dataclass(frozen=True)
class Folder:
    """The pieces of a folder by name, and why each other file was left out."""

    place: str
    pieces: Mapping[str, Notes]
    left_out: Mapping[str, str]

    @property
    def summary(self) -> str:
        """One line: how many files fit, and the reasons for the first that do not."""
        n_files = len(self.pieces) + len(self.left_out)
        line = f"{self.place}: {len(self.pieces)} of {n_files} MIDI files fit"
        if not self.left_out:
            return line
        shown = list(self.left_out.values())[:_SHOWN]
        rest = len(self.left_out) - len(shown)
        return f"{line}; left out: {'; '.join(shown)}" + (f"; and {rest} more" if rest else "")


def read_folder(folder: str | Path) -> Folder:
    """Every MIDI file below a folder (.mid, .midi, .kar, .rmi), with a progress bar.

    Raises GibletError, one line with how many files there are and why they do not fit, where none
    does.
    """
    place = Path(folder)
    if not place.is_dir():
        raise GibletError(f"{folder}: no such folder of MIDI files")
    files = sorted(p for p in place.rglob("[!.]*") if p.suffix.lower() in ENDINGS)
    pieces, left_out = {}, {}
    for file in progress(files, "reading", "files"):
        name = str(file.relative_to(place))
        try:
            pieces[name] = read_midi(file)
        except (GibletError, OSError) as error:
            reason = str(error).removeprefix(f"{file}: ")
            left_out[name] = f"{name}: {reason}"
    contents = Folder(str(folder), pieces, left_out)
    if not pieces:
        nothing = f"{folder}: no MIDI files ({', '.join(ENDINGS)}) in it"
        raise GibletError(contents.summary if files else nothing)
    return contents
