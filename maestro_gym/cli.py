"""The one command line of the project: ``maestro-gym VERB``.

Heavy modules are imported inside the verbs, so that help comes at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from maestro_gym import __version__, live_verbs, predict_verbs, workload_verbs
from maestro_gym.console import dotted_overrides, output, seed_numbers, show_table, split_words, write_json
from maestro_gym.errors import MaestroError

if TYPE_CHECKING:
    from maestro_gym.evaluation.worker import Runner

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
"""What a comparison runs unless told otherwise: Maestro and the rivals that a reviewer asks for first."""


class _Verbs(TyperGroup):
    """The group of verbs; a user's mistake becomes one paragraph and exit code 2, never a trace."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - click's context, or the copy of it that typer brings
        try:
            return super().invoke(ctx)
        except MaestroError as error:
            typer.secho(f"error: {error}", fg=typer.colors.RED, err=True)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            typer.echo("stopped", err=True)
            raise typer.Exit(130) from None


app = typer.Typer(
    name="maestro-gym",
    cls=_Verbs,
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Train, compare and validate schedulers for LLM multi-agent serving.

A first hour:

  maestro-gym doctor                             is this machine ready?

  maestro-gym compare --scenario quick           Maestro beside its classic rivals

  maestro-gym train --scenario quick             train a routing policy of your own

  maestro-gym compare --policy runs/MY_RUN       see where it stands

Every verb takes --help. Settings of a scenario are changed by words at the end of the line:
workload.load=0.9 limits.node_queue_limit=4.""",
)

app.add_typer(predict_verbs.app, name="predict")
app.add_typer(workload_verbs.app, name="workload")

Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="PLACE=VALUE", help="Settings to change: workload.load=0.9", show_default=False),
]
ScenarioName = Annotated[
    str, typer.Option("--scenario", "-s", help="Name in configs/scenarios, or the path of a YAML file.")
]
Contention = Annotated[
    str | None,
    typer.Option("--contention", "-c", help="low, medium or high: offered load 0.5, 0.8 or 1.1 of capacity."),
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Also write what is printed as JSON, same names.")
]


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        typer.echo(f"maestro-gym {__version__}")
        raise typer.Exit


def _overrides(words: list[str] | None, contention: str | None) -> list[str]:
    chosen = [f"contention={contention}"] if contention else []
    return chosen + dotted_overrides(words)


@app.command()
def compare(
    overrides: Overrides = None,
    scenario: Annotated[
        list[str] | None,
        typer.Option("--scenario", "-s", help="Name or YAML file; repeat for several.", show_default="quick"),
    ] = None,
    contention: Annotated[
        list[str] | None,
        typer.Option(
            "--contention", "-c", help="low, medium or high; repeat for several.", show_default="the scenario's"
        ),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy",
            "-p",
            help="A name of `maestro-gym policies`, file.py:Rule, or the folder of a training run; repeat, or "
            "separate by commas. classics stands for: " + ", ".join(CLASSICS) + ".",
            show_default="classics",
        ),
    ] = None,
    predictors: Annotated[
        list[str] | None,
        typer.Option(
            "--predictors",
            help="Run what reads predictions under each of: oracle, boosted, role_median, constant, noisy; noisy:100 "
            "errs by 100 tokens, constant:300 guesses 300. Repeat, or separate by commas.",
            show_default="the scenario's own",
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option("--seeds", help="Evaluation seeds: 0,1,2 or 0-9.", show_default="the scenario's"),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option("--reference", help="Policy that differences refer to.", show_default="fcfs, else the first"),
    ] = None,
    split: Annotated[str, typer.Option("--split", help="Episodes of train, validation or test.")] = "test",
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Processes.", show_default="usable cores")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Run folder for results, plots and report.", show_default="runs/compare/TIME"),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Run policies on the same episodes; table, results, plots and a report.

    Differences to the reference are paired: every policy meets the same arrivals, lengths and gaps.

    Example: maestro-gym compare -c high

    Example: maestro-gym compare -s paper -p maestro,edf,edf+maestro --seeds 0-9

    Example: maestro-gym compare -p runs/MY_RUN,classics workload.load=0.95

    Example: maestro-gym compare -p fcfs,maestro workload.trace=calls.csv

    Example: maestro-gym compare -p maestro,edf --predictors oracle,boosted,role_median,constant
    """
    from maestro_gym.evaluation.compare import run_compare

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
        jobs=jobs,
        reference=reference,
        split=split,
        runner=_runner(specs),
        console=output(),
    )


