"""Tables, JSON and YAML: read with one clear line where they cannot be, written whole."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from giblet.errors import GibletError
from giblet.io.atomic import replacing
from giblet.io.paths import check_file

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS = {".tsv": "\t", ".csv": ","}  # of tables


def save_table(table: "pd.DataFrame", path: str | Path) -> None:
    """Write a table as tab-separated values; missing values are ``n/a``, as in BIDS."""
    with replacing(path) as temporary:
        table.to_csv(temporary, sep="\t", index=False, na_rep="n/a", float_format="%.6g")


def load_table(path: str | Path, **options) -> "pd.DataFrame":
    """Read a table written as tab-separated (``.tsv``) or comma-separated (``.csv``) values.

    ``options`` as ``pandas.read_csv`` has them.
    """
    import pandas as pd

    path = Path(path)
    if (ending := path.suffix.lower()) not in SEPARATORS:
        raise GibletError(f"{path}: tables are .tsv or .csv, not {path.suffix or 'without ending'}")
    options = {"sep": SEPARATORS[ending], "keep_default_na": False} | options
    if b"\0" in check_file(path).read_bytes():  # no netCDF text could hold it
        raise GibletError(f"{path}: not text in UTF-8: it has a NUL in it")
    try:
        return pd.read_csv(path, na_values=["n/a", ""], **options)
    except (ValueError, OverflowError) as error:  # also of characters that are not UTF-8
        raise GibletError(f"{path}: not a readable table ({error})") from error


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
