"""The manual: no long sentences, every page in its order."""

import html
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST_WORDS = 30
PAGES = [ROOT / "README.md", *sorted((ROOT / "notes").glob("*.md"))]
FIRST = {"README.md", "first_run.md", "reading_the_report.md", "glossary.md", "troubleshooting.md"}
CEILING = 10  # long sentences in all pages: for those that are needed


def sentences(text):
    """Sentences of prose and of list items: no code, tables, headings or addresses."""
    text = re.sub(r"^```.*?^```", "\n\n", text, flags=re.S | re.M)
    text = re.sub(r"^(?:#|\||<|!\[|    |---).*$", "", text, flags=re.M)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    text = re.sub(r"`[^`]*`", "Code", text)
    blocks = re.split(r"\n\s*\n|^\s*(?:[-*]|\d+\.)\s", text, flags=re.M)
    for block in blocks:
        one = " ".join(block.split())
        yield from re.split(r"(?<=[.!?])[\"')*]*\s+(?=[A-Z*`\[(])", one)


def long_ones(path):
    return [
        s for s in sentences(path.read_text()) if len(re.findall(r"\w[\w'.,-]*", s)) > MOST_WORDS
    ]


def test_a_long_sentence_is_counted_and_code_and_tables_are_not():
    words = " ".join(31 * ["word"])
    text = f"# {words}\n\n{words}. Short one.\n\n| {words} |\n\n```\n{words}\n```\n\n- {words}"
    lengths = [len(one.split()) for one in sentences(text)]
    assert [n for n in lengths if n > MOST_WORDS] == [31, 31]


@pytest.mark.parametrize(
    "page", [p for p in PAGES if p.name in FIRST], ids=lambda p: p.parent.name + p.stem
)
def test_pages_that_are_read_first_have_no_long_sentence(page):
    assert long_ones(page) == []


def test_the_other_pages_do_not_get_more_long_sentences():
    counts = {page.name: len(long_ones(page)) for page in PAGES if page.name != "credits.md"}
    assert sum(counts.values()) <= CEILING, counts


def test_every_page_is_in_the_site_and_in_the_index():
    site, index = (ROOT / "mkdocs.yml").read_text(), (ROOT / "notes/README.md").read_text()
    names = {page.name for page in PAGES} - {"README.md"}
    assert {name for name in names if name not in site} == set()
    assert {name for name in names if f"]({name})" not in index} == set()
    notebooks = {file.stem for file in (ROOT / "notes/notebooks").glob("*.ipynb")}
    assert {one for one in notebooks if f"notebooks/{one}.md" not in site} == set()
    assert "Settings: settings.md" in site
    assert site.index("credits.md") == max(site.index(name) for name in names)
    assert index.index("](credits.md)") == max(index.index(f"]({name})") for name in names)


def test_the_glossary_of_the_page_is_that_of_the_manual():
    def plain(text):
        return html.unescape(re.sub(r"<[^>]+>|`", "", text))

    page = (ROOT / "giblet/report/glossary.html.jinja").read_text()
    terms = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page)
    rows = (ROOT / "notes/glossary.md").read_text().splitlines()
    manual = {tuple(plain(row).strip("| ").split(" | ")) for row in rows if row.startswith("| ")}
    assert len(terms) > 15
    assert {(plain(term), plain(meaning)) for term, meaning in terms} <= manual


def test_every_picture_is_there_small_and_says_what_is_simulated():
    shown = {}
    for page in PAGES:
        found = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", page.read_text())
        shown |= {(page.parent / file).resolve(): alt for alt, file in found}
    assert set((ROOT / "notes").glob("*.webp")) == set(shown)
    for file, alt in shown.items():
        assert file.read_bytes()[8:12] == b"WEBP"
        assert file.stat().st_size < (60_000 if file.name.startswith("first_run") else 200_000)
        assert "simulated" in alt.lower()
