"""``maestro-gym benchmark``: list and run frozen benchmarks, check records, and write the leaderboard."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maestro_gym.cli.console import output, show_table, split_words, write_json
from maestro_gym.cli.loading import runner_for
from maestro_gym.cli.options import LOCAL, Jobs, JsonFile, On, Overwrite, Trust
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.whole_file import write_whole

if TYPE_CHECKING:
    from maestro_gym.evaluation.suite.record import Record

SHIPPED = ("maestro", "searched", "warm-jsq+maestro", "srtf+maestro", "edf+maestro", "fcfs")
"""The policies that a benchmark runs unless told otherwise: what the package offers, and the plainest rival."""

app = typer.Typer(
    name="benchmark",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Run policies on frozen benchmarks, and check what others have run.

  maestro-gym benchmark list                                    what there is

  maestro-gym benchmark run quick-high -p my_rule.py:RULE       a record of your policy

  maestro-gym benchmark check runs/benchmark/TIME/quick-high/my_rule.json""",
)

Traces = Annotated[
    Path | None,
    typer.Option("--traces", metavar="FOLDER", help="Where public traces lie that do not come with the package."),
]


@app.command("list")
def list_(json_file: JsonFile = None) -> None:
    """List the benchmarks: what each runs, on which test seeds, and what no training may touch.

    Example: maestro-gym benchmark list
    """
    from maestro_gym.evaluation.suite.definition import benchmark_names, load_benchmark

    rows = []
    for name in benchmark_names():
        config = load_benchmark(name).config
        rows.append(
            {
                "benchmark": name,
                "description": config.description,
                "held out": config.held_out or "",
                "test seeds": str(config.seeds.test),
                "metric": config.metric,
                "needs": "" if config.trace is None else config.trace.file,
            }
        )
    show_table("benchmarks", rows, "held out: what of it training never touches; needs: a file for --traces")
    write_json(json_file, {"command": "benchmark list", "rows": rows})


@app.command()
def run(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="Benchmarks, or YAML files of your own, or all.")],
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy",
            "-p",
            help="Whatever `compare` takes as a policy; repeat the option, or separate the values by commas.",
            show_default=", ".join(SHIPPED),
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="The folder for the records, BENCHMARK/POLICY.json in it.",
            show_default="runs/benchmark/TIME",
        ),
    ] = None,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep", help="Leave the records in --out that still stand: same benchmark, policy, sources and versions."
        ),
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with a run in --out that was stopped: only what it lacks is run.",
        ),
    ] = False,
    overwrite: Overwrite = False,
    training_episodes: Annotated[
        int | None,
        typer.Option(
            "--training-episodes",
            min=0,
            help="The episodes that the policies were trained or searched on, where their own files do not tell.",
            show_default="not stated",
        ),
    ] = None,
    training_decisions: Annotated[
        int | None,
        typer.Option(
            "--training-decisions",
            min=0,
            help="The decisions that they learned from, likewise.",
            show_default="not stated",
        ),
    ] = None,
    training_wall_s: Annotated[
        float | None,
        typer.Option(
            "--training-wall-s", min=0, help="The real time of their training [s], likewise.", show_default="not stated"
        ),
    ] = None,
    traces: Traces = None,
    jobs: Jobs = None,
    on: On = LOCAL,
    trust: Trust = False,
    json_file: JsonFile = None,
) -> None:
    """Run policies on benchmarks, and write a record of each: seeds, every metric, versions, hashes.

    The benchmark's reference runs beside them. Of `all` benchmarks, those whose trace is not there are left out.

    Example: maestro-gym benchmark run quick-high

    Example: maestro-gym benchmark run quick-high fleet-sixteen -p my_rule.py:RULE,searched --training-episodes 5000

    Example: maestro-gym benchmark run trace-azure --traces FOLDER

    Example: maestro-gym benchmark run all --out MINE --resume --on ray://head:10001
    """
    from maestro_gym.evaluation.suite.definition import benchmark_names, load_benchmark
    from maestro_gym.evaluation.suite.identity import Training
    from maestro_gym.evaluation.suite.run import frozen_place, run_benchmark
    from maestro_gym.evaluation.worker import Runner
    from maestro_gym.evaluation.workers.choose import open_workers

    if resume and out is None:
        raise MaestroError("--resume: say by --out which folder holds the run that was stopped.")
    specs = split_words(policy) or list(SHIPPED)
    stated = Training(episodes=training_episodes, decisions=training_decisions, wall_s=training_wall_s)
    folder = out or Path("runs") / "benchmark" / time.strftime("%Y%m%d-%H%M%S")
    settings: dict[str, Any] = {"runner": runner_for(specs, trust=trust) or Runner(), "stated": stated}
    settings |= {"keep": keep, "resume": resume, "overwrite": overwrite}
    console = output()
    every = "all" in names
    rows: list[dict[str, Any]] = []
    with open_workers(on, jobs) as workers:
        for name in benchmark_names() if every else names:
            benchmark = load_benchmark(name)
            if every and traces is None and benchmark.config.trace is not None:
                words = f"{name}: left out, it needs --traces with {benchmark.config.trace.file}"
                console.print(words, highlight=False)
                continue
            place = frozen_place(benchmark, traces)
            found = list(run_benchmark(place, specs, folder, workers=workers, **settings))
            own = [_row(name, record, file, kept=kept) for file, record, kept in found]
            show_table(f"{name}: {benchmark.config.description}", own, _caption([record for _, record, _ in found]))
            rows += own
    console.print(f"\nRecords: {folder}", highlight=False, soft_wrap=True)
    write_json(json_file, {"command": "benchmark run", "folder": folder, "rows": rows})


