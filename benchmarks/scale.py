"""What a decision costs as fleet, queue and models grow, with sets of nodes and by plain scans, in one run.

    python benchmarks/scale.py fleets                     # 8, 64, 512 and 1,000 nodes at the same load a node
    python benchmarks/scale.py queue                      # 10 to 100,000 calls in the global queue, 64 nodes
    python benchmarks/scale.py models                     # 10 to 1,000 models, 64 nodes
    python benchmarks/scale.py million                    # 1,000 nodes, 100 models, a million calls

Every cell is a process of its own, so that its peak memory is its own; processor seconds, one thread. ``--plain`` runs
the cell again with scans over all nodes and the whole queue, which decide the same (tests/sim/test_index.py).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parent))

from machine import machine, machine_line

from maestro_gym.baselines import load_policy
from maestro_gym.config import config_dir, load_scenario
from maestro_gym.config.scenario import ScenarioConfig
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.reads import metric_tiers
from maestro_gym.scheduling.tiers import ALL_TIERS, NO_TIER
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import OWN, answer_and_run, open_engine

SEED = 10
HOSTS = {8: (1, 1), 64: (4, 2), 512: (16, 4), 1000: (25, 5)}
"""Clusters, and hosts of eight nodes in each, of a fleet by its nodes."""

TAIL = 1.1
"""Popularity falls with the rank of a model to this power, as in `configs/scenarios/paper.yaml`."""


def scenario_of(cell: dict[str, Any]) -> Scenario:
    """`paper` with another fleet, other models, another load."""
    clusters, hosts = HOSTS[cell["nodes"]]
    content = yaml.safe_load((config_dir() / "scenarios" / "paper.yaml").read_text())
    content["fleet"] = {
        "clusters": [
            {"name": f"c{i}", "hosts": [{"count": hosts, "host": "gpu8-1152", "nodes": 8, "gpu": "A100-40GB"}]}
            for i in range(clusters)
        ],
        "latency_s": [[0.0005 if i == j else 0.03 for j in range(clusters)] for i in range(clusters)],
        "link_bytes_per_s": 1.25e9,
    }
    if cell["models"]:
        shapes = content["models"][:10]
        content["models"] = [
            {**shapes[i % 10], "name": f"model-{i}", "popularity": float((i + 1) ** -TAIL)}
            for i in range(cell["models"])
        ]
    overrides = [f"contention={cell['contention']}", f"horizon_s={cell['horizon_s']}", f"drain_s={cell['drain_s']}"]
    base = load_scenario("paper", overrides).model_dump(mode="json", exclude_none=True)
    merged = base | {key: content[key] for key in ("fleet", "models")}
    if cell["load"]:
        merged["workload"] = {**merged["workload"], "load": cell["load"]}
        merged["contention"] = "custom"
    return Scenario(ScenarioConfig.model_validate(merged | {"name": "paper"}))


def run_cell(cell: dict[str, Any]) -> dict[str, float]:
    """Run an episode and measure it; from ``from_s`` of simulated time on, for ``for_s``, where these are given."""
    began = time.perf_counter()
    scenario = scenario_of(cell)
    policy = load_policy(cell["policy"], scenario)
    made = time.perf_counter()
    episode = scenario.episode("test", SEED, 0)
    drawn_s = time.perf_counter() - made
    simulation = Simulation(scenario.world, evaluation=True, metric_tiers=metric_tiers(policy))
    simulation.load(0, episode, key=SEED)
    view, core = simulation.state.visible, simulation.state.core
    view.clock["indexed"] = 0 if cell["plain"] else 1
    engine = open_engine(simulation, policy)
    answer_and_run(engine, 0, OWN, ALL_TIERS, cell["from_s"])
    decisions, ready = int(view.clock["decisions"][0]), int(view.clock["global_len"][0])
    events = int(core.counters["events"][0])
    begin_s, opened_s = time.process_time(), time.perf_counter() - began
    tier = answer_and_run(engine, 0, OWN, ALL_TIERS, cell["from_s"] + cell["for_s"])
    seconds = time.process_time() - begin_s
    decisions = int(view.clock["decisions"][0]) - decisions
    events = int(core.counters["events"][0]) - events
    return {
        "nodes": cell["nodes"],
        "models": len(scenario.model_names),
        "calls": len(episode.stages),
        "finished": int(core.counters["stages_finished"][0]),
        "ready": (ready + int(view.clock["global_len"][0])) / 2,
        "decisions": decisions,
        "events": events,
        "seconds": seconds,
        "microseconds": 1e6 * seconds / max(1, decisions),
        "drawn_s": drawn_s,
        "opened_s": opened_s,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "over": float(tier == NO_TIER),
    }


CELL = {
    "nodes": 64,
    "models": 0,
    "contention": "high",
    "load": 0.0,
    "horizon_s": 60.0,
    "drain_s": 60.0,
    "from_s": 0.0,
    "for_s": 1e12,
    "policy": "maestro",
    "plain": False,
}


def cells_of(study: str, policy: str, horizon_s: float) -> list[dict[str, Any]]:
    """The cells of a study."""
    base = CELL | {"policy": policy}
    if study == "fleets":
        return [base | {"nodes": nodes, "horizon_s": horizon_s} for nodes in HOSTS]
    if study == "million":
        return [base | {"nodes": 1000, "models": 100, "horizon_s": 561.0, "drain_s": 600.0}]
    if study == "models":
        return [base | {"models": models, "horizon_s": horizon_s} for models in (10, 30, 100, 300, 1000)]
    # A burst that leaves so many calls behind: the more, the higher the load while it lasts.
    bursts = ((1.0, 60.0), (3.0, 20.0), (10.0, 20.0), (30.0, 30.0), (100.0, 60.0))
    return [
        base | {"load": load, "horizon_s": until_s, "drain_s": 60.0, "from_s": until_s, "for_s": 20.0}
        for load, until_s in bursts
    ]


def measure(cell: dict[str, Any]) -> dict[str, float]:
    """Run a cell in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "fleets", "--cell", json.dumps(cell)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    if done.returncode:
        sys.exit(f"the cell {cell} ended with {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def draw(study: str, rows: list[dict[str, float]], plain: list[float], path: Path) -> None:
    """Draw what a decision costs against what grows, both by powers of ten."""
    import matplotlib.pyplot as plt

    column, label = {"queue": ("ready", "calls that wait"), "models": ("models", "models")}.get(
        study, ("nodes", "nodes")
    )
    sizes = [row[column] for row in rows]
    figure, axes = plt.subplots(figsize=(5.2, 3.2), layout="constrained")
    axes.loglog(sizes, [row["microseconds"] for row in rows], "o-", label="with sets, lists and blocks")
    if not any(map(math.isnan, plain)):
        axes.loglog(sizes, plain, "s--", color="0.5", label="by plain scans")
        axes.legend(frameon=False)
    axes.set(xlabel=label, ylabel="µs a decision of any tier", ylim=(0.5, None))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Print a table of Markdown, a row a cell."""
    parser = argparse.ArgumentParser(description="Measure what a decision costs as fleet, queue and models grow.")
    parser.add_argument("study", choices=["fleets", "queue", "models", "million"])
    parser.add_argument("--policy", default="maestro", help="who decides (default maestro)")
    parser.add_argument("--horizon", type=float, default=60.0, help="seconds of arrivals (default 60)")
    parser.add_argument("--plain", action="store_true", help="also by plain scans, which takes long on large fleets")
    parser.add_argument("--plot", type=Path, help="also draw the costs to this file")
    parser.add_argument("--cell", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.cell:
        print(json.dumps(run_cell(arguments.cell)))
        return
    before = machine()
    names = "nodes, models, calls, finished, waiting, decisions, seconds, decisions/s, events/s"
    names += ", us a decision, by plain scans, ratio, drawn in s, peak GB"
    print("| " + names.replace(", ", " | ") + " |")
    print("| ---: " * 14 + "|")
    rows, scans = [], []
    for cell in cells_of(arguments.study, arguments.policy, arguments.horizon):
        row = measure(cell)
        plain = measure(cell | {"plain": True})["microseconds"] if arguments.plain else float("nan")
        rows.append(row)
        scans.append(plain)
        print(
            f"| {row['nodes']:,} | {row['models']:,} | {row['calls']:,} | {row['finished']:,} | {row['ready']:,.0f} "
            f"| {row['decisions']:,} | {row['seconds']:.2f} | {row['decisions'] / row['seconds']:,.0f} "
            f"| {row['events'] / row['seconds']:,.0f} | {row['microseconds']:.2f} | {plain:.2f} "
            f"| {plain / row['microseconds']:.1f} | {row['drawn_s']:.1f} | {row['peak_gb']:.2f} |",
            flush=True,
        )
    if arguments.plot:
        draw(arguments.study, rows, scans, arguments.plot)
    print(f"\n{machine_line(before, os.getloadavg()[0])}; policy {arguments.policy}")


if __name__ == "__main__":
    main()
