"""Folders of results that are empty or half made: one line, and nothing is written."""

import pytest
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


@pytest.mark.parametrize("missing", ["training curves", "quality of scans"])
def test_a_folder_that_lacks_a_file_names_it(tmp_path, missing):
    folder = write_results(tmp_path / "results")
    config = {} if missing == "training curves" else {"film": "none"}
    if missing == "quality of scans":
        (folder / "brain_quality.nc").unlink()
    line = refused(folder, config, tmp_path)
    assert ("history.tsv" if missing == "training curves" else "brain_quality.nc") in line
    assert "\n" not in line
