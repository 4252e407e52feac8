"""What can be taken from the page, as files in data URIs: methods text, references, scores."""

import base64
import re

import pandas as pd

from giblet.audio.metrics.table import METRICS, metric_of
from giblet.report.material import Material
from giblet.report.methods import methods_text, references
from giblet.report.systems import FEATURE_LABELS, SYSTEMS
from giblet.report.tables import ScoreTable, in_order

_WORK = re.compile(
    r"(?P<authors>.+?) \((?P<year>\d{4})\)\. (?P<title>.+?(?:(?=\.)|\?))\.?(?: (?P<place>.+))?"
)
_LATEX = {"\\": r"\textbackslash{}", "−": "$-$", "–": "--", "²": "$^2$", "≤": r"$\le$"}
_LATEX |= {c: f"\\{c}" for c in "&%$#_{}"}


def downloads(material: Material, table: ScoreTable | None) -> list[tuple[str, str, str]]:
    """Name of a file, what it is, and its data URI.

    ``table``: the scores that the LaTeX table has; None: there is no such file.
    """
    text = methods_text(material.facts, material.extras.models, material.scored)
    files = [
        ("methods.md", "methods text", methods_markdown(text), "text/markdown"),
        ("methods.bib", "its references, for BibTeX", bibtex(references(text)), "text/plain"),
    ]
    if len(material.scores):
        scores, wide = material.scores, scores_wide(material.scores)
        files.append(("scores.csv", "a row per score", scores.to_csv(index=False), "text/csv"))
        files.append(("scores_wide.csv", "a row per system", wide.to_csv(), "text/csv"))
    if table is not None:
        files.append(("scores.tex", "a table for LaTeX", latex_table(table), "text/plain"))
    return [(name, what, data_uri(content, kind)) for name, what, content, kind in files]


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
      note = {IEEE Trans. 32, 236–243}
    }
    <BLANKLINE>
    """
    return "\n".join(_entry(match) for work in works if (match := _WORK.fullmatch(work)))


def _entry(work: re.Match) -> str:
    """Two works of one first author and year would have one key; no methods text cites such."""
    names = [name.rpartition(" ") for name in work["authors"].split(", ")]
    authors = " and ".join(f"{last}, {first}" if last else first for last, _, first in names)
    key = re.sub(r"\W", "", (names[0][0] or names[0][2]).lower()) + work["year"]
    fields = {"author": authors, "year": work["year"], "title": f"{{{work['title']}}}"}
    fields |= {"note": work["place"].removesuffix(".")} if work["place"] else {}
    listed = ",\n".join(f"  {name} = {{{text}}}" for name, text in fields.items())
    return f"@article{{{key},\n{listed}\n}}\n"


def scores_wide(scores: pd.DataFrame) -> pd.DataFrame:
    """A row per path and column, and for each metric ``value``, ``low``, ``high`` and ``n``.

    ``scores``: table with ``path column metric value low high n``. Columns are ``stoi``,
    ``stoi_low``, ``stoi_high``, ``stoi_n`` …
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
    columns = {f"{m}{end}": wide[part, m] for m in metrics for part, end in names.items()}
    return pd.DataFrame(columns).loc[order]


def latex_table(table: ScoreTable) -> str:
    """A table as LaTeX (package booktabs): a row per system, a column per metric."""
    parts = [_tabular(part.header, part.rows) for part in table.parts]
    return "\n".join([f"% {_escaped(table.caption)}", *parts])


def _tabular(header, rows) -> str:
    names = ["System", *(metric_of(metric.name).heading for metric, _ in header)]
    lines = [
        [name, *("" if cell is None else _value(cell) for cell in cells)] for name, cells in rows
    ]
    head, *body = [" & ".join(map(_escaped, line)) + r" \\" for line in [names, *lines]]
    begin = f"\\begin{{tabular}}{{l{'r' * len(header)}}}\n\\toprule"
    return "\n".join([begin, head, r"\midrule", *body, "\\bottomrule\n\\end{tabular}\n"])


def _value(cell) -> str:
    return f"{cell.value} [{cell.low}, {cell.high}]" if cell.low else cell.value


def _escaped(text: str) -> str:
    r"""
    >>> _escaped("5 % of sub_01")
    '5 \\% of sub\\_01'
    """
    return "".join(_LATEX.get(c, c) for c in text)
