"""The commands of a listening test on a results folder, from the page to the table."""

import json

import numpy as np
import pytest
import soundfile
import xarray as xr

from giblet.commands.cli import main
from giblet.io.arrays import save_arrays
from giblet.io.tables import load_json, load_table

RATE, SECONDS = 24000, 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Results with tones in place of sounds; only what the commands read."""
    folder = tmp_path_factory.mktemp("listening")
    times = np.arange(SECONDS * RATE) / RATE
    (folder / "results/audio/encodec").mkdir(parents=True)
    for k, name in enumerate(("original", "codec", "stimulus", "brain")):
        wave = 0.2 * np.sin(2 * np.pi * (300 + 100 * k) * times * (1 + times / 20))
        soundfile.write(folder / f"results/audio/encodec/{name}.wav", wave, RATE)
    attrs = {"film": "film.mp4", "input": 16 * "0", "bold_source": "SIMULATED", "t_r": 1.5}
    attrs |= {"encoding_mode": "native", "codebook_size": 4}
    arrays = xr.Dataset({"audio": (("tr", "row", "frame"), np.zeros((2, 1, 1)))}, attrs=attrs)
    arrays = arrays.assign_coords(part=("tr", ["test"] * 2), run=("tr", ["run-1"] * 2))
    save_arrays(arrays, folder / "results/aligned/encodec.nc")
    return folder


def make(folder, **options):
    words = {"results": "results", "page": "test.html", "key": "key.json"} | options
    paths = [(f"--{k.replace('_', '-')}", v) for k, v in words.items()]
    return main(["listening_test", "make", *(str(word) for pair in paths for word in pair)])


@pytest.fixture(autouse=True)
def in_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)


def test_from_the_page_to_the_table(folder, capsys):
    assert make(folder, seconds=1, clips=4, rated_clips=2) == 0
    key = load_json(folder / "key.json")
    assert key["simulated"] is True
    assert len(key["trials"]) == 2 * 4 + 2, "stimulus and brain, and two screens of ratings"
    (folder / "answers").mkdir()
    for listener in ("one", "two"):
        answers = {name: answer(trial) for name, trial in key["trials"].items()}
        content = {"test": key["test"], "listener": listener, "answers": answers}
        (folder / f"answers/{listener}.json").write_text(json.dumps(content))
    options = ["--answers", "answers", "--key", "key.json", "--scores", "listening.tsv"]
    assert main(["listening_test", "score", *options]) == 0
    printed = capsys.readouterr().out
    assert "2 listeners, SIMULATED brains" in printed
    assert "stimulus: 1 of choices right, 95 % 1 to 1" in printed
    table = load_table(folder / "listening.tsv").set_index(["kind", "column", "listener"])["value"]
    assert table["choice", "brain", "all"] == 0
    assert table["rating", "codec", "one"] == 80


def answer(trial):
    """Right for the stimulus and wrong for the brain; 80 for the codec, 100 for the rest."""
    if trial["kind"] == "choice":
        right = trial["sounds"].index("right")
        given = right if trial["column"] == "stimulus" else 1 - right
    else:
        given = [80 if name == "codec" else 100 for name in trial["sounds"]]
    return {"answer": given, "plays": 3, "seconds": 5.0}


def test_the_same_seed_makes_the_same_bytes(folder):
    pages = []
    for seed in (0, 0, 1):
        assert make(folder, seconds=1, clips=4, seed=seed) == 0
        pages.append((folder / "test.html").read_bytes())
    assert pages[0] == pages[1] != pages[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"results": "none"}, "no original.wav and stimulus.wav"),
        ({"feature_type": "mel"}, "name the other --feature-type"),
        ({"seconds": 4}, "has no three clips of 4 s"),
    ],
)
def test_mistakes_are_one_line(folder, options, message, capsys):
    assert make(folder, page="other.html", **options) == 1
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
    assert not (folder / "other.html").exists()


def test_another_file_is_no_key(folder, capsys):
    (folder / "wrong.json").write_text("{}")
    options = ["--answers", ".", "--key", "wrong.json", "--scores", "x.tsv"]
    assert main(["listening_test", "score", *options]) == 1
    assert "no key of a listening test" in capsys.readouterr().err
