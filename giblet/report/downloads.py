"""What can be taken from the page: methods text, references and scores, as texts of files."""

import base64
import re
import unicodedata
from dataclasses import dataclass

import numpy as np
import pandas as pd

from giblet.audio.metrics.table import METRICS, metric_of
from giblet.report.cited_works import references
from giblet.report.compare import comparison_tables
from giblet.report.material import Material
from giblet.report.methods import methods_of
from giblet.report.systems import FEATURE_LABELS, SYSTEMS
from giblet.report.tables import ScoreTable, in_order

METHODS, REFERENCES, WIDE, LATEX = "methods.md", "methods.bib", "scores_wide.csv", "scores.tex"
_WORK = re.compile(
    r"(?P<authors>.+?) \((?P<year>\d{4})\)\. (?P<title>.+?(?:(?=\.)|\?))\.?(?: (?P<place>.+))?"
)
_JOURNAL = re.compile(r"(?P<journal>.+?) (?P<volume>\d+), (?P<pages>[\d–]+)")
_MEETING = re.compile(r"(?P<booktitle>[A-Z][A-Za-z]+ (?:19|20)\d\d)(?:, (?P<pages>[\d–]+))?")
_PREPRINT = re.compile(r"arXiv:(?P<eprint>[\d.]+)")
_KINDS = (("inproceedings", _MEETING), ("article", _JOURNAL), ("misc", _PREPRINT))
_RECOMMENDATION = re.compile(r"Recommendation (?P<number>[A-Z]\.[\d.]+): (?P<title>.+)")
_ABOUT_LATEX = (
    "% Needs \\usepackage{booktabs}. Tables are split so that they fit 160 mm, the text width of\n"
    "% A4 with margins of 25 mm; join their columns in a landscape page.\n"
)
_BLANK = (
    "In brackets: 95 % bootstrap intervals. Blank: not scored. PESQ and SI-SDR are left out where "
    "sound comes from BOLD (they do not order sounds so near to noise), SI-SDR where it comes from "
    "mel (which has no phase). Bitrate and values per second are of the features."
)
LATEX_METRICS = 3  # side by side
_LATEX = {"\\": r"\textbackslash{}", "−": "$-$", "–": "--", "²": "$^2$", "≤": r"$\le$"}
_LATEX |= {c: f"\\{c}" for c in "&%$#_{}"}


@dataclass(frozen=True)
class Download:
    """A text file of the page: its name, what it is, its content and its media type."""

    name: str
    what: str
    content: str
    kind: str

    @property
    def uri(self) -> str:
        """Its content as a data URI."""
        return data_uri(self.content, self.kind)


def downloads(material: Material) -> list[Download]:
    """Every file that ``material`` has: those of scores only where there are scores."""
    text = methods_of(material)
    files = [
        Download(METHODS, "methods text", methods_markdown(text), "text/markdown"),
        Download(REFERENCES, "its references, for BibTeX", bibtex(references(text)), "text/plain"),
    ]
    scores = material.scores
    if not len(scores):
        return files
    wide = scores_wide(scores)
    files.append(Download("scores.csv", "a row per score", scores.to_csv(index=False), "text/csv"))
    files.append(Download(WIDE, "a row per system", wide.to_csv(), "text/csv"))
    tables = comparison_tables(scores, material.extras.matched, material.simulated)
    latex = _ABOUT_LATEX + ("\n".join(map(latex_table, tables)) or "% no scores\n")
    return [*files, Download(LATEX, "tables for LaTeX", latex, "text/plain")]


def data_uri(content: str, kind: str) -> str:
    """``content`` in UTF-8 as a data URI of the media type ``kind``.

    >>> data_uri("a", "text/csv")
    'data:text/csv;charset=utf-8;base64,YQ=='
    """
    return f"data:{kind};charset=utf-8;base64,{base64.b64encode(content.encode()).decode('ascii')}"


def methods_markdown(text: str) -> str:
    """The methods text and the full references, as Markdown."""
    cited = "".join(f"- {one}\n" for one in references(text))
    return f"## Methods\n\n{text}\n" + (f"\n## References\n\n{cited}" if cited else "")


def bibtex(works: list[str]) -> str:
    """An entry per full reference ("Authors (year). Title. Place.").

    >>> print(bibtex(["Griffin D, Lim J (1984). Signal estimation. IEEE Trans. 32, 236–243."]))
    @article{griffin1984,
      author = {Griffin, D and Lim, J},
      year = {1984},
      title = {{Signal estimation}},
      journal = {IEEE Trans.},
      volume = {32},
      pages = {236--243}
    }
    <BLANKLINE>
    """
    return "\n".join(_entry(match) for work in works if (match := _WORK.fullmatch(work)))


