"""Files of the page hold the scores and the works that the page shows."""

import base64
import io
import re

import numpy as np
import pandas as pd

from giblet.report.cited_works import REFERENCES
from giblet.report.compare import comparison_tables
from giblet.report.downloads import (
    LATEX,
    METHODS,
    REFERENCES as BIB,
    WIDE,
    bibtex,
    downloads,
    latex_table,
    scores_wide,
)
from giblet.report.material import Material

NAMES = ["path", "column", "metric", "value", "low", "high", "n", "n_failed"]
SCORES = pd.DataFrame(
    [
        ("mel", "brain", "stoi", 0.2, 0.1, 0.3, 14, 0),
        ("encodec", "codec", "stoi", 0.8, 0.7, 0.9, 14, 0),
        ("encodec", "codec", "log_mel_db", -4.9, np.nan, np.nan, 1, 0),
    ],
    columns=NAMES,
)
FACTS = {"film": "50 % _of_ & <b>", "codec": "bundled", "bandwidth_kbps": 6.0, "t_r": 1.5}
FACTS |= {"has_bold": False, "simulated": False}


def test_a_wide_table_has_a_row_per_system():
    wide = scores_wide(SCORES)
    assert list(wide.index) == [("encodec", "codec"), ("mel", "brain")]
    assert wide.loc[("encodec", "codec"), "stoi_high"] == 0.9
    assert wide.loc[("mel", "brain"), "stoi"] == 0.2
    assert np.isnan(wide.loc[("mel", "brain"), "log_mel_db"])
    assert not {"log_mel_db_low", "log_mel_db_high"} & set(wide)  # nothing would be in them
    assert wide.to_csv().splitlines()[1] == "encodec,codec,0.8,0.7,0.9,14,-4.9,1"
    late = SCORES.assign(metric="sync_error_ms")[:1]
    assert "sync_error_ms_median" in scores_wide(late)


def test_every_reference_becomes_an_entry_of_its_own():
    entries = bibtex(sorted(REFERENCES.values()))
    keys = re.findall(r"@\w+\{(\w+),", entries)
    assert len(keys) == len(set(keys)) == len(REFERENCES)
    assert all(key.isascii() for key in keys)  # BibTeX takes no other
    assert "author = {Griffin, D and Lim, J}" in entries
    assert "journal = {NeuroImage},\n  volume = {264},\n  pages = {119728}" in entries
    assert "@inproceedings{leroux2019," in entries
    assert "@misc{defossez2022," in entries
    assert entries.count("note = ") == 0
    assert "author = {{ITU-T}}" in entries
    assert "institution = {ITU-T},\n  type = {Recommendation},\n  number = {P.862.2}" in entries


NEEDED = {  # by the manual of BibTeX
    "article": {"author", "title", "journal", "year"},
    "inproceedings": {"author", "title", "booktitle", "year"},
    "techreport": {"author", "title", "institution", "year"},
    "misc": set(),
}


def test_entries_are_bibtex():
    """A small parser of its grammar: entries of fields in braces that balance, none twice."""
    text = bibtex(sorted(REFERENCES.values()))
    entry = re.compile(r"@(\w+)\{([a-z0-9]+),\n((?:  \w+ = \{.*\},?\n)+)\}\n", re.A)
    found = list(entry.finditer(text))
    assert "".join(match[0] for match in found) == text.replace("\n\n", "\n")
    assert len(found) == len(REFERENCES)
    for kind, key, body in (match.groups() for match in found):
        lines = body.splitlines()
        assert all(line.endswith(",") for line in lines[:-1]), key
        assert not lines[-1].endswith(","), key
        fields = dict(line.strip().rstrip(",").split(" = ", 1) for line in lines)
        assert len(fields) == len(lines), key
        assert NEEDED[kind] <= set(fields), key
        for value in fields.values():
            depth = np.cumsum([(c == "{") - (c == "}") for c in value])
            assert (depth[:-1] > 0).all(), value
            assert depth[-1] == 0, value
            assert not set(value) & set("&%$#_"), value


def test_a_latex_table_has_every_cell_and_no_bare_sign():
    table, of_mel = comparison_tables(SCORES, None, simulated=False)
    assert "0.200" in latex_table(of_mel)
    text = latex_table(table)
    assert r"0.800 [0.700, 0.900]" in text
    assert "$-$4.9" in text
    head, *rows = re.findall(r"^(.*) \\\\$", text, re.MULTILINE)
    assert {row.count("&") for row in (head, *rows)} == {2}
    assert rows[0] == " & n 14 segments & n 1 segments"
    assert "Codes. In brackets: 95 \\% bootstrap intervals. Blank: not scored." in text


def test_latex_tables_are_narrow_and_give_n_and_reasons():
    names = ["pesq_wb", "stoi", "si_sdr_db", "log_mel_db"]
    rows = [("encodec", "codec", m, 2.0, 1.0, 3.0, 14, 0) for m in names]
    rows += [("encodec", "stimulus", "stoi", 0.5, 0.4, 0.6, 13, 1)]
    rows += [("encodec", "stimulus", "pesq_wb", np.nan, np.nan, np.nan, 0, 0)]
    (table,) = comparison_tables(pd.DataFrame(rows, columns=NAMES), None, simulated=True)
    text = latex_table(table)
    assert re.findall(r"\\begin\{tabular\}\{p\{45mm\}(r+)\}", text) == ["rr", "rr"]
    assert "0.500 [0.400, 0.600] (n 13)" in text
    assert "PESQ (wide band) --: no segment is at least half speech." in text
    assert "Codes (simulated brains). In brackets" in text
    assert text.count("{") == text.count("}")


def test_files_are_those_of_the_page():
    files = downloads(Material(SCORES, {}, 24000, {}, FACTS))
    found = {one.name: base64.b64decode(one.uri.split(",", 1)[1]).decode() for one in files}
    assert list(found) == [METHODS, BIB, "scores.csv", WIDE, LATEX]
    assert found == {one.name: one.content for one in files}
    assert FACTS["film"] in found[METHODS]
    assert "Griffin D, Lim J (1984)" in found[METHODS]
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(found["scores.csv"])), SCORES)
    nothing = Material(SCORES[:0], {}, 24000, {}, FACTS)
    assert [one.name for one in downloads(nothing)] == [METHODS, BIB]
