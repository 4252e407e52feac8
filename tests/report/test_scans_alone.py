"""A page of scans and words, without a film. Real scans: people who heard Alice."""

import re

import numpy as np
import pandas as pd
import pytest

from giblet.commands.film import embed_text
from giblet.commands.model import report
from giblet.commands.scans import brain_quality, convolve_hrf, load_bold
from giblet.config.config import parse_config
from giblet.errors import GibletError
from giblet.io.arrays import load_arrays
from giblet.io.schema import QUALITY
from giblet.io.tables import load_table, save_table
from giblet.report.sentences import NO_FILM

REGIONS = ["LATL", "RATL", "LPTL", "LIPL", "LPreM", "LIFG"]
CONFIG = parse_config(
    {"film": "none", "dataset": "alice", "t_r": 2.0, "bold": "runs.tsv", "annotations": "a"}
    | {"quality": {"n_permutations": 20, "n_shifts": 200, "n_iter": 2}}
)


@pytest.fixture(scope="module")
def results(shared, tmp_path_factory):
    """What ``brain_quality`` makes of four people, and of the words that they heard."""
    folder, alice = tmp_path_factory.mktemp("alice"), shared / "fmri" / "alice"
    rows = []
    for subject in ("s18", "s22", "s23", "s24"):
        (file,) = (alice / "alice_data_shared" / "6mm").glob(f"{subject}-*.txt")
        series = pd.DataFrame(np.loadtxt(file), columns=REGIONS)
        save_table(series, folder / f"{subject}.tsv")
        rows.append((subject, f"{subject}.tsv", 2.0, 10, 0.0))
    names = ["subject", "file", "t_r", "n_dropped", "film_onset"]
    save_table(pd.DataFrame(rows, columns=names), folder / "runs.tsv")
    (words,) = alice.rglob("*.TextGrid")
    text, bold, blurred = folder / "trs" / "text.nc", folder / "bold.nc", folder / "text.nc"
    load_bold(folder / "runs.tsv", bold, CONFIG)
    embed_text(words, text, CONFIG)
    convolve_hrf(text, bold, blurred, CONFIG)
    quality, scores = folder / "brain_quality.nc", folder / "brain_quality.tsv"
    brain_quality(bold, quality, scores, CONFIG, regressors=[blurred])
    return folder


@pytest.fixture(scope="module")
def html(results):
    report(results, results / "report.html", CONFIG)
    return (results / "report.html").read_text()


def test_the_page_has_what_scans_tell_and_one_sentence_on_sound(html):
    ids = set(re.findall(r'id="([\w-]+)"', html))
    anchors = re.findall(r'href="#([\w-]+)"', html)
    assert {"answer", "brain", "data", "facts", "methods"} <= ids
    assert not ids & {"compare", "listen", "training"}
    assert set(anchors) <= ids
    assert html.count(NO_FILM) == 1
    assert "<audio" not in html
    assert "4 subjects (TR 2 s, 362 TRs that all have)" in html
    assert "362 TRs from 20.0 to 744.0 s of stimulus; 1 run; words in" in html
    for region in [*REGIONS, "whole brain"]:
        assert f'<th scope="row">{region}</th>' in html


def test_the_answer_is_the_agreement_of_the_people(results, html):
    """Oracle: NumPy's correlation of each with the mean of the others, of the cleaned scans."""
    bold = load_arrays(results / "bold.nc")["bold"].values.reshape(4, 362, 6)
    bold = (bold - bold.mean(axis=1, keepdims=True)) / bold.std(axis=1, keepdims=True)
    r = [
        np.corrcoef(bold[who, :, k], np.delete(bold, who, 0)[:, :, k].mean(axis=0))[0, 1]
        for who in range(4)
        for k in range(6)
    ]
    assert f"Inter-subject correlation {np.mean(r):.3f} (q &lt; .05 in" in html
    assert "means over 6 parcels and 4 subjects; chance is 0" in html


def test_the_table_of_parcels_names_them(results):
    table = load_table(results / "brain_quality_parcels.tsv").set_index("parcel")
    quality = load_arrays(results / "brain_quality.nc", *QUALITY)
    assert list(table.index) == REGIONS
    np.testing.assert_allclose(table["isc"], quality["isc"].values.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(table["r2_all"], np.median(quality["r2_all"], axis=0), rtol=1e-5)
    np.testing.assert_allclose(table["isc_q"], quality["isc_q"], rtol=1e-5)
    assert "lag" not in table


def test_scores_of_a_film_that_was_there_before_are_left_out(results, html):
    save_table(pd.DataFrame({"path": ["mel"]}), results / "scores" / "mel.tsv")
    report(results, results / "again.html", CONFIG)
    assert (results / "again.html").read_text() == html


def test_a_folder_with_nothing_in_it_is_one_line(tmp_path):
    with pytest.raises(GibletError, match="nothing to report"):
        report(tmp_path, tmp_path / "page.html", CONFIG)
    assert not (tmp_path / "page.html").exists()
