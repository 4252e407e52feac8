"""Names made of the columns of a table: ``{genre}.{track:0>5}``."""

from collections.abc import Mapping
from string import Formatter


def template_columns(template: str) -> list[str]:
    """Columns that a name template takes; ValueError where it is none.

    >>> template_columns("{genre}.{track:0>5}")
    ['genre', 'track']
    """
    try:
        columns = [field for _, field, _, _ in Formatter().parse(template) if field is not None]
    except ValueError as error:
        raise ValueError(f"is no template ({error})") from None
    if not columns or not all(column.isidentifier() for column in columns):
        raise ValueError('must name columns of the events tables in braces, as "{stim_file}"')
    fill_template(template, dict.fromkeys(columns, "1"))
    return columns


def fill_template(template: str, cells: Mapping[str, str]) -> str:
    """The name of a row; ValueError where text does not fit the template.

    >>> fill_template("{genre}.{track:0>5}", {"genre": "pop", "track": "32"})
    'pop.00032'
    """
    try:
        return template.format(**cells)
    except (ValueError, IndexError, KeyError) as error:
        raise ValueError(f"cannot be filled with text: {error}") from None
