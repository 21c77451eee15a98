"""``maestro-gym evolve export``: the folder that a program search is pointed at."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

import maestro_gym
from maestro_gym.baselines.user_rules import is_user_spec
from maestro_gym.config import dump_config, read_yaml, validated
from maestro_gym.config.program_search import ProgramTask
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.run_folder import clear_earlier, run_folder
from maestro_gym.core.whole_file import write_whole
from maestro_gym.evaluation.program_search.evaluate import around_of
from maestro_gym.evaluation.run_info import command_line

TASK_FILE, PROGRAM_FILE = "task.yaml", "initial_program.py"

_WHAT = {"order": "the order of waiting calls", "route": "the choice of a node for a call"}

_FILES = {
    "initial.py": "initial_{rule}.py.j2",
    PROGRAM_FILE: "initial_{rule}.py.j2",
    "evaluator.py": "evaluator.py.j2",
    "evaluate.py": "evaluate.py.j2",
    "config.yaml": "config.yaml.j2",
    "Containerfile": "Containerfile.j2",
    "README.md": "README.md.j2",
}
"""Template by file."""


def export_task(task: ProgramTask, folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write the folder.

    Args:
        task: What is searched.
        folder: Where; it is made.
        overwrite: Replace an earlier export there; other files stay.

    Returns:
        The files.

    Raises:
        MaestroError: The folder cannot be made, or holds an export.
    """
    left = (TASK_FILE, *_FILES)
    with run_folder(folder, overwrite=overwrite, left=left):
        if overwrite:
            clear_earlier(folder, left)
        templates = Environment(
            loader=PackageLoader("maestro_gym.evaluation.program_search", "templates"),
            keep_trailing_newline=True,
            undefined=StrictUndefined,
            autoescape=False,
        )
        known = {
            "task": task,
            "what": _WHAT[task.rule],
            "around": around_of(task),
            "version": maestro_gym.__version__,
            "command": command_line(),
        }
        write_whole(folder / TASK_FILE, dump_config(task))
        for name, template in _FILES.items():
            text = templates.get_template(template.format(rule=task.rule)).render(known)
            write_whole(folder / name, text)
    return [folder / name for name in left]


def read_task(path: Path) -> ProgramTask:
    """Read a task.

    Args:
        path: `TASK_FILE`, or the folder that holds it.

    Raises:
        MaestroError: There is none, or it says what a task cannot.
    """
    file = path / TASK_FILE if path.is_dir() else path
    if not file.is_file():
        raise MaestroError(f"{file}: there is no task. Write one by `maestro-gym evolve export {path}`.")
    task = validated(ProgramTask, read_yaml(file), lambda _: str(file))
    for name in ("around", "reference"):
        if is_user_spec(getattr(task, name)):
            raise MaestroError(
                f"{file}: {name}: names a Python file, which would run beside the programs. Name a policy of "
                "`maestro-gym policies`, or a file of numbers."
            )
    return task
