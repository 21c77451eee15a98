"""The verbs about machines: serve on one node, compare the performance model with measurements, fit its constants."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maestro_gym.cli.console import dotted_overrides, output, refuse_beside, show_table, split_words, write_json
from maestro_gym.cli.fleet import calibrate_fleet
from maestro_gym.cli.options import JsonFile, Overrides, Perfetto, Trust
from maestro_gym.core.errors import MaestroError


def serve_sim(
    ctx: typer.Context,
    overrides: Overrides = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME[=SHARE]",
            help="A model to serve, with its share of the requests; repeat the option, or separate the values by "
            "commas.",
            show_default="Llama-3.1-8B",
        ),
    ] = None,
    models: Annotated[
        list[Path] | None,
        typer.Option("--models", metavar="FILE", help="A YAML file that maps model names to their architectures."),
    ] = None,
    gpu: Annotated[str, typer.Option("--gpu", help="A GPU of the catalogue, or a YAML file.")] = "A100-80GB",
    host: Annotated[str, typer.Option("--host", help="A host of the catalogue, or a YAML file.")] = "gpu8-1152",
    tp: Annotated[
        int, typer.Option("--tp", min=1, help="The number of GPUs of the node: the tensor-parallel degree.")
    ] = 1,
    rate: Annotated[
        float | None, typer.Option("--rate", "-r", help="The requests per second, of all models together.")
    ] = None,
    load: Annotated[
        float | None, typer.Option("--load", help="The offered load relative to the capacity, such as 0.8.")
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            "--trace",
            help="A file of requests to replay, with arrival_s, prompt_tokens, output_tokens and perhaps model, "
            "prefix_group, prefix_tokens; or any trace that a scenario takes.",
        ),
    ] = None,
    duration: Annotated[
        float, typer.Option("--duration", help="The time for which drawn requests arrive [s].")
    ] = 600.0,
    cv: Annotated[
        float, typer.Option("--cv", help="The coefficient of variation of the arrival gaps; 1 is Poisson.")
    ] = 1.0,
    prompt: Annotated[
        str,
        typer.Option(
            "--prompt",
            metavar="LAW",
            help="The tokens of a prompt: MEDIAN, MEDIAN:SIGMA or MEDIAN:SIGMA:LOW:HIGH (lognormal).",
        ),
    ] = "512",
    output_law: Annotated[
        str, typer.Option("--output", metavar="LAW", help="The tokens of an answer, written likewise.")
    ] = "256",
    prefix: Annotated[
        str,
        typer.Option(
            "--prefix", metavar="LAW", help="The leading prompt tokens that a prefix group shares, written likewise."
        ),
    ] = "0",
    prefix_groups: Annotated[
        int, typer.Option("--prefix-groups", min=1, help="The number of distinct shared prefixes.")
    ] = 1,
    max_num_seqs: Annotated[
        int | None, typer.Option("--max-num-seqs", help="The largest batch [sequences].", show_default="128")
    ] = None,
    max_num_batched_tokens: Annotated[
        int | None, typer.Option("--max-num-batched-tokens", help="The largest step [tokens].", show_default="2048")
    ] = None,
    gpu_memory_utilization: Annotated[
        float | None,
        typer.Option("--gpu-memory-utilization", help="The part of HBM that is used, 0 to 1.", show_default="0.9"),
    ] = None,
    memory: Annotated[
        str,
        typer.Option(
            "--memory", help="partitioned: one KV pool per engine, as in stock vLLM; elastic: one KV pool per node."
        ),
    ] = "partitioned",
    partitions: Annotated[
        int | None,
        typer.Option(
            "--partitions",
            min=1,
            help="The number of equal parts of the node, if its memory is partitioned.",
            show_default="models",
        ),
    ] = None,
    sharing: Annotated[str, typer.Option("--sharing", help="How engines share a GPU: timeslice or mps.")] = "timeslice",
    prefix_caching: Annotated[
        bool, typer.Option("--prefix-caching/--no-prefix-caching", help="Reuse cached prefixes.")
    ] = True,
    policy: Annotated[str, typer.Option("--policy", "-p", help="A name of `maestro-gym policies`.")] = "fcfs",
    seed: Annotated[int, typer.Option("--seed", min=0, help="The seed of the drawn requests.")] = 0,
    trust: Trust = False,
    perfetto: Perfetto = None,
    json_file: JsonFile = None,
) -> None:
    """Serve models on one simulated node, and print latencies, throughput and memory.

    The node is simulated as in the environments, under a policy of the comparisons (fcfs is stock vLLM). Further
    settings of the scenario are changed by words such as limits.api_s=0.025.

    Example: maestro-gym serve-sim -m Qwen2.5-7B --rate 8 --prompt 1024:0.7 --output 256:0.9

    Example: maestro-gym serve-sim -m Llama-3.1-8B=3,Qwen2.5-14B --load 0.8 --memory elastic --json served.json

    Example: maestro-gym serve-sim -m Llama-3.1-8B --gpu A100-80GB --trace sample_requests
    """
    from maestro_gym.evaluation.report.chrome_trace import write_chrome_traces
    from maestro_gym.evaluation.report.episode_trace import trace_of
    from maestro_gym.serving.node_of_words import node_of_words
    from maestro_gym.serving.serve import latency_rows, node_facts, serve, throughput_rows

    if trace is not None:
        refuse_beside(ctx, "--trace", ("duration", "cv", "prompt", "output_law", "prefix", "prefix_groups"))
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
    served = serve(config, policy, seed, trust=trust)
    if perfetto is not None:
        write_chrome_traces([trace_of(served.result)], perfetto)
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


def fidelity(
    profiles: Annotated[
        Path, typer.Option("--profiles", metavar="DIR", help="The folder of measurements, with one folder per source.")
    ],
    models: Annotated[
        list[Path] | None,
        typer.Option("--models", metavar="FILE", help="A YAML file that maps model names to their architectures."),
    ] = None,
    gpu: Annotated[
        list[str] | None,
        typer.Option(
            "--gpu",
            metavar="NAME=FILE",
            help="The YAML file, or the GPU of the catalogue, that a GPU's name in the measurements stands for.",
        ),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="A host of the catalogue, or a YAML file.")] = "gpu8-1152",
    split: Annotated[
        bool,
        typer.Option(
            "--split/--no-split",
            help="Also fit constants to some points of each source, and score them on its other points.",
        ),
    ] = True,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="The folder for CSV files, plots and fidelity.md."),
    ] = None,
    docs: Annotated[
        Path | None, typer.Option("--docs", metavar="FILE", help="The page whose tables are brought up to date.")
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Compare the performance model with measurements, and say how far apart they are.

    Folders and columns keep the names of their public sources; docs/fidelity.md lists them.

    Example: maestro-gym fidelity --profiles measurements --out runs/fidelity

    Example: maestro-gym fidelity --profiles mine --models my_models.yaml --gpu b200=my_gpu.yaml
    """
    from maestro_gym.config.catalogue import load_catalogue
    from maestro_gym.fidelity.error_report import document, skipped_rows, summary_rows, terminal_rows
    from maestro_gym.fidelity.model_errors import measure

    catalogue = load_catalogue(models or (), gpu or (), host)
    console = output()
    found = measure(profiles, catalogue, split, lambda name: console.print(f"reading {name}", style="dim"))
    show_table(
        "errors in percent",
        terminal_rows(found),
        "own: with constants fitted to other points of the same quantity",
    )
    for row in summary_rows(found):
        console.print(f"worst of {row['source']}, {row['quantity']}: {row['worst_%']:+.0f} %, {row['worst_at']}")
    if found.skipped:
        show_table("left out", skipped_rows(found))
    for note in found.notes:
        console.print(note)
    if out is not None:
        from maestro_gym.fidelity.error_report import markdown, write_csv
        from maestro_gym.fidelity.plots import draw

        write_csv(found, out)
        draw(found, out)
        (out / "fidelity.md").write_text(markdown(found), encoding="utf-8")
        console.print(f"\nTables, plots and page: {out}", highlight=False, soft_wrap=True)
    if docs is not None:
        from maestro_gym.fidelity.error_report import update_page

        update_page(found, docs)
    write_json(json_file, {"command": "fidelity", **document(found)})


