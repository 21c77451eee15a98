"""Notebooks: run, and written as pages of the site beside the pictures that they draw."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbconvert import MarkdownExporter

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = "examples/notebooks"
TIMEOUT_S = 1800
"""Longest time of one cell: the first that simulates also compiles."""


_TERMINAL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""What steers a terminal: a kernel asks programs for colours even where they write into a pipe."""


def run_notebook(path: Path, folder: Path) -> nbformat.NotebookNode:
    """Run a notebook with this interpreter and this checkout.

    Args:
        path: The notebook; it is not changed.
        folder: The working folder of its cells.

    Returns:
        The notebook with what its cells printed and drew.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    words = {"PYTHONPATH": str(ROOT), "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    client = NotebookClient(
        notebook, timeout=TIMEOUT_S, kernel_name="python3", resources={"metadata": {"path": folder}}
    )
    return client.execute(env={**os.environ, **words})


def write_pages(pages: Path, *, run: bool) -> None:
    """Write every notebook as a page of Markdown at its place.

    Args:
        pages: The folder with the pages of the site.
        run: Whether the notebooks are run first; else the pages hold their words and their code alone.
    """
    for path in sorted((ROOT / NOTEBOOKS).glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            notebook = run_notebook(path, Path(folder)) if run else nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            _trim(cell.get("outputs", []))
        text, found = MarkdownExporter().from_notebook_node(notebook, {"unique_key": path.stem})
        place = pages / NOTEBOOKS
        place.mkdir(parents=True, exist_ok=True)
        for name, picture in found["outputs"].items():
            (place / name).write_bytes(picture)
        (place / f"{path.stem}.md").write_text(text, encoding="utf-8")


def _trim(outputs: list[nbformat.NotebookNode]) -> None:
    """Leave out what is of this machine alone (notes on compiling), and let tables look as those of other pages."""
    outputs[:] = [output for output in outputs if output.get("name") != "stderr"]
    for output in outputs:
        if "text" in output:
            output["text"] = _TERMINAL.sub("", output["text"])
        if "text/html" in output.get("data", {}):
            html = output["data"]["text/html"]
            output["data"]["text/html"] = re.sub(r'<table[^>]*class="dataframe"[^>]*>', "<table>", html)
