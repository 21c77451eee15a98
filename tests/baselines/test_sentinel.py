"""Rules act on what they declare: nobody but the oracle sees the future, class N sees no prediction."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro_gym.baselines import build
from maestro_gym.baselines.registry import (
    ADMISSIONS,
    AUTOSCALINGS,
    NODE_RULES,
    ORDERS,
    RECLAIM_RULES,
    ROUTINGS,
    load_policy,
)
from maestro_gym.baselines.sentinel import examine, examine_rules, predicted_fields
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.policy import Rule

RULES = [
    *(build.global_rule(order, ROUTINGS["warm-jsq"]) for order in ORDERS.values()),
    *(build.cluster_rule(routing) for routing in ROUTINGS.values()),
    *(build.node_rule(rule) for rule in NODE_RULES.values()),
    *(build.reclaim_rule(rule) for rule in RECLAIM_RULES.values()),
    *(build.global_rule(ORDERS["fcfs"], ROUTINGS["warm-jsq"], rule) for rule in ADMISSIONS.values()),
    *(build.global_rule(ORDERS["fcfs"], ROUTINGS["warm-jsq"], autoscaling=rule) for rule in AUTOSCALINGS.values()),
]
"""Every part of the registry, by itself."""

PEEKER = """
from maestro_gym.scheduling.rules import {make}

{helper}

RULE = {call}
"""


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    switches = ("limits.admission=true", "limits.autoscaling.period_s=10")
    return Scenario.load("quick", ("contention=high", "horizon_s=60", *switches))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.tier} {rule.name}")
def test_a_rule_keeps_to_its_information_class(rule: Rule, scenario: Scenario) -> None:
    finding = examine(rule, scenario=scenario)
    assert finding.decisions >= 20, "it was hardly asked"
    assert finding.heeds == ()


def test_the_parts_that_read_predictions_move_with_them(scenario: Scenario) -> None:
    # The sentinel is not blind: of what declares class P, most heeds a prediction when it is examined as class N.
    from dataclasses import replace

    declared = [rule for rule in RULES if rule.information == "P" and rule.tier in ("global", "cluster")]
    caught = [rule.name for rule in declared if examine(replace(rule, information="N"), scenario=scenario).heeds]
    assert {"srtf/warm-jsq", "sjf/warm-jsq", "maestro/warm-jsq", "serverlessllm", "maestro"} <= set(caught)


def test_the_field_table_says_what_rests_on_a_prediction() -> None:
    assert {"stages.remaining_s_q50", "stages.output_q50_tokens", "nodes.queued_work_s"} <= set(predicted_fields())
    assert "stages.prompt_tokens" not in predicted_fields()


@pytest.mark.filterwarnings("ignore:running the code")
@pytest.mark.parametrize(
    ("information", "make", "helper", "heeds"),
    [
        (
            "N",
            "order_by",
            "def key(view, oracle, e, stage):\n    return view.stages[e, stage].remaining_s_q90",
            "stages.remaining_s_q90",
        ),
        (
            "N",
            "route_by",
            "def cost(view, e, stage, node):\n    return view.nodes[e, node].running_work_s",
            "nodes.running_work_s",
        ),
        (
            "P",
            "order_by",
            "def key(view, oracle, e, stage):\n    return float(oracle.truth[e, stage].output_tokens)",
            "the true future",
        ),
    ],
    ids=["an order that reads T_rem", "a routing that reads predicted work", "an order that reads true lengths"],
)
def test_a_users_rule_that_knows_more_than_it_says_is_named_with_the_field(
    tmp_path: Path, scenario: Scenario, information: str, make: str, helper: str, heeds: str
) -> None:
    function = helper.split("(")[0].removeprefix("def ")
    call = f'{make}({function}, name="peeker", information="{information}", description="peeks", source="test")'
    path = tmp_path / "peeker.py"
    path.write_text(PEEKER.format(make=make, helper=helper, call=call), encoding="utf-8")
    policy = load_policy(f"{path}:RULE")
    rule = policy.global_rule if make == "order_by" else policy.cluster_rule
    (finding,) = examine_rules(policy, [rule], scenario)
    assert heeds in finding.heeds
