"""``maestro-gym workload``: fit, describe, import and export workloads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from maestro_gym.cli.console import dotted_overrides, output, refuse_beside, show_table, split_words, write_json
from maestro_gym.cli.options import JsonFile
from maestro_gym.core.errors import MaestroError

app = typer.Typer(
    name="workload",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Fit workloads to traces, describe them, and bring your own.

  maestro-gym workload import sample_spans -o mine.csv        OpenTelemetry spans as a trace

  maestro-gym workload fit --family mine --trace mine.csv -o mine.yaml

  maestro-gym workload describe mine.yaml --trace mine.csv    how near is it?

  maestro-gym compare workload.family=./mine.yaml             schedulers under it""",
)

Traces = Annotated[
    list[Path] | None,
    typer.Option(
        "--trace",
        "-t",
        metavar="FILE",
        help="A trace file, a sample of configs/traces, or a folder of files; repeat the option for several.",
    ),
]
Format = Annotated[str, typer.Option("--format", help="The format of the trace files; auto looks at their columns.")]


@app.command()
def fit(
    ctx: typer.Context,
    family: Annotated[str, typer.Option("--family", "-f", help="The name of what is fitted.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The YAML file to write.")],
    trace: Traces = None,
    kind: Annotated[
        Literal["family", "arrivals", "popularity"],
        typer.Option(
            "--kind",
            help="What to fit. family: state machines; arrivals: clients and their profile of the day, from ServeGen's "
            "windows; popularity: shares of models by rank, from GenTD26's requests.",
        ),
    ] = "family",
    application: Annotated[
        list[str] | None,
        typer.Option(
            "--application",
            help="An application of the traces; repeat the option for several.",
            show_default="all",
        ),
    ] = None,
    size: Annotated[
        list[str] | None,
        typer.Option(
            "--size",
            metavar="ROLE=SIZE",
            help="The size of deployment that a role prefers: small, medium or large; * stands for all other roles.",
            show_default="medium",
        ),
    ] = None,
    min_calls: Annotated[
        int,
        typer.Option(
            "--min-calls", min=2, help="Roles, and tools of a role, with fewer calls than this share their laws."
        ),
    ] = 30,
    description: Annotated[
        str | None, typer.Option("--description", help="A sentence that describes the family in the file.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="Where the traces were published.", show_default="by format")
    ] = None,
    format_name: Format = "auto",
    json_file: JsonFile = None,
) -> None:
    """Fit a family of state machines to traces, and write it as YAML.

    A state is a role, a phase and a tool; its transitions, lengths and gaps are counted in the traces.

    Example: maestro-gym workload fit --family mine --trace sample_spans -o mine.yaml

    Example: maestro-gym workload fit --kind arrivals --family mine --trace servegen_windows.csv -o mine.yaml
    """
    from maestro_gym.workloads.fitting.families import command_line, fit_family, read_traces
    from maestro_gym.workloads.fitting.family_file import write_fitted
    from maestro_gym.workloads.fitting.fit import FitOptions

    if kind != "family":
        refuse_beside(
            ctx, f"--kind {kind}", ("application", "size", "min_calls", "description", "source", "format_name")
        )
    sizes = _pairs(size, "--size", ("small", "medium", "large"))
    console = output()
    if kind != "family":
        rows = _fit_other(kind, family, trace or [], out)
        show_table(family, rows)
        console.print(f"\nFile: {out}", highlight=False, soft_wrap=True)
        write_json(json_file, {"command": "workload fit", "rows": rows})
        return
    console.print("reading traces", style="dim")
    traces = read_traces(trace or [], format_name)
    words = ["workload", "fit", "--family", family]
    for read in traces:
        words += ["--trace", read.path.name]
    for name in application or ():
        words += ["--application", name]
    for pair in size or ():
        words += ["--size", pair]
    words += ["--min-calls", str(min_calls)] if min_calls != 30 else []
    options = FitOptions(sizes=sizes, min_calls=min_calls, applications=tuple(application or ()))
    spec = fit_family(
        family,
        traces,
        options,
        command=command_line([*words, "--out", out.name]),
        description=description,
        origin=source,
    )
    write_fitted(spec, out)
    rows = [
        {
            "application": name,
            "workflows": int(machine.share),
            "roles": len(machine.roles),
            "states": len(machine.states),
            "loading_output": machine.job_effects.output,
            "loading_prompt": machine.job_effects.prompt,
            "continues": machine.continues.chance if machine.continues else 0.0,
        }
        for name, machine in spec.machines.items()
    ]
    show_table(family, rows, "loading: how much the calls of a workflow are alike, 0 to 1")
    console.print(f"\nFamily: {out}", highlight=False, soft_wrap=True)
    write_json(json_file, {"command": "workload fit", "rows": rows})


def _fit_other(kind: str, name: str, given: list[Path], out: Path) -> list[dict[str, Any]]:
    """Fit arrivals or popularity, write the file, and return the rows to show."""
    from maestro_gym.workloads.arrivals.client_files import fit_arrivals
    from maestro_gym.workloads.fitting.families import command_line, today, trace_paths
    from maestro_gym.workloads.fitting.family_file import write_fitted
    from maestro_gym.workloads.popularity import fit_popularity

    paths = trace_paths(given)
    words = ["workload", "fit", "--kind", kind, "--family", name]
    for path in paths:
        words += ["--trace", path.name]
    command = command_line([*words, "--out", out.name])
    if kind == "arrivals":
        arrivals = fit_arrivals(paths, name=name, date=today(), command=command)
        write_fitted(arrivals, out)
        return [
            {"client": i + 1, "share": client.share, "cv": client.cv, "gaps": client.gaps}
            for i, client in enumerate(arrivals.clients[:10])
        ]
    if len(paths) != 1:
        raise MaestroError(f"--trace: popularity is counted in one file, {len(paths)} are given; name one.")
    popularity = fit_popularity(paths[0], name=name, date=today(), command=command)
    write_fitted(popularity, out)
    total = 0.0
    rows = []
    for rank, share in enumerate(popularity.shares[:10], start=1):
        total += share
        rows.append({"rank": rank, "share": share, "up_to_here": total})
    return rows


def _pairs(words: list[str] | None, option: str, values: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for word in split_words(words):
        key, equals, value = word.partition("=")
        if not equals or not key or value not in values:
            raise MaestroError(f"{option} {word}: write NAME=VALUE with a value of {', '.join(values)}.")
        pairs[key] = value
    return pairs


@app.command()
def describe(
    ctx: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="WORKLOAD", help="A family of configs/workloads, its YAML file, or a trace.")
    ],
    trace: Traces = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="The PNG file for the plot.", show_default="none"),
    ] = None,
    docs: Annotated[
        Path | None,
        typer.Option("--docs", metavar="FILE", help="The page whose table of this family is brought up to date."),
    ] = None,
    format_name: Format = "auto",
    json_file: JsonFile = None,
) -> None:
    """Describe a workload beside the traces that it was fitted to: medians, p90s, distances and plots.

    KS is the largest distance between the two distribution functions, and W1 is the Wasserstein distance.

    Example: maestro-gym workload describe mine.yaml --trace sample_spans --out match.png
    """
    from maestro_gym.evaluation.workloads.describe import describe_workload, update_page
    from maestro_gym.workloads.traces.tables import SUFFIXES, suffix_of

    if suffix_of(Path(name)) in SUFFIXES:
        refuse_beside(ctx, f"the trace {name}", ("trace", "docs"))
    found = describe_workload(name, trace or [], format_name)
    for title, rows in found.tables.items():
        if rows:
            show_table(title, rows)
    console = output()
    for note in found.notes:
        console.print(note, highlight=False)
    if out is not None:
        from maestro_gym.evaluation.workloads.match_figures import draw_match

        draw_match(found.title, found.samples, out)
        console.print(f"\nPlot: {out}", highlight=False, soft_wrap=True)
    if docs is not None:
        update_page(found, docs)
    write_json(json_file, {"command": "workload describe", **found.tables, "notes": found.notes})


