"""Files beside the page: they are written whole, and the page links only to those that exist."""

import re
from urllib.parse import unquote

import pandas as pd
from markupsafe import escape
from small_results import write_results

from giblet.commands.model import report
from giblet.config.config import parse_config
from giblet.evaluation.quality import summary_table
from giblet.io.arrays import load_arrays, save_arrays
from giblet.io.schema import QUALITY
from giblet.io.tables import save_table
from giblet.report.downloads import downloads
from giblet.report.extras import Extras, shown_table
from giblet.report.links import sound_links
from giblet.report.material import Material
from giblet.report.page import page_of

FACTS = {"dataset": "d", "film": "f", "codec": "c", "bandwidth_kbps": 6.0, "t_r": 1.5}
FACTS |= {"has_bold": False, "simulated": False, "warnings": [], "config": ""}
NAMES = ["path", "column", "metric", "value", "low", "high", "n", "n_failed"]
SCORES = pd.DataFrame([("encodec", "codec", "stoi", 0.8, 0.7, 0.9, 14, 0)], columns=NAMES)


def links_of(html):
    return [one for one in re.findall(r'<a href="([^"]*)"', html) if not one.startswith(("#", "d"))]


def test_sounds_are_linked_where_they_are(tmp_path):
    folder = write_results(tmp_path / "a results")
    page = tmp_path / "pages" / "report.html"
    found = sound_links(folder, ["encodec", "mel"], page)
    assert [name for name, _ in found["encodec"]] == ["original", "codec", "brain"]
    assert found["mel"] == []
    for name, link in found["encodec"]:
        assert link == f"../a%20results/audio/encodec/{name}.wav"
        assert (page.parent / unquote(link)).resolve().is_file()


def test_the_page_links_to_what_was_written_and_holds_it_too():
    links = {"methods.md": "methods.md", "scores.tex": "scores.tex"}
    sounds = {"encodec": [("codec", "audio/encodec/codec.wav")], "mel": []}
    extras = Extras(links=links, sound_links=sounds)
    html = page_of(Material(SCORES, {}, 24000, {}, FACTS, None, extras))
    assert links_of(html) == ["methods.md", "scores.tex", "audio/encodec/codec.wav"]
    alone = page_of(Material(SCORES, {}, 24000, {}, FACTS))
    assert links_of(alone) == []
    assert alone.count("download=") == len(downloads(Material(SCORES, {}, 24000, {}, FACTS)))
    assert 'id="sounds"' not in alone


def test_methods_and_references_are_those_of_the_page(tmp_path):
    folder, page = write_results(tmp_path / "results"), tmp_path / "results" / "report.html"
    quality = load_arrays(folder / "brain_quality.nc", *QUALITY).assign_attrs(n_trs=2)
    save_arrays(quality, folder / "brain_quality.nc")
    save_table(summary_table(quality), folder / "brain_quality.tsv")
    files = {"methods": folder / "methods.md", "references": folder / "methods.bib"}
    config = parse_config({"film": "none", "dataset": "d"})
    report(folder, page, config, **files)
    first = {name: path.read_bytes() for name, path in files.items()}
    text = re.search(r'id="methods-text">(.*?)</p>', page.read_text())[1]
    assert text in str(escape(first["methods"].decode()))
    assert b"@article{nastase2019," in first["references"]
    assert links_of(page.read_text()) == ["methods.md", "methods.bib"]
    report(folder, page, config, **files)
    assert {name: path.read_bytes() for name, path in files.items()} == first
    report(folder, page, config)
    assert links_of(page.read_text()) == []


def test_runs_that_showed_the_same_seconds_are_one_row():
    rows = [("run-1", 0.0, 1350.0, 1350, 2, "all 2"), ("run-2", 0.0, 9.5, 6, 1, "<b>")]
    names = ["run", "begin", "end", "n_volumes", "n_subjects", "subjects"]
    shown = pd.DataFrame(rows, columns=names)
    table = shown_table(shown, simulated=True)
    assert table.rows[0] == ["run-1", "0.0", "1350.0", "1,350", "all 2"]
    assert "(simulated scans)" in table.caption
    html = page_of(Material(SCORES, {}, 24000, {}, FACTS, None, Extras(shown=shown)))
    assert "<td>1,350</td>" in html
    assert "&lt;b&gt;" in html
    many = shown_table(pd.concat([shown] * 30), simulated=False)
    assert (len(many.rows), "20 more" in many.caption) == (40, True)
    assert shown_table(shown[:0], simulated=False) is None