def calibrate(
    profiles: Annotated[
        Path | None,
        typer.Option("--profiles", metavar="DIR", help="The folder of measurements, with one folder per source."),
    ] = None,
    gpu: Annotated[
        str | None,
        typer.Option("--gpu", help="The GPU from which the search starts: a name in the catalogue, or NAME=FILE.yaml."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="The hardware file to write.", show_default="the fleet's folder"
        ),
    ] = None,
    fleet: Annotated[
        str | None,
        typer.Option("--fleet", "-f", help="A fleet file whose real servers are measured in place of --profiles."),
    ] = None,
    repeats: Annotated[
        int, typer.Option("--repeats", min=1, help="The number of repetitions of each point measured on a fleet.")
    ] = 5,
    like: Annotated[
        str | None,
        typer.Option(
            "--like",
            help="The GPU whose efficiencies are taken where this one was not measured.",
            show_default="its own",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="CONSTANT",
            help="A constant to fit, such as step.step_const_s, while the others stay; repeat the option for more.",
            show_default="all",
        ),
    ] = None,
    models: Annotated[
        list[Path] | None,
        typer.Option("--models", metavar="FILE", help="A YAML file that maps model names to their architectures."),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Fit the constants of a GPU to published measurements or to real servers, and write them as a hardware file.

    Example: maestro-gym calibrate --profiles measurements --gpu A100-SXM4-80GB --out my_a100.yaml

    Example: maestro-gym calibrate --fleet local_cpu --out my_machine.yaml
    """
    if fleet is not None:
        if profiles is not None or gpu is not None or like is not None or only or models:
            raise MaestroError(
                "--fleet measures real servers: --profiles, --gpu, --like, --only and --models do not go with it."
            )
        return calibrate_fleet(fleet, out, repeats, json_file)
    if profiles is None or gpu is None or out is None:
        raise MaestroError("Give --profiles, --gpu and --out for published measurements, or --fleet for real servers.")
    from maestro_gym.config.catalogue import load_catalogue
    from maestro_gym.fidelity.calibrate_gpu import calibrate as fit
    from maestro_gym.fidelity.calibrate_gpu import write_gpu
    from maestro_gym.fidelity.error_report import fitted_rows

    console = output()
    catalogue = load_catalogue(models or (), [gpu] if "=" in gpu else ())
    name = gpu.partition("=")[0]
    fitted = fit(profiles, catalogue, name, like, only or (), lambda text: console.print(text, style="dim"))
    rows = fitted_rows(fitted)
    show_table("errors in percent", rows)
    write_json(json_file, {"command": "calibrate", "rows": rows})
    write_gpu(
        fitted,
        out,
        f"maestro-gym calibrate --gpu {name}"
        + (f" --like {like}" if like else "")
        + "".join(f" --only {item}" for item in only or ()),
    )
    console.print(f"\nHardware: {out}", highlight=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the verbs about machines to the program."""
    app.command("serve-sim")(serve_sim)
    app.command()(fidelity)
    app.command()(calibrate)
