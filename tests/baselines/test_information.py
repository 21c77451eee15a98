"""Rules act on what they declare: nobody but the oracle sees the future, class N sees no prediction."""

from __future__ import annotations

import numpy as np
import pytest

from maestro_gym.baselines import TABLE, load_policy
from maestro_gym.scheduling.policy import Policy
from maestro_gym.state import RECLAIM_PAUSE, RECLAIM_SLEEP, RECLAIM_TRIM
from tests.baselines.hand import STAGES, Hand, ask, make_oracle

PREDICTED = (
    "remaining_s_q50",
    "remaining_s_q90",
    "future_s_q50",
    "future_s_q90",
    "output_q50_tokens",
    "output_q90_tokens",
    "remaining_calls",
    "remaining_input_tokens",
    "remaining_output_tokens",
    "tool_probability",
)
SENTINELS = ("fcfs", "edf", "las", "round-robin", "least-kv", "llm-d", "static-max", "maestro-no-prediction", "maestro")


def _busy_fleet() -> Hand:
    hand = Hand(num_clusters=2, num_models=4)
    stages = [
        hand.stage(model=i % 4, ready_s=90.0 + i, cls=i % 2, remaining_s=30.0 - 3 * i, deadline_s=300.0 - i)
        for i in range(6)
    ]
    for node in range(4):
        hand.engine(node, node % 4, running=1)
        hand.load(node, queued=4 - node, running=1, work_s=10.0 * node, reserved_gb=50.0 - node)
    hand.ready(*stages)
    return hand


def _actions(policy: Policy, hand: Hand) -> list[int]:
    """What the four rules answer, each asked where the hand-built fleet has work for it."""
    hand.view.memory[:] = 0.0
    hand.view.model_memory[:] = 0.0
    hand.ready(*range(6))
    actions = [ask(policy.global_rule, hand)]
    hand.route(3, 1)
    actions.append(ask(policy.cluster_rule, hand))
    hand.queue(0, 0, 4, 1, 5)
    actions.append(ask(policy.node_rule, hand))
    hand.view.reclaim_len[:] = 0
    hand.offer(RECLAIM_SLEEP, 1, freed_gb=16.0, harm_s=0.5)
    hand.offer(RECLAIM_TRIM, 0, stage=2, freed_gb=0.1, harm_s=0.001)
    hand.offer(RECLAIM_PAUSE, 0, stage=2, freed_gb=0.2, harm_s=0.4)
    actions.append(ask(policy.reclaim_rule, hand))
    hand.queue(0)
    return actions


@pytest.mark.parametrize("name", SENTINELS)
def test_a_rule_without_oracle_rights_acts_alike_whatever_the_future_is(name: str) -> None:
    policy = load_policy(name)
    assert not policy.reads_oracle
    hand = _busy_fleet()
    blind = _actions(policy, hand)
    hand.oracle = make_oracle(STAGES)
    hand.oracle.truth["remaining_s"][0] = np.arange(STAGES)[::-1]
    hand.oracle.truth["output_tokens"][0] = 5000 - np.arange(STAGES)
    assert _actions(policy, hand) == blind


def test_the_oracle_does_act_on_the_future() -> None:
    policy = load_policy("oracle-srtf")
    assert policy.reads_oracle
    hand = _busy_fleet()
    hand.oracle = make_oracle(STAGES)
    hand.oracle.truth["remaining_s"][0] = np.arange(STAGES)
    first = _actions(policy, hand)
    hand.oracle.truth["remaining_s"][0] = np.arange(STAGES)[::-1]
    assert _actions(policy, hand) != first


@pytest.mark.parametrize("name", SENTINELS)
def test_a_rule_of_class_n_acts_alike_whatever_is_predicted(name: str) -> None:
    policy = load_policy(name)
    hand = _busy_fleet()
    before = _actions(policy, hand)
    for field in PREDICTED:
        hand.view.stages[field][0] = hand.view.stages[field][0][::-1] + 7.0
    hand.view.nodes["queued_work_s"][0] = [50.0, 1.0, 30.0, 2.0]
    hand.view.nodes["running_work_s"][0] = [20.0, 9.0, 70.0, 1.0]
    after = _actions(policy, hand)
    for rule, was, now in zip(policy.rules, before, after, strict=True):
        if rule.information == "N":
            assert was == now, rule


def test_every_policy_of_the_table_loads_and_declares_its_class() -> None:
    classes = {name: load_policy(name).information for name in TABLE}
    assert {name for name, information in classes.items() if information == "O"} == {
        "oracle-srtf",
        "oracle-srtf+maestro",
    }
    assert classes["maestro"] == "P"
    assert classes["static-max"] == "N"
    assert classes["maestro-no-prediction"] == "N"


def test_one_tier_rivals_differ_from_their_companions_in_one_rule_only() -> None:
    plain, maestro = load_policy("fcfs"), load_policy("maestro")
    for name in ("edf", "sjf", "srtf", "oracle-srtf", "las"):
        rival, completed = load_policy(name), load_policy(f"{name}+maestro")
        assert [r.name for r in rival.rules[1:]] == [r.name for r in plain.rules[1:]]
        assert [r.name for r in completed.rules[1:]] == [r.name for r in maestro.rules[1:]]
    assert load_policy("static-max").rules[0].name == plain.rules[0].name
