"""Tables, JSON and YAML: read with one clear line where they cannot be, written whole."""

import csv
import json
import warnings
from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from giblet.errors import GibletError
from giblet.io.atomic import replacing
from giblet.io.delimited import (
    decimal_mark,
    delimiter,
    table_text,
    without_trailing_delimiters,
)
from giblet.io.paths import check_file

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS = {".tsv": "\t", ".csv": ","}  # of tables


def save_table(table: "pd.DataFrame", path: str | Path) -> None:
    """Write a table as tab-separated values; missing values are ``n/a``, as in BIDS."""
    with replacing(path) as temporary:
        table.to_csv(temporary, sep="\t", index=False, na_rep="n/a", float_format="%.6g")


def join_values(values: Iterable[float]) -> str:
    """Several numbers in one cell, separated by spaces; ``n/a`` for those that are missing.

    >>> join_values([0.25, float("nan"), 1])
    '0.25 n/a 1'
    """
    return " ".join("n/a" if value != value else f"{value:.6g}" for value in values)


def split_values(cell: object) -> list[float]:
    """The numbers of a cell that `join_values` wrote; none of an empty one.

    >>> split_values("0.25 n/a 1"), split_values(0.5), split_values(float("nan"))
    ([0.25, nan, 1.0], [0.5], [])
    """
    cells = [] if cell is None or cell != cell else str(cell).split()
    return [float("nan") if one == "n/a" else float(one) for one in cells]


def is_table(path: Path) -> bool:
    """Whether a file's name ends as that of a table.

    >>> is_table(Path("runs.TSV.gz")), is_table(Path("film.mp4"))
    (True, False)
    """
    return Path(path.name.removesuffix(".gz")).suffix.lower() in SEPARATORS


def load_table(path: str | Path, **options) -> "pd.DataFrame":
    """Read a table written as tab-separated (``.tsv``) or comma-separated (``.csv``) values.

    Also with another delimiter and decimal commas, as spreadsheets write them, and with ``.gz``
    behind the ending. Columns without a name that are empty or number the rows are left out, and
    so are copies of a column. ``options`` as ``pandas.read_csv`` has them.

    Raises
    ------
    GibletError
        Any other file, and one name for two columns that differ.
    """
    import pandas as pd

    path = Path(path)
    suffix = Path(path.name.removesuffix(".gz")).suffix
    if not is_table(path):
        raise GibletError(f"{path}: tables are .tsv or .csv, not {suffix or 'without ending'}")
    text = table_text(path)
    separator = delimiter(text, SEPARATORS[suffix.lower()])
    options = {
        "sep": separator,
        "decimal": decimal_mark(text, separator),
        "keep_default_na": False,
        "na_values": ["n/a", ""],
        "index_col": False,  # else a delimiter at the end of rows shifts the columns
    } | options
    try:
        try:
            table = _parsed(text, options)
        except (pd.errors.ParserWarning, pd.errors.ParserError):  # more cells than names
            text = without_trailing_delimiters(text, separator)
            table = _parsed(text, options)
        return _named(_without_copies(table, text, separator, path))
    except pd.errors.ParserWarning:
        reason = "rows have more cells than the first row has names; give every column a name"
        raise GibletError(f"{path}: not a readable table ({reason})") from None
    except (ValueError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise GibletError(f"{path}: not a readable table ({reason})") from error


def _parsed(text: str, options: dict) -> "pd.DataFrame":
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(StringIO(text), **options)


def _without_copies(table: "pd.DataFrame", text: str, separator: str, path: Path):
    """``table`` without columns that repeat the name and content of an earlier one.

    pandas numbers repeated names (``onset.1``) and a reader would take the first without a word.
    """
    line = text.lstrip("\n").partition("\n")[0]
    cells = line.split() if separator == r"\s+" else next(csv.reader([line], delimiter=separator))
    names, copies = [cell.strip() for cell in cells], []
    for n, name in enumerate(names[: table.shape[1]]):
        if not name or (first := names.index(name)) == n:
            continue
        if not table.iloc[:, first].equals(table.iloc[:, n]):
            raise GibletError(f"{path}: two columns are named {name}; rename or delete one")
        copies.append(n)
    return table.drop(columns=table.columns[copies]) if copies else table


def _named(table: "pd.DataFrame") -> "pd.DataFrame":
    """``table`` without spaces around names, and without unnamed columns that are empty or number
    the rows, as pandas' index does."""
    table = table.rename(columns=lambda name: name.strip() if isinstance(name, str) else name)
    unnamed = [name for name in table if str(name).startswith("Unnamed: ")]
    numbers = [name for name in unnamed[:1] if name == table.columns[0]]
    numbers = [name for name in numbers if table[name].astype(str).tolist() == _count(len(table))]
    empty = [name for name in unnamed if table[name].isna().all()]
    return table.drop(columns=list({*numbers, *empty}))


def _count(n: int) -> list[str]:
    return list(map(str, range(n)))


def gather_tables(folder: str | Path) -> "pd.DataFrame":
    """All ``.tsv`` tables in a folder, by name, as one; written to ``folder.tsv`` beside it."""
    import pandas as pd

    folder = Path(folder)
    table = pd.concat([load_table(p) for p in sorted(folder.glob("[!.]*.tsv"))], ignore_index=True)
    save_table(table, folder.with_suffix(".tsv"))
    return table


def save_json(content: dict, path: str | Path) -> None:
    """Write a JSON file, keys in order."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", "utf-8")


def load_json(path: str | Path) -> dict:
    """Read a JSON file that holds one object, ``{...}``."""
    check_file(path)
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8-sig"))  # with a BOM or without
    except (ValueError, RecursionError) as error:
        raise GibletError(f"{path}: not valid JSON ({error})") from error
    return _keyed(content, path)


def load_yaml(path: str | Path) -> dict:
    """Read a YAML file of settings."""
    import yaml

    check_file(path)
    try:
        content = parse_yaml(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError, OverflowError) as error:
        raise GibletError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from error
    return _keyed({} if content is None else content, path)


def _keyed(content: object, path: str | Path) -> dict:
    if not isinstance(content, dict):
        raise GibletError(f"{path}: needs keys and values, holds a {type(content).__name__}")
    return content


def parse_yaml(text: str) -> object:
    """Plain data of YAML; a key that stands twice is an error, not the last of its values."""
    import yaml

    class Once(yaml.SafeLoader):
        def construct_mapping(self, node, deep=False):
            seen = set()
            for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
                if key.value in seen:
                    message = f"the key {key.value} stands twice"
                    raise yaml.constructor.ConstructorError(None, None, message, key.start_mark)
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    return Once(text).get_single_data()
