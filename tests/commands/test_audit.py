"""`giblet audit` on a results folder: passes, prints its table, and refuses results in one line."""

import numpy as np
import pandas as pd
import pytest
import soundfile
import xarray as xr

from giblet.alignment.dataset import split_film
from giblet.audio.metrics.table import METRICS
from giblet.commands.cli import main
from giblet.config.sections import SplitConfig
from giblet.evaluation.checks import Evidence, segment_values
from giblet.evaluation.evidence import RECORD, load_evidence
from giblet.io.arrays import save_arrays
from giblet.io.tables import load_table, save_json, save_table

T_R, N_TRS, RATE = 1.5, 120, 8000


@pytest.fixture
def results(tmp_path):
    """A film without scans: noise in place of sounds, and the true log-mel distance of one."""
    rng, folder = np.random.default_rng(0), tmp_path / "results/mine"
    part = split_film(N_TRS, T_R, SplitConfig(), has_bold=False)
    audio = rng.integers(16, size=(N_TRS, 2, 8))
    attrs = {"t_r": T_R, "input": "ab", "encoding_mode": "encodec", "codebook_size": 16}
    aligned = xr.Dataset({"audio": (("tr", "row", "frame"), audio)}, attrs=attrs)
    runs = ["none"] * N_TRS
    aligned = aligned.assign_coords(tr=np.arange(N_TRS), part=("tr", part), run=("tr", runs))
    save_arrays(aligned, folder / "aligned/encodec.nc")
    n_samples = int((part == "test").sum() * T_R * RATE)
    loud = np.repeat(np.linspace(0.02, 0.2, 9), n_samples // 9)
    original = rng.normal(0, 0.1, n_samples)
    sounds = {"original": original, "stimulus": original + loud * rng.normal(0, 1, n_samples)}
    (folder / "audio/encodec").mkdir(parents=True)
    for name, wave in sounds.items():
        sounds[name] = np.clip(wave, -0.9, 0.9)
        soundfile.write(folder / f"audio/encodec/{name}.wav", sounds[name], RATE)
    evidence = Evidence.of(aligned, {}, pd.DataFrame(), None, sounds, RATE)
    values = segment_values(evidence, ["stimulus"])["stimulus"]
    row = {"path": "encodec", "column": "stimulus", "metric": "log_mel_db", "value": values.mean()}
    save_table(
        pd.DataFrame([row | {"n": len(values), "n_failed": 0}]), folder / "scores/encodec.tsv"
    )
    return folder


def test_honest_results_pass_and_the_table_has_every_cheat(results, capsys):
    table = results.parent / "audit.tsv"
    assert main(["audit", str(results), "--table", str(table)]) == 0
    assert "every check passes (encodec)" in capsys.readouterr().out
    audited = load_table(table)
    assert set(audited["caught"]) == {"yes", "not in these results"}  # there is no brain
    assert list(audited["cheat"][audited["caught"] != "yes"]) == ["a null that is not shuffled"]


def test_a_table_of_picked_segments_is_refused_in_one_line(results, capfd):
    scores = load_table(results / "scores/encodec.tsv")
    save_table(scores.assign(value=scores["value"] - 1), results / "scores/encodec.tsv")
    assert main(["audit", str(results)]) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert f"encodec: {METRICS['log_mel_db'].name} of stimulus is" in line


def test_clips_are_as_long_as_when_they_were_scored_whatever_ran_last(results):
    """`run.json` is of the last rule; the length of clips is beside the sounds of reconstruct."""
    save_json({"config": {"decoding": {"clip_seconds": 99.0}}}, results / "run.json")
    assert load_evidence(results, "encodec").clip_seconds is None  # of older results
    save_json({"clip_seconds": 4.0}, results / "audio/encodec" / RECORD)
    assert load_evidence(results, "encodec").clip_seconds == 4.0
    assert list(load_evidence(results, "encodec").sounds) == ["original", "stimulus"]


def test_a_folder_without_results_says_what_to_run(tmp_path, capfd):
    assert main(["audit", str(tmp_path)]) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert "run `snakemake reconstruct_audio` first" in line
