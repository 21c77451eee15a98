"""What spares the rules a scan: it says the same as the scan does, at every decision, under every policy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from maestro_gym.baselines.registry import load_policy, policy_names
from maestro_gym.core.bits import num_words
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.tiers import ALL_TIERS, NO_TIER
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import OWN, answer_and_run, open_engine, run_until
from maestro_gym.state import (
    DUTY_DECODE,
    ENGINE_ASLEEP,
    ENGINE_AWAKE,
    ENGINE_LOADING,
    NODE_READY,
    STAGE_READY,
    Episode,
)
from tests.sim.test_invariants import digest


def play(scenario: Scenario, episode: Episode, policy: str, seed: int, *, plain: bool) -> Simulation:
    """Run an episode, with the sets and lists or by plain scans."""
    simulation = Simulation(scenario.world, evaluation=True)
    simulation.load(0, episode, key=seed)
    simulation.state.visible.clock["indexed"] = 0 if plain else 1
    run_until(open_engine(simulation, load_policy(policy, scenario)), 0, 0)
    return simulation


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    policy=st.sampled_from(policy_names()),
    memory=st.sampled_from(["elastic", "partitioned"]),
    load=st.floats(0.3, 4.0),
    queue_limit=st.integers(1, 12),
    max_num_seqs=st.integers(1, 64),
    dram_gb=st.sampled_from([1, 60, 512]),
    seed=st.integers(0, 1000),
)
@example(policy="dlpm", memory="elastic", load=1.0, queue_limit=2, max_num_seqs=1, dram_gb=1, seed=0)
def test_every_policy_decides_as_by_plain_scans(
    policy: str, memory: str, load: float, queue_limit: int, max_num_seqs: int, dram_gb: int, seed: int
) -> None:
    overrides = [
        "horizon_s=60",
        "drain_s=60",
        f"limits.memory_mode={memory}",
        f"workload.load={load}",
        f"limits.node_queue_limit={queue_limit}",
        f"limits.max_num_seqs={max_num_seqs}",
        f"hosts.gpu2-512.dram_gb={dram_gb}",
        "workload.family=maestro",
        "predictor.kind=noisy",
    ]
    scenario = Scenario.load("toy", overrides)
    episode = scenario.episode("test", seed, 0, may_be_empty=True)
    runs = [play(scenario, episode, policy, seed, plain=plain) for plain in (False, True)]
    assert digest(runs[0]) == digest(runs[1])


@pytest.mark.parametrize(
    "policy", ["maestro", "searched", "no-colocation+maestro", "jsq", "power-of-two+maestro", "srtf"]
)
def test_a_fleet_of_more_than_one_word_decides_as_by_plain_scans(policy: str) -> None:
    scenario = Scenario.load("paper", ["contention=overload", "horizon_s=40", "drain_s=60"])
    episode = scenario.episode("validation", 5, 0)
    runs = [play(scenario, episode, policy, 5, plain=plain) for plain in (False, True)]
    assert digest(runs[0]) == digest(runs[1])


def members(words: np.ndarray, size: int) -> np.ndarray:
    """A set as truth values, one a node."""
    return (words[..., np.arange(size) >> 5] >> (np.arange(size) & 31) & 1).astype(bool)


def check_index(simulation: Simulation) -> None:
    """Assert that sets, counts, lists and calendars are what a scan of the state finds."""
    view, _, core = simulation.state
    nodes, engines, stages = view.nodes[0], view.engines[0], view.stages[0]
    num_nodes, num_models = len(nodes), len(view.models[0])
    held = engines["model"][:, :, None] == np.arange(num_models)
    statuses = {
        "warm": np.isin(engines["status"], (ENGINE_AWAKE, ENGINE_LOADING)),
        "asleep": engines["status"] == ENGINE_ASLEEP,
    }
    roomy = nodes["queue_len"] + nodes["inbound"] < view.world.params["node_queue_limit"][0]
    roomy &= nodes["node_state"] == NODE_READY
    np.testing.assert_array_equal(members(view.roomy[0], num_nodes), roomy)
    found = {name: (held & status[:, :, None]).any(1).T for name, status in statuses.items()}
    # Counts are of nodes that calls can be sent to.
    takes_calls = view.world.nodes["duty"] != DUTY_DECODE
    for name, expected in found.items():
        np.testing.assert_array_equal(members(getattr(view, name)[0], num_nodes), expected)
        np.testing.assert_array_equal(view.models[0][f"{name}_nodes"], (expected & takes_calls).sum(1))
    np.testing.assert_array_equal(view.models[0]["open_nodes"], (found["warm"] & roomy & takes_calls).sum(1))
    for array, part in ((view.members, "cluster"), (core.host_nodes, "host")):
        for i in range(array.shape[1]):
            np.testing.assert_array_equal(members(array[0, i], num_nodes), view.world.nodes[part] == i)
    for tier in range(core.tier_hosts.shape[2]):
        np.testing.assert_array_equal(core.tier_hosts[0, :, tier], (view.host_models[0]["tier"] == tier).sum(0))
    queue = view.global_queue[0, : view.clock[0]["global_len"]].tolist()
    assert (np.diff(view.ready_rank[0, queue]) > 0).all()
    for model in range(num_models):
        listed, stage = [], int(view.ready_first[0, model])
        while stage >= 0:
            listed.append(stage)
            stage = int(view.ready_next[0, stage])
        assert listed == [stage for stage in queue if stages["model"][stage] == model]
        assert view.models[0, model]["returned"] == (stages["preemptions"][listed] > 0).sum()
    begun, stage = [], int(core.env[0]["begun_first"])
    while stage >= 0:
        begun.append(stage)
        stage = int(core.begun_next[0, stage])
    done = view.workflows[0]["stages_done"][stages["workflow"]]
    assert (stages["phase"][queue] == STAGE_READY).all()
    assert begun == [stage for stage in queue if done[stage] > 0 and core.sequences[0, stage]["passed_over"] == 0]
    for tree in (core.events_s[0], core.waits_s[0], core.due[0], core.dirty[0], *view.spare_since_s[0]):
        half = len(tree) // 2
        np.testing.assert_array_equal(tree[1:half], np.minimum(tree[2::2], tree[3::2])[: half - 1])
    engine_events = np.minimum(core.engines[0]["event_s"], core.engines[0]["load_event_s"]).min(1)
    half = core.events_s.shape[1] // 2
    assert (core.events_s[0, half : half + num_nodes] <= engine_events).all()


@pytest.mark.parametrize("failures", [False, True])
@pytest.mark.parametrize("policy", ["maestro", "searched", "fcfs"])
@pytest.mark.parametrize("memory", ["elastic", "partitioned"])
def test_sets_lists_and_calendars_are_what_a_scan_finds(policy: str, memory: str, failures: bool) -> None:
    overrides = ["contention=overload", "horizon_s=60", f"limits.memory_mode={memory}", "limits.node_queue_limit=6"]
    overrides += ["fleet.failures.node_mtbf_s=60", "fleet.failures.host_mtbf_s=100"] if failures else []
    scenario = Scenario.load("quick", overrides)
    simulation = Simulation(scenario.world, evaluation=True)
    simulation.load(0, scenario.episode("validation", 3, 0))
    engine = open_engine(simulation, load_policy(policy, scenario))
    decisions, tier = 0, run_until(engine, 0, ALL_TIERS)
    while tier != NO_TIER:
        decisions += 1
        if decisions % 97 == 0:
            check_index(simulation)
        tier = answer_and_run(engine, 0, OWN, ALL_TIERS, 0.0)
    check_index(simulation)
    assert decisions > 1000
    assert num_words(len(simulation.world.nodes)) == simulation.state.visible.roomy.shape[1]
