"""The score of a film or a sound: where it is, its notes from any format, and as an array set."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from giblet.errors import GibletError
from giblet.io.arrays import load_arrays
from giblet.io.schema import SCORE
from giblet.music.midi import read_midi
from giblet.music.musicxml import read_musicxml
from giblet.music.notes import Beats, Notes
from giblet.music.tokens import VOCABULARY, token_seconds, tokenize

if TYPE_CHECKING:
    import xarray as xr

_MIDI = (".mid", ".midi", ".rmi")
_MUSICXML = (".musicxml", ".mxl", ".xml")
ENDINGS = (".mid", ".midi", ".musicxml")  # looked for beside a film


def find_score(film: str | Path, named: str = "auto") -> Path | None:
    """The score that a config names; of ``"none"`` None.

    ``"auto"``: the one beside the film, ``film.mid``, ``.midi`` or ``.musicxml``, or None.
    """
    if named != "auto":
        return None if named == "none" else Path(named)
    beside = (Path(film).with_suffix(ending) for ending in ENDINGS)
    return next((path for path in beside if path.is_file()), None)


def read_score(path: str | Path) -> Notes:
    """Notes of a score, by its ending MIDI (.mid, .midi, .rmi) or MusicXML (.musicxml, .mxl, .xml).

    Raises GibletError for another ending, and as `giblet.music.read_midi` and
    `giblet.music.read_musicxml` do.
    """
    ending = Path(path).suffix.lower()
    if ending in _MUSICXML:
        return read_musicxml(path)
    if ending in _MIDI:
        return read_midi(path)
    known = ", ".join(_MIDI + _MUSICXML)
    raise GibletError(f"{path}: no score that giblet reads, which end in {known}")


def score_arrays(notes: Notes) -> "xr.Dataset":
    """A score as arrays: a table of its notes, its tokens, and its beats.

    Returns
    -------
    arrays : along ``note`` ``onset`` and ``duration`` (s), ``pitch`` and ``velocity``; along
        ``token`` ``tokens`` and ``token_seconds``; along ``beat``, where the score has beats,
        ``beat_seconds``, ``beat_in_bar`` and ``beats_per_bar``. Times are the score's own

    The table has unisons that the tokens merge.

    >>> notes = Notes(np.zeros(1), np.ones(1), np.array([60]), np.array([80]))
    >>> dict(score_arrays(notes).sizes)
    {'note': 1, 'token': 4}
    """
    import xarray as xr

    tokens = tokenize(notes)
    first = float(notes.onset[0]) if len(notes) else 0.0
    arrays = {
        "onset": ("note", notes.onset, {"units": "s"}),
        "duration": ("note", notes.duration, {"units": "s"}),
        "pitch": ("note", notes.pitch.astype(np.uint8)),
        "velocity": ("note", notes.velocity.astype(np.uint8)),
        "tokens": ("token", tokens),
        "token_seconds": ("token", first + token_seconds(tokens), {"units": "s"}),
    }
    if notes.beats is not None:
        arrays |= {
            "beat_seconds": ("beat", notes.beats.seconds, {"units": "s"}),
            "beat_in_bar": ("beat", notes.beats.in_bar),
            "beats_per_bar": ("beat", notes.beats.per_bar),
        }
    return xr.Dataset(arrays, attrs={"vocabulary_size": VOCABULARY.size})


def load_score(path: str | Path) -> tuple[Notes, dict]:
    """The notes of a file that ``read_score`` wrote, and its attributes.

    Raises GibletError if it is no such file, or damaged.
    """
    arrays = load_arrays(path, *SCORE)
    columns = (arrays[name].values for name in ("onset", "duration", "pitch", "velocity"))
    onset, duration, pitch, velocity = columns
    try:
        beats = None
        if "beat" in arrays.sizes:
            names = ("beat_seconds", "beat_in_bar", "beats_per_bar")
            beats = Beats(*(arrays[name].values for name in names))
        whole = pitch.astype(np.int64), velocity.astype(np.int64)
        return Notes(onset, duration, *whole, beats=beats), dict(arrays.attrs)
    except (GibletError, KeyError) as error:
        raise GibletError(f"{path}: {error}; read the score again") from error
