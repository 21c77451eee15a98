"""The verbs ``search`` and ``explain``."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from maestro_gym.cli.console import (
    dotted_overrides,
    output,
    seed_numbers,
    show_table,
    write_json,
)
from maestro_gym.cli.loading import runner_for
from maestro_gym.cli.options import LOCAL, Contention, JsonFile, On, Overrides, Overwrite, Perfetto, ScenarioName, Trust
from maestro_gym.core.errors import MaestroError


def search(
    overrides: Overrides = None,
    config: Annotated[
        str | None,
        typer.Option("--config", help="A name in configs/search, or the path of a YAML file.", show_default="quick"),
    ] = None,
    family: Annotated[
        str | None,
        typer.Option(
            "--family",
            help="Search the numbers of this policy: shaped, a rival that has some, or FILE.py:RULE of a rule that "
            "declares some (NAME+maestro and FILE.py:RULE+maestro put Maestro around it).",
            show_default="the configuration's",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="The seed of the search.")] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            "--seeds", help="Search once with each of these seeds, such as 0-4, and say on which numbers they agree."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The run folder.", show_default="runs/search/TIME")
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option("--resume", help="The run folder to go on with, exactly where it stopped."),
    ] = None,
    overwrite: Overwrite = False,
    on: On = LOCAL,
    report: Annotated[
        bool,
        typer.Option(
            "--report",
            help="Also run the policy that is kept and the reference on the validation episodes, and write report.html "
            "into the run folder.",
        ),
    ] = False,
    trust: Trust = False,
    perfetto: Perfetto = None,
    json_file: JsonFile = None,
) -> None:
    """Search the numbers of a policy over whole episodes, held against a reference on the same episodes.

    The run folder holds the settings, the log of all generations, TensorBoard events and policy.yaml, a small readable
    file of numbers, which every verb takes as a policy. The words at the end of the line change settings of the search.
    --perfetto writes the first validation episode, of the policy that is kept and of the reference, at each place.

    Example: maestro-gym search

    Example: maestro-gym search --config tuned-maestro --seeds 0-4 wandb=offline

    Example: maestro-gym search --family examples/own_family.py:RULE+maestro generations=20

    Example: maestro-gym search --report --perfetto runs/search.json.gz

    Example: maestro-gym search --config searched --on ray://head:10001

    Example: maestro-gym compare -p maestro,runs/search/MY_RUN/policy.yaml -c high
    """
    from maestro_gym.agents.run_folder import CONFIG_FILE
    from maestro_gym.agents.search.search import run_search
    from maestro_gym.agents.search.seeds import agreement, is_of_seeds, run_seeds, spread
    from maestro_gym.baselines.registry import demand_trust_of
    from maestro_gym.config import load_search
    from maestro_gym.evaluation.workers.choose import open_workers

    if resume is not None and not (config is None and out is None and family is None and seed is None):
        raise MaestroError(
            f"--resume {resume} goes on with the settings in that folder, so --config, --family, --seed and --out "
            "cannot stand beside it."
        )
    if seed is not None and seeds is not None:
        raise MaestroError("--seed and --seeds cannot stand side by side; name one of them.")
    # Options come last: they go before a word such as `seed=3`.
    options = [f"family={family}"] * (family is not None) + [f"seed={seed}"] * (seed is not None)
    source = str(resume / CONFIG_FILE) if resume is not None else config or "quick"
    # The numbers that the settings of the default name are those of the shaped family.
    every_number = ["numbers=[]"] * (family is not None and config is None)
    words = [*every_number, *dotted_overrides(overrides), *options]
    settings = load_search(source, words)
    for name, spec in (("family", settings.family), ("reference", settings.reference)):
        is_typed = any(word.startswith(f"{name}=") for word in words)
        demand_trust_of(spec, None if is_typed else f"{source}: {name}", trust=trust)
    console = output()
    chosen = seed_numbers(seeds)
    if chosen is None and resume is not None and is_of_seeds(resume):
        raise MaestroError(
            f"--resume {resume}: holds searches of several seeds; say which by --seeds, as it was begun."
        )
    # On this machine threads share what processes would each make anew.
    with nullcontext() if on == LOCAL else open_workers(on) as workers:
        if chosen is not None:
            results = run_seeds(
                settings, chosen, out=out, resume=resume, overwrite=overwrite, workers=workers, console=console
            )
        else:
            results = [
                run_search(settings, out=out, resume=resume, overwrite=overwrite, workers=workers, console=console)
            ]
        best = max(results, key=lambda result: result.worth)
        page = None
        if report or perfetto is not None:
            from maestro_gym.agents.search.report import report_search
            from maestro_gym.evaluation.report.chrome_trace import write_chrome_traces

            comparison, page = report_search(settings, best.folder, workers)
            if perfetto is not None:
                write_chrome_traces(comparison.traces, perfetto)
    rows = [
        {"measure": name, "kept": round(ours, 4), "reference": round(theirs, 4)}
        for name, (ours, theirs) in best.validation.items()
    ]
    caption = f"{best.episodes:,} episodes, {best.wall_s / 60:.1f} minutes; objective {best.worth:+.4f}"
    show_table(f"validation episodes, seed {best.seed}", rows, caption)
    folder = best.folder if chosen is None else best.folder.parent
    document = {
        "command": "search",
        "folder": folder,
        "episodes": sum(result.episodes for result in results),
        "wall_s": sum(result.wall_s for result in results),
        "rows": rows,
    }
    if len(results) > 1:
        document |= {"seeds": spread(results), "numbers": agreement(results)}
        show_table("the searches", document["seeds"])
        show_table(
            "on what they agree", document["numbers"], "moved: against the family's default, in so many searches"
        )
    console.print(f"\nRun: {folder}", highlight=False, soft_wrap=True)
    if page is not None:
        console.print(f"Report: {page}", highlight=False, soft_wrap=True)
    write_json(json_file, document)


def explain(
    policy: Annotated[str, typer.Argument(help="A policy, as `maestro-gym compare` takes it.")],
    overrides: Overrides = None,
    scenario: ScenarioName = "quick",
    contention: Contention = None,
    reference: Annotated[
        str, typer.Option("--reference", help="The policy that it is held against, named in the same way.")
    ] = "maestro",
    seeds: Annotated[
        str | None, typer.Option("--seeds", help="The seeds of the episodes, such as 0-15.", show_default="0-15")
    ] = None,
    split: Annotated[
        str, typer.Option("--split", help="The split of the episodes: train, validation or test.")
    ] = "validation",
    trust: Trust = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The folder for the page and the picture.", show_default="runs/explain/TIME"),
    ] = None,
    overwrite: Overwrite = False,
    json_file: JsonFile = None,
) -> None:
    """Say what a policy does otherwise than Maestro or another reference, and what comes of it.

    Each of its numbers is taken back to its default on the same episodes; the reference is asked at its every decision;
    and the workflows that it saves and gives up are counted. The folder holds a page whose sentences can stand in a
    paper, explanation.md, and one picture, explanation.png.

    Example: maestro-gym explain searched -c high

    Example: maestro-gym explain runs/search/MY_RUN/policy.yaml -c high --seeds 0-7

    Example: maestro-gym explain warm-jsq+maestro --reference fcfs --split test --seeds 100-119
    """
    from maestro_gym.agents.search.explain import run_explain
    from maestro_gym.baselines import load_policy
    from maestro_gym.episodes.scenario import Scenario
    from maestro_gym.evaluation.explain.sentences import paragraphs
    from maestro_gym.evaluation.explain.tables import fate_rows, kind_rows, worth_rows

    runner = runner_for((policy, reference), trust=trust)
    changes = [*([f"contention={contention}"] if contention else []), *dotted_overrides(overrides)]
    chosen = seed_numbers(seeds) or list(range(16))
    found, folder = run_explain(
        policy,
        Scenario.load(scenario, changes),
        chosen,
        reference=reference,
        split=split,
        out=out,
        overwrite=overwrite,
        load=load_policy if runner is None else runner.load,
    )
    if found.worths:
        show_table("what the numbers are worth", worth_rows(found.worths), "with it minus without it; 95 % intervals")
    show_table("how decisions differ", kind_rows(found.differences), "means of an episode; 95 % intervals")
    show_table("workflows saved and given up", fate_rows(found.fates), "95 % intervals over episodes")
    console = output()
    for paragraph in paragraphs(found):
        console.print(f"\n{paragraph}", highlight=False, markup=False)
    console.print(f"\nPage and picture: {folder}", highlight=False, soft_wrap=True)
    write_json(json_file, {"command": "explain", "folder": folder, "explanation": asdict(found)})


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command()(search)
    app.command()(explain)
