"""Links from the page to files beside it, relative to the page."""

import os
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from giblet.report.systems import SYSTEMS
from giblet.report.tables import in_order


def link_to(path: Path, page: Path) -> str:
    """The link to ``path`` from a page at ``page``.

    >>> link_to(Path("results/demo/a b.csv"), Path("results/demo/report.html"))
    'a%20b.csv'
    """
    return quote(Path(os.path.relpath(path, page.parent)).as_posix())


def sound_links(
    results: Path, feature_types: Iterable[str], page: Path
) -> dict[str, list[tuple[str, str]]]:
    """Feature type → (column, link) of each WAV file of it in a folder of results."""
    links = {}
    for one in feature_types:
        files = {file.stem: file for file in sorted((results / "audio" / one).glob("*.wav"))}
        links[one] = [(name, link_to(files[name], page)) for name in in_order(files, SYSTEMS)]
    return links
