"""Published node rules, each on an instance whose answer its formula gives."""

from __future__ import annotations

import pytest

from maestro_gym.baselines.registry import NODE_RULES
from maestro_gym.scheduling.actions import ACT_ADMIT, ACT_WAIT, node_act
from maestro_gym.state import BATCH, INTERACTIVE
from tests.baselines.hand import GB, NOW_S, Hand, ask, node_rule


def _admitted(hand: Hand, name: str) -> int:
    """The stage that a rule admits, -1 when it waits."""
    hand.given(NODE_RULES[name])
    kind, place, _ = node_act(hand.view, ask(node_rule(name), hand))
    assert kind in (ACT_ADMIT, ACT_WAIT)
    node = int(hand.view.clock[0].place)
    return int(hand.view.node_queue[0, node, place]) if kind == ACT_ADMIT else -1


def _two_engines(running: tuple[int, int], admitted_s: tuple[float, float], kv_gb: tuple[float, float]) -> Hand:
    """Models 0 and 1, of popularity 3 and 2, run on node 0, whose pool is 30 GB: quotas of 18 and 12 GB."""
    hand = Hand()
    for model in range(2):
        slot = hand.engine(0, model, running=running[model])
        for place in range(running[model]):
            stage = hand.stage(model=model)
            hand.view.stages[0, stage].admitted_s = admitted_s[model]
            hand.view.batch[0, 0, slot, place] = stage
        hand.view.engines[0, 0, slot].kv_reserved_bytes = kv_gb[model] * GB
    hand.view.nodes[0, 0].kv_pool_bytes = 30.0 * GB
    hand.view.nodes[0, 0].kv_reserved_bytes = sum(kv_gb) * GB
    return hand


def test_muxserve_lets_the_engine_admit_that_admitted_longest_ago() -> None:
    hand = _two_engines((1, 1), (90.0, 80.0), (1.0, 1.0))
    first, second = hand.stage(model=0, ready_s=95.0), hand.stage(model=1, ready_s=96.0)
    hand.queue(0, first, second)
    assert _admitted(hand, "muxserve") == second
    assert _admitted(hand, "vllm") == first
    hand = _two_engines((1, 1), (70.0, 80.0), (1.0, 1.0))
    hand.queue(0, hand.stage(model=0), hand.stage(model=1))
    assert _admitted(hand, "muxserve") == 2


def test_muxserve_holds_an_engine_to_its_quota_though_memory_is_free() -> None:
    # Engine 1 holds 12 GB of its 12, and stages wait for both: its stage of 0.1 GB gives way to a younger one.
    hand = _two_engines((1, 1), (90.0, 80.0), (2.0, 12.0))
    over, within = hand.stage(model=1, ready_s=95.0), hand.stage(model=0, ready_s=96.0)
    hand.queue(0, over, within)
    assert _admitted(hand, "muxserve") == within
    # It waits even where the other engine's batch is full, though 16 GB are free.
    hand.view.engines[0, 0, 0].running = 8
    assert _admitted(hand, "muxserve") == -1
    assert _admitted(hand, "vllm") == over
    # Where waiting is no choice it is admitted all the same.
    hand.view.clock[0].wait_legal = 0
    assert _admitted(hand, "muxserve") == over


def test_muxserve_lends_what_an_engine_without_waiting_stages_does_not_use() -> None:
    # Engine 0 uses 2 GB and nobody waits for it: 28 GB are engine 1's.
    hand = _two_engines((1, 1), (90.0, 80.0), (2.0, 27.95))
    stage = hand.stage(model=1)
    hand.queue(0, stage)
    assert _admitted(hand, "muxserve") == -1
    hand = _two_engines((1, 1), (90.0, 80.0), (2.0, 27.85))
    stage = hand.stage(model=1)
    hand.queue(0, stage)
    assert _admitted(hand, "muxserve") == stage


def test_muxserve_spreads_the_rate_of_a_model_over_the_nodes_that_have_it() -> None:
    # Model 0 runs on three nodes: weights 1 and 2, shares 10 and 20 GB.
    hand = _two_engines((1, 1), (90.0, 80.0), (2.0, 19.0))
    hand.view.models[0, 0].warm_nodes = 3
    first, second = hand.stage(model=1, ready_s=95.0), hand.stage(model=0, ready_s=96.0)
    hand.queue(0, first, second)
    assert _admitted(hand, "muxserve") == first
    hand.view.models[0, 0].warm_nodes = 1
    assert _admitted(hand, "muxserve") == second


@pytest.mark.parametrize("cls", [INTERACTIVE, BATCH])
def test_scorpio_serves_the_least_deadline_first_and_the_unattainable_last(cls: int) -> None:
    hand = Hand()
    hand.engine(0, 0)
    # 0.1 ms a prompt token: 2000 tokens need 0.2 s. Deadlines in 0.1 s, 3 s and 2 s.
    stages = [hand.stage(prompt=2000, ready_s=NOW_S - 4.0, cls=cls) for _ in range(3)]
    for stage, due_s in zip(stages, (0.1, 3.0, 2.0), strict=True):
        workflow = hand.view.workflows[0, stage]
        workflow.ttft_limit_s, workflow.deadline_s = (
            (4.0 + due_s, NOW_S + 500.0 - due_s) if cls == INTERACTIVE else (1.0, NOW_S + due_s)
        )
    hand.queue(0, *stages)
    assert _admitted(hand, "scorpio") == stages[2]
    hand.queue(0, stages[0], stages[1])
    assert _admitted(hand, "scorpio") == stages[1]
    hand.queue(0, stages[0])
    assert _admitted(hand, "scorpio") == stages[0]
