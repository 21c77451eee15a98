"""The one command line of the project: ``maestro-gym VERB``.

Heavy modules are imported inside the verbs, so that the help text appears at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from maestro_gym import __version__
from maestro_gym.cli import (
    benchmark,
    clean,
    dataset,
    evolve,
    export,
    knee,
    live,
    machine,
    predict,
    report,
    reproduce,
    search,
    show,
    train,
    tune,
    watch,
    workload,
)
from maestro_gym.cli.console import (
    dotted_overrides,
    output,
    refuse_empty_words,
    seed_numbers,
    split_words,
)
from maestro_gym.cli.loading import runner_for
from maestro_gym.cli.options import (
    CONTENTION_HELP,
    LOCAL,
    Jobs,
    JsonFile,
    On,
    Overrides,
    Overwrite,
    Perfetto,
    Trust,
    Wide,
)
from maestro_gym.cli.stand_ins import write_what_can_be_written
from maestro_gym.core.ending import Stopped, end_in_order, exit_code, has_no_room, insisting, notes_of, outlive_pipes
from maestro_gym.core.errors import MaestroError

CLASSICS = (
    "maestro",
    "fcfs",
    "edf",
    "sjf",
    "srtf",
    "oracle-srtf",
    "random",
    "jsq",
    "least-kv",
    "static-max",
    "no-colocation",
)
"""The policies that a comparison runs unless told otherwise: Maestro and the rivals that a reviewer asks for first."""


def _tell(paragraph: object) -> NoReturn:
    """End with the one paragraph of what is wrong."""
    typer.secho(f"error: {paragraph}", fg=typer.colors.RED, err=True)
    raise typer.Exit(2) from None


class _Verbs(TyperGroup):
    """The group of verbs; a user's mistake becomes one paragraph and exit code 2, never a stack trace."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - as below
        try:
            refuse_empty_words(args)
        except MaestroError as error:
            _tell(error)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - click's context, or the copy of it that typer brings
        try:
            return super().invoke(ctx)
        except MaestroError as error:
            _tell(error)
        except KeyboardInterrupt as error:
            by = f" by {error.signal.name}" if isinstance(error, Stopped) else ""
            typer.echo("; ".join([f"stopped{by}", *notes_of(error)]), err=True)
            raise typer.Exit(exit_code(error)) from None
        except OSError as error:
            if not has_no_room(error):
                raise
            place = f"{error.filename}: " if error.filename else ""
            _tell("; ".join([f"{place}the disk is full ({error.strerror}). Make room", *notes_of(error)]))


