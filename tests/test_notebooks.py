"""Every notebook of the manual runs from top to bottom, and is stored without what it printed."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from small_results import write_results

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notes/notebooks").glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    notebook = nbformat.read(request.param, as_version=4)
    nbformat.validate(notebook)
    return notebook


def test_there_are_notebooks():
    assert NOTEBOOKS


def test_outputs_are_stripped(notebook):
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in cells)


@pytest.mark.slow
def test_it_runs_and_shows_something(notebook, tmp_path, tmp_path_factory, monkeypatch):
    """In a folder of its own: it needs nothing but the package, and leaves nothing behind."""
    results = write_results(tmp_path_factory.mktemp("results") / "demo")
    monkeypatch.setenv("GIBLET_RESULTS", str(results))  # where a notebook reads a run's
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=900, kernel_name="python3", resources=resources).execute()
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    shown = {kind for output in outputs for kind in output.get("data", {})}
    assert {"image/png", "text/html"} <= shown  # figures; tables and players
    assert not list(tmp_path.iterdir())