def _entry(work: re.Match) -> str:
    """Two works of one first author and year would have one key; no methods text cites such."""
    names = [name.rpartition(" ") for name in work["authors"].split(", ")]
    authors = " and ".join(f"{last}, {first}" if last else first for last, _, first in names)
    first = unicodedata.normalize("NFKD", names[0][0] or names[0][2])
    key = re.sub(r"\W", "", first.encode("ascii", "ignore").decode().lower()) + work["year"]
    kind, place = _published(work["place"] or "")
    title = work["title"]
    if report := _RECOMMENDATION.fullmatch(title):
        title, kind, authors = report["title"], "techreport", f"{{{authors}}}"
        place = {"institution": work["authors"], "type": "Recommendation"}
        place |= {"number": report["number"]}
    fields = {"author": authors, "year": work["year"], "title": f"{{{title}}}"} | place
    listed = ",\n".join(f"  {name} = {{{text}}}" for name, text in fields.items())
    return f"@{kind}{{{key},\n{listed}\n}}\n"


def _published(place: str) -> tuple[str, dict[str, str]]:
    """The kind of entry, and its fields of where a work appeared.

    >>> _published("ICASSP 2019, 626–630.")
    ('inproceedings', {'booktitle': 'ICASSP 2019', 'pages': '626--630'})
    >>> _published("arXiv:2210.13438.")
    ('misc', {'eprint': '2210.13438', 'archivePrefix': 'arXiv'})
    >>> _published("")
    ('misc', {})
    """
    text = place.removesuffix(".")
    for kind, pattern in _KINDS:
        if match := pattern.fullmatch(text):
            fields = {name: part.replace("–", "--") for name, part in match.groupdict("").items()}
            fields |= {"archivePrefix": "arXiv"} if "eprint" in fields else {}
            return kind, {name: part for name, part in fields.items() if part}
    return "misc", {"note": text} if text else {}


def scores_wide(scores: pd.DataFrame) -> pd.DataFrame:
    """A row per path and column, and for each metric ``value``, ``low``, ``high`` and ``n``.

    ``scores``: table with ``path column metric value low high n``. Columns are ``stoi``,
    ``stoi_low``, ``stoi_high``, ``stoi_n`` …; ``sync_error_ms_median`` … of a metric that is the
    median over segments. ``n`` are whole numbers; columns without any number are left out.
    """
    wide = scores.pivot(index=["path", "column"], columns="metric")
    metrics = in_order(scores["metric"], METRICS)
    names = {"value": "", "low": "_low", "high": "_high", "n": "_n"}
    order = [
        (path, column)
        for path in in_order(scores["path"], FEATURE_LABELS)
        for column in in_order(scores["column"], SYSTEMS)
        if (path, column) in wide.index
    ]
    columns = {}
    for name in metrics:
        label = f"{name}_median" if metric_of(name).average is np.median else name
        for part, end in names.items():
            values = wide[part, name]
            columns[f"{label}{end}"] = values.round().astype("Int64") if part == "n" else values
    return pd.DataFrame(columns).loc[order].dropna(axis="columns", how="all")


def latex_table(table: ScoreTable) -> str:
    """A table as LaTeX (package booktabs): a row per system, a column per metric.

    Each part has `LATEX_METRICS` metrics, and a note: its caption, and why cells are blank.
    """
    notes = [f"{table.caption}. {_BLANK}", *_reasons(table)]
    parts = [_tabular(part.header, part.rows, notes) for part in table.split(LATEX_METRICS)]
    return "\n".join([f"% {_escaped(table.caption)}", *parts])


def _reasons(table: ScoreTable) -> list[str]:
    """Why "–" stands for a score, a sentence per metric that has such."""
    found: dict[str, str] = {}
    for metric, cells in table.rows:
        whys = sorted({cell.why for cell in cells if cell and cell.why})
        found |= {metric.label: f"{metric.label} –: {'; '.join(whys)}."} if whys else {}
    return list(found.values())


def _tabular(header, rows, notes: list[str]) -> str:
    names = ["System", *(metric_of(metric.name).heading for metric, _ in header)]
    counts = ["", *(f"n {n} {metric.counted}".strip() if n else "" for metric, n in header)]
    lines = [
        [name, *(_value(*one) for one in zip(cells, header, strict=True))] for name, cells in rows
    ]
    head, n, *body = [" & ".join(map(_escaped, line)) + r" \\" for line in [names, counts, *lines]]
    begin = f"{{\\small\n\\begin{{tabular}}{{p{{45mm}}{'r' * len(header)}}}\n\\toprule"
    end = "\\bottomrule\n\\end{tabular}\n"
    note = f"\\par\\smallskip {_escaped(' '.join(notes))}\\par}}\n"
    return "\n".join([begin, head, n, r"\midrule", *body, end + note])


def _value(cell, header) -> str:
    """A score with its interval, and its n where a column has several."""
    if cell is None:
        return ""
    text = f"{cell.value} [{cell.low}, {cell.high}]" if cell.low else cell.value
    metric, n = header
    return f"{text} (n {cell.n})" if metric.counted and cell.n and not n else text


def _escaped(text: str) -> str:
    r"""
    >>> _escaped("5 % of sub_01")
    '5 \\% of sub\\_01'
    """
    return "".join(_LATEX.get(c, c) for c in text)
