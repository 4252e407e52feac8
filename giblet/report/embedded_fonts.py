"""Fonts in PDF figures: each subset is made once, without tables that nothing in a PDF reads."""

import importlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

# Substitution and placement of glyphs: a PDF has glyphs and their places, so viewers read neither
_OF_TYPESETTING = ("GDEF", "GPOS", "GSUB", "MATH")


@contextmanager
def fonts_subset_once() -> Iterator[None]:
    """Within the block Matplotlib subsets a font once for each set of glyphs.

    fontTools otherwise reads the whole font for every PDF, most of the time in the tables of
    typesetting. Both are internals of Matplotlib and fontTools: where a version lacks them, the
    block changes nothing.
    """
    try:
        backend: Any = importlib.import_module("matplotlib.backends._backend_pdf_ps")
        options: Any = importlib.import_module("fontTools.subset").Options
        subset, dropped = backend.get_glyphs_subset, options._drop_tables_default
    except (ImportError, AttributeError):
        yield
        return
    made: dict[tuple, Any] = {}
    with ExitStack() as opened:

        def once(file: Any, glyphs: Any) -> AbstractContextManager:
            key = str(file), getattr(file, "face_index", 0), frozenset(glyphs)
            if key not in made:
                made[key] = opened.enter_context(subset(file, glyphs))
            return nullcontext(made[key])

        backend.get_glyphs_subset = once
        options._drop_tables_default = [*dropped, *_OF_TYPESETTING]
        try:
            yield
        finally:
            backend.get_glyphs_subset, options._drop_tables_default = subset, dropped
