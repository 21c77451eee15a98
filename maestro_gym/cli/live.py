"""The verbs that run policies on real servers: live runs, validation, replay and fine-tuning."""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maestro_gym.cli.console import output, seed_numbers, show_table, split_words, write_json
from maestro_gym.cli.fleet import FleetName, fleet_app
from maestro_gym.cli.options import JsonFile, Overwrite, Perfetto, Trust
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.run_folder import clear_earlier, run_folder

if TYPE_CHECKING:
    from maestro_gym.config.live import LiveFleetConfig

DEFAULT_POLICIES = ("fcfs", "edf", "srtf", "maestro")
"""The policies that a validation runs unless told otherwise."""


def live(
    fleet: FleetName = "local_cpu",
    policy: Annotated[
        str | None,
        typer.Option(
            "--policy",
            "-p",
            help="A name of `maestro-gym policies`, file.py:Rule, file.py:Agent, a model's file (.onnx, .zip, .pt), or "
            "the folder of a training run.",
            show_default="maestro",
        ),
    ] = None,
    shadow: Annotated[
        str | None, typer.Option("--shadow", help="A policy that is asked at every decision, and does not act.")
    ] = None,
    workload: Annotated[
        str, typer.Option("--workload", "-w", help="The workload family: a name in configs/workloads or a YAML file.")
    ] = "live",
    load: Annotated[float, typer.Option("--load", min=0.01, help="The offered load relative to the capacity.")] = 0.8,
    horizon: Annotated[
        float, typer.Option("--horizon", min=1.0, help="The time for which workflows arrive [s].")
    ] = 60.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The seed of the test episode.")] = 0,
    trust: Trust = False,
    resume: Annotated[
        Path | None,
        typer.Option("--resume", metavar="DIR", help="The folder of a run whose controller died, to go on with it."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The run folder.", show_default="runs/live/TIME")
    ] = None,
    overwrite: Overwrite = False,
    perfetto: Perfetto = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            "--metrics-port",
            min=1,
            max=65535,
            help="The port on which Prometheus finds the metrics of the run while it lasts (docs/operating.md).",
        ),
    ] = None,
    metrics_host: Annotated[
        str,
        typer.Option(
            "--metrics-host",
            metavar="ADDRESS",
            help="The address of that port. Another than loopback shows the names of policy, nodes and models, and all "
            "numbers of the run, to whoever can reach it.",
        ),
    ] = "127.0.0.1",
    json_file: JsonFile = None,
) -> None:
    """Run a policy on real servers, which serve the workflows that arrive; the metrics are those of a simulated run.

    The run folder holds the scenario, the event log, the metrics and what was seen of the servers.

    Example: maestro-gym live -p maestro --shadow fcfs --horizon 30

    Example: maestro-gym live --resume runs/live/MY_RUN

    Example: maestro-gym live --horizon 600 --metrics-port 9464
    """
    from maestro_gym.config.live import load_fleet

    loaded = load_fleet(fleet)
    _demand_start(loaded, fleet, trust=trust)
    from maestro_gym.agents.load import PolicyLoader
    from maestro_gym.baselines.registry import demand_trust_of
    from maestro_gym.episodes.scenario import Scenario
    from maestro_gym.evaluation.report.chrome_trace import write_chrome_traces
    from maestro_gym.evaluation.report.episode_trace import trace_of
    from maestro_gym.real_backend.control.event_log import EVENTS_FILE
    from maestro_gym.real_backend.control.run import resumed, run_live, save_result
    from maestro_gym.real_backend.control.settings import RunSettings
    from maestro_gym.real_backend.fleet.as_scenario import scenario_document, write_scenario

    load_policy = PolicyLoader(trust)
    if resume is not None and not (policy is None and shadow is None and out is None):
        raise MaestroError("--resume goes on as the run began; leave out --policy, --shadow and --out.")
    folder = resume or out or Path("runs") / "live" / time.strftime("%Y%m%d-%H%M%S")
    go_on = f"maestro-gym live --fleet {fleet} --resume {folder}"
    with run_folder(folder, resume=resume is not None, overwrite=overwrite, go_on=go_on):
        if resume is not None:
            settings, spec = resumed(resume, loaded, trust=trust)
            demand_trust_of(spec, f"{resume / EVENTS_FILE}: policy_spec", trust=trust)
            acting = load_policy(spec, settings.scenario)
        else:
            document = scenario_document(
                loaded, {"family": workload, "load": load}, horizon_s=horizon, drain_s=max(60.0, 3 * horizon)
            )
            # Beside the folder: what it holds stays as it is until nothing can be refused any more.
            with TemporaryDirectory() as beside:
                scenario = Scenario(write_scenario(document, Path(beside) / "scenario.yaml"))
            acting = load_policy(policy or "maestro", scenario)
            other = None if shadow is None else load_policy(shadow, scenario)
            clear_earlier(folder)
            write_scenario(document, folder / "scenario.yaml")
            settings = RunSettings(loaded, scenario, folder, seed=seed, shadow=other, trust=trust)
        settings = replace(settings, metrics_port=metrics_port, metrics_host=metrics_host)
        result = run_live(settings, acting)
        row = save_result(result, settings.folder)
        if perfetto is not None:
            write_chrome_traces([trace_of(result)], perfetto)
    shown = ("completion_mean_s", "completion_p95_s", "ttft_mean_s", "tpot_mean_s", "slo_attainment", "unfinished")
    about = f"{len(result.episode.workflows)} workflows, {len(result.episode.stages)} stages, {result.done}"
    show_table(f"{result.policy} on {loaded.name}", [{name: row[name] for name in shown}], about)
    facts = json.loads((settings.folder / "live.json").read_text(encoding="utf-8"))
    show_table("servers", [_server_row(server) for server in facts["servers"]])
    output().print(f"\nResults: {settings.folder}", highlight=False, soft_wrap=True)
    write_json(json_file, {"command": "live", "folder": settings.folder, "rows": [row], "live": facts})


