"""Folders of results that are empty or half made: one line, and nothing is written."""

import numpy as np
import pytest
import soundfile
from small_results import write_results

from giblet.commands.model import report
from giblet.config.config import parse_config
from giblet.errors import GibletError


def refused(folder, config, tmp_path):
    page, figures = tmp_path / "report.html", tmp_path / "figures"
    with pytest.raises(GibletError) as caught:
        report(folder, page, parse_config(config), figures=figures)
    assert not page.exists()
    assert not figures.exists()
    return str(caught.value)


def test_an_empty_folder_has_nothing_to_report(tmp_path):
    (tmp_path / "results").mkdir()
    line = refused(tmp_path / "results", {}, tmp_path)
    assert "nothing to report: no scores, no brain_quality.nc" in line
    assert "\n" not in line


@pytest.mark.parametrize("state", ["no sounds", "no original", "cut short", "cut in the middle"])
def test_sounds_that_do_not_belong_together_are_named(tmp_path, state):
    folder = write_results(tmp_path / "results")
    audio = folder / "audio/encodec"
    removed = {"no sounds": ["original", "brain", "codec"], "no original": ["original"]}
    for name in removed.get(state, []):
        (audio / f"{name}.wav").unlink()
    if state == "cut short":
        soundfile.write(audio / "brain.wav", np.zeros(80), 8000)
    if state == "cut in the middle":
        (audio / "brain.wav").write_bytes((audio / "brain.wav").read_bytes()[:20])
    line = refused(folder, {}, tmp_path)
    expected = "original.wav" if state.startswith("no") else "brain.wav"
    assert expected in line
    assert "\n" not in line


@pytest.mark.parametrize("missing", ["training curves", "quality of scans"])
def test_a_folder_that_lacks_a_file_names_it(tmp_path, missing):
    folder = write_results(tmp_path / "results")
    config = {} if missing == "training curves" else {"film": "none"}
    if missing == "quality of scans":
        (folder / "brain_quality.nc").unlink()
    line = refused(folder, config, tmp_path)
    assert ("history.tsv" if missing == "training curves" else "brain_quality.nc") in line
    assert "\n" not in line
