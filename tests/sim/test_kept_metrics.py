"""Metric fields are refreshed where something has changed only, and then are what a look at every engine finds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from maestro_gym.baselines import load_policy
from maestro_gym.core.boxed import box
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.tiers import ALL_TIERS, NO_TIER
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import OWN, answer_and_run, open_engine, run_until
from maestro_gym.sim.signals import refresh_metrics
from maestro_gym.state.types import BOXED_STATE


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["limits.memory_mode=partitioned", "limits.schedule_ahead=true"],
        ["limits.gpu_sharing=mps", "workload.load=3", "limits.node_queue_limit=2"],
        ["fleet.failures={node_mtbf_s: 30, node_mttr_s: 10}"],
    ],
)
@pytest.mark.parametrize("policy", ["maestro", "fcfs"])
def test_what_is_kept_is_what_every_engine_has_mapped(overrides: list[str], policy: str) -> None:
    scenario = Scenario.load("toy", ["horizon_s=60", "drain_s=60", *overrides])
    simulation = Simulation(scenario.world, evaluation=True)
    simulation.load(0, scenario.episode("test", 3, 0), key=3)
    engine = open_engine(simulation, load_policy(policy, scenario))
    view, core, boxed = simulation.state.visible, simulation.state.core, box(simulation.state, BOXED_STATE)
    decisions, mapped, tier = 0, 0, run_until(engine, 0, ALL_TIERS)
    while tier != NO_TIER:
        decisions += 1
        refresh_metrics(boxed, 0)
        kept = view.nodes["kv_used_bytes"][0].copy(), view.engines["kv_used_bytes"][0].copy()
        core.metrics_until_s[0] = -math.inf
        core.engines["mapped_steps"][0] = -1
        refresh_metrics(boxed, 0)
        np.testing.assert_array_equal(kept[0], view.nodes["kv_used_bytes"][0])
        np.testing.assert_array_equal(kept[1], view.engines["kv_used_bytes"][0])
        mapped += int((kept[0] > 0).sum())
        # Some decisions pass between two looks, so that what was kept grows old.
        for _ in range(decisions % 4):
            tier = answer_and_run(engine, 0, OWN, ALL_TIERS, 0.0) if tier != NO_TIER else tier
        tier = answer_and_run(engine, 0, OWN, ALL_TIERS, 0.0) if tier != NO_TIER else tier
    assert decisions > 100
    assert mapped > 100
