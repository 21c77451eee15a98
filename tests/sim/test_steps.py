"""Engine steps: what is hand-computed token by token is what the fast-forward says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from maestro_gym.episodes.scenario import Scenario
from maestro_gym.performance.step_tables import StepTables, step_tables, step_time_s
from tests.sim.conftest import Call, make_episode, run_hand_made


def _tables(scenario: Scenario, model: int = 0) -> StepTables:
    config = scenario.config
    architecture = config.architectures[config.models[model].architecture]
    limits = config.limits
    sizes = limits.max_num_batched_tokens, limits.max_num_seqs
    return step_tables(architecture, config.gpus["A100-80GB"], 1, *sizes, limits.moe_kernel)


def _token_by_token(tables: StepTables, calls: list[Call], budget: int) -> tuple[list[float], list[float]]:
    """First-token and finish times of calls admitted together at 0 to one engine that nothing disturbs."""
    computed, generated = [0] * len(calls), [0] * len(calls)
    first, finish = [math.inf] * len(calls), [math.inf] * len(calls)
    now_s = 0.0
    while any(f == math.inf for f in finish):
        left, prefills, decodes, sampling, plan = budget, [], [], 0, []
        for i, call in enumerate(calls):
            if finish[i] < math.inf or left == 0:
                continue
            if computed[i] < call.prompt:
                chunk = min(left, call.prompt - computed[i])
                prefills.append((chunk, computed[i]))
                sampling += computed[i] + chunk == call.prompt
                plan.append((i, chunk))
                left -= chunk
            else:
                decodes.append(computed[i] + 1)
                plan.append((i, 1))
                left -= 1
        now_s += step_time_s(tables, prefills, decodes, sampling_prefills=sampling)
        for i, chunk in plan:
            decoding = computed[i] >= calls[i].prompt
            computed[i] += chunk
            if decoding or computed[i] == calls[i].prompt:
                generated[i] += 1
                first[i] = min(first[i], now_s)
                if generated[i] == calls[i].output:
                    finish[i] = now_s
    return first, finish


@pytest.mark.parametrize(
    "calls",
    [
        [Call(100, 1)],
        [Call(3000, 40)],
        [Call(5000, 200), Call(100, 7)],
        [Call(700, 90), Call(1900, 30), Call(16, 250), Call(2500, 3)],
        [Call(64 + 31 * i, 5 + 17 * i) for i in range(8)],
    ],
    ids=["one token", "chunked prefill", "long and short", "mixed batch", "eight"],
)
def test_fast_forward_is_exact_beside_token_by_token(toy: Scenario, calls: list[Call]) -> None:
    # Only one node has the model RUNNING, so all go there.
    stages = run_hand_made(toy, make_episode([(1.0, [call]) for call in calls])).state.visible.stages[0, : len(calls)]
    assert set(stages["node"]) == {stages[0]["node"]}
    first, finish = _token_by_token(_tables(toy), calls, 2048)
    np.testing.assert_allclose(stages["first_token_s"] - 1.0, first, rtol=0, atol=1e-9)
    np.testing.assert_allclose(stages["finished_s"] - 1.0, finish, rtol=0, atol=1e-9)


def test_a_late_arrival_joins_at_the_next_token_boundary(toy: Scenario) -> None:
    tables = _tables(toy)
    early, late = Call(1000, 400), Call(500, 10)
    alone = run_hand_made(toy, make_episode([(0.0, [early])])).state.visible.stages[0, 0]
    state = run_hand_made(toy, make_episode([(0.0, [early]), (1.0, [late])])).state
    both = state.visible.stages[0]
    assert both[0]["node"] == both[1]["node"]
    # Step by hand up to the first boundary at or after 1 s, then the newcomer's prefill step.
    now_s, context = step_time_s(tables, [(1000, 0)], [], sampling_prefills=1), 1000
    while now_s < 1.0 - 1e-9:
        now_s += step_time_s(tables, [], [context + 1])
        context += 1
    now_s += step_time_s(tables, [(500, 0)], [context + 1], sampling_prefills=1)
    assert both[1]["first_token_s"] == pytest.approx(now_s, abs=1e-9)
    assert both[0]["finished_s"] > alone["finished_s"]


def test_an_engine_that_schedules_ahead_lets_a_newcomer_wait_for_one_step_more(toy: Scenario) -> None:
    limits = toy.config.limits.model_copy(update={"schedule_ahead": True})
    ahead = Scenario(toy.config.model_copy(update={"limits": limits}))
    state = run_hand_made(ahead, make_episode([(0.0, [Call(1000, 400)]), (1.0, [Call(500, 10)])])).state
    both = state.visible.stages[0]
    tables = _tables(toy)
    now_s, context = step_time_s(tables, [(1000, 0)], [], sampling_prefills=1), 1000
    # Nothing ran when the first came: no step was scheduled before it.
    assert both[0]["first_token_s"] == pytest.approx(now_s, abs=1e-9)
    while now_s < 1.0 - 1e-9:
        now_s += step_time_s(tables, [], [context + 1])
        context += 1
    # The step that had been scheduled when the newcomer came, then the one with its prompt.
    now_s += step_time_s(tables, [], [context + 1])
    now_s += step_time_s(tables, [(500, 0)], [context + 2], sampling_prefills=1)
    assert both[1]["first_token_s"] == pytest.approx(now_s, abs=1e-8)


def test_two_busy_engines_take_turns() -> None:
    # One node, on which both models are RUNNING from the start.
    overrides = ["limits.api_s=0.0", "fleet.clusters.solo.hosts.0.nodes=1", "models.1.architecture=Qwen3-8B"]
    scenario = Scenario.load("toy", overrides)
    calls = [Call(64, 200, model=0), Call(64, 200, model=1)]
    together = run_hand_made(scenario, make_episode([(0.0, [call]) for call in calls]))
    alone = [
        run_hand_made(scenario, make_episode([(0.0, [call])])).state.visible.stages[0, 0]["finished_s"]
        for call in calls
    ]
    finished = together.state.visible.stages[0]["finished_s"][:2]
    # While both decode, each is slowed by the sum of the busy shares; the first to end felt it throughout.
    share = 2 * scenario.config.limits.share_decode
    assert min(finished) == pytest.approx(share * min(alone), rel=0.03)
    assert max(finished) < share * max(alone)


def test_children_wait_for_all_parents_and_their_gaps(toy: Scenario) -> None:
    calls = [
        Call(100, 20, gap_s=2.0),
        Call(100, 30, parents=[0], gap_s=0.5),
        Call(100, 90, parents=[0], gap_s=0.0),
        Call(100, 5, parents=[1, 2]),
    ]
    stages = run_hand_made(toy, make_episode([(3.0, calls)])).state.visible.stages[0]
    assert stages[0]["ready_s"] == 3.0
    assert stages[1]["ready_s"] == pytest.approx(stages[0]["finished_s"] + 2.0, abs=1e-9)
    assert stages[2]["ready_s"] == stages[1]["ready_s"]
    joined = max(stages[1]["finished_s"] + 0.5, stages[2]["finished_s"])
    assert stages[3]["ready_s"] == pytest.approx(joined, abs=1e-9)
