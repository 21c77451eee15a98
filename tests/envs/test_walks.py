"""Random legal walks through random scenarios: nothing raises, loops, or gets lost.

``MAESTRO_FUZZ=500 pytest tests/envs/test_walks.py`` walks through so many scenarios of each tier.
"""

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maestro_gym.state import STAGE_PHASE_NAMES, STAGE_QUEUED, STAGE_READY, STAGE_RUNNING, STAGE_TRANSIT
from tests.envs.walks import TIERS, make, random_legal

EXAMPLES = int(os.environ.get("MAESTRO_FUZZ", "8"))
"""Scenarios of each tier."""

_SCENARIOS = st.fixed_dictionaries(
    {
        "horizon_s": st.sampled_from([4, 10]),
        "contention": st.sampled_from(["low", "high"]),
        "limits.node_queue_limit": st.sampled_from([1, 3, 8]),
        "limits.max_num_seqs": st.sampled_from([1, 4, 128]),
        "limits.memory_mode": st.sampled_from(["elastic", "partitioned"]),
        "limits.gpu_sharing": st.sampled_from(["timeslice", "mps"]),
        "limits.prefix_caching": st.booleans(),
        "limits.admission": st.booleans(),
        "limits.wait_max_s": st.sampled_from([0.05, 5.0]),
        "limits.metrics_delay_s": st.sampled_from([0.0, 0.5]),
        "limits.signals": st.sampled_from(
            [
                "null",
                "{queues: {period_s: 2, delay_s: 1}, residency: {period_s: 0.5}}",
                "{queues: {period_s: 2}, residency: {period_s: 1, delay_s: 1}, routers: 3, own_sends: true}",
            ]
        ),
        "limits.autoscaling": st.sampled_from(["null", "{period_s: 1, start_s: 2, min_nodes: 2}"]),
        "fleet": st.sampled_from(["quick", "mixed_gpus"]),
        "fleet.failures": st.sampled_from(
            [
                "null",
                "{node_mtbf_s: 20, node_mttr_s: 3, host_mtbf_s: 30, host_mttr_s: 3}",
                "{link_mtbf_s: 3, link_mttr_s: 2}",
            ]
        ),
        "workload.tools": st.sampled_from(["null", "{all: {places: 1}}"]),
        "workload.initial_placement": st.sampled_from(["warm", "cold"]),
        "predictor.kind": st.sampled_from(["noisy", "constant", "oracle"]),
    }
)


def _assert_nothing_lost(env: object) -> None:
    view, core = env.batch.state.visible, env.batch.state.core
    counters, workflows, stages = core.counters[0], view.workflows[0], view.stages[0]
    arrived = np.isfinite(workflows["arrival_s"])
    rejected = np.isfinite(workflows["rejected_s"])
    present = arrived & ~np.isfinite(workflows["finished_s"]) & ~rejected
    assert counters["rejected"] == rejected.sum()
    assert counters["arrived"] == arrived.sum() == counters["finished"] + present.sum() + rejected.sum()
    phases = np.bincount(stages["phase"], minlength=len(STAGE_PHASE_NAMES))
    nodes, clock = view.nodes[0], view.clock[0]
    assert phases[STAGE_READY] == clock["global_len"] + (clock["stage"] >= 0)
    assert phases[STAGE_TRANSIT] == nodes["inbound"].sum()
    assert phases[STAGE_QUEUED] == nodes["queue_len"].sum()
    assert phases[STAGE_RUNNING] == nodes["running"].sum()
    pool = view.world.nodes["hbm_pool_bytes"]
    assert (nodes["kv_reserved_bytes"] >= -1.0).all()
    assert (nodes["kv_reserved_bytes"] + nodes["weights_bytes"] <= pool * (1 + 1e-9)).all()


@pytest.mark.parametrize("tier", TIERS)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    scenario=_SCENARIOS,
    flood=st.booleans(),
    seed=st.integers(0, 1000),
    companions=st.sampled_from(["maestro", "fcfs", "queue-threshold"]),
)
def test_a_random_legal_walk_never_raises_loops_or_loses_anything(
    tier: str, scenario: dict[str, object], flood: bool, seed: int, companions: str
) -> None:
    # The scenario with a tenant who floods the others has a load of its own.
    overrides = [f"{key}={value}" for key, value in scenario.items() if not (flood and key == "contention")]
    name = "flood" if flood else "quick"
    env = make(tier, scenario=name, overrides=overrides, illegal="raise", companions=companions)
    observation, info = env.reset(seed=seed)
    world = env.batch.scenario.world
    at_once = 0
    for step in range(150):
        assert info["action_mask"].any()
        assert env.observation_space.contains(observation)
        observation, _, terminated, truncated, info = env.step(random_legal(info["action_mask"], seed, step))
        assert not info["invalid_action"]
        at_once = at_once + 1 if info["dt_s"] == 0.0 else 0
        # At one instant a stage moves at most thrice and a place changes a model's residency once.
        in_system = int((env.batch.state.visible.stages[0]["phase"] > 0).sum())
        assert at_once <= 3 * in_system + 2 * len(world.nodes) * len(world.models)
        _assert_nothing_lost(env)
        if terminated or truncated:
            break
    assert env.batch.state.core.counters[0]["invalid_actions"] == 0
    assert info["end_reason"] != 3