@app.command(name="import")
def import_(
    trace: Annotated[Path, typer.Argument(metavar="FILE", help="A trace in any known format.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="The CSV or Parquet file to write; with --explain it may be left out.",
            show_default="none",
        ),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", help="Show three calls as they were read, beside the file's cells, and what was assumed."
        ),
    ] = False,
    format_name: Format = "auto",
    json_file: JsonFile = None,
) -> None:
    """Turn a trace of any known format into the project's own format, with one row per call.

    Example: maestro-gym workload import sample_spans --explain

    Example: maestro-gym workload import sample_spans --out mine.csv
    """
    from maestro_gym.workloads import trace_table, write_table
    from maestro_gym.workloads.traces import explain as explaining
    from maestro_gym.workloads.traces.files import find_trace, import_trace

    if out is None and not explain:
        raise MaestroError("--out: name the file to write, such as mine.csv, or look first with --explain.")
    if out is not None and out.exists() and find_trace(trace).exists() and out.samefile(find_trace(trace)):
        raise MaestroError(f"--out {out}: is the trace itself, which would be overwritten; name another file.")
    imported = import_trace(trace, format_name)
    read = imported.trace
    rows = [
        {
            "file": trace.name,
            "format": imported.format + (f" ({imported.converted.dialect})" if imported.converted.dialect else ""),
            "workflows": len(read.workflows),
            "calls": len(read.stages),
            "prompt_tokens": int(read.stages["prompt_tokens"].sum()),
            "output_tokens": int(read.hidden["output_tokens"].sum()),
            "arrivals_s": f"0 to {float(read.workflows['arrival_s'][-1]):.6g}",
            "applications": ", ".join(read.application_names[:6]),
            "models": ", ".join(name or "(blank)" for name in read.model_names[:6]),
        }
    ]
    document: dict[str, Any] = {"command": "workload import", "rows": rows, "notes": list(imported.converted.notes)}
    console = output()
    show_table("imported", rows)
    if explain:
        told = explaining.explain(imported)
        show_table("as read: our value  <-  the file's cells", told.rows)
        document |= {"explained": told.rows, "notes": told.assumed}
    for note in document["notes"]:
        console.print(f"- {note}.", highlight=False, markup=False)
    if out is not None:
        write_table(trace_table(read), out)
        console.print(f"\nTrace: {out}", highlight=False, soft_wrap=True)
    write_json(json_file, document)