def _runner(specs: list[str]) -> Runner | None:
    """Choose how policies are loaded: run folders need torch, whose import takes seconds, names do not."""
    if not any("/" in spec or Path(spec).is_dir() for spec in specs):
        return None
    from maestro_gym.agents.load import load_any_policy
    from maestro_gym.evaluation.worker import Runner

    return Runner(load=load_any_policy)


@app.command()
def train(
    overrides: Overrides = None,
    scenario: Annotated[
        str | None,
        typer.Option("--scenario", "-s", help="Name or YAML file.", show_default="quick"),
    ] = None,
    contention: Contention = None,
    tier: Annotated[
        str | None,
        typer.Option("--tier", "-t", help="global, cluster, node or joint.", show_default="the configuration's"),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            "--config", help="Name in configs/train, or the path of a YAML file.", show_default="the scenario's"
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", min=0, help="Of network, sampling and episodes.", show_default="the configuration's"),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Run folder.", show_default="runs/train/NAME")] = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", help="Run folder to go on with, exactly where it stopped.")
    ] = None,
    stop_at: Annotated[
        int | None, typer.Option("--stop-at", min=1, help="End early, after so many decisions; --resume goes on.")
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Train a policy for one tier; the other tiers follow its companions.

    Settings of the training are changed by words that start with train. The run folder holds configuration,
    versions, curves, checkpoints and the policy; compare takes it as a policy.

    Example: maestro-gym train -c high

    Example: maestro-gym train -s paper -t global --seed 3 train.total_steps=2000000

    Example: maestro-gym train --resume runs/train/MY_RUN train.total_steps=4000000
    """
    if resume is not None and any(given is not None for given in (scenario, contention, tier, config, seed, out)):
        raise MaestroError(
            f"--resume {resume} goes on with the configuration in that folder, so --scenario, --contention, --tier, "
            "--config, --seed and --out cannot stand beside it. Leave them out, or start a new run without --resume."
        )
    changes = dotted_overrides(overrides)
    from maestro_gym.agents.train import run_train

    console = output()
    result = run_train(
        scenario or "quick",
        config,
        tier=tier,
        contention=contention,
        overrides=changes,
        seed=seed,
        out=out,
        resume=resume,
        stop_at_steps=stop_at,
        console=console,
    )
    minutes = result.wall_s / 60
    show_table("validation episodes", result.rows, f"{result.steps:,} decisions, {minutes:.1f} minutes")
    console.print(f"\nRun: {result.folder}", highlight=False, soft_wrap=True)
    write_json(
        json_file,
        {
            "command": "train",
            "folder": result.folder,
            "steps": result.steps,
            "wall_s": result.wall_s,
            "rows": result.rows,
        },
    )


@app.command()
def policies(json_file: JsonFile = None) -> None:
    """List the policies: their rules, and what they may know.

    N reads past and present, P predictions too, O the true future.

    Example: maestro-gym policies --json policies.json
    """
    from maestro_gym.listings import policy_rows

    rows = policy_rows()
    show_table("policies", rows, "N: past and present, P: predictions too, O: the true future")
    write_json(json_file, {"command": "policies", "rows": rows})


@app.command()
def scenarios(json_file: JsonFile = None) -> None:
    """List the scenarios that come with the package.

    Example: maestro-gym scenarios
    """
    from maestro_gym.listings import scenario_rows

    rows = scenario_rows()
    show_table("scenarios", rows, "each at low, medium and high contention; `maestro-gym describe` shows one whole")
    write_json(json_file, {"command": "scenarios", "rows": rows})


@app.command()
def describe(
    scenario: ScenarioName = "quick",
    contention: Contention = None,
    overrides: Overrides = None,
    json_file: JsonFile = None,
) -> None:
    """Show a scenario: its fleet and models, its capacity and the load that is offered.

    Example: maestro-gym describe --scenario paper --contention high

    Example: maestro-gym describe workload.load=0.95
    """
    from maestro_gym.listings import scenario_tables

    tables = scenario_tables(scenario, _overrides(overrides, contention))
    for title, rows in tables.items():
        show_table(title, rows)
    write_json(json_file, {"command": "describe", **tables})


@app.command()
def metrics(json_file: JsonFile = None) -> None:
    """List the metrics of a comparison, with units and formulas.

    Example: maestro-gym metrics --json metrics.json
    """
    from maestro_gym.listings import metric_rows

    rows = metric_rows()
    show_table("metrics", rows, "per_class: also given for interactive and batch workflows alone")
    write_json(json_file, {"command": "metrics", "rows": rows})


@app.command("serve-sim")
def serve_sim(
    overrides: Overrides = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME[=SHARE]",
            help="Model to serve, with its share of the requests; repeat, or separate by commas.",
            show_default="Llama-3.1-8B",
        ),
    ] = None,
    models: Annotated[
        list[Path] | None, typer.Option("--models", metavar="FILE", help="YAML: model name to its architecture.")
    ] = None,
    gpu: Annotated[str, typer.Option("--gpu", help="GPU of the catalogue, or a YAML file.")] = "A100-80GB",
    host: Annotated[str, typer.Option("--host", help="Host of the catalogue, or a YAML file.")] = "gpu8-1152",
    tp: Annotated[int, typer.Option("--tp", min=1, help="GPUs of the node: tensor-parallel degree.")] = 1,
    rate: Annotated[float | None, typer.Option("--rate", "-r", help="Requests a second, of all models.")] = None,
    load: Annotated[float | None, typer.Option("--load", help="Offered load relative to capacity: 0.8.")] = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            "--trace",
            help="Requests to replay: arrival_s, prompt_tokens, output_tokens and perhaps model, prefix_group, "
            "prefix_tokens; or any trace that a scenario takes.",
        ),
    ] = None,
    duration: Annotated[float, typer.Option("--duration", help="Drawn requests arrive for so long [s].")] = 600.0,
    cv: Annotated[float, typer.Option("--cv", help="Variation of the arrival gaps; 1 is Poisson.")] = 1.0,
    prompt: Annotated[
        str, typer.Option("--prompt", metavar="LAW", help="Tokens, MEDIAN:SIGMA or MEDIAN:SIGMA:LOW:HIGH (lognormal).")
    ] = "512",
    output_law: Annotated[str, typer.Option("--output", metavar="LAW", help="Tokens of an answer, likewise.")] = "256",
    prefix: Annotated[
        str, typer.Option("--prefix", metavar="LAW", help="Leading prompt tokens that a group shares, likewise.")
    ] = "0",
    prefix_groups: Annotated[int, typer.Option("--prefix-groups", min=1, help="Distinct shared prefixes.")] = 1,
    max_num_seqs: Annotated[
        int | None, typer.Option("--max-num-seqs", help="Largest batch.", show_default="128")
    ] = None,
    max_num_batched_tokens: Annotated[
        int | None, typer.Option("--max-num-batched-tokens", help="Largest step.", show_default="2048")
    ] = None,
    gpu_memory_utilization: Annotated[
        float | None, typer.Option("--gpu-memory-utilization", help="Part of HBM in use.", show_default="0.9")
    ] = None,
    memory: Annotated[
        str, typer.Option("--memory", help="partitioned: a KV pool an engine, as stock vLLM; elastic: one a node.")
    ] = "partitioned",
    partitions: Annotated[
        int | None,
        typer.Option("--partitions", min=1, help="Equal parts of the node, if partitioned.", show_default="models"),
    ] = None,
    sharing: Annotated[str, typer.Option("--sharing", help="How engines share a GPU: timeslice or mps.")] = "timeslice",
    prefix_caching: Annotated[
        bool, typer.Option("--prefix-caching/--no-prefix-caching", help="Reuse cached prefixes.")
    ] = True,
    policy: Annotated[str, typer.Option("--policy", "-p", help="A name of `maestro-gym policies`.")] = "fcfs",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the drawn requests.")] = 0,
    json_file: JsonFile = None,
) -> None:
    """Serve models on one simulated node, and print latencies, throughput and memory.

    It is the simulator of the environments, under a policy of the comparisons (fcfs: stock vLLM). Further settings
    of the scenario are changed by words: limits.api_s=0.025.

    Example: maestro-gym serve-sim -m Qwen2.5-7B --rate 8 --prompt 1024:0.7 --output 256:0.9

    Example: maestro-gym serve-sim -m Llama-3.1-8B=3,Qwen2.5-14B --load 0.8 --memory elastic --json served.json

    Example: maestro-gym serve-sim -m Llama-2-70B --tp 4 --gpu H100-80GB --trace requests.csv
    """
    from maestro_gym.serving.request import node_of_words
    from maestro_gym.serving.serve import latency_rows, node_facts, serve, throughput_rows

    names = split_words(model) or ["Llama-3.1-8B"]
    config = node_of_words(
        names,
        gpu=gpu,
        host=host,
        tp=tp,
        model_files=models or (),
        limits={
            "max_num_seqs": max_num_seqs,
            "max_num_batched_tokens": max_num_batched_tokens,
            "gpu_memory_utilization": gpu_memory_utilization,
            "memory_mode": memory,
            "partitions": len(names) if partitions is None else partitions,
            "gpu_sharing": sharing,
            "prefix_caching": prefix_caching,
        },
        rate_rps=rate,
        load=load,
        trace=trace,
        duration_s=duration,
        lengths={"prompt_tokens": prompt, "output_tokens": output_law, "prefix_tokens": prefix},
        prefix_groups=prefix_groups,
        cv=cv,
        overrides=dotted_overrides(overrides),
    )
    served = serve(config, policy, seed)
    latency, throughput, facts = latency_rows(served.result), throughput_rows(served.result), node_facts(served)
    show_table("latency, in seconds", latency, "ttft: first token; itl: a call's mean gap; e2e: last token")
    show_table("throughput", throughput)
    show_table("node", [{"field": name, "value": value} for name, value in facts.items()], "bytes are of one GPU")
    for note in served.notes:
        output().print(note)
    write_json(
        json_file,
        {
            "command": "serve-sim",
            "policy": policy,
            "seed": seed,
            "latency": latency,
            "throughput": throughput,
            "node": facts,
            "notes": list(served.notes),
            "scenario": config.model_dump(mode="json"),
        },
    )


@app.command()
def fidelity(
    profiles: Annotated[Path, typer.Option("--profiles", metavar="DIR", help="Measurements: one folder a source.")],
    models: Annotated[
        list[Path] | None, typer.Option("--models", metavar="FILE", help="YAML: model name to its architecture.")
    ] = None,
    gpu: Annotated[
        list[str] | None,
        typer.Option("--gpu", metavar="NAME=FILE", help="What a GPU's name in the files means: YAML or catalogue."),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Host of the catalogue, or a YAML file.")] = "gpu8-1152",
    split: Annotated[
        bool,
        typer.Option(
            "--split/--no-split",
            help="Also fit constants of its own to some points of each source, and score the others.",
        ),
    ] = True,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder for CSV files, plots and fidelity.md.")
    ] = None,
    docs: Annotated[
        Path | None, typer.Option("--docs", metavar="FILE", help="Page whose tables are brought up to date.")
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Hold the performance model against measurements, and say how far it is.

    Folders and columns keep the names of their public sources; docs/fidelity.md lists them.

    Example: maestro-gym fidelity --profiles measurements --out runs/fidelity

    Example: maestro-gym fidelity --profiles mine --models my_models.yaml --gpu b200=my_gpu.yaml
    """
    from maestro_gym.config.catalogue import load_catalogue
    from maestro_gym.fidelity.measure import measure
    from maestro_gym.fidelity.report import document, skipped_rows, summary_rows, terminal_rows

    catalogue = load_catalogue(models or (), gpu or (), host)
    console = output()
    found = measure(profiles, catalogue, split, lambda name: console.print(f"reading {name}", style="dim"))
    show_table(
        "errors in percent",
        terminal_rows(found),
        "own: with constants fitted to other points of it",
    )
    for row in summary_rows(found):
        console.print(f"worst of {row['source']}, {row['quantity']}: {row['worst_%']:+.0f} %, {row['worst_at']}")
    if found.skipped:
        show_table("left out", skipped_rows(found))
    for note in found.notes:
        console.print(note)
    if out is not None:
        from maestro_gym.fidelity.plots import draw
        from maestro_gym.fidelity.report import markdown, write_csv

        write_csv(found, out)
        draw(found, out)
        (out / "fidelity.md").write_text(markdown(found), encoding="utf-8")
        console.print(f"\nTables, plots and page: {out}", highlight=False, soft_wrap=True)
    if docs is not None:
        from maestro_gym.fidelity.report import update_page

        update_page(found, docs)
    write_json(json_file, {"command": "fidelity", **document(found)})


@app.command()
def calibrate(
    profiles: Annotated[
        Path | None, typer.Option("--profiles", metavar="DIR", help="Measurements: one folder a source.")
    ] = None,
    gpu: Annotated[
        str | None, typer.Option("--gpu", help="Name in the catalogue, or NAME=FILE.yaml: where the search starts.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Hardware YAML to write.", show_default="the fleet's folder"),
    ] = None,
    fleet: Annotated[
        str | None,
        typer.Option("--fleet", "-f", help="Measure real servers in place of --profiles: a fleet file."),
    ] = None,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Of each point measured on a fleet.")] = 5,
    like: Annotated[
        str | None,
        typer.Option(
            "--like", help="GPU whose efficiencies stand where this one was not measured.", show_default="its own"
        ),
    ] = None,
    models: Annotated[
        list[Path] | None, typer.Option("--models", metavar="FILE", help="YAML: model name to its architecture.")
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Fit the constants of a GPU to measurements, published or made on real servers, and write them as a hardware file.

    Example: maestro-gym calibrate --profiles measurements --gpu A100-80GB --out configs/hardware/gpus/A100-80GB.yaml

    Example: maestro-gym calibrate --fleet local_cpu --out my_machine.yaml
    """
    if fleet is not None:
        if profiles is not None or gpu is not None or like is not None or models:
            raise MaestroError(
                "--fleet measures real servers: --profiles, --gpu, --like and --models do not go with it."
            )
        return live_verbs.calibrate_fleet(fleet, out, repeats, json_file)
    if profiles is None or gpu is None or out is None:
        raise MaestroError("Give --profiles, --gpu and --out for published measurements, or --fleet for real servers.")
    from maestro_gym.config.catalogue import load_catalogue
    from maestro_gym.fidelity.calibrate import calibrate as fit
    from maestro_gym.fidelity.calibrate import write_gpu
    from maestro_gym.fidelity.report import fitted_rows

    console = output()
    catalogue = load_catalogue(models or (), [gpu] if "=" in gpu else ())
    name = gpu.partition("=")[0]
    fitted = fit(profiles, catalogue, name, like, lambda text: console.print(text, style="dim"))
    rows = fitted_rows(fitted)
    show_table("errors in percent", rows)
    write_json(json_file, {"command": "calibrate", "rows": rows})
    write_gpu(fitted, out, f"maestro-gym calibrate --gpu {name}" + (f" --like {like}" if like else ""))
    console.print(f"\nHardware: {out}", highlight=False, soft_wrap=True)


@app.command()
def doctor(json_file: JsonFile = None) -> None:
    """Print versions, cores, threading and caches, and run a self-test of the engine.

    Exits with code 1 when a check fails.

    Example: maestro-gym doctor --json doctor.json
    """
    from maestro_gym.doctor import examine

    rows = examine()
    show_table("maestro-gym doctor", rows)
    write_json(json_file, {"command": "doctor", "rows": rows})
    if any(row["state"] == "failed" for row in rows):
        raise typer.Exit(1)


live_verbs.register(app)


def main() -> None:
    """Run the command line; the entry point of the ``maestro-gym`` script."""
    app()


if __name__ == "__main__":
    main()