def _demand_start(fleet: LiveFleetConfig, place: str, *, trust: bool) -> None:
    """Refuse a run that would start something of a fleet file's author's, unless the user trusts it."""
    from maestro_gym.real_backend.fleet.launch_trust import demand_launch_trust, starts_processes

    if starts_processes(fleet):
        demand_launch_trust(fleet, place, trust=trust)


def _server_row(server: dict[str, Any]) -> dict[str, Any]:
    faults = ", ".join(f"{count} {kind}" for kind, count in server["faults"].items())
    names = ("server", "version", "finished", "times_down")
    return {name: server[name] for name in names} | {"faults": faults or "none"}


def validate(
    fleet: FleetName = "local_cpu",
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy",
            "-p",
            help="A name of `maestro-gym policies`, file.py:Rule, file.py:Agent, a model's file (.onnx, .zip, .pt), or "
            "the folder of a training run; repeat the option, or separate the values by commas.",
            show_default=",".join(DEFAULT_POLICIES),
        ),
    ] = None,
    workload: Annotated[
        str, typer.Option("--workload", "-w", help="The workload family: a name in configs/workloads or a YAML file.")
    ] = "live",
    load: Annotated[
        float, typer.Option("--load", min=0.01, help="The offered load relative to the measured capacity.")
    ] = 1.0,
    horizon: Annotated[
        float, typer.Option("--horizon", min=1.0, help="The time for which workflows arrive [s].")
    ] = 40.0,
    rounds: Annotated[
        int,
        typer.Option("--rounds", min=2, help="The number of live runs of everything, which give the noise floor."),
    ] = 2,
    seeds: Annotated[
        str, typer.Option("--seeds", help="The seeds of the test episodes of each round, such as 0,1,2 or 0-9.")
    ] = "0",
    repeats: Annotated[
        int, typer.Option("--repeats", min=1, help="The number of repetitions of each measured point.")
    ] = 3,
    trust: Trust = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The run folder.", show_default="runs/validate/TIME")
    ] = None,
    overwrite: Overwrite = False,
    json_file: JsonFile = None,
) -> None:
    """Run policies on real servers and in the simulator calibrated to them, and say how far apart the two are.

    The servers must be up. They are measured before the first round and after every round. The noise floor is the
    difference between two live rounds.

    Example: maestro-gym fleet up && maestro-gym validate

    Example: maestro-gym validate --fleet a100 -p fcfs,maestro,runs/MY_RUN --load 0.9 --rounds 3
    """
    from maestro_gym.config.live import load_fleet

    # A wrong name is reported before the imports that take seconds.
    servers = load_fleet(fleet)
    _demand_start(servers, fleet, trust=trust)
    from maestro_gym.agents.load import PolicyLoader
    from maestro_gym.real_backend.validation.figures import draw_validation
    from maestro_gym.real_backend.validation.validate import Plan, verdict
    from maestro_gym.real_backend.validation.validate import validate as run_validation

    console = output()
    plan = Plan(
        fleet=servers,
        policies=split_words(policy) or list(DEFAULT_POLICIES),
        folder=out or Path("runs") / "validate" / time.strftime("%Y%m%d-%H%M%S"),
        workload={"family": workload},
        load=load,
        horizon_s=horizon,
        seeds=seed_numbers(seeds) or [0],
        rounds=rounds,
        repeats=repeats,
        trust=trust,
    )
    with run_folder(plan.folder, overwrite=overwrite):
        clear_earlier(plan.folder)
        tell = partial(console.print, style="dim", highlight=False)
        found = run_validation(plan, PolicyLoader(trust), tell)
        draw_validation(found, plan.folder / "plots")
    show_table("live and simulated", found.rows, "noise: the difference between live rounds; times in seconds")
    sentences = verdict(found)
    for sentence in sentences:
        console.print(sentence, highlight=False, soft_wrap=True)
    console.print(f"\nResults: {plan.folder}", highlight=False, soft_wrap=True)
    write_json(
        json_file,
        {"command": "validate", "run": found.info, "order": found.order, "verdict": sentences, "rows": found.rows},
    )


