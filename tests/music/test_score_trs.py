"""A score on a film's TRs: the roll beside another library's, spaces that hold every feature."""

import numpy as np
import pytest

from giblet.music.ngrams import NgramModel
from giblet.music.notes import Beats, Notes
from giblet.music.score_features import FEATURES, Listening, tr_features
from giblet.music.score_trs import SPACES, piano_roll, score_on_trs
from giblet.music.tokens import VOCABULARY

T_R, N_TRS = 1.5, 20
N = VOCABULARY.n_pitches


@pytest.fixture
def notes(rng):
    onset = np.sort(rng.uniform(0, 28, 80))
    pitch, velocity = rng.integers(40, 80, 80), rng.integers(40, 100, 80)
    beats = Beats(np.arange(60) * 0.5, np.arange(60) % 4, np.full(60, 4))
    return Notes.from_unsorted(onset, rng.uniform(0.1, 2, 80), pitch, velocity, beats)


@pytest.mark.parametrize("offset", [0.0, 3.7, -4.1])
def test_the_roll_is_that_of_each_note(notes, offset):
    roll = piano_roll(notes, T_R, N_TRS, offset)
    assert roll.shape == (N_TRS, 12, 2 * N)
    flat, expected = roll.reshape(-1, 2 * N), np.zeros((N_TRS * 12, 2 * N), np.uint8)
    for onset, duration, pitch in zip(notes.onset, notes.duration, notes.pitch, strict=True):
        begin = onset + offset
        for step in range(len(flat)):
            middle = (step + 0.5) / 8
            expected[step, pitch] |= begin <= middle < begin + duration
            expected[step, N + pitch] |= step / 8 <= begin < (step + 1) / 8
    np.testing.assert_array_equal(flat, expected)


def test_every_feature_is_in_one_space():
    inside = [name for _, names in SPACES.values() for name in names]
    assert sorted(inside) == sorted(FEATURES)


def test_values_are_those_of_the_features_and_say_what_they_are(notes):
    piece = Listening(notes, ngrams=NgramModel())
    arrays = score_on_trs(piece, T_R, N_TRS, 0.4)
    table = tr_features(piece, T_R, N_TRS, offset=0.4)
    assert arrays["score_value"].values.tolist() == list(table)
    np.testing.assert_allclose(arrays["score_values"], table, rtol=1e-6)
    of = arrays.sel(score_value="tonnetz_speed")
    assert (str(of["score_space"].values), str(of["score_unit"].values)) == ("harmony", "1/s")
    assert str(arrays.sel(score_value="tonnetz_fifth_x")["score_unit"].values) == "1"
    spaces = dict.fromkeys(arrays["score_space"].values.tolist())
    assert list(spaces) == ["notes", "expectation", "harmony", "form", "metre"]
    assert arrays["score_causal"].values.all()
    assert "latent_fine" in arrays.attrs["left_out"]
    assert "ngram_surprisal_pitch" not in arrays.attrs["left_out"]


def test_latents_are_marked_as_knowing_the_future(notes, monkeypatch):
    class Segments:
        settings = type("S", (), {"latents": None})

    for level in ("fine", "local", "global"):
        one = FEATURES[f"latent_{level}"]
        values = {"0": np.zeros(N_TRS * 15), "1": np.ones(N_TRS * 15)}
        monkeypatch.setitem(
            FEATURES,
            one.name,
            type(one)(one.name, "1", lambda *_, v=values: v, "mean", one.causal, one.needs),
        )
    arrays = score_on_trs(Listening(notes, latent_model=Segments()), T_R, N_TRS)
    knows = arrays["score_value"].values[arrays["score_causal"].values == 0].tolist()
    assert knows == [f"latent_{level}_{i}" for level in ("fine", "local", "global") for i in (0, 1)]
    latent = arrays["score_space"].values == "latents"
    np.testing.assert_array_equal(latent, arrays["score_causal"].values == 0)