@app.command()
def export(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The CSV or Parquet file to write.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PLACE=VALUE", help="Settings to change, such as workload.family=tool_dialogue", show_default=False
        ),
    ] = None,
    scenario: Annotated[
        str, typer.Option("--scenario", "-s", help="A name in configs/scenarios, or the path of a YAML file.")
    ] = "quick",
    split: Annotated[
        str, typer.Option("--split", help="The split of the episode: train, validation or test.")
    ] = "test",
    seed: Annotated[int, typer.Option("--seed", min=0, help="The seed of the episode.")] = 0,
    index: Annotated[int, typer.Option("--index", min=0, help="The number of the episode.")] = 0,
    json_file: JsonFile = None,
) -> None:
    """Write an episode of a scenario's workload in the workflow-trace format.

    Example: maestro-gym workload export workload.family=coding_agent --seed 3 --out episode.csv
    """
    from maestro_gym.episodes.scenario import Scenario
    from maestro_gym.workloads import write_trace

    made = Scenario.load(scenario, dotted_overrides(overrides))
    episode = made.episode(split, seed, index)
    write_trace(episode, made.workload, made.model_names, out)
    rows = [
        {
            "workload": made.workload.name,
            "workflows": len(episode.workflows),
            "calls": len(episode.stages),
            "rate_rps": made.rate_rps,
            "horizon_s": made.config.horizon_s,
        }
    ]
    show_table("exported", rows)
    console = output()
    for note in made.workload.notes:
        console.print(note, highlight=False)
    console.print(f"\nTrace: {out}", highlight=False, soft_wrap=True)
    write_json(json_file, {"command": "workload export", "rows": rows})
