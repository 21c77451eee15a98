"""A fleet of your own: two clusters far apart, one with a large node, under Maestro and two rivals.

    python examples/own_fleet.py

Change SCENARIO: GPUs and hosts are the files of configs/hardware, architectures those of configs/models.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from maestro_gym.baselines import load_policy
from maestro_gym.episodes import Scenario, result_row, run_episode

SCENARIO = """
description: a rack of small nodes and a distant one of two GPUs
fleet:
  clusters:
    - {name: near, hosts: [{count: 1, host: gpu2-512, nodes: 2, gpu: A100-40GB}]}
    - {name: far, hosts: [{count: 1, host: gpu2-512, nodes: 1, tp: 2, gpu: A100-80GB}]}
  latency_s: [[0.0005, 0.04], [0.04, 0.0005]]
  link_bytes_per_s: 1.25e9
workload: {family: maestro, arrivals: {process: poisson}}
contention: high
predictor: {kind: noisy}
horizon_s: 120
drain_s: 300
seeds: [0]
train: quick
models:
  - {name: chat, architecture: Llama-3.1-8B, size_class: small, popularity: 0.6}
  - {name: planner, architecture: Qwen2.5-14B, size_class: medium, popularity: 0.3}
  - {name: expert, architecture: Qwen2.5-32B, size_class: large, popularity: 0.1}
"""


def main() -> None:
    """Say what the fleet can carry, and how three policies do on it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "own_fleet.yaml"
        file.write_text(SCENARIO, encoding="utf-8")
        scenario = Scenario.load(str(file))
    print(f"{', '.join(scenario.node_names)}: {scenario.capacity_rps:.2f} workflows/s, offered {scenario.rate_rps:.2f}")
    for name in ("jsq", "warm-jsq", "maestro"):
        row = result_row(run_episode(scenario, load_policy(name, scenario), "validation", seed=0))
        print(f"{name:10} {row['slo_attainment']:6.1%} in time, {row['completion_mean_s']:6.1f} s mean completion")


if __name__ == "__main__":
    main()
