"""For the site: examples in docstrings (``>>>``) become blocks of code. See mkdocs.yml."""

import griffe


def fenced(text: str) -> str:
    """``text`` with every doctest, up to the next empty line, in a fence."""
    paragraphs = []
    for paragraph in text.split("\n\n"):
        lines = paragraph.split("\n")
        begin = next((i for i, line in enumerate(lines) if line.lstrip().startswith(">>>")), None)
        if begin is not None:
            lines = [*lines[:begin], "", "```pycon", *lines[begin:], "```"]
        paragraphs.append("\n".join(lines))
    return "\n\n".join(paragraphs)


class Doctests(griffe.Extension):
    """Asked about every object that griffe reads."""

    def on_object(self, *, obj: griffe.Object, **_) -> None:
        if obj.docstring is not None:
            obj.docstring.value = fenced(obj.docstring.value)
