"""Information classes of policies, and which rules a rival brings of its own."""

from __future__ import annotations

import numpy as np

from maestro_gym.baselines import TABLE, load_policy
from tests.baselines.hand import STAGES, Hand, ask, make_oracle


def test_the_oracle_does_act_on_the_future() -> None:
    policy = load_policy("oracle-srtf")
    assert policy.reads_oracle
    hand = Hand(num_clusters=2)
    hand.ready(hand.stage(ready_s=90.0), hand.stage(ready_s=91.0))
    for node in range(4):
        hand.engine(node, 0)
    hand.oracle = make_oracle(STAGES)
    hand.oracle.truth["remaining_s"][0] = np.arange(STAGES)
    first = ask(policy.global_rule, hand)
    hand.oracle.truth["remaining_s"][0] = np.arange(STAGES)[::-1]
    assert ask(policy.global_rule, hand) != first


def test_every_policy_of_the_table_loads_and_declares_its_class() -> None:
    classes = {name: load_policy(name).information for name in TABLE}
    oracles = {name for name, information in classes.items() if information == "O"}
    assert oracles == {f"{name}{around}" for name in ("oracle-srtf", "kvflow", "parrot") for around in ("", "+maestro")}
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
