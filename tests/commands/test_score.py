"""Verbs of the score on a rendered piece: its clock, its features, what they say to mistakes."""

import json

import numpy as np
import pytest
import soundfile
import xarray as xr
from tiny_pipeline import random_piece

from giblet.commands.cli import main
from giblet.io.arrays import load_arrays, save_arrays
from giblet.io.tables import load_table
from giblet.log import warnings_of
from giblet.music.midi import read_midi, write_midi
from giblet.music.ngrams import NgramModel
from giblet.music.synth import synthesize

RATE, DELAY, SECONDS = 16000, 0.18, 30
SETTINGS = {"t_r": 2.0, "music": {"model": "none"}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A piece, its sound 180 ms late, and another piece."""
    folder = tmp_path_factory.mktemp("score")
    for name, seed in (("piece.mid", 0), ("other.mid", 1)):
        write_midi(random_piece(SECONDS, seed), folder / name)
    sound = synthesize(random_piece(SECONDS), RATE)
    late = np.concatenate([np.zeros(round(DELAY * RATE)), sound])[: SECONDS * RATE]
    soundfile.write(folder / "piece.wav", late, RATE)
    return folder


def read(folder, score="piece.mid", **settings):
    options = {"film": "piece.wav", "score": score, "notes": "score.nc"}
    words = [word for name, file in options.items() for word in (f"--{name}", str(folder / file))]
    return main(["read_score", *words, "--settings", json.dumps(SETTINGS | settings)])


def features(folder, **settings):
    options = {"score": "score.nc", "trs": "trs.nc", "notes": "notes.tsv"}
    words = [word for name, file in options.items() for word in (f"--{name}", str(folder / file))]
    return main(["score_features", *words, "--settings", json.dumps(SETTINGS | settings)])


def test_the_lag_is_found_and_applied_only_when_asked(folder, capsys, monkeypatch):
    monkeypatch.setenv("GIBLET_LOG", "1")
    assert read(folder) == 0
    found = load_arrays(folder / "score.nc")
    assert found.attrs["score_lag_ms"] == pytest.approx(1000 * DELAY, abs=10)
    assert found.attrs["score_r"] > 0.7
    assert found.attrs["n_trs"] == SECONDS // 2
    assert len(found.attrs["input"]) == len(found.attrs["film_input"]) == 16
    assert "ms behind the score" in capsys.readouterr().err
    notes = read_midi(folder / "piece.mid")
    np.testing.assert_array_equal(found["onset"], notes.onset)  # not moved
    assert read(folder, score_offset=DELAY) == 0
    moved = load_arrays(folder / "score.nc").attrs
    assert moved["score_lag_ms"] == pytest.approx(0, abs=10)
    assert not warnings_of(moved)
    assert features(folder) == 0
    table = load_table(folder / "notes.tsv")
    np.testing.assert_allclose(table["onset"], notes.onset + DELAY, atol=1e-5)
    trs = load_arrays(folder / "trs.nc", "score", "tr")
    per_tr = np.bincount(((notes.onset + DELAY) // 2).astype(int), minlength=15)[:15]
    rate = trs["score_values"].sel(score_value="onset_rate").values
    np.testing.assert_allclose(rate, per_tr / 2, rtol=1e-6)
    assert trs.attrs["input"] == moved["input"]
    assert trs.attrs["score_lag_ms"] == moved["score_lag_ms"]


def test_a_score_of_another_piece_is_named(folder, capsys):
    assert read(folder, "other.mid") == 0
    assert "the score fits the sound no better than by chance" in capsys.readouterr().err
    attrs = load_arrays(folder / "score.nc").attrs
    assert attrs["score_p"] >= 0.05
    assert any("is it of another piece" in line for line in warnings_of(attrs))


def ngram_surprisal(folder, **music):
    music = SETTINGS["music"] | music
    assert features(folder, music=music) == 0
    return load_table(folder / "notes.tsv")["ngram_surprisal_pitch"].to_numpy()


def test_n_grams_learn_from_known_pieces_and_warn_of_the_piece_itself(folder):
    assert read(folder) == 0
    for name in ("other", "piece"):
        (folder / "known" / name).mkdir(parents=True)
        (folder / "known" / name / "a.mid").write_bytes((folder / f"{name}.mid").read_bytes())
    short = ngram_surprisal(folder)
    piece, other = (read_midi(folder / f"{name}.mid") for name in ("piece", "other"))
    np.testing.assert_allclose(short, NgramModel().surprisal(piece).pitch, rtol=1e-4)
    both = ngram_surprisal(folder, known_pieces=str(folder / "known" / "other"))
    np.testing.assert_allclose(both, NgramModel([other]).surprisal(piece).pitch, rtol=1e-4)
    attrs = load_arrays(folder / "trs.nc").attrs
    assert attrs["ngram_memory"] == "both"
    assert "known_pieces" not in str(attrs["warnings"])
    own = {"known_pieces": str(folder / "known" / "piece"), "ngram_memory": "long"}
    assert ngram_surprisal(folder, **own).mean() < short.mean() / 2
    assert "intervals in a row of the score are in a.mid" in str(
        load_arrays(folder / "trs.nc").attrs["warnings"]
    )


def test_midi_without_notes_is_one_line(folder, capsys):
    data = bytes.fromhex("4d546864 00000006 0000 0001 01e0 4d54726b 00000004 00ff2f00")
    (folder / "empty.mid").write_bytes(data)
    assert read(folder, "empty.mid") == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith("giblet read_score: ")
    assert err.endswith("empty.mid: no notes\n")


@pytest.mark.parametrize(
    ("film", "n_trs", "message"),
    [
        (
            "other",
            15,
            "score.nc: the score was read for piece.wav, and {} is of b.wav: run read",
        ),
        (
            "same",
            16,
            "score.nc: the score is laid out over 15 TRs, and {} goes up to TR 15: run r",
        ),
    ],
)
def test_a_score_of_another_film_or_length_is_one_line(folder, capsys, film, n_trs, message):
    assert read(folder) == 0
    same = load_arrays(folder / "score.nc").attrs["film_input"]
    attrs = {"t_r": 2.0, "encoding_mode": "mel", "codebook_size": 0, "film": "b.wav"}
    attrs |= {"input": same if film == "same" else "0" * 16}
    arrays = {"audio": (("tr", "row", "frame"), np.zeros((n_trs, 2, 3), np.float32))}
    arrays |= {name: ("tr", np.repeat("test", n_trs)) for name in ("part", "run")}
    save_arrays(xr.Dataset(arrays, {"tr": np.arange(n_trs)}, attrs), folder / "aligned.nc")
    capsys.readouterr()
    options = {"film": "piece.wav", "aligned": "aligned.nc", "score": "score.nc", "model": "."}
    options |= {"music": "music", "scores": "music.tsv"}
    words = [word for name, file in options.items() for word in (f"--{name}", str(folder / file))]
    assert main(["reconstruct_score", *words, "--settings", json.dumps(SETTINGS)]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert message.format(folder / "aligned.nc") in err
    assert not (folder / "music").exists()


def test_a_model_of_the_wrong_mode_is_one_line(folder, capsys):
    assert read(folder) == 0
    capsys.readouterr()
    assert features(folder, music={"model": "none", "latent_model": "bundled"}) == 1
    said = "music.latent_model bundled: a model of mode transformer, not vae or vae_gan"
    assert said in capsys.readouterr().err
