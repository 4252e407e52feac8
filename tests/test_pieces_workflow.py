"""The workflow on three pieces in one sound, with a table of scores and SIMULATED listeners."""

import numpy as np
import pytest
import soundfile
from tiny_pipeline import planned, snakemake

from giblet.demo import music_path
from giblet.io.arrays import load_arrays
from giblet.io.tables import load_table
from giblet.music.midi import read_midi, write_midi
from giblet.music.synth import SAMPLE_RATE, synthesize

SECONDS, FIRST = 36, 1.3  # of each piece, and before its first note
PASSAGES = {"first": 0.0, "second": 57.9, "third": 132.8}  # of the bundled songs
SETTINGS = {
    "film": "music.wav",
    "score": "pieces.tsv",
    "bold": "simulated",
    "annotations": "none",
    "use_encodec": False,
    "max_voxels": 400,
    "music": {"model": "none"},
    "decoding": {"n_permutations": 20, "clip_seconds": 3},
    "training": {"max_epochs": 1, "window_trs": 8, "min_steps": 2},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder, songs = tmp_path_factory.mktemp("pieces"), read_midi(music_path())
    sound, rows = np.zeros(3 * SECONDS * SAMPLE_RATE, np.float32), ["file\tonset"]
    for k, (name, begin) in enumerate(PASSAGES.items()):
        notes = songs.between(begin, begin + SECONDS - 4)
        write_midi(notes, folder / f"{name}.mid")
        at = k * SECONDS + FIRST
        rows.append(f"{name}.mid\t{at}")
        played = synthesize(notes)[: round((SECONDS - FIRST) * SAMPLE_RATE)]
        own = round(at * SAMPLE_RATE)
        sound[own : own + len(played)] = played
    soundfile.write(folder / "music.wav", sound, SAMPLE_RATE)
    (folder / "pieces.tsv").write_text("\n".join(rows) + "\n")
    return folder


def test_a_table_of_scores_adds_the_rules_of_a_score(folder):
    jobs = planned(folder, "reconstruct_score", **SETTINGS)
    assert jobs["read_score"] == jobs["score_features"] == jobs["reconstruct_score"] == 1


@pytest.mark.slow
def test_whole_pieces_are_held_out_and_decoded(folder):
    done = snakemake(folder, "reconstruct_score", **SETTINGS)
    assert done.returncode == 0, done.stdout
    results = folder / "results" / "tiny"
    facts = load_arrays(results / "features" / "score.nc").attrs
    assert abs(facts["score_lag_ms"]) < 25
    aligned = load_arrays(results / "aligned" / "mel.nc")
    part, piece = aligned["part"].values.astype(str), aligned["piece"].values.astype(str)
    assert set(piece[part == "test"]) == {"third"}
    assert set(piece[part == "validation"]) == {"second"}
    assert set(piece[part == "train"]) == {"first"}
    assert not aligned.sizes.keys() & {"piece"}
    scores = load_table(results / "reconstruct_score" / "mel.tsv")
    assert {"score", "score_latent", "score_brain", "score_other"} <= set(scores["column"])
    of_tokens = scores.query("column == 'score' and metric == 'note_f1'")["value"].item()
    assert of_tokens > 0.9
