"""Mistakes with many stimuli and their scores: each is one line, and nothing is written."""

import json

import numpy as np
import pandas as pd
import pytest
import soundfile
import xarray as xr
from tiny_pipeline import random_piece

from giblet.commands.cli import main
from giblet.io.arrays import save_arrays
from giblet.io.tables import load_table
from giblet.music.midi import write_midi
from giblet.music.synth import SAMPLE_RATE, synthesize

T_R = 1.5
SECONDS = {"rain": 6.0, "wind": 7.5}
NO_NOTES = bytes.fromhex("4d546864 00000006 0000 0001 01e0 4d54726b 00000004 00ff2f00")
EVENTS = [(0, 6, "rain.wav"), (6, 7.5, "wind.wav"), (15, 6, "rain.wav")]


@pytest.fixture
def folder(tmp_path):
    """Two rendered pieces with their scores, and a run of parcels in which they were heard."""
    (tmp_path / "sounds").mkdir()
    for n, (name, seconds) in enumerate(SECONDS.items()):
        piece, n_samples = random_piece(int(seconds), n), round(seconds * SAMPLE_RATE)
        sound = np.pad(synthesize(piece), (0, n_samples))[:n_samples]
        soundfile.write(tmp_path / "sounds" / f"{name}.wav", sound, SAMPLE_RATE)
        write_midi(piece, tmp_path / "sounds" / f"{name}.mid")
    write_run(tmp_path, "run-1", EVENTS)
    return tmp_path


def write_run(folder, run, rows):
    """Its 40 volumes of four parcels, its events, and its row in the table of runs."""
    noise = np.random.default_rng(0).normal(100, 1, (40, 4))
    np.save(folder / f"{run}.npy", noise)
    columns = ["onset", "duration", "stim_file"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / f"{run}.tsv", sep="\t", index=False)
    table = folder / "runs.csv"
    rows = load_table(table).to_dict("records") if table.exists() else []
    rows = [row for row in rows if row["run"] != run]
    rows.append({"subject": "s1", "run": run, "file": f"{run}.npy", "t_r": T_R})
    rows[-1] |= {"start_time": 0.75, "events": f"{run}.tsv"}
    pd.DataFrame(rows).to_csv(table, index=False)


def verb(folder, name, settings=(), **paths):
    options = [w for option, file in paths.items() for w in (f"--{option}", str(folder / file))]
    settings = {"t_r": T_R, "music": {"model": "none"}, "score": "auto"} | dict(settings)
    settings |= {"stimuli": str(folder / "sounds")}
    return main([name, *options, "--settings", json.dumps(settings)])


def join(folder, source="sounds"):
    return verb(folder, "join_stimuli", source=source, sound="all.wav", stimuli="all.tsv")


def load(folder):
    return verb(folder, "load_bold", source="runs.csv", stimuli="all.tsv", bold="bold.nc")


def error(capsys):
    """What was printed, one line."""
    err = capsys.readouterr().err
    assert err.count("\n") == 1, err
    return err


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file\nrain.wav\nsnow.wav\n", "stimuli.csv: row 2: "),
        ("file,duration\nrain.wav,\nwind.wav,1.0\n", "stimulus wind: lasts 1 s, less than one TR"),
        ("file,start\nrain.wav,\nwind.wav,7\n", "stimulus wind: lasts 0.5 s, less than one TR"),
        ("file,duration\nrain.wav,9\n", "rain.wav ends at 6.00 s, before the excerpt's 9 s"),
    ],
)
def test_a_stimulus_that_is_missing_or_too_short(folder, capsys, table, message):
    (folder / "sounds" / "stimuli.csv").write_text(table)
    assert join(folder, "sounds/stimuli.csv") == 1
    assert message in error(capsys)
    assert not list(folder.glob("all.*"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*EVENTS, (24, 6, "snow.wav")], "row 4: no stimulus 'snow.wav'; add it to stimuli"),
        ([*EVENTS, (24, 3, "rain.wav")], "row 4: stimulus rain lasts 6 s, longer than its event"),
        (
            [*EVENTS, (18, 7.5, "wind.wav")],
            "two stimuli at once at 18 s: rain (row 3) and wind",
        ),
        ([(90, 6, "rain.wav")], "the scan ends 36.0 s before the last stimulus does"),
    ],
)
def test_events_that_do_not_fit(folder, capsys, rows, message):
    assert join(folder) == 0
    write_run(
        folder, "run-1", [row if row[2] != "wind.wav" else (*row[:1], 7.5, row[2]) for row in rows]
    )
    capsys.readouterr()
    assert load(folder) == 1
    line = error(capsys)
    assert message in line
    assert "run-1." in line  # the file
    assert not (folder / "bold.nc").exists()


def test_a_test_stimulus_that_also_trains(folder, capsys):
    write_run(folder, "run-2", [(0, 6, "rain.wav")])
    assert join(folder) == load(folder) == 0
    n_trs = int(load_table(folder / "all.tsv")["first_tr"].iloc[-1]) + 7
    facts = {"t_r": T_R, "encoding_mode": "mel", "film": "all.wav", "input": "0" * 16}
    facts |= {"frame_rate": 1 / T_R, "framing": "tr_synchronous"}
    frames = {"audio": ("tr", "row", "frame"), "video": ("tr", "picture", "height", "width", "rgb")}
    for name, dims in frames.items():
        values = np.zeros((n_trs, *[1] * (len(dims) - 1)), np.uint8 if name == "video" else "f4")
        save_arrays(
            xr.Dataset({name: (dims, values)}, {"tr": np.arange(n_trs)}, facts),
            folder / f"{name}.nc",
        )
    capsys.readouterr()
    splits = {"splits": {"test_runs": ["run-2"], "gap_seconds": 0}}
    paths = {"audio": "audio.nc", "video": "video.nc", "bold": "bold.nc", "aligned": "aligned.nc"}
    assert verb(folder, "sync_align", splits, **paths) == 1
    line = error(capsys)
    assert "splits.test_runs: stimulus rain of these runs is in run-1, too, and would train" in line
    assert not (folder / "aligned.nc").exists()


def read(folder):
    return verb(folder, "read_score", film="all.wav", score="all.tsv", notes="score.nc")


def test_a_score_without_notes_among_others(folder, capsys):
    (folder / "sounds" / "wind.mid").write_bytes(NO_NOTES)
    assert join(folder) == 0
    capsys.readouterr()
    assert read(folder) == 1
    assert error(capsys).endswith("wind.mid: no notes\n")
    assert not (folder / "score.nc").exists()


def test_a_score_that_is_gone(folder, capsys):
    assert join(folder) == 0
    (folder / "sounds" / "wind.mid").unlink()
    capsys.readouterr()
    assert read(folder) == 1
    assert "wind.mid" in error(capsys)
