"""A context while its tool runs: held, left, offloaded or dropped, on instances that a person can follow."""

from __future__ import annotations

import numpy as np
import pytest

from maestro_gym.baselines.registry import CONTEXT_RULES, load_policy
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.actions import HOLD, LEAVE, OFFLOAD, held_s, hold_code
from maestro_gym.scheduling.tiers import NO_TIER, TIER_CONTEXT
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import act, open_engine, run_until
from maestro_gym.state import CPU, Episode
from tests.sim.conftest import Call, make_episode, run_hand_made
from tests.sim.invariants import check_state

PROMPT, ANSWER, GAP_S = 4000, 17, 20.0
HELD = 4016
"""Tokens of a context: the prompt and the answer, whose last token is never computed, in whole blocks."""

OVERRIDES = (
    "limits.api_s=0.0",
    "fleet.local_latency_s=0.0",
    "fleet.link_latency_s=0.0",
    "fleet.link_bytes_per_s=1.0e+30",
    "limits.growth_s=0.0",
    "fleet.clusters.solo.hosts.0.nodes=1",
)


@pytest.fixture(scope="module")
def holding() -> Scenario:
    """`toy` with one node, whose contexts may be held for 60 s."""
    return Scenario.load("toy", ["limits.context_hold_max_s=60", *OVERRIDES])


def with_room(scenario: Scenario, tokens: int) -> Scenario:
    """The scenario with a KV pool of so many tokens of the first model, which alone is RUNNING."""
    world = scenario.world
    world.nodes["hbm_pool_bytes"] = (
        world.perf["weight_bytes"][0, world.models["arch"][0]]
        + world.params["margin_bytes"][0]
        + tokens * world.perf["kv_bytes_per_token"][0, world.models["arch"][0]]
    )
    return scenario


def session(at_s: float, number: int, *, tool: bool = True) -> tuple[float, list[Call]]:
    """Two calls of one conversation with a tool between them, or a single call."""
    first = Call(PROMPT, ANSWER, gap_s=GAP_S, ctx=(100 + number, 0))
    second = Call(PROMPT + 400, ANSWER, parents=(0,), ctx=(100 + number, PROMPT + ANSWER))
    return at_s, [first, second] if tool else [first]


def episode_of(*sessions: tuple[float, list[Call]]) -> Episode:
    episode = make_episode(list(sessions))
    episode.hidden["tool_intent"] = episode.hidden["num_children"] > 0
    return episode


def hits(simulation: Simulation) -> list[int]:
    """Tokens of the second calls that the cache served."""
    view = simulation.state.visible
    second = np.flatnonzero(simulation.state.hidden.truth[0]["num_parents"] > 0)
    return view.stages[0][second]["prefix_hit_tokens"].tolist()


def test_without_memory_pressure_a_kept_context_spares_the_prefill(holding: Scenario) -> None:
    """What is held and what is left in the cache are found again; what was dropped is computed again."""
    episode = episode_of(session(0.0, 0))
    names = ("fcfs", "kv-keep", "kv-offload", "kv-drop", "kv-continuum")
    runs = {name: run_hand_made(holding, episode, name) for name in names}
    assert {name: hits(run) for name, run in runs.items()} == {
        "fcfs": [HELD],
        "kv-keep": [HELD],
        "kv-offload": [HELD],
        "kv-drop": [0],
        "kv-continuum": [HELD],
    }
    done_s = {name: run.state.visible.workflows[0, 0]["finished_s"] for name, run in runs.items()}
    assert done_s["kv-keep"] == done_s["fcfs"] == done_s["kv-continuum"] < done_s["kv-offload"] < done_s["kv-drop"]
    # What is offloaded costs its bytes over PCIe.
    node, arch = holding.world.nodes[0], holding.world.models["arch"][0]
    host = holding.world.hosts[node["host"]]
    rate = min(host["pcie_gpu_bytes_per_s"], host["pcie_host_bytes_per_s"] / node["gpus"])
    copy_s = HELD * holding.world.perf["kv_bytes_per_token"][node["hardware"], arch] / rate
    assert done_s["kv-offload"] - done_s["kv-keep"] == pytest.approx(copy_s, rel=1e-6)
    for run in runs.values():
        check_state(run.state)


def test_a_held_context_outlives_what_would_have_taken_its_room(holding: Scenario) -> None:
    """Room for three contexts: three single calls during the tool evict a cached one, and not a held one."""
    scenario = with_room(Scenario.load("toy", ["limits.context_hold_max_s=60", *OVERRIDES]), 3 * HELD + 800)
    others = [session(2.0 + 2.0 * i, 1 + i, tool=False) for i in range(3)]
    episode = episode_of(session(0.0, 0), *others)
    assert hits(run_hand_made(scenario, episode, "kv-keep")) == [HELD]
    assert hits(run_hand_made(scenario, episode, "fcfs"))[0] < HELD


def test_under_full_pressure_holding_keeps_others_waiting_and_dropping_does_not() -> None:
    """Room for one call: while a context is held nobody else is served; once it is gone, the others go meanwhile."""
    scenario = with_room(Scenario.load("toy", ["limits.context_hold_max_s=60", *OVERRIDES]), HELD + 1000)
    episode = episode_of(session(0.0, 0), session(2.0, 1, tool=False), session(3.0, 2, tool=False))
    finished = {
        name: run_hand_made(scenario, episode, name).state.visible.workflows[0, :3]["finished_s"]
        for name in ("kv-keep", "kv-offload", "kv-drop")
    }
    assert finished["kv-drop"][1:].max() < GAP_S < finished["kv-keep"][1:].min()
    assert finished["kv-offload"][1:].tolist() == finished["kv-drop"][1:].tolist()
    assert finished["kv-offload"].mean() < finished["kv-drop"].mean() < finished["kv-keep"].mean()


