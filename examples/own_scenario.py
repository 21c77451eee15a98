"""A scenario of your own: a workload with bursts and longer deadlines, on a fleet that the package has.

    python examples/own_scenario.py

CHANGES are dotted places of the scenario, as on the command line; an unknown one is an error that names the nearest.
A whole scenario in a file of its own is in `own_fleet.py`; both are given as ``scenario=`` to every environment.
"""

from __future__ import annotations

import gymnasium

from maestro_gym.baselines import load_policy
from maestro_gym.episodes import Scenario, result_row, run_episode

CHANGES = {
    "calm": ["contention=low", "horizon_s=60", "drain_s=120"],
    "busy": ["contention=high", "horizon_s=60", "drain_s=120"],
    "busy, begins cold": ["contention=high", "workload.initial_placement=cold", "horizon_s=60", "drain_s=120"],
}


def main() -> None:
    """Say how Maestro and a rival do on each, and that an environment takes the same scenario."""
    for name, changes in CHANGES.items():
        scenario = Scenario.load("quick", changes)
        shares = []
        for policy in ("warm-jsq", "maestro"):
            row = result_row(run_episode(scenario, load_policy(policy, scenario), "validation", seed=0))
            shares.append(f"{policy} {row['slo_attainment']:6.1%}")
        env = gymnasium.make("Maestro/Cluster-v0", scenario=scenario)
        _, info = env.reset(seed=0)
        print(f"{name:18} {', '.join(shares)} in time; {scenario.rate_rps:.2f} workflows/s, {info['end_reason']=}")


if __name__ == "__main__":
    main()
