"""A comparison drawn once more, in the folder of its run or in one of its own."""

from __future__ import annotations

from pathlib import Path

from maestro_gym.core.run_folder import clear_earlier, run_folder
from maestro_gym.evaluation.comparison import Comparison
from maestro_gym.evaluation.comparison_files import write_results
from maestro_gym.evaluation.report.figures import draw_all
from maestro_gym.evaluation.report.page.write_page import write_report


def redraw(comparison: Comparison, folder: Path, *, again: bool, overwrite: bool = False) -> Path:
    """Write plots and report of a comparison; in a folder of their own, with its results.

    Args:
        comparison: What was found.
        folder: Where they go.
        again: Whether it is the folder of the run itself, whose results stay as they are.
        overwrite: Whether an earlier run in the folder is removed.

    Returns:
        The report.

    Raises:
        MaestroError: The folder cannot be written, or holds an earlier run.
    """
    with run_folder(folder, resume=again, overwrite=overwrite):
        if overwrite:
            clear_earlier(folder)
        if not again:
            write_results(comparison, folder)
        draw_all(comparison, folder / "plots")
        return write_report(comparison, folder / "report.html")
