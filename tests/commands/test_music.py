"""The commands of symbolic music, end to end on a tiny model."""

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml
from music.pieces import broken_chords

from giblet.commands.cli import main
from giblet.io.arrays import load_arrays
from giblet.music.midi import read_midi, write_midi
from giblet.music.model import MusicTransformerVAEGAN, load
from giblet.music.notes import Notes
from giblet.music.tokens import tokenize

RECIPE = {
    "model": {"transformer": {"width": 16, "n_heads": 2, "n_layers": 1}},
    "data": {"crop_tokens": 64, "batch_size": 2},
    "schedule": {"steps": 2, "check_every": 2, "warmup_steps": 1},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with pieces, validation and a model trained on them for two steps."""
    folder = tmp_path_factory.mktemp("music")
    for name, seeds in {"pieces": range(4), "validation": range(10, 16)}.items():
        (folder / name).mkdir()
        for seed in seeds:
            write_midi(broken_chords(seed, n_bars=4), folder / name / f"{seed}.mid")
    (folder / "validation" / "bad.mid").write_bytes(b"no midi")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    code = main(
        f"music train --pieces {folder}/pieces --validation {folder}/validation --recipe "
        f"{folder}/recipe.yaml --logs {folder}/logs --model {folder}/model".split()
    )
    assert code == 0
    return folder


@pytest.fixture(scope="module")
def vae(place):
    """A model with latents, trained for two steps."""
    latents = {"n_token_blocks": 1, "n_segment_blocks": 1}
    recipe = RECIPE | {"model": RECIPE["model"] | {"latents": latents}}
    (place / "vae.yaml").write_text(yaml.safe_dump(recipe))
    code = main(
        f"music train --pieces {place}/pieces --validation {place}/validation --recipe "
        f"{place}/vae.yaml --logs {place}/vae_logs --model {place}/vae".split()
    )
    assert code == 0
    return place / "vae"


def test_latents_are_written_beside_tokens(place, vae, tmp_path):
    piece = place / "pieces" / "0.mid"
    command = f"music encode --piece {piece} --tokens {tmp_path}/a.nc --model {vae}"
    assert main(command.split()) == 0
    arrays = load_arrays(tmp_path / "a.nc")
    for name, values in load(vae).encode(read_midi(piece)).items():
        np.testing.assert_array_equal(arrays[name], values)


def test_pieces_between_two_and_along_an_attribute(place, vae, tmp_path, capsys):
    ends = f"--first {place}/pieces/0.mid --second {place}/pieces/1.mid --pieces {tmp_path}/a"
    rest = f"--model {vae} --count 3 --seconds 120"
    assert main(f"music interpolate {ends} {rest}".split()) == 0
    along = f"--piece {place}/pieces/0.mid --examples {place}/pieces --attribute mean_pitch"
    assert main(f"music traverse {along} --pieces {tmp_path}/b {rest}".split()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"{i:03d}.mid" for i in range(3)] * 2
    assert all("intervals shared" in line or "shares no interval" in line for line in lines)
    assert len(list((tmp_path / "b").iterdir())) == 3
    wrong = f"music traverse {along}s --pieces {tmp_path}/c {rest}"
    assert main(wrong.split()) == 1
    assert "no attribute 'mean_pitchs'; did you mean mean_pitch?" in capsys.readouterr().err


def test_check_shows_what_fits(place, capsys):
    assert main(["music", "check", str(place / "validation")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("10.mid: 36 notes, 8.0 s, ")
    assert lines[0].endswith("beats")
    assert lines[-2].startswith("LEFT OUT bad.mid: ")
    assert lines[-1].startswith("6 of 7 files fit: ")


def test_check_of_nothing_is_one_line(tmp_path, capsys):
    assert main(["music", "check", str(tmp_path)]) == 1
    assert "no MIDI files" in capsys.readouterr().err


def test_tokens_there_and_back(place, tmp_path):
    piece = place / "pieces" / "0.mid"
    assert main(f"music encode --piece {piece} --tokens {tmp_path}/a.nc".split()) == 0
    assert main(f"music decode --tokens {tmp_path}/a.nc --piece {tmp_path}/b.mid".split()) == 0
    before, after = read_midi(piece), read_midi(tmp_path / "b.mid")
    np.testing.assert_array_equal(tokenize(before), tokenize(after))
    np.testing.assert_allclose(before.beats.seconds[:9], after.beats.seconds[:9], atol=1e-4)


def test_generated_pieces_are_named_with_what_they_repeat(place, tmp_path, capsys):
    command = f"music generate --model {place}/model --pieces {tmp_path}/made --seconds 2 --count 2"
    primed = f"{command} --primer {place}/pieces/0.mid --primer-seconds 4"
    assert main(primed.split()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["000.mid", "001.mid"]
    assert all("intervals shared with training: " in line for line in lines)
    assert all("(0.mid)" in line for line in lines)  # the primer's own
    made = read_midi(tmp_path / "made" / "000.mid")
    primer = read_midi(place / "pieces" / "0.mid")
    n = int((primer.onset < 4).sum())
    np.testing.assert_array_equal(made.pitch[:n], primer.pitch[:n])


def test_scores_are_a_table_beside_count_models(place, tmp_path, capsys):
    command = (
        f"music evaluate --pieces {place}/validation --training {place}/pieces --model "
        f"{place}/model --generated {place}/pieces --scores {tmp_path}/scores.tsv"
    )
    assert main(command.split()) == 0
    table = pd.read_csv(tmp_path / "scores.tsv", sep="\t")
    nats = table[table.metric == "nats_per_token"].set_index("model").value
    assert nats["giblet"] > nats["counts, order 1"] > nats["counts, order 2"]
    assert {"giblet", "human"} == {*table[table.metric == "overlap of pitch_range"].model}
    assert "0.mid: longest run of intervals shared with training: " in capsys.readouterr().out


def test_without_generated_pieces_some_are_drawn_and_compared(place, tmp_path, capsys, caplog):
    command = f"music evaluate --pieces {place}/validation --model {place}/model --scores"
    assert main([*command.split(), f"{tmp_path}/scores.tsv"]) == 0
    table = pd.read_csv(tmp_path / "scores.tsv", sep="\t")
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("drawn ")]
    assert lines
    assert all("intervals shared" in line or "shares no interval" in line for line in lines)
    runs = table[table.metric == "shared_run, longest"].set_index("model")
    assert runs.n["human"] == 6
    assert runs.n["giblet"] == len(lines)


def test_pieces_without_notes_are_left_out(place, tmp_path, capsys, caplog, monkeypatch):
    silence = Notes(*np.zeros((2, 0)), *np.zeros((2, 0), int))
    drawn = [silence, broken_chords(0)]
    monkeypatch.setattr(MusicTransformerVAEGAN, "generate", lambda *_, **__: drawn)
    command = f"music generate --model {place}/model --pieces {tmp_path}/made"
    assert main(command.split()) == 0
    assert [file.name for file in (tmp_path / "made").iterdir()] == ["001.mid"]
    assert "000.mid: no notes were drawn; left out" in caplog.text
    drawn[1] = silence
    assert main(f"{command}2".split()) == 1
    assert "the model drew no notes, only rests: give more --seconds" in capsys.readouterr().err
    assert not (tmp_path / "made2").exists()


def test_bars_are_infilled(place, tmp_path, capsys):
    piece, model = place / "pieces" / "0.mid", place / "model"
    command = f"music infill --piece {piece} --filled {tmp_path}/new.mid --model {model} "
    assert main(f"{command} --candidates 2 --first-bar 2 --last-bar 2".split()) == 0
    assert "2.0-4.0 s are new" in capsys.readouterr().out
    before, after = read_midi(piece), read_midi(tmp_path / "new.mid")
    assert (after.onset < 2).sum() == (before.onset < 2).sum()
    assert main(f"{command} --first-bar 3 --last-bar 9".split()) == 1
    assert "not among its bars 1 to 4" in capsys.readouterr().err


def test_a_piece_is_heard(place, tmp_path):
    command = f"music render --piece {place}/pieces/0.mid --sound {tmp_path}/a.wav"
    assert main(command.split()) == 0
    sound, rate = soundfile.read(tmp_path / "a.wav")
    assert len(sound) / rate == pytest.approx(8.08, abs=0.01)
    assert np.abs(sound).max() > 0.5


def test_a_model_of_another_vocabulary_is_one_line(place, tmp_path, capsys):
    (tmp_path / "config.json").write_text("{}")
    command = f"music generate --model {tmp_path} --pieces {tmp_path}/made"
    assert main(command.split()) == 1
    assert "not of a model that giblet wrote" in capsys.readouterr().err
    assert not (tmp_path / "made").exists()
