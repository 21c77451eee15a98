"""What switches of a scenario add to an agent's observation and actions: there with the switch, true, and obeyed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import gymnasium
import numpy as np
import pytest

from maestro_gym.baselines import load_policy
from maestro_gym.envs.batch.agent_batch import EnvOptions
from maestro_gym.envs.batch.own_rule import NO_ANSWER
from maestro_gym.envs.batch.simulated import Batch
from maestro_gym.envs.observation.additions import ADDITIONS
from maestro_gym.envs.observation.layout import TIER_SPECS
from maestro_gym.envs.observation.scales import of_share, of_time
from maestro_gym.envs.pettingzoo.seats import make_seats
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.load_times import carry_s
from maestro_gym.scheduling.tiers import TIER_CONTEXT, TIER_TOOL
from maestro_gym.state import NODE_DRAINING, NODE_OFF, NODE_STARTING
from tests.envs.walks import TIERS, make, random_legal, walk

SHORT = "horizon_s=60"
WHERE = {
    "tenants": ("flood", (SHORT,)),
    "pools": ("pools", (SHORT,)),
    "tools": ("sandboxes", (SHORT, "workload.tools={all: {places: 2}}")),
    "scaling": ("diurnal", (SHORT, "limits.autoscaling.period_s=5")),
    "degrees": ("elastic", ("horizon_s=200", "limits.parallelism.period_s=10")),
    "contexts": ("quick", (SHORT, "limits.context_hold_max_s=30")),
}
"""A scenario with each of them."""

CASES = [(name, tier) for name, addition in ADDITIONS.items() for tier in TIERS if tier in addition.tiers]


def _make(name: str, tier: str, **options: object) -> gymnasium.Env:
    scenario, overrides = WHERE[name]
    return make(tier, scenario=scenario, overrides=overrides, **options)


def _column(env: gymnasium.Env, part: str, name: str) -> int:
    names = [column.name for column in getattr(env.batch.layout.spec, f"{part}_columns")]
    return names.index(name)


def _first(env: gymnasium.Env, is_it: Callable[[], bool], choose: Callable[[], int] | None = None) -> dict:
    """Walk to the first decision of a kind; what is seen there."""
    observation, info = env.reset(seed=1)
    for step in range(20_000):
        if is_it():
            return observation
        action = choose() if choose else random_legal(info["action_mask"], 0, step)
        observation, _, terminated, truncated, info = env.step(action)
        if terminated or truncated:
            observation, info = env.reset()
    raise AssertionError("never asked")


@pytest.mark.parametrize(("name", "tier"), CASES)
def test_an_addition_stands_behind_all_else_and_says_something(name: str, tier: str) -> None:
    env, plain = _make(name, tier), TIER_SPECS[tier]
    spec = env.batch.layout.spec
    assert spec.additions == (name,)
    assert spec.row_columns[: len(plain.row_columns)] == plain.row_columns
    assert spec.context_columns[: len(plain.context_columns)] == plain.context_columns
    said = {"row": np.zeros(len(spec.row_columns), bool), "context": np.zeros(len(spec.context_columns), bool)}
    for choose in (None, lambda: max(0, int(env.batch.own_answers()[0]))):
        for observation, _, ended, info in walk(env, 0, 2500, choose):
            assert env.observation_space.contains(observation)
            if not ended:
                np.testing.assert_array_equal(observation["candidates"][:, 0] == 1.0, info["action_mask"])
            said["row"] |= observation["candidates"].any(0)
            said["context"] |= observation["context"].any(0)
    added = {part: len(getattr(plain, f"{part}_columns")) for part in said}
    silent = {
        column.name
        for part, first in added.items()
        for column, told in zip(getattr(spec, f"{part}_columns")[first:], said[part][first:], strict=True)
        if not told
    }
    # Nothing waits for tools here, and a stage says little of itself before it has run.
    assert silent <= {"kept_queue", "stage_pauses", "stage_protected", "tenant_quota"}, silent


@pytest.mark.parametrize("tier", TIERS)
def test_without_a_switch_nothing_is_added(tier: str) -> None:
    assert make(tier).batch.layout.spec is not None
    assert make(tier).batch.layout.spec == TIER_SPECS[tier]


@pytest.mark.parametrize("companions", ["maestro", "best"])
@pytest.mark.parametrize(("name", "tier"), CASES)
def test_following_the_own_rule_is_the_companions_own_episode(name: str, tier: str, companions: str) -> None:
    rules = {"tools": "tool-edf+maestro", "scaling": "queue-threshold+maestro", "degrees": "quickest-degree+maestro"}
    rules["contexts"] = "kv-offload+maestro"
    if companions == "best":
        if name not in rules:
            pytest.skip("no rule of its own is asked")
        companions = rules[name]
    scenario = Scenario.load(*WHERE[name])
    batch = Batch(tier, EnvOptions(scenario, companions=companions, split="test", evaluation=True, window=1024), 1)
    batch.begin_all([5])
    asked: Counter[int] = Counter()
    while not batch.outcome["done"][0]:
        answers = batch.own_answers()
        assert answers[0] != NO_ANSWER
        asked[int(batch.outcome["tier"][0])] += 1
        batch.step(answers)
    alone = run_episode(scenario, load_policy(companions, scenario), "test", 5, 0, samples=0)
    counters = batch.state.core.counters[0]
    for counter in counters.dtype.names:
        assert counters[counter] == alone.counters[counter], counter
    if ADDITIONS[name].asks is not None:
        assert asked[ADDITIONS[name].asks] > 0


def test_a_call_that_is_given_a_place_gets_it_and_its_wait_is_shown() -> None:
    env = _make("tools", "global", illegal="raise")
    outcome, view = env.batch.outcome, lambda: env.batch.state.visible
    seen = _first(env, lambda: outcome["tier"][0] == TIER_TOOL and env.action_masks().sum() > 1)
    window, rows = env.batch.buffers.window[0], int(env.batch.layout.record[0]["rows_tools"])
    legal = np.flatnonzero(env.action_masks())
    assert legal.min() == rows
    tool = int(outcome["place"][0])
    assert len(legal) == min(len(window), int(view().tools[0, tool]["queued"]))
    now_s = float(view().clock[0]["now_s"])
    for action in legal:
        stage, row = int(window[action - rows]), seen["candidates"][action]
        assert row[_column(env, "row", "call_gives")] == 1.0
        wait_s = now_s - float(view().stages[0, stage]["finished_s"])
        assert row[_column(env, "row", "call_wait")] == pytest.approx(of_time(wait_s), rel=1e-6)
    chosen = int(window[legal[-1] - rows])
    env.step(int(legal[-1]))
    assert float(view().stages[0, chosen]["tool_started_s"]) == now_s


def test_nodes_are_started_and_stopped() -> None:
    env = _make("scaling", "global", illegal="raise")
    rows, nodes = int(env.batch.layout.record[0]["rows_scaling"]), len(env.batch.scenario.world.nodes)

    def stops() -> bool:
        return bool(env.action_masks()[rows + nodes : rows + 2 * nodes].any())

    seen = _first(env, stops)
    assert seen["context"][_column(env, "context", "scale_due")] == 1.0
    assert seen["context"][_column(env, "context", "scale_on")] == 1.0
    node = int(np.flatnonzero(env.action_masks()[rows + nodes :])[0])
    seen, *_, info = env.step(rows + nodes + node)
    state = int(env.batch.state.visible.nodes[0, node]["node_state"])
    assert state in (NODE_OFF, NODE_DRAINING)
    share = 1.0 - 1.0 / nodes
    assert seen["context"][_column(env, "context", "scale_on")] == pytest.approx(share)
    for step in range(5000):
        if info["action_mask"][rows + node]:
            break
        *_, info = env.step(random_legal(info["action_mask"][:rows], 0, step))
    env.step(rows + node)
    assert int(env.batch.state.visible.nodes[0, node]["node_state"]) in (NODE_STARTING, 0)


def test_a_board_is_grouped_as_the_agent_says() -> None:
    env = _make("degrees", "node", illegal="raise")
    rows, world = int(env.batch.layout.record[0]["rows_degrees"]), env.batch.scenario.world
    view = lambda: env.batch.state.visible  # noqa: E731 - the arrays may be others after an episode
    seen = _first(env, lambda: int(view().clock[0]["regrouping"]) == 1)
    node = int(env.batch.outcome["place"][0])
    degrees = np.unique(world.nodes["gpus"])
    own = int(world.nodes["gpus"][node])
    offered = np.flatnonzero(env.action_masks())
    assert offered[0] == 0
    assert [int(degrees[action - rows]) for action in offered[1:]] == [p for p in degrees if p != own]
    assert seen["context"][_column(env, "context", "board_due")] == 1.0
    assert seen["context"][_column(env, "context", "board_gpus")] == pytest.approx(own / degrees.max())
    chosen = int(offered[-1])
    share = seen["candidates"][chosen][_column(env, "row", "degree_gpus")]
    assert share == pytest.approx(degrees[chosen - rows] / degrees.max())
    before = int(env.batch.state.core.counters[0]["regroups"])
    env.step(chosen)
    assert int(env.batch.state.core.counters[0]["regroups"]) == before + 1


def test_a_context_is_dropped_or_held_as_the_agent_says() -> None:
    env = _make("contexts", "node", illegal="raise")
    rows = int(env.batch.layout.record[0]["rows_contexts"])
    view = lambda: env.batch.state.visible  # noqa: E731 - the arrays may be others after an episode
    by_rule = lambda: int(env.batch.own_answers()[0])  # noqa: E731

    def entry() -> tuple[int, int, int]:
        stage = view().stages[0, int(view().clock[0]["place"])]
        node, slot = int(stage["node"]), int(view().slot_of[0, stage["node"], stage["model"]])
        found = np.flatnonzero(view().prefix_groups[0, node, slot] == stage["ctx_group"])
        return node, slot, int(found[0])

    is_asked = lambda: env.batch.outcome["tier"][0] == TIER_CONTEXT  # noqa: E731
    seen = _first(env, is_asked, by_rule)
    assert env.action_masks()[rows:].all()
    assert not env.action_masks()[:rows].any()
    hold = seen["candidates"][rows:, _column(env, "row", "fate_hold")]
    assert hold == pytest.approx([0.0, 0.0, 0.0, *(of_time(30.0 * part) for part in (0.125, 0.25, 0.5, 1.0))], rel=1e-6)
    node, slot, place = entry()
    assert int(env.batch.outcome["place"][0]) == node
    now_s = float(view().clock[0]["now_s"])
    env.step(rows + 4)
    assert float(view().prefixes[0, node, slot, place]["held_until_s"]) == pytest.approx(now_s + 7.5)
    _first(env, is_asked, by_rule)
    node, slot, place = entry()
    group = int(view().prefix_groups[0, node, slot, place])
    env.step(rows + 1)
    assert group not in view().prefix_groups[0, node, slot]


def test_a_tenant_is_shown_by_what_it_was_served_and_may_be() -> None:
    env = _make("tenants", "cluster")
    view = lambda: env.batch.state.visible  # noqa: E731 - the arrays may be others after an episode
    flooding = lambda: int(view().workflows[0, view().stages[0, view().clock[0]["stage"]]["workflow"]]["tenant"])  # noqa: E731
    seen = _first(env, lambda: flooding() == 0 and float(view().tenants[0]["output_tokens"].sum()) > 0.0)
    served = view().tenants[0]["prompt_tokens"] + 2.0 * view().tenants[0]["output_tokens"]
    now_s = float(view().clock[0]["now_s"])
    told = {name: seen["context"][_column(env, "context", f"tenant_{name}")] for name in ("weight", "service", "quota")}
    assert told["weight"] == pytest.approx(1 / 6)
    assert told["service"] == pytest.approx(served[0] / served.sum(), rel=1e-5)
    assert told["quota"] == pytest.approx(of_share(float(served[0]), 1000.0 * max(1.0, now_s)), rel=1e-5)


def test_a_call_that_is_handed_over_goes_to_nodes_that_decode() -> None:
    env = _make("pools", "cluster")
    view = lambda: env.batch.state.visible  # noqa: E731 - the arrays may be others after an episode
    stage = lambda: int(view().clock[0]["stage"])  # noqa: E731
    by_rule = lambda: int(env.batch.own_answers()[0])  # noqa: E731
    seen = _first(env, lambda: int(view().stages[0, stage()]["kv_tokens"]) > 0, by_rule)
    assert seen["context"][_column(env, "context", "handover_due")] == 1.0
    for action in np.flatnonzero(env.action_masks()):
        row, node = seen["candidates"][action], int(env.batch.buffers.codes[0, action])
        assert row[_column(env, "row", "duty_prefill")] == 0.0
        assert row[_column(env, "row", "duty_decode")] == 1.0
        assert carry_s(view(), 0, stage(), node) > 0.0
        assert row[_column(env, "row", "duty_carry")] > 0.0


def test_a_context_is_the_decision_of_the_node_where_it_lies() -> None:
    env = _make("contexts", "joint")
    by_rule = lambda: int(env.batch.own_answers()[0])  # noqa: E731
    seen = _first(env, lambda: env.batch.outcome["tier"][0] == TIER_CONTEXT, by_rule)
    seat = make_seats(env.batch, "tiers")["node"]
    joint = env.batch.buffers.mask[0]
    own = seat.observation({name: array for name, array in seen.items()}, asked=True)
    mask = seat.mask(joint, asked=True)
    rows = int(seat.layout.record[0]["rows_contexts"])
    assert mask.sum() == joint.sum() == 7
    assert mask[rows : rows + 7].all()
    names = [column.name for column in seat.layout.spec.context_columns]
    assert own["context"][names.index("kept_due")] == 1.0
    assert own["context"][names.index("kept_tokens")] > 0.0
