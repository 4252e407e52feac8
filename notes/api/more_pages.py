"""For the site: pages from files that are no Markdown of the notes. See mkdocs.yml.

The reference of the settings, ``config/README.md``, and every notebook, without what it printed.
"""

import json
from pathlib import Path

from mkdocs.structure.files import File


def notebook_page(notebook: dict) -> str:
    """The Markdown of a notebook (nbformat 4): its text, and its code in fences.

    >>> cells = [{"cell_type": "markdown", "source": ["# A\\n", "b"]}]
    >>> print(notebook_page({"cells": cells + [{"cell_type": "code", "source": ["1 + 1"]}]}))
    # A
    b
    <BLANKLINE>
    ```python
    1 + 1
    ```
    <BLANKLINE>
    """
    texts = [(cell["cell_type"], "".join(cell["source"])) for cell in notebook["cells"]]
    parts = [f"```python\n{text}\n```" if kind == "code" else text for kind, text in texts]
    return "\n\n".join(parts) + "\n"


def on_files(files, config):
    """Called by mkdocs; adds the pages."""
    root = Path(config.config_file_path).parent
    pages = {"settings.md": (root / "config/README.md").read_text()}
    for path in sorted((root / "notes/notebooks").glob("*.ipynb")):
        download = f"[Download this notebook]({path.name})\n"
        page = notebook_page(json.loads(path.read_text()))
        pages[f"notebooks/{path.stem}.md"] = f"{page}\n{download}"
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    return files
