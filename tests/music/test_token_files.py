"""Files of tokens: there and back, and what is refused."""

import numpy as np
import pytest
import xarray as xr
from music.pieces import broken_chords

from giblet.errors import GibletError
from giblet.io.arrays import load_arrays, save_arrays
from giblet.music.notes import Notes
from giblet.music.token_files import load_tokens, save_tokens
from giblet.music.tokens import tokenize


def test_there_and_back(tmp_path):
    notes = broken_chords(0, beat=0.47)
    notes = Notes(notes.onset + 1.234, notes.duration, notes.pitch, notes.velocity, notes.beats)
    save_tokens(notes, tmp_path / "a.nc", "a.mid")
    again = load_tokens(tmp_path / "a.nc")
    np.testing.assert_array_equal(tokenize(again), tokenize(notes))
    assert again.onset[0] == 1.234
    assert np.abs(again.onset - notes.onset).max() <= 1 / 128 + 1e-12
    np.testing.assert_array_equal(again.beats.seconds, notes.beats.seconds)
    np.testing.assert_array_equal(again.beats.per_bar, notes.beats.per_bar)
    arrays = load_arrays(tmp_path / "a.nc")
    assert arrays.attrs["source"] == "a.mid"
    assert float(arrays["seconds"][0]) == 1.234


def test_without_beats(tmp_path):
    notes = broken_chords(0)
    plain = Notes(notes.onset, notes.duration, notes.pitch, notes.velocity)
    save_tokens(plain, tmp_path / "a.nc")
    assert load_tokens(tmp_path / "a.nc").beats is None


def test_other_files_are_one_line(tmp_path):
    save_tokens(broken_chords(0), tmp_path / "a.nc")
    arrays = load_arrays(tmp_path / "a.nc")
    save_arrays(arrays.assign_attrs(vocabulary_size=388), tmp_path / "other.nc")
    with pytest.raises(GibletError, match=r"another vocabulary \(388 tokens, here 774\)"):
        load_tokens(tmp_path / "other.nc")
    wrong = arrays.assign(tokens=("token", np.full(arrays.sizes["token"], 774)))
    save_arrays(wrong, tmp_path / "wrong.nc")
    with pytest.raises(GibletError, match="outside the vocabulary"):
        load_tokens(tmp_path / "wrong.nc")
    save_arrays(xr.Dataset(), tmp_path / "empty.nc")
    with pytest.raises(GibletError, match="has no tokens"):
        load_tokens(tmp_path / "empty.nc")
