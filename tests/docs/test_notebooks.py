"""The notebooks run from the first cell to the last, and are kept without what they print."""

from pathlib import Path

import nbformat
import pytest

from docs.notebook_pages import NOTEBOOKS, ROOT, run_notebook

PATHS = sorted((ROOT / NOTEBOOKS).glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path) -> None:
    cells = [cell for cell in run_notebook(path, tmp_path).cells if cell.cell_type == "code"]
    assert cells
    assert cells[-1].outputs, "the last cell shows something"
    for cell in cells:
        text = "".join(output.get("text", "") for output in cell.outputs)
        assert "error:" not in text, text  # a verb that fails in a line of shell ends no cell


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs_and_is_short(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    assert len(path.read_bytes()) < 10_000
