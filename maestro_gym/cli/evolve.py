"""The verbs of program search: ``evolve export``, ``evolve score`` and ``evolve run``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maestro_gym.cli.console import dotted_overrides, output, show_table, write_json
from maestro_gym.cli.options import JsonFile, Overrides, Overwrite

app = typer.Typer(no_args_is_help=True, help="Let a program search write one rule of a scheduler.")


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="The folder to write.")],
    overrides: Overrides = None,
    rule: Annotated[
        str, typer.Option("--rule", help="What is evolved: order (which call goes next) or route (to which node).")
    ] = "order",
    overwrite: Overwrite = False,
) -> None:
    """Write the gym as a benchmark for OpenEvolve, ShinkaEvolve and their kin.

    The folder holds a first program with one rule, an evaluator that returns score and artefacts, the task, and a
    container file. The words at the end of the line change the task, such as scenario=paper or limit_s=600.

    Example: maestro-gym evolve export search

    Example: maestro-gym evolve export search --rule route seeds='[0,1,2]' reference=searched
    """
    from maestro_gym.config import validated
    from maestro_gym.config.overrides import assign, parse_override
    from maestro_gym.config.program_search import ProgramTask
    from maestro_gym.evaluation.program_search.export import export_task

    asked: dict[str, object] = {"rule": rule}
    for word in dotted_overrides(overrides):
        assign(asked, parse_override(word))
    task = validated(ProgramTask, asked, lambda place: f"{place or 'the task'}")
    for path in export_task(task, folder, overwrite=overwrite):
        output().print(str(path), highlight=False, soft_wrap=True)


@app.command()
def score(
    program: Annotated[Path, typer.Argument(help="The program; its code runs.")],
    task: Annotated[Path, typer.Option("--task", help="The task file, or the folder of an export.")] = Path(
        "task.yaml"
    ),
    json_file: JsonFile = None,
) -> None:
    """Score one program, and say what went wrong.

    Example: maestro-gym evolve score search/initial_program.py --task search
    """
    from maestro_gym.evaluation.program_search.evaluate import Evaluator
    from maestro_gym.evaluation.program_search.export import read_task

    with Evaluator(read_task(task)) as evaluator:
        verdict = evaluator.score(program)
    console = output()
    console.print(f"score {verdict.score:.4f}", highlight=False)
    for name, words in verdict.artifacts.items():
        console.print(f"\n{name}:\n{words}", highlight=False, markup=False, soft_wrap=True)
    document = {"command": "evolve score", "score": verdict.score, "failed": verdict.failed}
    write_json(json_file, document | {"metrics": verdict.metrics, "artifacts": verdict.artifacts})


@app.command()
def run(
    folder: Annotated[Path, typer.Argument(help="The folder of an export; its first program runs.")],
    programs: Annotated[int, typer.Option("--programs", min=1, help="The number of programs that are scored.")] = 30,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The seed of the edits.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The run folder.", show_default="runs/evolve/TIME")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a search in --out that was stopped.")] = False,
    overwrite: Overwrite = False,
    json_file: JsonFile = None,
) -> None:
    """Search by random edits of a program, without a language model.

    The best programs on training episodes meet validation episodes at the end. found.py, in the run folder, is the one
    that is kept, and a policy: found.py:RULE+maestro.

    Example: maestro-gym evolve run search --programs 60

    Example: maestro-gym compare -c high --seeds 200-219 -p runs/evolve/MY_RUN/found.py:RULE+maestro,maestro,edf+maestro
    """
    from maestro_gym.core.errors import MaestroError
    from maestro_gym.evaluation.program_search.loop import run_loop

    if resume and out is None:
        raise MaestroError("--resume: say by --out which folder holds the search that was stopped.")
    console = output()
    found = run_loop(folder, programs=programs, seed=seed, out=out, resume=resume, overwrite=overwrite, console=console)
    show_table("on validation episodes", found.rows, f"{found.programs} programs scored, {found.failed} of them failed")
    console.print(f"\nPolicy: {found.policy}", highlight=False, soft_wrap=True)
    console.print(f"Run:    {found.folder}", highlight=False, soft_wrap=True)
    document = {"command": "evolve run", "folder": found.folder, "policy": found.policy, "rows": found.rows}
    write_json(json_file, document | {"programs": found.programs, "failed": found.failed})
