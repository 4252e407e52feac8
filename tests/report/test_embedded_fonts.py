"""Fonts that PDF figures embed: Matplotlib's own, without tables that nothing in a PDF reads."""

import io
import re
import zlib

import pandas as pd
import pytest
from fontTools.ttLib import TTFont
from matplotlib.backends import _backend_pdf_ps
from matplotlib.font_manager import findfont

from giblet.report.embedded_fonts import fonts_subset_once
from giblet.report.pictures import Picture, save_pictures


def draw(axes):
    axes.plot([0, 1], [0, 1])
    axes.set_title("Präzision ≥ 0.5, Δt = −2 s, öffnen")  # ff and fi are ligatures in GSUB


@pytest.fixture
def pictures():
    table = pd.DataFrame({"x": [0, 1]})
    return [Picture(name, name, draw, (4.4, 2.0), table) for name in ("one", "two")]


def parts(pdf):
    """Fonts and other streams of a PDF."""
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf.read_bytes(), re.DOTALL)
    unpacked = [zlib.decompress(one) for one in streams if one[:1] == b"x"]
    assert unpacked
    fonts = [one for one in unpacked if one[:4] == b"\x00\x01\x00\x00"]
    return [TTFont(io.BytesIO(one)) for one in fonts], [x for x in unpacked if x not in fonts]


def test_pdfs_have_the_glyphs_that_matplotlib_embeds_and_no_layout_tables(pictures, tmp_path):
    (tmp_path / "own").mkdir()
    for picture in pictures:
        picture.save(tmp_path / "own")
    save_pictures(pictures, tmp_path)
    names = sorted(file.name for file in tmp_path.glob("*.pdf"))
    assert len(names) == 4
    for name in names:
        fonts, others = parts(tmp_path / name)
        own_fonts, own_others = parts(tmp_path / "own" / name)
        assert others == own_others
        assert len(fonts) == len(own_fonts) > 0
        for font, own in zip(fonts, own_fonts, strict=True):
            assert font.getGlyphOrder() == own.getGlyphOrder()
            assert font["hmtx"].metrics == own["hmtx"].metrics
            for glyph in own.getGlyphOrder():
                assert font["glyf"][glyph] == own["glyf"][glyph]
            assert not {"GSUB", "GPOS", "GDEF", "MATH"} & set(font.keys())


def test_a_set_of_glyphs_is_subset_once_and_matplotlib_is_left_as_it_was(pictures, monkeypatch):
    calls, subset = [], _backend_pdf_ps.get_glyphs_subset

    def counted(file, glyphs):
        calls.append((str(file), frozenset(glyphs)))
        return subset(file, glyphs)

    monkeypatch.setattr(_backend_pdf_ps, "get_glyphs_subset", counted)
    with fonts_subset_once():
        for _ in range(3):
            with _backend_pdf_ps.get_glyphs_subset(findfont("DejaVu Sans"), {36, 37}) as made:
                assert made.glyph_index_map.keys() >= {36, 37}
    assert len(calls) == 1
    assert _backend_pdf_ps.get_glyphs_subset is counted
