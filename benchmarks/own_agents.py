"""What an agent in Python costs, and whether a model and its ONNX file decide alike.

    python benchmarks/own_agents.py model.zip

The first two ways take the same decisions in the same episode, and so do the last two: trust the ratios. Decisions are
those of the cluster tier; the rest of the episode runs compiled beside them.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from machine import machine, machine_line

from maestro_gym.agents.foreign.agent import AgentCard
from maestro_gym.agents.foreign.as_policy import agent_policy
from maestro_gym.agents.load import load_any_policy
from maestro_gym.agents.observed_rule import observed_rule
from maestro_gym.agents.onnx_export import check_onnx, export_onnx, exportable, observations_of
from maestro_gym.baselines.registry import load_policy, with_rule
from maestro_gym.cli.console import show_table
from maestro_gym.core.compile import compile_fresh
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.policy import Policy, Rule


class First:
    """The first legal candidate: nearly all of its cost is the way to Python and back."""

    def act(self, observation: dict[str, np.ndarray], mask: np.ndarray) -> int:
        """Decide."""
        return int(np.argmax(mask))


def _compiled_first(scenario: Scenario) -> Policy:
    """The same choice, compiled: it writes the same observation and never goes to Python."""

    def choose(e: int, now_s: float, candidates: np.ndarray, context: np.ndarray, mask: np.ndarray) -> int:
        return int(np.argmax(mask))

    layout = AgentCard("first", "cluster").layout(scenario.world)
    function = observed_rule(layout, compile_fresh(choose))
    rule = Rule("compiled first", "cluster", "P", "the first legal node", "a benchmark", "", function)
    return with_rule(load_policy("maestro", scenario), rule, rule.name, "")


def _row(way: str, scenario: Scenario, policy: Policy, rounds: int) -> dict[str, Any]:
    run_episode(scenario, policy, "test", 0, samples=0)  # compiles
    spent, decisions = [], 0
    for _ in range(rounds):
        begin = time.process_time()
        result = run_episode(scenario, policy, "test", 0, samples=0)
        spent.append(time.process_time() - begin)
        decisions = int((result.stages["node"] >= 0).sum())
    return {"way": way, "CPU s": min(spent), "decisions": decisions, "decisions/s": decisions / min(spent)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a .zip of Stable-Baselines3 for the cluster tier")
    parser.add_argument("--scenario", default="quick")
    parser.add_argument("--observations", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    about = machine()
    scenario = Scenario.load(asked.scenario, ["contention=high"])
    source = exportable(asked.model, trust=True)
    with tempfile.TemporaryDirectory() as folder:
        exported = export_onnx(source, scenario, Path(folder) / "model.onnx")
        seen = observations_of(source, scenario, asked.observations)
        largest = check_onnx(exported.path, source.module, *seen)
        print(f"{len(seen[0]):,} observations: the same decision at each, logits up to {largest:.1e} apart")
        ways: dict[str, Policy] = {
            "compiled, first legal node": _compiled_first(scenario),
            "Python, first legal node": agent_policy(First(), AgentCard("first", "cluster"), scenario),
            "model, ONNX": load_any_policy(str(exported.path), scenario),
            "model, SB3": load_any_policy(asked.model, scenario, trust=True),
        }
        rows = [_row(way, scenario, policy, asked.rounds) for way, policy in ways.items()]
    show_table("one episode", rows, machine_line(about, os.getloadavg()[0]))


if __name__ == "__main__":
    main()