app = typer.Typer(
    name="maestro-gym",
    cls=_Verbs,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Train, compare and validate schedulers for LLM multi-agent serving.

A first hour:

  maestro-gym doctor                             is this machine ready?

  maestro-gym compare --scenario quick           Maestro beside its classic rivals

  maestro-gym train --scenario quick             train a routing policy of your own

  maestro-gym compare --policy runs/MY_RUN       see where it stands

Every verb takes --help. The settings of a scenario are changed by words at the end of the line:
workload.load=0.9 limits.node_queue_limit=4.""",
)

app.add_typer(predict.app, name="predict")
app.add_typer(workload.app, name="workload")
app.add_typer(benchmark.app, name="benchmark")
app.add_typer(evolve.app, name="evolve")


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(f"maestro-gym {__version__}")
        raise typer.Exit


@app.command()
def compare(
    overrides: Overrides = None,
    scenario: Annotated[
        list[str] | None,
        typer.Option(
            "--scenario",
            "-s",
            help="The name or the YAML file of a scenario; repeat the option for several.",
            show_default="quick",
        ),
    ] = None,
    contention: Annotated[
        list[str] | None,
        typer.Option(
            "--contention",
            "-c",
            help=f"{CONTENTION_HELP} Repeat the option for several.",
            show_default="the scenario's",
        ),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy",
            "-p",
            help="A name of `maestro-gym policies`, file.py:Rule, file.py:Agent, a model's file (.onnx, .zip, .pt), or "
            "the folder of a training run; repeat the option, or separate the values by commas. The word classics "
            "stands for: " + ", ".join(CLASSICS) + ".",
            show_default="classics",
        ),
    ] = None,
    predictors: Annotated[
        list[str] | None,
        typer.Option(
            "--predictors",
            help="Run every policy that reads predictions under each of these predictors: oracle, boosted, "
            "role_median, constant, noisy; noisy:100 errs by 100 tokens, constant:300 guesses 300 tokens. Repeat the "
            "option, or separate the values by commas.",
            show_default="the scenario's own",
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option("--seeds", help="The evaluation seeds, such as 0,1,2 or 0-9.", show_default="the scenario's"),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option("--reference", help="The policy to which differences refer.", show_default="fcfs, else the first"),
    ] = None,
    split: Annotated[
        str, typer.Option("--split", help="The split of the episodes: train, validation or test.")
    ] = "test",
    own_limits: Annotated[
        bool,
        typer.Option(
            "--own-limits",
            help="Run policies whose numbers were searched together with limits of engines (such as "
            "limits.max_num_seqs) under these limits, at the scenario's own rate of arrivals.",
        ),
    ] = False,
    jobs: Jobs = None,
    on: On = LOCAL,
    trust: Trust = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="The run folder for the results, the plots and the report.",
            show_default="runs/compare/TIME",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with a run in --out that was stopped: only the episodes that it lacks are run.",
        ),
    ] = False,
    overwrite: Overwrite = False,
    perfetto: Perfetto = None,
    wide: Wide = False,
    json_file: JsonFile = None,
) -> None:
    """Run policies on the same episodes, and write a table, results, plots and a report.

    Differences to the reference are paired, because every policy meets the same arrivals, lengths and gaps. --perfetto
    writes the episode of the first seed; with several policies or settings a file each, named after them.

    Example: maestro-gym compare -c high

    Example: maestro-gym compare -s paper -p maestro,edf,edf+maestro --seeds 0-9

    Example: maestro-gym compare -p runs/MY_RUN,classics workload.load=0.95

    Example: maestro-gym compare -p model.zip,my_policy.py:Agent,maestro --trust

    Example: maestro-gym compare -p fcfs,maestro workload.trace=sample

    Example: maestro-gym compare -p maestro --seeds 0 --perfetto maestro.json.gz

    Example: maestro-gym compare -p maestro,edf --predictors oracle,boosted,role_median,constant

    Example: maestro-gym compare -s paper --seeds 0-49 --out runs/mine --resume --on ray://head:10001
    """
    from maestro_gym.evaluation.compare import run_compare

    if resume and out is None:
        raise MaestroError("--resume: say by --out which folder holds the run that was stopped.")
    specs = [
        name for word in split_words(policy) or ["classics"] for name in (CLASSICS if word == "classics" else [word])
    ]
    run_compare(
        split_words(scenario) or ["quick"],
        specs,
        predictors=split_words(predictors),
        contentions=split_words(contention) or None,
        seeds=seed_numbers(seeds),
        overrides=dotted_overrides(overrides),
        out=out,
        json_path=json_file,
        perfetto=perfetto,
        jobs=jobs,
        on=on,
        resume=resume,
        overwrite=overwrite,
        reference=reference,
        split=split,
        own_limits=own_limits,
        runner=runner_for(specs, trust=trust),
        wide=wide,
        console=output(),
    )


train.register(app)
report.register(app)
watch.register(app)
show.register(app)
knee.register(app)
machine.register(app)
live.register(app)
export.register(app)
search.register(app)
tune.register(app)
dataset.register(app)
reproduce.register(app)
clean.register(app)


def main() -> None:
    """Run the command line; the entry point of the ``maestro-gym`` script."""
    write_what_can_be_written()
    outlive_pipes()
    end_in_order()
    try:
        with insisting():
            app()
    finally:
        # Only a verb that compiled anything, or read compiled code, has imported what this needs.
        if "maestro_gym.core.code_cache" in sys.modules:
            from maestro_gym.core.stale_code import prune_daily

            prune_daily()
