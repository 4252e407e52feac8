"""Text of a page: names with control characters or right-to-left letters do no harm to it."""

import re
import unicodedata

from giblet.log import visible

_RIGHT_TO_LEFT = {"R", "AL", "AN"}  # Unicode's classes of direction
_FIRST_STRONG_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"
_KEPT = re.compile(f"([\r\n{_FIRST_STRONG_ISOLATE}{_POP_ISOLATE}])")


def template_environment(package: str, **options):
    """A ``jinja2.Environment`` of the templates in ``package``: text is escaped, as `page_text`."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader(package, "."),
        autoescape=True,
        finalize=page_text,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        **options,
    )


def page_text(value: object) -> object:
    r"""A template's value with `giblet.log.visible` applied to text; HTML is not changed.

    Line ends and the marks of `isolated` are kept.

    >>> page_text("a\u202e\nb"), page_text(3)
    ('a\\u202e\nb', 3)
    """
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return "".join(one if _KEPT.fullmatch(one) else visible(one) for one in _KEPT.split(value))


def isolated(name: object) -> str:
    r"""``name`` for use in a sentence: right-to-left letters do not reorder the words around it.

    Names without such letters get no marks.

    >>> isolated("A1"), isolated("\u05d0 2"), isolated("a\u202eb")
    ('A1', '\u2068א 2\u2069', 'a\\u202eb')
    """
    text = visible(str(name))
    if _RIGHT_TO_LEFT.isdisjoint(map(unicodedata.bidirectional, text)):
        return text
    return f"{_FIRST_STRONG_ISOLATE}{text}{_POP_ISOLATE}"
