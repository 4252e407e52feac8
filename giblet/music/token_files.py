"""Files of a piece's tokens (.nc), with its beats."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from giblet.errors import GibletError
from giblet.io.arrays import load_arrays, save_arrays
from giblet.music.notes import Beats, Notes
from giblet.music.tokens import VOCABULARY, checked_tokens, detokenize, token_seconds, tokenize

_NAMES = ("tokens", "vocabulary_size", "first_onset")


def save_tokens(
    notes: Notes,
    path: str | Path,
    source: str = "",
    latents: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Write a piece's tokens (token,) int32 and the second at which each stands.

    Beats, where the piece has them, are arrays along ``beat``; attributes are ``first_onset`` (s),
    ``vocabulary_size`` and ``source``. ``latents`` (n_segments, width) are arrays of their names.
    """
    tokens = tokenize(notes)
    first = float(notes.onset[0]) if len(notes) else 0.0
    arrays: dict[str, tuple[Any, np.ndarray]] = {
        "tokens": ("token", tokens),
        "seconds": ("token", first + token_seconds(tokens)),
    }
    if notes.beats is not None:
        arrays |= {
            "beat_seconds": ("beat", notes.beats.seconds),
            "beat_in_bar": ("beat", notes.beats.in_bar),
            "beats_per_bar": ("beat", notes.beats.per_bar),
        }
    for name, values in (latents or {}).items():
        arrays[name] = ((f"{name}_segment", f"{name}_width"), values)
    facts = {"first_onset": first, "vocabulary_size": VOCABULARY.size, "source": source}
    save_arrays(xr.Dataset(arrays, attrs=facts), path)


def load_tokens(path: str | Path) -> Notes:
    """The notes of a file of tokens, with its beats.

    Raises GibletError if it is no such file, damaged, or of another vocabulary.
    """
    arrays = load_arrays(path, *_NAMES)
    if arrays.attrs["vocabulary_size"] != VOCABULARY.size:
        raise GibletError(
            f"{path}: tokens of another vocabulary ({arrays.attrs['vocabulary_size']} tokens, here "
            f"{VOCABULARY.size}); encode the piece again"
        )
    try:
        notes = detokenize(checked_tokens(arrays["tokens"].values))
        beats = None
        if "beat" in arrays.sizes:
            names = ("beat_seconds", "beat_in_bar", "beats_per_bar")
            beats = Beats(*(arrays[name].values for name in names))
    except (GibletError, KeyError) as error:
        raise GibletError(f"{path}: {error}; encode the piece again") from error
    columns = notes.duration, notes.pitch, notes.velocity
    first = float(arrays.attrs["first_onset"])
    return Notes(notes.onset + first, *columns, beats=beats, warnings=notes.warnings)