def replay(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a live run, with its events.jsonl.")],
    fleet: FleetName = "local_cpu",
    scenario: Annotated[
        Path | None,
        typer.Option(
            "--scenario",
            "-s",
            metavar="FILE",
            help="The scenario of the calibrated fleet with the run's workload.",
            show_default="of the run, or of its validation",
        ),
    ] = None,
    trust: Trust = False,
    perfetto: Perfetto = None,
    json_file: JsonFile = None,
) -> None:
    """Simulate the workflows of a live run: decided anew by its policy, and placed as its log says.

    The first column shows what happened on the servers, and the second what happens when the policy decides anew in the
    simulator. The third column takes the order and the nodes from the log, so that only the speed can differ.
    --perfetto writes what the log says of the servers, of a run that did not finish, too.

    Example: maestro-gym replay runs/validate/MY_RUN/live-1-maestro-test-0
    """
    from maestro_gym.config.live import load_fleet

    loaded = load_fleet(fleet)
    from maestro_gym.agents.load import load_any_policy
    from maestro_gym.episodes.scenario import Scenario
    from maestro_gym.evaluation.report.chrome_trace import write_chrome_traces
    from maestro_gym.real_backend.control.event_log import EVENTS_FILE, read_events
    from maestro_gym.real_backend.validation.logged_trace import trace_of_log
    from maestro_gym.real_backend.validation.replay_run import replay as simulate_again
    from maestro_gym.real_backend.validation.replay_run import scenario_of_run

    header = next(read_events(folder / EVENTS_FILE))
    path = scenario or scenario_of_run(folder)
    loaded_scenario = Scenario.load(str(path))
    if perfetto is not None:
        write_chrome_traces([trace_of_log(folder, loaded, loaded_scenario)], perfetto)
    named_in = f"{folder / EVENTS_FILE}: policy_spec"
    policy = load_any_policy(header["policy_spec"], loaded_scenario, named_in=named_in, trust=trust)
    rows, _ = simulate_again(folder, loaded, loaded_scenario, policy)
    show_table(f"{header['policy']}: live and simulated with {path}", rows, "means, seconds")
    write_json(json_file, {"command": "replay", "folder": folder, "scenario": path, "rows": rows})


