"""A page of scans and words, without a film. Real scans: people who heard Alice."""

import re

import numpy as np
import pandas as pd
import pytest

from giblet.alignment.dataset import split_film
from giblet.commands.film import embed_text
from giblet.commands.model import report
from giblet.commands.scans import brain_quality, codec_ladder, convolve_hrf, load_bold
from giblet.config.config import parse_config
from giblet.errors import GibletError
from giblet.film.modalities import SPACE_SETS
from giblet.io.arrays import load_arrays, save_arrays
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


@pytest.fixture(scope="module")
def levels(results):
    """The profile of the words: as embedded, their number, and two layers, the first of noise and
    the second of the words' number."""
    text = load_arrays(results / "trs" / "text.nc")
    counts = text["n_words"].values.astype(np.float32)
    noise = np.random.default_rng(0).standard_normal((len(counts), 4)).astype(np.float32)
    layers = {"layer_1": noise, "layer_2": np.repeat(counts[:, None], 4, axis=1)}
    arrays = SPACE_SETS["word_model"].arrays(layers, len(counts))
    save_arrays(arrays.assign_attrs(t_r=2.0, model="m"), results / "trs" / "word_model.nc")
    spaces = [results / "trs" / f"{name}.nc" for name in ("text", "word_model")]
    table = results / "codec_ladder.tsv"
    scans = results / "bold.nc", results / "brain_quality.nc"
    codec_ladder(*scans, table, CONFIG, spaces=spaces)
    return load_table(table)


def test_the_profile_of_words_needs_no_film(results, levels):
    """A level of one feature predicts that feature, with the sign that it has in training TRs.
    Oracle: NumPy's correlation with the number of words under the HRF."""
    keys = {("film", "text"), ("film", "n_words")}
    keys |= {("word_model", "layer_1"), ("word_model", "layer_2")}
    assert set(zip(levels["space"], levels["level"], strict=True)) == keys
    assert set(levels["region"]) == {"reliable", *REGIONS}
    rows = levels.set_index(["region", "space", "level"])["r"]
    n, splits = 362, CONFIG.splits
    part = split_film(n, 2.0, splits, True, np.full(n, "a"), None, None)
    counts = load_arrays(results / "text.nc")["n_words"].values.reshape(4, n)[0]
    bold = load_arrays(results / "bold.nc")["bold"].values.reshape(4, n, 6)
    train, test = part == "train", part == "test"
    for k, region in enumerate(REGIONS):
        own = [
            np.sign(np.corrcoef(counts[train], one[train, k])[0, 1])
            * np.corrcoef(counts[test], one[test, k])[0, 1]
            for one in bold
        ]
        for level in (("film", "n_words"), ("word_model", "layer_2")):
            assert rows[region, *level] == pytest.approx(np.mean(own), abs=2e-3)


def test_the_page_of_scans_alone_has_the_profile(results, levels, tmp_path):
    report(results, tmp_path / "report.html", CONFIG, figures=tmp_path / "figures")
    html = (tmp_path / "report.html").read_text()
    assert '<h2 id="levels">Which level of the words?</h2>' in html
    assert "A codebook alone" not in html
    table = pd.read_csv(tmp_path / "figures" / "levels.csv")
    assert set(table["level"]) == {"text", "n_words", "layer_1", "layer_2"}


def test_a_profile_of_nothing_is_one_line(results, tmp_path):
    scans = results / "bold.nc", results / "brain_quality.nc"
    with pytest.raises(GibletError, match="needs a film, or words: name annotations"):
        codec_ladder(*scans, tmp_path / "a.tsv", CONFIG)
