"""Measure the percentiles that Maestro's fitness is normalised by, on validation episodes.

Run as ``python -m maestro_gym.baselines.maestro.measure quick paper``; the output is what
``configs/baselines/fitness.yaml`` holds.
"""

from __future__ import annotations

import sys

import numpy as np
from numba import types

from maestro_gym.baselines.maestro.fitness import fitness_terms
from maestro_gym.baselines.registry import load_policy
from maestro_gym.core.compile import njit_as
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.fitness_scale import FitnessScale
from maestro_gym.scheduling.legal import can_route
from maestro_gym.scheduling.tiers import NO_TIER, TIER_CLUSTER
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import ENGINE, Engine, act, advance, open_engine

POLICY = "maestro-raw"
"""Whose decisions the terms are taken at: it needs no percentiles itself."""

MAX_ROWS = 2_000_000


@njit_as(types.int64(ENGINE, types.float64[:, ::1]))
def _record_terms(engine: Engine, terms: np.ndarray) -> int:
    """Run an episode and write the terms of every candidate of every cluster decision; rows written."""
    row = 0
    while advance(engine, 0, 1 << TIER_CLUSTER) != NO_TIER:
        view = engine.state.visible
        stage = int(view.clock[0].stage)
        for node in range(view.world.nodes.shape[0]):
            if can_route(view, 0, stage, node) and row < terms.shape[0]:
                terms[row, 0], terms[row, 1], terms[row, 2] = fitness_terms(view, 0, stage, node)
                row += 1
        act(engine, 0, TIER_CLUSTER, engine.cluster_rule(view, engine.oracle, 0))
    return row


def measure_scale(scenario: Scenario, episodes: int = 3) -> FitnessScale:
    """Percentiles of the terms over all nodes that could take the routed stages.

    Args:
        scenario: Fleet and workload, at the contention that the scale is frozen at.
        episodes: Validation episodes, of seeds 0, 1, ...

    Returns:
        5th and 95th percentiles of A, T_ready and C_deg, seconds.
    """
    policy = load_policy(POLICY)
    parts = []
    for seed in range(episodes):
        simulation = Simulation(scenario.world, evaluation=True, warm=True, num_samples=0, log_residency=False)
        simulation.load(0, scenario.episode("validation", seed, 0), key=seed)
        terms = np.zeros((MAX_ROWS, 3))
        rows = _record_terms(open_engine(simulation, policy), terms)
        parts.append(terms[:rows])
    low_s, high_s = np.percentile(np.concatenate(parts), [5.0, 95.0], axis=0)
    return FitnessScale(*(float(value) for pair in zip(low_s, high_s, strict=True) for value in pair))


def main(names: list[str]) -> None:
    """Print the entries of ``configs/baselines/fitness.yaml`` for some scenarios."""
    for name in names:
        scale = measure_scale(Scenario.load(name, ["contention=medium"]))
        print(f"{name}:")
        print(f"  benefit_s: [{scale.benefit_p05_s:.3f}, {scale.benefit_p95_s:.3f}]")
        print(f"  ready_s: [{scale.ready_p05_s:.3f}, {scale.ready_p95_s:.3f}]")
        print(f"  harm_s: [{scale.harm_p05_s:.3f}, {scale.harm_p95_s:.3f}]")
        print(f"  measured_on: validation seeds 0 to 2, contention medium, policy {POLICY}")


if __name__ == "__main__":
    main(sys.argv[1:])