def fine_tune(
    policy: Annotated[
        Path, typer.Option("--policy", "-p", help="The folder of a training run, with the policy to begin with.")
    ],
    fleet: FleetName = "local_cpu",
    steps: Annotated[int, typer.Option("--steps", min=1, help="The number of decisions to learn from.")] = 512,
    rollout: Annotated[
        int, typer.Option("--rollout", min=8, help="The number of decisions between two updates.")
    ] = 128,
    learning_rate: Annotated[float, typer.Option("--learning-rate", min=1e-8, help="The step size of Adam.")] = 1e-4,
    scenario: Annotated[
        Path | None,
        typer.Option(
            "--scenario",
            "-s",
            metavar="FILE",
            help="A scenario of this fleet, such as simulated.yaml of a validation.",
            show_default="the fleet's own",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The seed of the training episodes and of sampling.")] = 0,
    trust: Trust = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The run folder.", show_default="runs/fine-tune/TIME")
    ] = None,
    overwrite: Overwrite = False,
    json_file: JsonFile = None,
) -> None:
    """Let a trained policy go on learning on real servers, which must be up.

    The policy samples its actions as in training, so this is not for servers on which somebody waits. Every update
    leaves a complete policy in the run folder, which `live`, `validate` and `compare` take.

    Example: maestro-gym fine-tune -p runs/MY_RUN --steps 512
    """
    from maestro_gym.config.live import load_fleet

    loaded = load_fleet(fleet)
    _demand_start(loaded, fleet, trust=trust)
    from maestro_gym.agents.fine_tune import fine_tune as learn_on
    from maestro_gym.agents.policy_file import CARD_FILE, read_card
    from maestro_gym.baselines.registry import demand_trust_of
    from maestro_gym.envs.sb3 import BatchVecEnv
    from maestro_gym.real_backend.envs.live_batch import LiveBatch, LiveEnvOptions

    console = output()
    folder = out or Path("runs") / "fine-tune" / time.strftime("%Y%m%d-%H%M%S")
    card = read_card(policy)
    demand_trust_of(card.companions, f"{policy / CARD_FILE}: companions", trust=trust)
    options = LiveEnvOptions(
        fleet=loaded,
        scenario=None if scenario is None else str(scenario),
        folder=folder / "episodes",
        trust=trust,
        companions=card.companions,
        window=card.window,
        information="P" if card.predictions else "N",
    )
    rows: list[dict[str, float]] = []

    def tell(row: dict[str, float]) -> None:
        rows.append(row)
        console.print(f"{row['steps']:.0f} of {steps} decisions", style="dim", highlight=False)

    settings: dict[str, Any] = {"rollout_steps": rollout, "learning_rate": learning_rate, "seed": seed}
    with run_folder(folder, overwrite=overwrite):
        clear_earlier(folder)
        with closing(BatchVecEnv(LiveBatch(card.tier, options), seed)) as env:
            learn_on(policy, env, folder, steps=steps, tell=tell, **settings)
    show_table(f"learning on {loaded.name}", rows, "one row per rollout")
    console.print(f"\nPolicy: {folder}", highlight=False, soft_wrap=True)
    write_json(json_file, {"command": "fine-tune", "folder": folder, "rows": rows})


def register(app: typer.Typer) -> None:
    """Add the verbs about real servers to the program."""
    app.add_typer(fleet_app, name="fleet")
    app.command()(live)
    app.command()(validate)
    app.command()(replay)
    app.command("fine-tune")(fine_tune)