def test_a_host_without_room_for_a_context_leaves_it_in_the_cache() -> None:
    scenario = Scenario.load("toy", ["limits.context_hold_max_s=60", *OVERRIDES])
    simulation = Simulation(scenario.world, evaluation=True)
    simulation.load(0, episode_of(session(0.0, 0)))
    engine = open_engine(simulation, load_policy("kv-offload", scenario))
    assert run_until(engine, 0, 1 << TIER_CONTEXT) == TIER_CONTEXT
    weights = sum(
        scenario.world.perf["weight_bytes"][0, model["arch"]]
        for model, place in zip(scenario.world.models, simulation.state.visible.host_models[0, 0], strict=True)
        if place["tier"] == CPU
    )
    unit = scenario.world.perf["kv_bytes_per_token"][0, scenario.world.models["arch"][0]]
    scenario.world.hosts["dram_bytes"] = weights + HELD * unit - 1.0
    assert act(engine, 0, TIER_CONTEXT, OFFLOAD)
    assert simulation.state.visible.nodes[0, 0]["kv_cached_bytes"] == HELD * unit
    assert simulation.state.core.host_kv_bytes[0].tolist() == [0.0]


def test_an_offloaded_context_takes_the_memory_of_its_host_until_its_time_is_over(holding: Scenario) -> None:
    simulation = Simulation(holding.world, evaluation=True)
    # No second call comes before the limit of 60 s.
    at_s, calls = session(0.0, 0)
    calls[0].gap_s = 100.0
    simulation.load(0, episode_of((at_s, calls)))
    engine = open_engine(simulation, load_policy("kv-offload", holding))
    assert run_until(engine, 0, 1 << TIER_CONTEXT) == TIER_CONTEXT
    assert act(engine, 0, TIER_CONTEXT, OFFLOAD)
    view = simulation.state.visible
    unit = holding.world.perf["kv_bytes_per_token"][0, holding.world.models["arch"][0]]
    assert simulation.state.core.host_kv_bytes[0].tolist() == [HELD * unit]
    assert view.nodes[0, 0]["kv_cached_bytes"] == view.nodes[0, 0]["kv_reserved_bytes"] == 0.0
    check_state(simulation.state)
    assert run_until(engine, 0, 0b001) != NO_TIER
    assert simulation.state.core.host_kv_bytes[0].tolist() == [0.0]
    check_state(simulation.state)
    assert run_until(engine, 0, 0) == NO_TIER
    assert hits(simulation) == [0]


def test_what_is_held_is_let_go_after_its_time(holding: Scenario) -> None:
    """Held for 5 s of a tool of 20 s: reserved until then, cached after."""
    simulation = Simulation(holding.world, evaluation=True)
    simulation.load(0, episode_of(session(0.0, 0)))
    policy = load_policy("kv-keep", holding)
    engine = open_engine(simulation, policy)
    view = simulation.state.visible
    assert run_until(engine, 0, 1 << TIER_CONTEXT) == TIER_CONTEXT
    assert act(engine, 0, TIER_CONTEXT, HOLD + 5000)
    unit = holding.world.perf["kv_bytes_per_token"][0, holding.world.models["arch"][0]]
    assert view.nodes[0, 0]["kv_reserved_bytes"] == HELD * unit
    assert view.nodes[0, 0]["kv_cached_bytes"] == 0.0
    done_s = view.clock[0]["now_s"]
    check_state(simulation.state)
    # The next decision is about the second call, when its tool has answered.
    assert run_until(engine, 0, 0b001) != NO_TIER
    assert view.clock[0]["now_s"] == pytest.approx(done_s + GAP_S)
    assert view.nodes[0, 0]["kv_reserved_bytes"] == 0.0
    assert view.nodes[0, 0]["kv_cached_bytes"] == HELD * unit
    check_state(simulation.state)


def test_codes_say_how_long() -> None:
    assert hold_code(0.0) == LEAVE
    assert held_s(hold_code(2.5)) == 2.5
    assert held_s(hold_code(float("inf"))) >= 1e9


def test_nobody_is_asked_where_the_switch_is_off() -> None:
    scenario = Scenario.load("toy", list(OVERRIDES))
    assert hits(run_hand_made(scenario, episode_of(session(0.0, 0)), "kv-drop")) == [HELD]


@pytest.mark.parametrize("policy", sorted(f"{name}+maestro" for name, rule in CONTEXT_RULES.items() if rule.rival))
def test_nothing_is_lost_under_pressure(policy: str) -> None:
    """Many conversations on one small node: everything ends, and every account is the sum of its parts."""
    scenario = with_room(Scenario.load("toy", ["limits.context_hold_max_s=30", *OVERRIDES]), 3 * HELD)
    episode = episode_of(*(session(0.7 * i, i, tool=i % 3 > 0) for i in range(24)))
    simulation = run_hand_made(scenario, episode, policy)
    check_state(simulation.state)
    assert simulation.state.core.counters[0]["finished"] == 24
    assert simulation.state.core.counters[0]["invalid_actions"] == 0