@app.command()
def check(
    records: Annotated[
        list[Path], typer.Argument(metavar="RECORD", help="Files that `benchmark run` wrote, or folders.")
    ],
    first_seeds: Annotated[
        int | None,
        typer.Option("--seeds-only", min=1, metavar="K", help="Run only the first K seeds again.", show_default="all"),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option("--policy", "-p", help="Where the policy lies here.", show_default="where the record says"),
    ] = None,
    traces: Traces = None,
    jobs: Jobs = None,
    on: On = LOCAL,
    trust: Trust = False,
    json_file: JsonFile = None,
) -> None:
    """Run a record again and accept it, or name what differs: definition, config, seed, policy, number, summary, mark.

    Numbers are compared to the last bit. Another version or machine is told, and is no difference by itself. The exit
    code is 1 when a record is not accepted.

    Example: maestro-gym benchmark check benchmarks/records/quick-high/maestro.json

    Example: maestro-gym benchmark check theirs.json -p their_rule.py:RULE --seeds-only 3
    """
    from maestro_gym.evaluation.suite.check import check_record
    from maestro_gym.evaluation.suite.leaderboard import read_records
    from maestro_gym.evaluation.worker import Runner
    from maestro_gym.evaluation.workers.choose import open_workers

    found = read_records(records)
    if policy is not None and len(found) > 1:
        raise MaestroError(f"--policy {policy} stands for one policy, but {len(found)} records are checked; give one.")
    console = output()
    verdicts = []
    with open_workers(on, jobs) as workers:
        for file, record in found.items():
            specs = [policy or record.policy.spec, record.reference.spec]
            verdict = check_record(
                record,
                runner=runner_for(specs, trust=trust) or Runner(),
                first_seeds=first_seeds,
                spec=policy,
                traces=traces,
                workers=workers,
                trust=trust,
            )
            rows = [vars(difference) for difference in verdict.differences]
            accepted, again = verdict.accepted, f"{verdict.replayed} of {len(record.seeds)} seeds run again"
            console.print(
                f"{file}: {'accepted' if accepted else 'NOT accepted'}, {again}", highlight=False, soft_wrap=True
            )
            if rows:
                show_table("what differs", rows)
            for note in verdict.notes:
                console.print(f"- {note}", highlight=False, markup=False, soft_wrap=True)
            verdicts.append({"record": file, "accepted": accepted, "seeds": verdict.replayed, "differences": rows})
    write_json(json_file, {"command": "benchmark check", "rows": verdicts})
    if not all(verdict["accepted"] for verdict in verdicts):
        raise typer.Exit(1)


@app.command()
def leaderboard(
    records: Annotated[list[Path], typer.Argument(metavar="RECORD", help="Records, or folders of them.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The page to write.")] = Path(
        "leaderboard.md"
    ),
) -> None:
    """Write a page of Markdown from records: a table for each benchmark, and one of them all.

    Example: maestro-gym benchmark leaderboard benchmarks/records --out docs/leaderboard.md
    """
    from maestro_gym.evaluation.suite.leaderboard import leaderboard_markdown, read_records

    found = read_records(records)
    text = leaderboard_markdown(found, out.parent)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(out, text)
    except OSError as error:
        raise MaestroError(f"--out {out}: cannot write the page ({error.strerror}); name a writable path.") from error
    output().print(f"{len(found)} records: {out}", highlight=False, soft_wrap=True)


def _row(benchmark: str, record: Record, file: Path, *, kept: bool) -> dict[str, Any]:
    metric = record.definition.metric
    value, change = record.summary[metric].value, record.summary[metric].difference
    return {
        "benchmark": benchmark,
        "policy": record.policy.name,
        "class": record.policy.information,
        metric: value.mean,
        "low": value.low,
        "high": value.high,
        f"to {record.reference.name}": change.mean,
        "from": change.low,
        "up to": change.high,
        "marks": ", ".join(record.marks),
        "record": f"{file.name}, kept" if kept else file.name,
    }


def _caption(records: list[Record]) -> str:
    seeds = len(records[0].seeds)
    words = [f"{record.policy.name}: {text}" for record in records for text in record.marks.values()]
    return "\n".join([f"means over {seeds} test seeds with 95 % intervals; differences are paired", *words])
